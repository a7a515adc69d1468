//! What actors send to each other: messages and bytes.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Poll, Waker};

use super::sides::Sides;
use super::tasks::{Driven, lock};
use crate::loops::{BoxFuture, Callback, Channel, Pipe};
use crate::model::fd::{Events, Pipe as Bytes, Read};

/// Keeps messages, and wakes the tasks that wait for one.
#[derive(Clone, Default)]
pub(super) struct Messages(Arc<Mutex<Queue>>);

#[derive(Default)]
struct Queue {
    messages: VecDeque<u32>,
    waker: Option<Waker>,
}

impl Channel for Messages {
    fn send(&self, message: u32) {
        let waker = {
            let mut queue = lock(&self.0);
            queue.messages.push_back(message);
            queue.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    fn receive(&self) -> BoxFuture<u32> {
        let messages = self.clone();
        Box::pin(std::future::poll_fn(move |cx| {
            let mut queue = lock(&messages.0);
            if let Some(message) = queue.messages.pop_front() {
                return Poll::Ready(message);
            }
            queue.waker = Some(cx.waker().clone());
            Poll::Pending
        }))
    }
}

/// A pipe that both loops can watch.
pub(super) struct Stream {
    pub(super) bytes: Bytes,
    pub(super) sides: Weak<Sides>,
}

impl Stream {
    fn written(&self) {
        if let Some(sides) = self.sides.upgrade() {
            sides.written();
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
        let (bytes, sides) = (self.bytes.clone(), self.sides.clone());
        let mut ready: Option<Arc<Driven>> = None;
        Box::pin(std::future::poll_fn(move |cx| {
            if ready.as_ref().is_some_and(|ready| !ready.has_happened()) {
                return Poll::Pending;
            }
            match bytes.read(1) {
                Read::Bytes(_) => Poll::Ready(true),
                Read::End => Poll::Ready(false),
                Read::Empty => {
                    if let Some(sides) = sides.upgrade() {
                        let driven = ready.insert(Arc::default());
                        sides.wake_readable(&bytes, driven.waker(cx));
                    }
                    Poll::Pending
                }
            }
        }))
    }

    fn watch(&self, callback: Callback) {
        let Some(sides) = self.sides.upgrade() else { return };
        let (bytes, called) = (self.bytes.clone(), sides.called(callback));
        let events = Events::IN | Events::HUP;
        let source =
            sides.base.context.watch(self.bytes.read_end(), events, move |_, _| {
                match bytes.read(1) {
                    Read::Empty => ControlFlow::Continue(()),
                    _ => called(),
                }
            });
        source.attach();
    }
}
