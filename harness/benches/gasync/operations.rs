//! Asynchronous calls in gio's manner: what is called.
//!
//! `GetId` on a private bus, where most of the time goes to the daemon and to gio's own thread,
//! and a call that is answered at once, where most of it goes to the way there and back.

use gio::prelude::InputStreamExt;
use gio::{Cancellable, DBusCallFlags, DBusConnection, MemoryInputStream};
use glib::Priority;

use crate::bus::{INTERFACE, PATH};

const BUS: &str = "org.freedesktop.DBus";

/// A call with a callback, and as gio's future.
pub(crate) trait Operation: Clone + Send + Sync + 'static {
    /// Starts it. `done` is called with whether it went well.
    fn start(&self, cancellable: Option<&Cancellable>, done: impl FnOnce(bool) + Send + 'static);

    fn future(&self) -> impl Future<Output = bool> + 'static;
}

/// A method call to the bus daemon.
#[derive(Clone)]
pub(crate) struct GetId(pub(crate) DBusConnection);

impl Operation for GetId {
    fn start(&self, cancellable: Option<&Cancellable>, done: impl FnOnce(bool) + Send + 'static) {
        let (path, flags) = ("/org/freedesktop/DBus", DBusCallFlags::NONE);
        let done = move |result: Result<_, _>| done(result.is_ok());
        self.0.call(Some(BUS), path, BUS, "GetId", None, None, flags, -1, cancellable, done);
    }

    fn future(&self) -> impl Future<Output = bool> + 'static {
        let (path, flags) = ("/org/freedesktop/DBus", DBusCallFlags::NONE);
        let reply = self.0.call_future(Some(BUS), path, BUS, "GetId", None, None, flags, -1);
        async move { reply.await.is_ok() }
    }
}

/// A call that gio answers at once, without I/O and without another thread: a `GTask` whose
/// callback runs in the next iteration.
#[derive(Clone)]
pub(crate) struct Task;

impl Operation for Task {
    fn start(&self, cancellable: Option<&Cancellable>, done: impl FnOnce(bool) + Send + 'static) {
        let done = move |result: Result<_, _>| done(result.is_ok());
        MemoryInputStream::new().skip_async(1, Priority::DEFAULT, cancellable, done);
    }

    #[expect(clippy::manual_async_fn, reason = "an async fn would borrow self")]
    fn future(&self) -> impl Future<Output = bool> + 'static {
        async { MemoryInputStream::new().skip_future(1, Priority::DEFAULT).await.is_ok() }
    }
}

/// A method call to a service that lets its callers wait.
#[derive(Clone)]
pub(crate) struct Hang {
    connection: DBusConnection,
    service: String,
}

impl Hang {
    pub(crate) fn of(connection: DBusConnection, service: &DBusConnection) -> Self {
        let service = service.unique_name().unwrap_or_default().into();
        Self { connection, service }
    }
}

impl Operation for Hang {
    fn start(&self, cancellable: Option<&Cancellable>, done: impl FnOnce(bool) + Send + 'static) {
        let (service, flags) = (Some(&*self.service), DBusCallFlags::NONE);
        let done = move |result: Result<_, _>| done(result.is_ok());
        let never = i32::MAX;
        self.connection.call(
            service,
            PATH,
            INTERFACE,
            "Hang",
            None,
            None,
            flags,
            never,
            cancellable,
            done,
        );
    }

    fn future(&self) -> impl Future<Output = bool> + 'static {
        let (service, flags) = (Some(&*self.service), DBusCallFlags::NONE);
        let never = i32::MAX;
        let reply =
            self.connection.call_future(service, PATH, INTERFACE, "Hang", None, None, flags, never);
        async move { reply.await.is_ok() }
    }
}
