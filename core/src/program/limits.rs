//! How much a program may contain.
//!
//! A program is data from anywhere, and a slip of the keyboard must not fill the memory or run for
//! a year. So everything that is counted has a limit, and a program beyond one is refused before
//! anything looks at it, the model included.
//!
//! The limits also keep what was measured exact: the number of an actor, a step or a level has 16
//! bits in a trace, and the events of a run must fit into the page that its process writes to.

use std::collections::BTreeMap;

use super::{Actor, ActorKind, Program, Step, flat};

/// The most actors. GLib looks at every source in every iteration.
pub const ACTORS: usize = 1_000;

/// The most steps of all actors, with those inside block-ons.
pub const STEPS: usize = 10_000;

/// The most nested loops. They may all be open at once, on one stack.
pub const LEVELS: usize = 100;

/// How deep block-ons may be written inside each other. TOML could not be read back far beyond it.
pub const NESTED: usize = 32;

/// The most milliseconds in one number, and of all that an actor does by itself: ten minutes.
pub const MILLIS: u64 = 600_000;

/// The most things that a program does in total, and the largest number of repetitions.
///
/// Whatever is an event when the program runs counts, and so does each message, each byte, and each
/// millisecond of a flood, which is a step of its own in the ideal run.
pub const THINGS: u64 = 60_000;

/// A limit that a program exceeds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Exceeded {
    /// There are too many actors.
    #[error("the program has {0} actors; it can have at most {ACTORS}")]
    Actors(usize),
    /// There are too many steps or levels.
    #[error("the program has {n} {what}, {there} of them in `{actor}`; it can have at most {most}")]
    Many {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        n: usize,
        /// The actor that has most of them.
        actor: String,
        /// How many that one has.
        there: usize,
        /// The limit.
        most: usize,
    },
    /// Block-ons are too deep inside each other.
    #[error(
        "step {step} of `{actor}` has {n} block-ons inside each other; at most {NESTED} can be"
    )]
    Nested {
        /// The actor with the step.
        actor: String,
        /// Index of the outermost step.
        step: usize,
        /// How deep.
        n: usize,
    },
    /// A number makes no sense.
    #[error("`{field}` of {} is {n}; it must be from {least} to {most}", place(actor, *step))]
    Number {
        /// The actor.
        actor: String,
        /// Index of the step, or of the outermost step around it; `None` for the actor itself.
        step: Option<usize>,
        /// The name of the number.
        field: &'static str,
        /// Its value.
        n: u64,
        /// The smallest that is possible.
        least: u64,
        /// The largest that is possible.
        most: u64,
    },
    /// The program does too much.
    #[error(
        "with {}, the program does {n} things (an event, a message, a byte or a millisecond of a \
         flood each); it can do at most {THINGS}",
        place(actor, *step)
    )]
    Things {
        /// The actor with which it becomes too much.
        actor: String,
        /// Index of the step; `None` for the actor's own firings.
        step: Option<usize>,
        /// How many things it has done by then.
        n: u64,
    },
    /// An actor takes too long.
    #[error("`{actor}` takes {n} ms by itself; it can take at most {MILLIS}")]
    Time {
        /// The actor.
        actor: String,
        /// How long its steps take.
        n: u64,
    },
    /// A dormant actor starts itself, perhaps by way of others.
    #[error("`{0}` starts itself again, and so never ends")]
    Restarts(String),
}

/// Checks everything that can be counted without knowing what the names mean.
pub(super) fn sizes(program: &Program) -> Result<(), Exceeded> {
    if program.actors.len() > ACTORS {
        return Err(Exceeded::Actors(program.actors.len()));
    }
    many(program, "steps", STEPS, |_| true)?;
    many(program, "levels", LEVELS, |step| step.level().is_some())?;
    for actor in &program.actors {
        for number in of_actor(actor) {
            number.check(actor, None)?;
        }
        for (i, step) in actor.steps.iter().enumerate() {
            let n = nesting(step);
            if n > NESTED {
                return Err(Exceeded::Nested { actor: actor.name.clone(), step: i, n });
            }
            for number in flat(std::slice::from_ref(step)).flat_map(of_step) {
                number.check(actor, Some(i))?;
            }
        }
    }
    Ok(())
}

