//! What is attached to a context by a thread that does not run it: errors where it can be known, and
//! never a spin, a silent wait, or a race.

use std::io::{PipeReader, PipeWriter};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use glib::{IOCondition, MainContext};
use harness::probe::Probe;
use loopnest_strategies::source::{Source, SourceRef};
use loopnest_strategies::{
    Dispatch, GtkRs, Handoff, JobQueue, Nested, SetupError, WakeAfterDispatch,
};
use loopnest_tests::{child, dialog_until, nested_loop};
use tokio::time::sleep;

const MS: Duration = Duration::from_millis(1);

/// More than a loop makes that waits, and far fewer than one that spins for 100 ms.
const FEW: u64 = 40;

/// A thread that owns a context for as long as this lives.
struct Owner {
    end: Sender<()>,
    thread: JoinHandle<()>,
}

impl Owner {
    fn of(context: &MainContext) -> Self {
        let (context, (end, ended)) = (context.clone(), channel());
        let (owns, owned) = channel();
        let thread = thread::spawn(move || {
            let _own = context.acquire().expect("nobody else owns it");
            owns.send(()).expect("the test waits");
            let _: Result<(), _> = ended.recv();
        });
        owned.recv().expect("it owns the context");
        Self { end, thread }
    }

    fn end(self) {
        drop(self.end);
        self.thread.join().expect("no panic");
    }
}

/// How many iterations a loop of `context` makes in 100 ms, on another thread.
fn iterations_elsewhere(context: &MainContext) -> u64 {
    let context = context.clone();
    let elsewhere = thread::spawn(move || {
        let probe = Probe::new(&context);
        nested_loop(&context, 100 * MS);
        probe.iterations()
    });
    elsewhere.join().expect("no panic")
}

fn pipe() -> (PipeReader, PipeWriter) {
    std::io::pipe().expect("descriptors")
}

#[test]
fn nothing_is_set_up_on_a_context_that_another_thread_owns() {
    let context = MainContext::new();
    let owner = Owner::of(&context);
    let not_owner = |error: Option<SetupError>| matches!(error, Some(SetupError::NotOwner));
    assert!(not_owner(Dispatch::new(&context).err()));
    assert!(not_owner(Nested::new(&context, WakeAfterDispatch::Yes).err()));
    assert!(not_owner(Handoff::new(&context).err()));
    assert!(not_owner(GtkRs::new(&context).err()));
    assert!(not_owner(JobQueue::new(&context).err()));
    owner.end();
    assert!(Dispatch::new(&context).is_ok());
}

#[test]
fn block_on_panics_while_another_thread_owns_the_context() {
    let context = MainContext::new();
    let dispatch = Dispatch::new(&context).expect("a runtime");
    let handoff = Handoff::new(&context).expect("a runtime");
    let nested = Nested::new(&context, WakeAfterDispatch::Yes).expect("a runtime");
    let owner = Owner::of(&context);
    let panics = |run: &dyn Fn()| {
        let panic = catch_unwind(AssertUnwindSafe(run)).expect_err("it would wait for ever");
        panic.downcast_ref::<&str>().is_some_and(|text| text.contains("another thread"))
    };
    assert!(panics(&|| dispatch.block_on(async {})));
    assert!(panics(&|| handoff.block_on(async {})));
    assert!(panics(&|| nested.block_on(async {})));
    owner.end();
    dispatch.block_on(async {});
    handoff.block_on(async {});
    nested.block_on(async {});
}

#[test]
fn a_dispatch_does_not_make_the_loop_of_another_thread_spin_and_goes_on_in_its_own() {
    let context = MainContext::new();
    let dispatch = Dispatch::new(&context).expect("a runtime");
    // Makes tokio's descriptor readable, and a deadline pass.
    dispatch.tokio_handle().spawn(async {});
    let task = dispatch.spawn_local(async { sleep(MS).await });
    let turned = iterations_elsewhere(&context);
    assert!(turned < FEW, "{turned} iterations elsewhere");
    assert!(!task.is_finished());
    assert!(dispatch.block_on(task).is_ok(), "its own thread drives it");
}

