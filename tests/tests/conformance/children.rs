//! Child sources. The counts are the same as in GLib's own tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use loopnest_tests::world::{Ask, Callback, End, Events, Kind, L, Log, S, World};

use super::on_both;

/// A clock that ticks once per iteration: the first source whose `prepare` is called.
#[derive(Clone)]
struct Counter(Arc<AtomicU64>);

impl Counter {
    fn new(w: &dyn World) -> Self {
        let this = Self(Arc::new(AtomicU64::new(0)));
        let n = this.0.clone();
        let prepare = Box::new(move |_: &dyn World, _| {
            n.fetch_add(1, Relaxed);
            Ask::Hurry
        });
        let check = Box::new(|_: &dyn World, _| false);
        let s = w.source("counter", Kind::Asks(prepare, check), Box::new(|_, _| true));
        w.set_priority(s, -1000);
        w.attach(s);
        this
    }

    /// A source that is ready every so many iterations, through its `prepare` alone.
    fn every(&self, w: &dyn World, interval: u64, callback: Callback) -> S {
        let n = self.0.clone();
        let due = Arc::new(AtomicU64::new(n.load(Relaxed) + interval));
        let (now, at) = (n.clone(), due.clone());
        let prepare =
            Box::new(
                move |_: &dyn World, _| {
                    if now.load(Relaxed) >= at.load(Relaxed) { Ask::Ready } else { Ask::Hurry }
                },
            );
        let check = Box::new(|_: &dyn World, _| false);
        w.source(
            "every",
            Kind::Asks(prepare, check),
            Box::new(move |w, s| {
                let again = callback(w, s);
                due.store(n.load(Relaxed) + interval, Relaxed);
                again
            }),
        )
    }
}

fn says(log: &Log, what: &'static str) -> Callback {
    let log = log.clone();
    Box::new(move |_, _| {
        log.say(what);
        true
    })
}

fn quits(l: L) -> Callback {
    Box::new(move |w, _| {
        w.quit(l);
        false
    })
}

fn count(order: &str, what: &str) -> usize {
    order.split(' ').filter(|&said| said == what).count()
}

