//! Misuse that would otherwise say nothing: what is printed, and when nothing is.

use std::future::pending;
use std::panic::catch_unwind;
use std::time::Duration;

use gio::prelude::*;
use glib::{MainContext, MainLoop};
use loopnest_strategies::{Dispatch, Handoff};
use loopnest_tests::{child, nested_loop, ticker};
use tokio::time::sleep;

const MS: Duration = Duration::from_millis(1);

/// How often the child has said this.
fn said(child: &child::Said, what: &str) -> usize {
    child.stderr.matches(what).count()
}

/// `make` in the callback that activates an application, as a beginner does.
fn activated(make: impl Fn() + 'static) {
    let application = gio::Application::new(None, gio::ApplicationFlags::NON_UNIQUE);
    application.connect_activate(move |_| make());
    let no_arguments: [&str; 0] = [];
    assert_eq!(application.run_with_args(&no_arguments), glib::ExitCode::SUCCESS);
}

#[test]
fn a_dispatch_that_is_dropped_with_its_callback_is_warned_of() {
    let child = child::run("a_dispatch_that_is_dropped_with_its_callback_is_warned_of", || {
        activated(|| {
            for _ in 0..2 {
                let dispatch = Dispatch::new(&MainContext::default()).expect("a runtime");
                dispatch.spawn_local(async { println!("never") });
            }
        });
    });
    let Some(child) = child else { return };
    assert!(child.passed, "{child:?}");
    assert_eq!(said(&child, "loopnest-WARNING **"), 1, "{child:?}");
    assert_eq!(said(&child, "a Dispatch was dropped before its tasks had ended"), 1, "{child:?}");
}

#[test]
fn a_handoff_that_is_dropped_with_its_callback_is_warned_of() {
    let child = child::run("a_handoff_that_is_dropped_with_its_callback_is_warned_of", || {
        activated(|| {
            let handoff = Handoff::new(&MainContext::default()).expect("a runtime");
            drop(handoff.spawn(pending::<()>()));
        });
    });
    let Some(child) = child else { return };
    assert!(child.passed, "{child:?}");
    assert_eq!(said(&child, "a Handoff was dropped before its tasks had ended"), 1, "{child:?}");
}

#[test]
fn a_program_that_ends_is_not_warned_of() {
    child::run_silent("a_program_that_ends_is_not_warned_of", || {
        let context = MainContext::default();
        // In `main`, after the loop.
        let dispatch = Dispatch::new(&context).expect("a runtime");
        let _ticks = ticker(&dispatch);
        nested_loop(&context, 5 * MS);
        drop(dispatch);
        // Inside the loop, on purpose.
        let ends: [fn(Dispatch); 3] = [
            Dispatch::shutdown_background,
            |dispatch| dispatch.shutdown_timeout(MS),
            |dispatch| {
                dispatch.stop();
                drop(dispatch);
            },
        ];
        for end in ends {
            let dispatch = Dispatch::new(&context).expect("a runtime");
            let _ticks = ticker(&dispatch);
            let owner = context.acquire().expect("nobody else has it");
            end(dispatch);
            drop(owner);
        }
        // Its task is awaited.
        let dispatch = Dispatch::new(&context).expect("a runtime");
        let task = dispatch.spawn_local(pending::<()>());
        drop(dispatch);
        assert!(task.is_finished());
    });
}

#[test]
fn tokio_in_a_callback_works_after_one_line_and_without_it_there_is_advice() {
    let test = "tokio_in_a_callback_works_after_one_line_and_without_it_there_is_advice";
    let child = child::run(test, || {
        let context = MainContext::default();
        let dispatch = Dispatch::new(&context).expect("a runtime");
        assert!(catch_unwind(|| tokio::spawn(async {})).is_err());
        {
            let _tokio = dispatch.enter();
            let (tx, rx) = tokio::sync::oneshot::channel();
            glib::idle_add_once(move || {
                let mut interval = tokio::time::interval(MS);
                // glib's own executor.
                glib::spawn_future_local(async move {
                    interval.tick().await;
                    sleep(MS).await;
                    let here = tokio::task::spawn_local(async { 42 });
                    tx.send(tokio::spawn(here).await)
                });
            });
            let answer = dispatch.block_on(rx).expect("the future sends");
            assert_eq!(answer.expect("no panic").expect("no panic"), 42);
            // A dialog of a callback, beside our tasks.
            let ticks = ticker(&dispatch);
            nested_loop(&context, 50 * MS);
            assert!(ticks.get() > 5);
            dispatch.stop();
        }
        // Elsewhere it is none of our business.
        let other = std::thread::spawn(|| catch_unwind(|| tokio::spawn(async {})).is_err());
        assert!(other.join().expect("it is caught"));
    });
    let Some(child) = child else { return };
    assert!(child.passed, "{child:?}");
    assert_eq!(said(&child, "there is no reactor running"), 2, "{child:?}");
    assert_eq!(said(&child, "keep the guard of Dispatch::enter"), 1, "{child:?}");
}

#[test]
fn a_dialog_in_a_task_of_tokio_is_warned_of_even_if_nothing_wakes() {
    let test = "a_dialog_in_a_task_of_tokio_is_warned_of_even_if_nothing_wakes";
    let child = child::run(test, || {
        let dispatch = Dispatch::new(&MainContext::default()).expect("a runtime");
        for _ in 0..2 {
            dispatch.block_on(async {
                let dialog = tokio::task::spawn_local(async {
                    let dialog = MainLoop::new(None, false);
                    let close = dialog.clone();
                    glib::timeout_add_local_once(20 * MS, move || close.quit());
                    dialog.run();
                });
                dialog.await.expect("it does not panic");
            });
        }
    });
    let Some(child) = child else { return };
    assert!(child.passed, "{child:?}");
    assert_eq!(said(&child, "a nested loop was opened inside a task"), 1, "{child:?}");
}
