//! A main loop that a test can drive without knowing whether it is the model or the real GLib.
//!
//! [`World`] is what both can do. Everything in it has a number, so that callbacks, which both
//! sides own, hold no handles. A test is a function of `&dyn World`, and runs on the [`model`] and
//! on [`glib`].

pub mod glib;
pub mod model;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use loopnest_core::model::{Events, Read};

/// A source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct S(pub usize);
/// A main loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct L(pub usize);
/// A pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct P(pub usize);
/// Something that a source or the context polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct T(pub usize);

/// One end of a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// To read from.
    Read(P),
    /// To write to.
    Write(P),
}

/// The name of something polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Polled {
    /// The context's own eventfd.
    Wakeup,
    /// An end of a pipe.
    Pipe(End),
}

/// The answer of a prepare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Ready.
    Ready,
    /// Not ready, and wait as long as you like.
    Wait,
    /// Not ready, and do not wait.
    Hurry,
}

/// When a source becomes ready by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Never.
    Never,
    /// At time zero, which is always past.
    Zero,
    /// After this time from now.
    After(Duration),
}

/// A callback; `false` removes the source.
pub type Callback = Box<dyn Fn(&dyn World, S) -> bool + Send + Sync>;
/// A `prepare`.
pub type PrepareFn = Box<dyn Fn(&dyn World, S) -> Ask + Send + Sync>;
/// A `check`.
pub type CheckFn = Box<dyn Fn(&dyn World, S) -> bool + Send + Sync>;

/// What happens while the context sleeps.
pub type Outside = Box<dyn FnOnce(&dyn World) + Send>;

/// A kind of source.
pub enum Kind {
    /// GLib's timeout.
    Timeout(Duration),
    /// GLib's idle.
    Idle,
    /// Only what is added to it: descriptors, a ready time.
    Plain,
    /// With a prepare and a check.
    Asks(PrepareFn, CheckFn),
}

/// What another thread does.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    /// Writes bytes.
    Write(P, u64),
    /// Closes the writing end.
    Close(P),
    /// Wakes the context.
    Wakeup,
    /// Quits a loop.
    Quit(L),
    /// Sets a ready time to zero.
    MakeReady(S),
    /// Attaches a source.
    Attach(S),
    /// Destroys a source.
    Destroy(S),
    /// Makes `g_main_context_invoke` call the function that was passed to [`World::on_invoke`].
    Invoke,
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Timeout(_) => "Timeout",
            Self::Idle => "Idle",
            Self::Plain => "Plain",
            Self::Asks(..) => "Asks",
        })
    }
}

