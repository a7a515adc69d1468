//! How this program starts itself again.

use std::path::PathBuf;

/// How to start a child.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The program: this one.
    pub program: PathBuf,
    /// Its name in lists of processes.
    pub name: PathBuf,
    /// Its arguments, before those that the supervisor adds.
    pub args: Vec<String>,
}
