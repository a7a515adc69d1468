//! Endings: a loop that waits for silence finds it, and what is dropped waits only for what it was
//! asked to.

use std::cell::Cell;
use std::future::{Future, pending};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use gio::prelude::*;
use glib::MainContext;
use loopnest_strategies::{
    CallError, Dispatch, GtkRs, Handoff, JobQueue, Nested, WakeAfterDispatch,
};
use loopnest_tests::{child, dispatch, ticker};
use tokio::task::yield_now;
use tokio::time::sleep;

const MS: Duration = Duration::from_millis(1);
/// Longer than any machine needs.
const LONG: Duration = Duration::from_secs(60);

/// Iterates until nothing is pending: whether that came within a number of iterations.
fn falls_silent(context: &MainContext) -> bool {
    let silent = |_: &i32| {
        let pending = context.pending();
        if pending {
            context.iteration(false);
        }
        !pending
    };
    (0..2000).find(silent).is_some()
}

/// A thread that does something again and again for as long as this lives.
struct Flood(Arc<AtomicBool>, Option<thread::JoinHandle<()>>);

impl Flood {
    fn of(mut deed: impl FnMut() + Send + 'static) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let told = over.clone();
        let thread = thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                deed();
            }
        });
        Self(over, Some(thread))
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        if let Some(thread) = self.1.take() {
            thread.join().expect("it does not panic");
        }
    }
}

async fn always_ready() {
    loop {
        yield_now().await;
    }
}

#[test]
fn a_task_that_is_always_ready_leaves_silence_once_stopped() {
    let (context, dispatch) = dispatch();
    let polls = Rc::new(Cell::new(0u64));
    let count = polls.clone();
    dispatch.spawn_local(async move {
        loop {
            count.set(count.get() + 1);
            yield_now().await;
        }
    });
    assert!(!falls_silent(&context));
    dispatch.stop();
    assert!(falls_silent(&context));
    // It goes on in a loop that does not wait for silence.
    let before = polls.get();
    for _ in 0..20 {
        context.iteration(true);
    }
    assert!(polls.get() > before);
}

#[test]
fn a_library_task_that_is_always_ready_leaves_silence_once_stopped() {
    let (context, dispatch) = dispatch();
    dispatch.tokio_handle().spawn(always_ready());
    assert!(!falls_silent(&context));
    dispatch.stop();
    assert!(falls_silent(&context));
}

#[test]
fn threads_that_spawn_leave_silence_once_stopped() {
    let (context, dispatch) = dispatch();
    let (spawner, handle) = (dispatch.spawner(), dispatch.tokio_handle().clone());
    let _ours = Flood::of(move || drop(spawner.spawn(async {})));
    let _tokios = Flood::of(move || drop(handle.spawn(async {})));
    dispatch.stop();
    assert!(falls_silent(&context));
}

#[test]
fn threads_that_send_jobs_leave_silence_once_stopped() {
    let context = MainContext::new();
    let handoff = Handoff::new(&context).expect("a runtime");
    let (glib, runtime) = (handoff.glib(), handoff.tokio_handle().clone());
    let flood = Flood::of(move || drop(runtime.block_on(glib.call(|| ()))));
    handoff.stop();
    assert!(falls_silent(&context));
    // The thread waits for a job.
    drop(handoff);
    drop(flood);
}

