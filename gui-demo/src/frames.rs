//! Counts the window's frames and what those of the charts cost, and draws by hand when GTK no
//! longer can.
//!
//! GTK draws in an idle source of priority 120. A nested loop in which a source of default priority
//! is always ready, which is what `nested` comes to, dispatches that one alone (gmain.c 2.74.6, line
//! 4142): no window is drawn any more, the dialog not even once. That is the point of the demo and
//! would also hide it. So where frames stay away, the phases of the frame clock are emitted from a
//! timeout of high priority. On X11 alone: elsewhere the compositor paces the clock.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use gtk4::gdk::{FrameClock, FrameClockPhase};
use gtk4::prelude::*;
use rustix::time::{ClockId, clock_gettime};

use crate::log::Log;

/// Counters of one window's frames.
#[derive(Debug, Default)]
pub struct Frames {
    n: Cell<u64>,
    by_hand: Cell<u64>,
    /// The next frame draws a chart.
    charts_are_due: Cell<bool>,
    began: Cell<Duration>,
    chart_time: Cell<Duration>,
}

impl Frames {
    /// Counts the frames of `window`, from its realization on.
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
                // GDK's clock comes round once more after a frame, to see that no other is wanted.
                shared.charts_are_at_work(1);
            }
            frames.began.set(thread_time());
        });
        let (frames, log) = (self.clone(), log.clone());
        clock.connect_after_paint(move |_| {
            frames.n.set(frames.n.get() + 1);
            // The screen was brought up to date: that justifies an iteration.
            log.useful();
            frames.drawn_since(frames.began.get());
        });
    }

    /// A frame is done. What it took is the charts' if they were in it.
    fn drawn_since(&self, began: Duration) {
        if self.charts_are_due.take() {
            let took = thread_time().saturating_sub(began);
            self.chart_time.set(self.chart_time.get() + took);
        }
    }

    /// Frames so far.
    pub fn n(&self) -> u64 {
        self.n.get()
    }

    /// Frames drawn by hand.
    pub fn n_by_hand(&self) -> u64 {
        self.by_hand.get()
    }

    /// Processor time of the frames that had a chart in them. More than the charts' own share of
    /// it, because the window is laid out and sent to the screen as well.
    pub fn chart_time(&self) -> Duration {
        self.chart_time.get()
    }

    /// A chart has changed.
    pub fn charts_changed(&self) {
        self.charts_are_due.set(true);
    }

    /// Wants a frame in which nothing need have changed.
    pub fn ask(&self, window: &impl IsA<gtk4::Widget>) {
        if let Some(clock) = window.frame_clock() {
            clock.request_phase(FrameClockPhase::PAINT);
        }
    }

    /// Draws every window once without GTK's idle source; `false` where that cannot be done.
    pub fn draw_by_hand(&self) -> bool {
        let began = thread_time();
        let mut drawn = false;
        for window in windows() {
            // Not "before-paint" and "after-paint": GDK keeps the books of a frame that it has
            // begun itself in there.
            let on_x11 = RootExt::display(&window).type_().name() == "GdkX11Display";
            let Some(clock) = window.frame_clock().filter(|_| on_x11 && window.is_mapped()) else {
                continue;
            };
            for phase in ["update", "layout", "paint"] {
                clock.emit_by_name::<()>(phase, &[]);
            }
            RootExt::display(&window).flush();
            drawn = true;
        }
        if drawn {
            self.by_hand.set(self.by_hand.get() + 1);
            self.drawn_since(began);
        }
        drawn
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
