//! What a dying process leaves behind for the next one to explain.
//!
//! `gtk-rs` aborts when a task opens a nested loop, and no code of this process runs after that. So
//! we write what is on the stack to a file whenever a nested loop opens or closes, and the
//! [`supervisor`](crate::supervisor) hands it to the next process.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use loopnest_core::trace::End;
use serde::{Deserialize, Serialize};

use crate::case::Case;

/// The file, if there is a supervisor to read it.
#[derive(Debug)]
pub struct BlackBox(Option<PathBuf>);

impl BlackBox {
    /// The box in this file.
    pub fn new(file: Option<PathBuf>) -> Self {
        Self(file)
    }

    /// Writes a case.
    pub fn write(&self, case: &Case) {
        let Some(file) = &self.0 else { return };
        let json = serde_json::to_vec(case).unwrap_or_default();
        if let Err(error) = fs::write(file, json) {
            eprintln!("cannot write {}: {error}", file.display());
        }
    }

    /// Empties the box: all nested loops have returned, and there is nothing left to explain.
    pub fn clear(&self) {
        if let Some(file) = &self.0 {
            // It may never have been written.
            let _ = fs::remove_file(file);
        }
    }
}

/// How a process died, with what it left behind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PostMortem {
    /// What was on the stack.
    pub case: Case,
    /// The signal.
    pub signal: Option<i32>,
    /// The exit code.
    pub code: Option<i32>,
    /// The reason, as far as its stderr gives one.
    pub message: String,
}

impl PostMortem {
    /// The case, with the death as its end.
    pub fn case(self) -> Case {
        let mut case = self.case;
        case.real.end = End::Died { signal: self.signal, code: self.code, message: self.message };
        case
    }

    /// Reads it.
    ///
    /// # Errors
    /// When the file cannot be read, or holds something else.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let json = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_slice(&json).with_context(|| format!("cannot parse {}", file.display()))
    }
}
