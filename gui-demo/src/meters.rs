//! All counters, which can be read at one moment.

use std::rc::Rc;
use std::sync::Arc;

use gtk4::Widget;
use gtk4::prelude::*;
use harness::probe::Probe;
use loopnest_core::loops::Loops;

use crate::frames::Frames;
use crate::log::Log;
use crate::report::Stretch;
use crate::work::Work;

/// All counters. They count until this is dropped.
#[derive(Debug)]
pub struct Meters {
    /// What happened.
    pub log: Arc<Log>,
    /// The main window's frames.
    pub frames: Rc<Frames>,
    /// The background work.
    pub work: Rc<Work>,
    _probe: Probe,
}

impl Meters {
    /// Starts to count what the calling thread's loops do, and the frames of `window`.
    pub fn new(loops: &Arc<dyn Loops>, window: &impl IsA<Widget>) -> Rc<Self> {
        let (log, probe) = Log::new();
        let frames = Frames::of(window, &log);
        let work = Rc::new(Work::new(loops, &log));
        Rc::new(Self { log, frames, work, _probe: probe })
    }

    /// The counters now.
    pub fn stretch(&self) -> Stretch {
        Stretch {
            task_steps: self.work.task_steps(),
            frames: self.frames.n(),
            frames_raised: self.frames.n_raised(),
            chart_seconds: self.frames.chart_time().as_secs_f64(),
            ..self.log.stretch()
        }
    }
}
