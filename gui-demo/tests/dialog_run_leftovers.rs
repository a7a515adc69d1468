//! What hundreds of nested dialogs leave behind: nothing.

mod common;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use common::PATIENCE;
use common::inside::{assert_nothing_left, dialog, on_a_desk, parent, soon};
use gtk4::glib;
use gtk4::prelude::*;
use gui_demo::dialog_run::{Answer, Outcome, abort_all, depth, dialog_run};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// How much the resident memory may grow over hundreds of dialogs, in KiB: the allocator keeps a
/// little. A leaked window costs tens of KiB.
const SLACK_KIB: u64 = 128;

on_a_desk! {
    fn hundreds_of_dialogs_in_any_order_leave_nothing() {
        let parent = parent();
        let round = || {
            let mut runner = TestRunner::new(Config { cases: 40, ..Config::default() });
            runner.run(&prop::collection::vec(act(), 30), |script| {
                play(&parent, script);
                Ok(())
            }).expect("every script leaves nothing");
            let opened = OPENED.take();
            assert!(opened >= 200, "only {opened} dialogs were opened");
            wait_for_rest();
            (n_sources(), resident_kib())
        };
        // First fills the caches of fonts, styles and the allocator.
        round();
        let (sources, before) = round();
        round();
        let (sources_after, after) = round();
        assert_eq!(sources_after, sources, "sources");
        let grown = after.saturating_sub(before);
        assert!(grown <= SLACK_KIB, "{grown} KiB more in memory");
    }

    fn dialogs_do_not_grow_the_process() {
        let parent = parent();
        let batch = || for _ in 0..100 {
            let outcome = dialog_run(&dialog("d", &parent), |answer| soon(move || answer.give(())));
            assert_eq!(outcome, Outcome::Response(()));
        };
        // First fills the caches of fonts, styles and the allocator.
        batch();
        let before = resident_kib();
        batch();
        batch();
        let grown = resident_kib().saturating_sub(before);
        assert!(grown <= SLACK_KIB, "200 dialogs cost {grown} KiB");
        assert_nothing_left(1);
    }
}

/// What may happen to a stack of dialogs.
#[derive(Clone, Copy, Debug)]
enum Move {
    Open,
    Answer(usize),
    Close(usize),
    Destroy(usize),
    Hide(usize),
    AbortAll,
}

fn act() -> impl Strategy<Value = Move> {
    prop_oneof![
        6 => Just(Move::Open),
        3 => (0..3usize).prop_map(Move::Answer),
        2 => (0..3usize).prop_map(Move::Close),
        1 => (0..3usize).prop_map(Move::Destroy),
        1 => (0..3usize).prop_map(Move::Hide),
        1 => Just(Move::AbortAll),
    ]
}

thread_local! {
    static OPENED: Cell<usize> = const { Cell::new(0) };
}

/// A script that the innermost loop plays.
struct Play {
    script: RefCell<VecDeque<Move>>,
    /// The open dialogs, outermost first.
    open: RefCell<Vec<(gtk4::Window, Answer<usize>)>>,
    weak: RefCell<Vec<glib::WeakRef<gtk4::Window>>>,
    parent: gtk4::Window,
}

fn play(parent: &gtk4::Window, script: Vec<Move>) {
    let play = Rc::new(Play {
        script: RefCell::new(script.into()),
        open: RefCell::default(),
        weak: RefCell::default(),
        parent: parent.clone(),
    });
    // The bottom of the stack runs until the script is over.
    while step(&play) {}
    assert_nothing_left(1);
    assert_eq!(Rc::strong_count(&play), 1, "sources or handlers left behind");
    let alive = play.weak.borrow().iter().filter(|weak| weak.upgrade().is_some()).count();
    assert_eq!(alive, 0, "windows kept alive");
}

/// Plays one move; `false` when the script is over.
fn step(play: &Rc<Play>) -> bool {
    let Some(act) = play.script.borrow_mut().pop_front() else {
        abort_all();
        return false;
    };
    let nth = |n: usize| play.open.borrow().get(n).cloned();
    match act {
        Move::Open if depth() < 3 => open(play),
        Move::Open => {}
        Move::Answer(n) => drop(nth(n).map(|(_, answer)| answer.give(n))),
        Move::Close(n) => drop(nth(n).map(|(window, _)| window.close())),
        Move::Destroy(n) => drop(nth(n).map(|(window, _)| window.destroy())),
        Move::Hide(n) => drop(nth(n).map(|(window, _)| window.set_visible(false))),
        Move::AbortAll => abort_all(),
    }
    true
}

fn open(play: &Rc<Play>) {
    OPENED.set(OPENED.get() + 1);
    let below = play.open.borrow().last().map(|(window, _)| window.clone());
    let window = dialog("d", &below.unwrap_or_else(|| play.parent.clone()));
    play.weak.borrow_mut().push(window.downgrade());
    let level = play.open.borrow().len();
    let outcome = dialog_run(&window, |answer| {
        play.open.borrow_mut().push((window.clone(), answer));
        // Holds state, as the handlers of any program do.
        let held = play.clone();
        window.connect_unmap(move |_| drop(held.script.borrow()));
        continue_in_this_loop(play);
    });
    play.open.borrow_mut().pop();
    if let Outcome::Response(answer) = outcome {
        assert_eq!(answer, level, "an answer came to another dialog");
    }
}

/// Continues the script in the innermost loop, one move per callback.
fn continue_in_this_loop(play: &Rc<Play>) {
    let play = play.clone();
    let level = play.open.borrow().len();
    glib::idle_add_local(move || {
        // The dialog that added this callback has ended.
        if play.open.borrow().len() < level {
            return glib::ControlFlow::Break;
        }
        step(&play).into()
    });
}

/// Iterates until nothing has been ready for a while. GTK fades the parent in when it regains the
/// focus; a leftover timer or idle source would keep firing for ever.
fn wait_for_rest() {
    let context = glib::MainContext::default();
    let mut quiet = Instant::now();
    let give_up = quiet + PATIENCE;
    while quiet.elapsed() < Duration::from_millis(300) {
        if context.iteration(false) {
            quiet = Instant::now();
        }
        assert!(Instant::now() < give_up, "something keeps firing");
        thread::sleep(Duration::from_millis(1));
    }
}

/// How many sources the default context has.
fn n_sources() -> usize {
    let latest = glib::idle_add_local_once(|| {});
    let end = latest.as_raw();
    latest.remove();
    let context = glib::MainContext::default();
    let exists = |&id: &u32| {
        #[expect(unsafe_code, reason = "glib-rs has no way to name a source of GTK's")]
        // SAFETY: any number but 0 is a valid argument of the lookup.
        let id: glib::SourceId = unsafe { glib::translate::from_glib(id) };
        context.find_source_by_id(&id).is_some()
    };
    (1..end).filter(exists).count()
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
