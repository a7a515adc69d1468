//! How the harness runs [`Dispatch`]: its row of the matrix, and how a program's tasks get to it.

use glib::MainContext;
use loopnest_core::loops::{BoxFuture, Canceller, Refused};
use loopnest_core::strategy::{About, Owner, RunError, Start, Strategy};
use loopnest_strategies::tokio::runtime::Handle;
use loopnest_strategies::{Dispatch, GlibHandle, Spawner};

use super::host::{HostLoops, Tasks, block_on_nested, set_up};

pub(super) fn rows() -> Vec<Box<dyn Strategy>> {
    vec![Box::new(DispatchRow)]
}

struct DispatchRow;

impl Strategy for DispatchRow {
    fn about(&self) -> About {
        About {
            name: "dispatch",
            summary: "GLib drives async: a source turns tokio, tasks run in a re-entrant executor",
            ancestry: "smol-rs/smol#94, slint for Node, node-gtk",
            owner: Owner::Glib,
            extra_threads: "none",
            needs_send: false,
            platforms: "Linux",
            limits: &[
                "a nested loop opened by a task on tokio's own queue stops tokio's I/O and timers \
                 until it closes",
                "a loop that is drained by hand (`while pending() { iteration(false) }`) does not \
                 end while a task is always ready",
            ],
            control: false,
        }
    }

    fn run(&self, start: Start) -> Result<(), RunError> {
        let dispatch = Dispatch::new(&MainContext::default()).map_err(set_up)?;
        run_on(&dispatch, start);
        Ok(())
    }
}

/// Runs a program on `dispatch`; `start` makes its root future. Controls, the strategies that are
/// broken on purpose, use this too.
pub(super) fn run_on(dispatch: &Dispatch, start: Start) {
    let root = start(HostLoops::new(DispatchTasks::of(dispatch)));
    dispatch.block_on(root);
}

pub(super) struct DispatchTasks {
    spawner: Spawner,
    handle: Handle,
    glib: GlibHandle,
}

impl DispatchTasks {
    pub(super) fn of(dispatch: &Dispatch) -> Self {
        Self {
            spawner: dispatch.spawner(),
            handle: dispatch.tokio_handle().clone(),
            glib: dispatch.glib(),
        }
    }
}

impl Tasks for DispatchTasks {
    fn spawn(&self, task: BoxFuture) -> Canceller {
        let task = self.spawner.spawn(task);
        Box::new(move || task.abort())
    }

    fn spawn_library(&self, task: BoxFuture) -> Canceller {
        let task = self.handle.spawn(task);
        Box::new(move || task.abort())
    }

    fn block_on(&self, context: &MainContext, task: BoxFuture) -> Result<(), Refused> {
        if Dispatch::is_inside_library_task() {
            return Err(Refused {
                strategy: "dispatch",
                what: "block on a future inside a task on tokio's own queue",
                why: "tokio is on the stack and does not nest; use a task of spawn_local",
            });
        }
        block_on_nested(self, context, task);
        Ok(())
    }

    fn glib(&self) -> GlibHandle {
        self.glib.clone()
    }
}
