//! The known causes, in the order in which they are tried.
//!
//! The references are to issues that describe the same thing; METHODOLOGY.md has the measured
//! facts.

use loopnest_core::Program;
use loopnest_core::program::{How, Side, Step};
use loopnest_core::strategy::{About, Owner};
use loopnest_core::verdict::{Finding, Judgement, Word};

use super::evidence::Evidence;

/// A known cause.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Kebab-case name; also its heading in METHODOLOGY.md.
    pub name: &'static str,
    /// The cause in a few words.
    pub title: &'static str,
    /// Why it happens, in plain words.
    pub text: &'static str,
    /// Where it was seen before: `owner/repository#issue`.
    pub seen: &'static [&'static str],
    /// What to try; empty where nothing is wrong.
    pub try_this: &'static str,
    /// What `fires` looks for, in words.
    pub when: &'static str,
    /// Whether the evidence shows this cause. Called only when no earlier rule fired.
    fires: fn(&Evidence<'_>) -> bool,
}

/// The rule that recognises the cause of a verdict; the last one if none does.
pub fn recognise(program: &Program, about: &About, judgement: &Judgement) -> &'static Rule {
    let evidence = Evidence { program, about, judgement };
    let last = &RULES[RULES.len() - 1];
    RULES.iter().find(|rule| (rule.fires)(&evidence)).unwrap_or(last)
}

/// The rule of that name.
pub fn by_name(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name)
}

