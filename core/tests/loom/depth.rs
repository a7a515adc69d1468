//! The depth stack, under a loop like GLib's.

use std::cell::{Cell, RefCell};

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loopnest_core::program::How;
use loopnest_core::protocol::DepthStack;
use loopnest_core::sync::{Mutex, lock};

use crate::host::{Bell, assert_turns};
use crate::search::{LOST, Model, Search, join, note, spawn};

pub const MODELS: &[Model] = &[
    Model::holds("depth::a_level_ends_whenever_it_is_told", ends::<Real>),
    Model::holds("depth::levels_end_inner_first_in_whatever_order", out_of_order::<Real>),
    Model::holds("depth::a_level_that_is_told_twice_is_rung_once", told_twice::<Real>),
    Model::mutant(
        "depth::mutant_forgets_a_quit_before_the_beginning",
        "a quit of a level that has not begun is forgotten",
        LOST,
        ends::<ForgetsEarly>,
    ),
    Model::mutant(
        "depth::mutant_only_quits_the_main_loop",
        "a quit only clears the running flag of the `MainLoop`, which its start sets",
        LOST,
        ends::<OnlyClears>,
    ),
    Model::mutant(
        "depth::mutant_rings_before_it_tells",
        "a quit wakes the loop before it is noted",
        LOST,
        ends::<RingsFirst>,
    ),
    Model::mutant(
        "depth::mutant_ends_the_innermost",
        "a quit ends the innermost level, whichever it names",
        "b was closed, but it was not quit",
        out_of_order::<EndsInnermost>,
    ),
    Model::mutant(
        "depth::mutant_rings_each_time",
        "every quit of a level rings its loop, not only the first",
        "rung 2 times to end one level",
        told_twice::<RingsEachTime>,
    ),
];

/// Like `GMainLoop`: running it sets the flag that quitting clears.
#[derive(Clone)]
struct MainLoop {
    running: Arc<AtomicBool>,
}

impl MainLoop {
    fn new() -> Self {
        Self { running: Arc::new(AtomicBool::new(false)) }
    }

    fn run(&self, context: &Context, inside: &dyn Fn()) {
        self.running.swap(true, Ordering::AcqRel);
        note("the loop is running");
        inside();
        // Read by a change, which sees the last value.
        while self.running.fetch_and(true, Ordering::AcqRel) {
            context.iterate();
        }
    }

    fn quit(&self) {
        self.running.swap(false, Ordering::AcqRel);
        note("clears the running flag");
    }
}

/// Like `GMainContext`, but only with sources that quit a loop.
struct Context {
    bell: Arc<Bell>,
    quits: Mutex<Vec<MainLoop>>,
    turns: std::sync::atomic::AtomicUsize,
}

impl Context {
    fn iterate(&self) {
        let turns = self.turns.fetch_add(1, Ordering::Relaxed);
        // A loop that never sleeps would not reach the assertion at the end.
        assert_turns(turns, 12);
        self.bell.poll(true);
        let quits = std::mem::take(&mut *lock(&self.quits));
        quits.iter().for_each(MainLoop::quit);
    }

    fn attach(&self, quit: MainLoop) {
        lock(&self.quits).push(quit);
        self.bell.ring();
    }

    fn turns(&self) -> usize {
        self.turns.load(Ordering::Relaxed)
    }
}

type Stack = DepthStack<Option<MainLoop>>;

/// The nested loops of a thread: as `host.rs` of the harness runs them, and mutants of that.
trait Nesting: 'static {
    /// From another thread.
    fn quit(levels: &Stack, context: &Context, name: &str) {
        match levels.quit(name) {
            Some(Some(main_loop)) => {
                main_loop.quit();
                context.attach(main_loop);
            }
            Some(None) => context.bell.ring(),
            None => note("has nothing to end"),
        }
    }

    fn run(levels: &Stack, context: &Context, how: How, name: &str, inside: &dyn Fn()) {
        let main_loop = (how == How::Run).then(MainLoop::new);
        let Some(level) = levels.open(name, main_loop.clone()) else {
            note("it was already quit");
            return;
        };
        match main_loop {
            Some(main_loop) => main_loop.run(context, inside),
            None => {
                inside();
                while !level.is_told() {
                    context.iterate();
                }
            }
        }
    }
}

struct Real;

impl Nesting for Real {}

struct Nest<N> {
    levels: Arc<Stack>,
    context: Arc<Context>,
    /// In the order in which they were.
    closed: RefCell<Vec<&'static str>>,
    _nesting: std::marker::PhantomData<N>,
}

impl<N: Nesting> Nest<N> {
    fn new() -> Self {
        let context = Context {
            bell: Bell::new("context"),
            quits: Mutex::new(Vec::new()),
            turns: std::sync::atomic::AtomicUsize::new(0),
        };
        Self {
            levels: Arc::new(Stack::new()),
            context: Arc::new(context),
            closed: RefCell::default(),
            _nesting: std::marker::PhantomData,
        }
    }

