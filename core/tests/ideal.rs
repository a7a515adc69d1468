//! The ideal run: when is each event of a program due?
#![cfg(not(loopnest_loom))]

mod common;

use std::collections::BTreeSet;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use common::*;
use loopnest_core::model::ideal;
use loopnest_core::program::{ActorKind, Reply, Step};
use loopnest_core::trace::{CANCELLED, End, Kind, What};
use loopnest_core::{Program, Trace, classify};

/// An ideal run, with queries.
struct Ran {
    program: Program,
    trace: Trace,
}

/// Runs a program, which must end.
#[track_caller]
fn run(program: Program) -> Ran {
    let ran = run_for_ever(program);
    assert_eq!(ran.trace.end, End::Finished, "{:#?}", ran.trace.events);
    assert_eq!(ran.times_of(What::Done).len(), 1);
    ran
}

#[track_caller]
fn run_for_ever(program: Program) -> Ran {
    program.check().expect("the test's program makes sense");
    let trace = ideal(&program);
    assert_eq!(trace, ideal(&program), "two ideal runs are the same");
    Ran { program, trace }
}

impl Ran {
    /// When each event of an actor came, in milliseconds.
    #[track_caller]
    fn times(&self, actor: &str) -> Vec<u64> {
        let index = self.program.actors.iter().position(|a| a.name == actor);
        let index = index.expect("an actor of the program") as u16;
        self.pick(|what| matches!(what, What::Reached(key) if key.actor == index))
    }

    fn times_of(&self, what: What) -> Vec<u64> {
        self.pick(|w| w == what)
    }

    fn pick(&self, wanted: impl Fn(What) -> bool) -> Vec<u64> {
        let events = self.trace.events.iter().filter(|e| wanted(e.what));
        events.map(|e| e.at.as_millis() as u64).collect()
    }

    #[track_caller]
    fn when(&self, what: What) -> u64 {
        let times = self.times_of(what);
        assert_eq!(times.len(), 1, "{what:?} in {:#?}", self.trace.events);
        times[0]
    }
}

fn every_ten(range: std::ops::RangeInclusive<u64>) -> Vec<u64> {
    range.step_by(10).collect()
}

#[test]
fn a_program_that_nothing_starts_ends_at_once() {
    assert_eq!(run(program()).when(What::Done), 0);
    assert_eq!(run(program().dormant("dormant", vec![sleep(1)])).when(What::Done), 0);
}

#[test]
fn async_timers_fire_at_exact_times() {
    let ran = run(program().task("ticker", vec![tick(10, 3), sleep(5), tick(7, 2)]));
    assert_eq!(ran.times("ticker"), [10, 20, 30, 35, 42, 49]);
}

#[test]
fn glib_timeouts_fire_at_exact_times() {
    let ran = run(program().every("timeout", 15, 3, vec![]));
    assert_eq!(ran.times("timeout"), [15, 30, 45]);
}

#[test]
fn ticks_have_absolute_deadlines_and_catch_up_after_a_computation() {
    let ran = run(program().task("ticker", vec![tick(10, 5)]).after("busy", 15, vec![compute(30)]));
    assert_eq!(ran.times("ticker"), [10, 45, 45, 45, 50]);
}

#[test]
fn a_timeout_counts_its_interval_from_its_dispatch_whatever_its_callback_computes() {
    let ran = run(program().every("busy", 100, 3, vec![compute(40)]));
    assert_eq!(ran.times("busy"), [100, 200, 300]);
}

#[test]
fn a_timeout_that_is_late_counts_from_when_it_came() {
    let ran = run(program().every("timeout", 20, 3, vec![]).after("busy", 10, vec![compute(50)]));
    assert_eq!(ran.times("timeout"), [60, 80, 100]);
}

