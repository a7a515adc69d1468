//! How the harness runs [`Handoff`].

use glib::MainContext;
use loopnest_core::loops::{BoxFuture, Canceller, Home};
use loopnest_core::strategy::{About, Owner, RunError, Start, Strategy};
use loopnest_strategies::tokio::runtime::Handle;
use loopnest_strategies::{GlibHandle, Handoff};

use super::host::{HostLoops, Tasks, set_up};

pub(super) fn rows() -> Vec<Box<dyn Strategy>> {
    vec![Box::new(HandoffRow)]
}

struct HandoffRow;

impl Strategy for HandoffRow {
    fn about(&self) -> About {
        About {
            name: "handoff",
            summary: "two threads: tokio on its own, jobs for GLib through a queue and one source",
            ancestry: "the gtk4-rs book, relm4",
            owner: Owner::Both,
            extra_threads: "one",
            needs_send: true,
            platforms: "Linux",
            limits: &["tasks must be Send and cannot call GLib themselves"],
            control: false,
        }
    }

    fn run(&self, start: Start) -> Result<(), RunError> {
        let handoff = Handoff::new(&MainContext::default()).map_err(set_up)?;
        let tasks = HandoffTasks { handle: handoff.tokio_handle().clone(), glib: handoff.glib() };
        let root = start(HostLoops::new(tasks));
        handoff.block_on(root);
        Ok(())
    }
}

struct HandoffTasks {
    handle: Handle,
    glib: GlibHandle,
}

impl Tasks for HandoffTasks {
    fn spawn(&self, task: BoxFuture) -> Canceller {
        let task = self.handle.spawn(task);
        Box::new(move || task.abort())
    }

    fn glib(&self) -> GlibHandle {
        self.glib.clone()
    }

    fn is_remote(&self, _home: Home) -> bool {
        true
    }
}
