//! The real GLib as a [`World`].

use std::cell::{Cell, RefCell};
use std::fmt;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::rc::{Rc, Weak};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use crate::raw_source::{self, PollFd};
use glib::thread_guard::ThreadGuard;
use glib::{IOCondition, MainContext, MainLoop};
use loopnest_core::model::{Events, Read};
use loopnest_strategies::source::{Callbacks, FdTag, Prepare, Source, SourceRef};

use super::{
    Action, Ask, Callback, CheckFn, End, Kind, L, Outside, P, Polled, PrepareFn, S, T, When, World,
};

/// A GLib context, and what was made in it.
pub struct GlibWorld {
    context: MainContext,
    began: i64,
    wakeup: RawFd,
    complained: usize,
    polled: u64,
    sources: RefCell<Vec<Any>>,
    loops: RefCell<Vec<MainLoop>>,
    pipes: RefCell<Vec<Pipe>>,
    tags: RefCell<Vec<Tag>>,
    invoked: RefCell<Arc<dyn Fn() + Send + Sync>>,
    threads: RefCell<Vec<std::thread::JoinHandle<()>>>,
    me: Weak<GlibWorld>,
}

/// A source of either kind.
enum Any {
    /// GLib's own.
    Theirs(glib::Source),
    Ours(Source<Funcs>),
}

enum Tag {
    Unix(Option<FdTag>),
    Poll(Option<PollFd>),
}

/// An end that can be polled and kept alive while others use it.
#[derive(Clone)]
struct Shared(Arc<File>);

impl AsFd for Shared {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

struct Pipe {
    read: Shared,
    write: Arc<Mutex<Option<Shared>>>,
}

impl Any {
    fn glib(&self) -> &glib::Source {
        match self {
            Self::Theirs(source) => source,
            // SAFETY: a world keeps its context longer than its sources, and one thread iterates it.
            #[expect(unsafe_code, reason = "GLib's view of our source is what is tested")]
            Self::Ours(source) => unsafe { source.as_glib() },
        }
    }
}

/// The callbacks of our sources.
struct Funcs {
    world: Weak<GlibWorld>,
    s: S,
    asks: Option<(PrepareFn, CheckFn)>,
    callback: Callback,
}

impl Callbacks for Funcs {
    fn prepare(&self, _this: SourceRef<'_>) -> Prepare {
        match (&self.asks, self.world.upgrade()) {
            (Some((prepare, _)), Some(world)) => {
                match raw_source::asking(|| prepare(&*world, self.s)) {
                    Ask::Ready => Prepare::Ready,
                    Ask::Wait => Prepare::Wait(None),
                    Ask::Hurry => Prepare::Wait(Some(Duration::ZERO)),
                }
            }
            _ => Prepare::Wait(None),
        }
    }

    fn check(&self, _this: SourceRef<'_>) -> bool {
        match (&self.asks, self.world.upgrade()) {
            (Some((_, check)), Some(world)) => raw_source::asking(|| check(&*world, self.s)),
            _ => false,
        }
    }

    fn dispatch(&self, _this: SourceRef<'_>) -> ControlFlow<()> {
        match self.world.upgrade() {
            Some(world) if (self.callback)(&*world, self.s) => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    }
}

thread_local!(static COMPLAINTS: Cell<usize> = const { Cell::new(0) });

/// Counts what GLib logs on this thread from now on, instead of printing it.
fn count_complaints() -> usize {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        glib::log_set_default_handler(|_, _, _| COMPLAINTS.set(COMPLAINTS.get() + 1));
    });
    COMPLAINTS.get()
}

impl GlibWorld {
    /// A new context, whose polls are counted.
    pub fn new() -> Rc<Self> {
        let context = MainContext::new();
        raw_source::count_polls(&context);
        Self::of(context)
    }

    /// A new context that polls by itself, as in an application. So nothing can be done while it
    /// sleeps, and its polls are not counted.
    pub fn without_a_poll_function() -> Rc<Self> {
        Self::of(MainContext::new())
    }

    fn of(context: MainContext) -> Rc<Self> {
        let wakeup = raw_source::poll_set(&context, i32::MAX)[0].0;
        Rc::new_cyclic(|me| Self {
            context,
            began: glib::monotonic_time(),
            wakeup,
            complained: count_complaints(),
            polled: raw_source::n_polls(),
            sources: RefCell::default(),
            loops: RefCell::default(),
            pipes: RefCell::default(),
            tags: RefCell::default(),
            invoked: RefCell::new(Arc::new(|| ())),
            threads: RefCell::default(),
            me: me.clone(),
        })
    }

