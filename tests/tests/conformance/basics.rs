//! Single sources: defaults, ids, priorities.

use loopnest_tests::world::{Kind, Log, World};

use super::{STEP, on_both};

on_both! {
    fn a_fresh_context_has_nothing_to_do_and_a_source_has_glibs_defaults(w) {
        assert!(!w.pending());
        assert!(!w.iteration(false));
        let s = w.source("plain", Kind::Plain, Box::new(|_, _| true));
        assert_eq!(w.priority(s), 0);
        assert!(!w.is_destroyed(s));
        assert!(!w.can_recurse(s));
        w.set_can_recurse(s, true);
        assert!(w.can_recurse(s));
        let id = w.attach(s);
        assert!(w.knows_id(id));
        w.set_priority(s, -100);
        assert_eq!(w.priority(s), -100);
        w.destroy(s);
        assert!(w.is_destroyed(s));
        assert!(!w.knows_id(id));
    }

    fn many_sources_come_and_go_in_any_order_and_none_is_dispatched_after(w) {
        for priorities in [1, 100] {
            let idle = |n: i32| {
                let s = w.source("idle", Kind::Idle, Box::new(|_, _| unreachable!()));
                w.set_priority(s, n % priorities);
                (s, w.attach(s))
            };
            let sources: Vec<_> = (0..2000).map(idle).collect();
            assert!(sources.iter().step_by(97).all(|&(_, id)| w.knows_id(id)));
            // 719 has no factor in common with 2000, so this goes through all of them.
            for n in 0..2000 {
                w.destroy(sources[n * 719 % 2000].0);
            }
            assert!(!w.iteration(false));
        }
    }

    fn a_callback_that_returns_false_is_called_once(w) {
        let log = Log::default();
        for kind in [Kind::Idle, Kind::Timeout(STEP)] {
            let said = log.clone();
            let s = w.source("once", kind, Box::new(move |_, _| {
                said.say("once");
                false
            }));
            w.attach(s);
            assert!(w.iteration(true));
            assert_eq!(log.take(), "once");
            assert!(!w.iteration(false));
            assert!(w.is_destroyed(s));
        }
    }

    fn only_the_highest_ready_priority_is_dispatched(w) {
        let log = Log::default();
        let idle = |name: &'static str, priority| {
            let said = log.clone();
            let s = w.source(name, Kind::Idle, Box::new(move |_, _| {
                said.say(name);
                true
            }));
            w.set_priority(s, priority);
            w.attach(s);
            s
        };
        let (a, b) = (idle("a", 1), idle("b", 0));
        assert!(w.pending());
        assert!(w.iteration(false));
        assert!(w.iteration(false));
        assert_eq!(log.take(), "b b");
        w.destroy(b);
        assert!(w.iteration(false));
        assert_eq!(log.take(), "a");
        assert!(w.pending());
        w.destroy(a);
        assert!(!w.pending());
    }

    fn sources_of_one_priority_run_oldest_first_and_a_changed_one_is_the_youngest(w) {
        let log = Log::default();
        let idle = |name: &'static str| {
            let said = log.clone();
            let s = w.source(name, Kind::Idle, Box::new(move |_, _| {
                said.say(name);
                true
            }));
            w.attach(s);
            s
        };
        let a = idle("a");
        idle("b");
        idle("c");
        w.iteration(false);
        assert_eq!(log.take(), "a b c");
        w.set_priority(a, 200);
        w.iteration(false);
        assert_eq!(log.take(), "b c a");
    }

    fn a_source_attached_in_a_callback_waits_for_the_next_iteration(w) {
        let log = Log::default();
        let (first, second) = (log.clone(), log.clone());
        let b = w.source("b", Kind::Idle, Box::new(move |_, _| {
            second.say("b");
            true
        }));
        let a = w.source("a", Kind::Idle, Box::new(move |w, _| {
            first.say("a");
            w.attach(b);
            false
        }));
        w.attach(a);
        assert!(w.iteration(false));
        assert_eq!(log.take(), "a");
        assert!(w.iteration(false));
        assert_eq!(log.take(), "b");
    }

    fn a_pending_source_that_another_one_destroys_is_not_called(w) {
        let log = Log::default();
        let said = log.clone();
        let b = w.source("b", Kind::Idle, Box::new(|_, _| unreachable!()));
        let a = w.source("a", Kind::Idle, Box::new(move |w, _| {
            said.say("a");
            w.destroy(b);
            true
        }));
        w.attach(a);
        w.attach(b);
        assert!(w.iteration(false));
        assert_eq!(log.take(), "a");
        assert!(w.is_destroyed(b));
    }
}
