//! One search: a model in every order of its steps, in its own process.
//!
//! It has its own process because loom turns some failures into an abort, and because the panic
//! hook can then end the search at the first failure and print the order of the steps.
//!
//! A search is first unbounded. If it needs too many executions, it starts over with a bound on
//! preemptions (switches away from a thread that could have continued), and raises the bound until
//! the executions run out.
//! There are no time limits, so the same source is searched in the same way on every machine.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use loom::thread;

/// The most preemptions that a bounded search tries.
const PREEMPTIONS: &str = "LOOM_MAX_PREEMPTIONS";
/// The most executions of a search without a bound; one with a bound may take four times as many.
const EXECUTIONS: &str = "LOOM_MAX_PERMUTATIONS";

/// A search must complete with this many preemptions, or with the number asked for if that is
/// lower; otherwise it proves too little.
const FLOOR: usize = 2;

/// loom checks its limits once in this many executions.
const STRIDE: usize = 500;

/// How many lines of an interleaving are shown, counted from its end.
const LINES: usize = 36;

/// Something that must hold.
pub struct Model {
    /// `protocol::sentence`
    pub name: &'static str,
    /// Set if the model must fail.
    pub mutant: Option<Mutant>,
    pub run: fn(&Search),
}

/// What is wrong with a mutant.
pub struct Mutant {
    pub wrong: &'static str,
    /// A part of the failure message, to make sure that it fails because of this fault.
    pub fails_by: &'static str,
}

/// loom's message if no thread can continue, which is the result of a lost wake-up.
pub const LOST: &str = "deadlock";

impl Model {
    pub const fn holds(name: &'static str, run: fn(&Search)) -> Self {
        Self { name, mutant: None, run }
    }

    pub const fn mutant(
        name: &'static str,
        wrong: &'static str,
        fails_by: &'static str,
        run: fn(&Search),
    ) -> Self {
        Self { name, mutant: Some(Mutant { wrong, fails_by }), run }
    }
}

/// How the first line of a search's standard output begins.
pub const PASSED: &str = "passed";
pub const FAILED: &str = "failed";

/// Searches, prints the result, and ends the process.
pub fn explore(model: &Model) -> ! {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("a panic without a message");
        // The rest is the state of each thread, by number.
        let message = message.split("; threads = ").next().unwrap_or_default();
        say(&format!("{FAILED}\t{}\n{message}\n{}", executions(), interleaving()));
        // Before anything unwinds, because loom's objects cannot be dropped outside an execution.
        process::exit(1);
    }));
    let preemptions = setting(PREEMPTIONS).unwrap_or(3);
    let unbounded = model.mutant.is_none().then_some(None);
    let search = Search {
        // For a mutant, start with the fewest preemptions, to find the simplest failure.
        bounds: unbounded.into_iter().chain((0..=preemptions).map(Some)).collect(),
        executions: setting(EXECUTIONS).unwrap_or(5_000),
        depth: Cell::new(EXHAUSTED),
    };
    (model.run)(&search);
    let floor = FLOOR.min(preemptions);
    if search.depth.get() < floor {
        // Reported as a failure of the model.
        let few = "searched with too few preemptions to prove anything; make the model smaller";
        say(&format!("{FAILED}\t{}\n{few}\n", executions()));
        process::exit(1);
    }
    let depth = match search.depth.get() {
        EXHAUSTED => "exhausted".to_owned(),
        depth if depth < preemptions => format!("bounded {depth} of {preemptions}"),
        depth => format!("bounded {depth}"),
    };
    say(&format!("{PASSED}\t{}\t{depth}\n", executions()));
    process::exit(0);
}

/// Prints; does not panic if the process that started the search is gone.
fn say(text: &str) {
    let mut out = io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn setting(name: &str) -> Option<usize> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// All orders that loom knows were tried.
const EXHAUSTED: usize = usize::MAX;

/// How a model is searched.
pub struct Search {
    /// Tried in this order, until one takes too many executions.
    bounds: Vec<Option<usize>>,
    /// The most executions without a bound.
    executions: usize,
    /// The bound that all searches so far have completed, or `EXHAUSTED`.
    depth: Cell<usize>,
}

impl Search {
    /// Searches; does not return if the model fails. A model may consist of several searches.
    pub fn check(&self, model: impl Fn() + Send + Sync + 'static) {
        let model = Arc::new(model);
        let mut depth = 0;
        for &bound in &self.bounds {
            match (bound, self.once(bound, model.clone())) {
                (None, true) => {
                    depth = EXHAUSTED;
                    break;
                }
                (None, false) => {}
                (Some(n), true) => depth = n,
                (Some(_), false) => break,
            }
        }
        self.depth.set(self.depth.get().min(depth));
    }

    /// Whether all orders within the bound were tried.
    fn once(&self, bound: Option<usize>, model: Arc<impl Fn() + Send + Sync + 'static>) -> bool {
        let before = executions();
        let most = self.executions * if bound.is_some() { 4 } else { 1 };
        let most = most.next_multiple_of(STRIDE);
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = bound;
        // Both are needed: loom checks the limit when the stride is full.
        builder.checkpoint_interval = STRIDE;
        builder.max_permutations = Some(most);
        builder.check(move || {
            N_EXECUTIONS.fetch_add(1, Ordering::Relaxed);
            steps().clear();
            model();
        });
        // loom checks it before the execution that would fill the stride.
        executions() - before + 1 < most
    }
}

static N_EXECUTIONS: AtomicUsize = AtomicUsize::new(0);

fn executions() -> usize {
    N_EXECUTIONS.load(Ordering::Relaxed)
}

/// Which thread did what, in this execution.
type Steps = Vec<(String, Cow<'static, str>)>;

static STEPS: Mutex<Steps> = Mutex::new(Vec::new());

fn steps() -> MutexGuard<'static, Steps> {
    STEPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes a step of this thread, which is printed if the execution fails.
pub fn note(what: impl Into<Cow<'static, str>>) {
    let who = thread::current().name().unwrap_or("host").to_owned();
    steps().push((who, what.into()));
}

/// Starts a thread with a name.
pub fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    thread::Builder::new().name(name.to_owned()).spawn(body).expect("a model has few threads")
}

/// Waits for a thread. It cannot have panicked, because a panic ends the search.
pub fn join<T>(thread: thread::JoinHandle<T>) -> T {
    thread.join().unwrap_or_else(|_| unreachable!("the panic hook has ended the process"))
}

/// The steps of this execution, one per line, with a column for each thread.
fn interleaving() -> String {
    let steps = steps();
    let mut threads: Vec<&str> = Vec::new();
    for (who, _) in steps.iter() {
        if !threads.contains(&who.as_str()) {
            threads.push(who);
        }
    }
    let left_out = steps.len().saturating_sub(LINES);
    let mut text = String::new();
    let row = |text: &mut String, nth: usize, word: &str| {
        let _ = writeln!(text, "    {}{word}", " ".repeat(nth * 30));
    };
    let heads = threads.iter().map(|name| format!("{name:<30}"));
    row(&mut text, 0, heads.collect::<String>().trim_end());
    if left_out > 0 {
        row(&mut text, 0, &format!("({left_out} steps before)"));
    }
    for (who, what) in &steps[left_out..] {
        row(&mut text, threads.iter().position(|name| name == who).unwrap_or_default(), what);
    }
    text
}
