//! The message and the exit code when a command fails.

use std::io;

use super::output::say;
use super::usage::Usage;
use crate::exit::Exit;
use crate::registry::Unknown;
use crate::trial::TrialError;

/// Prints why a command failed, and returns the exit code.
pub(super) fn failed(error: &anyhow::Error) -> Exit {
    // Nothing reads the output any more: `list | head` is not a failure.
    if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) {
        return Exit::Ok;
    }
    say(format_args!("error: {error:#}"));
    let refused =
        matches!(error.downcast_ref(), Some(TrialError::Unknown(_) | TrialError::Unjudgeable(_)));
    let usage = error.is::<Unknown>() || error.is::<Usage>() || refused;
    if usage { Exit::Usage } else { Exit::Failed }
}