#[test]
fn a_source_is_ready_in_the_loop_of_its_own_thread_alone() {
    let context = MainContext::new();
    let (count, counted) = channel();
    let source = Source::new("test", move |_: SourceRef<'_>| {
        count.send(()).expect("the test counts");
        ControlFlow::Continue(())
    });
    // A descriptor that stays ready, another whose other end is closed, and a time that has passed.
    let ((reader, writer), (hung_up, _)) = (pipe(), pipe());
    source.add_fd(writer, IOCondition::OUT);
    source.add_fd(hung_up, IOCondition::IN);
    source.as_ref().set_ready_time(Some(0));
    source.attach(&context);
    assert!(iterations_elsewhere(&context) < FEW);
    assert!(counted.try_recv().is_err(), "it was dispatched elsewhere");
    // At home everything is there again.
    for _ in 0..3 {
        assert!(context.iteration(false));
        assert!(counted.try_recv().is_ok());
    }
    drop(reader);
}

#[test]
fn what_a_source_watches_can_be_changed_while_another_thread_iterates() {
    let context = MainContext::new();
    let (dispatched, n) = channel();
    let source = Source::new("test", move |_: SourceRef<'_>| {
        dispatched.send(()).expect("the test counts");
        ControlFlow::Continue(())
    });
    let (reader, writer) = pipe();
    let reading = source.add_fd(reader, IOCondition::IN);
    let writing = source.add_fd(writer, IOCondition::empty());
    source.attach(&context);
    let (begun, begins): (Sender<()>, Receiver<()>) = channel();
    let other = context.clone();
    let elsewhere = thread::spawn(move || {
        let own = other.acquire().expect("nobody else owns it");
        begun.send(()).expect("the test waits");
        nested_loop(&other, 50 * MS);
        drop(own);
    });
    begins.recv().expect("it begins");
    while !elsewhere.is_finished() {
        for condition in [IOCondition::OUT, IOCondition::empty()] {
            source.as_ref().modify_fd(&writing, condition);
            source.as_ref().set_ready_time(Some(0));
            assert!(source.as_ref().query_fd(&writing).difference(IOCondition::OUT).is_empty());
        }
    }
    elsewhere.join().expect("no panic");
    // What holds is what was asked for last.
    source.as_ref().set_ready_time(None);
    source.as_ref().modify_fd(&writing, IOCondition::OUT);
    source.as_ref().remove_fd(reading);
    assert!(n.try_recv().is_err(), "it was dispatched elsewhere");
    assert!(context.iteration(false));
    assert!(n.try_recv().is_ok());
}

#[test]
fn a_source_keeps_the_context_that_it_is_attached_to() {
    let context = MainContext::new();
    let source = Source::new("test", |_: SourceRef<'_>| ControlFlow::Continue(()));
    source.attach(&context);
    // The last reference of the program; GLib would destroy the source, at any moment.
    thread::spawn(move || drop(context)).join().expect("no panic");
    assert!(!source.is_destroyed());
    source.as_ref().set_ready_time(Some(0));
    assert!(source.context().expect("it is attached").iteration(false));
}

#[test]
fn a_loop_elsewhere_is_warned_of() {
    let said = child::run("a_loop_elsewhere_is_warned_of", || {
        let context = MainContext::new();
        let _dispatch = Dispatch::new(&context).expect("a runtime");
        iterations_elsewhere(&context);
    });
    let Some(said) = said else { return };
    assert!(said.passed, "{}", said.stderr);
    // Once, although it has two sources.
    assert_eq!(said.stderr.matches("loopnest-WARNING").count(), 1, "{}", said.stderr);
    assert!(said.stderr.contains("on the thread that runs their context"), "{}", said.stderr);
}

#[test]
fn a_handle_of_another_thread_works_while_its_own_runs_the_loop() {
    let context = MainContext::new();
    let jobs = JobQueue::new(&context).expect("nobody owns it");
    let glib = jobs.handle();
    let elsewhere = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(glib.call(|| 42)).ok()
    });
    assert!(dialog_until(&context, move || elsewhere.is_finished()));
}
