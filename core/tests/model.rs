//! The model of GMainContext by itself: time, the end of a run, what is counted, what is dropped.
//! The tests in `tests/` compare it with the real one.

#![cfg(not(loopnest_loom))]

use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loopnest_core::model::{
    Callbacks, Clock, Config, Context, EventFd, Events, Fd, MainLoop, Pipe, Prepare, Read,
    Rounding, Rules, Source, Stuck, Thread,
};

const MS: Duration = Duration::from_millis(1);

/// A list that callbacks write to.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn say(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[test]
fn a_timeout_fires_at_its_time_and_counts_on_from_there() {
    let clock = Clock::default();
    let context = Context::new(&clock);
    let main_loop = MainLoop::new(&context);
    let (log, quit) = (Log::default(), main_loop.clone());
    let said = log.clone();
    context
        .timeout(10 * MS, move |this| {
            let now = this.context().clock().now();
            said.say(format!("{now:?}"));
            this.context().clock().advance(3 * MS);
            if now > 30 * MS {
                quit.quit();
            }
            Continue(())
        })
        .attach();
    main_loop.run();
    // The time of the iteration is read once, before the callback computes.
    assert_eq!(log.take(), ["10ms", "20ms", "30ms", "40ms"]);
    context.clear();
}

#[test]
fn the_outside_world_is_never_late() {
    let clock = Clock::default();
    let context = Context::new(&clock);
    let pipe = Pipe::new(&clock);
    let log = Log::default();
    let (said, writer) = (log.clone(), pipe.clone());
    clock.at(5 * MS, move || {
        assert_eq!(writer.write(1), 1);
        said.say("write");
    });
    let (said, reader) = (log.clone(), pipe.clone());
    context
        .watch(pipe.read_end(), Events::IN, move |this, events| {
            assert_eq!(events, Events::IN);
            assert_eq!(reader.read(8), Read::Bytes(1));
            said.say(format!("read at {:?}", this.context().clock().now()));
            Break(())
        })
        .attach();
    assert!(!context.iteration(true), "a new descriptor has written the wakeup");
    assert!(context.iteration(true));
    let said = log.clone();
    clock.at(7 * MS, move || said.say("meanwhile"));
    clock.advance(10 * MS);
    log.say("computed");
    assert_eq!(log.take(), ["write", "read at 5ms", "meanwhile", "computed"]);
}

#[test]
fn a_program_that_cannot_end_ends_every_loop_on_the_stack() {
    let clock = Clock::default();
    let context = Context::new(&clock);
    let (outer, inner) = (MainLoop::new(&context), MainLoop::new(&context));
    let log = Log::default();
    let said = log.clone();
    context
        .idle(move |_| {
            inner.run();
            said.say("inner ended");
            Continue(())
        })
        .attach();
    outer.run();
    assert_eq!(clock.stuck(), Some(Stuck::Idle));
    assert_eq!(log.take(), ["inner ended"]);
    assert!(outer.is_running(), "it was not quit");
    context.clear();
}

#[test]
fn a_loop_that_never_sleeps_is_given_up() {
    let cost = Config { iteration_cost: MS, horizon: 50 * MS, ..Config::default() };
    let bound = Config { max_iterations: 50, ..Config::default() };
    for (config, why) in [(cost, Stuck::Horizon), (bound, Stuck::Iterations)] {
        let clock = Clock::new(config);
        let context = Context::new(&clock);
        context.idle(|_| Continue(())).attach();
        while context.iteration(false) {}
        assert_eq!(clock.stuck(), Some(why));
        assert_eq!(context.counters().dispatches, 50);
        context.clear();
    }
}

#[test]
fn a_timer_is_late_by_up_to_a_millisecond_before_glib_2_82() {
    for (rounding, at) in [(Rounding::Millis, 1000), (Rounding::Exact, 200)] {
        let clock = Clock::default();
        let context = Context::with(&clock, rounding, Rules::GLIB);
        let source = context.idle(|_| Break(()));
        source.destroy();
        let source = context.timeout(MS, |_| Break(()));
        source.set_ready_time(Some(Duration::from_micros(200)));
        source.attach();
        assert!(context.iteration(true));
        assert_eq!(clock.now(), Duration::from_micros(at));
    }
}

#[test]
fn a_derived_descriptor_is_ready_when_what_it_watches_is() {
    let clock = Clock::default();
    let context = Context::new(&clock);
    let pipe = Pipe::new(&clock);
    let inside = pipe.clone();
    let epoll = Fd::derived(&clock, move || inside.read_end().poll(Events::IN) & Events::IN);
    context.watch(&epoll, Events::IN, |_, _| Break(())).attach();
    let writer = pipe.clone();
    clock.at(3 * MS, move || {
        writer.write(1);
    });
    assert!(!context.iteration(true), "a new descriptor has written the wakeup");
    assert!(context.iteration(true));
    assert_eq!(clock.now(), 3 * MS);
    // Asleep once, for the pipe.
    assert_eq!(context.counters().sleeps, 1);
}

