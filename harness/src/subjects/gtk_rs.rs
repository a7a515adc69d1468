//! How the harness runs [`GtkRs`], the status quo.

use glib::MainContext;
use loopnest_core::loops::{BoxFuture, Canceller, Home, Job, Refused};
use loopnest_core::strategy::{About, Owner, RunError, Start, Strategy};
use loopnest_strategies::tokio::runtime::Handle;
use loopnest_strategies::{GlibHandle, GtkRs};

use super::host::{HostLoops, Tasks, set_up};

pub(super) fn rows() -> Vec<Box<dyn Strategy>> {
    vec![Box::new(GtkRsRow)]
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
            limits: &[
                "a nested loop inside a task aborts the process",
                "a loop that is drained by hand (`while pending() { iteration(false) }`) does not \
                 end while a task is always ready",
            ],
            control: false,
        }
    }

    fn run(&self, start: Start) -> Result<(), RunError> {
        let context = MainContext::default();
        let gtk_rs = GtkRs::new(&context).map_err(set_up)?;
        let (handle, glib) = (gtk_rs.tokio_handle().clone(), gtk_rs.glib());
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
        // As an application would do it with only glib.
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
                what: "run a job on the GLib thread",
                why: "the GLib context is gone",
            })
        })
    }
}
