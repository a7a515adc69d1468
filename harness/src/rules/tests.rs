//! Each rule fires for a judgement made for it, and not for its near miss.

use loopnest_core::program::{Actor, ActorKind, How, Program, Side, Step};
use loopnest_core::strategy::{About, Owner};
use loopnest_core::trace::Kind;
use loopnest_core::verdict::{Figures, Finding, Judgement, Tally, WindowFigures, Word};

use super::{RULES, by_name, recognise, why};

/// A judgement written for a test.
pub(crate) struct Case(Judgement);

pub(crate) fn case(words: &[Word]) -> Case {
    Case(Judgement {
        words: words.to_vec(),
        findings: [].into(),
        stalled: [].into(),
        deliveries: Vec::new(),
        tallies: Vec::new(),
        windows: Vec::new(),
        figures: Figures::default(),
        message: None,
    })
}

impl Case {
    pub(crate) fn found(mut self, finding: Finding) -> Self {
        self.0.findings.insert(finding);
        self
    }

    pub(crate) fn tally(mut self, kind: Kind, due: u32, starved: u32) -> Self {
        self.0.tallies.push((kind, Tally { due, starved, ..Tally::default() }));
        if starved * 2 > due {
            self.0.stalled.insert(kind.side());
        }
        let figures = &mut self.0.figures;
        if kind.side() == Side::Glib {
            figures.glib_due += due;
            figures.glib_starved += starved;
        } else {
            figures.async_due += due;
            figures.async_starved += starved;
        }
        self
    }

    fn never(mut self, kind: Kind, lost: u32) -> Self {
        self.0.tallies.push((kind, Tally { lost, ..Tally::default() }));
        if kind.side() == Side::Glib {
            self.0.figures.glib_lost += lost;
        } else {
            self.0.figures.async_lost += lost;
        }
        self
    }

    pub(crate) fn window(
        mut self,
        name: &str,
        iterations: u64,
        justified: u64,
        switches: u64,
    ) -> Self {
        self.0.windows.push(WindowFigures {
            name: name.to_owned(),
            ms: 300,
            iterations,
            justified,
            switches,
            cpu_permille: 980,
            kept_permille: 0,
            limit: 16 + 8 * justified,
            busy: iterations > 16 + 8 * justified,
        });
        self
    }

    pub(crate) fn message(mut self, message: &str) -> Self {
        self.0.message = Some(message.to_owned());
        self
    }

    pub(crate) fn judgement(self) -> Judgement {
        self.0
    }
}

pub(crate) fn strategy(owner: Owner) -> About {
    About {
        name: "nested",
        summary: "a strategy made for a test",
        ancestry: "none",
        owner,
        extra_threads: "none",
        needs_send: false,
        platforms: "Linux",
        limits: &[],
        control: false,
    }
}

/// A program in which a callback, a task or a library's task opens the dialog `d`.
pub(crate) fn program(opener: &str) -> Program {
    dialog(opener, How::Run)
}

fn dialog(opener: &str, how: How) -> Program {
    let kind = match opener {
        "callback" => ActorKind::Timeout { every_ms: 50, times: 1, priority: 0 },
        "library" => ActorKind::LibraryTask,
        _ => ActorKind::Task,
    };
    let step = Step::Dialog { level: "d".to_owned(), how, close_after_ms: Some(400) };
    with("dialog", vec![actor("opener", kind, vec![step]), ticker()])
}

/// A program that nests nothing.
pub(crate) fn quiet() -> Program {
    with("idle", vec![ticker()])
}

fn with(name: &str, actors: Vec<Actor>) -> Program {
    Program {
        name: name.to_owned(),
        about: "A program made for a test.".to_owned(),
        source: "none".to_owned(),
        tags: Vec::new(),
        actors,
    }
}

fn actor(name: &str, kind: ActorKind, steps: Vec<Step>) -> Actor {
    Actor { name: name.to_owned(), kind, steps }
}

fn ticker() -> Actor {
    actor("ticker", ActorKind::Task, vec![Step::Tick { every_ms: 10, times: 50 }])
}

fn flooded() -> Program {
    let flood = ActorKind::Flood { for_ms: 300, priority: 0 };
    let mut program = program("callback");
    program.actors.push(actor("flood", flood, Vec::new()));
    program
}

