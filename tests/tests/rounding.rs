//! How exactly GLib waits for a ready time: the model, and the real GLib without a poll function.
//!
//! Everywhere else the tests have a poll function of their own, which makes every GLib count
//! milliseconds. Here nothing is timed either: how long GLib has slept shows in what is ready
//! afterwards. Of two sources that become ready 300 \u{b5}s and 600 \u{b5}s from now, a wait of a
//! whole millisecond always finds both, and only an exact wait ever finds the first alone.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness::machine;
use loopnest_core::model::{Rounding, Rules};
use loopnest_tests::world::glib::GlibWorld;
use loopnest_tests::world::model::ModelWorld;
use loopnest_tests::world::{Ask, Kind, When, World};

/// Enough for a busy machine to be in time at least once.
const TRIES: u32 = 1_000;

/// What the first iteration that slept has dispatched; `None` if it did not sleep, because the
/// machine was late and the first source ready before.
fn found_after_the_wait(world: &dyn World) -> Option<Vec<&'static str>> {
    let (ran, slept) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    for (name, micros) in [("first", 300), ("second", 600)] {
        let ran = ran.clone();
        let say = move |_: &dyn World, _| {
            ran.lock().unwrap().push(name);
            false
        };
        let source = world.source(name, Kind::Plain, Box::new(say));
        world.set_ready_time(source, When::After(Duration::from_micros(micros)));
        world.attach(source);
    }
    // It is asked last, and only if nothing of a higher priority is ready: then GLib sleeps.
    let asked = slept.clone();
    let prepare = move |_: &dyn World, _| {
        asked.store(true, Relaxed);
        Ask::Wait
    };
    let last = Kind::Asks(Box::new(prepare), Box::new(|_, _| false));
    let last = world.source("last", last, Box::new(|_, _| false));
    world.set_priority(last, 1);
    world.attach(last);

    world.iteration(true);
    let found = ran.lock().unwrap().clone();
    let slept = slept.load(Relaxed);
    while ran.lock().unwrap().len() < 2 {
        world.iteration(true);
    }
    world.destroy(last);
    slept.then_some(found)
}

/// What a GLib that rounds like this finds, according to the model.
fn model(rounding: Rounding) -> Vec<&'static str> {
    let world = ModelWorld::rounding(rounding, Rules::GLIB);
    found_after_the_wait(&*world).expect("the model is never late")
}

/// Counts what the real GLib has found.
#[derive(Debug, Default)]
struct Real {
    /// The first source alone: the wait was shorter than a millisecond.
    alone: u32,
    both: u32,
    late: u32,
}

impl Real {
    fn measure() -> Self {
        let (world, mut real) = (GlibWorld::without_a_poll_function(), Self::default());
        for _ in 0..TRIES {
            match found_after_the_wait(&*world).as_deref() {
                None => real.late += 1,
                Some(["first"]) => real.alone += 1,
                Some(["first", "second"]) => real.both += 1,
                // A wait that is cut off, not rounded up, would spin for the rest.
                other => panic!("after its wait GLib found {other:?}"),
            }
        }
        real
    }

    /// Whether it is what the model expects. Being late makes two of one, and never one of two.
    fn is(&self, expected: &[&str]) -> bool {
        match expected {
            ["first"] => self.alone > 0,
            _ => self.alone == 0 && self.both > 0,
        }
    }
}

#[test]
fn the_model_waits_as_exactly_as_the_glib_of_this_run_and_the_other_model_does_not() {
    let [millis, exact] = [Rounding::Millis, Rounding::Exact].map(model);
    assert_eq!((&millis[..], &exact[..]), (&["first", "second"][..], &["first"][..]));
    let real = Real::measure();
    let (this, other) = match machine::rounding() {
        Rounding::Millis => (millis, exact),
        Rounding::Exact => (exact, millis),
    };
    println!("{:?}: {real:?}", machine::rounding());
    assert!(real.is(&this), "the model finds {this:?}, GLib {real:?}");
    assert!(!real.is(&other), "nothing tells the two apart: {real:?}");
}

#[test]
fn with_a_poll_function_every_glib_counts_milliseconds() {
    let world = GlibWorld::new();
    for _ in 0..TRIES {
        let found = found_after_the_wait(&*world);
        assert!(found.is_none_or(|found| found == model(Rounding::Millis)), "as the model says");
    }
}
