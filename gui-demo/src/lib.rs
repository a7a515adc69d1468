//! A GTK window in which a dialog stops the async side, or does not.
//!
//! | module | what it does |
//! |---|---|
//! | [`dialog_run`] | a modal window that is waited for; to be copied |
//! | [`supervisor`], [`blackbox`] | the process without a window: starts the other, explains its death |
//! | [`app`], [`demo`], `show` | the process with the window: presses become dialogs, dialogs verdicts |
//! | [`activity`] | the work beside the dialogs: ticker, TCP echo, D-Bus calls |
//! | [`log`], [`episode`], [`judge`] | what happened, as a program and a trace, and its verdict |
//! | [`window`], [`dialogs`], [`charts`] | widgets |
//! | [`sampler`], [`frames`] | five times a second: figures, and drawing where GTK cannot |
//! | [`play`] | a scenario of the matrix in the window |
//! | [`screenshot`], [`report`], [`cli`], `session` | in and out; which buses there are |

pub mod activity;
pub mod app;
pub mod blackbox;
pub mod case;
pub mod charts;
pub mod cli;
pub mod demo;
pub mod dialog_run;
pub mod dialogs;
pub mod episode;
pub mod facts;
pub mod frames;
pub mod judge;
pub mod kind;
pub mod log;
pub mod play;
pub mod program;
pub mod report;
pub mod sampler;
pub mod screenshot;
mod session;
mod show;
pub mod supervisor;
pub mod window;