    fn get(&self, s: S) -> glib::Source {
        self.sources.borrow()[s.0].glib().clone()
    }

    fn fd(&self, end: End) -> Shared {
        let pipes = self.pipes.borrow();
        match end {
            End::Read(p) => pipes[p.0].read.clone(),
            End::Write(p) => lock(&pipes[p.0].write).clone().expect("an end that is open"),
        }
    }

    fn get_loop(&self, l: L) -> MainLoop {
        self.loops.borrow()[l.0].clone()
    }

    fn add_tag(&self, tag: Tag) -> T {
        let mut tags = self.tags.borrow_mut();
        tags.push(tag);
        T(tags.len() - 1)
    }

    fn ours<R>(&self, s: S, call: impl FnOnce(&Source<Funcs>) -> R) -> R {
        match &self.sources.borrow()[s.0] {
            Any::Ours(source) => call(source),
            Any::Theirs(_) => panic!("timeouts and idles watch nothing"),
        }
    }

    /// Calls with a tag of `add_unix_fd` that was not removed.
    fn with_unix_tag<R: Default>(&self, tag: T, call: impl FnOnce(&FdTag) -> R) -> R {
        match &self.tags.borrow()[tag.0] {
            Tag::Unix(tag) => tag.as_ref().map(call).unwrap_or_default(),
            Tag::Poll(_) => panic!("not a tag of add_unix_fd"),
        }
    }
}

fn lock<V>(mutex: &Mutex<V>) -> std::sync::MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn condition(events: Events) -> IOCondition {
    let mut condition = IOCondition::empty();
    condition.set(IOCondition::IN, events.contains(Events::IN));
    condition.set(IOCondition::PRI, events.contains(Events::PRI));
    condition.set(IOCondition::OUT, events.contains(Events::OUT));
    condition.set(IOCondition::ERR, events.contains(Events::ERR));
    condition.set(IOCondition::HUP, events.contains(Events::HUP));
    condition.set(IOCondition::NVAL, events.contains(Events::NVAL));
    condition
}

fn events(condition: IOCondition) -> Events {
    let mut events = Events::empty();
    events.set(Events::IN, condition.contains(IOCondition::IN));
    events.set(Events::PRI, condition.contains(IOCondition::PRI));
    events.set(Events::OUT, condition.contains(IOCondition::OUT));
    events.set(Events::ERR, condition.contains(IOCondition::ERR));
    events.set(Events::HUP, condition.contains(IOCondition::HUP));
    events.set(Events::NVAL, condition.contains(IOCondition::NVAL));
    events
}

fn write(end: &Mutex<Option<Shared>>, n: u64) -> u64 {
    let Some(end) = lock(end).clone() else { return 0 };
    let bytes = vec![0; usize::try_from(n).expect("few bytes")];
    (&*end.0).write(&bytes).map_or(0, |n| n as u64)
}

impl World for GlibWorld {
    fn is_model(&self) -> bool {
        false
    }

    fn source(&self, name: &'static str, kind: Kind, callback: Callback) -> S {
        let s = S(self.sources.borrow().len());
        let world = self.me.clone();
        let ours = |asks, callback, world| {
            Any::Ours(Source::new(name, Funcs { world, s, asks, callback }))
        };
        let theirs = |callback: Callback, world: Weak<Self>| {
            let inside = ThreadGuard::new((world, callback));
            move || {
                let (world, callback) = inside.get_ref();
                match world.upgrade() {
                    Some(world) if callback(&*world, s) => glib::ControlFlow::Continue,
                    _ => glib::ControlFlow::Break,
                }
            }
        };
        let source = match kind {
            Kind::Timeout(interval) => Any::Theirs(glib::timeout_source_new(
                interval,
                Some(name),
                glib::Priority::DEFAULT,
                theirs(callback, world),
            )),
            Kind::Idle => Any::Theirs(glib::idle_source_new(
                Some(name),
                glib::Priority::DEFAULT_IDLE,
                theirs(callback, world),
            )),
            Kind::Plain => ours(None, callback, world),
            Kind::Asks(prepare, check) => ours(Some((prepare, check)), callback, world),
        };
        self.sources.borrow_mut().push(source);
        s
    }

