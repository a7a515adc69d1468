//! Helpers for the tests of this package: counting a process's resources, and ending loops.

pub mod bus;
pub mod calls;
pub mod child;
pub mod random;
pub mod raw_source;
pub mod sides;
pub mod world;

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use glib::{MainContext, MainLoop};
use loopnest_strategies::Dispatch;

/// A `Dispatch` on a context of its own.
///
/// # Panics
/// If the system has no descriptors left.
pub fn dispatch() -> (MainContext, Dispatch) {
    let context = MainContext::new();
    let dispatch = Dispatch::new(&context).expect("a runtime");
    (context, dispatch)
}

/// A task that counts a millisecond at a time.
pub fn ticker(dispatch: &Dispatch) -> Rc<Cell<u32>> {
    let ticks = Rc::new(Cell::new(0));
    let count = ticks.clone();
    dispatch.spawn_local(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(1)).await;
            count.set(count.get() + 1);
        }
    });
    ticks
}

/// Runs `then` on `context` once, after this time.
pub fn after(context: &MainContext, time: Duration, then: impl FnOnce() + 'static) {
    let mut then = Some(then);
    let guard = glib::thread_guard::ThreadGuard::new(move || {
        if let Some(then) = then.take() {
            then();
        }
    });
    let mut guard = Some(guard);
    glib::timeout_source_new(time, None, glib::Priority::DEFAULT, move || {
        if let Some(guard) = guard.take() {
            (guard.into_inner())();
        }
        glib::ControlFlow::Break
    })
    .attach(Some(context));
}

/// Runs a nested loop of `context` for this time.
pub fn nested_loop(context: &MainContext, time: Duration) {
    let main_loop = MainLoop::new(Some(context), false);
    let quit = main_loop.clone();
    after(context, time, move || quit.quit());
    main_loop.run();
}

/// Runs a nested loop of `context`, as a modal dialog does, until `done`. Returns `false` if that
/// takes longer than any machine needs.
pub fn dialog_until(context: &MainContext, done: impl Fn() -> bool + 'static) -> bool {
    const PATIENCE: Duration = Duration::from_secs(10);
    let main_loop = MainLoop::new(Some(context), false);
    let (begun, quit) = (Instant::now(), main_loop.clone());
    let in_time = Rc::new(Cell::new(false));
    let check = glib::thread_guard::ThreadGuard::new((done, in_time.clone()));
    let tick = move || {
        let (done, in_time) = check.get_ref();
        in_time.set(done());
        if in_time.get() || begun.elapsed() > PATIENCE {
            quit.quit();
            return glib::ControlFlow::Break;
        }
        glib::ControlFlow::Continue
    };
    let priority = glib::Priority::DEFAULT;
    glib::timeout_source_new(Duration::from_millis(1), None, priority, tick).attach(Some(context));
    main_loop.run();
    in_time.get()
}

/// The number of open descriptors of this process.
pub fn n_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// The resident memory of this process, in KiB.
pub fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// Counts how often an idle source of this priority runs. GTK redraws at 120.
pub fn count_idle(context: &MainContext, priority: i32) -> Rc<Cell<u32>> {
    let n = Rc::new(Cell::new(0));
    let count = glib::thread_guard::ThreadGuard::new(n.clone());
    glib::idle_source_new(None, glib::Priority::from(priority), move || {
        count.get_ref().set(count.get_ref().get() + 1);
        std::thread::sleep(Duration::from_millis(1));
        glib::ControlFlow::Continue
    })
    .attach(Some(context));
    n
}
