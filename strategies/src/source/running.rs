//! Running a loop so that a panic in a callback reaches the caller, and quitting one.
//!
//! A panic never crosses C. It is caught at the border, carried past C, and resumed in the caller
//! of the innermost [`run`].

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::resume_unwind;

thread_local! {
    /// The loops run by `run` that are on the stack.
    static LOOPS: RefCell<Vec<glib::MainLoop>> = const { RefCell::new(Vec::new()) };
    /// A panic on its way to the caller of `run`.
    static CARRIED: Cell<Option<Box<dyn Any + Send>>> = const { Cell::new(None) };
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
pub fn quit_when_running(main_loop: &glib::MainLoop) {
    let quit = main_loop.clone();
    glib::idle_source_new(None, glib::Priority::DEFAULT, move || {
        quit.quit();
        glib::ControlFlow::Break
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
/// # Panics
/// If a callback panicked, with that panic.
pub fn run(main_loop: &glib::MainLoop) {
    run_keeping(main_loop);
    resume_carried_panic();
}

/// Like [`run`], but a panic stays carried.
pub(crate) fn run_keeping(main_loop: &glib::MainLoop) {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            LOOPS.with_borrow_mut(|loops| loops.pop());
        }
    }
    LOOPS.with_borrow_mut(|loops| loops.push(main_loop.clone()));
    let _leave = Leave;
    main_loop.run();
}

/// Keeps a panic that was caught at the border to C, and ends the innermost loop of [`run`].
pub(crate) fn carry_panic(panic: Box<dyn Any + Send>) {
    // While thread-locals are being destroyed there is no `run` left to resume it.
    let _ = CARRIED.try_with(|carried| {
        // The first panic is the cause; later ones are consequences.
        let first = carried.take();
        carried.set(Some(first.unwrap_or(panic)));
    });
    let _ = LOOPS.try_with(|loops| {
        if let Ok(loops) = loops.try_borrow()
            && let Some(innermost) = loops.last()
        {
            innermost.quit();
        }
    });
}

/// Whether a panic is being carried.
#[cfg(feature = "epoll-hook")]
pub(crate) fn panic_is_carried() -> bool {
    CARRIED.with(|carried| {
        let panic = carried.take();
        let is = panic.is_some();
        carried.set(panic);
        is
    })
}

/// Resumes the panic of a [`Source`](super::Source)'s callback, if one is being carried.
///
/// [`run`] does this itself. You need it only if you run the loop by other means.
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
    if let Some(panic) = CARRIED.take() {
        resume_unwind(panic);
    }
}