#[test]
fn simultaneous_events_come_in_the_order_of_their_creation() {
    let ran = run(program().after("first", 10, vec![]).after("second", 10, vec![]));
    let actors: Vec<u16> = ran
        .trace
        .events
        .iter()
        .filter_map(|e| match e.what {
            What::Reached(key) => Some(key.actor),
            _ => None,
        })
        .collect();
    assert_eq!(actors, [0, 1]);
}

/// One actor of each kind that can keep going, each every 10 ms up to 400.
fn everything() -> Program {
    program()
        .task("timer", vec![tick(10, 40)])
        .task("wake", vec![receive("channel", 40)])
        .task("io", vec![read("pipe", 40)])
        .every("timeout", 10, 40, vec![send("channel", 1), write("pipe"), write("glib-pipe")])
        .watch("fd", "glib-pipe", 40, vec![])
        .with("library", ActorKind::LibraryTask, vec![tick(10, 40)])
}

#[track_caller]
fn everything_went_on(ran: &Ran) {
    for actor in ["timer", "wake", "io", "timeout", "fd", "library"] {
        assert_eq!(ran.times(actor), every_ten(10..=400), "{actor}");
    }
}

#[test]
fn a_dialog_from_a_callback_keeps_everything_else_going() {
    let ran = run(everything().after("opener", 55, vec![dialog("dialog", 200)]));
    everything_went_on(&ran);
    assert_eq!((ran.when(What::Open(0)), ran.when(What::Close(0))), (55, 255));
}

#[test]
fn a_dialog_from_a_task_keeps_everything_else_going() {
    for kind in [ActorKind::Task, ActorKind::LibraryTask] {
        let steps = vec![sleep(55), dialog("dialog", 200)];
        let ran = run(everything().with("opener", kind, steps));
        everything_went_on(&ran);
        assert_eq!((ran.when(What::Open(0)), ran.when(What::Close(0))), (55, 255));
    }
}

#[test]
fn a_dialog_from_a_watch_or_an_idle_keeps_everything_else_going() {
    let ran = run(everything()
        .watch("opener", "go", 1, vec![dialog("from-watch", 100)])
        .after("starter", 55, vec![write("go")])
        .flood("idle", 205, vec![dialog("from-idle", 100)]));
    everything_went_on(&ran);
    assert_eq!(ran.when(What::Close(0)), 155);
    assert_eq!(ran.when(What::Close(1)), 305);
}

#[test]
fn dialogs_keep_everything_else_going_at_every_depth() {
    let ran = run(everything()
        .after("first", 55, vec![dialog("1", 300)])
        .task("second", vec![sleep(75), dialog("2", 200)])
        .after("third", 95, vec![dialog("3", 100)]));
    everything_went_on(&ran);
    assert_eq!([0, 1, 2].map(|level| ran.when(What::Open(level))), [55, 75, 95]);
    assert_eq!([0, 1, 2].map(|level| ran.when(What::Close(level))), [355, 275, 195]);
    let deepest = ran.trace.events.iter().map(|e| e.depth).max();
    assert_eq!(deepest, Some(3));
}

#[test]
fn the_depth_of_an_event_is_the_number_of_open_loops() {
    let ran =
        run(program().task("ticker", vec![tick(10, 5)]).after("a", 15, vec![dialog("a", 20)]));
    let depth = |n: usize| {
        let ticks = ran
            .trace
            .events
            .iter()
            .filter(|e| matches!(e.what, What::Reached(key) if key.kind == Kind::Timer));
        ticks.map(|e| e.depth).nth(n)
    };
    assert_eq!([0, 1, 2, 3, 4].map(depth), [0, 1, 1, 0, 0].map(Some));
}

#[test]
fn a_timer_that_opens_a_dialog_does_not_tick_meanwhile() {
    // GLib does not dispatch a source inside its own callback; afterwards a full interval passes.
    let ran = run(program().every("opener", 50, 3, vec![dialog("dialog", 200)]).every(
        "other",
        50,
        8,
        vec![],
    ));
    assert_eq!(ran.times("opener"), [50, 300, 350]);
    assert_eq!(ran.times("other"), (50..=400).step_by(50).collect::<Vec<_>>());
}