/// Every rule; see the [module](super) for what the order means.
pub const RULES: &[Rule] = &[
    Rule {
        name: "not-applicable",
        title: "the strategy does not offer this",
        text: "The strategy declares that it does not offer this. Nothing was run.",
        seen: &[],
        try_this: "",
        when: "the strategy declares that it does not offer this",
        fires: |e| e.has(Word::NotApplicable),
    },
    Rule {
        name: "inconclusive",
        title: "the measurement cannot tell",
        text: "A precondition of the measurement failed, so nothing is known about the strategy: \
               no window was seen, the machine stood still, or the subject could not start.",
        seen: &[],
        try_this: "run `doctor`, then the cell again on a quieter machine",
        when: "`inconclusive` is the only word",
        fires: |e| e.only(Word::Inconclusive),
    },
    Rule {
        name: "executor-re-entered",
        title: "an executor was entered while it was on the stack",
        text: "The nested loop was opened inside a future. The executor that polls this future \
               is therefore on the stack below the nested loop, and it guards against being \
               entered twice: as soon as the nested loop has another future to poll, the guard \
               panics inside a C callback.",
        seen: &["gtk-rs/gtk-rs-core#739", "gtk-rs/gtk4-rs#2185", "Lyude/neovim-gtk#155"],
        try_this: "open the nested loop from a plain callback (an idle source), or use a \
                   strategy whose executor is re-entrant",
        when: "the process died, and its last message is that of an executor's guard: \
               `EnterError`, \"cannot execute `LocalPool` executor\", or \"Cannot start a runtime \
               from within a runtime\"",
        fires: |e| {
            e.died_saying(&[
                "EnterError",
                "cannot execute `LocalPool` executor",
                "Cannot start a runtime from within a runtime",
            ])
        },
    },
    Rule {
        name: "callback-re-entered",
        title: "a callback was called while it was on the stack",
        text: "The nested loop dispatched a source whose closure, or whose data, was still \
               borrowed by a call further down the stack.",
        seen: &["gtk-rs/examples#196"],
        try_this: "end every borrow before you open the nested loop",
        when: "the process died, and its last message is that of a `RefCell`: already borrowed",
        fires: |e| e.died_saying(&["already borrowed", "already mutably borrowed", "BorrowMut"]),
    },
    Rule {
        name: "panic-crossed-c",
        title: "a panic reached a C frame",
        text: "A closure that GLib calls panicked. A panic cannot unwind through C, so Rust ends \
               the process.",
        seen: &[],
        try_this: "catch the panic in the callback, and resume it where the loop was called",
        when: "the process died of a \"panic in a function that cannot unwind\", and neither rule \
               above applies",
        fires: |e| e.died_saying(&["cannot unwind", "panic in a function that cannot unwind"]),
    },
    Rule {
        name: "glib-gave-up",
        title: "GLib ended the process",
        text: "GLib hit an error that it treats as fatal, such as running out of descriptors for \
               its own wake-up, and raised SIGTRAP.",
        seen: &[],
        try_this: "read the message; check limits (`ulimit -n`) before you create a context",
        when: "the process died, and its last message is a GLib error, `-ERROR **`",
        fires: |e| e.died_saying(&["-ERROR **"]),
    },
    Rule {
        name: "panic-ended-process",
        title: "a panic ended the process",
        text: "A panic escaped from the strategy's own `run`, and nothing caught it.",
        seen: &[],
        try_this: "keep a panic inside the task or callback that caused it",
        when: "the process died of a panic that did not reach C",
        fires: |e| e.died_saying(&["panicked", ".rs:"]),
    },
    Rule {
        name: "killed-by-signal",
        title: "a signal ended the process",
        text: "A signal that the harness did not send ended the process, and no message says why.",
        seen: &[],
        try_this: "replay the cell under gdb or valgrind",
        when: "a signal killed the process, and no message says why",
        fires: |e| e.died_saying(&["signal", "SIG"]),
    },
    Rule {
        name: "lock-cycle",
        title: "blocked on a lock",
        text: "The loop thread sleeps on a lock, not in poll, and no poke reaches it: whatever \
               holds the lock is waiting too. A callback that holds a lock while it opens a nested \
               loop is enough.",
        seen: &["rust-windowing/winit#1779", "gtk-rs/examples#196"],
        try_this: "hold no lock across a nested loop or while waiting for another thread",
        when: "the verdict is deadlock",
        fires: |e| e.has(Word::Deadlock),
    },
    Rule {
        name: "drain-never-ends",
        title: "`while pending() { iteration(false) }` never ends",
        text: "pending() says that a source is ready, and iteration(false) does not change that: \
               the source belongs to the other loop, which cannot be driven from here. So the \
               inner `while` never ends, and the outer one never checks whether the dialog was \
               closed.",
        seen: &["PolyMeilex/rfd#150", "mattn/go-gtk#409"],
        try_this: "run a `MainLoop` instead, or do not report the runtime's descriptor as ready \
                   while it cannot be drained",
        when: "the verdict is livelock, and the program drains a loop with `while pending() { \
               iteration(false) }`",
        fires: |e| {
            let drains = |step: &Step| matches!(step, Step::Dialog { how: How::Drain, .. });
            e.has(Word::Livelock) && e.has_step(drains)
        },
    },
    Rule {
        name: "loop-ignores-quit",
        title: "a nested loop was asked to quit and keeps running",
        text: "The loop was asked to quit, and it still iterates though nothing is left to do: the \
               quit reached a loop other than the innermost one, or nothing checks for it.",
        seen: &["translate/virtaal#3610"],
        try_this: "quit the innermost loop first, and quit the same loop object that was run",
        when: "the verdict is any other livelock",
        fires: |e| e.has(Word::Livelock),
    },
    Rule {
        name: "wrong-level-quit",
        title: "a quit ended the wrong loop",
        text: "A nested loop returned although nothing had asked it to. With several loops on one \
               stack, a quit must name its level. A shared flag, or `quit` on the wrong loop \
               object, ends whichever loop is innermost.",
        seen: &["harvimt/quamash#65", "translate/virtaal#3610"],
        try_this: "give each level its own loop object, or its own flag",
        when: "the verdict is wrong-level",
        fires: |e| e.has(Word::WrongLevel),
    },
    Rule {
        name: "lost-wake-up",
        title: "nothing woke the loop",
        text: "What was owed came as soon as both loops were woken from outside. So it was ready \
               while both loops slept: the loop that delivers it was never woken, or the wake came \
               between its last check and its sleep.",
        seen: &["jhenstridge/asyncio-glib#3", "ocsigen/lwt_glib#4", "Smithay/calloop#171"],
        try_this: "wake the other loop after every change, even from its own thread, and clear the \
                   wake flag before you drain the queue",
        when: "a poke produced what was owed, and no library task can be holding the runtime's \
               driver",
        // With the runtime's driver held, what a poke brings says nothing about wake-ups.
        fires: |e| e.found(Finding::LostWakeUp) && !e.may_be_held(),
    },
    Rule {
        name: "coop-budget",
        title: "tokio's budget ran out and is never refilled",
        text: "tokio allows a task 128 operations in each of its polls. If the whole GLib loop \
               runs inside one such poll, the budget is never refilled: from then on every channel \
               returns `Pending` and wakes its task at once, for ever.",
        seen: &["gtk-rs/gtk-rs-core#1251", "Stremio/stremio-linux-shell#116"],
        try_this: "do not run the GLib loop inside `block_on`, or wrap the future in \
                   `tokio::task::unconstrained`",
        when: "the verdict is stall or lost, and the scenario is designed to use up tokio's \
               cooperative budget",
        fires: |e| e.is_about_coop() && (e.has(Word::Stall) || e.has(Word::Lost)),
    },
    Rule {
        name: "selector-source-stays-ready",
        title: "the outer selector's source stays ready",
        text: "To wait, the runtime runs the GLib loop until a source on its descriptor or \
               deadline quits that loop. In a nested loop this source is ready and quits the outer \
               loop, which is not the innermost one. So nothing drains it, and the nested loop \
               iterates without sleeping while the runtime gets no turn.",
        seen: &["python/cpython#139145", "romgrk/node-gtk#437"],
        try_this: "let GLib drive the runtime from a recursive source; at least remove the source \
                   from the context once it has fired",
        when: "the async runtime owns the thread, its side stalled, and a nested loop was busy",
        fires: |e| e.owner(Owner::Async) && e.stalled(Side::Async) && e.busy() && e.busy_in_level(),
    },
    Rule {
        name: "driver-held-by-library-task",
        title: "a task on the runtime's own queue holds the driver",
        text: "A task that a library gave to `tokio::spawn` opened the nested loop. The runtime \
               itself polls it, so the runtime and its driver are on the stack below the nested \
               loop, and tokio refuses to be entered again: timers and I/O wait until the loop \
               closes.",
        seen: &["tauri-apps/tauri#1695", "CabbageDevelopment/qasync#59"],
        try_this: "open the nested loop from one of the application's own tasks, or hand it to the \
                   GLib side as a job",
        when: "the async side stalled, a task on the runtime's own queue opens a nested loop, and \
               the runtime does not own the thread",
        fires: |e| {
            let stalled = e.stalled(Side::Async)
                || e.found(Finding::LostWakeUp)
                || (e.has(Word::Stall) && e.was_late(Side::Async));
            !e.owner(Owner::Async) && stalled && e.opened_by_library_task()
        },
    },
    Rule {
        name: "nested-loop-held-by-runtime",
        title: "the runtime is polling the task that opened the nested loop",
        text: "The nested loop was opened inside a task. The runtime that polls this task is on \
               the stack below the nested loop and cannot be entered again, so its other tasks, \
               timers and descriptors get no turn until the loop closes.",
        seen: &["CabbageDevelopment/qasync#59", "python-trio/trio#1578"],
        try_this: "open the nested loop from a callback, or use a strategy whose executor is \
                   re-entrant",
        when: "the async runtime owns the thread, its side stalled, only tasks open nested loops, \
               and nothing was busy",
        fires: |e| {
            let by_task = e.opened_by_task() || e.opened_by_library_task();
            e.owner(Owner::Async)
                && e.stalled(Side::Async)
                && by_task
                && !e.opened_by_callback()
                && !e.busy()
        },
    },
    Rule {
        name: "outer-driver-on-stack",
        title: "the driver is on the stack below the nested loop",
        text: "The runtime owns the thread, and its wait called the callback that opened the \
               nested loop. Only that wait polls the driver, and it cannot return before the \
               nested loop does. Nothing is lost: everything comes when the loop closes.",
        seen: &["python-trio/trio#1578", "harvimt/quamash#41"],
        try_this: "let GLib own the thread, or give the driver a thread of its own",
        when: "the async runtime owns the thread, its whole side froze, and nothing was busy",
        fires: |e| {
            e.owner(Owner::Async)
                && e.stalled(Side::Async)
                && e.found(Finding::Frozen(Side::Async))
                && !e.busy()
        },
    },
    Rule {
        name: "source-not-recursive",
        title: "the runtime's source is being dispatched and may not recurse",
        text: "The nested loop was opened inside a task, and so inside the dispatch of the source \
               that polls the tasks. GLib does not dispatch a source again while its dispatch runs \
               unless the source allows it, so the other tasks wait until the loop closes.",
        seen: &["geany/geany#1461"],
        try_this: "set `can_recurse` on the source and make its executor re-entrant",
        when: "GLib owns the thread, the async side stalled, and a task opens a nested loop",
        fires: |e| {
            !e.owner(Owner::Async)
                && e.stalled(Side::Async)
                && e.opened_by_task()
                && !e.busy_outside_levels()
        },
    },
    Rule {
        name: "block-on-holds-thread",
        title: "a callback waits for a future, and GLib waits with it",
        text: "A callback blocks its thread until a future is done. Unless that wait iterates the \
               GLib context too, GLib dispatches no source meanwhile.",
        seen: &["beeware/gbulb#19", "gtk-rs/gtk-rs-core#1930"],
        try_this: "wait in a nested `MainLoop` that the future quits, or do not wait in a callback",
        when: "the GLib side stalled, and a callback waits for a future",
        fires: |e| e.stalled(Side::Glib) && e.has_step(|step| matches!(step, Step::BlockOn { .. })),
    },
    Rule {
        name: "starved-by-priority",
        title: "something that is always ready has a higher priority",
        text: "The loop is alive and iterates, but a source that is ready in every iteration has a \
               higher priority, or takes up the whole iteration, and GLib dispatches only the \
               highest priority that is ready.",
        seen: &["twisted/twisted#4489", "nodegui/qodejs#6"],
        try_this: "limit the work of one dispatch and continue at a lower priority; give what must \
                   not starve a higher priority than what may flood",
        when: "one side stalled while the other was flooded, or something stalled while the loop \
               was busy outside every nested loop",
        fires: |e| {
            let flooded = e.stalled(Side::Async) && e.floods(Side::Glib)
                || e.stalled(Side::Glib) && e.floods(Side::Async);
            let outshone =
                e.has(Word::Stall) && e.busy() && e.busy_outside_levels() && !e.owner(Owner::Async);
            flooded || outshone
        },
    },
    Rule {
        name: "split-progress",
        title: "some kinds of event still come, others do not",
        text: "One side delivers some kinds of event inside the window and not others: the loop \
               that runs watches its I/O but the other one keeps its timers, or the other way \
               round.",
        seen: &["romgrk/node-gtk#121"],
        try_this: "handle all kinds in one place: descriptors, deadlines and ready tasks",
        when: "some kinds of event of one side came in the window and others did not",
        fires: |e| e.has(Word::Split),
    },
    Rule {
        name: "lost-tasks",
        title: "tasks were dropped or never scheduled again",
        text: "Every window had closed and the rest of the program was over, and still it did not \
               come, not even after a poke. The task's handle was consumed while it could not be \
               polled, or the task was dropped with its executor.",
        seen: &["CabbageDevelopment/qasync#59", "gmarull/asyncqt#27"],
        try_this: "keep a task in the queue while it cannot be polled",
        when: "the verdict is lost",
        fires: |e| e.has(Word::Lost),
    },
    Rule {
        name: "work-holds-loop-open",
        title: "work that is always ready keeps a loop from ending",
        text: "The loop was told to end, and went on until other work had ended. A loop that is \
               drained by hand, `while pending() { iteration(false) }`, checks whether it was told to \
               end only when nothing is ready, and tasks that are always ready kept a source ready.",
        seen: &[],
        try_this: "run a `MainLoop`, which ends after the iteration in which it is quit, or let the \
                   work pause",
        when: "the verdict is held-open",
        fires: |e| e.has(Word::HeldOpen),
    },
    Rule {
        name: "always-ready-source",
        title: "a source is ready though nothing is due",
        text: "While nothing was due on either side, the loop iterated without sleeping: there is \
               an idle source that never ends, a descriptor that nothing drains, or a `prepare` \
               that asks for a timeout of 0.",
        seen: &["libuv/libuv#360", "romgrk/node-gtk#477", "Smithay/calloop#34"],
        try_this: "remove the source while it has nothing to do; drain its descriptor, or stop \
                   watching it",
        when: "the loop did not sleep in a quiet window",
        fires: |e| e.busy() && e.busy_in_quiet() && e.found(Finding::Spin),
    },
    Rule {
        name: "timed-polling",
        title: "a timer wakes the loop for nothing",
        text: "The loop sleeps between its iterations, but it wakes far more often than there is \
               anything to do: one loop polls the other on a timer.",
        seen: &["beeware/toga#2548", "twisted/twisted#7193"],
        try_this: "wait for the other loop's descriptor and deadline instead of polling it",
        when: "the loop was busy, and slept between its iterations",
        fires: |e| e.busy() && e.found(Finding::Tick) && !e.found(Finding::Spin),
    },
    Rule {
        name: "ready-source-not-drained",
        title: "a source stays ready after its dispatch",
        text: "The loop iterated without sleeping, far more often than there were things to do: a \
               descriptor or a deadline is reported as ready, and dispatching it does not change \
               that.",
        seen: &["romgrk/node-gtk#437", "python/cpython#139145"],
        try_this: "drain the descriptor in the dispatch, or do not watch it while it cannot be \
                   drained",
        when: "the loop was busy outside quiet windows, and did not sleep",
        fires: |e| e.busy() && e.found(Finding::Spin),
    },
    Rule {
        name: "refused",
        title: "the strategy refused",
        text: "The strategy returned an error that says why, and kept working.",
        seen: &["fancidev/qtinter#18", "beeware/gbulb#19"],
        try_this: "read the reason in the message",
        when: "`refused` is the only word",
        fires: |e| e.only(Word::Refused),
    },
    Rule {
        name: "panic-caught",
        title: "a panic was caught",
        text: "A task or a callback panicked. It alone ended, and everything else that was due \
               came.",
        seen: &[],
        try_this: "await the task's handle, or the panic goes unnoticed",
        when: "the verdict is progress, and a panic was seen",
        fires: |e| e.only(Word::Progress) && e.found(Finding::PanicCaught),
    },
    Rule {
        name: "progress",
        title: "nothing is wrong",
        text: "Everything that was due inside a window was delivered inside it, and the loop did \
               not iterate more often than it had to.",
        seen: &[],
        try_this: "",
        when: "the verdict is progress",
        fires: |e| e.only(Word::Progress),
    },
    Rule {
        name: "cause-not-recognised",
        title: "cause not recognised",
        text: "No rule fits the evidence. That is a finding too: the cause is new, or a rule is \
               missing.",
        seen: &[],
        try_this: "look at the timeline (`--timeline FILE`), and report the cell with its seed",
        when: "no rule above fits the evidence",
        fires: |_| true,
    },
];
