//! Counts the window's frames and the cost of those with charts, and makes GTK draw when it no longer
//! can.
//!
//! GTK draws in a source of priority 120. Under `nested`, a source of default priority is always
//! ready in a nested loop, so GTK draws no window any more, and the dialog not even once. This is
//! what the demo is about, and it would hide itself. So when frames fail to appear, a timeout of high
//! priority [raises](crate::raise) the source of those that are due. Such a frame is counted apart.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use gtk4::gdk::{FrameClock, FrameClockPhase};
use gtk4::prelude::*;
use rustix::time::{ClockId, clock_gettime};

use crate::log::Log;
use crate::raise::raise;

/// Counters of one window's frames.
#[derive(Debug, Default)]
pub struct Frames {
    n: Cell<u64>,
    raised: Cell<u64>,
    /// Whether the next frame comes because it was raised.
    is_raised: Cell<bool>,
    /// Whether the next frame draws a chart.
    charts_are_due: Cell<bool>,
    began: Cell<Duration>,
    chart_time: Cell<Duration>,
}

impl Frames {
    /// Counts the frames of `window` from its realization on.
    pub fn of(window: &impl IsA<gtk4::Widget>, log: &Arc<Log>) -> Rc<Self> {
        let frames = Rc::new(Self::default());
        let (counted, log) = (frames.clone(), log.clone());
        window.connect_realize(move |window| {
            if let Some(clock) = window.frame_clock() {
                counted.listen(&clock, &log);
            }
        });
        frames
    }

    fn listen(self: &Rc<Self>, clock: &FrameClock, log: &Arc<Log>) {
        // Each phase may come from an iteration of its own.
        let mark = || {
            let (frames, log) = (self.clone(), log.clone());
            move |_: &FrameClock| {
                if frames.charts_are_due.get() {
                    log.charts_are_at_work(0);
                }
            }
        };
        clock.connect_flush_events(mark());
        clock.connect_resume_events(mark());
        let (frames, shared) = (self.clone(), log.clone());
        clock.connect_before_paint(move |_| {
            if frames.charts_are_due.get() {
                // GDK's clock runs once more after a frame, to check whether another is wanted.
                shared.charts_are_at_work(1);
            }
            frames.began.set(thread_time());
        });
        let (frames, log) = (self.clone(), log.clone());
        clock.connect_after_paint(move |_| {
            if frames.is_raised.take() {
                frames.raised.set(frames.raised.get() + 1);
            } else {
                frames.n.set(frames.n.get() + 1);
                // The screen was brought up to date: that justifies an iteration.
                log.useful();
            }
            frames.drawn_since(frames.began.get());
        });
    }

    /// A frame is done. Its time counts for the charts if they were in it.
    fn drawn_since(&self, began: Duration) {
        if self.charts_are_due.take() {
            let took = thread_time().saturating_sub(began);
            self.chart_time.set(self.chart_time.get() + took);
        }
    }

    /// Frames so far that GTK drew by itself.
    pub fn n(&self) -> u64 {
        self.n.get()
    }

    /// Frames so far that were raised.
    pub fn n_raised(&self) -> u64 {
        self.raised.get()
    }

    /// Processor time of the frames that had a chart in them. This is more than the charts
    /// themselves cost, because GTK also lays out the window and sends it to the screen.
    pub fn chart_time(&self) -> Duration {
        self.chart_time.get()
    }

    /// Notes that a chart has changed.
    pub fn charts_changed(&self) {
        self.charts_are_due.set(true);
    }

    /// Requests a frame, even if nothing has changed.
    pub fn ask(&self, window: &impl IsA<gtk4::Widget>) {
        if let Some(clock) = window.frame_clock() {
            clock.request_phase(FrameClockPhase::PAINT);
        }
    }

    /// Makes GTK draw every window in which a frame is due; `false` if there is none.
    pub fn raise(&self, counted: &impl IsA<gtk4::Widget>) -> bool {
        let mut any = false;
        for window in windows() {
            let Some(clock) = window.frame_clock() else { continue };
            let is_due = raise(&clock);
            if is_due && window == *counted.upcast_ref::<gtk4::Widget>() {
                self.is_raised.set(true);
            }
            any |= is_due;
        }
        any
    }
}

/// All windows of the program.
pub fn windows() -> Vec<gtk4::Window> {
    let toplevels = gtk4::Window::toplevels();
    let objects = (0..toplevels.n_items()).filter_map(|i| toplevels.item(i));
    objects.filter_map(|object| object.downcast().ok()).collect()
}

/// Processor time of this thread.
fn thread_time() -> Duration {
    time(ClockId::ThreadCPUTime)
}

/// Processor time of this process.
pub fn process_time() -> Duration {
    time(ClockId::ProcessCPUTime)
}

fn time(clock: ClockId) -> Duration {
    Duration::try_from(clock_gettime(clock)).unwrap_or_default()
}