/// A step of an actor, or the actor itself, in the words of an error.
pub(super) fn place(actor: &str, step: Option<usize>) -> String {
    step.map_or_else(|| format!("`{actor}`"), |step| format!("step {step} of `{actor}`"))
}

/// Checks what the whole program does. Every actor that is started must exist.
pub(super) fn totals(program: &Program) -> Result<(), Exceeded> {
    let mut total = 0u64;
    let mut starts = Starts::of(program);
    for (index, actor) in program.actors.iter().enumerate() {
        let (firings, each) = firings(actor);
        let time =
            firings.saturating_mul(each.saturating_add(actor.steps.iter().map(millis).sum()));
        if time > MILLIS {
            return Err(Exceeded::Time { actor: actor.name.clone(), n: time });
        }
        let starts = starts.count(index)?;
        let mut add = |step, n: u64| {
            total = total.saturating_add(starts.saturating_mul(n));
            let actor = || actor.name.clone();
            if total > THINGS {
                Err(Exceeded::Things { actor: actor(), step, n: total })
            } else {
                Ok(())
            }
        };
        add(None, own_things(actor))?;
        for (i, step) in actor.steps.iter().enumerate() {
            let n: u64 = flat(std::slice::from_ref(step)).map(things).sum();
            add(Some(i), firings.saturating_mul(n))?;
        }
    }
    Ok(())
}

/// Counts the steps of a kind.
fn many(
    program: &Program,
    what: &'static str,
    most: usize,
    is: impl Fn(&Step) -> bool,
) -> Result<(), Exceeded> {
    let counts = program.actors.iter().map(|a| (a.all_steps().filter(|s| is(s)).count(), &a.name));
    let counts: Vec<(usize, &String)> = counts.collect();
    let n = counts.iter().map(|(n, _)| n).sum();
    match counts.iter().max_by_key(|(n, _)| n) {
        Some(&(there, actor)) if n > most => {
            Err(Exceeded::Many { what, n, actor: actor.clone(), there, most })
        }
        _ => Ok(()),
    }
}

/// How many block-ons are inside each other.
fn nesting(step: &Step) -> usize {
    let (mut deepest, mut open) = (0, vec![std::slice::from_ref(step).iter()]);
    while let Some(list) = open.last_mut() {
        match list.next() {
            Some(step) => {
                if matches!(step, Step::BlockOn { .. }) {
                    deepest = deepest.max(open.len());
                }
                open.push(step.inner().iter());
            }
            None => drop(open.pop()),
        }
    }
    deepest
}

/// A number of a program.
struct Number {
    field: &'static str,
    n: u64,
    least: u64,
    most: u64,
}

impl Number {
    /// Something that is repeated: at least once, or it should not be there.
    fn times(field: &'static str, n: u32) -> Self {
        Self { field, n: n.into(), least: 1, most: THINGS }
    }

    /// A time. With zero, something that repeats would never let time pass.
    fn millis(field: &'static str, n: u64, least: u64) -> Self {
        Self { field, n, least, most: MILLIS }
    }

    fn check(&self, actor: &Actor, step: Option<usize>) -> Result<(), Exceeded> {
        let &Self { field, n, least, most } = self;
        if (least..=most).contains(&n) {
            return Ok(());
        }
        Err(Exceeded::Number { actor: actor.name.clone(), step, field, n, least, most })
    }
}

fn of_actor(actor: &Actor) -> Vec<Number> {
    match actor.kind {
        ActorKind::Timeout { every_ms, times, .. } => {
            vec![Number::millis("every_ms", every_ms, 1), Number::times("times", times)]
        }
        ActorKind::Flood { for_ms, .. } => vec![Number::millis("for_ms", for_ms, 0)],
        ActorKind::Watch { times, .. } => vec![Number::times("times", times)],
        ActorKind::Task
        | ActorKind::LibraryTask
        | ActorKind::RemoteTask
        | ActorKind::Dormant
        | ActorKind::Thread => Vec::new(),
    }
}

