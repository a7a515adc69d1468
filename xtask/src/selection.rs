//! Which steps a command line selects.

use clap::CommandFactory;
use clap::error::ErrorKind;

use crate::cli::Cli;
use crate::steps::{Step, select};

/// The same for the command line, where no step at all is wrong usage.
pub fn select_or_exit(only: &[Step], skip: &[Step]) -> Vec<Step> {
    let chosen = select(only, skip);
    if chosen.is_empty() {
        let message = "--only and --skip leave no step to run";
        Cli::command().error(ErrorKind::ArgumentConflict, message).exit();
    }
    chosen
}