on_both! {
    /// 14: the children make the parent ready. Its callback runs a nested loop in which they are
    /// blocked. They catch up on what they missed later, and only once.
    fn children_trigger_their_parent_and_are_blocked_with_it(w) {
        let (log, counter) = (Log::default(), Counter::new(w));
        let outer = w.new_loop();
        let (said, clock) = (log.clone(), counter.clone());
        let parent = counter.every(w, 2000, Box::new(move |w, _| {
            said.say("a");
            let inner = w.new_loop();
            let end = clock.every(w, 100, quits(inner));
            w.attach(end);
            w.run(inner);
            true
        }));
        w.set_priority(parent, 300);
        w.attach(parent);
        let b = counter.every(w, 250, says(&log, "b"));
        w.add_child(parent, b);
        let c = counter.every(w, 330, says(&log, "c"));
        w.set_priority(c, -100);
        w.add_child(parent, c);
        assert_eq!([w.priority(b), w.priority(c)], [300; 2]);
        w.set_priority(parent, 0);
        assert_eq!([w.priority(b), w.priority(c)], [0; 2]);
        let end = counter.every(w, 1050, quits(outer));
        w.attach(end);
        w.run(outer);
        let order = log.take();
        assert_eq!(["a", "b", "c"].map(|what| count(&order, what)), [6, 3, 3]);
        assert_eq!(order, "b a c a b a c a b a c a");
    }

    /// 15: a grandchild makes both of its ancestors ready.
    fn a_grandchild_triggers_all_its_ancestors(w) {
        let (log, counter) = (Log::default(), Counter::new(w));
        let main_loop = w.new_loop();
        let a = counter.every(w, 500, says(&log, "a"));
        let b = counter.every(w, 220, says(&log, "b"));
        w.add_child(a, b);
        let c = counter.every(w, 430, says(&log, "c"));
        w.add_child(b, c);
        w.attach(a);
        let end = counter.every(w, 2010, quits(main_loop));
        w.attach(end);
        w.run(main_loop);
        let order = log.take();
        assert_eq!(["a", "b", "c"].map(|what| count(&order, what)), [9, 9, 4]);
        // The youngest generation first: a child comes right before its parent.
        assert_eq!(order, "b a c b a b a c b a b a c b a b a c b a b a");
    }

    /// 16: one child is removed and another added inside the parent's dispatch.
    fn a_parent_may_swap_its_children_while_it_is_dispatched(w) {
        let counter = Counter::new(w);
        let main_loop = w.new_loop();
        let old = counter.every(w, 100, Box::new(|_, _| unreachable!("it was removed")));
        let new = w.source("new", Kind::Timeout(std::time::Duration::ZERO), quits(main_loop));
        let parent = counter.every(w, 50, Box::new(move |w, parent| {
            if !w.is_destroyed(old) {
                w.remove_child(parent, old);
                w.add_child(parent, new);
            }
            true
        }));
        w.attach(parent);
        w.add_child(parent, old);
        w.run(main_loop);
        assert!(w.is_destroyed(old));
        w.destroy(parent);
    }

    /// 17: a child added to a parent that is blocked is blocked; its descriptor is not polled.
    fn a_child_added_to_a_blocked_parent_is_not_polled_until_the_parent_returns(w) {
        let log = Log::default();
        let pipe = w.pipe();
        w.write(pipe, 1);
        let child = w.source("child", Kind::Plain, says(&log, "child"));
        w.add_unix_fd(child, End::Read(pipe), Events::IN);
        let said = log.clone();
        let s = w.source("parent", Kind::Idle, Box::new(move |w, s| {
            said.say("parent");
            if said.n() == 1 {
                w.add_child(s, child);
                while w.iteration(false) {}
                assert_eq!(w.poll_set(i32::MAX).len(), 1, "only the wakeup");
                said.say("back");
            }
            true
        }));
        w.attach(s);
        assert!(w.iteration(false));
        assert_eq!(log.take(), "parent back");
        // The wakeup may cost one more iteration; then the child comes before its parent.
        assert_eq!(w.poll_set(i32::MAX).len(), 2);
        log.say("on");
        w.iteration(false);
        assert_eq!(log.take(), "on child parent");
        w.destroy(s);
        assert!(w.is_destroyed(child));
    }

    /// A child that is dispatched does not block its parent. If the child's callback nests, the
    /// parent runs inside, GLib complains, and the child is unblocked too early.
    fn a_parent_dispatched_inside_its_child_causes_a_critical_and_unblocks_it(w) {
        let log = Log::default();
        let said = log.clone();
        let parent = w.source("parent", Kind::Plain, Box::new(move |w, _| {
            said.say(format!("parent{}", w.depth()));
            true
        }));
        let said = log.clone();
        let child = w.source("child", Kind::Plain, Box::new(move |w, s| {
            said.say(format!("child{}", w.depth()));
            if w.depth() == 1 {
                // The parent is READY because its child was, in the iteration that called us.
                assert!(w.iteration(false));
                assert_ne!(w.complaints(), 0);
                // The child should be blocked, but no longer is.
                assert!(w.iteration(false));
                w.set_ready_time(s, loopnest_tests::world::When::Never);
            }
            true
        }));
        w.attach(parent);
        w.add_child(parent, child);
        w.set_ready_time(child, loopnest_tests::world::When::Zero);
        assert_eq!(w.complaints(), 0);
        assert!(w.iteration(false));
        assert_eq!(log.take(), "child1 parent2 child2 parent2");
    }

    fn destroying_a_parent_destroys_its_children(w) {
        let parent = w.source("parent", Kind::Plain, Box::new(|_, _| true));
        let child = w.source("child", Kind::Idle, Box::new(|_, _| unreachable!()));
        let grandchild = w.source("grandchild", Kind::Idle, Box::new(|_, _| unreachable!()));
        w.add_child(parent, child);
        w.add_child(child, grandchild);
        w.attach(parent);
        w.destroy(parent);
        assert!(w.is_destroyed(child) && w.is_destroyed(grandchild));
        assert!(!w.iteration(false));
    }

    /// Children that were added before the attach are in the opposite order of those added after
    /// it.
    fn the_order_of_children_depends_on_when_they_were_added(w) {
        let log = Log::default();
        let parent = w.source("parent", Kind::Plain, says(&log, "parent"));
        for name in ["a", "b"] {
            let child = w.source(name, Kind::Idle, says(&log, name));
            w.add_child(parent, child);
        }
        w.attach(parent);
        for name in ["c", "d"] {
            let child = w.source(name, Kind::Idle, says(&log, name));
            w.add_child(parent, child);
        }
        w.iteration(false);
        assert_eq!(log.take(), "b a c d parent");
        w.set_priority(parent, 7);
        w.iteration(false);
        assert_eq!(log.take(), "d c b a parent");
    }
}
