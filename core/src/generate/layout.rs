//! Lays a sketch out in time.
//!
//! An act with two nested loops, works before, inside and after them, and a quiet window:
//!
//! ```text
//!   begin   open       open        works       quiet         close  close   works
//!     |------|----------|----------|--|--|----[---------]-----|------|------|--|-->
//!      Before  openings    settle   Inside,    at least         apart   After
//!                                  up to `room`  CLOSE_AFTER
//! ```
//!
//! An actor that computes keeps all others waiting, so each place is longer by the total time of
//! the computations in it.

use super::sketch::{
    Act, By, Closer, Deed, Home, Level, Limits, Nesting, Place, Sketch, Waiting, Work,
};
use crate::program::{
    Actor, ActorKind, How, PRIORITY_DEFAULT, PRIORITY_IDLE, Program, Reply, Step,
};

/// The name of every generated program.
const NAME: &str = "generated";

/// From the last work inside until the first loop closes: the verdicts' margin and a fifth more,
/// because on a busy machine the work may come late relative to the close.
const CLOSE_AFTER: u64 = 120;

/// An idle source floods from the beginning of the program until this at most; after that, a
/// timeout is used instead.
const FLOOD_UNTIL: u64 = 80;

/// Lays out a sketch as a program.
pub(super) fn layout(sketch: &Sketch, limits: &Limits) -> Program {
    let mut layout = Layout { limits, actors: Vec::new(), names: Vec::new() };
    let mut begin = 0;
    for act in &sketch.acts {
        begin = layout.act(act, begin);
    }
    if layout.actors.is_empty() {
        // A program without an actor is over before it begins.
        layout.task(limits.begin, "timer", Home::Local, vec![sleep(limits.begin)]);
    }
    layout.program()
}

struct Layout<'a> {
    limits: &'a Limits,
    /// With the time of each actor's first action.
    actors: Vec<(u64, Actor)>,
    names: Vec<String>,
}