    fn attach(&self, s: S) -> u32 {
        self.get(s).attach(Some(&self.context)).as_raw()
    }

    fn destroy(&self, s: S) {
        self.get(s).destroy();
    }

    fn is_destroyed(&self, s: S) -> bool {
        self.get(s).is_destroyed()
    }

    fn knows_id(&self, id: u32) -> bool {
        // glib-rs accepts only an id that it made itself.
        let sources = self.sources.borrow();
        let source = sources.iter().map(Any::glib).find(|s| raw_source::id(s) == Some(id));
        let found = source.is_some_and(raw_source::is_found);
        assert_eq!(found, source.is_some_and(|source| !source.is_destroyed()));
        found
    }

    fn set_priority(&self, s: S, priority: i32) {
        raw_source::set_priority(&self.get(s), priority);
    }

    fn priority(&self, s: S) -> i32 {
        self.get(s).priority()
    }

    fn set_can_recurse(&self, s: S, can: bool) {
        raw_source::set_can_recurse(&self.get(s), can);
    }

    fn can_recurse(&self, s: S) -> bool {
        self.get(s).can_recurse()
    }

    fn set_ready_time(&self, s: S, when: When) {
        let at = match when {
            When::Never => -1,
            When::Zero => 0,
            When::After(time) => glib::monotonic_time() + time.as_micros() as i64,
        };
        raw_source::set_ready_time(&self.get(s), at);
    }

    fn has_ready_time(&self, s: S) -> bool {
        self.get(s).ready_time() != -1
    }

    fn time(&self, s: S) -> Duration {
        Duration::from_micros((self.get(s).time() - self.began) as u64)
    }

    fn n_refs(&self, s: S) -> u32 {
        raw_source::n_refs(self.sources.borrow()[s.0].glib())
    }

    fn add_child(&self, s: S, child: S) {
        self.get(s).add_child_source(&self.get(child));
    }

    fn remove_child(&self, s: S, child: S) {
        self.get(s).remove_child_source(&self.get(child));
    }

    fn add_unix_fd(&self, s: S, end: End, events: Events) -> T {
        let fd = self.fd(end);
        let tag = self.ours(s, |source| source.add_fd(fd, condition(events)));
        self.add_tag(Tag::Unix(Some(tag)))
    }

    fn modify_fd(&self, s: S, tag: T, events: Events) {
        self.with_unix_tag(tag, |tag| {
            self.ours(s, |source| source.as_ref().modify_fd(tag, condition(events)));
        });
    }

    fn remove_fd(&self, s: S, tag: T) {
        let Tag::Unix(tag) = &mut self.tags.borrow_mut()[tag.0] else {
            panic!("not a tag of add_unix_fd");
        };
        if let Some(tag) = tag.take() {
            self.ours(s, |source| source.as_ref().remove_fd(tag));
        }
    }

    fn query_fd(&self, s: S, tag: T) -> Events {
        self.with_unix_tag(tag, |tag| events(self.ours(s, |source| source.as_ref().query_fd(tag))))
    }

    fn add_poll(&self, s: S, end: End, events: Events) -> T {
        let poll = PollFd::of_source(&self.get(s), self.fd(end), condition(events));
        self.add_tag(Tag::Poll(Some(poll)))
    }

    fn context_add_poll(&self, end: End, events: Events, priority: i32) -> T {
        let fd = self.fd(end);
        let poll = PollFd::of_context(&self.context, fd, condition(events), priority);
        self.add_tag(Tag::Poll(Some(poll)))
    }

    fn remove_poll(&self, tag: T) {
        if let Tag::Poll(poll) = &mut self.tags.borrow_mut()[tag.0] {
            *poll = None;
        }
    }

    fn revents(&self, tag: T) -> Events {
        match &self.tags.borrow()[tag.0] {
            Tag::Poll(Some(poll)) => events(poll.revents()),
            _ => Events::empty(),
        }
    }

    fn poll_set(&self, max_priority: i32) -> Vec<(Polled, Events)> {
        let pipes = self.pipes.borrow();
        let named = |fd: RawFd| {
            let read = pipes.iter().position(|p| p.read.0.as_raw_fd() == fd);
            let write = pipes.iter().position(|p| {
                lock(&p.write).as_ref().is_some_and(|write| write.0.as_raw_fd() == fd)
            });
            match (read, write) {
                (Some(p), _) => Polled::Pipe(End::Read(P(p))),
                (_, Some(p)) => Polled::Pipe(End::Write(P(p))),
                _ => Polled::Wakeup,
            }
        };
        let set = raw_source::poll_set(&self.context, max_priority);
        let named = set.into_iter().map(|(fd, condition)| (named(fd), events(condition)));
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
        raw_source::is_readable(self.wakeup)
    }

