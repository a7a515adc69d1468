//! Nested loops: what ends which, and when.

use loopnest_tests::world::{Kind, L, Log, World};

use super::on_both;

/// What an idle does once.
type Step = Box<dyn Fn(&dyn World) + Send + Sync>;

/// Runs these callbacks one after the other, one per iteration: each is an idle that runs once.
fn script(w: &dyn World, steps: Vec<Step>) {
    // Each step attaches the next before it runs, so that a nested loop finds it.
    let mut next = None;
    for step in steps.into_iter().rev() {
        let after = next;
        next = Some(w.source(
            "step",
            Kind::Idle,
            Box::new(move |w, _| {
                if let Some(after) = after {
                    w.attach(after);
                }
                step(w);
                false
            }),
        ));
    }
    if let Some(first) = next {
        w.attach(first);
    }
}

/// A step that runs a loop, and logs it.
fn runs(log: &Log, name: &'static str, l: L) -> Step {
    let said = log.clone();
    Box::new(move |w| {
        said.say(format!("{name}("));
        w.run(l);
        said.say(format!("){name}"));
    })
}

fn quits(log: &Log, name: &'static str, l: L) -> Step {
    let said = log.clone();
    Box::new(move |w| {
        said.say(format!("quit-{name}"));
        w.quit(l);
    })
}

on_both! {
    fn a_new_loop_is_not_running_and_the_depth_is_zero(w) {
        let main_loop = w.new_loop();
        assert!(!w.is_running(main_loop));
        assert!(!w.is_owner());
        assert_eq!(w.depth(), 0);
        let log = Log::default();
        let said = log.clone();
        script(w, vec![Box::new(move |w| {
            said.say(format!("{} {} {}", w.depth(), w.is_running(main_loop), w.is_owner()));
            w.quit(main_loop);
            said.say(format!("{}", w.is_running(main_loop)));
        })]);
        w.run(main_loop);
        assert_eq!(log.take(), "1 true true false");
        assert!(!w.is_owner());
    }

    fn loops_end_from_the_inside_out_whatever_order_they_are_quit_in(w) {
        let log = Log::default();
        let [outer, inner] = [w.new_loop(), w.new_loop()];
        script(w, vec![
            runs(&log, "inner", inner),
            quits(&log, "outer", outer),
            quits(&log, "inner", inner),
        ]);
        w.run(outer);
        assert_eq!(log.take(), "inner( quit-outer quit-inner )inner");
    }

    fn a_quit_before_the_run_has_no_effect(w) {
        let log = Log::default();
        let main_loop = w.new_loop();
        w.quit(main_loop);
        script(w, vec![quits(&log, "it", main_loop)]);
        w.run(main_loop);
        assert_eq!(log.take(), "quit-it");
    }

    fn one_quit_ends_all_runs_of_one_loop(w) {
        let log = Log::default();
        let main_loop = w.new_loop();
        script(w, vec![
            runs(&log, "a", main_loop),
            runs(&log, "b", main_loop),
            quits(&log, "it", main_loop),
            Box::new(|_| unreachable!("all have ended")),
        ]);
        w.run(main_loop);
        assert_eq!(log.take(), "a( b( quit-it )b )a");
    }

    fn a_loop_that_is_quit_and_run_again_inside_needs_another_quit(w) {
        let log = Log::default();
        let main_loop = w.new_loop();
        let (said, ended) = (log.clone(), log.clone());
        script(w, vec![
            Box::new(move |w| {
                w.quit(main_loop);
                said.say("again(");
                w.run(main_loop);
                said.say(")again");
            }),
            quits(&log, "it", main_loop),
        ]);
        w.run(main_loop);
        ended.say("outer");
        assert_eq!(log.take(), "again( quit-it )again outer");
    }

    fn pending_sources_still_run_after_a_quit(w) {
        let log = Log::default();
        let main_loop = w.new_loop();
        for name in ["a", "b"] {
            let said = log.clone();
            let s = w.source(name, Kind::Idle, Box::new(move |w, _| {
                said.say(name);
                w.quit(main_loop);
                true
            }));
            w.attach(s);
        }
        w.run(main_loop);
        assert_eq!(log.take(), "a b");
    }

    fn a_quit_of_the_outer_loop_waits_for_an_inner_one_iterated_by_hand(w) {
        let log = Log::default();
        let main_loop = w.new_loop();
        let (said, done) = (log.clone(), log.clone());
        script(w, vec![
            Box::new(move |w| {
                while said.n() < 2 && !w.is_stuck() {
                    w.iteration(true);
                }
                said.say("inner");
            }),
            quits(&log, "outer", main_loop),
            Box::new(move |_| done.say("done")),
        ]);
        w.run(main_loop);
        assert_eq!(log.take(), "quit-outer done inner");
    }

    fn three_loops_deep_the_depth_is_three(w) {
        let log = Log::default();
        let loops = [w.new_loop(), w.new_loop(), w.new_loop()];
        let said = log.clone();
        script(w, vec![
            runs(&log, "b", loops[1]),
            runs(&log, "c", loops[2]),
            Box::new(move |w| {
                said.say(format!("{}", w.depth()));
                loops.iter().for_each(|&l| w.quit(l));
            }),
        ]);
        w.run(loops[0]);
        assert_eq!(log.take(), "b( c( 3 )c )b");
    }
}
