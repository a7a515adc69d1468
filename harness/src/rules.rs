//! Names the cause of a verdict.
//!
//! A verdict says *what* happened; a rule says why, from the evidence that the verdict came with,
//! where the same was seen before, and what to try.
//! Everything here is pure: the same judgement gets the same rule, now and when a stored run is
//! read again.
//!
//! # Order
//!
//! [`RULES`] are asked in order and the first that fires names the cause, so the order is part of
//! their meaning:
//!
//! 1. *what leaves nothing to explain*: not applicable, inconclusive;
//! 2. *what ended the process*: the message decides, the most specific first;
//! 3. *what never ends*: deadlock and livelock;
//! 4. *causes that were shown by an experiment*: a quit that ended another loop, a poke that
//!    produced what was owed, a budget that the program is made to use up;
//! 5. *causes that follow from who stands on the stack*: who opened the nested loop, and who owns
//!    the thread;
//! 6. *what only the figures tell*: starved, split, lost, busy;
//! 7. *what is no harm*: refused, a panic that was caught, progress;
//! 8. `cause-not-recognised`, which fires always.

mod catalogue;
mod why;

#[cfg(test)]
pub(crate) mod tests;

use loopnest_core::program::{Actor, ActorKind, Program, Side, Step};
use loopnest_core::strategy::{About, Owner};
use loopnest_core::verdict::{Finding, Judgement, WindowFigures, Word};

pub use catalogue::RULES;
pub(crate) use why::limit;
pub use why::why;

/// A known cause.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Kebab-case name; also its heading in METHODOLOGY.md.
    pub name: &'static str,
    /// The cause in a few words.
    pub title: &'static str,
    /// Why it comes to that, in plain words.
    pub text: &'static str,
    /// Where the same was seen: `owner/repository#issue`.
    pub seen: &'static [&'static str],
    /// What to try; empty where nothing is wrong.
    pub try_this: &'static str,
    /// Whether the evidence shows this cause. Asked only when no earlier rule fired.
    fires: fn(&Evidence<'_>) -> bool,
}

/// The rule that recognises the cause of a verdict; the last one if none does.
pub fn recognise(program: &Program, about: &About, judgement: &Judgement) -> &'static Rule {
    let evidence = Evidence { program, about, judgement };
    let last = &RULES[RULES.len() - 1];
    RULES.iter().find(|rule| (rule.fires)(&evidence)).unwrap_or(last)
}

/// The rule of that name.
pub fn by_name(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name)
}

/// What the rules may ask.
struct Evidence<'a> {
    program: &'a Program,
    about: &'a About,
    judgement: &'a Judgement,
}

impl Evidence<'_> {
    fn has(&self, word: Word) -> bool {
        self.judgement.has(word)
    }

    fn only(&self, word: Word) -> bool {
        self.judgement.words.iter().all(|w| *w == word)
    }

    fn found(&self, finding: Finding) -> bool {
        self.judgement.findings.contains(&finding)
    }

    /// The process died, and its message has one of these in it.
    fn died_saying(&self, needles: &[&str]) -> bool {
        let message = self.judgement.message.as_deref().unwrap_or("");
        self.has(Word::Abort) && needles.iter().any(|needle| message.contains(needle))
    }

    /// Something that this side owed did not come in its window.
    fn stalled(&self, side: Side) -> bool {
        let named = [Finding::Frozen(side), Finding::Starved(side), Finding::Deferred(side)];
        // A run that was killed, and a poke, name no side.
        let tallies = &self.judgement.tallies;
        let mine = || tallies.iter().filter(|(kind, _)| kind.side() == side);
        let owed = || mine().any(|(_, tally)| tally.starved * 2 > tally.due);
        // Where a window never closed, what was due at its end or later is all there is.
        let never = || is_hung(self.judgement) && mine().any(|(_, tally)| tally.lost > 0);
        let named = || named.iter().any(|finding| self.found(*finding));
        self.has(Word::Stall) && (named() || owed() || never())
    }

    /// Something that this side owed came too late, if too little of it to be a stall: what waits
    /// for it on the other side may be stalled by that.
    fn was_late(&self, side: Side) -> bool {
        self.judgement.tallies.iter().any(|(kind, tally)| kind.side() == side && tally.starved > 0)
    }

    fn owner(&self, owner: Owner) -> bool {
        self.about.owner == owner
    }

    fn busy(&self) -> bool {
        self.has(Word::BusyLoop) || self.has(Word::Livelock)
    }

    fn busy_windows(&self) -> impl Iterator<Item = &WindowFigures> {
        self.judgement.windows.iter().filter(|window| window.busy)
    }

    fn busy_in_level(&self) -> bool {
        let levels = self.program.levels();
        // Of a run that was killed, the last stretch decides, which is in the loop that is open.
        let last = self.busy() && is_hung(self.judgement) && self.busy_windows().next().is_none();
        self.busy_windows().any(|window| levels.contains(&window.name))
            || (last && !levels.is_empty())
    }

    fn busy_outside_levels(&self) -> bool {
        let levels = self.program.levels();
        self.busy_windows().any(|window| !levels.contains(&window.name))
    }

    fn busy_in_quiet(&self) -> bool {
        self.busy_windows().any(|window| window.name == "quiet")
    }

    /// Some nested loop is opened by an actor like this.
    fn opened_by(&self, like: impl Fn(&ActorKind) -> bool) -> bool {
        self.program.actors.iter().any(|actor| like(&actor.kind) && opens(actor))
    }

    fn opened_by_callback(&self) -> bool {
        self.opened_by(|kind| kind.side() == Side::Glib)
    }

    fn opened_by_task(&self) -> bool {
        self.opened_by(|kind| matches!(kind, ActorKind::Task | ActorKind::Dormant))
    }

    fn opened_by_library_task(&self) -> bool {
        self.opened_by(|kind| *kind == ActorKind::LibraryTask)
    }

    /// Tasks of a library are polled on the thread of the loops, and one of them nests.
    fn may_be_held(&self) -> bool {
        self.owner(Owner::Glib)
            && self.about.extra_threads == "none"
            && self.opened_by_library_task()
    }

    fn has_step(&self, like: impl Fn(&Step) -> bool) -> bool {
        self.program.steps().any(like)
    }

    /// The program has one side at work without a pause.
    fn floods(&self, side: Side) -> bool {
        match side {
            Side::Glib => {
                let flood = |a: &Actor| matches!(a.kind, ActorKind::Flood { .. });
                self.program.actors.iter().any(flood)
            }
            _ => self.has_step(|step| matches!(step, Step::Yield { .. })),
        }
    }

    fn is_about_coop(&self) -> bool {
        self.program.name == "coop-budget" || self.program.tags.iter().any(|tag| tag == "coop")
    }
}

/// Whether it is a stall though no delivery shows one: the run was ended when nothing came any more.
fn is_hung(judgement: &Judgement) -> bool {
    let shows = |finding: &Finding| {
        matches!(finding, Finding::Frozen(_) | Finding::Starved(_) | Finding::LostWakeUp)
    };
    judgement.has(Word::Stall) && !judgement.findings.iter().any(shows)
}

/// Whether an actor opens a nested loop in its own steps.
fn opens(actor: &Actor) -> bool {
    actor.steps.iter().any(|step| matches!(step, Step::Dialog { .. }))
}
