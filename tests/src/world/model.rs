//! The model as a [`World`].

use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use loopnest_core::model::{
    Callbacks, Clock, Config, Context, Events, Fd, FdTag, MainLoop, Pipe, Prepare, Read, Rounding,
    Rules, Source, Thread,
};

use super::{
    Action, Ask, Callback, CheckFn, End, Kind, L, Outside, P, Polled, PrepareFn, S, T, When, World,
};

/// The model, and what was made in it.
pub struct ModelWorld {
    context: Context,
    clock: Clock,
    made: Mutex<Made>,
    me: Weak<ModelWorld>,
}

#[derive(Default)]
struct Made {
    sources: Vec<Source>,
    loops: Vec<MainLoop>,
    pipes: Vec<Pipe>,
    tags: Vec<(Option<Source>, FdTag)>,
    invoked: Option<Arc<dyn Fn() + Send + Sync>>,
}

/// Further away than anything in a test.
pub const FAR: Duration = Duration::from_secs(1_000_000);

impl ModelWorld {
    /// An empty world. It rounds as GLib does with a poll function, which counts milliseconds.
    pub fn new(rules: Rules) -> Arc<Self> {
        Self::rounding(Rounding::Millis, rules)
    }

    /// An empty world of a GLib that polls by itself.
    pub fn rounding(rounding: Rounding, rules: Rules) -> Arc<Self> {
        let microsecond = Duration::from_micros(1);
        let config = Config {
            // So that the clock differs between two iterations, as it does in reality.
            iteration_cost: microsecond,
            poll_cost: microsecond,
            horizon: FAR,
            ..Config::default()
        };
        Self::of(config, rounding, rules)
    }

    /// An empty world with costs and limits.
    pub fn with(config: Config, rules: Rules) -> Arc<Self> {
        Self::of(config, Rounding::Millis, rules)
    }

    fn of(config: Config, rounding: Rounding, rules: Rules) -> Arc<Self> {
        let clock = Clock::new(config);
        // GLib's clock has been running for long when a program begins: only `When::Zero` is zero.
        clock.advance(Duration::from_secs(1));
        let context = Context::with(&clock, rounding, rules);
        Arc::new_cyclic(|me| Self { context, clock, made: Mutex::default(), me: me.clone() })
    }

    /// The context.
    pub fn context(&self) -> &Context {
        &self.context
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, s: S) -> Source {
        self.made().sources[s.0].clone()
    }

    fn get_loop(&self, l: L) -> MainLoop {
        self.made().loops[l.0].clone()
    }

    fn get_pipe(&self, p: P) -> Pipe {
        self.made().pipes[p.0].clone()
    }

    fn fd(&self, end: End) -> Fd {
        match end {
            End::Read(p) => self.get_pipe(p).read_end().clone(),
            End::Write(p) => self.get_pipe(p).write_end().clone(),
        }
    }

    fn add_tag(&self, source: Option<Source>, tag: FdTag) -> T {
        let tags = &mut self.made().tags;
        tags.push((source, tag));
        T(tags.len() - 1)
    }
}

/// The callbacks of the model's sources.
struct Funcs {
    world: Weak<ModelWorld>,
    s: S,
    asks: Option<(PrepareFn, CheckFn)>,
    callback: Callback,
}

impl Callbacks for Funcs {
    fn prepare(&self, _this: &Source) -> Prepare {
        match (&self.asks, self.world.upgrade()) {
            (Some((prepare, _)), Some(world)) => match prepare(&*world, self.s) {
                Ask::Ready => Prepare::Ready,
                Ask::Wait => Prepare::Wait(None),
                Ask::Hurry => Prepare::Wait(Some(Duration::ZERO)),
            },
            _ => Prepare::Wait(None),
        }
    }

    fn check(&self, _this: &Source) -> bool {
        match (&self.asks, self.world.upgrade()) {
            (Some((_, check)), Some(world)) => check(&*world, self.s),
            _ => false,
        }
    }

    fn dispatch(&self, _this: &Source) -> ControlFlow<()> {
        goes_on(&self.world, self.s, &self.callback)
    }

    fn asks(&self) -> bool {
        self.asks.is_some()
    }
}

fn goes_on(world: &Weak<ModelWorld>, s: S, callback: &Callback) -> ControlFlow<()> {
    match world.upgrade() {
        Some(world) if callback(&*world, s) => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    }
}

