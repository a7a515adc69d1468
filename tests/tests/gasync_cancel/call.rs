//! A call: the plan, and the outcome.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use gio::{Cancellable, IOErrorEnum};
use glib::WeakRef;
use proptest::prelude::*;

use crate::lock;

/// What is called.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    /// A method of the bus daemon.
    GetId,
    /// A method that gets its answer only when the case is over.
    Hang,
    /// A `GTask` that is done at once.
    Stream,
    /// A file, read by gio's threads.
    File,
}

/// When and how it is cancelled.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Point {
    Never,
    /// The future is dropped before it is polled.
    Unpolled,
    /// It is dropped after this many polls. A remote call may not have started by then.
    Polls(u8),
    /// `tokio::time::timeout`, after this many microseconds.
    Timeout(u16),
    /// It is dropped in the call's own callback, before there is a result.
    InCallback,
    /// It is dropped when there is a result that has not been seen yet.
    AfterCallback,
    /// It is dropped in a nested loop, this many microseconds after the start.
    Dialog(u16),
    /// Other code cancels the `GCancellable`, this many microseconds after the start.
    Cancellable(u16),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) operation: Operation,
    pub(crate) point: Point,
}

pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    let operation = prop_oneof![
        6 => Just(Operation::Stream),
        6 => Just(Operation::GetId),
        3 => Just(Operation::Hang),
        1 => Just(Operation::File),
    ];
    let point = prop_oneof![
        2 => Just(Point::Never),
        1 => Just(Point::Unpolled),
        3 => (1u8..30).prop_map(Point::Polls),
        3 => (0u16..5_000).prop_map(Point::Timeout),
        1 => Just(Point::InCallback),
        1 => Just(Point::AfterCallback),
        1 => (0u16..5_000).prop_map(Point::Dialog),
        2 => (0u16..5_000).prop_map(Point::Cancellable),
    ];
    (operation, point).prop_map(|(operation, point)| {
        let needs_an_answer =
            matches!(point, Point::Never | Point::InCallback | Point::AfterCallback);
        let operation = match operation {
            Operation::Hang if needs_an_answer => Operation::GetId,
            other => other,
        };
        Plan { operation, point }
    })
}

/// The outcome of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    Cancelled,
    Failed,
}

impl<T> From<Result<T, glib::Error>> for Outcome {
    fn from(result: Result<T, glib::Error>) -> Self {
        match result {
            Ok(_) => Self::Done,
            Err(error) if error.matches(IOErrorEnum::Cancelled) => Self::Cancelled,
            Err(_) => Self::Failed,
        }
    }
}

/// The outcome of the future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Dropped,
    Resolved(Outcome),
    /// An error of the adapter, which none of these calls must have.
    CallError,
}

/// What is known about a call.
pub(crate) struct Call {
    pub(crate) plan: Plan,
    pub(crate) started: AtomicU32,
    /// Its callback.
    pub(crate) called: AtomicU32,
    /// The data of its closures.
    pub(crate) freed: AtomicU32,
    pub(crate) cancellable: Mutex<Option<WeakRef<Cancellable>>>,
    pub(crate) ends: Mutex<Vec<End>>,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?}: started {:?}, called back {:?}, freed {:?}, ended {:?}",
            self.plan,
            self.started,
            self.called,
            self.freed,
            lock(&self.ends),
        )
    }
}

/// Part of the data of a call's closures.
pub(crate) struct Held(pub(crate) Arc<Call>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.freed.fetch_add(1, Ordering::SeqCst);
    }
}

impl Call {
    pub(crate) fn new(plan: Plan) -> Arc<Self> {
        Arc::new(Self {
            plan,
            started: AtomicU32::new(0),
            called: AtomicU32::new(0),
            freed: AtomicU32::new(0),
            cancellable: Mutex::new(None),
            ends: Mutex::default(),
        })
    }

    /// Whether nothing of it is left.
    pub(crate) fn is_gone(&self) -> bool {
        let cancellable = lock(&self.cancellable);
        let lives = cancellable.as_ref().is_some_and(|weak| weak.upgrade().is_some());
        self.freed.load(Ordering::SeqCst) > 0 && !lives
    }

    /// Whether it was cancelled before it had a result: it returned that error, or its future was
    /// dropped.
    pub(crate) fn was_cancelled(&self) -> bool {
        let dropped = !matches!(self.plan.point, Point::AfterCallback);
        match lock(&self.ends)[..] {
            [End::Dropped] => dropped,
            [end] => end == End::Resolved(Outcome::Cancelled),
            _ => false,
        }
    }

    /// Whether everything about it is correct, once it is over.
    pub(crate) fn went_well(&self, local: bool) -> bool {
        let started = self.started.load(Ordering::SeqCst);
        // GTask's contract, whether it is cancelled or not.
        let once = started <= 1
            && self.called.load(Ordering::SeqCst) == started
            && self.freed.load(Ordering::SeqCst) == 1;
        let [end] = lock(&self.ends)[..] else { return false };
        let hangs = matches!(self.plan.operation, Operation::Hang);
        let right = match (self.plan.point, end) {
            (Point::Never, end) => end == End::Resolved(Outcome::Done),
            (Point::Unpolled, end) => end == End::Dropped && started == 0,
            (Point::InCallback, end) => end == End::Dropped && started == 1,
            (Point::Cancellable(_), End::Resolved(Outcome::Done)) => !hangs,
            (Point::Cancellable(_), end) => end == End::Resolved(Outcome::Cancelled),
            (_, End::Dropped) => true,
            // On another thread the task may have been faster.
            (Point::AfterCallback, End::Resolved(Outcome::Done)) => !local,
            (_, end) => end == End::Resolved(Outcome::Done) && !hangs,
        };
        once && right
    }
}
