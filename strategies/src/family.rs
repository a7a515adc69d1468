//! The strategies as the harness sees them: rows of the matrix.

use glib::MainContext;
use loopnest_core::executor::Spawner;
use loopnest_core::loops::{BoxFuture, Canceller, Home, Job, Refused};
use loopnest_core::strategy::{About, Owner, RunError, Start, Strategy};
use tokio::runtime::Handle;

use crate::dispatch::{self, Dispatch};
use crate::gtk_rs::GtkRs;
use crate::handoff::{GlibHandle, Handoff};
use crate::host::{HostLoops, Tasks, block_on_nested};
use crate::nested::Nested;

/// All strategies that ship, in the order of the matrix.
pub fn all() -> Vec<Box<dyn Strategy>> {
    vec![
        Box::new(NestedRow { wake_after_dispatch: true }),
        Box::new(NestedRow { wake_after_dispatch: false }),
        Box::new(DispatchRow),
        Box::new(HandoffRow),
        Box::new(GtkRsRow),
    ]
}

pub(crate) fn set_up(source: std::io::Error) -> RunError {
    RunError::Io { what: "the runtime", source }
}

struct NestedRow {
    wake_after_dispatch: bool,
}

impl Strategy for NestedRow {
    fn about(&self) -> About {
        let (name, summary) = if self.wake_after_dispatch {
            ("nested", "async drives GLib: tokio's wait is a run of the GLib loop")
        } else {
            ("nested-no-wake", "nested without wake-after-dispatch: asyncio-glib as published")
        };
        About {
            name,
            summary,
            ancestry: "asyncio-glib (2019)",
            owner: Owner::Async,
            extra_threads: "none",
            needs_send: false,
            platforms: "Linux",
            limits: if self.wake_after_dispatch {
                &[
                    "a nested loop stalls every task; one opened by a callback spins as well",
                    "block_on inside a callback is refused",
                ]
            } else {
                &[
                    "a nested loop stalls every task and spins once anything is due",
                    "a future completed by a GLib callback waits for something else to wake tokio",
                    "block_on inside a callback is refused",
                ]
            },
            control: false,
        }
    }

    fn run(&self, start: Start) -> Result<(), RunError> {
        let context = MainContext::default();
        let nested = Nested::new(&context, self.wake_after_dispatch).map_err(set_up)?;
        let (handle, glib) = (nested.handle().clone(), nested.glib());
        let tasks = NestedTasks { handle, glib, name: self.about().name };
        let loops = HostLoops::new(tasks);
        nested.block_on(async move { start(loops).await });
        Ok(())
    }
}

struct NestedTasks {
    handle: Handle,
    glib: GlibHandle,
    name: &'static str,
}

impl Tasks for NestedTasks {
    fn spawn(&self, task: BoxFuture) -> Canceller {
        let task = self.handle.spawn(task);
        Box::new(move || task.abort())
    }

    fn block_on(&self, _context: &MainContext, _task: BoxFuture) -> Result<(), Refused> {
        Err(Refused {
            strategy: self.name,
            what: "block on a future inside a callback",
            why: "tokio stands on the stack and does not nest; spawn the future instead",
        })
    }

    fn glib(&self) -> GlibHandle {
        self.glib.clone()
    }
}

struct DispatchRow;

impl Strategy for DispatchRow {
    fn about(&self) -> About {
        About {
            name: "dispatch",
            summary: "GLib drives async: one source turns tokio, tasks in a re-entrant executor",
            ancestry: "smol-rs/smol#94, slint for Node, node-gtk",
            owner: Owner::Glib,
            extra_threads: "none",
            needs_send: false,
            platforms: "Linux",
            limits: &["a nested loop opened by a task on tokio's own queue stops tokio's I/O and \
                       timers until it closes"],
            control: false,
        }
    }

    fn run(&self, start: Start) -> Result<(), RunError> {
        let dispatch = Dispatch::new(&MainContext::default()).map_err(set_up)?;
        run_dispatch(&dispatch, start);
        Ok(())
    }
}

