//! Running a loop so that a panic in a callback reaches the caller, and quitting one.
//!
//! A panic never crosses C. It is caught at the border, carried past C, and resumed in the caller
//! of the innermost [`run`].

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use glib::{ControlFlow, MainContext, MainLoop, Priority};
use loopnest_core::executor::Panic;

use super::asked::assert_nobody_is_asked;
use crate::advice;

thread_local! {
    /// The loops on this thread's stack to whose callers a panic can be carried, outermost first.
    static LEVELS: RefCell<Vec<Level>> = const { RefCell::new(Vec::new()) };
    /// A panic that was caught where no such loop was on the stack.
    static STRAY: Cell<Option<Panic>> = const { Cell::new(None) };
}

struct Level {
    main_loop: MainLoop,
    /// On its way to the loop's caller.
    panic: Option<Panic>,
}

/// A loop to whose caller panics are carried, for as long as this lives.
pub(crate) struct Running(PhantomData<*const ()>);

impl Running {
    /// Begins. A panic quits `main_loop`.
    pub(crate) fn enter(main_loop: &MainLoop) -> Self {
        let level = Level { main_loop: main_loop.clone(), panic: None };
        LEVELS.with_borrow_mut(|levels| levels.push(level));
        Self(PhantomData)
    }

    /// Ends, and resumes the panic that was carried here.
    pub(crate) fn leave(self) {
        let panic = take_innermost();
        drop(self);
        if let Some(panic) = panic {
            panic.resume();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let level = LEVELS.with_borrow_mut(Vec::pop);
        // Not under the borrow: a panic that is still there drops what it carries.
        drop(level);
    }
}

/// Quits the loop, from any thread, even if it does not run yet. GLib forgets a quit before the run
/// (gmain.c 2.74.6, line 4446), so this quits from an idle source of the context. If another loop
/// iterates the context before this one runs, the quit is still forgotten.
///
/// ```
/// use loopnest_strategies::glib::MainLoop;
/// use loopnest_strategies::source;
///
/// let main_loop = MainLoop::new(None, false);
/// let from_elsewhere = main_loop.clone();
/// std::thread::spawn(move || source::quit_when_running(&from_elsewhere));
/// source::run(&main_loop);
/// ```
pub fn quit_when_running(main_loop: &MainLoop) {
    let quit = main_loop.clone();
    glib::idle_source_new(None, Priority::DEFAULT, move || {
        quit.quit();
        ControlFlow::Break
    })
    .attach(Some(&main_loop.context()));
}

/// Runs `main_loop` until it is quit. A panic in a callback of a [`Source`](super::Source) ends it
/// and is resumed here.
///
/// ```
/// use std::panic::catch_unwind;
///
/// use loopnest_strategies::glib::MainLoop;
/// use loopnest_strategies::source::{self, Source, SourceRef};
///
/// let source = Source::new("panics", |_: SourceRef<'_>| panic!("as planned"));
/// source.as_ref().set_ready_time(Some(0));
/// let main_loop = MainLoop::new(None, false);
/// source.attach(&main_loop.context());
/// assert!(catch_unwind(|| source::run(&main_loop)).is_err());
/// ```
///
/// It ends early, without a panic, if a callback panicked and another one took that panic with
/// [`resume_carried_panic`] and caught it.
///
/// # Panics
/// If a callback panicked, with that panic. Also inside a `prepare` or a `check`, where GLib runs no
/// loop.
pub fn run(main_loop: &MainLoop) {
    assert_nobody_is_asked("a loop cannot be run");
    let running = Running::enter(main_loop);
    main_loop.run();
    running.leave();
}

/// This long from now, or in a year, which is as good as for ever.
pub(crate) fn far_or(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(time).unwrap_or(now + Duration::from_secs(31_536_000))
}

/// Iterates `context` until `is_over`, or until `end`. Does nothing, and returns `false`, if another
/// thread owns it.
///
/// # Panics
/// If a callback panicked, with that panic.
pub(crate) fn run_until(context: &MainContext, end: Instant, is_over: impl Fn() -> bool) -> bool {
    let Ok(_owner) = context.acquire() else { return false };
    assert_nobody_is_asked("a loop cannot be run");
    let main_loop = MainLoop::new(Some(context), false);
    let running = Running::enter(&main_loop);
    // Only ends an iteration that waits. It counts whole milliseconds in 32 bits, so one more, and
    // again should it be early.
    let left = end.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
    let left = left.min(Duration::from_secs(86_400));
    let alarm = glib::timeout_source_new(left, None, Priority::DEFAULT, || ControlFlow::Continue);
    alarm.attach(Some(context));
    while !is_over() && !panic_is_carried() && Instant::now() < end {
        context.iteration(true);
    }
    alarm.destroy();
    running.leave();
    true
}

/// Keeps a panic that was caught at the border to C, and ends the innermost loop of [`run`].
pub(crate) fn carry_panic(payload: Box<dyn Any + Send>) {
    let mut panic = Some(Panic::new(payload));
    // The first panic is the cause; later ones are consequences, and are dropped at the end. While
    // thread-locals are being destroyed there is no caller left.
    let innermost = LEVELS.try_with(|levels| {
        let mut levels = levels.try_borrow_mut().ok()?;
        let level = levels.last_mut()?;
        if level.panic.is_none() {
            level.panic = panic.take();
        }
        Some(level.main_loop.clone())
    });
    match innermost {
        Ok(Some(main_loop)) => main_loop.quit(),
        Ok(None) => {
            advice::warn(
                "a callback panicked, and no source::run is on the stack to take the panic; the loop \
                 continues",
            );
            let _ = STRAY.try_with(|stray| {
                let first = stray.take();
                stray.set(first.or_else(|| panic.take()));
            });
        }
        Err(_) => {}
    }
}

/// Whether a panic is on its way to the caller of the innermost loop.
pub(crate) fn panic_is_carried() -> bool {
    LEVELS.with_borrow(|levels| levels.last().is_some_and(|level| level.panic.is_some()))
}

fn take_innermost() -> Option<Panic> {
    LEVELS.with_borrow_mut(|levels| levels.last_mut()?.panic.take())
}

/// Resumes the panic of a [`Source`](super::Source)'s callback, if one is being carried.
///
/// [`run`] does this itself. You need it only if you run the loop by other means. No `run` that
/// begins later resumes such a panic: it is not its own.
///
/// ```
/// use loopnest_strategies::glib::MainContext;
/// use loopnest_strategies::source;
///
/// while MainContext::default().iteration(false) {
///     source::resume_carried_panic();
/// }
/// ```
///
/// # Panics
/// If a panic is being carried, with that panic.
pub fn resume_carried_panic() {
    if let Some(panic) = take_innermost().or_else(|| STRAY.take()) {
        panic.resume();
    }
}