#[test]
fn a_task_that_opens_a_dialog_goes_on_when_it_has_closed() {
    let ran = run(program().task("opener", vec![dialog("dialog", 200), sleep(10)]));
    assert_eq!(ran.times("opener"), [210]);
}

#[test]
fn an_outer_dialog_that_is_quit_first_closes_when_the_inner_one_has() {
    let ran = run(program()
        .after("outer", 10, vec![dialog_until_quit("outer")])
        .after("inner", 20, vec![dialog_until_quit("inner")])
        .after("quit-outer", 50, vec![quit("outer")])
        .task("quit-inner", vec![sleep(90), quit("inner")]));
    assert_eq!(ran.when(What::Quit(0)), 50);
    assert_eq!(ran.when(What::Close(1)), 90);
    assert_eq!(ran.when(What::Close(0)), 90);
    let close = |level| ran.trace.find(What::Close(level));
    assert!(close(1) < close(0));
}

#[test]
fn a_dialog_that_was_quit_before_it_opens_closes_at_once() {
    let ran = run(program().after("quit", 10, vec![quit("dialog")]).after(
        "opener",
        20,
        vec![dialog_until_quit("dialog")],
    ));
    assert_eq!(ran.when(What::Close(0)), 20);
}

#[test]
fn a_thread_can_quit_a_dialog() {
    let ran = run(program()
        .after("opener", 10, vec![dialog_until_quit("dialog")])
        .thread("quitter", vec![sleep(30), quit("dialog")]));
    assert_eq!(ran.when(What::Close(0)), 30);
}

#[test]
fn block_on_in_a_callback_keeps_everything_else_going() {
    let ran = run(everything()
        .after(
            "caller",
            55,
            vec![compute(0), block_on("wait", vec![sleep(100), receive("answer", 1)])],
        )
        .after("answer", 205, vec![send("answer", 1)]));
    everything_went_on(&ran);
    assert_eq!((ran.when(What::Open(0)), ran.when(What::Close(0))), (55, 205));
    assert_eq!(ran.times("caller"), [55, 155, 205]);
    // The steps inside are numbered after those around them.
    let steps: Vec<_> = ran
        .trace
        .events
        .iter()
        .filter_map(|e| match e.what {
            What::Reached(key) if key.actor == 6 => Some(key.step),
            _ => None,
        })
        .collect();
    assert_eq!(steps[1..], [2, 3]);
}

#[test]
fn block_on_in_a_task_keeps_everything_else_going() {
    let ran = run(everything().task("caller", vec![block_on("wait", vec![sleep(200)])]));
    everything_went_on(&ran);
    assert_eq!(ran.when(What::Close(0)), 200);
}

#[test]
fn block_on_nests_in_dialogs_and_dialogs_in_block_on() {
    let ran = run(everything().after("opener", 55, vec![dialog("dialog", 300)]).after(
        "caller",
        65,
        vec![block_on("wait", vec![dialog("inner", 100), sleep(100)])],
    ));
    everything_went_on(&ran);
    assert_eq!(ran.times_of(What::Close(2)), [165]);
    assert_eq!(ran.times_of(What::Close(1)), [265]);
    assert_eq!(ran.times_of(What::Close(0)), [355]);
}

#[test]
fn block_on_nests_in_block_on() {
    let inner = block_on("inner", vec![sleep(10), sleep(10)]);
    let middle = block_on("middle", vec![sleep(10), inner]);
    let ran = run(program().after("caller", 10, vec![block_on("outer", vec![middle, sleep(10)])]));
    assert_eq!(ran.times("caller"), [10, 20, 30, 40, 50]);
    let keys: BTreeSet<_> = ran
        .trace
        .events
        .iter()
        .filter_map(|e| match e.what {
            What::Reached(key) => Some(key),
            _ => None,
        })
        .collect();
    assert_eq!(keys.len(), 5, "every step has a key of its own");
}

