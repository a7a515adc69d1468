//! `dispatch`: GLib drives async.
//!
//! # Mechanism
//!
//! One `GSource` watches tokio's epoll descriptor and knows tokio's next deadline.
//! Its dispatch makes a *turn*: it runs tokio until tokio would park, and there answers tokio's
//! wait at once and ends the turn. The timeout that tokio asked for is the next deadline.
//! No thread, no polling, exact deadlines.
//!
//! The application's tasks are not tokio's. They live in [`Executor`], a run queue that may be
//! re-entered, and are polled with the runtime entered, so that tokio's sockets and timers work in
//! them.
//!
//! # Under a nested loop
//!
//! The source may recurse. A nested loop, opened by a callback or by one of our tasks, dispatches
//! it again: tokio makes turns and the other tasks go on.
//! Only a nested loop opened by a task on tokio's *own* queue (`tokio::spawn` in a library) stands
//! inside a turn, and tokio refuses a second one on its stack.
//! Then our tasks go on as far as GLib wakes them, tokio's I/O and timers wait, nothing spins, and
//! a warning says so.
//!
//! # Timers
//!
//! tokio's: a millisecond wheel, never early. The deadline is given to GLib as `prepare`'s timeout
//! and not by `g_source_set_ready_time`, because each change of a ready time writes the context's
//! eventfd and costs another iteration.
//!
//! # Limits
//!
//! - A nested loop opened by a task on tokio's own queue, as above.
//! - tokio's cooperative budget does not apply to our tasks: one that never waits keeps the thread.
//! - Linux only: it stands on `epoll_wait`.
//!
//! # Prior art
//!
//! smol-rs/smol#94, tokio#7348, tokio#2443; slint's Node integration (`uv_backend_fd`); node-gtk.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::os::fd::{BorrowedFd, RawFd};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use glib::{IOCondition, MainContext, MainLoop};
use loopnest_core::executor::{Executor, JoinError, JoinHandle, Slice, Spawner};
use tokio::runtime::{Builder, Handle, LocalRuntime};

use crate::epoll::{self, Selector};
use crate::source::{self, Callbacks, FdTag, Prepare, Source, SourceRef};

/// How long our tasks may run in one dispatch before GLib's other sources get their turn.
const SLICE: Duration = Duration::from_millis(2);

/// Work left after a slice goes on at this priority (`G_PRIORITY_DEFAULT_IDLE`), below GTK's
/// redraws at 120 and level with idle callbacks.
const BACKLOG_PRIORITY: i32 = 200;

/// Work left waits at most this long: below a flood of GLib sources at default priority the
/// backlog would never run.
const BACKLOG_AGE: Duration = Duration::from_millis(10);

/// tokio and an executor as sources of a GLib context.
///
/// Make it on the thread that iterates the context and keep it there for as long as tasks are to
/// run. Any loop of that context runs them: `MainLoop::run`, `gtk::Application::run`,
/// `MainContext::iteration`, and every loop nested in these.
///
/// Dropping it drops all tasks, then the runtime.
///
/// ```
/// use std::time::Duration;
/// use loopnest_strategies::Dispatch;
///
/// let context = glib::MainContext::default();
/// let dispatch = Dispatch::new(&context)?;
/// let n = dispatch.block_on(async {
///     tokio::time::sleep(Duration::from_millis(1)).await;
///     42
/// });
/// assert_eq!(n, 42);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Dispatch {
    // Declared, and so dropped, in this order: no callbacks, then no tasks, then no runtime.
    main: Source<MainCallbacks>,
    _backlog: Source<BacklogCallbacks>,
    shared: Rc<Shared>,
    context: MainContext,
}

struct Shared {
    executor: Executor,
    runtime: LocalRuntime,
    turn: Rc<Turn>,
    /// Work was left after a slice at this time.
    backlog: Cell<Option<Instant>>,
    warned: Cell<bool>,
}

