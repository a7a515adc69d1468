//! Runs strategies against scenarios on the real loops and says what happened.
//!
//! A *cell* is one strategy with one scenario. Each run of a cell is a process of its own, under a
//! supervisor that shares no runtime with it. So an abort is a result, not the end of the harness.
//! `ARCHITECTURE.md` says what the other words mean.
//!
//! | module | what it does |
//! |---|---|
//! | [`registry`], [`scenarios`], [`subjects`] | what can be run |
//! | [`trial`] | one program on one strategy, in a child process |
//! | [`search`], [`counterexample`] | the search for a bad verdict, and the file of a find |
//! | [`matrix`] | which cells, how many times, in which order |
//! | [`launch`], [`supervisor`] | outside the child: starts it, keeps time, says how it ended |
//! | [`child`] | inside the child: runs the program, counts, pokes what is overdue |
//! | [`shm`], [`stderr`] | the page between the two, and what the child writes |
//! | [`keeper`] | what a cell has started does not outlive the harness |
//! | [`probe`], [`threads`], [`parent`] | counting, and a child that ends with its parent |
//! | [`rules`], [`explanation`] | why a cell got its verdict |
//! | [`expect`] | what each cell is expected to do |
//! | [`formats`], [`timeline`] | a run as text, as JSON, as a Chrome trace |
//! | [`called`] | the command that runs this program |
//!
//! To judge your own strategy, add it to a [`Registry`] and pass that to [`main_with`]:
//! see `harness/examples/own_strategy.rs`.

pub mod called;
pub mod child;
mod cli;
mod command;
pub mod counterexample;
pub mod exit;
pub mod expect;
pub mod explanation;
mod file;
pub mod formats;
pub mod judgeable;
pub mod keeper;
pub mod launch;
pub mod machine;
pub mod matrix;
pub mod parent;
pub mod patience;
pub mod probe;
pub mod registry;
pub mod result;
pub mod rules;
pub mod scenarios;
pub mod search;
pub mod shm;
pub mod stderr;
pub mod subjects;
pub mod supervisor;
mod text;
pub mod threads;
pub mod timeline;
pub mod trial;
mod values;

pub use command::main_with;
pub use registry::Registry;