#[test]
fn a_stopped_queue_does_what_it_has_and_takes_no_more() {
    let context = MainContext::new();
    let jobs = JobQueue::new(&context).expect("the context is free");
    let glib = jobs.handle();
    let mut early = pin!(glib.call(|| 42));
    // The job is queued by the first poll.
    assert!(early.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    jobs.stop();
    let late = context.block_on(glib.call(|| 43));
    assert!(matches!(late, Err(CallError::Gone)));
    assert!(matches!(context.block_on(early), Ok(42)));
}

#[test]
fn two_that_are_stopped_rest_together() {
    let (context, one) = dispatch();
    let two = Dispatch::new(&context).expect("a runtime");
    for dispatch in [&one, &two] {
        dispatch.spawn_local(always_ready());
        dispatch.stop();
    }
    // Made after the stop.
    let (glib, runtime) = (one.glib(), tokio::runtime::Builder::new_current_thread().build());
    let runtime = runtime.expect("a runtime");
    let flood = Flood::of(move || drop(runtime.block_on(glib.call(|| ()))));
    assert!(falls_silent(&context));
    // The thread waits for a job.
    drop((one, two));
    drop(flood);
}

/// A task that is always ready, and gives up where it would go on for ever. In a child process.
fn abort_if_endless(dispatch: &Dispatch, over: Rc<Cell<bool>>) {
    dispatch.spawn_local(async move {
        let mut polls = 0;
        loop {
            polls += u64::from(over.get());
            if polls == 1_000_000 {
                eprintln!("the application does not end");
                std::process::abort();
            }
            yield_now().await;
        }
    });
    dispatch.tokio_handle().spawn(always_ready());
}

fn run(application: &gio::Application) -> glib::ExitCode {
    let no_arguments: [&str; 0] = [];
    application.run_with_args(&no_arguments)
}

#[test]
fn an_application_ends_beside_tasks_that_are_always_ready() {
    child::run_silent("an_application_ends_beside_tasks_that_are_always_ready", || {
        let dispatch = Dispatch::new(&MainContext::default()).expect("a runtime");
        let flags = gio::ApplicationFlags::NON_UNIQUE;
        let application = gio::Application::new(None, flags);
        application.connect_activate(|application| {
            let hold = application.hold();
            glib::timeout_add_local_once(20 * MS, move || drop(hold));
        });
        let over = Rc::new(Cell::new(false));
        let told = over.clone();
        application.connect_shutdown(move |_| told.set(true));
        // The last lines of `run` would go on for ever.
        abort_if_endless(&dispatch, over);
        assert_eq!(run(&application), glib::ExitCode::SUCCESS);
        // New tasks are still taken, for what is to be saved at the end.
        assert_eq!(dispatch.block_on(async { dispatch_free().await }), 42);
    });
}

#[test]
fn an_application_that_never_iterates_ends_beside_tasks_that_are_always_ready() {
    let test = "an_application_that_never_iterates_ends_beside_tasks_that_are_always_ready";
    child::run_silent(test, || {
        let dispatch = Dispatch::new(&MainContext::default()).expect("a runtime");
        let application = gio::Application::new(None, gio::ApplicationFlags::NON_UNIQUE);
        dispatch.end_with(&application);
        application.connect_activate(|_| {});
        abort_if_endless(&dispatch, Rc::new(Cell::new(true)));
        assert_eq!(run(&application), glib::ExitCode::SUCCESS);
    });
}

#[test]
fn an_application_that_only_answers_ends_beside_tasks_that_are_always_ready() {
    let test = "an_application_that_only_answers_ends_beside_tasks_that_are_always_ready";
    child::run_silent(test, || {
        let application = gio::Application::new(None, gio::ApplicationFlags::NON_UNIQUE);
        let dispatch = Dispatch::new(&MainContext::default()).expect("a runtime");
        application.connect_handle_local_options(|_, _| {
            std::ops::ControlFlow::Break(glib::ExitCode::from(7))
        });
        abort_if_endless(&dispatch, Rc::new(Cell::new(true)));
        assert_eq!(run(&application), glib::ExitCode::from(7));
    });
}

#[test]
fn what_outlives_an_application_is_not_slowed_down_for_ever() {
    child::run_silent("what_outlives_an_application_is_not_slowed_down_for_ever", || {
        let context = MainContext::default();
        let application = gio::Application::new(None, gio::ApplicationFlags::NON_UNIQUE);
        let dispatch = Dispatch::new(&context).expect("a runtime");
        application.connect_activate(|_| {});
        assert_eq!(run(&application), glib::ExitCode::SUCCESS);
        dispatch.spawn_local(always_ready());
        // A rest is an iteration or two in which nothing is pending.
        let silent: Vec<bool> = (0..5000).map(|_| !context.iteration(true)).collect();
        assert!(silent[..1000].contains(&true) && !silent[4000..].contains(&true));
    });
}

mod imp {
    use std::cell::OnceCell;

    use gio::subclass::prelude::*;
    use loopnest_strategies::Dispatch;

    /// An application that owns its tasks, as many do.
    #[derive(Default)]
    pub(super) struct Owns {
        pub(super) dispatch: OnceCell<Dispatch>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Owns {
        const NAME: &'static str = "LoopnestTestOwns";
        type Type = super::Owns;
        type ParentType = gio::Application;
    }

    impl ObjectImpl for Owns {}

    impl ApplicationImpl for Owns {
        fn activate(&self) {
            let dispatch = Dispatch::new(&glib::MainContext::default()).expect("a runtime");
            dispatch.spawn_local(super::always_ready());
            let _ = self.dispatch.set(dispatch);
        }

        fn shutdown(&self) {
            self.parent_shutdown();
            if let Some(dispatch) = self.dispatch.get() {
                dispatch.spawn_local(super::dispatch_free());
            }
        }
    }
}

glib::wrapper! {
    struct Owns(ObjectSubclass<imp::Owns>)
        @extends gio::Application, @implements gio::ActionGroup, gio::ActionMap;
}

#[test]
fn a_dispatch_is_dropped_with_the_application_that_owns_it() {
    child::run_silent("a_dispatch_is_dropped_with_the_application_that_owns_it", || {
        let flags = gio::ApplicationFlags::NON_UNIQUE;
        let application: Owns = glib::Object::builder().property("flags", flags).build();
        assert_eq!(run(application.upcast_ref()), glib::ExitCode::SUCCESS);
        let gone = application.downgrade();
        drop(application);
        assert!(gone.upgrade().is_none());
        assert!(gio::Application::default().is_none());
    });
}

#[test]
fn an_application_and_a_dispatch_may_be_on_two_threads() {
    let child = child::run("an_application_and_a_dispatch_may_be_on_two_threads", || {
        let application = gio::Application::new(None, gio::ApplicationFlags::NON_UNIQUE);
        application.connect_activate(|_| {});
        let ((begun, has_begun), (over, is_over)) = (mpsc::channel(), mpsc::channel::<()>());
        let elsewhere = thread::spawn(move || {
            let dispatch = Dispatch::new(&MainContext::default()).expect("a runtime");
            dispatch.block_on(async { sleep(MS).await });
            begun.send(()).expect("the test waits");
            assert!(is_over.recv().is_err());
        });
        has_begun.recv().expect("it has begun");
        assert_eq!(run(&application), glib::ExitCode::SUCCESS);
        drop((application, over));
        elsewhere.join().expect("it does not panic");
    });
    // There is a warning of the loop elsewhere.
    assert!(child.is_none_or(|child| child.passed));
}

async fn dispatch_free() -> u32 {
    sleep(MS).await;
    42
}

#[test]
fn what_is_stopped_takes_no_tasks_and_still_waits() {
    let (_context, dispatch) = dispatch();
    let begun = ticker(&dispatch);
    dispatch.stop();
    dispatch.stop();
    let (late, later) = (dispatch.spawn_local(async {}), dispatch.spawner().spawn(async {}));
    assert!(late.is_finished() && later.is_finished());
    let ended = dispatch.block_on(async move {
        sleep(20 * MS).await;
        (late.await.is_err_and(|e| e.is_cancelled()), later.await.is_err_and(|e| e.is_cancelled()))
    });
    assert_eq!(ended, (true, true));
    assert!(begun.get() > 1, "what had begun goes on");

    let handoff = Handoff::new(&MainContext::new()).expect("a runtime");
    handoff.stop();
    let late = handoff.spawn(async {});
    let late = handoff.block_on(async move { late.await.is_err_and(|e| e.is_cancelled()) });
    assert!(late);
}

#[test]
fn a_shutdown_lets_tasks_and_blocking_jobs_end() {
    let (_context, dispatch) = dispatch();
    let ended = Rc::new(Cell::new(0));
    for _ in 0..10 {
        let ended = ended.clone();
        dispatch.spawn_local(async move {
            tokio::task::spawn_blocking(|| thread::sleep(5 * MS)).await.expect("it does not panic");
            sleep(5 * MS).await;
            ended.set(ended.get() + 1);
        });
    }
    let detached = Arc::new(AtomicBool::new(false));
    let told = detached.clone();
    dispatch.tokio_handle().spawn_blocking(move || {
        thread::sleep(50 * MS);
        told.store(true, Ordering::Relaxed);
    });
    dispatch.shutdown_timeout(LONG);
    assert_eq!(ended.get(), 10);
    assert!(detached.load(Ordering::Relaxed));
}

#[test]
fn a_shutdown_of_handoff_does_the_jobs_that_its_tasks_wait_for() {
    let handoff = Handoff::new(&MainContext::new()).expect("a runtime");
    let (glib, (tx, done)) = (handoff.glib(), mpsc::channel());
    for n in 0..10 {
        let (glib, tx) = (glib.clone(), tx.clone());
        handoff.spawn(async move {
            sleep(5 * MS).await;
            tx.send(glib.call(move || n).await.expect("the GLib side is there"))
        });
    }
    let told = tx;
    handoff.tokio_handle().spawn_blocking(move || {
        thread::sleep(50 * MS);
        told.send(10)
    });
    handoff.shutdown_timeout(LONG);
    let mut done: Vec<_> = done.try_iter().collect();
    done.sort_unstable();
    assert_eq!(done, (0..=10).collect::<Vec<_>>());
}

/// Blocks until the sender is dropped.
fn blocks() -> (mpsc::Sender<()>, impl FnOnce() + Send + 'static) {
    let (tx, rx) = mpsc::channel::<()>();
    (tx, move || assert!(rx.recv().is_err()))
}

#[test]
fn a_shutdown_ends_although_what_it_waits_for_does_not() {
    let (_context, dispatch) = dispatch();
    let (release, block) = blocks();
    let task = dispatch.spawn_local(pending::<()>());
    dispatch.tokio_handle().spawn_blocking(block);
    dispatch.shutdown_timeout(20 * MS);
    assert!(task.is_finished());
    drop(release);

    let handoff = Handoff::new(&MainContext::new()).expect("a runtime");
    let (release, block) = blocks();
    let task = handoff.spawn(pending::<()>());
    handoff.tokio_handle().spawn_blocking(block);
    handoff.shutdown_timeout(20 * MS);
    assert!(task.is_finished());
    drop(release);

    let nested = Nested::new(&MainContext::new(), WakeAfterDispatch::Yes).expect("a runtime");
    let (release, block) = blocks();
    nested.tokio_handle().spawn_blocking(block);
    nested.shutdown_timeout(20 * MS);
    drop(release);

    let gtk_rs = GtkRs::new(&MainContext::new()).expect("a runtime");
    let (release, block) = blocks();
    gtk_rs.tokio_handle().spawn_blocking(block);
    gtk_rs.shutdown_timeout(20 * MS);
    drop(release);
}

#[test]
fn a_shutdown_without_anything_to_wait_for_is_over_at_once() {
    let (_context, dispatch) = dispatch();
    dispatch.shutdown_timeout(Duration::MAX);
    Handoff::new(&MainContext::new()).expect("a runtime").shutdown_timeout(Duration::MAX);
    let nested = Nested::new(&MainContext::new(), WakeAfterDispatch::Yes).expect("a runtime");
    nested.shutdown_timeout(Duration::MAX);
}

#[test]
fn a_shutdown_in_the_background_waits_for_nothing() {
    let (_context, dispatch) = dispatch();
    let (release, block) = blocks();
    let task = dispatch.spawn_local(pending::<()>());
    dispatch.tokio_handle().spawn_blocking(block);
    dispatch.shutdown_background();
    assert!(task.is_finished());
    drop(release);
}

#[test]
fn a_shutdown_inside_a_library_task_waits_for_nothing() {
    let (context, dispatch) = dispatch();
    let (other_context, other) = loopnest_tests::dispatch();
    let waits = other.spawn_local(pending::<()>());
    let local = Rc::new(Cell::new(Some(other)));
    let nested = Nested::new(&context, WakeAfterDispatch::Yes).expect("a runtime");
    let slot = local.clone();
    nested.block_on(async move {
        if let Some(other) = slot.take() {
            other.shutdown_timeout(LONG);
        }
    });
    assert!(waits.is_finished());
    drop((dispatch, other_context));
}

/// Says when it is dropped.
struct Tells(mpsc::Sender<bool>);

impl Drop for Tells {
    fn drop(&mut self) {
        let _ = self.0.send(tokio::runtime::Handle::try_current().is_ok());
    }
}

#[test]
fn tasks_are_dropped_before_the_runtime() {
    let (_context, dispatch) = dispatch();
    let (tx, rx) = mpsc::channel();
    let (handle, (told, telling)) = (dispatch.tokio_handle().clone(), (tx.clone(), tx));
    let (ours, library) = (Tells(told), Tells(telling));
    dispatch.spawn_local(async move {
        let _ours = ours;
        pending::<()>().await;
    });
    handle.spawn(async move {
        let _library = library;
        pending::<()>().await;
    });
    dispatch.shutdown_background();
    // Ours first, outside of tokio; then tokio's, inside.
    assert_eq!(rx.iter().collect::<Vec<_>>(), [false, true]);
}

#[test]
fn a_shutdown_waits_for_nothing_where_another_thread_owns_the_context() {
    let (context, dispatch) = dispatch();
    let (release, block) = blocks();
    let task = dispatch.spawn_local(pending::<()>());
    dispatch.tokio_handle().spawn_blocking(block);
    let ((owned, is_owned), (over, is_over)) = (mpsc::channel(), mpsc::channel::<()>());
    let elsewhere = thread::spawn(move || {
        let _owner = context.acquire().expect("nobody else has it");
        owned.send(()).expect("the test waits");
        assert!(is_over.recv().is_err());
    });
    is_owned.recv().expect("it owns it");
    dispatch.shutdown_timeout(Duration::MAX);
    assert!(task.is_finished());
    drop((release, over));
    elsewhere.join().expect("it does not panic");
}