/// How a turn stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Running,
    /// Over, and there was nothing to do.
    Idle,
    /// Over, and something was done.
    Served,
    /// Over with work left.
    OutOfTime,
}

thread_local! {
    /// How many turns are on this thread's stack.
    static TURNS: Cell<usize> = const { Cell::new(0) };
}

/// Whether the caller stands inside a task on tokio's own queue, in a turn of this thread.
pub(crate) fn is_turning() -> bool {
    TURNS.get() > 0
}

/// Stands in for tokio's wait during a turn.
#[derive(Default)]
struct Turn {
    /// tokio's epoll descriptor, learnt in the first turn.
    epfd: Cell<Option<RawFd>>,
    /// A turn is on the stack.
    running: Cell<bool>,
    state: Cell<State>,
    /// A wait was answered with what the kernel had.
    answered: Cell<bool>,
    /// When the turn has lasted long enough.
    end: Cell<Option<Instant>>,
    /// When tokio wants to be run again though no descriptor is ready.
    deadline: Cell<Option<Instant>>,
    /// Wakes the future that the turn is run for.
    waker: RefCell<Option<Waker>>,
}

impl Dispatch {
    /// Attaches a runtime and an executor to `context`.
    ///
    /// # Errors
    /// When the system gives no descriptors for the runtime.
    ///
    /// # Panics
    /// Inside another runtime's `block_on`.
    pub fn new(context: &MainContext) -> std::io::Result<Self> {
        let ring = context.clone();
        Self::with_ring(context, move || ring.wakeup())
    }

    /// As [`new`](Self::new) with another way of waking the context: a control needs a broken one.
    pub(crate) fn with_ring(
        context: &MainContext,
        ring: impl Fn() + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build_local(Default::default())?;
        let executor = Executor::new(ring);
        let shared = Rc::new(Shared {
            executor,
            runtime,
            turn: Rc::default(),
            backlog: Cell::new(None),
            warned: Cell::new(false),
        });
        // tokio says its descriptor only by waiting on it.
        shared.turn(Instant::now() + SLICE);
        let Some(epfd) = shared.turn.epfd.get() else {
            return Err(std::io::Error::other(
                "tokio did not call epoll_wait; is this program linked so that libc's is taken?",
            ));
        };
        let main = Source::new(
            "loopnest dispatch",
            MainCallbacks {
                shared: shared.clone(),
                tag: Cell::new(None),
                watching: Cell::new(true),
            },
        );
        main.set_can_recurse(true);
        // SAFETY: the runtime owns the descriptor and outlives the source: see the field order.
        let epfd = unsafe { BorrowedFd::borrow_raw(epfd) };
        main.callbacks().tag.set(Some(main.as_ref().add_fd(epfd, IOCondition::IN)));
        let backlog = Source::new("loopnest backlog", BacklogCallbacks(shared.clone()));
        backlog.set_can_recurse(true);
        backlog.set_priority(BACKLOG_PRIORITY);
        main.attach(context);
        backlog.attach(context);
        Ok(Self { main, _backlog: backlog, shared, context: context.clone() })
    }

