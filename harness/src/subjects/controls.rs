//! Planted subjects: strategies with a known fault, to test the judge.
//!
//! A detector that has never detected anything proves nothing.
//! Each is [`Dispatch`] with one thing wrong, and names the verdict that it must get.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use glib::{ControlFlow, MainContext, Priority};
use loopnest_core::strategy::{About, Owner, RunError, Start, Strategy};
use loopnest_core::verdict::Word;
use loopnest_strategies::Dispatch;

use super::deaf::Deaf;
use super::dispatch::{DispatchTasks, run_on};
use super::host::{HostLoops, set_up};
use super::late_quit::LateQuit;

/// When the one-time faults strike: after the program's quiet window has begun.
const STRIKE: Duration = Duration::from_millis(150);

/// A planted subject and the verdict that it must get.
pub struct Control {
    /// Its name.
    pub name: &'static str,
    /// What is wrong with it.
    pub summary: &'static str,
    /// The verdict that it must get, worst first.
    pub verdict: &'static [Word],
    plant: fn(&MainContext, &Dispatch),
    loops: Faulty,
}

/// What is wrong with the loops that the program sees.
#[derive(Clone, Copy)]
enum Faulty {
    Nothing,
    Deaf,
    LateQuit,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Control {
    const fn new(
        name: &'static str,
        summary: &'static str,
        verdict: &'static [Word],
        plant: fn(&MainContext, &Dispatch),
    ) -> Self {
        Self { name, summary, verdict, plant, loops: Faulty::Nothing }
    }
}

/// All planted subjects.
pub fn all() -> Vec<Control> {
    vec![
        Control::new("control-correct", "nothing is wrong", &[Word::Progress], |_, _| {}),
        Control {
            loops: Faulty::Deaf,
            ..Control::new(
                "control-lost-wake-up",
                "a wake from another thread queues the task but does not wake the loop",
                &[Word::Stall],
                |_, _| {},
            )
        },
        Control {
            loops: Faulty::LateQuit,
            ..Control::new(
                "control-held-open",
                "a nested loop goes on for half a second after it is told to end",
                &[Word::HeldOpen],
                |_, _| {},
            )
        },
        Control::new(
            "control-starved",
            "a source that is always ready outranks everything else",
            &[Word::Stall, Word::BusyLoop],
            |context, _| always_ready(context, Priority::HIGH, Duration::from_millis(1)),
        ),
        Control::new(
            "control-busy-idle",
            "an idle source that never ends",
            &[Word::BusyLoop],
            |context, _| always_ready(context, Priority::DEFAULT_IDLE, Duration::ZERO),
        ),
        Control::new(
            "control-busy-high",
            "an endless source that outranks the context's own wake-up: poll() is never called",
            &[Word::Stall, Word::BusyLoop],
            |context, _| always_ready(context, Priority::HIGH, Duration::ZERO),
        ),
        Control::new(
            "control-ticker",
            "a source that ticks every millisecond for nothing",
            &[Word::BusyLoop],
            |context, _| {
                let tick = || ControlFlow::Continue;
                glib::timeout_source_new(Duration::from_millis(1), None, Priority::DEFAULT, tick)
                    .attach(Some(context));
            },
        ),
        Control::new(
            "control-deadlock",
            "two threads take two locks in opposite orders",
            &[Word::Deadlock],
            deadlock,
        ),
        Control::new(
            "control-panic-caught",
            "a task panics, and nothing awaits it",
            &[Word::Progress],
            |_, dispatch| {
                dispatch.spawn_local(async { panic!("planted panic in a task") });
            },
        ),
        Control::new(
            "control-panic-abort",
            "a glib-rs closure panics",
            &[Word::Abort],
            |context, _| {
                let strike = || panic!("planted panic in a closure");
                glib::timeout_source_new(STRIKE, None, Priority::DEFAULT, strike)
                    .attach(Some(context));
            },
        ),
    ]
}

fn always_ready(context: &MainContext, priority: Priority, pause: Duration) {
    glib::idle_source_new(None, priority, move || {
        if !pause.is_zero() {
            thread::sleep(pause);
        }
        ControlFlow::Continue
    })
    .attach(Some(context));
}

fn deadlock(context: &MainContext, _: &Dispatch) {
    let locks = Arc::new((Mutex::new(()), Mutex::new(())));
    let theirs = locks.clone();
    thread::spawn(move || {
        let _second = theirs.1.lock();
        thread::sleep(STRIKE * 2);
        let _first = theirs.0.lock();
    });
    glib::timeout_source_new(STRIKE, None, Priority::DEFAULT, move || {
        let _first = locks.0.lock();
        thread::sleep(STRIKE * 2);
        let _second = locks.1.lock();
        ControlFlow::Break
    })
    .attach(Some(context));
}

impl Strategy for Control {
    fn about(&self) -> About {
        About {
            name: self.name,
            summary: self.summary,
            ancestry: "planted",
            owner: Owner::Glib,
            extra_threads: "none",
            needs_send: false,
            platforms: "Linux",
            limits: &[],
            control: true,
        }
    }

    fn run(&self, start: Start) -> Result<(), RunError> {
        let context = MainContext::default();
        let dispatch = Dispatch::new(&context).map_err(set_up)?;
        (self.plant)(&context, &dispatch);
        match self.loops {
            Faulty::Nothing => run_on(&dispatch, start),
            Faulty::Deaf => {
                let (tasks, _hears) = Deaf::new(DispatchTasks::of(&dispatch));
                dispatch.block_on(start(HostLoops::new(tasks)));
            }
            Faulty::LateQuit => {
                let loops = HostLoops::new(DispatchTasks::of(&dispatch));
                dispatch.block_on(start(Arc::new(LateQuit(loops))));
            }
        }
        Ok(())
    }
}
