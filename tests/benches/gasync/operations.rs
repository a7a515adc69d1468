//! The asynchronous gio calls that are measured.
//!
//! `GetId` on a private bus, where most of the time goes to the daemon and to gio's own thread, and
//! a call that is answered at once, where most of it goes to crossing the threads.

use gio::prelude::InputStreamExt;
use gio::{Cancellable, DBusCallFlags, DBusConnection, MemoryInputStream};
use glib::Priority;
use loopnest_tests::calls::{Hanging, Reply, of_daemon, of_hanging, send};

/// A call with a callback, and as gio's future.
pub(crate) trait Operation: Clone + Send + Sync + 'static {
    /// Starts it. `done` is called with whether it succeeded.
    fn start(&self, cancellable: Option<&Cancellable>, done: impl FnOnce(bool) + Send + 'static);

    fn future(&self) -> impl Future<Output = bool> + 'static;
}

/// A method call without arguments.
#[derive(Clone)]
pub(crate) struct Call {
    bus: DBusConnection,
    service: String,
    method: [&'static str; 3],
    patience: i32,
}

impl Call {
    /// `GetId` of the bus daemon.
    pub(crate) fn get_id(bus: &DBusConnection) -> Self {
        let [service, method @ ..] = of_daemon("GetId");
        Self { bus: bus.clone(), service: service.to_owned(), method, patience: -1 }
    }

    /// A call to a service that does not answer.
    pub(crate) fn hang(bus: &DBusConnection, service: &Hanging) -> Self {
        let [_, method @ ..] = of_hanging("");
        Self { bus: bus.clone(), service: service.name(), method, patience: i32::MAX }
    }
}

impl Operation for Call {
    fn start(&self, cancellable: Option<&Cancellable>, done: impl FnOnce(bool) + Send + 'static) {
        let [path, interface, name] = self.method;
        let method = [&*self.service, path, interface, name];
        let done = move |reply: Reply| done(reply.is_ok());
        send(&self.bus, method, None, self.patience, cancellable, done);
    }

    fn future(&self) -> impl Future<Output = bool> + 'static {
        let ([path, interface, name], flags) = (self.method, DBusCallFlags::NONE);
        let service = Some(&*self.service);
        let reply =
            self.bus.call_future(service, path, interface, name, None, None, flags, self.patience);
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