fn blocking() -> Program {
    let step = Step::BlockOn { level: "b".to_owned(), steps: vec![Step::Sleep { ms: 300 }] };
    let kind = ActorKind::Timeout { every_ms: 50, times: 1, priority: 0 };
    with("block-on-in-callback", vec![actor("caller", kind, vec![step])])
}

fn coop() -> Program {
    let mut program = quiet();
    program.tags.push("coop".to_owned());
    program
}

fn rule(program: &Program, owner: Owner, case: Case) -> &'static str {
    recognise(program, &strategy(owner), &case.judgement()).name
}

fn frozen() -> Case {
    case(&[Word::Stall])
        .tally(Kind::Timer, 28, 28)
        .found(Finding::Frozen(Side::Async))
        .found(Finding::Deferred(Side::Async))
}

fn frozen_and_busy(window: &str) -> Case {
    case(&[Word::Stall, Word::BusyLoop])
        .tally(Kind::Timer, 28, 28)
        .found(Finding::Frozen(Side::Async))
        .found(Finding::Spin)
        .window(window, 141_000, 31, 0)
}

fn died(message: &str) -> Case {
    case(&[Word::Abort]).message(message)
}

fn fires(name: &str, program: &Program, owner: Owner, case: Case) {
    assert_eq!(rule(program, owner, case), name);
}

fn misses(name: &str, program: &Program, owner: Owner, case: Case) {
    assert_ne!(rule(program, owner, case), name);
}

#[test]
fn names_are_unique_and_the_last_rule_always_fires() {
    for (i, rule) in RULES.iter().enumerate() {
        assert!(RULES[..i].iter().all(|other| other.name != rule.name), "{}", rule.name);
        assert_eq!(by_name(rule.name).map(|r| r.title), Some(rule.title));
    }
    let nothing = case(&[Word::Stall]);
    fires("cause-not-recognised", &program("callback"), Owner::Glib, nothing);
}

#[test]
fn every_rule_has_a_text_in_ascii_and_bad_ones_have_advice() {
    for rule in RULES {
        let all = [rule.name, rule.title, rule.text, rule.try_this, rule.when];
        assert!(all.iter().all(|text| text.is_ascii()), "{}", rule.name);
        assert!(rule.text.ends_with('.') && !rule.text.contains("  "), "{}", rule.name);
        assert!(rule.seen.iter().all(|seen| seen.contains('/') && seen.contains('#')));
        assert!(!rule.when.is_empty() && !rule.when.ends_with('.'), "{}", rule.name);
        let harmless = ["progress", "not-applicable"].contains(&rule.name);
        assert_eq!(rule.try_this.is_empty(), harmless, "{}", rule.name);
    }
}

#[test]
fn progress_with_and_without_a_panic() {
    let p = quiet();
    fires("progress", &p, Owner::Glib, case(&[Word::Progress]));
    let caught = || case(&[Word::Progress]).found(Finding::PanicCaught);
    fires("panic-caught", &p, Owner::Glib, caught());
    misses("progress", &p, Owner::Glib, caught());
    misses("panic-caught", &p, Owner::Glib, case(&[Word::Stall]).found(Finding::PanicCaught));
}

#[test]
fn refused_alone_is_refused_but_a_stall_beside_it_is_explained_first() {
    let p = program("task");
    fires("refused", &p, Owner::Both, case(&[Word::Refused]));
    let both = case(&[Word::Stall, Word::Refused]).tally(Kind::Timer, 4, 4);
    misses("refused", &p, Owner::Async, both);
}

#[test]
fn not_applicable_and_inconclusive() {
    let p = quiet();
    fires("not-applicable", &p, Owner::Glib, case(&[Word::NotApplicable]));
    fires("inconclusive", &p, Owner::Glib, case(&[Word::Inconclusive]));
    // What could not be measured does not hide a bad verdict that was proven.
    misses("inconclusive", &p, Owner::Glib, case(&[Word::Inconclusive, Word::Abort]));
}

