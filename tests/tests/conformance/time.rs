//! Timeouts, ready times, and the clock, which is read once per iteration.

use std::time::Duration;

use loopnest_tests::world::{Action, Kind, Log, When, World};

use super::{STEP, on_both};

on_both! {
    /// 11: missed timeouts are not caught up. Anything may delay the real ones; the model is exact.
    fn timeouts_do_not_catch_up(w) {
        let log = Log::default();
        let main_loop = w.new_loop();
        for (name, steps) in [("a", 10), ("b", 25), ("c", 33)] {
            let said = log.clone();
            let s = w.source(name, Kind::Timeout(steps * STEP / 10), Box::new(move |_, _| {
                said.say(name);
                true
            }));
            w.attach(s);
        }
        let s = w.source("end", Kind::Timeout(105 * STEP / 10), Box::new(move |w, _| {
            w.quit(main_loop);
            false
        }));
        w.attach(s);
        w.run(main_loop);
        let order = log.take();
        let [a, b, c] = ["a", "b", "c"].map(|what| order.matches(what).count());
        assert!(0 < c && c <= b && b <= a && a <= 10 && b <= 4 && c <= 3, "{order}");
        if w.is_model() {
            assert_eq!([a, b, c], [10, 4, 3]);
        }
    }

    /// 18: the time does not change within an iteration, or after a destroy.
    fn all_sources_see_the_same_time_in_an_iteration(w) {
        let log = Log::default();
        let said = log.clone();
        let first = w.source("first", Kind::Idle, Box::new(move |w, s| {
            let before = w.time(s);
            w.compute(STEP);
            assert_eq!(w.time(s), before);
            said.say(format!("{before:?}"));
            true
        }));
        let said = log.clone();
        let second = w.source("second", Kind::Idle, Box::new(move |w, s| {
            said.say(format!("{:?}", w.time(s)));
            w.destroy(s);
            said.say(format!("{:?}", w.time(s)));
            true
        }));
        w.attach(first);
        w.attach(second);
        w.iteration(false);
        let order = log.take();
        let times: Vec<_> = order.split(' ').collect();
        assert!(times[0] == times[1] && times[1] == times[2], "{order}");
        w.iteration(false);
        assert_ne!(log.take(), times[0], "another iteration, another time");
    }

    /// A nested iteration reads the clock again, also for the outer one.
    fn a_nested_iteration_moves_the_time_of_the_outer_one(w) {
        let log = Log::default();
        let said = log.clone();
        let s = w.source("s", Kind::Idle, Box::new(move |w, s| {
            let before = w.time(s);
            w.compute(STEP);
            w.iteration(false);
            assert!(w.time(s) >= before + STEP);
            said.say("done");
            true
        }));
        w.attach(s);
        w.iteration(false);
        assert_eq!(log.take(), "done");
    }

    /// 20: which values are a ready time, and which are not.
    fn a_ready_time_in_the_past_fires_and_is_not_reset(w) {
        let log = Log::default();
        let said = log.clone();
        let s = w.source("s", Kind::Plain, Box::new(move |_, _| {
            said.say("s");
            true
        }));
        w.attach(s);
        let run = |when| {
            w.set_ready_time(s, when);
            for _ in 0..3 {
                w.iteration(false);
            }
            log.take()
        };
        assert!(!w.has_ready_time(s));
        assert_eq!(run(When::Never), "");
        assert_eq!(run(When::After(Duration::from_secs(86_400))), "");
        assert!(w.has_ready_time(s));
        assert_eq!(run(When::Never), "");
        assert_eq!(run(When::After(Duration::ZERO)), "s s s");
        assert_eq!(run(When::Zero), "s s s");
        assert!(w.has_ready_time(s));
    }

    /// 20, the other half: set from another thread, it wakes a sleeping loop.
    fn a_ready_time_set_by_another_thread_ends_the_sleep(w) {
        let s = w.source("s", Kind::Plain, Box::new(|_, _| false));
        w.attach(s);
        w.thread(STEP, Action::MakeReady(s));
        while !w.iteration(true) {
            assert!(!w.is_stuck());
        }
        assert!(w.is_destroyed(s));
    }

    /// The interval of a timeout counts from its creation, not from when it is attached.
    fn a_timeout_that_is_attached_late_is_due_at_once(w) {
        let log = Log::default();
        let said = log.clone();
        let s = w.source("s", Kind::Timeout(STEP), Box::new(move |_, _| {
            said.say("s");
            true
        }));
        w.compute(2 * STEP);
        w.attach(s);
        assert!(w.iteration(false));
        assert_eq!(log.take(), "s");
    }

    /// They are attached in that order too: after a pause of the machine all may be due at once.
    fn timeouts_fire_in_the_order_of_their_times(w) {
        let log = Log::default();
        let main_loop = w.new_loop();
        for (name, steps) in [("a", 1), ("b", 2), ("c", 3), ("quit", 4)] {
            let said = log.clone();
            let s = w.source(name, Kind::Timeout(steps * STEP), Box::new(move |w, _| {
                said.say(name);
                if name == "quit" {
                    w.quit(main_loop);
                }
                false
            }));
            w.attach(s);
        }
        w.run(main_loop);
        assert_eq!(log.take(), "a b c quit");
    }
}