impl Layout<'_> {
    /// Lays out an act; returns when it is over.
    fn act(&mut self, act: &Act, begin: u64) -> u64 {
        let limits = self.limits;
        let place = |work: &Work| match work.place {
            Place::After if act.levels.len() > limits.after => Place::Inside,
            place => place,
        };
        let computed = |wanted| {
            let works = act.works.iter().filter(|work| place(work) == wanted);
            works.map(|work| work.deed.computes() * limits.unit).sum::<u64>()
        };
        let before = act.works.iter().any(|work| work.place == Place::Before);
        // Openings wait until what comes before them is over, even on a busy machine.
        let settled = if before { limits.settle + computed(Place::Before) } else { 0 };
        let mut at = begin + limits.begin + settled;
        let mut openings = Vec::new();
        for level in &act.levels {
            at += level.gap * limits.unit;
            openings.push(at);
            at += limits.openings;
        }
        let opened = openings.last().map(|open| open + limits.settle);
        let inside = opened.unwrap_or(at);
        let mut over = inside;
        for work in &act.works {
            let from = match place(work) {
                Place::Inside => inside,
                Place::Before => begin + limits.unit,
                Place::After => continue,
            };
            // Events due before the loops open stay before them.
            let units = if place(work) == Place::Before { 0 } else { work.at };
            over = over.max(self.work(work, from + units * limits.unit));
        }
        over += computed(Place::Inside);
        let close = over + CLOSE_AFTER + act.linger * limits.unit;
        let mut end = over;
        for (rank, level) in order(act.levels.len(), act.order).into_iter().enumerate() {
            let at = close + rank as u64 * limits.apart;
            self.level(&act.levels[level], openings[level], at);
            end = end.max(at);
        }
        if act.quiet {
            let from = over + limits.apart;
            let to = if openings.is_empty() { from + limits.quiet } else { close - limits.unit };
            self.quiet(from, to);
            end = end.max(to);
        }
        // Far enough after the end: on a busy machine a loop closes late, and this must stay
        // outside.
        let after = end + limits.settle + limits.apart;
        for work in act.works.iter().filter(|work| place(work) == Place::After) {
            end = end.max(self.work(work, after + work.at * limits.unit));
        }
        end + computed(Place::After)
    }

    /// Opens a nested loop at a time, and closes it at another.
    fn level(&mut self, level: &Level, open: u64, close: u64) {
        let opener = self.possible(level.opener, open, false);
        let blocks = level.how == Nesting::BlockOn && is_callback(opener);
        let name = self.name(if blocks { "wait" } else { "dialog" });
        let step = if blocks {
            Step::BlockOn { level: name, steps: vec![sleep(close - open)] }
        } else {
            let how = match level.how {
                Nesting::Dialog(how) => how,
                Nesting::BlockOn => How::Run,
            };
            let close_after_ms = match level.closer {
                Closer::Itself => Some(close - open),
                Closer::Other(by) => {
                    let quit = Step::Quit { level: name.clone() };
                    self.does(by, close, level.priority, "closer", quit);
                    None
                }
            };
            Step::Dialog { level: name, how, close_after_ms }
        };
        let mut steps = vec![step];
        if level.then {
            let signal = self.name("closed");
            steps.push(Step::Resolve { signal: signal.clone() });
            self.task(close, "waiter", Home::Local, vec![Step::Await { signal }]);
        }
        self.do_all(opener, open, level.priority, "opener", steps);
    }

    /// A window in which nothing is due.
    fn quiet(&mut self, from: u64, to: u64) {
        let timeout = |ms| timeout(ms, 1, PRIORITY_DEFAULT);
        self.add(from, "quiet-begin", timeout(from), vec![Step::QuietBegin]);
        self.add(to, "quiet-end", timeout(to), vec![Step::QuietEnd]);
    }

    /// Makes something due at a time; returns when the last of it is due, if no actor computes.
    fn work(&mut self, work: &Work, at: u64) -> u64 {
        let (unit, priority) = (self.limits.unit, work.priority);
        match work.deed {
            Deed::Timer(home) => {
                self.task(at, "timer", home, vec![sleep(at)]);
            }
            Deed::Timeout => self.add(at, "timeout", timeout(at, 1, priority), vec![]),
            Deed::Signal(by) => {
                let signal = self.name("signal");
                self.does(by, at, priority, "resolver", Step::Resolve { signal: signal.clone() });
                self.task(at, "waiter", Home::Local, vec![Step::Await { signal }]);
            }
            Deed::Messages(by, n) => {
                let channel = self.name("channel");
                self.does(by, at, priority, "sender", Step::Send { channel: channel.clone(), n });
                self.task(at, "receiver", Home::Local, vec![Step::Receive { channel, n }]);
            }
            Deed::Bytes { by, home, n, hang_up } => {
                let pipe = self.write(by, at, priority, n, hang_up);
                let n = n + u32::from(hang_up);
                self.task(at, "reader", home, vec![Step::Read { pipe, n }]);
            }
            Deed::Watch { by, n, hang_up } => {
                let pipe = self.write(by, at, priority, n, hang_up);
                let times = n + u32::from(hang_up);
                self.add(at, "watch", ActorKind::Watch { pipe, times }, vec![]);
            }
            Deed::Call(home, reply) => {
                let call = Step::Call { after_ms: at, n: 1, reply };
                self.task(0, "caller", home, vec![call]);
            }
            Deed::Calls(home, n) => {
                let call = Step::Call { after_ms: unit, n, reply: Reply::Value };
                self.task(at, "caller", home, vec![sleep(at), call]);
                return at + unit * u64::from(n);
            }
            Deed::Spawn(by) => {
                let actor = self.name("sleeper");
                self.does(by, at, priority, "starter", Step::Spawn { actor: actor.clone() });
                self.add_named(at, actor, ActorKind::Dormant, vec![sleep(unit)]);
                return at + unit;
            }
            Deed::Cancel(by, waiting) => {
                let victim = self.victim(at, waiting);
                self.does(by, at, priority, "canceller", Step::Cancel { actor: victim });
            }
            Deed::Ticks(1) => {
                self.task(at, "timer", Home::Local, vec![sleep(at + unit)]);
                return at + unit;
            }
            Deed::Ticks(times) => {
                let tick = Step::Tick { every_ms: unit, times };
                self.task(at, "ticker", Home::Local, vec![sleep(at), tick]);
                return at + unit * u64::from(times);
            }
            Deed::Ticker(times) => {
                let every = (at / u64::from(times)).max(unit);
                self.add(every, "glib-ticker", timeout(every, times, priority), vec![]);
                return at.max(every * u64::from(times));
            }
            Deed::Compute(by, units) => {
                let by = self.possible(by, at, false);
                let ms = units * unit;
                self.do_all(by, at, priority, "worker", vec![Step::Compute { ms }]);
            }
            Deed::Yield(units) => {
                let for_ms = units * unit;
                let steps = vec![sleep(at), Step::Yield { for_ms }];
                self.task(at, "flood", Home::Local, steps);
                return at + for_ms;
            }
            Deed::Flood => {
                let for_ms = at.min(self.limits.flood * unit);
                let kind = ActorKind::Flood { for_ms, priority: PRIORITY_IDLE };
                self.add(0, "idle", kind, vec![]);
                return at.max(for_ms);
            }
        }
        at
    }

    /// Has bytes written into a new pipe, which is then closed if `hang_up`.
    fn write(&mut self, by: By, at: u64, priority: i32, n: u32, hang_up: bool) -> String {
        let pipe = self.name("pipe");
        let write = Step::Write { pipe: pipe.clone() };
        let mut steps = vec![write; n as usize];
        if hang_up {
            steps.push(Step::Close { pipe: pipe.clone() });
        }
        let by = self.possible(by, at, true);
        self.do_all(by, at, priority, "writer", steps);
        pipe
    }

    /// A task that waits for something that never comes.
    fn victim(&mut self, at: u64, waiting: Waiting) -> String {
        let step = match waiting {
            Waiting::Signal => Step::Await { signal: self.name("never") },
            Waiting::Message => Step::Receive { channel: self.name("never"), n: 1 },
            Waiting::Byte => Step::Read { pipe: self.name("never"), n: 1 },
            // Long after the end of every program.
            Waiting::Timer => sleep(30_000),
            Waiting::Call => Step::Call { after_ms: 30_000, n: 1, reply: Reply::Value },
        };
        self.task(at, "victim", Home::Local, vec![step])
    }

    /// Has `by` do one step at a time.
    fn does(&mut self, by: By, at: u64, priority: i32, name: &str, step: Step) {
        let by = self.possible(by, at, true);
        self.do_all(by, at, priority, name, vec![step]);
    }

    /// Has `by` do several steps at a time.
    fn do_all(&mut self, by: By, at: u64, priority: i32, name: &str, mut steps: Vec<Step>) {
        match by {
            By::Timeout => self.add(at, name, timeout(at, 1, priority), steps),
            By::Task | By::Library => {
                steps.insert(0, sleep(at));
                let home = if by == By::Task { Home::Local } else { Home::Library };
                self.task(at, name, home, steps);
            }
            By::Thread => {
                steps.insert(0, sleep(at));
                self.add(at, name, ActorKind::Thread, steps);
            }
            By::Watch => {
                let pipe = self.name("pipe");
                let write = Step::Write { pipe: pipe.clone() };
                self.add(at, "writer", timeout(at, 1, priority), vec![write]);
                self.add(at, name, ActorKind::Watch { pipe, times: 1 }, steps);
            }
            By::Woken => {
                let channel = self.name("channel");
                let send = Step::Send { channel: channel.clone(), n: 1 };
                self.add(at, "sender", timeout(at, 1, priority), vec![send]);
                steps.insert(0, Step::Receive { channel, n: 1 });
                self.task(at, name, Home::Local, steps);
            }
            By::Dormant => {
                let actor = self.name(name);
                let spawn = Step::Spawn { actor: actor.clone() };
                self.add(at, "starter", timeout(at, 1, priority), vec![spawn]);
                self.add_named(at, actor, ActorKind::Dormant, steps);
            }
            By::Idle => {
                let kind = ActorKind::Flood { for_ms: at, priority: PRIORITY_IDLE };
                self.add(0, name, kind, steps);
            }
        }
    }

    /// `by`, or a timeout if `by` cannot do it: floods are short, and threads have no loop.
    fn possible(&self, by: By, at: u64, in_thread: bool) -> By {
        match by {
            By::Idle if at > FLOOD_UNTIL => By::Timeout,
            By::Thread if !in_thread => By::Timeout,
            by => by,
        }
    }

    fn task(&mut self, at: u64, name: &str, home: Home, steps: Vec<Step>) -> String {
        let name = self.name(name);
        let kind = match home {
            Home::Local => ActorKind::Task,
            Home::Library => ActorKind::LibraryTask,
        };
        self.add_named(at, name.clone(), kind, steps);
        name
    }

    fn add(&mut self, at: u64, name: &str, kind: ActorKind, steps: Vec<Step>) {
        let name = self.name(name);
        self.add_named(at, name, kind, steps);
    }

    fn add_named(&mut self, at: u64, name: String, kind: ActorKind, steps: Vec<Step>) {
        self.actors.push((at, Actor { name, kind, steps }));
    }

    /// An unused name: `base`, or `base` with a number.
    fn name(&mut self, base: &str) -> String {
        let numbered = (2..).map(|n| format!("{base}-{n}"));
        let free = |name: &String| !self.names.contains(name);
        let name = std::iter::once(base.to_owned()).chain(numbered).find(free);
        let name = name.unwrap_or_else(|| unreachable!("there are more numbers than names"));
        self.names.push(name.clone());
        name
    }

    /// In the order of time: where a busy machine makes two sources of one priority ready at once,
    /// GLib dispatches them in the order in which they were attached.
    fn program(mut self) -> Program {
        self.actors.sort_by_key(|(at, _)| *at);
        Program {
            name: NAME.to_owned(),
            about: "A generated program.".to_owned(),
            source: "core/src/generate".to_owned(),
            tags: Vec::new(),
            actors: self.actors.into_iter().map(|(_, actor)| actor).collect(),
        }
    }
}