    /// Starts a task on this thread. It may hold anything and use tokio's sockets and timers.
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.shared.executor.spawn_local(future)
    }

    /// A handle that starts tasks from any thread.
    pub fn spawner(&self) -> Spawner {
        self.shared.executor.spawner()
    }

    /// tokio's handle, for libraries that want one.
    ///
    /// What is spawned through it lives on tokio's own queue: see *Limits* on top of this module.
    pub fn handle(&self) -> &Handle {
        self.shared.runtime.handle()
    }

    /// Runs the context until `future` is done.
    ///
    /// May be called from inside a callback or a task; GLib and all other tasks go on meanwhile.
    ///
    /// # Panics
    /// With the panic of `future`, or of a callback of a [`Source`]; and inside a task on tokio's
    /// own queue, as tokio itself does, because the future could wait for ever there.
    pub fn block_on<F>(&self, future: F) -> F::Output
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        assert!(
            !self.is_inside_library_task(),
            "block_on inside a task spawned with tokio::spawn cannot run tokio's I/O and timers; \
             call it from a callback or from a task of Dispatch::spawn_local"
        );
        let main_loop = MainLoop::new(Some(&self.context), false);
        let result = Rc::new(RefCell::new(None));
        let (quit, slot) = (main_loop.clone(), result.clone());
        let task = self.spawn_local(future);
        let waiter = self.spawn_local(async move {
            slot.replace(Some(task.await));
            quit.quit();
        });
        source::run(&main_loop);
        drop(waiter);
        match result.take() {
            Some(Ok(output)) => output,
            Some(Err(JoinError::Panicked(panic))) => panic.resume(),
            _ => unreachable!("the loop is quit only by the waiter, or by a panic that went on"),
        }
    }

    /// Whether the caller stands inside a task on tokio's own queue, where tokio cannot be turned.
    pub fn is_inside_library_task(&self) -> bool {
        self.shared.turn.running.get()
    }

    /// How many of our tasks live.
    pub fn n_tasks(&self) -> usize {
        self.shared.executor.n_tasks()
    }
}

impl fmt::Debug for Dispatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatch").field("n_tasks", &self.n_tasks()).finish_non_exhaustive()
    }
}

impl Drop for Dispatch {
    fn drop(&mut self) {
        // The callbacks hold `shared` until GLib lets go of them, which a dispatch on the stack
        // may delay; the watch on a descriptor that is about to be closed must end now.
        self.main.destroy();
    }
}

impl Shared {
    /// Runs tokio until it would park, at the longest until `end`.
    fn turn(&self, end: Instant) {
        let turn = &self.turn;
        turn.running.set(true);
        TURNS.set(TURNS.get() + 1);
        turn.begin(end);
        let installed = epoll::install(turn.clone());
        self.runtime.block_on(poll_fn(|cx| {
            if turn.state.get() != State::Running {
                return Poll::Ready(());
            }
            turn.waker.replace(Some(cx.waker().clone()));
            Poll::Pending
        }));
        drop(installed);
        TURNS.set(TURNS.get() - 1);
        turn.running.set(false);
    }

    /// Runs our tasks and tokio in turn until both have nothing to do, for about one slice.
    ///
    /// The last turn finds nothing, and says how long nothing will be found: that spares the
    /// iterations that tokio's own wake-ups would cost, one for each timer a task arms.
    fn run(&self) {
        let end = Instant::now() + SLICE;
        let _entered = self.runtime.enter();
        let more = if self.turn.running.get() {
            self.warn();
            self.run_tasks_inside_turn() == Slice::More
        } else {
            loop {
                // tokio gets its turn even when our tasks have used up the time.
                let slice = self.executor.run_until(end);
                self.turn(end);
                let out_of_time = self.turn.state.get() == State::OutOfTime;
                if slice == Slice::More || out_of_time || Instant::now() >= end {
                    break true;
                }
                if self.turn.state.get() == State::Idle && !self.executor.is_ready() {
                    break false;
                }
            }
        };
        self.backlog.set(more.then(Instant::now));
    }

    /// Here tokio's budget of the task on the stack is in force and is never refilled: a channel
    /// would say "not now" and wake at once, for ever (gtk-rs-core#1251).
    fn run_tasks_inside_turn(&self) -> Slice {
        let end = Instant::now() + SLICE;
        let slice = pin!(poll_fn(|_| Poll::Ready(self.executor.run_until(end))));
        let slice = pin!(tokio::task::unconstrained(slice));
        match slice.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(slice) => slice,
            Poll::Pending => Slice::Empty,
        }
    }

    fn warn(&self) {
        if !self.warned.replace(true) {
            tracing::warn!(
                "a nested loop was opened inside a task spawned with tokio::spawn: tokio's I/O \
                 and timers wait until it closes; open it from a task of Dispatch::spawn_local"
            );
        }
    }
}

impl Turn {
    fn begin(&self, end: Instant) {
        self.state.set(State::Running);
        self.answered.set(false);
        self.end.set(Some(end));
    }

