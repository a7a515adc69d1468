//! `HostLoops` on the real GLib: nested loops that are ended from elsewhere.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use loopnest_core::loops::{BoxFuture, Canceller, Home, Loops};
use loopnest_core::program::How;
use loopnest_strategies::host::{HostLoops, Tasks};

/// A strategy without tasks.
struct NoTasks;

impl Tasks for NoTasks {
    fn spawn(&self, _home: Home, task: BoxFuture) -> Canceller {
        drop(task);
        Box::new(|| {})
    }
}

/// How many loops are opened while another thread is about to end them.
const LOOPS: usize = 30_000;

/// By how many steps the quit moves against the opening.
const SWEEP: usize = 200;

#[test]
fn a_nested_loop_ends_when_another_thread_quits_it_as_it_begins() {
    for how in [How::Run, How::Iteration] {
        let loops = HostLoops::new(NoTasks);
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