impl World for ModelWorld {
    fn is_model(&self) -> bool {
        true
    }

    fn source(&self, name: &'static str, kind: Kind, callback: Callback) -> S {
        let s = S(self.made().sources.len());
        let world = self.me.clone();
        let source = match kind {
            Kind::Timeout(interval) => {
                self.context.timeout(interval, move |_| goes_on(&world, s, &callback))
            }
            Kind::Idle => self.context.idle(move |_| goes_on(&world, s, &callback)),
            Kind::Plain => {
                let funcs = Funcs { world, s, asks: None, callback };
                self.context.source(name, funcs)
            }
            Kind::Asks(prepare, check) => {
                let funcs = Funcs { world, s, asks: Some((prepare, check)), callback };
                self.context.source(name, funcs)
            }
        };
        self.made().sources.push(source);
        s
    }

    fn attach(&self, s: S) -> u32 {
        self.get(s).attach()
    }

    fn destroy(&self, s: S) {
        self.get(s).destroy();
    }

    fn is_destroyed(&self, s: S) -> bool {
        self.get(s).is_destroyed()
    }

    fn knows_id(&self, id: u32) -> bool {
        self.context.find_source(id).is_some()
    }

    fn set_priority(&self, s: S, priority: i32) {
        self.get(s).set_priority(priority);
    }

    fn priority(&self, s: S) -> i32 {
        self.get(s).priority()
    }

    fn set_can_recurse(&self, s: S, can: bool) {
        self.get(s).set_can_recurse(can);
    }

    fn can_recurse(&self, s: S) -> bool {
        self.get(s).can_recurse()
    }

    fn set_ready_time(&self, s: S, when: When) {
        self.get(s).set_ready_time(match when {
            When::Never => None,
            When::Zero => Some(Duration::ZERO),
            When::After(time) => Some(self.clock.now() + time),
        });
    }

    fn has_ready_time(&self, s: S) -> bool {
        self.get(s).ready_time().is_some()
    }

    fn time(&self, s: S) -> Duration {
        self.get(s).time()
    }

    fn n_refs(&self, s: S) -> u32 {
        self.get(s).n_refs()
    }

    fn add_child(&self, s: S, child: S) {
        self.get(s).add_child(&self.get(child));
    }

    fn remove_child(&self, s: S, child: S) {
        self.get(s).remove_child(&self.get(child));
    }

    fn add_unix_fd(&self, s: S, end: End, events: Events) -> T {
        let source = self.get(s);
        let tag = source.add_unix_fd(&self.fd(end), events);
        self.add_tag(Some(source), tag)
    }

    fn modify_fd(&self, s: S, tag: T, events: Events) {
        let tag = self.made().tags[tag.0].1;
        self.get(s).modify_fd(tag, events);
    }

    fn remove_fd(&self, s: S, tag: T) {
        let tag = self.made().tags[tag.0].1;
        self.get(s).remove_fd(tag);
    }

    fn query_fd(&self, s: S, tag: T) -> Events {
        let tag = self.made().tags[tag.0].1;
        self.get(s).query_fd(tag)
    }

    fn add_poll(&self, s: S, end: End, events: Events) -> T {
        let source = self.get(s);
        let tag = source.add_poll(&self.fd(end), events);
        self.add_tag(Some(source), tag)
    }

    fn context_add_poll(&self, end: End, events: Events, priority: i32) -> T {
        let tag = self.context.add_poll(&self.fd(end), events, priority);
        self.add_tag(None, tag)
    }

    fn remove_poll(&self, tag: T) {
        let (source, tag) = self.made().tags[tag.0].clone();
        match source {
            Some(source) => source.remove_fd(tag),
            None => self.context.remove_poll(tag),
        }
    }

    fn revents(&self, tag: T) -> Events {
        let (source, tag) = self.made().tags[tag.0].clone();
        match source {
            Some(source) => source.query_fd(tag),
            None => self.context.query_poll(tag),
        }
    }

