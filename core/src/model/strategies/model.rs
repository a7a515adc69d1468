//! The strategies that have a model, and their names: each strategy that ships has one. A model does
//! in virtual time what its strategy does on the real loops. Planted subjects have none.

use std::fmt;

/// The model of a strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// `nested`: async drives GLib.
    Nested,
    /// `nested-no-wake`: the same, but where tokio would wait, a main loop runs until tokio has work:
    /// what a GLib callback completes does not end that wait.
    NestedNoWake,
    /// `dispatch`: GLib drives async.
    Dispatch,
    /// `handoff`: tokio on its own thread.
    Handoff,
    /// `gtk-rs`: glib's own executor, with tokio on its own thread.
    GtkRs,
}

impl Model {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Nested, Self::NestedNoWake, Self::Dispatch, Self::Handoff, Self::GtkRs];

    /// The model of the strategy with this name, if there is one.
    pub fn of(strategy: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|model| model.name() == strategy)
    }

    /// The name of the strategy.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nested => "nested",
            Self::NestedNoWake => "nested-no-wake",
            Self::Dispatch => "dispatch",
            Self::Handoff => "handoff",
            Self::GtkRs => "gtk-rs",
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
