//! Adds a strategy of your own to the harness.
//!
//! ```text
//! cargo run -p harness --example own_strategy -- -s pump
//! cargo run -p harness --example own_strategy -- explain pump/dialog-from-callback
//! ```
//!
//! The one here is a *pump* (beeware/toga#2548): tokio owns the thread, and a task iterates GLib
//! every 10 ms. Both sides make progress until a dialog opens. The dialog runs inside the task, so
//! everything async waits until it closes. Even with nothing to do, the pump wakes every 10 ms.

use std::process::ExitCode;
use std::time::Duration;

use glib::MainContext;
use harness::Registry;
use harness::subjects::{HostLoops, Tasks};
use loopnest_core::loops::{BoxFuture, Canceller};
use loopnest_core::strategy::{About, Owner, RunError, Start, Strategy};
use loopnest_strategies::{GlibHandle, JobQueue};
use tokio::runtime::{Builder, Handle};

const PAUSE: Duration = Duration::from_millis(10);

struct Pump;

impl Strategy for Pump {
    fn about(&self) -> About {
        About {
            name: "pump",
            summary: "tokio owns the thread, and a task iterates GLib every 10 ms",
            ancestry: "toga, tao",
            owner: Owner::Async,
            extra_threads: "none",
            needs_send: false,
            platforms: "all",
            limits: &["a nested loop stalls every task", "wakes every 10 ms with nothing to do"],
            control: false,
        }
    }

    fn run(&self, start: Start) -> Result<(), RunError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime
            .map_err(|source| RunError::SetUp { what: "the runtime", source: source.into() })?;
        let jobs = JobQueue::new(&MainContext::default())
            .map_err(|source| RunError::SetUp { what: "the jobs", source: source.into() })?;
        let tasks = OnTokio { handle: runtime.handle().clone(), glib: jobs.handle() };
        let loops = HostLoops::new(tasks);
        runtime.spawn(async {
            loop {
                while MainContext::default().iteration(false) {}
                tokio::time::sleep(PAUSE).await;
            }
        });
        runtime.block_on(async { start(loops).await });
        Ok(())
    }
}

/// How a scenario's tasks run. The rest is the default of `Tasks`.
struct OnTokio {
    handle: Handle,
    glib: GlibHandle,
}

impl Tasks for OnTokio {
    fn spawn(&self, task: BoxFuture) -> Canceller {
        let task = self.handle.spawn(task);
        Box::new(move || task.abort())
    }

    fn glib(&self) -> GlibHandle {
        self.glib.clone()
    }
}

/// Everything that ships, and the pump. The program starts itself again for each cell.
fn main() -> ExitCode {
    let mut registry = Registry::default();
    registry.add(Box::new(Pump));
    harness::main_with(registry)
}
