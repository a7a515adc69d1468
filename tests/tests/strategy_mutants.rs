//! A search that has never found anything proves nothing. So these tests put a fault into the model
//! of a strategy, and the search must find a small program that shows it.
//!
//! Only behaviour that the strategy without the fault does not have counts.
//!
//! For each fault the test prints a line that becomes a row in the table of mutants:
//! `mutant: NAME | WHAT IS WRONG | FOUND BY | CASES`.

use std::sync::atomic::AtomicBool;

use harness::search::{Plan, n_steps, search};
use loopnest_core::model::strategies::{Fault, run_mutant};
use loopnest_core::model::{ideal, run_beside};
use loopnest_core::{Word, classify};

/// The same in every run, so that the table stays the same.
const SEED: u64 = 1;
const CASES: u32 = 2000;

#[test]
fn every_faulty_model_of_a_strategy_is_found_out_by_a_small_program() {
    for fault in Fault::ALL {
        let plan = Plan { finds: 2, ..Plan::on_model(SEED, CASES, None) };
        // Two faults show only where `dispatch` is blocked, which is a stall even without them.
        let beside_a_stall = matches!(fault, Fault::DescriptorLeft | Fault::DeadlineKept);
        let searched = search(
            &plan,
            &AtomicBool::new(false),
            &mut |program| {
                let due = ideal(program);
                let judge = |trace| classify(program, &due, &trace);
                let sound = judge(run_beside(fault.strategy(), program, &due));
                let mut faulty = judge(run_mutant(fault, program, &due));
                faulty.words.retain(|word| !sound.has(*word));
                let counts = beside_a_stall || sound.worst() == Word::Progress;
                Ok((counts && !faulty.words.is_empty()).then_some(faulty))
            },
            &mut |_| {},
        )
        .expect("the model does no I/O");
        let find = searched.find.unwrap_or_else(|| panic!("{fault:?} was not found"));
        println!("{fault:?}: {}\n{}", find.judgement.text(), find.program);
        println!(
            "mutant: {}::{fault:?} | {} | explore: {} | {}",
            fault.strategy(),
            fault.about(),
            find.judgement.text(),
            find.case,
        );
        assert!(n_steps(&find.program) <= 6, "{fault:?} needs too many steps:\n{}", find.program);
    }
}