fn sleep(ms: u64) -> Step {
    Step::Sleep { ms }
}

fn timeout(every_ms: u64, times: u32, priority: i32) -> ActorKind {
    ActorKind::Timeout { every_ms, times, priority }
}

fn is_callback(by: By) -> bool {
    matches!(by, By::Timeout | By::Watch | By::Idle)
}

/// The order in which `n` loops are closed: the innermost first in the first of them, all in
/// reverse in the last.
fn order(n: usize, which: usize) -> Vec<usize> {
    let mut left: Vec<usize> = (0..n).rev().collect();
    let mut which = which;
    let mut order = Vec::new();
    while !left.is_empty() {
        order.push(left.remove(which % left.len()));
        which /= left.len() + 1;
    }
    order
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::classify::MARGIN;
    use crate::generate::Size;
    use crate::model::ideal;
    use crate::trace::What;

    #[test]
    fn computations_make_nothing_late_in_its_place() {
        let compute = Deed::Compute(By::Timeout, 2);
        for size in [Size::Small, Size::Default] {
            let limits = Limits::of(size);
            for place in [Place::Before, Place::Inside] {
                let deeds = [compute.clone(), compute.clone(), Deed::Calls(Home::Local, 2)];
                let at = limits.room;
                let works = deeds.map(|deed| Work { place, at, priority: 0, deed }).to_vec();
                let opener = Level {
                    opener: By::Timeout,
                    gap: 0,
                    how: Nesting::Dialog(How::Run),
                    closer: Closer::Itself,
                    priority: 0,
                    then: false,
                };
                let act = Act { levels: vec![opener], order: 0, linger: 0, works, quiet: false };
                let program = layout(&Sketch { acts: vec![act] }, &limits);
                let ideal = ideal(&program);
                let at = |what| ideal.find(what).map(|i| ideal.events[i].at).expect("it does");
                let caller = program.actors.iter().position(|actor| actor.name == "caller");
                let called = ideal.events.iter().rev().find_map(|event| match event.what {
                    What::Reached(key) if Some(usize::from(key.actor)) == caller => Some(event.at),
                    _ => None,
                });
                let (end, apart) = match place {
                    Place::Before => (at(What::Open(0)), Duration::from_millis(limits.unit)),
                    _ => (at(What::Close(0)), MARGIN),
                };
                assert!(called.is_some_and(|called| called + apart <= end), "{program}");
            }
        }
    }
}
