//! Counts the window's frames and the cost of those with charts, and draws by hand when GTK no
//! longer can.
//!
//! GTK draws in an idle source of priority 120. Under `nested`, a source of default priority is
//! always ready in a nested loop, so GLib dispatches only that one (gmain.c 2.74.6, line 4142): GTK
//! draws no window any more, and the dialog not even once. This is what the demo is about, and it
//! would hide itself. So when frames fail to appear, a timeout of high priority emits the phases of
//! the frame clock. On X11 only: elsewhere the compositor paces the clock.

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
            frames.n.set(frames.n.get() + 1);
            // The screen was brought up to date: that justifies an iteration.
            log.useful();
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

    /// Frames so far.
    pub fn n(&self) -> u64 {
        self.n.get()
    }

    /// Frames drawn by hand.
    pub fn n_by_hand(&self) -> u64 {
        self.by_hand.get()
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

    /// Draws every window once without GTK's idle source; `false` where that cannot be done.
    pub fn draw_by_hand(&self) -> bool {
        let began = thread_time();
        let mut drawn = false;
        for window in windows() {
            // Not "before-paint" and "after-paint": there GDK keeps track of frames that it has
            // begun itself.
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