#[test]
fn a_thread_that_is_not_the_owner_iterates_nothing_and_wakes_by_attaching() {
    let clock = Clock::default();
    let context = Context::new(&clock);
    let log = Log::default();
    let (said, other) = (log.clone(), context.clone());
    clock.at_on(Thread(7), 2 * MS, move || {
        assert!(!other.iteration(true));
        assert_eq!(other.clock().depth(), 0);
        let said = said.clone();
        other
            .idle(move |this| {
                let clock = this.context().clock();
                said.say(format!("{:?} {:?} {}", clock.now(), clock.thread(), clock.depth()));
                Break(())
            })
            .attach();
    });
    assert!(context.iteration(true), "its check finds it, though its prepare was never called");
    assert_eq!(log.take(), ["2ms Thread(0) 1"]);
}

#[test]
fn what_is_cleared_is_dropped_with_all_it_holds() {
    let alive = Arc::new(());
    let clock = Clock::default();
    let context = Context::new(&clock);
    for _ in 0..3 {
        let inside = (context.clone(), alive.clone());
        context.idle(move |_| {
            let _both = &inside;
            Continue(())
        });
        let inside = (context.clone(), alive.clone());
        clock.at(MS, move || drop(inside));
    }
    assert_eq!(Arc::strong_count(&alive), 1 + 6);
    context.clear();
    clock.clear();
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[test]
fn an_event_can_be_cancelled() {
    let clock = Clock::default();
    let n = Arc::new(AtomicU64::new(0));
    let counts = n.clone();
    let id = clock.at(MS, move || {
        counts.fetch_add(1, Relaxed);
    });
    assert!(clock.cancel(id));
    clock.advance(2 * MS);
    assert!(!clock.cancel(id));
    assert_eq!(n.load(Relaxed), 0);
}

#[test]
fn a_source_destroyed_in_its_own_dispatch_is_finalised_after_it() {
    let clock = Clock::default();
    let context = Context::new(&clock);
    let alive = Arc::new(());
    let inside = alive.clone();
    let source = context.idle(move |this| {
        this.destroy();
        assert!(this.is_destroyed());
        assert_eq!(Arc::strong_count(&inside), 2);
        Continue(())
    });
    let id = source.attach();
    assert_eq!(context.find_source(id), Some(source.clone()));
    assert!(context.iteration(false));
    assert_eq!(Arc::strong_count(&alive), 1);
    assert_eq!(context.find_source(id), None);
    assert!(!context.pending());
}

#[test]
fn ids_skip_zero_and_those_in_use_when_the_counter_wraps() {
    let clock = Clock::default();
    let context = Context::new(&clock);
    let attach = || context.idle(|_| Continue(())).attach();
    assert_eq!([attach(), attach()], [1, 2]);
    context.set_next_id(u32::MAX - 1);
    assert_eq!([attach(), attach()], [u32::MAX - 1, u32::MAX]);
    assert_eq!([attach(), attach()], [3, 4]);
    context.clear();
}

#[test]
fn timeouts_are_dispatched_by_time_and_then_by_age() {
    let clock = Clock::default();
    let context = Context::new(&clock);
    let log = Log::default();
    for (name, time) in [("c", 3), ("a", 1), ("b", 2), ("d", 3)] {
        let said = log.clone();
        let say = move |_: &_| {
            said.say(name);
            Break(())
        };
        context.timeout(time * MS, say).attach();
    }
    while context.iteration(true) {}
    assert_eq!(log.take(), ["a", "b", "c", "d"]);
    assert_eq!(clock.now(), 3 * MS);
}

#[test]
fn a_prepare_that_waits_a_little_waits_a_millisecond_whatever_the_version() {
    struct Little(Duration);
    impl Callbacks for Little {
        fn prepare(&self, _this: &Source) -> Prepare {
            Prepare::Wait(Some(self.0))
        }

        fn dispatch(&self, _this: &Source) -> ControlFlow<()> {
            Break(())
        }
    }
    for rounding in [Rounding::Millis, Rounding::Exact] {
        for (wait, time) in [(Duration::from_nanos(1), MS), (Duration::ZERO, Duration::ZERO)] {
            let clock = Clock::default();
            let context = Context::with(&clock, rounding, Rules::GLIB);
            context.source("little", Little(wait)).attach();
            assert!(!context.iteration(true));
            assert_eq!(clock.now(), time);
        }
    }
}

#[test]
fn in_an_event_a_context_is_iterated_without_sleeping() {
    let clock = Clock::default();
    let context = Context::new(&clock);
    let (log, other) = (Log::default(), context.clone());
    let said = log.clone();
    clock.at(MS, move || {
        other.idle(|_| Break(())).attach();
        said.say(format!("{} {}", other.iteration(true), other.iteration(true)));
    });
    clock.advance(2 * MS);
    assert_eq!(log.take(), ["true false"]);
    assert_eq!(clock.stuck(), None);
}

#[test]
fn a_tag_of_another_source_does_nothing() {
    let clock = Clock::default();
    // Created in the same way, so that their numbers are as similar as possible.
    let [one, other] = [(); 2].map(|()| {
        let (context, fd) = (Context::new(&clock), EventFd::new(&clock));
        fd.signal();
        let source = context.watch(fd.fd(), Events::IN, |_, _| Continue(()));
        // Blocking and polling it again would lose what the poll found.
        source.set_can_recurse(true);
        source.attach();
        let of_source = source.add_unix_fd(fd.fd(), Events::IN);
        let of_context = context.add_poll(fd.fd(), Events::IN, 0);
        while !context.iteration(false) {}
        (context, source, [of_source, of_context])
    });
    let (context, source, [of_source, of_context]) = one;
    let sibling = context.idle(|_| Continue(()));
    sibling.attach();
    let before = context.poll_set(i32::MAX);
    let foreign = [other.2[0], other.2[1], of_context].map(|tag| (&source, tag));
    for (source, tag) in foreign.into_iter().chain([(&sibling, of_source)]) {
        source.modify_fd(tag, Events::OUT);
        source.remove_fd(tag);
        assert_eq!(source.query_fd(tag), Events::empty());
    }
    for tag in [other.2[0], other.2[1], of_source] {
        context.remove_poll(tag);
        assert_eq!(context.query_poll(tag), Events::empty());
    }
    assert_eq!(context.poll_set(i32::MAX), before);
    assert_eq!(
        (source.query_fd(of_source), context.query_poll(of_context)),
        (Events::IN, Events::IN)
    );
    // A removed tag is not valid for the descriptor that reuses its place.
    source.remove_fd(of_source);
    let next = source.add_poll(&context.wakeup_fd(), Events::IN);
    source.remove_fd(of_source);
    source.remove_fd(next);
    source.destroy();
    assert!(context.iteration(false));
    [context, other.0].iter().for_each(Context::clear);
}

#[test]
fn a_child_is_of_its_parents_context_and_not_above_it() {
    let clock = Clock::default();
    let [context, other] = [(); 2].map(|()| Context::new(&clock));
    let new = |context: &Context| context.idle(|_| Continue(()));
    let [top, middle, low] = [(); 3].map(|()| new(&context));
    top.add_child(&middle);
    middle.add_child(&low);
    let [_, foreign] = [(); 2].map(|()| new(&other));
    for (parent, child) in [(&top, &top), (&low, &top), (&top, &low), (&top, &foreign)] {
        let add = std::panic::AssertUnwindSafe(|| parent.add_child(child));
        assert!(std::panic::catch_unwind(add).is_err());
    }
    // In this context, `middle` is in the same place.
    top.remove_child(&foreign);
    assert!(!foreign.is_destroyed() && !middle.is_destroyed());
    top.remove_child(&middle);
    assert!(middle.is_destroyed());
    [context, other].iter().for_each(Context::clear);
}

#[test]
fn a_descriptor_may_ask_its_context_as_it_is_dropped() {
    struct Asks(Context, Arc<AtomicU64>);
    impl Drop for Asks {
        fn drop(&mut self) {
            self.0.wakeup();
            self.1.fetch_add(1, Relaxed);
        }
    }
    let clock = Clock::default();
    let context = Context::new(&clock);
    let dropped = Arc::new(AtomicU64::new(0));
    let asking = || {
        let asks = Asks(context.clone(), dropped.clone());
        Fd::derived(&clock, move || {
            let _inside = &asks;
            Events::empty()
        })
    };
    let source = context.idle(|_| Continue(()));
    source.remove_fd(source.add_unix_fd(&asking(), Events::IN));
    assert_eq!(dropped.load(Relaxed), 1);
    context.remove_poll(context.add_poll(&asking(), Events::IN, 0));
    assert_eq!(dropped.load(Relaxed), 2);
    source.add_poll(&asking(), Events::IN);
    source.destroy();
    assert_eq!(dropped.load(Relaxed), 3);
    context.add_poll(&asking(), Events::IN, 0);
    context.clear();
    assert_eq!(dropped.load(Relaxed), 4);
}
