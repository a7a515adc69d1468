//! Where tokio's idea of what goes on differs from ours.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use glib::ControlFlow;
use loopnest_strategies::Dispatch;
use loopnest_tests::{child, dispatch, nested_loop};
use tokio::task::yield_now;
use tokio::time::{pause, resume, sleep, timeout};

const MS: Duration = Duration::from_millis(1);

/// With a paused clock: whether short sleeps end inside a long time-out, and what the clock says.
async fn paused() -> (bool, Duration) {
    pause();
    let begun = tokio::time::Instant::now();
    let naps = async {
        for _ in 0..5 {
            sleep(10 * MS).await;
        }
    };
    let in_time = timeout(Duration::from_secs(3600), naps).await.is_ok();
    let passed = begun.elapsed();
    resume();
    (in_time, passed)
}

/// tokio#4522: tokio takes itself to be idle, and advances the clock, while our tasks are ready.
#[test]
fn a_paused_clock_advances_to_the_next_timer_of_our_tasks() {
    let (_context, dispatch) = dispatch();
    let (in_time, passed) = dispatch.block_on(paused());
    assert!(in_time);
    assert!(passed >= 50 * MS && passed < 60 * MS, "{passed:?}");
    // Beside tasks on tokio's own queue.
    let library = dispatch.tokio_handle().spawn(async {
        pause();
        sleep(Duration::from_secs(60)).await;
    });
    let (in_time, _) = dispatch.block_on(async { paused().await });
    assert!(in_time);
    library.abort();
}

#[test]
fn with_a_paused_clock_tasks_wake_in_the_order_of_their_timers() {
    let (_context, dispatch) = dispatch();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let task = |naps: &'static [u64]| {
        let seen = seen.clone();
        dispatch.spawn_local(async move {
            let mut at = 0;
            for nap in naps {
                sleep(*nap as u32 * MS).await;
                at += nap;
                seen.borrow_mut().push(at);
            }
        })
    };
    let pausing = dispatch.spawn_local(async { pause() });
    let tasks = [task(&[30, 40]), task(&[10, 10, 60]), task(&[5, 20])];
    dispatch.block_on(async move {
        pausing.await.expect("it does not panic");
        for task in tasks {
            task.await.expect("it does not panic");
        }
        resume();
    });
    assert_eq!(*seen.borrow(), [5, 10, 20, 25, 30, 70, 80]);
}

/// A flood of library tasks, each of which computes for a slice. GTK redraws after a few polls, and
/// not after tokio's 61.
#[test]
fn library_tasks_that_compute_leave_gtk_its_redraws() {
    let (context, dispatch) = dispatch();
    let polls = Rc::new(Cell::new(0));
    static POLLS: AtomicU32 = AtomicU32::new(0);
    for _ in 0..100 {
        dispatch.tokio_handle().spawn(async {
            loop {
                let begun = Instant::now();
                while begun.elapsed() < 2 * MS {}
                POLLS.fetch_add(1, Ordering::Relaxed);
                yield_now().await;
            }
        });
    }
    let (longest, n) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let seen = glib::thread_guard::ThreadGuard::new((polls, longest.clone(), n.clone()));
    glib::idle_source_new(None, glib::Priority::from(120), move || {
        let (polls, longest, n) = seen.get_ref();
        let now = POLLS.load(Ordering::Relaxed);
        longest.set(longest.get().max(now - polls.replace(now)));
        n.set(n.get() + 1);
        ControlFlow::Continue
    })
    .attach(Some(&context));
    nested_loop(&context, 500 * MS);
    assert!(n.get() > 3, "{} redraws", n.get());
    assert!(longest.get() <= 16, "{} polls without a redraw", longest.get());
}

/// Without descriptors `new` is an error everywhere, and nothing panics on the way.
#[test]
fn without_descriptors_there_is_an_error() {
    child::run_silent("without_descriptors_there_is_an_error", || {
        use loopnest_strategies::{GtkRs, Handoff, Nested, WakeAfterDispatch};
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

        let context = glib::MainContext::new();
        let before = getrlimit(Resource::Nofile);
        let open = loopnest_tests::n_descriptors() as u64;
        let mut refused = [0; 4];
        for more in 0..40 {
            let limit = Rlimit { current: Some(open + more), maximum: before.maximum };
            setrlimit(Resource::Nofile, limit).expect("a lower limit is allowed");
            let made = [
                Dispatch::new(&context).map(drop).is_err(),
                Nested::new(&context, WakeAfterDispatch::Yes).map(drop).is_err(),
                Handoff::new(&context).map(drop).is_err(),
                GtkRs::new(&context).map(drop).is_err(),
            ];
            for (refused, made) in refused.iter_mut().zip(made) {
                *refused += u32::from(made);
            }
        }
        setrlimit(Resource::Nofile, before).expect("the old limit");
        assert!(refused.iter().all(|&n| n > 4 && n < 40), "{refused:?}");
    });
}