#[test]
fn an_abort_is_told_apart_by_its_message() {
    let p = program("task");
    for (name, message) in [
        (
            "executor-re-entered",
            "unwrap on an Err: EnterError\npanic in a function that cannot unwind",
        ),
        ("executor-re-entered", "cannot execute `LocalPool` executor from within another executor"),
        ("executor-re-entered", "Cannot start a runtime from within a runtime."),
        ("callback-re-entered", "RefCell already borrowed\npanic in a function that cannot unwind"),
        ("panic-crossed-c", "panic in a function that cannot unwind"),
        ("glib-gave-up", "GLib-ERROR **: Creating pipes for GWakeup: Too many open files"),
        ("panic-ended-process", "planned panic (harness/src/cell.rs:12)"),
        ("killed-by-signal", "killed by signal 11 (SIGSEGV)"),
        ("cause-not-recognised", "exit code 3"),
    ] {
        fires(name, &p, Owner::Glib, died(message));
    }
    // The same words in a refusal are not an abort.
    let refused = case(&[Word::Refused]).message("EnterError");
    misses("executor-re-entered", &p, Owner::Glib, refused);
}

#[test]
fn what_never_ends() {
    let p = program("callback");
    fires("lock-cycle", &p, Owner::Glib, case(&[Word::Deadlock]));
    misses("lock-cycle", &p, Owner::Glib, case(&[Word::Stall]));
    let drain = dialog("callback", How::Drain);
    fires("drain-never-ends", &drain, Owner::Async, case(&[Word::Livelock]));
    fires("loop-ignores-quit", &p, Owner::Async, case(&[Word::Livelock]));
    misses("drain-never-ends", &drain, Owner::Async, frozen_and_busy("d"));
}

#[test]
fn a_loop_that_other_work_holds_open() {
    let p = program("callback");
    fires("work-holds-loop-open", &p, Owner::Glib, case(&[Word::HeldOpen]));
    misses("work-holds-loop-open", &p, Owner::Glib, case(&[Word::Stall]));
}

#[test]
fn a_quit_of_the_wrong_level() {
    let p = program("callback");
    fires("wrong-level-quit", &p, Owner::Glib, case(&[Word::WrongLevel]));
    misses("wrong-level-quit", &p, Owner::Async, frozen());
}

#[test]
fn the_coop_budget_needs_a_program_about_it() {
    fires("coop-budget", &coop(), Owner::Glib, frozen());
    misses("coop-budget", &quiet(), Owner::Glib, frozen());
    misses("coop-budget", &coop(), Owner::Glib, case(&[Word::Progress]));
    // A poke does not refill the budget.
    fires("lost-wake-up", &coop(), Owner::Glib, frozen().found(Finding::LostWakeUp));
}

#[test]
fn a_poke_that_cures_shows_a_lost_wake_up() {
    let p = program("callback");
    fires("lost-wake-up", &p, Owner::Async, frozen().found(Finding::LostWakeUp));
    misses("lost-wake-up", &p, Owner::Async, frozen());
}

#[test]
fn the_selectors_source_stays_ready_only_under_an_async_owner_in_a_nested_loop() {
    let p = program("callback");
    let name = "selector-source-stays-ready";
    fires(name, &p, Owner::Async, frozen_and_busy("d"));
    misses(name, &p, Owner::Glib, frozen_and_busy("d"));
    misses(name, &p, Owner::Async, frozen_and_busy("quiet"));
    misses(name, &p, Owner::Async, frozen());
}

#[test]
fn what_opened_the_loop_decides_a_silent_stall() {
    fires("outer-driver-on-stack", &program("callback"), Owner::Async, frozen());
    fires("nested-loop-held-by-runtime", &program("task"), Owner::Async, frozen());
    fires("driver-held-by-library-task", &program("library"), Owner::Glib, frozen());
    fires("source-not-recursive", &program("task"), Owner::Glib, frozen());
    // Under a callback, a strategy owned by GLib has nothing on the stack.
    fires("cause-not-recognised", &program("callback"), Owner::Glib, frozen());
    misses("outer-driver-on-stack", &program("callback"), Owner::Async, frozen_and_busy("d"));
    misses("driver-held-by-library-task", &program("task"), Owner::Glib, frozen());
}

