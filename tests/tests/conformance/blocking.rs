//! A source is blocked while its own dispatch is on the stack.

use loopnest_tests::world::{Action, Ask, End, Events, Kind, L, Log, Read, S, T, When, World};

use super::{STEP, on_both};

/// Quits a loop after a time.
fn quit_after(w: &dyn World, l: L, after: std::time::Duration) {
    let s = w.source(
        "quit",
        Kind::Timeout(after),
        Box::new(move |w, _| {
            w.quit(l);
            false
        }),
    );
    w.attach(s);
}

/// A watch of a pipe that is not drained before `depth`.
fn watch(w: &dyn World, log: &Log, depth: u32, recurse: bool) -> S {
    let pipe = w.pipe();
    let said = log.clone();
    let s = w.source(
        "watch",
        Kind::Plain,
        Box::new(move |w, _| {
            said.say(format!("{}", w.depth()));
            if w.depth() < depth {
                let inner = w.new_loop();
                quit_after(w, inner, STEP);
                w.run(inner);
            } else {
                w.read(pipe, 1);
            }
            true
        }),
    );
    w.set_can_recurse(s, recurse);
    w.add_unix_fd(s, End::Read(pipe), Events::IN);
    w.attach(s);
    w.write(pipe, 1);
    s
}

on_both! {
    /// The stall: the descriptor stays readable, and nothing polls it.
    fn a_source_that_opened_a_loop_is_blocked_and_the_loop_sleeps(w) {
        let log = Log::default();
        let s = watch(w, &log, 2, false);
        while log.n() == 0 {
            w.iteration(true);
        }
        assert_eq!(log.take(), "1");
        // Its own return, the wakeup, the timer: a handful, however long it lasts.
        assert!(w.polls() < 10, "{} polls", w.polls());
        w.destroy(s);
    }

    fn a_source_that_may_recurse_is_dispatched_ever_deeper_until_it_is_drained(w) {
        let log = Log::default();
        let s = watch(w, &log, 20, true);
        while w.iteration(false) || log.n() == 0 {}
        let all: Vec<_> = (1..=20).map(|n: u32| n.to_string()).collect();
        assert_eq!(log.take(), all.join(" "));
        w.destroy(s);
    }

    /// The spin without a dispatch: a second way to the descriptor.
    fn a_raw_poll_of_a_blocked_sources_descriptor_ends_every_poll(w) {
        let log = Log::default();
        let pipe = w.pipe();
        let said = log.clone();
        let s = w.source("watch", Kind::Plain, Box::new(move |w, _| {
            let tag = w.context_add_poll(End::Read(pipe), Events::IN, 0);
            let before = w.polls();
            for _ in 0..100 {
                // It may sleep, but does not.
                assert!(!w.iteration(true));
            }
            assert_eq!(w.polls() - before, 100);
            assert_eq!(w.revents(tag), Events::IN);
            w.remove_poll(tag);
            w.read(pipe, 1);
            said.say("done");
            true
        }));
        w.add_unix_fd(s, End::Read(pipe), Events::IN);
        w.attach(s);
        w.write(pipe, 1);
        while log.n() == 0 {
            w.iteration(true);
        }
        w.destroy(s);
    }

    /// The spin with dispatches.
    fn a_second_source_on_a_blocked_sources_descriptor_is_dispatched_for_ever(w) {
        let (log, inner) = (Log::default(), Log::default());
        let pipe = w.pipe();
        let (said, counted) = (log.clone(), inner.clone());
        let s = w.source("first", Kind::Plain, Box::new(move |w, _| {
            counted.take();
            for _ in 0..50 {
                w.iteration(true);
            }
            // Blocking and unblocking the second source also wakes, but it is ready anyway.
            said.say(format!("{}", counted.n()));
            w.read(pipe, 1);
            true
        }));
        w.add_unix_fd(s, End::Read(pipe), Events::IN);
        w.attach(s);
        let s = w.source("second", Kind::Plain, Box::new(move |_, _| {
            inner.say("2");
            true
        }));
        w.add_unix_fd(s, End::Read(pipe), Events::IN);
        w.attach(s);
        w.write(pipe, 1);
        while log.n() == 0 {
            w.iteration(true);
        }
        assert_eq!(log.take(), "50");
    }

    /// Descriptors of `add_poll` count only through `check`.
    fn a_check_that_returns_false_leaves_a_ready_descriptor_spinning(w) {
        let pipe = w.pipe();
        let prepare = Box::new(|_: &dyn World, _| Ask::Wait);
        let check = Box::new(|_: &dyn World, _| false);
        let s = w.source("no", Kind::Asks(prepare, check), Box::new(|_, _| unreachable!()));
        let tag = w.add_poll(s, End::Read(pipe), Events::IN);
        w.attach(s);
        w.write(pipe, 1);
        let before = w.polls();
        for _ in 0..100 {
            assert!(!w.iteration(true));
        }
        assert_eq!(w.polls() - before, 100);
        w.own(&mut || assert_eq!(w.revents(tag), Events::IN));
    }

    /// Unix fds count whatever `check` returns.
    fn a_unix_fd_makes_its_source_ready_even_if_check_returns_false(w) {
        let log = Log::default();
        let pipe = w.pipe();
        let prepare = Box::new(|_: &dyn World, _| Ask::Wait);
        let check = Box::new(|_: &dyn World, _| false);
        let said = log.clone();
        let s = w.source("no", Kind::Asks(prepare, check), Box::new(move |w, _| {
            said.say(format!("{:?}", w.read(pipe, 9)));
            true
        }));
        w.add_unix_fd(s, End::Read(pipe), Events::IN);
        w.attach(s);
        w.write(pipe, 3);
        assert!(w.iteration(true));
        assert_eq!(log.take(), "Bytes(3)");
    }

    fn a_hang_up_cannot_be_masked(w) {
        let log = Log::default();
        let pipe = w.pipe();
        let said = log.clone();
        let s = w.source("nothing", Kind::Plain, Box::new(move |w, s| {
            // The first tag of this world.
            assert_eq!(w.query_fd(s, T(0)), Events::HUP);
            said.say("x");
            true
        }));
        let tag = w.add_unix_fd(s, End::Read(pipe), Events::empty());
        assert_eq!(tag, T(0));
        w.attach(s);
        w.write(pipe, 1);
        while w.iteration(false) {}
        assert_eq!(log.n(), 0, "data are masked");
        w.close(pipe);
        for _ in 0..50 {
            assert!(w.iteration(true));
        }
        assert_eq!(log.n(), 50);
        assert_eq!(w.query_fd(s, tag), Events::empty(), "polled again after each dispatch");
        assert_eq!(w.read(pipe, 5), Read::Bytes(1));
        assert_eq!(w.read(pipe, 5), Read::End);
    }

    /// The ready time of a blocked source is stored, and counts from its return on.
    fn a_ready_time_set_while_blocked_does_not_wake_and_is_kept(w) {
        let log = Log::default();
        let said = log.clone();
        let s = w.source("s", Kind::Plain, Box::new(move |w, s| {
            said.say(format!("s{}", w.depth()));
            w.set_ready_time(s, When::Never);
            if said.n() == 1 {
                w.set_ready_time(s, When::Zero);
                // Nothing is ready, and the wakeup was written only once, when s became ready.
                assert!(!w.iteration(false) && !w.iteration(false));
                said.say("back");
            }
            true
        }));
        w.attach(s);
        w.set_ready_time(s, When::Zero);
        assert!(w.iteration(false));
        assert!(w.iteration(false));
        assert_eq!(log.take(), "s1 back s1");
    }

    /// A timer that opens a loop does not tick in it, and does not catch up afterwards.
    fn a_timer_that_opened_a_loop_stops_ticking_and_its_sibling_continues(w) {
        let log = Log::default();
        let main_loop = w.new_loop();
        let said = log.clone();
        let a = w.source("a", Kind::Timeout(STEP), Box::new(move |w, _| {
            said.say("a");
            if said.n() == 1 {
                let inner = w.new_loop();
                quit_after(w, inner, 5 * STEP);
                w.run(inner);
                said.say("back");
            } else {
                w.quit(main_loop);
            }
            true
        }));
        w.attach(a);
        w.run(main_loop);
        assert_eq!(log.take(), "a back a");
    }

    fn what_is_attached_or_watched_inside_a_dispatch_is_polled_after_it(w) {
        let log = Log::default();
        let pipe = w.pipe();
        w.write(pipe, 1);
        let said = log.clone();
        let s = w.source("s", Kind::Plain, Box::new(move |w, s| {
            said.say("s");
            if said.n() == 1 {
                w.set_ready_time(s, When::Never);
                w.add_unix_fd(s, End::Read(pipe), Events::IN);
                assert_eq!(w.poll_set(i32::MAX).len(), 1);
            } else {
                w.read(pipe, 1);
            }
            true
        }));
        w.attach(s);
        w.set_ready_time(s, When::Zero);
        assert!(w.iteration(false));
        assert_eq!(w.poll_set(i32::MAX).len(), 2);
        while w.iteration(false) {}
        assert_eq!(log.take(), "s s");
    }

    /// Another thread can destroy what is being dispatched.
    fn a_source_destroyed_while_it_is_dispatched_is_not_unblocked(w) {
        let log = Log::default();
        let pipe = w.pipe();
        let said = log.clone();
        let s = w.source("s", Kind::Plain, Box::new(move |w, s| {
            said.say("s");
            w.thread(STEP, Action::Destroy(s));
            while !w.is_destroyed(s) && !w.is_stuck() {
                w.compute(STEP);
            }
            true
        }));
        w.add_unix_fd(s, End::Read(pipe), Events::IN);
        w.attach(s);
        w.write(pipe, 1);
        while log.n() == 0 {
            w.iteration(true);
        }
        assert_eq!(w.poll_set(i32::MAX).len(), 1);
        assert!(!w.iteration(false));
        assert_eq!(w.complaints(), 0);
    }
}
