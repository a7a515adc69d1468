//! How a tokio task has a call made on the GLib thread and gets its result.
//!
//! - `GlibHandle::gasync`: the adapter.
//! - *invoke, callback*: `MainContext::invoke` starts the call, its callback answers by a oneshot.
//!   The least that crosses both ways. It cannot be cancelled, and nothing says that the GLib side
//!   is gone.
//! - *invoke, spawn_local*: `invoke` spawns a task of glib's executor, which awaits gio's future
//!   and answers by a oneshot. What programs do, because gio's futures are at hand and the tokio
//!   chapter of the gtk4-rs book has the rest.
//! - *spawn_from_within*: the same, ready made by glib-rs (`MainContext::spawn_from_within`).
//! - *there and back*: no call at all, a job on the GLib thread that answers at once, by the same
//!   queue as the adapter's. With it and the tables of the GLib thread one sees about what part of a
//!   call is the way and what is the call.

use gio::Cancellable;
use glib::MainContext;
use loopnest_strategies::GlibHandle;
use loopnest_strategies::gasync::Resolver;
use tokio::sync::oneshot;

use crate::operations::Operation;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Gasync,
    InvokeCallback,
    InvokeSpawnLocal,
    SpawnFromWithin,
    ThereAndBack,
}

pub(crate) const WAYS: [Way; 5] = [
    Way::Gasync,
    Way::InvokeCallback,
    Way::InvokeSpawnLocal,
    Way::SpawnFromWithin,
    Way::ThereAndBack,
];

impl Way {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gasync => "GlibHandle::gasync",
            Self::InvokeCallback => "invoke, callback",
            Self::InvokeSpawnLocal => "invoke, spawn_local",
            Self::SpawnFromWithin => "spawn_from_within",
            Self::ThereAndBack => "there and back",
        }
    }

    pub(crate) async fn call<O: Operation>(
        self,
        glib: GlibHandle,
        context: MainContext,
        op: O,
    ) -> bool {
        match self {
            Self::Gasync => {
                let start = move |cancellable: &Cancellable, done: Resolver<bool>| {
                    op.start(Some(cancellable), move |well| done.resolve(well));
                };
                matches!(glib.gasync(start).await, Ok(true))
            }
            Self::InvokeCallback => {
                let (tx, rx) = oneshot::channel();
                context.invoke(move || op.start(None, move |well| _ = tx.send(well)));
                rx.await == Ok(true)
            }
            Self::InvokeSpawnLocal => {
                let (tx, rx) = oneshot::channel();
                context.invoke(move || {
                    glib::spawn_future_local(async move {
                        let _ = tx.send(op.future().await);
                    });
                });
                rx.await == Ok(true)
            }
            Self::SpawnFromWithin => {
                let task = context.spawn_from_within(move || async move { op.future().await });
                task.await.is_ok_and(|well| well)
            }
            Self::ThereAndBack => glib.call(|| ()).await.is_ok(),
        }
    }
}