    fn poll_set(&self, max_priority: i32) -> Vec<(Polled, Events)> {
        let wakeup = self.context.wakeup_fd().number();
        let named = |number: u32| {
            let made = self.made();
            let pipe = |p: &Pipe| p.read_end().number() == number;
            if number == wakeup {
                Polled::Wakeup
            } else if let Some(p) = made.pipes.iter().position(pipe) {
                Polled::Pipe(End::Read(P(p)))
            } else {
                let pipe = |p: &Pipe| p.write_end().number() == number;
                let p = made.pipes.iter().position(pipe).expect("a pipe of this world");
                Polled::Pipe(End::Write(P(p)))
            }
        };
        let set = self.context.poll_set(max_priority);
        let named = set.into_iter().map(|(number, events)| (named(number), events));
        let mut named: Vec<_> = named.collect();
        named.sort_by_key(|&(polled, _)| polled);
        named
    }

    fn iteration(&self, may_block: bool) -> bool {
        self.context.iteration(may_block)
    }

    fn pending(&self) -> bool {
        self.context.pending()
    }

    fn wakeup(&self) {
        self.context.wakeup();
    }

    fn wakeup_is_set(&self) -> bool {
        !self.context.wakeup_fd().poll(Events::IN).is_empty()
    }

    fn is_owner(&self) -> bool {
        self.context.is_owner()
    }

    fn own(&self, call: &mut dyn FnMut()) {
        assert!(self.context.acquire());
        call();
        self.context.release();
    }

    fn depth(&self) -> u32 {
        self.clock.depth()
    }

    fn polls(&self) -> u64 {
        self.context.counters().polls
    }

    fn complaints(&self) -> usize {
        self.context.warnings().len()
    }

    fn new_loop(&self) -> L {
        let made = MainLoop::new(&self.context);
        let loops = &mut self.made().loops;
        loops.push(made);
        L(loops.len() - 1)
    }

    fn run(&self, l: L) {
        self.get_loop(l).run();
    }

    fn quit(&self, l: L) {
        self.get_loop(l).quit();
    }

    fn is_running(&self, l: L) -> bool {
        self.get_loop(l).is_running()
    }

    fn pipe(&self) -> P {
        let pipe = Pipe::new(&self.clock);
        let pipes = &mut self.made().pipes;
        pipes.push(pipe);
        P(pipes.len() - 1)
    }

    fn write(&self, p: P, n: u64) -> u64 {
        self.get_pipe(p).write(n)
    }

    fn read(&self, p: P, max: u64) -> Read {
        self.get_pipe(p).read(max)
    }

    fn close(&self, p: P) {
        self.get_pipe(p).close_write();
    }

    fn on_invoke(&self, call: Box<dyn Fn() + Send + Sync>) {
        self.made().invoked = Some(call.into());
    }

    fn invoke(&self) {
        let call = self.made().invoked.clone();
        self.context.invoke(false, 0, move || {
            if let Some(call) = call {
                call();
            }
        });
    }

    fn when_asleep(&self, outside: Vec<Outside>) {
        // Far apart: only a sleep moves the clock so far.
        let now = self.clock.now();
        for (hour, call) in (1..).zip(outside) {
            let world = self.me.clone();
            self.clock.at_on(Thread::MAIN, now + hour * Duration::from_secs(3600), move || {
                if let Some(world) = world.upgrade() {
                    call(&*world);
                }
            });
        }
    }

    fn thread(&self, after: Duration, action: Action) {
        let world = self.me.clone();
        let at = self.clock.now() + after;
        self.clock.at_on(Thread::OTHER, at, move || {
            let Some(world) = world.upgrade() else { return };
            match action {
                Action::Write(p, n) => {
                    world.write(p, n);
                }
                Action::Close(p) => world.close(p),
                Action::Wakeup => world.wakeup(),
                Action::Quit(l) => world.quit(l),
                Action::MakeReady(s) => world.set_ready_time(s, When::Zero),
                Action::Attach(s) => {
                    world.attach(s);
                }
                Action::Destroy(s) => world.destroy(s),
                Action::Invoke => world.invoke(),
            }
        });
    }

    fn compute(&self, time: Duration) {
        self.clock.advance(time);
    }

    fn is_stuck(&self) -> bool {
        self.clock.stuck().is_some()
    }
}

impl Drop for ModelWorld {
    fn drop(&mut self) {
        self.clock.clear();
        self.context.clear();
    }
}

impl fmt::Debug for ModelWorld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.context.fmt(f)
    }
}