/// Runs the root on `dispatch`; the controls plant their faults round it.
pub(crate) fn run_dispatch(dispatch: &Dispatch, start: Start) {
    let loops = HostLoops::new(DispatchTasks {
        spawner: dispatch.spawner(),
        handle: dispatch.handle().clone(),
        glib: dispatch.glib(),
    });
    let root = start(loops);
    dispatch.block_on(root);
}

struct DispatchTasks {
    spawner: Spawner,
    handle: Handle,
    glib: GlibHandle,
}

impl Tasks for DispatchTasks {
    fn spawn(&self, task: BoxFuture) -> Canceller {
        let task = self.spawner.spawn(task);
        Box::new(move || task.cancel())
    }

    fn spawn_library(&self, task: BoxFuture) -> Canceller {
        let task = self.handle.spawn(task);
        Box::new(move || task.abort())
    }

    fn block_on(&self, context: &MainContext, task: BoxFuture) -> Result<(), Refused> {
        if dispatch::is_turning() {
            return Err(Refused {
                strategy: "dispatch",
                what: "block on a future inside a task on tokio's own queue",
                why: "tokio stands on the stack and does not nest; use a task of spawn_local",
            });
        }
        block_on_nested(self, context, task);
        Ok(())
    }

    fn glib(&self) -> GlibHandle {
        self.glib.clone()
    }
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
        let tasks = HandoffTasks { handle: handoff.handle().clone(), glib: handoff.glib() };
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

struct GtkRsRow;

impl Strategy for GtkRsRow {
    fn about(&self) -> About {
        About {
            name: "gtk-rs",
            summary: "the status quo: glib's own executor with a tokio runtime entered",
            ancestry: "gtk-rs, relm4",
            owner: Owner::Glib,
            extra_threads: "one or more",
            needs_send: false,
            platforms: "Linux",
            limits: &["a nested loop inside a task aborts the process"],
            control: false,
        }
    }

    fn run(&self, start: Start) -> Result<(), RunError> {
        let context = MainContext::default();
        let gtk_rs = GtkRs::new(&context).map_err(set_up)?;
        let (handle, glib) = (gtk_rs.handle().clone(), gtk_rs.glib());
        let tasks = GtkRsTasks { context, handle, glib };
        let loops = HostLoops::new(tasks);
        gtk_rs.block_on(async move { start(loops).await });
        Ok(())
    }
}

struct GtkRsTasks {
    context: MainContext,
    handle: Handle,
    glib: GlibHandle,
}

impl Tasks for GtkRsTasks {
    fn spawn(&self, task: BoxFuture) -> Canceller {
        let task = self.context.spawn(task);
        Box::new(move || task.abort())
    }

    fn spawn_library(&self, task: BoxFuture) -> Canceller {
        let task = self.handle.spawn(task);
        Box::new(move || task.abort())
    }

    fn block_on(&self, context: &MainContext, task: BoxFuture) -> Result<(), Refused> {
        context.block_on(task);
        Ok(())
    }

    fn glib(&self) -> GlibHandle {
        self.glib.clone()
    }

    fn is_remote(&self, home: Home) -> bool {
        // tokio's tasks are on a worker thread.
        home == Home::Library
    }

    fn on_host(&self, job: Job) -> BoxFuture<Result<(), Refused>> {
        // As an application would ask, that has nothing but glib.
        let context = self.context.clone();
        Box::pin(async move {
            let (tx, rx) = tokio::sync::oneshot::channel();
            let mut job = Some((job, tx));
            glib::idle_source_new(None, glib::Priority::DEFAULT, move || {
                if let Some((job, tx)) = job.take() {
                    job();
                    // The task may have been cancelled meanwhile.
                    let _ = tx.send(());
                }
                glib::ControlFlow::Break
            })
            .attach(Some(&context));
            rx.await.map_err(|_| Refused {
                strategy: "gtk-rs",
                what: "do a job on the GLib thread",
                why: "the GLib context is gone",
            })
        })
    }
}
