//! What a program is made from: plain data that shrinks well.
//!
//! proptest shrinks a list by removing elements, a choice towards the first one, and a number
//! towards the smallest. So every list below has its simplest choice first.

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::sample::select;

use crate::program::{How, Reply};

/// How large programs may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Over in less than 450 ms: for the real loops.
    Small,
    /// Over in about two seconds: for the model.
    Default,
}

/// How much of everything, in counts and in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Stretches of the program, one after the other, each with its own nested loops.
    pub acts: usize,
    /// How deep loops nest.
    pub depth: usize,
    /// With more nested loops than this, there is no time for works after them.
    pub after: usize,
    /// Things that become due in an act.
    pub works: usize,
    /// When the first loop of an act opens, and the first work of one without a loop is due.
    pub begin: u64,
    /// Between an opening and the next: long enough that even a busy machine keeps their order.
    pub openings: u64,
    /// From the last opening to the first work inside, for the same reason.
    pub settle: u64,
    /// Between a closing and the next.
    pub apart: u64,
    /// Every number below is a multiple of this.
    pub unit: u64,
    /// The most units that an opening is delayed by.
    pub gap: u64,
    /// The most units from the last opening to a work.
    pub room: u64,
    /// The most units that a loop stays open longer than needed.
    pub linger: u64,
    /// How often something may repeat.
    pub times: u32,
    /// The most units that a flood lasts.
    pub flood: u64,
    /// How long a quiet window is, where no loop is open.
    pub quiet: u64,
}

impl Limits {
    pub(super) fn of(size: Size) -> Self {
        match size {
            Size::Small => Self {
                acts: 1,
                depth: 3,
                after: 1,
                works: 3,
                begin: 20,
                openings: 30,
                settle: 40,
                apart: 20,
                unit: 10,
                gap: 1,
                room: 2,
                linger: 1,
                times: 2,
                flood: 2,
                quiet: 100,
            },
            Size::Default => Self {
                acts: 2,
                depth: 3,
                after: 3,
                works: 8,
                begin: 50,
                openings: 40,
                settle: 50,
                apart: 30,
                unit: 10,
                gap: 5,
                room: 20,
                linger: 10,
                times: 10,
                flood: 20,
                quiet: 250,
            },
        }
    }
}

/// A program before it is laid out.
#[derive(Clone, Debug)]
pub(super) struct Sketch {
    pub acts: Vec<Act>,
}

/// A stretch of the program.
#[derive(Clone, Debug)]
pub(super) struct Act {
    /// Nested loops, each opened while the one before is open.
    pub levels: Vec<Level>,
    /// The index of the order in which they are closed.
    pub order: usize,
    /// Units that they stay open longer than needed.
    pub linger: u64,
    pub works: Vec<Work>,
    /// Whether a quiet window follows the works.
    pub quiet: bool,
}

/// A nested loop.
#[derive(Clone, Debug)]
pub(super) struct Level {
    pub opener: By,
    pub gap: u64,
    pub how: Nesting,
    pub closer: Closer,
    /// Of the opener and the closer, where they have one.
    pub priority: i32,
    /// The opener completes a signal when it is closed.
    pub then: bool,
}

/// What kind of nested loop it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nesting {
    Dialog(How),
    /// In callbacks only; other actors open a dialog instead.
    BlockOn,
}

/// Who closes a nested loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closer {
    /// The dialog's own timeout.
    Itself,
    Other(By),
}

/// What kind of actor does something at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// A GLib timeout.
    Timeout,
    /// A watch on a pipe that a timeout writes to.
    Watch,
    /// An idle source that is ready until then; late in a program, a timeout.
    Idle,
    /// A thread; for steps that a thread cannot do, a timeout.
    Thread,
    /// A task that a timer wakes.
    Task,
    /// A task that a message wakes.
    Woken,
    /// A task that a timeout starts.
    Dormant,
    /// A task on tokio's own queue.
    Library,
}

/// Something that becomes due.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub place: Place,
    /// Units from the beginning of the place.
    pub at: u64,
    /// Of GLib sources.
    pub priority: i32,
    pub deed: Deed,
}

/// Where in an act something becomes due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// While all the nested loops are open.
    Inside,
    /// When they are closed.
    After,
    /// Before they open.
    Before,
}

/// What becomes due.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    /// A timer of a task.
    Timer(Home),
    /// A timeout of GLib.
    Timeout,
    /// A signal that a task waits for.
    Signal(By),
    /// Messages to a task.
    Messages(By, u32),
    /// Bytes in a pipe that a task reads.
    Bytes { by: By, home: Home, n: u32, hang_up: bool },
    /// Bytes in a pipe that GLib watches.
    Watch { by: By, n: u32, hang_up: bool },
    /// A GAsyncResult call from the beginning of the program on.
    Call(Home, Reply),
    /// Calls one after another, a unit each.
    Calls(Home, u32),
    /// A dormant task that sleeps for a unit.
    Spawn(By),
    /// A task that waits for ever, until it is cancelled.
    Cancel(By, Waiting),
    /// Several timers of a task.
    Ticks(u32),
    /// A timeout of GLib that repeats from the beginning of the program on.
    Ticker(u32),
    /// The thread is kept busy for units.
    Compute(By, u64),
    /// A task that is always ready, for units.
    Yield(u64),
    /// An idle source that is ready from the beginning of the program on.
    Flood,
}

