//! An executable specification of GMainContext and GMainLoop, in virtual time.
//!
//! No C library, no real descriptor, no clock: a [`Context`] does what GLib's does, in the same
//! order, and a program that runs on both dispatches the same sources at the same depth.
//! Tests check this: GLib's own main-loop tests and random programs run on both
//! (`tests/tests/conformance`, `tests/tests/model_vs_glib.rs`).
//! You can read it as a description of GLib's main loop. Numbers are lines of gmain.c, GLib 2.74.6.
//!
//! # One iteration
//!
//! ```text
//!              sources, by priority, then age; a child right before its parent
//!              [ -20 probe ] [ 0 timeout ] [ 0 watch ] [ 200 idle ]
//!
//!  prepare     asks each: ready already? how long may we sleep?
//!   3696       stops below the priority of the first that is ready
//!                  |  max_priority, timeout (0 if a source is ready)
//!  query       the descriptors of sources down to max_priority, and the
//!   3878       context's own eventfd (priority 0): what `wakeup` writes to
//!                  |  descriptors, timeout
//!  poll        sleeps until one is ready or the time is over
//!   4520           |  what each is ready for
//!  check       empties the eventfd; descriptors added or removed? start over
//!   3970       asks each: ready now? or a descriptor, or a ready time?
//!              puts the ready ones of the highest priority found into the
//!                  |  pending list
//!  dispatch    each in the list: block it, call it, unblock it
//!   3396
//! ```
//!
//! # Nesting
//!
//! A callback can run the loop again. GLib does nothing special for that: the iteration is just
//! called from further up the stack.
//!
//! ```text
//!  iterate                          pending list   poll set
//!    check                          [A B]          a b wakeup
//!    dispatch A: block A            [- B]            b wakeup    one write to the eventfd
//!    |  A runs a loop
//!    |    iterate
//!    |      prepare: list dropped   []               B is still READY
//!    |      poll: wakeup is ready                    timeout 0 anyway
//!    |      check                   [B]
//!    |      dispatch B              []
//!    |    iterate ...               A is blocked until it returns
//!    unblock A                      []             a b wakeup    another write
//!    the outer list is empty now: B is not called twice
//! ```
//!
//! So a source whose callback opened a nested loop is deaf until that loop ends; its descriptors
//! are not even polled. That is the stall. It becomes a busy loop if the same descriptor is also
//! polled in another way (by another source, or a raw [`add_poll`](Context::add_poll)).
//!
//! # The rules
//!
//! | rule | gmain.c | here |
//! |---|---|---|
//! | READY is sticky: a source that was found ready stays ready until it is dispatched, and is not asked again | 3757, 3408 | `prepare`, `dispatch` in `iteration.rs` |
//! | prepare drops the pending list of an outer iteration | 3736 | `prepare` |
//! | neither prepare nor check look below the priority of the first ready source | 3754, 4142 | both |
//! | a wait is rounded up to milliseconds before 2.82, and exact since, see [`Rounding`] | 3809 | `prepare` |
//! | `max_priority` hides the descriptors of lower priorities from the poll | 3900 | `query` |
//! | the wakeup is a descriptor of priority 0: a source of higher priority that is always ready hides it, and then poll is not called at all | 772, 4534 | `poll` |
//! | adding or removing a descriptor after the query ends the iteration with nothing dispatched | 4009 | `check` |
//! | a unix fd makes its source ready whatever `check` says, `add_poll` descriptors only count through `check` | 4092 | `check` |
//! | a ready child makes its ancestors ready | 3823, 4126 | `mark_ready` in `state.rs` |
//! | a source and its children are blocked (not asked, not polled) while the source is dispatched, unless it can recurse | 3432, 3330 | `block` |
//! | adding or removing a descriptor writes the wakeup, so an event costs two polls | 4684, 4744 | `poll`, `unpoll` |
//! | a child that is dispatched does not block its parent | 3330 | `block` |
//! | a new ready time writes the wakeup, unless the source is blocked | 2059 | [`Source::set_ready_time`] |
//! | attaching wakes another thread that owns the context, never the caller | 1320 | `attach` |
//! | a timeout's next interval begins when its callback has returned, at the time of the iteration | 5023, 4783 | `funcs.rs` |
//! | `pending` in a callback starves a sibling and leaks a reference to it | 3401, 3491 | [`Context::pending`] |
//! | a quit ends its own loop once that is the innermost again; a quit before the run is forgotten | 4446, 4468 | `main_loop.rs` |
//! | iterating inside `prepare` or `check` is refused | 3712, 3983 | both |
//!
//! # Example
//!
//! ```
//! use std::ops::ControlFlow::{Break, Continue};
//! use loopnest_core::model::*;
//! let ms = std::time::Duration::from_millis(1);
//! let clock = Clock::default();
//! let context = Context::new(&clock);
//! let pipe = Pipe::new(&clock);
//! // Another thread writes after 5 ms.
//! let writer = pipe.clone();
//! clock.at(5 * ms, move || { writer.write(1); });
//! // A watch that opens a nested loop. It is blocked meanwhile, and its fd is not polled.
//! let reader = pipe.clone();
//! context.watch(pipe.read_end(), Events::IN, move |this, _| {
//!     reader.read(1);
//!     let inner = MainLoop::new(this.context());
//!     let quit = inner.clone();
//!     this.context().timeout(20 * ms, move |_| { quit.quit(); Break(()) }).attach();
//!     inner.run();
//!     Continue(())
//! }).attach();
//! let outer = MainLoop::new(&context);
//! outer.run(); // ends: nothing can happen any more
//! assert_eq!(clock.stuck(), Some(Stuck::Idle));
//! assert_eq!(clock.now(), 25 * ms);
//! context.clear();
//! ```
//!
//! # What it leaves out
//!
//! - Threads that wait for the ownership of a context: other threads exist as events of the
//!   [`Clock`], take no time and cannot wait.
//! - Memory: a source lives as long as its context needs it, even if handles to it are left.
//! - `EINTR`, timeouts in whole seconds and their alignment, and custom poll functions.
//!
//! [`strategies`] has a model of each strategy, [`Model`], on top of this, and the [`ideal`] run: what a
//! program does where nothing is late. [`run`] runs a program on the model of a strategy.

pub mod clock;
mod context;
mod counters;
pub mod fd;
mod funcs;
mod iteration;
mod main_loop;
mod rules;
mod source;
mod state;
pub mod strategies;

pub use clock::{Clock, Config, Rounding, Stuck, Thread, Wait};
pub use context::Context;
pub use counters::{Counters, Warning};
pub use fd::{EventFd, Events, Fd, Pipe, Read};
pub use funcs::{PRIORITY_DEFAULT, PRIORITY_DEFAULT_IDLE, PRIORITY_HIGH_IDLE};
pub use main_loop::MainLoop;
pub use rules::Rules;
pub use source::{Callbacks, FdTag, Prepare, Source};
pub use strategies::{Model, ideal, run, run_beside, run_on};