    fn finish(&self, state: State) {
        self.state.set(state);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Selector for Turn {
    fn wait(&self, epfd: RawFd, timeout: i32, kernel: &mut dyn FnMut(i32) -> i32) {
        // A library may have an epoll of its own; the first wait of the first turn is tokio's.
        if *self.epfd.get().get_or_insert(epfd) != epfd {
            kernel(timeout);
            return;
        }
        self.epfd.set(Some(epfd));
        if timeout == 0 {
            // Tasks of tokio's own are ready or a timer has expired. It will ask again.
            kernel(0);
            self.answered.set(true);
            if self.end.get().is_some_and(|end| Instant::now() >= end) {
                self.finish(State::OutOfTime);
            }
            return;
        }
        // Once per turn is enough: there is another turn after our tasks have run.
        let answered = self.answered.replace(true);
        if !answered && kernel(0) > 0 {
            return;
        }
        let wait = u64::try_from(timeout).ok().map(Duration::from_millis);
        self.deadline.set(wait.and_then(|wait| Instant::now().checked_add(wait)));
        self.finish(if answered { State::Served } else { State::Idle });
    }
}

/// Ready when tokio has to be turned or a task is ready.
struct MainCallbacks {
    shared: Rc<Shared>,
    tag: Cell<Option<FdTag>>,
    /// Whether the descriptor is being polled for.
    watching: Cell<bool>,
}

impl MainCallbacks {
    /// Inside a turn nobody drains the descriptor, and a ready one would spin. With work left over,
    /// a ready one would bring everything forward to our default priority. Stop watching it.
    fn watch(&self, this: SourceRef<'_>, wanted: bool) {
        if self.watching.replace(wanted) == wanted {
            return;
        }
        if let Some(tag) = self.tag.get() {
            let condition = if wanted { IOCondition::IN } else { IOCondition::empty() };
            this.modify_fd(tag, condition);
        }
    }

    /// What is left of the time until something is due by the clock.
    fn wait(&self) -> Option<Duration> {
        let turn = &self.shared.turn;
        let deadline = turn.deadline.get().filter(|_| !turn.running.get());
        let aged = self.shared.backlog.get().map(|since| since + BACKLOG_AGE);
        let due = [deadline, aged].into_iter().flatten().min()?;
        Some(due.saturating_duration_since(Instant::now()))
    }

    fn is_due(&self) -> bool {
        self.wait().is_some_and(|wait| wait.is_zero())
    }
}

impl Callbacks for MainCallbacks {
    fn prepare(&self, this: SourceRef<'_>) -> Prepare {
        let backlog = self.shared.backlog.get().is_some();
        self.watch(this, !backlog && !self.shared.turn.running.get());
        if !backlog && self.shared.executor.prepare() {
            return Prepare::Ready;
        }
        match self.wait() {
            Some(wait) if wait.is_zero() => Prepare::Ready,
            wait => Prepare::Wait(wait),
        }
    }

    fn check(&self, _this: SourceRef<'_>) -> bool {
        let ready = self.shared.executor.check() && self.shared.backlog.get().is_none();
        ready || self.is_due()
    }

    fn dispatch(&self, _this: SourceRef<'_>) -> ControlFlow<()> {
        self.shared.run();
        ControlFlow::Continue(())
    }
}

/// Ready when work was left after a slice.
struct BacklogCallbacks(Rc<Shared>);

impl Callbacks for BacklogCallbacks {
    fn prepare(&self, _this: SourceRef<'_>) -> Prepare {
        match self.0.backlog.get() {
            Some(_) => Prepare::Ready,
            None => Prepare::Wait(None),
        }
    }

    fn check(&self, _this: SourceRef<'_>) -> bool {
        self.0.backlog.get().is_some()
    }

    fn dispatch(&self, _this: SourceRef<'_>) -> ControlFlow<()> {
        self.0.run();
        ControlFlow::Continue(())
    }
}
