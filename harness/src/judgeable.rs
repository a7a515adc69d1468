//! What the method cannot judge, found before anything runs.

use std::time::Duration;

use loopnest_core::model::ideal;
use loopnest_core::trace::{End, Event, Key, Trace, What};
use loopnest_core::verdict::Word;
use loopnest_core::{Program, classify};

use crate::supervisor::WALL_CAP;

/// The ideal run of a program may take this long, so that a real one has time to be late.
pub const LONGEST: Duration = WALL_CAP.saturating_sub(Duration::from_secs(10));

/// Why a program cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unjudgeable {
    /// It never ends.
    #[error(
        "`{0}` cannot be judged: it does not end, not even in the ideal run, where nothing is late; \
         something in it waits for what nothing sends or quits"
    )]
    Endless(String),
    /// It takes too long.
    #[error("`{program}` cannot be judged: it takes {} s, and a cell gets {} s", took.as_secs(), LONGEST.as_secs())]
    TooLong {
        /// Its name.
        program: String,
        /// How long its ideal run takes.
        took: Duration,
    },
    /// Two things happen at the same moment, and the rest depends on which is first.
    #[error(
        "`{program}` cannot be judged: at about {} ms two things happen at once, and what becomes of \
         `{actor}` depends on which is first; move one of them by a few milliseconds",
        at.as_millis()
    )]
    Tie {
        /// Its name.
        program: String,
        /// Whose event it is.
        actor: String,
        /// When it is due.
        at: Duration,
    },
}

/// Whether a program with this ideal run can be judged.
///
/// # Errors
/// The reason why it cannot.
pub fn judgeable(program: &Program, ideal: &Trace) -> Result<(), Unjudgeable> {
    let name = || program.name.clone();
    if ideal.end != End::Finished {
        return Err(Unjudgeable::Endless(name()));
    }
    let took = ideal.events.last().map_or(Duration::ZERO, |event| event.at);
    if took > LONGEST {
        return Err(Unjudgeable::TooLong { program: name(), took });
    }
    match tie(program, ideal) {
        Some((actor, at)) => Err(Unjudgeable::Tie { program: name(), actor, at }),
        None => Ok(()),
    }
}

/// The first event whose fate depends on the order of things that happen at the same moment.
///
/// Actors that start in the opposite order do what is due at one moment in the opposite order. If that
/// run, judged as if it were a real one, is not progress, then the order decides.
fn tie(program: &Program, due: &Trace) -> Option<(String, Duration)> {
    let mut reversed = program.clone();
    reversed.actors.reverse();
    let other = ideal(&reversed);
    let (levels, theirs) = (program.levels(), reversed.levels());
    let level = |i: u16| {
        let name = theirs.get(usize::from(i))?;
        Some(levels.iter().position(|level| level == name)? as u16)
    };
    let last = program.actors.len().saturating_sub(1) as u16;
    let back = |event: &Event| {
        let what = match event.what {
            What::Reached(key) => What::Reached(Key { actor: last - key.actor, ..key }),
            What::Open(i) => What::Open(level(i)?),
            What::Close(i) => What::Close(level(i)?),
            What::Quit(i) => What::Quit(level(i)?),
            what => what,
        };
        Some(Event { what, ..*event })
    };
    let events = other.events.iter().filter_map(back).collect();
    let judged = classify(program, due, &Trace { events, ..other });
    if judged.words == [Word::Progress] {
        return None;
    }
    let failed = judged.deliveries.iter().find(|delivery| delivery.fate.is_failure());
    let (actor, at) = failed.map_or((0, Duration::ZERO), |failed| (failed.key.actor, failed.due));
    Some((program.actors.get(usize::from(actor))?.name.clone(), at))
}

#[cfg(test)]
mod tests {
    use loopnest_core::program::{Actor, ActorKind, How, Step};

    use super::*;
    use crate::scenarios;

    fn refused(actors: Vec<Actor>) -> String {
        let program = Program {
            name: "it".to_owned(),
            about: "A program made for a test.".to_owned(),
            source: "none".to_owned(),
            tags: Vec::new(),
            actors,
        };
        judgeable(&program, &ideal(&program)).expect_err("it is refused").to_string()
    }

    fn task(name: &str, steps: Vec<Step>) -> Actor {
        Actor { name: name.to_owned(), kind: ActorKind::Task, steps }
    }

    #[test]
    fn what_never_ends_or_takes_too_long_is_refused() {
        let said = refused(vec![task("a", vec![Step::Await { signal: "never".to_owned() }])]);
        assert!(
            said.starts_with("`it` cannot be judged: it does not end, not even in the"),
            "{said}"
        );
        let said = refused(vec![task("a", vec![Step::Sleep { ms: 51_000 }])]);
        assert_eq!(said, "`it` cannot be judged: it takes 51 s, and a cell gets 50 s");
    }

    #[test]
    fn what_depends_on_the_order_of_one_moment_is_refused() {
        // Whether the task is cancelled before or after its 100 ms.
        let cancel = |ms| {
            let steps = vec![Step::Sleep { ms }, Step::Cancel { actor: "a".to_owned() }];
            let more = Step::Tick { every_ms: 100, times: 9 };
            let send = Step::Send { channel: "c".to_owned(), n: 1 };
            vec![
                task("a", vec![Step::Sleep { ms: 100 }, send]),
                task("b", steps),
                task("c", vec![Step::Receive { channel: "c".to_owned(), n: 1 }]),
                task("d", vec![more]),
            ]
        };
        let said = refused(cancel(100));
        assert!(said.contains("at about 100 ms two things happen at once"), "{said}");
        assert!(said.contains("move one of them"), "{said}");
    }

    #[test]
    fn every_scenario_can_be_judged() {
        for program in scenarios::all().into_iter().chain([scenarios::control()]) {
            assert_eq!(judgeable(&program, &ideal(&program)), Ok(()), "{}", program.name);
        }
    }

    #[test]
    fn things_of_one_moment_that_decide_nothing_are_fine() {
        let dialog =
            Step::Dialog { level: "d".to_owned(), how: How::Run, close_after_ms: Some(300) };
        let every = ActorKind::Timeout { every_ms: 100, times: 1, priority: 0 };
        let program = Program {
            name: "it".to_owned(),
            about: String::new(),
            source: String::new(),
            tags: Vec::new(),
            actors: vec![
                task("a", vec![Step::Tick { every_ms: 100, times: 6 }]),
                task("b", vec![Step::Tick { every_ms: 50, times: 12 }]),
                Actor { name: "c".to_owned(), kind: every, steps: vec![dialog] },
            ],
        };
        assert_eq!(judgeable(&program, &ideal(&program)), Ok(()));
    }
}