    /// Runs a level on this thread; `inside` is what the first callback in it does.
    fn run(&self, how: How, name: &'static str, inside: &dyn Fn()) {
        note(format!("begins {name}"));
        N::run(&self.levels, &self.context, how, name, inside);
        note(format!("{name} is closed"));
        self.closed.borrow_mut().push(name);
    }

    /// Quits a level from another thread.
    fn quit(&self, thread: &str, name: &'static str) -> loom::thread::JoinHandle<()> {
        let (levels, context) = (self.levels.clone(), self.context.clone());
        spawn(thread, move || {
            note(format!("quits {name}"));
            N::quit(&levels, &context, name);
        })
    }
}

/// A level is quit at any time, even before it begins.
fn ends<N: Nesting>(search: &Search) {
    for how in [How::Run, How::Iteration] {
        search.check(move || {
            let nest = Nest::<N>::new();
            let quitter = nest.quit("quitter", "a");
            nest.run(how, "a", &|| {});
            join(quitter);
            // One for the quit, and one more if the loop was quit as it began.
            assert_turns(nest.context.turns(), 2);
            assert_eq!(nest.levels.depth(), 0);
        });
    }
}

/// Two threads quit two levels, one inside the other.
fn out_of_order<N: Nesting>(search: &Search) {
    for how in [How::Run, How::Iteration] {
        search.check(move || {
            let nest = Nest::<N>::new();
            let told = Arc::new(AtomicBool::new(false));
            let outer = nest.quit("first", "a");
            let inner = {
                let (levels, context) = (nest.levels.clone(), nest.context.clone());
                let told = told.clone();
                spawn("second", move || {
                    told.swap(true, Ordering::AcqRel);
                    note("quits b");
                    N::quit(&levels, &context, "b");
                })
            };
            let opened = Cell::new(0);
            nest.run(how, "a", &|| {
                opened.set(nest.levels.depth());
                nest.run(how, "b", &|| assert_eq!(nest.levels.depth(), 2));
                let told = told.fetch_and(true, Ordering::AcqRel);
                assert!(told, "b was closed, but it was not quit");
                assert_eq!(nest.levels.depth(), 1);
            });
            join(outer);
            join(inner);
            // If a is quit before it begins, nothing is opened.
            let expected = if opened.get() == 1 { &["b", "a"][..] } else { &["a"] };
            assert_eq!(*nest.closed.borrow(), expected);
            assert_turns(nest.context.turns(), 4);
            assert_eq!(nest.levels.depth(), 0);
        });
    }
}

/// Two threads quit the same level.
fn told_twice<N: Nesting>(search: &Search) {
    for how in [How::Run, How::Iteration] {
        search.check(move || {
            let nest = Nest::<N>::new();
            let quitters = ["first", "second"].map(|thread| nest.quit(thread, "a"));
            nest.run(how, "a", &|| {});
            quitters.into_iter().for_each(join);
            let rings = nest.context.bell.rings();
            assert!(rings <= 1, "rung {rings} times to end one level");
            assert_turns(nest.context.turns(), 2);
        });
    }
}

/// Forgets a quit of a level that is not open.
struct ForgetsEarly;

impl Nesting for ForgetsEarly {
    fn quit(levels: &Stack, context: &Context, name: &str) {
        if levels.depth() == 0 {
            note("forgets it: no level is open");
            return;
        }
        Real::quit(levels, context, name);
    }
}

/// Quits the `MainLoop` and nothing else.
struct OnlyClears;

impl Nesting for OnlyClears {
    fn quit(levels: &Stack, context: &Context, name: &str) {
        if let Some(main_loop) = levels.quit(name) {
            main_loop.iter().for_each(MainLoop::quit);
            context.bell.ring();
        }
    }
}

/// Wakes the loop before it notes the quit.
struct RingsFirst;

impl Nesting for RingsFirst {
    fn quit(levels: &Stack, context: &Context, name: &str) {
        context.bell.ring();
        if let Some(Some(main_loop)) = levels.quit(name) {
            main_loop.quit();
        }
        note("has noted the quit");
    }
}

/// Ends the innermost level, not the named one.
struct EndsInnermost;

impl Nesting for EndsInnermost {
    fn quit(levels: &Stack, context: &Context, name: &str) {
        let name = if levels.depth() == 2 { "b" } else { name };
        note(format!("ends {name}"));
        Real::quit(levels, context, name);
    }
}

/// Rings even if another quit has already rung.
struct RingsEachTime;

impl Nesting for RingsEachTime {
    fn quit(levels: &Stack, context: &Context, name: &str) {
        let told = levels.quit(name);
        let main_loop = told.flatten();
        main_loop.iter().for_each(MainLoop::quit);
        match main_loop {
            Some(main_loop) => context.attach(main_loop),
            None => context.bell.ring(),
        }
    }
}
