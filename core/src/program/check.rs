//! What the types cannot rule out: names that mean nothing, callbacks that wait, two readers of one
//! channel, and more than there can be of anything.

use std::collections::{BTreeMap, BTreeSet};

use super::limits::{self, Exceeded};
use super::{Actor, ActorKind, Program, Side, Step};

/// What can be wrong with a program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// Two actors or two levels share a name.
    #[error("the name `{0}` is used twice")]
    Twice(String),
    /// A step names an actor or a level that does not exist.
    #[error("step {step} of `{actor}` names `{name}`, which does not exist")]
    Unknown {
        /// The actor with the bad step.
        actor: String,
        /// Index of the step.
        step: usize,
        /// The name that was not found.
        name: String,
    },
    /// A callback or a thread has a step that waits.
    #[error("step {step} of `{actor}` waits, which only an async task can do")]
    Waits {
        /// The actor with the bad step.
        actor: String,
        /// Index of the step.
        step: usize,
    },
    /// A thread has a step that only a loop can do.
    #[error("step {step} of `{actor}` cannot be done by a thread")]
    InThread {
        /// The actor with the bad step.
        actor: String,
        /// Index of the step.
        step: usize,
    },
    /// A step spawns an actor that starts by itself.
    #[error("`{0}` is spawned, but it is not dormant")]
    NotDormant(String),
    /// Two actors read from one channel or pipe, and it is not defined which of them gets what.
    #[error("two actors read from `{0}`")]
    Contended(String),
    /// There is too much of something.
    #[error(transparent)]
    Exceeds(#[from] Exceeded),
}

impl Program {
    /// Checks what the types cannot: nothing exceeds its limit, names are unique and known,
    /// callbacks do not wait, and each channel and pipe has one reader.
    ///
    /// # Errors
    /// What is wrong first.
    pub fn check(&self) -> Result<(), ProgramError> {
        // First, because whatever comes later takes its time with a large program.
        limits::sizes(self)?;
        Names::of(self)?.check_all(self)?;
        readers(self)?;
        Ok(limits::totals(self)?)
    }
}

/// What steps can name.
struct Names<'a> {
    actors: BTreeMap<&'a str, &'a Actor>,
    dialogs: BTreeSet<&'a str>,
}

impl<'a> Names<'a> {
    fn of(program: &'a Program) -> Result<Self, ProgramError> {
        let (mut actors, mut levels) = (BTreeMap::new(), BTreeSet::new());
        for actor in &program.actors {
            if actors.insert(actor.name.as_str(), actor).is_some() {
                return Err(ProgramError::Twice(actor.name.clone()));
            }
        }
        for level in program.steps().filter_map(Step::level) {
            if !levels.insert(level) {
                return Err(ProgramError::Twice(level.to_owned()));
            }
        }
        let dialogs = program.steps().filter(|step| matches!(step, Step::Dialog { .. }));
        Ok(Self { actors, dialogs: dialogs.filter_map(Step::level).collect() })
    }

    fn check_all(&self, program: &Program) -> Result<(), ProgramError> {
        for actor in &program.actors {
            for (i, step) in actor.steps.iter().enumerate() {
                self.check(actor, i, step, actor.kind.side())?;
            }
        }
        Ok(())
    }

    /// Checks a step of `actor`, run on `side`; `index` is that of the outermost step around it.
    fn check(
        &self,
        actor: &Actor,
        index: usize,
        step: &Step,
        side: Side,
    ) -> Result<(), ProgramError> {
        let name = || actor.name.clone();
        let unknown = |what: &str| {
            Err(ProgramError::Unknown { actor: name(), step: index, name: what.to_owned() })
        };
        match step {
            Step::Spawn { actor: target } | Step::Cancel { actor: target } => {
                let Some(target) = self.actors.get(target.as_str()) else {
                    return unknown(target);
                };
                if matches!(step, Step::Spawn { .. }) && target.kind != ActorKind::Dormant {
                    return Err(ProgramError::NotDormant(target.name.clone()));
                }
            }
            // A block-on ends when its task does, and cannot be quit.
            Step::Quit { level } if !self.dialogs.contains(level.as_str()) => {
                return unknown(level);
            }
            Step::Tick { .. }
            | Step::Receive { .. }
            | Step::Await { .. }
            | Step::Read { .. }
            | Step::Call { .. }
            | Step::Yield { .. }
                if side != Side::Async =>
            {
                return Err(ProgramError::Waits { actor: name(), step: index });
            }
            Step::Sleep { .. } if side == Side::Glib => {
                return Err(ProgramError::Waits { actor: name(), step: index });
            }
            Step::Dialog { .. } | Step::BlockOn { .. } | Step::Compute { .. } | Step::Panic
                if side == Side::Thread =>
            {
                return Err(ProgramError::InThread { actor: name(), step: index });
            }
            _ => {}
        }
        for inner in step.inner() {
            self.check(actor, index, inner, Side::Async)?;
        }
        Ok(())
    }
}

/// Checks that each channel and pipe has one reader.
fn readers(program: &Program) -> Result<(), ProgramError> {
    let mut takers = BTreeMap::new();
    for actor in &program.actors {
        if let ActorKind::Watch { pipe, .. } = &actor.kind {
            takes(&mut takers, actor, "pipe", pipe)?;
        }
        for step in actor.all_steps() {
            match step {
                Step::Receive { channel, .. } => takes(&mut takers, actor, "channel", channel)?,
                Step::Read { pipe, .. } => takes(&mut takers, actor, "pipe", pipe)?,
                _ => {}
            }
        }
    }
    Ok(())
}

/// Notes that `actor` reads from the channel or pipe `name`; an error if another actor does too.
fn takes<'a>(
    takers: &mut BTreeMap<(&'static str, &'a str), &'a str>,
    actor: &'a Actor,
    what: &'static str,
    name: &'a str,
) -> Result<(), ProgramError> {
    let first = *takers.entry((what, name)).or_insert(&actor.name);
    if first == actor.name { Ok(()) } else { Err(ProgramError::Contended(name.to_owned())) }
}