#[test]
fn what_never_came_names_the_side_when_a_run_had_to_be_ended() {
    // What should close the dialog is stalled, so it never closes, and nothing is late.
    let hung = |words: &[Word]| case(words).never(Kind::Timer, 1);
    let stall = [Word::Stall];
    fires("driver-held-by-library-task", &program("library"), Owner::Glib, hung(&stall));
    fires("nested-loop-held-by-runtime", &program("task"), Owner::Async, hung(&stall));
    let busy = [Word::Stall, Word::BusyLoop];
    fires("selector-source-stays-ready", &program("callback"), Owner::Async, hung(&busy));
    // Something else may have come late, but too little of it for a stall.
    let half = hung(&stall).tally(Kind::Timer, 2, 1);
    fires("driver-held-by-library-task", &program("library"), Owner::Glib, half);
    // The other side, or something that came late, or an end of its own.
    let glib = case(&stall).never(Kind::Timeout, 1);
    misses("driver-held-by-library-task", &program("library"), Owner::Glib, glib);
    let late = hung(&stall).tally(Kind::Timeout, 3, 3).found(Finding::Frozen(Side::Glib));
    misses("driver-held-by-library-task", &program("library"), Owner::Glib, late);
    // Unless it waits for something async that was late now and then.
    let waits = hung(&stall).tally(Kind::Timer, 2, 1).tally(Kind::Fd, 1, 1);
    let waits = waits.found(Finding::Frozen(Side::Glib));
    fires("driver-held-by-library-task", &program("library"), Owner::Glib, waits);
    let lost = hung(&[Word::Lost]);
    misses("driver-held-by-library-task", &program("library"), Owner::Glib, lost);
    let (said, _) = why(&program("library"), &strategy(Owner::Glib), &hung(&stall).judgement());
    assert_eq!(said, "1 async event never came, and the run had to be ended.");
}

#[test]
fn a_blocking_wait_holds_glib() {
    let held = || case(&[Word::Stall]).tally(Kind::Timeout, 9, 9);
    fires("block-on-holds-thread", &blocking(), Owner::Glib, held());
    misses("block-on-holds-thread", &program("callback"), Owner::Glib, held());
}

#[test]
fn a_side_that_delivers_only_some_kinds_is_split() {
    let split = |word| {
        case(&[Word::Stall, word])
            .tally(Kind::Timer, 20, 20)
            .tally(Kind::Io, 3, 0)
            .found(Finding::Starved(Side::Async))
    };
    fires("split-progress", &program("callback"), Owner::Glib, split(Word::Split));
    misses("split-progress", &program("callback"), Owner::Glib, split(Word::Refused));
}

#[test]
fn a_flood_or_a_busy_loop_of_higher_priority_starves() {
    fires("starved-by-priority", &flooded(), Owner::Glib, frozen());
    fires("starved-by-priority", &program("callback"), Owner::Glib, frozen_and_busy("run"));
    // One kind that still came does not make a flood anything else.
    let split = case(&[Word::Stall, Word::Split])
        .tally(Kind::Timer, 28, 28)
        .found(Finding::Starved(Side::Async));
    fires("starved-by-priority", &flooded(), Owner::Glib, split);
    // A source that is ready only in the nested loop does not outrank what is owed.
    fires("ready-source-not-drained", &program("callback"), Owner::Glib, frozen_and_busy("d"));
}

#[test]
fn lost_is_not_a_stall() {
    let lost = case(&[Word::Lost]).tally(Kind::Timer, 10, 10);
    fires("lost-tasks", &quiet(), Owner::Glib, lost);
    misses("lost-tasks", &quiet(), Owner::Glib, frozen());
}

#[test]
fn a_busy_loop_alone_is_told_apart_by_sleep_and_place() {
    let spin = |window| case(&[Word::BusyLoop]).found(Finding::Spin).window(window, 24_000, 0, 0);
    let tick = case(&[Word::BusyLoop]).found(Finding::Tick).window("quiet", 227, 0, 226);
    let p = program("callback");
    fires("always-ready-source", &p, Owner::Glib, spin("quiet"));
    fires("ready-source-not-drained", &p, Owner::Glib, spin("d"));
    fires("timed-polling", &p, Owner::Glib, tick);
    // Sixteen iterations are free, the seventeenth is not: the flag alone decides.
    let near = case(&[Word::Progress]).window("quiet", 16, 0, 16);
    fires("progress", &p, Owner::Glib, near);
}
