//! The wakeup: what writes it, what reads it, and what it costs.

use std::sync::Arc;

use loopnest_tests::world::{Action, Ask, End, Events, Kind, Log, Outside, World};

use super::{STEP, on_both};

/// The number of empty iterations before the context can sleep.
fn idle_iterations(w: &dyn World) -> u32 {
    let mut n = 0;
    while w.wakeup_is_set() {
        assert!(!w.iteration(true));
        n += 1;
    }
    n
}

on_both! {
    /// 21: it is a flag, however often it is set.
    fn many_wakeups_end_one_sleep(w) {
        for _ in 0..100 {
            w.wakeup();
            assert!(!w.iteration(true));
        }
        for _ in 0..1000 {
            w.wakeup();
        }
        assert_eq!(idle_iterations(w), 1);
        assert_eq!(idle_iterations(w), 0);
    }

    fn a_nested_iteration_eats_the_wakeup_of_the_outer_one(w) {
        let s = w.source("s", Kind::Idle, Box::new(|w, _| {
            w.wakeup();
            w.iteration(false);
            false
        }));
        w.attach(s);
        assert!(w.iteration(true));
        assert_eq!(idle_iterations(w), 0);
    }

    /// One event on a descriptor costs two iterations, because blocking and unblocking its source
    /// change the poll set. A source that may recurse is not blocked.
    fn an_event_costs_two_polls_and_one_if_the_source_may_recurse(w) {
        for (recurse, cost) in [(false, 1), (true, 0)] {
            let pipe = w.pipe();
            let s = w.source("watch", Kind::Plain, Box::new(move |w, _| {
                w.read(pipe, 1);
                true
            }));
            w.set_can_recurse(s, recurse);
            w.add_unix_fd(s, End::Read(pipe), Events::IN);
            w.attach(s);
            assert_eq!(idle_iterations(w), 1, "a new descriptor wakes too");
            for _ in 0..3 {
                w.write(pipe, 1);
                assert!(w.iteration(true));
                assert_eq!(idle_iterations(w), cost);
            }
            w.destroy(s);
            assert_eq!(idle_iterations(w), 1, "and so does a removed one");
        }
    }

    /// The same, counted: one poll at the start, because a descriptor was added, and one at the end.
    fn a_hundred_events_cost_202_polls_or_102(w) {
        for (recurse, polls) in [(false, 202), (true, 102)] {
            let (pipe, main_loop) = (w.pipe(), w.new_loop());
            let s = w.source("watch", Kind::Plain, Box::new(move |w, _| {
                w.read(pipe, 1);
                true
            }));
            w.set_can_recurse(s, recurse);
            w.add_unix_fd(s, End::Read(pipe), Events::IN);
            w.attach(s);
            let mut outside: Vec<Outside> = Vec::new();
            for _ in 0..100 {
                outside.push(Box::new(move |w| assert_eq!(w.write(pipe, 1), 1)));
            }
            outside.push(Box::new(move |w| w.quit(main_loop)));
            w.when_asleep(outside);
            let before = w.polls();
            w.run(main_loop);
            assert_eq!(w.polls() - before, polls);
            w.destroy(s);
            w.iteration(false);
        }
    }

    /// A timeout is blocked too, but it has nothing in the poll set, and its new ready time is set
    /// while it is blocked.
    fn a_timeout_costs_one_poll(w) {
        let s = w.source("tick", Kind::Timeout(STEP), Box::new(|_, _| true));
        w.attach(s);
        assert!(w.iteration(true));
        let before = w.polls();
        for _ in 0..3 {
            assert!(w.iteration(true));
        }
        assert_eq!(w.polls() - before, 3);
    }

    fn a_change_of_a_ready_time_costs_an_iteration_and_no_change_costs_none(w) {
        use loopnest_tests::world::When;
        let s = w.source("s", Kind::Plain, Box::new(|_, _| unreachable!()));
        w.attach(s);
        w.set_ready_time(s, When::Never);
        assert_eq!(idle_iterations(w), 0);
        w.set_ready_time(s, When::After(1000 * STEP));
        assert_eq!(idle_iterations(w), 1);
    }

    /// Even if the modify changes nothing.
    fn every_modify_of_a_descriptor_costs_an_iteration(w) {
        let pipe = w.pipe();
        let s = w.source("s", Kind::Plain, Box::new(|_, _| unreachable!()));
        let tag = w.add_unix_fd(s, End::Read(pipe), Events::IN);
        w.attach(s);
        assert_eq!(idle_iterations(w), 1);
        w.modify_fd(s, tag, Events::IN);
        assert_eq!(idle_iterations(w), 1);
    }

    /// If a source of higher priority than the wakeup is always ready, nothing is left to poll, and
    /// poll is not called at all.
    fn a_source_of_higher_priority_that_is_always_ready_starves_the_poll(w) {
        let log = Log::default();
        let (pipe, said) = (w.pipe(), log.clone());
        let watch = w.source("watch", Kind::Plain, Box::new(|_, _| unreachable!()));
        w.add_unix_fd(watch, End::Read(pipe), Events::IN);
        w.attach(watch);
        w.write(pipe, 1);
        let s = w.source("busy", Kind::Idle, Box::new(move |_, _| {
            said.say("x");
            true
        }));
        w.set_priority(s, -1);
        w.attach(s);
        for _ in 0..10 {
            assert!(w.iteration(true));
        }
        assert_eq!((log.n(), w.polls()), (10, 0));
        w.destroy(s);
        w.destroy(watch);
        assert!(!w.iteration(true), "the wakeup was kept");
        assert_eq!(w.polls(), 1);
    }

    fn attaching_by_the_owner_does_not_wake(w) {
        w.own(&mut || {
            let s = w.source("s", Kind::Plain, Box::new(|_, _| true));
            w.attach(s);
            assert_eq!(idle_iterations(w), 0);
        });
    }

    fn attaching_by_another_thread_ends_the_sleep(w) {
        let log = Log::default();
        let said = log.clone();
        let s = w.source("s", Kind::Idle, Box::new(move |_, _| {
            said.say("s");
            false
        }));
        w.thread(STEP, Action::Attach(s));
        assert!(w.iteration(true), "its check finds it, although its prepare was not called");
        assert_eq!(log.take(), "s");
    }

    /// Descriptors were added while it polled: the iteration ends without a dispatch, although a
    /// source was ready through its ready time.
    fn a_poll_set_that_changes_during_the_poll_ends_the_iteration(w) {
        let log = Log::default();
        let pipe = w.pipe();
        w.write(pipe, 1);
        let said = log.clone();
        let s = w.source("watch", Kind::Plain, Box::new(move |w, _| {
            said.say("watch");
            w.read(pipe, 1);
            false
        }));
        w.add_unix_fd(s, End::Read(pipe), Events::IN);
        let (asked, checked) = (log.clone(), log.clone());
        let prepare = Box::new(move |_: &dyn World, _| {
            asked.say("prepare");
            Ask::Wait
        });
        let check = Box::new(move |_: &dyn World, _| {
            checked.say("check");
            false
        });
        let other = w.source("other", Kind::Asks(prepare, check), Box::new(|_, _| true));
        w.attach(other);
        // Long enough to be asleep by then.
        w.thread(10 * STEP, Action::Attach(s));
        assert!(!w.iteration(true));
        assert_eq!(log.take(), "prepare", "no check was called");
        assert!(w.iteration(true));
        assert_eq!(log.take(), "prepare check watch");
    }

    /// 13: the owner calls it at once; any other thread attaches an idle source.
    fn an_invoke_is_direct_for_the_owner_and_queued_for_others(w) {
        let log = Log::default();
        let (said, me) = (log.clone(), std::thread::current().id());
        w.on_invoke(Box::new(move || {
            assert_eq!(std::thread::current().id(), me);
            said.say("called");
        }));
        let counted = Arc::new(log.clone());
        w.own(&mut || {
            w.invoke();
            counted.say("direct");
        });
        assert_eq!(log.take(), "called direct");
        w.thread(STEP, Action::Invoke);
        while log.n() == 0 {
            assert!(!w.is_stuck());
            w.iteration(true);
        }
        assert_eq!(log.take(), "called");
    }

    fn a_quit_and_a_wakeup_by_another_thread_end_the_sleep(w) {
        let main_loop = w.new_loop();
        // Not before it runs: that quit would have no effect.
        let s = w.source("s", Kind::Idle, Box::new(move |w, _| {
            w.thread(STEP, Action::Quit(main_loop));
            false
        }));
        w.attach(s);
        w.run(main_loop);
        w.thread(STEP, Action::Wakeup);
        assert!(!w.iteration(true));
        assert_eq!(idle_iterations(w), 0);
    }
}
