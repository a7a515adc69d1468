//! Every strategy with its own context, to run the same futures on each.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use gio::Cancellable;
use glib::MainContext;
use loopnest_strategies::gasync::{self, Resolver};
use loopnest_strategies::{
    CallError, Dispatch, GlibHandle, GtkRs, Handoff, Nested, WakeAfterDispatch,
};

/// A strategy by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Async drives GLib.
    Nested,
    /// The same in its published form: a GLib callback does not wake it.
    NestedNoWake,
    /// GLib drives async.
    Dispatch,
    /// Two threads.
    Handoff,
    /// The status quo.
    GtkRs,
}

/// Every strategy.
pub const KINDS: [Kind; 5] =
    [Kind::Nested, Kind::NestedNoWake, Kind::Dispatch, Kind::Handoff, Kind::GtkRs];

/// A running strategy.
#[derive(Debug)]
pub struct Side {
    /// Which one.
    pub kind: Kind,
    /// The context that it runs.
    pub context: MainContext,
    strategy: Any,
}

enum Any {
    Nested(Nested),
    Dispatch(Dispatch),
    Handoff(Handoff),
    GtkRs(GtkRs),
}

impl fmt::Debug for Any {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a strategy")
    }
}

/// Where a call is made from.
#[derive(Clone, Debug)]
pub enum Face {
    /// A task on the GLib thread.
    Here,
    /// A tokio task on another thread.
    Elsewhere(GlibHandle),
}

impl Face {
    /// Makes a call.
    ///
    /// # Errors
    /// Those of the adapter.
    pub async fn call<T, F>(&self, start: F) -> Result<T, CallError>
    where
        T: Send + 'static,
        F: FnOnce(&Cancellable, Resolver<T>) + Send + 'static,
    {
        match self {
            Self::Here => gasync::call(start).await,
            Self::Elsewhere(glib) => glib.gasync(start).await,
        }
    }
}

impl Kind {
    /// Runs `body` on this strategy, with a new context that is the default of this thread.
    ///
    /// # Panics
    /// When no runtime can be created; with the panic of `body`.
    pub fn with<R>(self, body: impl FnOnce(&Side) -> R) -> R {
        let context = MainContext::new();
        let run = || {
            let strategy = match self {
                Self::Nested => Nested::new(&context, WakeAfterDispatch::Yes).map(Any::Nested),
                Self::NestedNoWake => Nested::new(&context, WakeAfterDispatch::No).map(Any::Nested),
                Self::Dispatch => Dispatch::new(&context).map(Any::Dispatch),
                Self::Handoff => Handoff::new(&context).map(Any::Handoff),
                Self::GtkRs => GtkRs::new(&context).map(Any::GtkRs),
            };
            let strategy = strategy.expect("a runtime");
            body(&Side { kind: self, context: context.clone(), strategy })
        };
        context.with_thread_default(run).expect("a context that nobody else has")
    }

    /// Whether its tasks live on the GLib thread.
    pub fn has_local_tasks(self) -> bool {
        self != Self::Handoff
    }

    /// Whether its tasks keep running while a callback has a nested loop open.
    pub fn goes_on_in_a_dialog(self) -> bool {
        !matches!(self, Self::Nested | Self::NestedNoWake)
    }
}

impl Side {
    /// The remote face.
    pub fn glib(&self) -> GlibHandle {
        match &self.strategy {
            Any::Nested(nested) => nested.glib(),
            Any::Dispatch(dispatch) => dispatch.glib(),
            Any::Handoff(handoff) => handoff.glib(),
            Any::GtkRs(gtk_rs) => gtk_rs.glib(),
        }
    }

    /// The faces of the adapter that it supports.
    pub fn faces(&self) -> Vec<Face> {
        let here = self.kind.has_local_tasks().then_some(Face::Here);
        here.into_iter().chain([Face::Elsewhere(self.glib())]).collect()
    }

    /// Runs a future in the place from which `face` makes calls, and GLib on this thread.
    ///
    /// # Panics
    /// With the panic of `future`.
    pub fn run<F>(&self, face: &Face, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match face {
            Face::Here => self.here(future),
            Face::Elsewhere(_) => self.elsewhere(future),
        }
    }

    /// Runs a future on this thread, and GLib with it.
    ///
    /// # Panics
    /// With the panic of `future`, and on `Handoff`, where no future runs here.
    pub fn here<F>(&self, future: F) -> F::Output
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        match &self.strategy {
            Any::Nested(nested) if self.kind == Kind::NestedNoWake => {
                nested.block_on(with_dummy_work(future))
            }
            Any::Nested(nested) => nested.block_on(future),
            Any::Dispatch(dispatch) => dispatch.block_on(future),
            Any::GtkRs(gtk_rs) => gtk_rs.block_on(future),
            Any::Handoff(_) => panic!("its tasks live on another thread"),
        }
    }

    /// Runs a future in a tokio task on another thread, and GLib on this one.
    ///
    /// # Panics
    /// With the panic of `future`.
    pub fn elsewhere<F>(&self, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match &self.strategy {
            Any::Handoff(handoff) => handoff.block_on(future),
            Any::GtkRs(gtk_rs) => {
                let task = gtk_rs.tokio_handle().spawn(future);
                gtk_rs.block_on(task).expect("no panic")
            }
            Any::Nested(_) | Any::Dispatch(_) => {
                let (tx, rx) = tokio::sync::oneshot::channel();
                // A library's thread with its own runtime.
                let thread = std::thread::spawn(move || {
                    let mut builder = tokio::runtime::Builder::new_current_thread();
                    let runtime = builder.enable_all().build().expect("a runtime");
                    // Unused only if the test has failed already.
                    drop(tx.send(runtime.block_on(future)));
                });
                let output = self.here(rx);
                thread.join().expect("no panic");
                output.expect("the thread has sent it")
            }
        }
    }
}

/// What asyncio-glib's users do: something on the async side ends its wait now and then, and then
/// it sees a result that a callback has left.
async fn with_dummy_work<F: Future>(future: F) -> F::Output {
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    let mut future = pin!(future);
    loop {
        tokio::select! {
            biased;
            output = &mut future => return output,
            _ = ticks.tick() => {}
        }
    }
}

/// Runs the same future with both faces on every strategy.
///
/// # Panics
/// With the panic of the future.
pub fn everywhere<F>(test: impl Fn(Face) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    for kind in KINDS {
        kind.with(|side| {
            for face in side.faces() {
                println!("{kind:?}, {face:?}");
                side.run(&face, test(face.clone()));
            }
        });
    }
}
