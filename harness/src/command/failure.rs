//! What is said, and with which exit code the harness ends, when a command cannot do its work.

use std::fmt::Display;
use std::io;

use super::output::say;
use crate::exit::Exit;
use crate::registry::Unknown;

/// Says why a command failed; how the harness ends.
pub(super) fn failed(error: &anyhow::Error) -> Exit {
    // Nobody reads on: `harness | head` is no failure.
    if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) {
        return Exit::Ok;
    }
    say(format_args!("error: {error:#}"));
    if error.is::<Unknown>() || error.is::<Usage>() { Exit::Usage } else { Exit::Failed }
}

/// The user's mistake, not ours.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// Makes a mistake of the user's out of any error.
pub(super) fn usage(error: impl Display) -> anyhow::Error {
    Usage(error.to_string()).into()
}
