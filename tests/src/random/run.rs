//! Runs a [`Program`] on a [`World`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Act, Kind, LOOPS, Nest, PIPES, Program, Report};
use crate::world::{Ask, End, Events, Kind as WorldKind, L, Outside, P, Polled, S, T, When, World};

/// How often a program may sleep with nothing left to wake it.
const SLEEPS: usize = 30;
/// The most rounds of a drain, in case it never ends.
const ROUNDS: u32 = 8;

/// A running program.
struct Run {
    program: Program,
    sources: Vec<S>,
    loops: Vec<L>,
    pipes: Vec<P>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    lines: Vec<String>,
    /// Dispatches of each source so far.
    done: Vec<usize>,
    /// Prepares and checks of each source so far.
    asked: Vec<[usize; 2]>,
    /// Whether each is in the context, or will be once its parent is.
    attached: Vec<bool>,
    parent: Vec<Option<usize>>,
    /// The descriptors of each source.
    tags: Vec<Vec<T>>,
    raw: Vec<Option<T>>,
    /// The loops on the stack.
    running: Vec<usize>,
}

impl Program {
    /// Runs it, with or without the closer.
    pub fn run(&self, w: &dyn World, closer: bool) -> Report {
        let n = self.sources.len();
        let state = State {
            done: vec![0; n],
            asked: vec![[0; 2]; n],
            attached: vec![false; n],
            parent: vec![None; n],
            tags: vec![Vec::new(); n],
            raw: vec![None; PIPES],
            ..State::default()
        };
        let pipes: Vec<P> = (0..PIPES).map(|_| w.pipe()).collect();
        let loops = (0..LOOPS).map(|_| w.new_loop()).collect();
        // The world numbers sources in the order of their creation.
        let sources = (0..n).map(S).collect();
        let run = Run { program: self.clone(), sources, loops, pipes, state: Mutex::new(state) };
        let run = Arc::new(run);
        for i in 0..n {
            run.make(w, i);
        }
        if closer {
            run.add_closer(w);
        } else {
            let n = self.outside.len() + SLEEPS;
            w.when_asleep((0..n).map(|n| run.outside(n)).collect());
        }
        for (i, source) in self.sources.iter().enumerate() {
            let parent = source.parent.map(|parent| parent % n).filter(|&parent| parent < i);
            match parent {
                Some(parent) => run.adopt(w, parent, i),
                None if source.attached => run.attach(w, i),
                None => {}
            }
        }
        for nest in &self.drive {
            run.nest(w, nest);
        }
        if !w.is_stuck() {
            run.say(format!("polls {}", w.polls()));
            run.say(format!("wakeup {}", w.wakeup_is_set()));
            run.say(format!("complaints {}", w.complaints() > 0));
            for &s in &run.sources {
                let destroyed = w.is_destroyed(s);
                run.say(format!("{s:?} {}", if destroyed { "gone" } else { "there" }));
            }
            for (polled, events) in w.poll_set(i32::MAX) {
                run.say(match polled {
                    Polled::Wakeup => "polls wakeup".to_owned(),
                    Polled::Pipe(end) => format!("polls {end:?} {events:?}"),
                });
            }
        }
        let lines = std::mem::take(&mut run.state().lines);
        Report { lines, stuck: w.is_stuck() }
    }
}

