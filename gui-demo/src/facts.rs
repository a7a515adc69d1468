//! What is recorded while the window is open: the beats of the activity and the edges of dialogs.
//!
//! These are plain values, so the code that records them and the code that reads them need not know
//! each other. [`log`](crate::log) keeps them; [`program`](crate::program) writes what was due.

use std::time::Duration;

use loopnest_core::trace::Meter;

/// Time between the ticker's deadlines.
pub const TICK_EVERY: Duration = Duration::from_millis(50);
/// Time between the firings of the GLib timeout.
pub const CLOCK_EVERY: Duration = Duration::from_millis(100);
/// Time between two bytes of the echo; a multiple of `TICK_EVERY`.
pub const ECHO_EVERY: Duration = Duration::from_millis(200);
/// Time between two D-Bus calls.
pub const CALL_EVERY: Duration = Duration::from_millis(1000);

/// The longest part of an episode that is judged: a dialog that stays open must not use more and
/// more memory.
pub const LONGEST: Duration = Duration::from_secs(120);

/// One thing that happened. The numbers of beats count from the start of the activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The async ticker reached its nth deadline.
    Tick(u64),
    /// The GLib timeout fired.
    Clock(u64),
    /// The echo client's timer woke it, and it sent.
    Sent(u64),
    /// The echo server read.
    Served(u64),
    /// The echo client read the answer.
    Echoed(u64),
    /// The D-Bus task's timer woke it, and it called.
    Called(u64),
    /// The D-Bus task got the answer.
    Answered(u64),
    /// A callback is about to open a dialog, or to ask a task to.
    Pressed(usize),
    /// The task that was asked got the message.
    Woken(usize),
    /// The future that a callback blocks on has slept.
    Slept(usize),
    /// A nested loop begins.
    Open(usize),
    /// The dialog was answered.
    Quit(usize),
    /// The nested loop has returned.
    Close(usize),
    /// The strategy refused.
    Refused(usize),
}

impl Fact {
    /// Whether it is an async event, the kind that stops in a stall.
    pub(crate) fn is_async(self) -> bool {
        matches!(
            self,
            Self::Tick(_)
                | Self::Sent(_)
                | Self::Served(_)
                | Self::Echoed(_)
                | Self::Called(_)
                | Self::Answered(_)
        )
    }

    /// Whether processor time and context switches are read too, which costs system calls.
    pub(crate) fn is_edge(self) -> bool {
        matches!(self, Self::Open(_) | Self::Close(_) | Self::Refused(_))
    }
}

/// A fact, when it happened, and the counters at that moment.
#[derive(Clone, Copy, Debug)]
pub struct Beat {
    /// Since the log began.
    pub at: Duration,
    /// How many dialogs were open.
    pub depth: u16,
    /// What happened.
    pub fact: Fact,
    /// Counters at that moment.
    pub meter: Meter,
}

/// The activity that runs beside the dialogs.
#[derive(Clone, Copy, Debug)]
pub struct Beside {
    /// When it began.
    pub began: Duration,
    /// Whether the echo answers.
    pub has_echo: bool,
    /// Whether there is a session bus to call.
    pub has_bus: bool,
}

/// How often `every` fits into `time`.
pub fn whole(time: Duration, every: Duration) -> u32 {
    u32::try_from(time.as_millis() / every.as_millis()).unwrap_or(u32::MAX)
}
