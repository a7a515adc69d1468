//! A mistake of the user, as an error.

use std::fmt::Display;

/// A mistake of the user, not of the harness.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Usage(String);

/// Turns any error into wrong usage.
pub(super) fn usage(error: impl Display) -> anyhow::Error {
    Usage(error.to_string()).into()
}