fn of_step(step: &Step) -> Vec<Number> {
    match *step {
        Step::Sleep { ms } | Step::Compute { ms } => vec![Number::millis("ms", ms, 0)],
        Step::Tick { every_ms, times } => {
            vec![Number::millis("every_ms", every_ms, 1), Number::times("times", times)]
        }
        Step::Send { n, .. } | Step::Receive { n, .. } | Step::Read { n, .. } => {
            vec![Number::times("n", n)]
        }
        Step::Call { after_ms, n, .. } => {
            vec![Number::millis("after_ms", after_ms, 0), Number::times("n", n)]
        }
        Step::Yield { for_ms } => vec![Number::millis("for_ms", for_ms, 0)],
        Step::Dialog { close_after_ms: Some(ms), .. } => {
            vec![Number::millis("close_after_ms", ms, 0)]
        }
        _ => Vec::new(),
    }
}

/// How often an actor runs its steps each time it is started, and how long it waits before each.
fn firings(actor: &Actor) -> (u64, u64) {
    match actor.kind {
        ActorKind::Timeout { every_ms, times, .. } => (times.into(), every_ms),
        ActorKind::Flood { for_ms, .. } => (1, for_ms),
        ActorKind::Watch { times, .. } => (times.into(), 0),
        _ => (1, 0),
    }
}

/// The things that an actor does besides its steps: its firings, its end.
fn own_things(actor: &Actor) -> u64 {
    match actor.kind {
        ActorKind::Flood { for_ms, .. } => for_ms + 1,
        _ => firings(actor).0,
    }
}

/// How many things a step does, without those inside it.
fn things(step: &Step) -> u64 {
    match *step {
        Step::Tick { times: n, .. }
        | Step::Send { n, .. }
        | Step::Receive { n, .. }
        | Step::Read { n, .. }
        | Step::Call { n, .. } => n.into(),
        Step::Yield { for_ms } => for_ms + 1,
        // It opens, is quit or refused, and closes.
        Step::Dialog { .. } | Step::BlockOn { .. } => 4,
        _ => 1,
    }
}

/// How long a step takes if nothing holds it up, with those inside it.
fn millis(step: &Step) -> u64 {
    let of_one = |step: &Step| match *step {
        Step::Sleep { ms } | Step::Compute { ms } | Step::Yield { for_ms: ms } => ms,
        Step::Tick { every_ms: ms, times: n } | Step::Call { after_ms: ms, n, .. } => {
            ms * u64::from(n)
        }
        Step::Dialog { close_after_ms, .. } => close_after_ms.unwrap_or(0),
        _ => 0,
    };
    flat(std::slice::from_ref(step)).map(of_one).sum()
}

/// How often each actor is started.
struct Starts<'a> {
    program: &'a Program,
    /// For each actor, the actors that start it, each with how many of its steps do.
    by: Vec<Vec<(usize, u64)>>,
    counts: Vec<Count>,
}

#[derive(Clone, Copy)]
enum Count {
    Unknown,
    /// It is being counted, so it depends on itself.
    Open,
    Known(u64),
}

impl<'a> Starts<'a> {
    fn of(program: &'a Program) -> Self {
        let n = program.actors.len();
        let names = program.actors.iter().enumerate().map(|(i, actor)| (actor.name.as_str(), i));
        let indices: BTreeMap<&str, usize> = names.collect();
        let mut by = vec![Vec::new(); n];
        for (index, actor) in program.actors.iter().enumerate() {
            let mut here: BTreeMap<usize, u64> = BTreeMap::new();
            for step in actor.all_steps() {
                if let Step::Spawn { actor } = step
                    && let Some(&target) = indices.get(actor.as_str())
                {
                    *here.entry(target).or_default() += 1;
                }
            }
            here.into_iter().for_each(|(target, n)| by[target].push((index, n)));
        }
        Self { program, by, counts: vec![Count::Unknown; n] }
    }

    /// How often the actor is started, counted from those that start it.
    fn count(&mut self, index: usize) -> Result<u64, Exceeded> {
        let actor = &self.program.actors[index];
        match self.counts[index] {
            Count::Known(n) => return Ok(n),
            Count::Open => return Err(Exceeded::Restarts(actor.name.clone())),
            Count::Unknown => self.counts[index] = Count::Open,
        }
        let mut n = u64::from(actor.kind.starts_by_itself());
        for (by, steps) in self.by[index].clone() {
            let (firings, _) = firings(&self.program.actors[by]);
            n = n.saturating_add(self.count(by)?.saturating_mul(firings).saturating_mul(steps));
        }
        self.counts[index] = Count::Known(n);
        Ok(n)
    }
}
