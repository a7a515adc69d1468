//! The command-line program; everything is in the library.

use std::process::ExitCode;

use harness::Registry;

fn main() -> ExitCode {
    harness::main_with(Registry::default())
}
