//! What actors send to each other: messages and bytes.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Poll, Waker};

use super::host::{Guest, Host};
use super::tasks::{Driven, lock};
use crate::loops::{BoxFuture, Callback, Channel, Pipe};
use crate::model::{Events, Pipe as Bytes, Read};

/// Counts messages; wakes whoever waits for one.
#[derive(Clone, Default)]
pub(super) struct Messages(Arc<Mutex<Counted>>);

#[derive(Default)]
struct Counted {
    n: u64,
    waker: Option<Waker>,
}

impl Channel for Messages {
    fn send(&self) {
        let waker = {
            let mut counted = lock(&self.0);
            counted.n += 1;
            counted.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    fn receive(&self) -> BoxFuture {
        let messages = self.clone();
        Box::pin(std::future::poll_fn(move |cx| {
            let mut counted = lock(&messages.0);
            if counted.n > 0 {
                counted.n -= 1;
                return Poll::Ready(());
            }
            counted.waker = Some(cx.waker().clone());
            Poll::Pending
        }))
    }
}

/// A pipe that both loops can watch.
pub(super) struct Stream {
    pub(super) bytes: Bytes,
    pub(super) guest: Weak<dyn Guest>,
    pub(super) host: Weak<Host>,
}

impl Stream {
    fn written(&self) {
        if let Some(guest) = self.guest.upgrade() {
            guest.written();
        }
    }
}

impl Pipe for Stream {
    fn write(&self) {
        self.bytes.write(1);
        self.written();
    }

    fn close(&self) {
        self.bytes.close_write();
        self.written();
    }

    fn read(&self) -> BoxFuture<bool> {
        let (bytes, guest) = (self.bytes.clone(), self.guest.clone());
        let mut ready: Option<Arc<Driven>> = None;
        Box::pin(std::future::poll_fn(move |cx| {
            if ready.as_ref().is_some_and(|ready| !ready.has_happened()) {
                return Poll::Pending;
            }
            match bytes.read(1) {
                Read::Bytes(_) => Poll::Ready(true),
                Read::End => Poll::Ready(false),
                Read::Empty => {
                    if let Some(guest) = guest.upgrade() {
                        let driven = ready.insert(Arc::default());
                        guest.wake_readable(&bytes, driven.waker(cx));
                    }
                    Poll::Pending
                }
            }
        }))
    }

    fn watch(&self, callback: Callback) {
        let Some(host) = self.host.upgrade() else { return };
        let (bytes, called) = (self.bytes.clone(), host.called(callback));
        let events = Events::IN | Events::HUP;
        let source =
            host.context().watch(self.bytes.read_end(), events, move |_, _| match bytes.read(1) {
                Read::Empty => ControlFlow::Continue(()),
                _ => called(),
            });
        source.attach();
    }
}