#[test]
fn block_on_ends_when_its_task_panics() {
    let steps = vec![block_on("wait", vec![sleep(5), Step::Panic])];
    let ran = run(everything().after("caller", 10, steps));
    everything_went_on(&ran);
    assert_eq!(ran.when(What::Close(0)), 15);
}

#[test]
fn a_cancelled_task_ends_there_and_then() {
    let ran = run(program().task("victim", vec![tick(10, 100)]).after(
        "canceller",
        35,
        vec![cancel("victim")],
    ));
    assert_eq!(ran.times("victim"), [10, 20, 30, 35]);
    let last = ran.trace.events.iter().rev().find_map(|e| match e.what {
        What::Reached(key) => Some((key.step, key.kind)),
        _ => None,
    });
    assert_eq!(last, Some((CANCELLED, Kind::Task)));
}

#[test]
fn a_task_cancelled_inside_a_dialog_ends_inside_it() {
    let ran = run(program()
        .task("victim", vec![tick(10, 100)])
        .after("opener", 15, vec![dialog("dialog", 100)])
        .after("canceller", 35, vec![cancel("victim")]));
    assert_eq!(ran.times("victim").last(), Some(&35));
}

#[test]
fn cancelling_what_has_ended_or_has_not_begun_does_nothing() {
    let ran = run(program()
        .task("ended", vec![sleep(10)])
        .dormant("dormant", vec![sleep(10)])
        .after("canceller", 20, vec![cancel("ended"), cancel("dormant"), spawn("dormant")]));
    assert_eq!(ran.times("ended"), [10]);
    assert_eq!(ran.times("dormant"), [30]);
}

#[test]
fn a_dormant_task_begins_when_it_is_spawned_and_the_program_waits_for_it() {
    let ran = run(program()
        .dormant("dormant", vec![sleep(50)])
        .thread("starter", vec![sleep(10), spawn("dormant")]));
    assert_eq!(ran.times("dormant"), [60]);
    assert_eq!(ran.when(What::Done), 60);
}

#[test]
fn a_channel_keeps_messages_until_somebody_takes_them() {
    let ran = run(program()
        .after("sender", 10, vec![send("channel", 2)])
        .after("late-sender", 50, vec![send("channel", 1)])
        .task("receiver", vec![sleep(20), receive("channel", 3)]));
    assert_eq!(ran.times("receiver"), [20, 20, 20, 50]);
}

#[test]
fn messages_come_first_in_first_out() {
    let ran = run(program().task("receiver", vec![receive("channel", 40)]).every(
        "sender",
        5,
        8,
        vec![send("channel", 5)],
    ));
    let numbers: Vec<u32> = ran
        .trace
        .events
        .iter()
        .filter_map(|e| match e.what {
            What::Reached(key) if key.kind == Kind::Wake => Some(key.n),
            _ => None,
        })
        .collect();
    assert_eq!(numbers, Vec::from_iter(0..40));
    let times = (5..=40).step_by(5).flat_map(|ms| [ms; 5]);
    assert_eq!(ran.times("receiver"), times.collect::<Vec<u64>>());
}

#[test]
fn a_signal_wakes_everybody_who_waits_and_stays_set() {
    let ran = run(program()
        .task("first", vec![wait_for("signal")])
        .task("second", vec![wait_for("signal")])
        .task("late", vec![sleep(50), wait_for("signal")])
        .thread("setter", vec![sleep(10), resolve("signal"), sleep(5), resolve("signal")]));
    assert_eq!(ran.times("first"), [10]);
    assert_eq!(ran.times("second"), [10]);
    assert_eq!(ran.times("late"), [50, 50]);
}