impl Deed {
    /// For how many units the thread is kept busy.
    pub(super) fn computes(&self) -> u64 {
        if let Self::Compute(_, units) = *self { units } else { 0 }
    }
}

/// Where a task lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    Local,
    Library,
}

/// What a task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    Signal,
    Message,
    Byte,
    Timer,
    Call,
}

const PRIORITIES: [i32; 6] = [0, 0, 0, 200, 100, -100];

/// GLib's side first and then the async side, each from simple to unusual: proptest shrinks by
/// halving the index, and a failure that needs a task must not get lost among callbacks.
const BY: [By; 9] = [
    By::Timeout,
    By::Watch,
    By::Idle,
    By::Thread,
    By::Task,
    By::Task,
    By::Woken,
    By::Dormant,
    By::Library,
];

fn by() -> impl Strategy<Value = By> {
    select(BY.to_vec())
}

fn home() -> impl Strategy<Value = Home> {
    select(vec![Home::Local, Home::Local, Home::Library])
}

/// Sketches within these limits.
pub(super) fn sketches(limits: Limits) -> impl Strategy<Value = Sketch> {
    vec(acts(limits), 1..=limits.acts).prop_map(|acts| Sketch { acts })
}

fn acts(limits: Limits) -> impl Strategy<Value = Act> {
    let levels = prop_oneof![
        2 => vec(levels(limits), 0..=1),
        2 => vec(levels(limits), 1..=limits.depth),
    ];
    let works = vec(works(limits), 0..=limits.works);
    let quiet = proptest::bool::weighted(0.2);
    (levels, 0..6_usize, 0..=limits.linger, works, quiet).prop_map(
        |(levels, order, linger, works, quiet)| Act { levels, order, linger, works, quiet },
    )
}

fn levels(limits: Limits) -> impl Strategy<Value = Level> {
    let nestings = [
        Nesting::Dialog(How::Run),
        Nesting::Dialog(How::Run),
        Nesting::Dialog(How::Iteration),
        Nesting::Dialog(How::Drain),
        Nesting::BlockOn,
    ];
    let closers = prop_oneof![
        1 => any::<()>().prop_map(|()| Closer::Itself),
        2 => by().prop_map(Closer::Other),
    ];
    let then = proptest::bool::weighted(0.2);
    (by(), 0..=limits.gap, select(nestings.to_vec()), closers, select(PRIORITIES.to_vec()), then)
        .prop_map(|(opener, gap, how, closer, priority, then)| Level {
            opener,
            gap,
            how,
            closer,
            priority,
            then,
        })
}

fn works(limits: Limits) -> impl Strategy<Value = Work> {
    let places = [
        Place::Inside,
        Place::Inside,
        Place::Inside,
        Place::Inside,
        Place::After,
        Place::After,
        Place::Before,
    ];
    (select(places.to_vec()), 0..=limits.room, select(PRIORITIES.to_vec()), deeds(limits))
        .prop_map(|(place, at, priority, deed)| Work { place, at, priority, deed })
}

fn deeds(limits: Limits) -> impl Strategy<Value = Deed> {
    let waiting = [Waiting::Signal, Waiting::Message, Waiting::Byte, Waiting::Timer, Waiting::Call];
    let replies = select(vec![Reply::Value, Reply::Value, Reply::Error]);
    let bytes = || (by(), home(), 1..=limits.times, any::<bool>());
    // Two halves, because the macro takes ten.
    let simple = prop_oneof![
        3 => home().prop_map(Deed::Timer),
        3 => by().prop_map(Deed::Signal),
        3 => (by(), 1..=limits.times).prop_map(|(by, n)| Deed::Messages(by, n)),
        2 => bytes().prop_map(|(by, home, n, hang_up)| Deed::Bytes { by, home, n, hang_up }),
        3 => any::<()>().prop_map(|()| Deed::Timeout),
        2 => bytes().prop_map(|(by, _, n, hang_up)| Deed::Watch { by, n, hang_up }),
    ];
    let other = prop_oneof![
        (home(), replies).prop_map(|(home, reply)| Deed::Call(home, reply)),
        (home(), 1..=limits.times).prop_map(|(home, n)| Deed::Calls(home, n)),
        by().prop_map(Deed::Spawn),
        (by(), select(waiting.to_vec())).prop_map(|(by, waiting)| Deed::Cancel(by, waiting)),
        (1..=limits.times).prop_map(Deed::Ticks),
        (1..=limits.times).prop_map(Deed::Ticker),
        (by(), 1..=2_u64).prop_map(|(by, units)| Deed::Compute(by, units)),
        (1..=limits.flood).prop_map(Deed::Yield),
        any::<()>().prop_map(|()| Deed::Flood),
    ];
    prop_oneof![2 => simple, 1 => other]
}
