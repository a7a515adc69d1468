//! The known causes, in the order in which they are asked for.
//!
//! References are to issues whose threads describe the same thing; the measured facts are those of
//! METHODOLOGY.md.

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
    /// Why it comes to that, in plain words.
    pub text: &'static str,
    /// Where the same was seen: `owner/repository#issue`.
    pub seen: &'static [&'static str],
    /// What to try; empty where nothing is wrong.
    pub try_this: &'static str,
    /// What `fires` looks for, in words.
    pub when: &'static str,
    /// Whether the evidence shows this cause. Asked only when no earlier rule fired.
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
        text: "The strategy declares that it has no such thing. Nothing was run.",
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
        try_this: "run `harness doctor`, then the cell again on a quieter machine",
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
        try_this: "end every borrow before the nested loop is opened",
        when: "the process died, and its last message is that of a `RefCell`: already borrowed",
        fires: |e| e.died_saying(&["already borrowed", "already mutably borrowed", "BorrowMut"]),
    },
    Rule {
        name: "panic-crossed-c",
        title: "a panic reached a frame of C",
        text: "A closure that GLib calls panicked. A panic cannot unwind through C, so Rust ends \
               the process.",
        seen: &[],
        try_this: "catch the panic in the callback and carry it to the caller of the loop",
        when: "the process died of a \"panic in a function that cannot unwind\", and neither rule \
               above fits",
        fires: |e| e.died_saying(&["cannot unwind", "panic in a function that cannot unwind"]),
    },
    Rule {
        name: "glib-gave-up",
        title: "GLib ended the process",
        text: "GLib met an error that it treats as fatal, such as no descriptor left for its own \
               wake-up, and raised SIGTRAP.",
        seen: &[],
        try_this: "read the message; check limits (`ulimit -n`) before a context is created",
        when: "the process died, and its last message is a GLib error, `-ERROR **`",
        fires: |e| e.died_saying(&["-ERROR **"]),
    },
    Rule {
        name: "panic-ended-process",
        title: "a panic ended the process",
        text: "A panic came out of the strategy's own `run`, with nothing to catch it.",
        seen: &[],
        try_this: "keep a panic inside the task or callback that caused it",
        when: "the process died of a panic that did not reach C",
        fires: |e| e.died_saying(&["panicked", ".rs:"]),
    },
    Rule {
        name: "killed-by-signal",
        title: "a signal ended the process",
        text: "The process was ended by a signal that is not the harness's own, without a \
               message that would tell why.",
        seen: &[],
        try_this: "replay the cell under gdb or valgrind",
        when: "the process died by a signal, and no message says why",
        fires: |e| e.died_saying(&["signal", "SIG"]),
    },
    Rule {
        name: "lock-cycle",
        title: "asleep in a lock",
        text: "The loop thread sleeps in a lock, not in poll, and no poke reaches it: somebody \
               who holds what it waits for is waiting in turn. A callback that keeps a lock \
               while it opens a nested loop is enough.",
        seen: &["rust-windowing/winit#1779", "gtk-rs/examples#196"],
        try_this: "hold no lock across a nested loop or a wait for the other thread",
        when: "the verdict is deadlock",
        fires: |e| e.has(Word::Deadlock),
    },
    Rule {
        name: "drain-never-ends",
        title: "`while pending() { iteration(false) }` never ends",
        text: "pending() says that a source is ready, and iteration(false) does not make it less \
               so: the source belongs to the other loop, which cannot be driven from here. The \
               inner `while` therefore never gives the outer one a chance to look whether the \
               dialog was closed.",
        seen: &["PolyMeilex/rfd#150", "mattn/go-gtk#409"],
        try_this: "run a `MainLoop` instead, or do not count the runtime's descriptor as ready \
                   while it cannot be drained",
        when: "the verdict is livelock, and the program drains a loop by hand with `while \
               pending() { iteration(false) }`",
        fires: |e| {
            let drains = |step: &Step| matches!(step, Step::Dialog { how: How::Drain, .. });
            e.has(Word::Livelock) && e.has_step(drains)
        },
    },
    Rule {
        name: "loop-ignores-quit",
        title: "a nested loop was told to end and turns on",
        text: "The loop was asked to quit, and it still turns though nothing is left to do: the \
               quit went to a loop that is not the one that runs, or its result is never looked \
               at.",
        seen: &["translate/virtaal#3610"],
        try_this: "quit the innermost loop first, and quit the loop object that was run",
        when: "the verdict is any other livelock",
        fires: |e| e.has(Word::Livelock),
    },
    Rule {
        name: "wrong-level-quit",
        title: "a quit ended another loop than its own",
        text: "A nested loop returned although nobody had asked it to. With several loops on one \
               stack a quit has to name its level; a shared flag, or `quit` on the wrong loop \
               object, ends whichever loop runs.",
        seen: &["harvimt/quamash#65", "translate/virtaal#3610"],
        try_this: "one loop object, or one flag, for each level",
        when: "the verdict is wrong-level",
        fires: |e| e.has(Word::WrongLevel),
    },
    Rule {
        name: "lost-wake-up",
        title: "nobody woke the loop",
        text: "What was owed came as soon as both loops were woken from outside. So it was \
               ready, and both loops slept: whoever made it ready did not wake the loop that \
               delivers it, or the wake came between looking and sleeping.",
        seen: &["jhenstridge/asyncio-glib#3", "ocsigen/lwt_glib#4", "Smithay/calloop#171"],
        try_this: "wake the other loop after every change, also from its own thread, and clear \
                   the wake flag before the queue is drained",
        when: "a poke produced what was owed, and no library task can be holding the runtime's \
               driver",
        // With the runtime's driver held, what a poke brings says nothing of wake-ups.
        fires: |e| e.found(Finding::LostWakeUp) && !e.may_be_held(),
    },
    Rule {
        name: "coop-budget",
        title: "tokio's budget ran out and is never refilled",
        text: "tokio gives a task 128 operations for each of its own polls. Where the whole GLib \
               loop runs inside one such poll the budget is never refilled: from then on every \
               channel says `Pending` and wakes its task at once, for ever.",
        seen: &["gtk-rs/gtk-rs-core#1251", "Stremio/stremio-linux-shell#116"],
        try_this: "do not run the GLib loop inside `block_on`; else wrap the future in \
                   `tokio::task::unconstrained`",
        when: "the verdict is a stall or lost, and the scenario is made to use up tokio's \
               cooperative budget",
        fires: |e| e.is_about_coop() && (e.has(Word::Stall) || e.has(Word::Lost)),
    },
    Rule {
        name: "selector-source-stays-ready",
        title: "the outer selector's source stays ready",
        text: "The runtime's wait is a run of the GLib loop, ended by a source on the runtime's \
               descriptor or deadline. In a nested loop this source is ready and quits the outer \
               loop, which is not the one that runs. So nobody drains it, and the nested loop \
               turns without sleeping while the runtime gets no turn.",
        seen: &["python/cpython#139145", "romgrk/node-gtk#437"],
        try_this: "let GLib drive the runtime from a recursive source; at least take the source \
                   out of the context once it has fired",
        when: "the async runtime owns the thread, its side stalled, and a nested loop was busy",
        fires: |e| e.owner(Owner::Async) && e.stalled(Side::Async) && e.busy() && e.busy_in_level(),
    },
    Rule {
        name: "driver-held-by-library-task",
        title: "the runtime's driver is held by a task on the runtime's own queue",
        text: "A task that a library gave to `tokio::spawn` opened the nested loop. It is polled \
               by the runtime itself, so the runtime and its driver are on the stack below the \
               nested loop, and tokio refuses to be entered again: timers and I/O wait until the \
               loop is closed.",
        seen: &["tauri-apps/tauri#1695", "CabbageDevelopment/qasync#59"],
        try_this: "open the nested loop from a task of the application, or hand it to the GLib \
                   side as a job",
        when: "the async side stalled, the program has a task on the runtime's own queue open a \
               nested loop, and the runtime does not own the thread",
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
               the stack below the nested loop and cannot be entered again, so no other task, \
               timer or descriptor of its gets a turn until the loop is closed.",
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
               nested loop. The driver is polled only by that wait, which cannot return before \
               the nested loop does. Nothing is lost: it comes when the loop is closed.",
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
        text: "The nested loop was opened inside a task, thus inside the dispatch of the source \
               that polls the tasks. GLib does not dispatch a source again while its dispatch \
               runs unless the source allows it, so the other tasks wait until the loop is \
               closed.",
        seen: &["geany/geany#1461"],
        try_this: "set `can_recurse` on the source and make its executor re-entrant",
        when: "GLib owns the thread, the async side stalled, and the program has a task open a \
               nested loop",
        fires: |e| {
            !e.owner(Owner::Async)
                && e.stalled(Side::Async)
                && e.opened_by_task()
                && !e.busy_outside_levels()
        },
    },
    Rule {
        name: "block-on-holds-thread",
        title: "a callback waits for a future and lets GLib wait with it",
        text: "A callback blocks its thread until a future is done. Unless that wait turns the \
               GLib context too, no source of GLib is dispatched meanwhile.",
        seen: &["beeware/gbulb#19", "gtk-rs/gtk-rs-core#1930"],
        try_this: "wait in a nested `MainLoop` that the future quits, or do not wait in a callback",
        when: "the GLib side stalled, and the program has a callback wait for a future",
        fires: |e| e.stalled(Side::Glib) && e.has_step(|step| matches!(step, Step::BlockOn { .. })),
    },
    Rule {
        name: "starved-by-priority",
        title: "something always ready stands above it",
        text: "The loop turns and is alive, but a source that is ready in every iteration has a \
               higher priority, or takes its whole turn, and GLib dispatches the highest ready \
               priority alone.",
        seen: &["twisted/twisted#4489", "nodegui/qodejs#6"],
        try_this: "bound the work of one dispatch and let the rest go on at a lower priority; \
                   put what must not starve above what may flood",
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
        title: "some kinds of event go on, others do not",
        text: "One side delivers some kinds of event inside the window and not others: its I/O \
               is watched by the loop that runs, its timers are kept by the one that does not, \
               or the other way round.",
        seen: &["romgrk/node-gtk#121"],
        try_this: "let one place decide about all kinds: descriptors, deadlines and ready tasks",
        when: "some kinds of event of one side went on in the window and others did not",
        fires: |e| e.has(Word::Split),
    },
    Rule {
        name: "lost-tasks",
        title: "tasks were dropped or never scheduled again",
        text: "Every window was closed and the rest of the program is over, and still it did not \
               come, nor did a poke produce it. The task's handle was consumed while it could \
               not be polled, or the task was dropped with its executor.",
        seen: &["CabbageDevelopment/qasync#59", "gmarull/asyncqt#27"],
        try_this: "a task that cannot be polled now has to stay in the queue",
        when: "the verdict is lost",
        fires: |e| e.has(Word::Lost),
    },
    Rule {
        name: "always-ready-source",
        title: "a source is ready though nothing is due",
        text: "In a stretch in which nothing was due on either side the loop turned without \
               sleeping: an idle source that goes on for ever, a descriptor that nobody drains, \
               or a `prepare` that asks for a timeout of 0.",
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
               anything to do: one loop looks after the other by the clock.",
        seen: &["beeware/toga#2548", "twisted/twisted#7193"],
        try_this: "wait for the other loop's descriptor and deadline instead of asking again and \
                   again",
        when: "the loop was busy, and slept between its iterations",
        fires: |e| e.busy() && e.found(Finding::Tick) && !e.found(Finding::Spin),
    },
    Rule {
        name: "ready-source-not-drained",
        title: "a source stays ready after its dispatch",
        text: "The loop turned without sleeping and far more often than there were things to do: \
               a descriptor or a deadline is reported ready, and its dispatch leaves it so.",
        seen: &["romgrk/node-gtk#437", "python/cpython#139145"],
        try_this: "drain the descriptor in the dispatch, or do not watch it while it cannot be \
                   drained",
        when: "the loop was busy outside quiet windows, and did not sleep",
        fires: |e| e.busy() && e.found(Finding::Spin),
    },
    Rule {
        name: "refused",
        title: "the strategy turned it down",
        text: "The strategy answered with an error that says why, and went on unharmed.",
        seen: &["fancidev/qtinter#18", "beeware/gbulb#19"],
        try_this: "follow the reason in the message",
        when: "`refused` is the only word",
        fires: |e| e.only(Word::Refused),
    },
    Rule {
        name: "panic-caught",
        title: "a panic was caught",
        text: "A task or a callback panicked; it ended alone, and everything else that was due \
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
               not turn more often than it had to.",
        seen: &[],
        try_this: "",
        when: "the verdict is progress",
        fires: |e| e.only(Word::Progress),
    },
    Rule {
        name: "cause-not-recognised",
        title: "cause not recognised",
        text: "No rule fits the evidence. That is a finding too: either a new cause, or a rule \
               is missing.",
        seen: &[],
        try_this: "look at the timeline (`--timeline FILE`), and report the cell with its seed",
        when: "no rule above fits the evidence",
        fires: |_| true,
    },
];