#[test]
fn calls_are_made_one_after_another_and_answered_in_time() {
    let steps = vec![sleep(5), call(20, 2, Reply::Value), call(10, 1, Reply::Error)];
    let ran = run(program().task("caller", steps));
    assert_eq!(ran.times("caller"), [5, 25, 45, 55]);
}

#[test]
fn a_call_that_is_cancelled_is_not_answered() {
    let ran = run(program().task("caller", vec![call(100, 1, Reply::Value)]).after(
        "canceller",
        30,
        vec![cancel("caller")],
    ));
    assert_eq!(ran.times("caller"), [30]);
}

#[test]
fn a_pipe_gives_its_bytes_and_then_the_end_of_file() {
    let ran = run(program()
        .task("reader", vec![read("pipe", 4)])
        .after("writer", 10, vec![write("pipe"), write("pipe")])
        .after("closer", 20, vec![close("pipe")]));
    // The end of file can be read again and again.
    assert_eq!(ran.times("reader"), [10, 10, 20, 20]);
}

#[test]
fn bytes_written_before_the_end_of_file_are_read_first() {
    let ran = run(program()
        .after("writer", 10, vec![write("pipe"), close("pipe")])
        .task("reader", vec![sleep(20), read("pipe", 2)]));
    assert_eq!(ran.times("reader"), [20, 20, 20]);
}

#[test]
fn a_watch_is_called_for_each_byte_and_for_the_end_of_file() {
    let ran = run(program()
        .watch("watch", "pipe", 3, vec![])
        .after("writer", 10, vec![write("pipe"), write("pipe")])
        .after("closer", 20, vec![close("pipe")]));
    assert_eq!(ran.times("watch"), [10, 10, 20]);
}

#[test]
fn a_watch_that_opens_a_dialog_is_not_called_meanwhile() {
    let ran = run(program()
        .watch("watch", "pipe", 2, vec![dialog("dialog", 100)])
        .after("writer", 10, vec![write("pipe")])
        .after("again", 20, vec![write("pipe")]));
    assert_eq!(ran.times("watch"), [10, 110]);
}

#[test]
fn floods_end_and_starve_nobody() {
    let ran = run(program()
        .task("async-flood", vec![Step::Yield { for_ms: 100 }])
        .flood("glib-flood", 100, vec![])
        .task("ticker", vec![tick(10, 15)])
        .every("timeout", 10, 15, vec![]));
    assert_eq!(ran.times("async-flood"), [100]);
    assert_eq!(ran.times("glib-flood"), [100]);
    assert_eq!(ran.times("ticker"), every_ten(10..=150));
    assert_eq!(ran.times("timeout"), every_ten(10..=150));
}

#[test]
fn a_thread_runs_beside_the_loops() {
    let ran = run(program()
        .thread("thread", vec![send("channel", 1), sleep(30), send("channel", 1), sleep(5)])
        .task("receiver", vec![receive("channel", 2)])
        .after("busy", 10, vec![dialog("dialog", 100)]));
    assert_eq!(ran.times("receiver"), [0, 30]);
}

#[test]
fn a_quiet_window_has_edges() {
    let ran = run(program().after("begin", 10, vec![Step::QuietBegin]).after(
        "end",
        40,
        vec![Step::QuietEnd],
    ));
    assert_eq!((ran.when(What::QuietBegin), ran.when(What::QuietEnd)), (10, 40));
}

#[test]
fn a_panic_stays_in_its_task_and_prints_nothing() {
    let printed = Arc::new(AtomicUsize::new(0));
    let (count, before) = (printed.clone(), panic::take_hook());
    let this = thread::current().id();
    panic::set_hook(Box::new(move |info| {
        // Tests that fail on other threads are not meant.
        if thread::current().id() == this {
            count.fetch_add(1, Ordering::SeqCst);
        }
        before(info);
    }));
    let ran = run(everything()
        .after("opener", 55, vec![dialog("dialog", 200)])
        .task("panicker", vec![sleep(65), Step::Panic, sleep(10)]));
    everything_went_on(&ran);
    assert_eq!(ran.when(What::Panicked), 65);
    assert_eq!(ran.times("panicker"), [65], "neither cancelled nor going on");
    assert_eq!(ran.when(What::Close(0)), 255);
    assert_eq!(printed.load(Ordering::SeqCst), 0);
}