impl Run {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, line: impl Into<String>) {
        self.state().lines.push(line.into());
    }

    fn at(&self, i: usize) -> usize {
        i % self.sources.len()
    }

    /// Whether it is one of GLib's own sources, which neither recurse nor watch descriptors.
    fn is_theirs(&self, i: usize) -> bool {
        matches!(self.program.sources[i].kind, Kind::Timeout | Kind::Idle)
    }

    fn make(self: &Arc<Self>, w: &dyn World, i: usize) {
        let spec = &self.program.sources[i];
        let run = self.clone();
        let callback = Box::new(move |w: &dyn World, _| run.dispatch(w, i));
        let (asked, checked) = (self.clone(), self.clone());
        let kind = match &spec.kind {
            Kind::Idle => WorldKind::Idle,
            Kind::Timeout => WorldKind::Timeout(Duration::ZERO),
            Kind::Plain | Kind::Watch(_) => WorldKind::Plain,
            Kind::Poll(_) => {
                let ask = move |w: &dyn World, _| {
                    asked.aside(w, i, 0);
                    Ask::Wait
                };
                let check = move |w: &dyn World, _| {
                    checked.aside(w, i, 1);
                    let tag = checked.state().tags[i].first().copied();
                    tag.is_some_and(|tag| !w.revents(tag).is_empty())
                };
                WorldKind::Asks(Box::new(ask), Box::new(check))
            }
            Kind::Asks(prepare, check) => {
                let (prepare, check) = (prepare.clone(), check.clone());
                let ask =
                    move |w: &dyn World, _| match prepare[asked.aside(w, i, 0) % prepare.len()] {
                        true => Ask::Ready,
                        false => Ask::Wait,
                    };
                let check = move |w: &dyn World, _| check[checked.aside(w, i, 1) % check.len()];
                WorldKind::Asks(Box::new(ask), Box::new(check))
            }
        };
        let s = w.source("random", kind, callback);
        assert_eq!(s, self.sources[i]);
        w.set_priority(s, spec.priority);
        if spec.can_recurse && !self.is_theirs(i) {
            w.set_can_recurse(s, true);
        }
        let tag = match spec.kind {
            Kind::Watch(p) => Some(w.add_unix_fd(s, End::Read(self.pipe(p)), Events::IN)),
            Kind::Poll(p) => Some(w.add_poll(s, End::Read(self.pipe(p)), Events::IN)),
            _ => None,
        };
        self.state().tags[i].extend(tag);
        if spec.due {
            w.set_ready_time(s, When::Zero);
        }
    }

    /// An idle below all others. It is created last, so that the numbers of the others are their
    /// indices.
    fn add_closer(self: &Arc<Self>, w: &dyn World) {
        let run = self.clone();
        let close = move |w: &dyn World, _| {
            run.close(w);
            true
        };
        let ready = WorldKind::Asks(Box::new(|_, _| Ask::Ready), Box::new(|_, _| true));
        let s = w.source("closer", ready, Box::new(close));
        w.set_can_recurse(s, true);
        w.set_priority(s, 10_000);
        w.attach(s);
    }

    /// Ends the innermost loop, or whatever else is sleeping.
    fn close(&self, w: &dyn World) {
        let innermost = self.state().running.last().copied();
        self.say(format!("close {innermost:?}"));
        match innermost {
            Some(l) => w.quit(self.loops[l]),
            None => w.wakeup(),
        }
    }

    /// Queues the program's outside acts, and after them an end for each sleep.
    fn outside(self: &Arc<Self>, n: usize) -> Outside {
        let run = self.clone();
        Box::new(move |w| match run.program.outside.get(n) {
            Some(act) => {
                run.say(format!("outside {n}"));
                run.act(w, act);
            }
            None => run.close(w),
        })
    }

    fn pipe(&self, p: usize) -> P {
        self.pipes[p % PIPES]
    }

    /// Performs the aside for the prepare or check of a source. Returns how many it had before.
    fn aside(&self, w: &dyn World, i: usize, question: usize) -> usize {
        let n = {
            let asked = &mut self.state().asked[i][question];
            *asked += 1;
            *asked - 1
        };
        if let Some(act) = self.program.sources[i].asides[question].get(n) {
            self.say(format!("aside of {i}"));
            self.act(w, act);
        }
        n
    }

    fn dispatch(&self, w: &dyn World, i: usize) -> bool {
        let acts = &self.program.sources[i].acts;
        let n = {
            let mut state = self.state();
            let n = state.done[i];
            state.done[i] += 1;
            state.lines.push(format!("{i}.{n} at depth {}", w.depth()));
            n
        };
        if let Some(act) = acts.get(n) {
            self.act(w, act);
        }
        n + 1 < acts.len()
    }

    fn attach(&self, w: &dyn World, i: usize) {
        let there = !w.is_destroyed(self.sources[i]);
        let free = {
            let mut state = self.state();
            let free = there && !state.attached[i] && state.parent[i].is_none();
            state.attached[i] |= free;
            free
        };
        if free {
            w.attach(self.sources[i]);
        }
    }

    fn adopt(&self, w: &dyn World, parent: usize, child: usize) {
        let gone = |i: usize| w.is_destroyed(self.sources[i]);
        // A child may be unblocked while it runs (see `children` in the conformance tests). glib-rs
        // keeps the closure of a timeout or an idle in a `RefCell`, and aborts if it is re-entered.
        if parent == child || self.is_theirs(child) || gone(parent) || gone(child) {
            return;
        }
        {
            let mut state = self.state();
            let mut above = Some(parent);
            while let Some(i) = above {
                if i == child {
                    return;
                }
                above = state.parent[i];
            }
            if state.attached[child] || state.parent[child].is_some() {
                return;
            }
            state.parent[child] = Some(parent);
        }
        w.add_child(self.sources[parent], self.sources[child]);
    }

    fn act(&self, w: &dyn World, act: &Act) {
        let s = |i: usize| self.sources[self.at(i)];
        let there = |i: usize| !w.is_destroyed(s(i));
        match *act {
            Act::Nothing => {}
            Act::Write(p) => {
                w.write(self.pipe(p), 1);
            }
            Act::Read(p) => self.say(format!("{:?}", w.read(self.pipe(p), 1))),
            Act::Close(p) => w.close(self.pipe(p)),
            Act::Due(i, due) if there(i) => {
                w.set_ready_time(s(i), if due { When::Zero } else { When::Never });
            }
            Act::Destroy(i) => w.destroy(s(i)),
            Act::Attach(i) => self.attach(w, self.at(i)),
            Act::Adopt(i, j) => self.adopt(w, self.at(i), self.at(j)),
            Act::Disown(i) => {
                let parent = self.state().parent[self.at(i)];
                if let Some(parent) = parent.filter(|_| there(i) && self.is_attached(i)) {
                    self.state().parent[self.at(i)] = None;
                    w.remove_child(self.sources[parent], s(i));
                }
            }
            // Only the root of a family has its own.
            Act::Priority(i, priority) if there(i) && self.is_eldest(i) => {
                w.set_priority(s(i), priority);
            }
            Act::Recurse(i, can) if there(i) && !self.is_theirs(self.at(i)) => {
                w.set_can_recurse(s(i), can);
            }
            Act::Wakeup => w.wakeup(),
            Act::RawPoll(p) => {
                let polled = self.state().raw[p % PIPES].take();
                match polled {
                    Some(tag) => w.remove_poll(tag),
                    None => {
                        let tag = w.context_add_poll(End::Read(self.pipe(p)), Events::IN, 0);
                        self.state().raw[p % PIPES] = Some(tag);
                    }
                }
            }
            Act::AddFd(i, p) if there(i) && self.watches(i) => {
                let tag = w.add_unix_fd(s(i), End::Read(self.pipe(p)), Events::IN);
                self.state().tags[self.at(i)].push(tag);
            }
            Act::ModifyFd(i, input) if there(i) && self.watches(i) => {
                let tag = self.state().tags[self.at(i)].last().copied();
                if let Some(tag) = tag {
                    w.modify_fd(s(i), tag, if input { Events::IN } else { Events::empty() });
                }
            }
            Act::RemoveFd(i) if there(i) && self.watches(i) => {
                let tag = self.state().tags[self.at(i)].pop();
                if let Some(tag) = tag {
                    w.remove_fd(s(i), tag);
                }
            }
            Act::Quit(l) => w.quit(self.loops[l % LOOPS]),
            Act::Nest(ref nest) => self.nest(w, nest),
            _ => {}
        }
    }

    /// Whether the root of its family is.
    fn is_attached(&self, i: usize) -> bool {
        let state = self.state();
        let mut eldest = self.at(i);
        while let Some(parent) = state.parent[eldest] {
            eldest = parent;
        }
        state.attached[eldest]
    }

    fn is_eldest(&self, i: usize) -> bool {
        self.state().parent[self.at(i)].is_none()
    }

    fn watches(&self, i: usize) -> bool {
        let i = self.at(i);
        !self.is_theirs(i) && !matches!(self.program.sources[i].kind, Kind::Poll(_))
    }

    fn nest(&self, w: &dyn World, nest: &Nest) {
        match *nest {
            Nest::Run(l) => {
                let l = l % LOOPS;
                self.say(format!("run {l} ("));
                self.state().running.push(l);
                w.run(self.loops[l]);
                self.state().running.pop();
                self.say(format!(") {l}"));
            }
            Nest::Block => {
                let any = w.iteration(true);
                self.say(format!("blocked: {any}"));
            }
            Nest::Iterate(n) => {
                for _ in 0..n {
                    let any = w.iteration(false);
                    self.say(format!("iterated: {any}"));
                }
            }
            Nest::Drain => {
                for _ in 0..ROUNDS {
                    if !w.pending() {
                        break;
                    }
                    let any = w.iteration(false);
                    self.say(format!("drained: {any}"));
                }
            }
            Nest::Pending => {
                let any = w.pending();
                self.say(format!("pending: {any}"));
            }
        }
    }
}
