//! Building a runtime where the system may have nothing left.
//!
//! tokio panics where descriptors run out while it sets up signals (tokio 1.54, `signal/unix.rs`:
//! "failed to create UnixStream"), and where no thread can be started for a worker.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use loopnest_core::executor::Panic;

use crate::error::SetupError;

/// Pipes of as many descriptors as the first runtime opens: an epoll and its duplicate, an eventfd, the
/// pair of sockets for signals and a duplicate of one of them.
const PIPES: usize = 3;

/// Whether there are enough descriptors.
fn look() -> io::Result<()> {
    (0..PIPES).map(|_| io::pipe()).collect::<io::Result<Vec<_>>>().map(drop)
}

/// Builds a runtime, with an error where tokio would panic.
///
/// A look at the descriptors comes first, because a panic would be reported by the panic hook, and
/// would end a program with `panic = "abort"`. Another thread may take them in between; then the
/// panic is caught.
pub(crate) fn build<R>(build: impl FnOnce() -> io::Result<R>) -> Result<R, SetupError> {
    look().map_err(SetupError::Runtime)?;
    let built = catch_unwind(AssertUnwindSafe(build)).unwrap_or_else(|payload| {
        let what = payload.downcast_ref::<String>().map_or("tokio panicked", String::as_str);
        let error = io::Error::other(what);
        drop(Panic::new(payload));
        Err(error)
    });
    built.map_err(SetupError::Runtime)
}
