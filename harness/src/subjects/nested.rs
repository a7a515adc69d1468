//! The rows of [`Nested`]: as it is used, and as asyncio-glib was published.

use glib::MainContext;
use loopnest_core::loops::{BoxFuture, Canceller, Refused};
use loopnest_core::strategy::{About, Owner, RunError, Start, Strategy};
use loopnest_strategies::tokio::runtime::Handle;
use loopnest_strategies::{GlibHandle, Nested, WakeAfterDispatch};

use super::host::{HostLoops, Tasks, set_up};

pub(super) fn rows() -> Vec<Box<dyn Strategy>> {
    [WakeAfterDispatch::Yes, WakeAfterDispatch::No]
        .map(|wake| Box::new(NestedRow { wake }) as _)
        .into()
}

struct NestedRow {
    wake: WakeAfterDispatch,
}

impl Strategy for NestedRow {
    fn about(&self) -> About {
        let (name, summary) = if self.wake == WakeAfterDispatch::Yes {
            ("nested", "async drives GLib: to wait, tokio runs the GLib loop")
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
            limits: if self.wake == WakeAfterDispatch::Yes {
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
        let nested = Nested::new(&context, self.wake).map_err(set_up)?;
        let (handle, glib) = (nested.tokio_handle().clone(), nested.glib());
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
            why: "tokio is on the stack and does not nest; spawn the future instead",
        })
    }

    fn glib(&self) -> GlibHandle {
        self.glib.clone()
    }
}
