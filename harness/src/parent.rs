//! A process that ends with the one that started it.

use std::io;

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

/// Why a process cannot be tied to its supervisor.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParentError {
    /// The system refused.
    #[error("cannot tie this process to its supervisor")]
    Tie(#[source] io::Error),
    /// It has already ended, and nothing waits for a result.
    #[error("the supervisor is gone")]
    Gone,
}

/// Sends this process a signal when its supervisor, the process `parent`, ends.
///
/// # Errors
/// When that cannot be arranged, or the supervisor has already ended.
pub fn die_with(parent: u32, signal: Signal) -> Result<(), ParentError> {
    set_parent_process_death_signal(Some(signal)).map_err(|e| ParentError::Tie(e.into()))?;
    // It may have ended before the call.
    let now = getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    if u32::try_from(now) == Ok(parent) { Ok(()) } else { Err(ParentError::Gone) }
}
