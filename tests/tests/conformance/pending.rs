//! The list of pending dispatches, and what nested iterations do to it.

use loopnest_tests::world::{Ask, End, Events, Kind, Log, S, World};

use super::on_both;

/// An idle that logs its name, and then does something.
fn idle(
    w: &dyn World,
    log: &Log,
    name: &'static str,
    then: impl Fn(&dyn World) + Send + Sync + 'static,
) -> S {
    let said = log.clone();
    let s = w.source(
        name,
        Kind::Idle,
        Box::new(move |w, _| {
            said.say(format!("{name}{}", w.depth()));
            then(w);
            true
        }),
    );
    w.attach(s);
    s
}

on_both! {
    fn a_sibling_runs_inside_the_nested_iteration_and_not_again_after_it(w) {
        let log = Log::default();
        let said = log.clone();
        idle(w, &log, "a", move |w| {
            w.iteration(false);
            said.say("back");
        });
        idle(w, &log, "b", |_| ());
        w.iteration(false);
        assert_eq!(log.take(), "a1 b2 back");
    }

    /// The list was dropped, but READY is sticky: no source is asked again, and none is lost.
    fn a_ready_sibling_stays_ready_although_its_descriptor_is_drained(w) {
        let log = Log::default();
        let pipe = w.pipe();
        for name in ["a", "b"] {
            let said = log.clone();
            let s = w.source(name, Kind::Plain, Box::new(move |w, _| {
                said.say(format!("{name}{} {:?}", w.depth(), w.read(pipe, 1)));
                w.iteration(false);
                true
            }));
            w.add_unix_fd(s, End::Read(pipe), Events::IN);
            w.attach(s);
        }
        while w.iteration(false) {}
        w.write(pipe, 1);
        assert!(w.iteration(false));
        assert_eq!(log.take(), "a1 Bytes(1) b2 Empty");
    }

    fn two_sources_on_one_descriptor_are_both_dispatched(w) {
        let log = Log::default();
        let pipe = w.pipe();
        for name in ["a", "b"] {
            let said = log.clone();
            let s = w.source(name, Kind::Plain, Box::new(move |w, _| {
                said.say(format!("{name} {:?}", w.read(pipe, 1)));
                true
            }));
            w.add_unix_fd(s, End::Read(pipe), Events::IN);
            w.attach(s);
        }
        while w.iteration(false) {}
        w.write(pipe, 1);
        assert!(w.iteration(false));
        assert_eq!(log.take(), "a Bytes(1) b Empty");
    }

    fn a_ready_idle_waits_for_a_more_urgent_descriptor(w) {
        let log = Log::default();
        let pipe = w.pipe();
        idle(w, &log, "idle", |_| ());
        let said = log.clone();
        let s = w.source("watch", Kind::Plain, Box::new(move |w, _| {
            said.say("watch");
            w.read(pipe, 1);
            true
        }));
        w.add_unix_fd(s, End::Read(pipe), Events::IN);
        w.attach(s);
        w.iteration(false);
        log.take();
        w.write(pipe, 1);
        w.iteration(false);
        w.iteration(false);
        assert_eq!(log.take(), "watch idle1");
    }

    /// The second finds READY already set.
    fn only_the_first_of_two_pending_calls_asks_the_sources(w) {
        let log = Log::default();
        let (asked, checked, said) = (log.clone(), log.clone(), log.clone());
        let prepare = Box::new(move |_: &dyn World, _| {
            asked.say("prepare");
            Ask::Hurry
        });
        let check = Box::new(move |_: &dyn World, _| {
            checked.say("check");
            true
        });
        let s = w.source("s", Kind::Asks(prepare, check), Box::new(move |_, _| {
            said.say("dispatch");
            true
        }));
        w.attach(s);
        assert!(w.pending());
        assert!(w.pending());
        assert_eq!(log.take(), "prepare check");
        assert!(w.iteration(false));
        assert_eq!(log.take(), "dispatch");
        assert!(w.pending());
        assert_eq!(log.take(), "prepare check");
    }

    /// `pending` refills, from the start, the list that the outer dispatch is working through, and
    /// the outer one continues at the second entry. The first source starves, and each time a
    /// reference to it is leaked.
    fn a_bare_pending_in_a_callback_starves_a_sibling(w) {
        let log = Log::default();
        idle(w, &log, "a", |w| assert!(w.pending()));
        let b = idle(w, &log, "b", |_| unreachable!("starved"));
        idle(w, &log, "c", |_| ());
        idle(w, &log, "d", |_| ());
        let before = w.n_refs(b);
        for _ in 0..5 {
            assert!(w.iteration(false));
            assert_eq!(log.take(), "a1 c1 d1");
        }
        assert_eq!(w.n_refs(b) - before, 5);
        // Dropping it does not call it either.
        w.destroy(b);
    }

    fn a_pending_call_before_each_iteration_starves_no_source(w) {
        let log = Log::default();
        let said = log.clone();
        idle(w, &log, "a", move |w| {
            if w.pending() {
                w.iteration(false);
            }
            said.say("back");
        });
        idle(w, &log, "b", |_| ());
        idle(w, &log, "c", |_| ());
        w.iteration(false);
        assert_eq!(log.take(), "a1 b2 c2 back");
    }

    /// GLib warns, and only dispatches what is in the list.
    fn an_iteration_inside_a_prepare_is_refused(w) {
        let log = Log::default();
        let prepare = Box::new(|w: &dyn World, _| {
            assert!(!w.iteration(false));
            Ask::Wait
        });
        let check = Box::new(|_: &dyn World, _| false);
        let s = w.source("s", Kind::Asks(prepare, check), Box::new(|_, _| unreachable!()));
        w.attach(s);
        idle(w, &log, "idle", |_| ());
        assert!(w.iteration(false));
        assert_eq!(log.take(), "idle1");
        // Once for its prepare, once for its check.
        assert_eq!(w.complaints(), 2);
    }
}
