//! The wrapper around `GSource`: panics, recursion, threads, lifetimes.

use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use glib::{IOCondition, MainContext, MainLoop};
use loopnest_strategies::source::{
    self, Callbacks, Prepare, Source, SourceRef, resume_carried_panic,
};
use loopnest_tests::{after, nested_loop};

/// A source whose dispatch is a closure; always ready.
struct Always<F>(F);

impl<F: Fn(SourceRef<'_>) -> ControlFlow<()> + 'static> Callbacks for Always<F> {
    fn prepare(&self, _this: SourceRef<'_>) -> Prepare {
        Prepare::Ready
    }

    fn check(&self, _this: SourceRef<'_>) -> bool {
        true
    }

    fn dispatch(&self, this: SourceRef<'_>) -> ControlFlow<()> {
        (self.0)(this)
    }
}

fn always<F: Fn(SourceRef<'_>) -> ControlFlow<()> + 'static>(f: F) -> Source<Always<F>> {
    Source::new("test", Always(f))
}

#[test]
fn a_panic_in_a_callback_continues_in_the_caller_of_run() {
    let context = MainContext::new();
    let source = always(|_| panic!("from dispatch"));
    source.attach(&context);
    let main_loop = MainLoop::new(Some(&context), false);
    let panic = catch_unwind(AssertUnwindSafe(|| source::run(&main_loop))).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"from dispatch"));
    // The source is gone, and no panic is left to rethrow.
    assert!(!context.pending());
    resume_carried_panic();
}

#[test]
fn a_panic_two_loops_deep_unwinds_both() {
    let context = MainContext::new();
    let inner_context = context.clone();
    let outer = always(move |_| {
        let inner = always(|_| panic!("from the inner loop"));
        inner.attach(&inner_context);
        source::run(&MainLoop::new(Some(&inner_context), false));
        ControlFlow::Break(())
    });
    outer.set_can_recurse(false);
    outer.attach(&context);
    let main_loop = MainLoop::new(Some(&context), false);
    let panic = catch_unwind(AssertUnwindSafe(|| source::run(&main_loop))).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"from the inner loop"));
}

#[test]
fn a_panic_while_callbacks_are_dropped_is_rethrown_too() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("from drop");
        }
    }
    let context = MainContext::new();
    let bomb = Bomb;
    let source = always(move |_| {
        let _bomb = &bomb;
        ControlFlow::Continue(())
    });
    source.attach(&context);
    drop(source);
    let panic = catch_unwind(resume_carried_panic).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"from drop"));
}

#[test]
fn only_a_recursing_source_is_dispatched_inside_its_own_dispatch() {
    for can in [false, true] {
        let context = MainContext::new();
        let (depth, deepest) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (d, m, c) = (depth.clone(), deepest.clone(), context.clone());
        let source = always(move |_| {
            d.set(d.get() + 1);
            m.set(m.get().max(d.get()));
            if d.get() < 5 {
                c.iteration(false);
            }
            d.set(d.get() - 1);
            ControlFlow::Continue(())
        });
        source.set_can_recurse(can);
        source.attach(&context);
        context.iteration(false);
        assert_eq!(deepest.get(), if can { 5 } else { 1 });
    }
}

#[test]
fn a_dropped_source_is_not_dispatched_and_drops_its_callbacks() {
    let context = MainContext::new();
    let alive = Rc::new(());
    let inside = alive.clone();
    let source = always(move |_| {
        let _inside = &inside;
        unreachable!("it was dropped before the first iteration")
    });
    source.attach(&context);
    assert_eq!(Rc::strong_count(&alive), 2);
    drop(source);
    assert_eq!(Rc::strong_count(&alive), 1);
    assert!(!context.iteration(false));
}

#[test]
fn a_source_may_be_dropped_inside_its_own_dispatch() {
    let context = MainContext::new();
    let slot: Rc<RefCell<Option<Box<dyn std::any::Any>>>> = Rc::default();
    let (mine, n) = (slot.clone(), Rc::new(Cell::new(0)));
    let count = n.clone();
    let source = always(move |_| {
        count.set(count.get() + 1);
        drop(mine.take());
        ControlFlow::Continue(())
    });
    source.attach(&context);
    slot.replace(Some(Box::new(source)));
    while context.iteration(false) {}
    assert_eq!(n.get(), 1);
    assert_eq!(Rc::strong_count(&n), 1, "the callbacks were dropped");
}