    fn is_owner(&self) -> bool {
        self.context.is_owner()
    }

    fn own(&self, call: &mut dyn FnMut()) {
        let _own = self.context.acquire().expect("nobody else owns it");
        call();
    }

    fn depth(&self) -> u32 {
        glib::main_depth() as u32
    }

    fn polls(&self) -> u64 {
        raw_source::n_polls() - self.polled
    }

    fn complaints(&self) -> usize {
        COMPLAINTS.get() - self.complained
    }

    fn new_loop(&self) -> L {
        let mut loops = self.loops.borrow_mut();
        loops.push(MainLoop::new(Some(&self.context), false));
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
        let flags = rustix::pipe::PipeFlags::NONBLOCK | rustix::pipe::PipeFlags::CLOEXEC;
        let (read, write) = rustix::pipe::pipe_with(flags).expect("descriptors left");
        let read = Shared(Arc::new(read.into()));
        let write = Arc::new(Mutex::new(Some(Shared(Arc::new(write.into())))));
        let mut pipes = self.pipes.borrow_mut();
        pipes.push(Pipe { read, write });
        P(pipes.len() - 1)
    }

    fn write(&self, p: P, n: u64) -> u64 {
        let end = self.pipes.borrow()[p.0].write.clone();
        write(&end, n)
    }

    fn read(&self, p: P, max: u64) -> Read {
        let end = self.fd(End::Read(p));
        let mut bytes = vec![0; usize::try_from(max).expect("few bytes")];
        match (&*end.0).read(&mut bytes) {
            Ok(0) => Read::End,
            Ok(n) => Read::Bytes(n as u64),
            Err(_) => Read::Empty,
        }
    }

    fn close(&self, p: P) {
        let end = self.pipes.borrow()[p.0].write.clone();
        *lock(&end) = None;
    }

    fn on_invoke(&self, call: Box<dyn Fn() + Send + Sync>) {
        *self.invoked.borrow_mut() = call.into();
    }

    fn invoke(&self) {
        let call = self.invoked.borrow().clone();
        self.context.invoke(move || call());
    }

    fn when_asleep(&self, outside: Vec<Outside>) {
        let world = self.me.clone();
        let mut outside = outside.into_iter();
        raw_source::when_asleep(move || match (world.upgrade(), outside.next()) {
            (Some(world), Some(call)) => {
                call(&*world);
                true
            }
            _ => false,
        });
    }

    fn thread(&self, after: Duration, action: Action) {
        let context = self.context.clone();
        let act: Box<dyn FnOnce() + Send> = match action {
            Action::Write(p, n) => {
                let end = self.pipes.borrow()[p.0].write.clone();
                Box::new(move || {
                    write(&end, n);
                })
            }
            Action::Close(p) => {
                let end = self.pipes.borrow()[p.0].write.clone();
                Box::new(move || *lock(&end) = None)
            }
            Action::Wakeup => Box::new(move || context.wakeup()),
            Action::Quit(l) => {
                let l = self.get_loop(l);
                Box::new(move || l.quit())
            }
            Action::MakeReady(s) => {
                let s = self.get(s);
                Box::new(move || raw_source::set_ready_time(&s, 0))
            }
            Action::Attach(s) => {
                let s = self.get(s);
                Box::new(move || {
                    s.attach(Some(&context));
                })
            }
            Action::Destroy(s) => {
                let s = self.get(s);
                Box::new(move || s.destroy())
            }
            Action::Invoke => {
                let call = self.invoked.borrow().clone();
                Box::new(move || context.invoke(move || call()))
            }
        };
        self.threads.borrow_mut().push(std::thread::spawn(move || {
            std::thread::sleep(after);
            act();
        }));
    }

    fn compute(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn is_stuck(&self) -> bool {
        false
    }
}

impl Drop for GlibWorld {
    fn drop(&mut self) {
        for thread in self.threads.take() {
            let _ = thread.join();
        }
        drop(self.tags.take());
        for source in self.sources.take() {
            source.glib().destroy();
        }
    }
}

impl fmt::Debug for GlibWorld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.context.fmt(f)
    }
}
