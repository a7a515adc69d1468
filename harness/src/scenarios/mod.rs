//! The named scenarios: each a [`Program`] with an explanation and a source.

mod build;
mod calls;
mod dialogs;
mod floods;
mod wakes;

use loopnest_core::Program;

/// All scenarios, in the order of the matrix.
pub fn all() -> Vec<Program> {
    [dialogs::all(), wakes::all(), calls::all(), floods::all()].concat()
}

/// The scenario that the planted subjects are judged on. It is not part of the matrix.
pub fn control() -> Program {
    wakes::control()
}

#[cfg(test)]
mod tests {
    use loopnest_core::model::ideal;
    use loopnest_core::trace::{End, What};

    #[test]
    fn every_scenario_is_well_formed_and_its_ideal_run_ends() {
        for program in super::all().into_iter().chain([super::control()]) {
            program.check().unwrap_or_else(|e| panic!("{}: {e}", program.name));
            let trace = ideal(&program);
            assert_eq!(trace.end, End::Finished, "{}", program.name);
            assert!(trace.find(What::Done).is_some(), "{}", program.name);
            assert!(!program.about.is_empty() && !program.source.is_empty(), "{}", program.name);
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = super::all().into_iter().map(|p| p.name).collect();
        let n = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), n);
    }

    #[test]
    fn no_program_is_silent_for_longer_than_the_supervisor_waits() {
        for program in super::all() {
            let trace = ideal(&program);
            let mut last = std::time::Duration::ZERO;
            for event in &trace.events {
                let gap = event.at - last;
                assert!(gap.as_millis() <= 700, "{}: silent for {gap:?}", program.name);
                last = event.at;
            }
        }
    }
}
