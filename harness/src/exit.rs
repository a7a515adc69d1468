//! Exit codes. The worst wins: 70 > 5 > 1 > 3 > 0.

use std::process::ExitCode;

/// How the harness ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Every cell did what was expected.
    Ok,
    /// No cell was unexpected, but one is inconclusive.
    Inconclusive,
    /// A cell was unexpected.
    Surprise,
    /// The selection has no cell.
    NothingRun,
    /// The search found nothing.
    NothingFound,
    /// Wrong usage.
    Usage,
    /// The machine cannot measure.
    CannotMeasure,
    /// The harness failed.
    Failed,
    /// Interrupted.
    Interrupted,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Surprise => 1,
            Self::Usage => 2,
            Self::Inconclusive => 3,
            Self::NothingRun | Self::NothingFound => 4,
            Self::CannotMeasure => 5,
            Self::Failed => 70,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
