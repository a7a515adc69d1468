//! A GTK window that shows whether a dialog stops the async side.
//!
//! | module | what it does |
//! |---|---|
//! | [`dialog_run`] | shows a modal window and waits for its answer; you may copy it |
//! | [`supervisor`], [`blackbox`], `session` | the process without a window: starts the other, explains its death |
//! | [`app`], [`controls`], [`ending`] | the process with the window: creates, connects and ends it |
//! | [`demo`] | its parts, and how they work together |
//! | [`dialogs`], [`dialog`], [`kind`] | from a button press to a dialog and back |
//! | [`watch`], [`verdicts`], [`judge`] | from dialogs to an episode, and to the verdict in the window |
//! | [`facts`], [`log`], [`episode`], [`program`], [`case`] | what happened, as a program and a trace |
//! | [`play`], [`window_loops`] | a scenario of the matrix in the window |
//! | [`work`], [`activity`] | the background work: ticker, TCP echo, D-Bus calls, a thousand tasks |
//! | [`meters`], [`sampler`], [`frames`], [`raise`], [`timer`] | five times a second: figures, and drawing where GTK cannot |
//! | [`window`], [`charts`], [`spinner`], [`colours`] | widgets |
//! | [`cli`], [`report`], [`screenshot`] | input and output |

pub mod activity;
pub mod app;
pub mod blackbox;
pub mod case;
pub mod charts;
pub mod cli;
pub mod colours;
pub mod controls;
pub mod demo;
pub mod dialog;
pub mod dialog_run;
pub mod dialogs;
pub mod ending;
pub mod episode;
pub mod facts;
pub mod frames;
pub mod judge;
pub mod kind;
pub mod log;
pub mod meters;
pub mod play;
pub mod program;
pub mod raise;
pub mod report;
pub mod sampler;
pub mod screenshot;
mod session;
pub mod spinner;
pub mod supervisor;
pub mod timer;
pub mod verdicts;
pub mod watch;
pub mod window;
pub mod window_loops;
pub mod work;
