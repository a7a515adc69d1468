//! `HostLoops` on the real GLib: nested loops that another thread ends, and tasks on another
//! runtime.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, TryRecvError, channel};
use std::thread::{self, ThreadId};
use std::time::Duration;

use glib::MainContext;
use harness::subjects::host::{HostLoops, Tasks};
use loopnest_core::loops::{BoxFuture, Canceller, Home, Loops};
use loopnest_core::program::How;
use loopnest_strategies::{GlibHandle, JobQueue};

/// A strategy without its own tasks.
struct NoTasks(GlibHandle);

impl Tasks for NoTasks {
    fn spawn(&self, task: BoxFuture) -> Canceller {
        drop(task);
        Box::new(|| {})
    }

    fn glib(&self) -> GlibHandle {
        self.0.clone()
    }
}

/// How many loops are opened while another thread is ending them.
const LOOPS: usize = 30_000;

/// In how many steps the quit moves relative to the opening.
const SWEEP: usize = 200;

#[test]
fn a_nested_loop_ends_when_another_thread_quits_it_as_it_begins() {
    let jobs = JobQueue::new(&MainContext::default()).expect("nobody owns it");
    for how in [How::Run, How::Iteration] {
        let loops = HostLoops::new(NoTasks(jobs.handle()));
        let opened = AtomicUsize::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                for nth in 1..=LOOPS {
                    while opened.load(Ordering::SeqCst) < nth {
                        std::hint::spin_loop();
                    }
                    // A little later each time, to sweep over the moment at which the loop starts.
                    (0..nth % SWEEP).for_each(|_| std::hint::spin_loop());
                    loops.quit(&nth.to_string());
                }
            });
            for nth in 1..=LOOPS {
                let name = nth.to_string();
                opened.store(nth, Ordering::SeqCst);
                loops.run_nested(&name, how).expect("nothing is refused here");
            }
        });
    }
}

/// Reports when it is dropped: on which thread, and whether that panics.
struct Goes(Sender<(ThreadId, bool)>);

impl Drop for Goes {
    fn drop(&mut self) {
        // Fails only if the test has failed.
        let _ = self.0.send((thread::current().id(), thread::panicking()));
    }
}

#[test]
fn a_remote_task_is_on_another_thread_and_its_jobs_are_on_this_one() {
    let context = MainContext::new();
    let jobs = JobQueue::new(&context).expect("nobody owns it");
    let loops = HostLoops::new(NoTasks(jobs.handle()));
    let (tx, rx) = channel();
    let inside = loops.clone();
    let said = Goes(tx.clone());
    let goes = Goes(tx);
    let task = async move {
        inside.sleep_until(inside.now() + Duration::from_millis(1)).await;
        let job = move || drop(said);
        inside.on_host(Home::Remote, Box::new(job)).await.expect("a job is done");
        // The last owner: the runtime is dropped inside its own task.
        drop(inside);
        drop(goes);
    };
    drop(loops.spawn(Home::Remote, Box::pin(task)));
    drop(loops);
    let mut threads = Vec::new();
    loop {
        context.iteration(false);
        match rx.try_recv() {
            Ok(thread) => threads.push(thread),
            Err(TryRecvError::Empty) => thread::yield_now(),
            Err(TryRecvError::Disconnected) => break,
        }
    }
    let here = thread::current().id();
    assert_eq!(threads.len(), 2);
    assert_eq!(threads[0], (here, false));
    assert!(threads[1].0 != here && !threads[1].1, "{threads:?}");
}

#[test]
fn a_cancelled_remote_task_is_dropped() {
    let jobs = JobQueue::new(&MainContext::new()).expect("nobody owns it");
    let loops = HostLoops::new(NoTasks(jobs.handle()));
    let (tx, rx) = channel::<()>();
    let never = async move {
        std::future::pending::<()>().await;
        drop(tx);
    };
    loops.spawn(Home::Remote, Box::pin(never))();
    assert!(rx.recv().is_err(), "its sender is dropped with it");
}