/// Both sides. Names and meanings are GLib's.
pub trait World {
    /// Whether this is the model.
    fn is_model(&self) -> bool;
    /// Makes a source without attaching it.
    fn source(&self, name: &'static str, kind: Kind, callback: Callback) -> S;
    /// Attaches it and returns its id.
    fn attach(&self, s: S) -> u32;
    /// Destroys it.
    fn destroy(&self, s: S);
    /// Whether it is destroyed.
    fn is_destroyed(&self, s: S) -> bool;
    /// Whether the context knows a source by this id.
    fn knows_id(&self, id: u32) -> bool;
    /// Sets its priority.
    fn set_priority(&self, s: S, priority: i32);
    /// Its priority.
    fn priority(&self, s: S) -> i32;
    /// Sets whether it may recurse.
    fn set_can_recurse(&self, s: S, can: bool);
    /// Whether it may recurse.
    fn can_recurse(&self, s: S) -> bool;
    /// Sets its ready time.
    fn set_ready_time(&self, s: S, when: When);
    /// Whether it has one.
    fn has_ready_time(&self, s: S) -> bool;
    /// `g_source_get_time`, relative to the start of the world.
    fn time(&self, s: S) -> Duration;
    /// The references to it, up to a constant.
    fn n_refs(&self, s: S) -> u32;
    /// Makes `child` its child.
    fn add_child(&self, s: S, child: S);
    /// Removes the child.
    fn remove_child(&self, s: S, child: S);
    /// `g_source_add_unix_fd`; not for timeouts and idles.
    fn add_unix_fd(&self, s: S, end: End, events: Events) -> T;
    /// `g_source_modify_unix_fd`.
    fn modify_fd(&self, s: S, tag: T, events: Events);
    /// `g_source_remove_unix_fd`.
    fn remove_fd(&self, s: S, tag: T);
    /// `g_source_query_unix_fd`.
    fn query_fd(&self, s: S, tag: T) -> Events;
    /// `g_source_add_poll`.
    fn add_poll(&self, s: S, end: End, events: Events) -> T;
    /// `g_main_context_add_poll`.
    fn context_add_poll(&self, end: End, events: Events, priority: i32) -> T;
    /// `g_main_context_remove_poll`, or `g_source_remove_poll`.
    fn remove_poll(&self, tag: T);
    /// What the last poll found for a tag of `add_poll` or `context_add_poll`. Only for the owner.
    fn revents(&self, tag: T) -> Events;
    /// `g_main_context_query`, in an order that does not depend on the numbers of descriptors,
    /// which other threads of the process influence.
    fn poll_set(&self, max_priority: i32) -> Vec<(Polled, Events)>;
    /// `g_main_context_iteration`.
    fn iteration(&self, may_block: bool) -> bool;
    /// `g_main_context_pending`.
    fn pending(&self) -> bool;
    /// `g_main_context_wakeup`.
    fn wakeup(&self);
    /// Whether the next poll that looks at the wakeup returns at once because of it.
    fn wakeup_is_set(&self) -> bool;
    /// `g_main_context_is_owner`.
    fn is_owner(&self) -> bool;
    /// Runs `call` while owning the context.
    fn own(&self, call: &mut dyn FnMut());
    /// `g_main_depth`.
    fn depth(&self) -> u32;
    /// The number of polls so far.
    fn polls(&self) -> u64;
    /// The number of GLib's criticals and warnings so far.
    fn complaints(&self) -> usize;
    /// Makes a loop.
    fn new_loop(&self) -> L;
    /// Runs it.
    fn run(&self, l: L);
    /// Quits it.
    fn quit(&self, l: L);
    /// Whether it is running.
    fn is_running(&self, l: L) -> bool;
    /// Makes a pipe.
    fn pipe(&self) -> P;
    /// Writes to it; returns how many bytes fitted.
    fn write(&self, p: P, n: u64) -> u64;
    /// Reads from it.
    fn read(&self, p: P, max: u64) -> Read;
    /// Closes its writing end, which nothing polls.
    fn close(&self, p: P);
    /// Sets what an invoke calls.
    fn on_invoke(&self, call: Box<dyn Fn() + Send + Sync>);
    /// `g_main_context_invoke`.
    fn invoke(&self);
    /// Whenever the context would sleep for ever, the next of these happens first, inside its poll.
    /// This replaces another thread, so that the moment is always the same.
    fn when_asleep(&self, outside: Vec<Outside>);
    /// Makes another thread do this after a time.
    fn thread(&self, after: Duration, action: Action);
    /// Keeps this thread busy.
    fn compute(&self, time: Duration);
    /// Whether the run was abandoned, which only the model can tell.
    fn is_stuck(&self) -> bool;
}

/// Runs a test on the model.
pub fn on_the_model(test: impl FnOnce(&dyn World)) {
    let world = model::ModelWorld::new(loopnest_core::model::Rules::GLIB);
    test(&*world);
    assert!(!world.is_stuck(), "this would hang, according to the model");
}

/// Runs a test on the real GLib.
pub fn on_glib(test: impl FnOnce(&dyn World)) {
    let world = glib::GlibWorld::new();
    test(&*world);
}

/// A list that callbacks write to.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// Adds a line.
    pub fn say(&self, what: impl Into<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(what.into());
    }

    /// Takes all lines, joined by spaces.
    pub fn take(&self) -> String {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).join(" ")
    }

    /// How many lines there are.
    pub fn n(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
