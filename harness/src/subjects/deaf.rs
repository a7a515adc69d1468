//! A planted fault: a wake from another thread queues the task but does not wake the loop.
//!
//! Such a wake is kept until GLib iterates for some other reason, and takes effect then.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};

use glib::MainContext;
use loopnest_core::loops::{BoxFuture, Canceller, Refused};
use loopnest_strategies::GlibHandle;
use loopnest_strategies::source::{Callbacks, Prepare, Source, SourceRef};

use super::host::Tasks;

/// Before `prepare` of any source of a strategy.
const PRIORITY: i32 = -2000;

/// `T`, deaf to wakes from any thread but the one that created this.
pub(super) struct Deaf<T> {
    tasks: T,
    unheard: Arc<Unheard>,
}

struct Unheard {
    home: ThreadId,
    wakers: Mutex<Vec<Waker>>,
}

impl<T> Deaf<T> {
    /// The source delivers the missed wakes. It must live as long as the tasks.
    pub(super) fn new(tasks: T) -> (Self, Source<impl Callbacks>) {
        let unheard = Unheard { home: thread::current().id(), wakers: Mutex::default() };
        let unheard = Arc::new(unheard);
        let source = Source::new("missed wakes", Hear(unheard.clone()));
        source.set_priority(PRIORITY);
        source.set_can_recurse(true);
        source.attach(&MainContext::default());
        (Self { tasks, unheard }, source)
    }
}

impl<T: Tasks> Tasks for Deaf<T> {
    fn spawn(&self, task: BoxFuture) -> Canceller {
        self.tasks.spawn(Box::pin(DeafTask { task, unheard: self.unheard.clone() }))
    }

    fn block_on(&self, context: &MainContext, task: BoxFuture) -> Result<(), Refused> {
        self.tasks.block_on(context, task)
    }

    fn glib(&self) -> GlibHandle {
        self.tasks.glib()
    }
}

struct DeafTask {
    task: BoxFuture,
    unheard: Arc<Unheard>,
}

impl Future for DeafTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let waker = DeafWaker { waker: cx.waker().clone(), unheard: self.unheard.clone() };
        self.task.as_mut().poll(&mut Context::from_waker(&Arc::new(waker).into()))
    }
}

struct DeafWaker {
    waker: Waker,
    unheard: Arc<Unheard>,
}

impl Wake for DeafWaker {
    fn wake(self: Arc<Self>) {
        if thread::current().id() == self.unheard.home {
            self.waker.wake_by_ref();
        } else {
            let mut wakers = self.unheard.wakers.lock().unwrap_or_else(PoisonError::into_inner);
            wakers.push(self.waker.clone());
        }
    }
}

struct Hear(Arc<Unheard>);

impl Callbacks for Hear {
    fn prepare(&self, _this: SourceRef<'_>) -> Prepare {
        let mut wakers = self.0.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        let wakers = std::mem::take(&mut *wakers);
        wakers.into_iter().for_each(Waker::wake);
        Prepare::Wait(None)
    }

    fn dispatch(&self, _this: SourceRef<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}
