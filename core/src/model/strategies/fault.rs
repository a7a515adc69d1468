//! Faults that tests can plant in the model of a strategy, to show that a search finds them.
//!
//! Without the feature `mutants` there are none: whether a fault is on is a constant `false`.

#[cfg(feature = "mutants")]
use super::model::Model;

/// A fault in the model of one strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `dispatch`: the source cannot recurse, so a loop opened by a task finds it blocked.
    SourceCannotRecurse,
    /// `dispatch`: while tokio cannot make a turn, its descriptor stays in the poll set.
    DescriptorLeft,
    /// `dispatch`: a deadline from before a nested loop counts inside it, although tokio cannot
    /// meet it.
    DeadlineKept,
    /// `handoff`: the source of the jobs cannot recurse.
    JobsCannotRecurse,
    /// `handoff`: a job that is queued does not wake GLib.
    JobDoesNotWake,
    /// `nested`: a wake from another thread does not write the runtime's eventfd.
    ThreadDoesNotWake,
    /// `nested`: the wait does not end when tokio's next timer is due.
    TimerNotArmed,
    /// `gtk-rs`: a task that wakes itself while it is polled is forgotten.
    OwnWakeDropped,
}

#[cfg(feature = "mutants")]
impl Fault {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::SourceCannotRecurse,
        Self::DescriptorLeft,
        Self::DeadlineKept,
        Self::JobsCannotRecurse,
        Self::JobDoesNotWake,
        Self::ThreadDoesNotWake,
        Self::TimerNotArmed,
        Self::OwnWakeDropped,
    ];

    /// The strategy whose model can have this fault.
    pub fn strategy(self) -> Model {
        match self {
            Self::SourceCannotRecurse | Self::DescriptorLeft | Self::DeadlineKept => {
                Model::Dispatch
            }
            Self::JobsCannotRecurse | Self::JobDoesNotWake => Model::Handoff,
            Self::ThreadDoesNotWake | Self::TimerNotArmed => Model::Nested,
            Self::OwnWakeDropped => Model::GtkRs,
        }
    }

    /// What is wrong, for the table of mutants.
    pub fn about(self) -> &'static str {
        match self {
            Self::SourceCannotRecurse => "the source cannot recurse",
            Self::DescriptorLeft => "the descriptor stays in the poll set while tokio is held",
            Self::DeadlineKept => "a deadline is kept across a nested loop that cannot meet it",
            Self::JobsCannotRecurse => "the source of the jobs cannot recurse",
            Self::JobDoesNotWake => "a queued job does not wake GLib",
            Self::ThreadDoesNotWake => "a wake from another thread does not write the eventfd",
            Self::TimerNotArmed => "the wait does not end when a timer is due",
            Self::OwnWakeDropped => "a task that wakes itself while it is polled is forgotten",
        }
    }
}
