//! Work for the GLib thread from another thread: the shipped queue, and a source.

use std::ops::ControlFlow;

use super::base::Base;
use super::fault::Fault;
use super::tasks::quietly;
use crate::loops::Job;
use crate::model::source::{Callbacks, Prepare, Source};
use crate::protocol::handoff::{HandoffReceiver, HandoffSender, handoff};
use crate::sync::Arc;

/// Both ends of the queue.
pub(super) struct Jobs {
    sender: HandoffSender<Job>,
    receiver: Arc<HandoffReceiver<Job>>,
}

impl Jobs {
    pub(super) fn new(base: &Base) -> Self {
        let (context, wakes) = (base.context.clone(), !base.has(Fault::JobDoesNotWake));
        let (sender, receiver) = handoff(move || {
            if wakes {
                context.wakeup();
            }
        });
        let receiver = Arc::new(receiver);
        let source = base.context.source("jobs", Runs(receiver.clone()));
        source.set_can_recurse(!base.has(Fault::JobsCannotRecurse));
        source.attach();
        Self { sender, receiver }
    }

    pub(super) fn push(&self, job: Job) {
        // Fails only if the receiver is gone, and that is kept here.
        let _ = self.sender.push(job);
    }

    pub(super) fn clear(&self) {
        while let Some(job) = self.receiver.pop() {
            drop(job);
        }
    }
}

struct Runs(Arc<HandoffReceiver<Job>>);

impl Callbacks for Runs {
    fn prepare(&self, _this: &Source) -> Prepare {
        if self.0.prepare() { Prepare::Ready } else { Prepare::Wait(None) }
    }

    fn check(&self, _this: &Source) -> bool {
        self.0.check()
    }

    fn dispatch(&self, _this: &Source) -> ControlFlow<()> {
        while let Some(job) = self.0.pop() {
            quietly(job);
        }
        ControlFlow::Continue(())
    }
}