#[test]
fn a_panic_ends_its_source_and_nothing_else() {
    let ran = run(everything()
        .every("timeout-panics", 15, 5, vec![Step::Panic])
        .flood("idle-panics", 25, vec![Step::Panic])
        .watch("watch-panics", "panic-pipe", 5, vec![Step::Panic])
        .after("writer", 35, vec![write("panic-pipe")]));
    everything_went_on(&ran);
    assert_eq!(ran.times("timeout-panics"), [15]);
    assert_eq!(ran.times("idle-panics"), [25]);
    assert_eq!(ran.times("watch-panics"), [35]);
}

#[test]
fn a_task_that_panics_inside_its_dialog_leaves_the_others_alone() {
    let ran = run(everything().task("opener", vec![dialog("dialog", 100), Step::Panic]));
    everything_went_on(&ran);
    let after = ran.trace.events.iter().filter(|e| e.at.as_millis() > 100);
    assert!(after.into_iter().all(|e| e.depth == 0));
}

/// A program that cannot end, and the time of its last event.
#[track_caller]
fn cannot_end(program: Program, last: u64) {
    let ran = run_for_ever(program);
    assert!(matches!(ran.trace.end, End::Deadline { .. }), "{:?}", ran.trace.end);
    let at = ran.trace.events.last().map_or(0, |e| e.at.as_millis() as u64);
    assert_eq!(at, last, "{:#?}", ran.trace.events);
    assert!(ran.times_of(What::Done).is_empty());
}

#[test]
fn a_program_that_waits_for_what_never_comes_does_not_end() {
    cannot_end(program().task("waiter", vec![sleep(10), wait_for("never")]), 10);
    cannot_end(program().task("receiver", vec![sleep(10), receive("never", 1)]), 10);
    cannot_end(program().task("reader", vec![sleep(10), read("never", 1)]), 10);
    cannot_end(program().watch("watch", "never", 1, vec![]).task("t", vec![sleep(10)]), 10);
}

#[test]
fn a_dialog_that_nobody_closes_does_not_close() {
    let ran = program().task("opener", vec![sleep(10), dialog_until_quit("dialog"), sleep(10)]);
    cannot_end(ran, 10);
    let ran = program().after("opener", 10, vec![dialog_until_quit("dialog"), send("never", 1)]);
    cannot_end(ran.task("receiver", vec![receive("never", 1)]), 10);
}

#[test]
fn a_wait_for_what_never_comes_does_not_end_at_any_depth() {
    cannot_end(
        program().after("outer", 10, vec![dialog("outer", 100)]).after(
            "caller",
            20,
            vec![block_on("wait", vec![wait_for("never")])],
        ),
        110,
    );
}

#[test]
fn a_program_that_takes_more_than_a_minute_does_not_end() {
    run(program().task("sleeper", vec![sleep(60_000)]));
    cannot_end(program().task("sleeper", vec![sleep(60_001)]), 0);
}

#[test]
fn the_ideal_run_is_progress_by_its_own_measure() {
    let programs = [
        everything().after("opener", 55, vec![dialog("dialog", 200)]),
        everything().task("opener", vec![sleep(55), dialog("1", 200), dialog("2", 50)]),
        everything().flood("flood", 300, vec![]),
        everything().after("caller", 55, vec![block_on("wait", vec![sleep(200)])]),
        program().after("begin", 10, vec![Step::QuietBegin]).after(
            "end",
            400,
            vec![Step::QuietEnd],
        ),
    ];
    for program in programs {
        let ideal = run(program.clone()).trace;
        assert_eq!(classify(&program, &ideal, &ideal).text(), "progress");
    }
}
