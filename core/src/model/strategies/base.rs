//! What the models of all strategies are built on.

use std::sync::Arc;

use super::fault::Fault;
use super::tape::Tape;
use super::tasks::Tasks;
use crate::model::clock::Clock;
use crate::model::context::Context;

/// The clock, the context and the instruments of one run.
#[derive(Clone)]
pub(super) struct Base {
    pub(super) clock: Clock,
    pub(super) context: Context,
    pub(super) tape: Arc<Tape>,
    pub(super) tasks: Tasks,
    #[cfg(feature = "mutants")]
    pub(super) fault: Option<Fault>,
}

impl Base {
    /// Whether the model should have this fault.
    #[cfg(feature = "mutants")]
    pub(super) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Whether the model should have this fault: never.
    #[cfg(not(feature = "mutants"))]
    pub(super) const fn has(&self, _fault: Fault) -> bool {
        false
    }
}