#[test]
fn a_released_source_lives_until_it_returns_break() {
    let context = MainContext::new();
    let n = Rc::new(Cell::new(0));
    let count = n.clone();
    let source = always(move |_| {
        count.set(count.get() + 1);
        if count.get() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    source.attach(&context);
    source.release();
    while context.iteration(false) {}
    assert_eq!((n.get(), Rc::strong_count(&n)), (3, 1));
}

#[test]
fn on_another_thread_callbacks_neither_run_nor_are_dropped() {
    struct NotHere(Arc<AtomicUsize>);
    impl Drop for NotHere {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let touched = Arc::new(AtomicUsize::new(0));
    let context = MainContext::new();
    let (calls, guard) = (touched.clone(), NotHere(touched.clone()));
    let source = always(move |_| {
        let _guard = &guard;
        calls.fetch_add(1, Ordering::SeqCst);
        ControlFlow::Continue(())
    });
    source.attach(&context);
    source.release();
    std::thread::spawn(move || {
        context.iteration(false);
        // The last reference to the context, and so to the source.
        drop(context);
    })
    .join()
    .unwrap();
    assert_eq!(touched.load(Ordering::SeqCst), 0);
}

#[test]
fn a_tag_does_not_work_with_another_source() {
    let (read, _write) = rustix::pipe::pipe().unwrap();
    let one = always(|_| ControlFlow::Continue(()));
    let other = always(|_| ControlFlow::Continue(()));
    let tag = one.add_fd(read, IOCondition::IN);
    other.as_ref().modify_fd(&tag, IOCondition::OUT);
    assert!(other.as_ref().query_fd(&tag).is_empty());
}

#[test]
fn a_ready_descriptor_makes_its_source_ready_whatever_check_returns() {
    struct Fd(Rc<Cell<u32>>);
    impl Callbacks for Fd {
        fn prepare(&self, _this: SourceRef<'_>) -> Prepare {
            Prepare::Wait(None)
        }
        fn check(&self, _this: SourceRef<'_>) -> bool {
            false
        }
        fn dispatch(&self, _this: SourceRef<'_>) -> ControlFlow<()> {
            self.0.set(self.0.get() + 1);
            ControlFlow::Break(())
        }
    }
    let (read, write) = rustix::pipe::pipe().unwrap();
    let context = MainContext::new();
    let n = Rc::new(Cell::new(0));
    let source = Source::new("fd", Fd(n.clone()));
    source.add_fd(read, IOCondition::IN);
    source.attach(&context);
    context.iteration(false);
    assert_eq!(n.get(), 0);
    rustix::io::write(&write, b"x").unwrap();
    context.iteration(true);
    assert_eq!(n.get(), 1);
}

#[test]
fn prepare_rounds_its_wait_up_so_that_the_last_millisecond_does_not_spin() {
    struct Late(std::time::Instant, Rc<Cell<u32>>, Rc<Cell<u32>>);
    impl Callbacks for Late {
        fn prepare(&self, _this: SourceRef<'_>) -> Prepare {
            self.1.set(self.1.get() + 1);
            Prepare::Wait(Some(self.0.saturating_duration_since(std::time::Instant::now())))
        }
        fn check(&self, _this: SourceRef<'_>) -> bool {
            std::time::Instant::now() >= self.0
        }
        fn dispatch(&self, _this: SourceRef<'_>) -> ControlFlow<()> {
            self.2.set(self.2.get() + 1);
            ControlFlow::Break(())
        }
    }
    let context = MainContext::new();
    let (prepared, dispatched) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let at = std::time::Instant::now() + Duration::from_micros(20_300);
    let source = Source::new("late", Late(at, prepared.clone(), dispatched.clone()));
    source.attach(&context);
    while dispatched.get() == 0 {
        context.iteration(true);
    }
    assert!(prepared.get() <= 2, "{} iterations for one timeout", prepared.get());
}

#[test]
fn the_helpers_run_a_nested_loop() {
    let context = MainContext::new();
    let seen = Rc::new(Cell::new(false));
    let set = seen.clone();
    after(&context, Duration::from_millis(1), move || set.set(true));
    nested_loop(&context, Duration::from_millis(5));
    assert!(seen.get());
}

#[test]
#[should_panic(expected = "attached once")]
fn a_source_is_not_attached_twice() {
    let context = MainContext::new();
    let source = always(|_| ControlFlow::Continue(()));
    source.attach(&context);
    source.attach(&context);
}

#[test]
#[should_panic(expected = "attached once")]
fn a_destroyed_source_is_not_attached() {
    let source = always(|_| ControlFlow::Continue(()));
    source.destroy();
    source.attach(&MainContext::new());
}

/// GLib would use memory that it has freed (gmain.c 2.74.6, line 1109).
#[test]
fn a_priority_cannot_be_changed_while_sources_are_asked() {
    struct Quiet;
    impl Callbacks for Quiet {
        fn prepare(&self, _this: SourceRef<'_>) -> Prepare {
            Prepare::Wait(None)
        }

        fn check(&self, _this: SourceRef<'_>) -> bool {
            false
        }

        fn dispatch(&self, _this: SourceRef<'_>) -> ControlFlow<()> {
            ControlFlow::Continue(())
        }
    }
    struct Meddler(Rc<Source<Quiet>>);
    impl Callbacks for Meddler {
        fn prepare(&self, _this: SourceRef<'_>) -> Prepare {
            self.0.set_priority(7);
            Prepare::Wait(None)
        }

        fn check(&self, _this: SourceRef<'_>) -> bool {
            false
        }

        fn dispatch(&self, _this: SourceRef<'_>) -> ControlFlow<()> {
            ControlFlow::Continue(())
        }
    }
    let context = MainContext::new();
    let quiet = Rc::new(Source::new("quiet", Quiet));
    quiet.attach(&context);
    let meddler = Source::new("meddler", Meddler(quiet.clone()));
    meddler.attach(&context);
    context.iteration(false);
    let panic = catch_unwind(resume_carried_panic).unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains("inside a prepare or a check"), "{message}");
    // After that it can.
    quiet.set_priority(7);
}

#[test]
fn a_priority_that_is_set_after_the_end_does_not_watch_descriptors_again() {
    let context = MainContext::new();
    let (read, write) = rustix::pipe::pipe().expect("a pipe");
    rustix::io::write(&write, b"x").expect("room for a byte");
    let source = always(|_| ControlFlow::Continue(()));
    source.add_fd(read, IOCondition::IN);
    source.attach(&context);
    source.destroy();
    source.set_priority(5);
    // If the ready descriptor were polled, it would end each of these at once.
    let (done, n) = (Rc::new(Cell::new(false)), Cell::new(0));
    let fired = done.clone();
    after(&context, Duration::from_millis(20), move || fired.set(true));
    while !done.get() && n.get() < 100 {
        context.iteration(true);
        n.set(n.get() + 1);
    }
    assert!(n.get() < 10, "{} iterations", n.get());
}
