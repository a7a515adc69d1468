//! A GTK window in which a dialog stops the async side, or does not.

pub mod dialog_run;
