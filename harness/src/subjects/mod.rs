//! The strategies as the harness sees them: a file for each, with its rows of the matrix.
//!
//! | file | what it holds |
//! |---|---|
//! | one for each strategy | what it says about itself, and how a program runs on it |
//! | `host.rs` | [`Loops`](loopnest_core::Loops) over the real loops: what all of them share |
//! | `call.rs` | a GAsyncResult call whose peer answers at a set time |
//! | `remote.rs` | another tokio runtime on its own thread |
//! | `controls.rs`, `deaf.rs` | planted subjects with a known fault |

mod call;
pub mod controls;
mod deaf;
pub mod host;
mod late_quit;
mod remote;

use loopnest_core::strategy::Strategy;

pub use self::host::{HostLoops, Tasks};

/// Includes each strategy's file, and lists its rows.
macro_rules! subjects {
    ($($file:ident),* $(,)?) => {
        $(mod $file;)*

        /// All strategies that ship, in the order of the matrix.
        pub fn all() -> Vec<Box<dyn Strategy>> {
            let mut rows: Vec<Box<dyn Strategy>> = Vec::new();
            $(rows.extend($file::rows());)*
            rows
        }
    };
}

// To add a strategy, add its name here.
subjects! {
    nested,
    dispatch,
    handoff,
    gtk_rs,
}
