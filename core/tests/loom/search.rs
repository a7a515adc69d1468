//! One search: a model in every order of its steps, in a process of its own.
//!
//! A process of its own, because loom turns some failures into an abort, and because the panic hook
//! can then end the search at the first failure and say in which order the steps were made.
//!
//! A search first goes without a bound. If that does not end within so many executions, it begins
//! again with a bound on preemptions, the switches away from a thread that could have gone on; the
//! bound is raised for as long as the executions suffice.
//! Bounds of time are not used: the same source is searched in the same way on every machine.

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

/// A search that did not get through so many preemptions, or all that were asked for, says too
/// little.
const FLOOR: usize = 2;

/// loom looks at its limits once in so many executions.
const STRIDE: usize = 500;

/// How many lines of an interleaving are shown, counted from its end.
const LINES: usize = 36;

/// Something that must hold.
pub struct Model {
    /// `protocol::sentence`
    pub name: &'static str,
    /// Set where it must *not* hold.
    pub mutant: Option<Mutant>,
    pub run: fn(&Search),
}

/// What is wrong with a mutant.
pub struct Mutant {
    pub wrong: &'static str,
    /// A word of the failure: it must fail by its fault, and not by something else.
    pub fails_by: &'static str,
}

/// How loom says that nobody can go on, which is what a lost wake-up comes to.
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

/// What the process of a search says on its standard output, first line first.
pub const PASSED: &str = "passed";
pub const FAILED: &str = "failed";

/// Searches, says what came of it on standard output, and ends the process.
pub fn explore(model: &Model) -> ! {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("a panic without a message");
        // What follows is the state of each thread, by number.
        let message = message.split("; threads = ").next().unwrap_or_default();
        say(&format!("{FAILED}\t{}\n{message}\n{}", executions(), interleaving()));
        // Before anything unwinds: what loom holds cannot be dropped outside of an execution.
        process::exit(1);
    }));
    let preemptions = setting(PREEMPTIONS).unwrap_or(3);
    let unbounded = model.mutant.is_none().then_some(None);
    let search = Search {
        // Of a mutant the fewest preemptions first: what is then found is as simple as it can be.
        bounds: unbounded.into_iter().chain((0..=preemptions).map(Some)).collect(),
        executions: setting(EXECUTIONS).unwrap_or(5_000),
        depth: Cell::new(EXHAUSTED),
    };
    (model.run)(&search);
    let floor = FLOOR.min(preemptions);
    if search.depth.get() < floor {
        // Said as a failure of the model, which it is: nobody has looked at it closely enough.
        let few = "not searched with so many preemptions as say something; make it smaller";
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

/// Without a panic when whoever started the search is gone.
fn say(text: &str) {
    let mut out = io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn setting(name: &str) -> Option<usize> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// There are no other orders, as far as loom can tell.
const EXHAUSTED: usize = usize::MAX;

/// How a model is searched.
pub struct Search {
    /// To be tried in this order, until one takes too many executions.
    bounds: Vec<Option<usize>>,
    /// The most executions without a bound.
    executions: usize,
    /// How many preemptions all searches so far have been through with, or `EXHAUSTED`.
    depth: Cell<usize>,
}

impl Search {
    /// Searches; does not come back if the model fails. A model may consist of several searches.
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
        // Both are needed: the limit is looked at when the stride is full.
        builder.checkpoint_interval = STRIDE;
        builder.max_permutations = Some(most);
        builder.check(move || {
            N_EXECUTIONS.fetch_add(1, Ordering::Relaxed);
            steps().clear();
            model();
        });
        // It is looked at before the execution that would fill the stride.
        executions() - before + 1 < most
    }
}

static N_EXECUTIONS: AtomicUsize = AtomicUsize::new(0);

fn executions() -> usize {
    N_EXECUTIONS.load(Ordering::Relaxed)
}

/// Who did what, in this execution.
type Steps = Vec<(String, Cow<'static, str>)>;

static STEPS: Mutex<Steps> = Mutex::new(Vec::new());

fn steps() -> MutexGuard<'static, Steps> {
    STEPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes a step of this thread, to be shown if the execution fails.
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

/// Waits for a thread, which does not panic: a panic ends the search.
pub fn join<T>(thread: thread::JoinHandle<T>) -> T {
    thread.join().unwrap_or_else(|_| unreachable!("the panic hook has ended the process"))
}

/// The steps of this execution, a line each and a column for each thread.
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
