//! The ways for a tokio task to make a call on the GLib thread and get its result.
//!
//! - `GlibHandle::gasync`: the adapter.
//! - *invoke, callback*: `MainContext::invoke` starts the call, and its callback answers through a
//!   oneshot. The minimum for crossing both ways. It cannot be cancelled, and nothing reports that
//!   the GLib side is gone.
//! - *invoke, spawn_local*: `invoke` spawns a task on glib's executor, which awaits gio's future
//!   and answers through a oneshot. Programs do this, because gio has the futures and the tokio
//!   chapter of the gtk4-rs book has the rest.
//! - *spawn_from_within*: the same, ready-made by glib-rs (`MainContext::spawn_from_within`).
//! - *there and back*: no call at all, only a job on the GLib thread that answers at once, through
//!   the same queue as the adapter's. Together with the tables for the GLib thread it shows roughly
//!   how much of a call is the crossing and how much is the call itself.

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
