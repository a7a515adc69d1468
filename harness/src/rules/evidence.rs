//! What the rules may ask of a program, a strategy and a judgement.

use loopnest_core::program::{Actor, ActorKind, Program, Side, Step};
use loopnest_core::strategy::{About, Owner};
use loopnest_core::verdict::{Finding, Judgement, WindowFigures, Word};

/// What the rules may ask.
pub(super) struct Evidence<'a> {
    pub(super) program: &'a Program,
    pub(super) about: &'a About,
    pub(super) judgement: &'a Judgement,
}

impl Evidence<'_> {
    pub(super) fn has(&self, word: Word) -> bool {
        self.judgement.has(word)
    }

    pub(super) fn only(&self, word: Word) -> bool {
        self.judgement.words.iter().all(|w| *w == word)
    }

    pub(super) fn found(&self, finding: Finding) -> bool {
        self.judgement.findings.contains(&finding)
    }

    /// The process died, and its message contains one of these.
    pub(super) fn died_saying(&self, needles: &[&str]) -> bool {
        let message = self.judgement.message.as_deref().unwrap_or("");
        self.has(Word::Abort) && needles.iter().any(|needle| message.contains(needle))
    }

    /// Something that this side owed did not come in its window.
    pub(super) fn stalled(&self, side: Side) -> bool {
        let named = [Finding::Frozen(side), Finding::Starved(side), Finding::Deferred(side)];
        // A run that was killed names no side, and neither does a poke.
        let tallies = &self.judgement.tallies;
        let mine = || tallies.iter().filter(|(kind, _)| kind.side() == side);
        let owed = || self.judgement.stalled.contains(&side);
        // If a window never closed, all there is to go by is what was due at its end or later.
        let never = || is_hung(self.judgement) && mine().any(|(_, tally)| tally.lost > 0);
        let named = || named.iter().any(|finding| self.found(*finding));
        self.has(Word::Stall) && (named() || owed() || never())
    }

    /// Something that this side owed came too late, though too little of it for a stall: what waits
    /// for it on the other side may have stalled because of that.
    pub(super) fn was_late(&self, side: Side) -> bool {
        self.judgement.tallies.iter().any(|(kind, tally)| kind.side() == side && tally.starved > 0)
    }

    pub(super) fn owner(&self, owner: Owner) -> bool {
        self.about.owner == owner
    }

    pub(super) fn busy(&self) -> bool {
        self.has(Word::BusyLoop) || self.has(Word::Livelock)
    }

    pub(super) fn busy_windows(&self) -> impl Iterator<Item = &WindowFigures> {
        self.judgement.windows.iter().filter(|window| window.busy)
    }

    pub(super) fn busy_in_level(&self) -> bool {
        let levels = self.program.levels();
        // If the run was killed, its last stretch decides, and that is in the loop that is open.
        let last = self.busy() && is_hung(self.judgement) && self.busy_windows().next().is_none();
        self.busy_windows().any(|window| levels.contains(&window.name))
            || (last && !levels.is_empty())
    }

    pub(super) fn busy_outside_levels(&self) -> bool {
        let levels = self.program.levels();
        self.busy_windows().any(|window| !levels.contains(&window.name))
    }

    pub(super) fn busy_in_quiet(&self) -> bool {
        self.busy_windows().any(|window| window.name == "quiet")
    }

    /// An actor like this opens a nested loop.
    pub(super) fn opened_by(&self, like: impl Fn(&ActorKind) -> bool) -> bool {
        self.program.actors.iter().any(|actor| like(&actor.kind) && opens(actor))
    }

    pub(super) fn opened_by_callback(&self) -> bool {
        self.opened_by(|kind| kind.side() == Side::Glib)
    }

    pub(super) fn opened_by_task(&self) -> bool {
        self.opened_by(|kind| matches!(kind, ActorKind::Task | ActorKind::Dormant))
    }

    pub(super) fn opened_by_library_task(&self) -> bool {
        self.opened_by(|kind| *kind == ActorKind::LibraryTask)
    }

    /// A library's tasks are polled on the thread of the loops, and one of them nests.
    pub(super) fn may_be_held(&self) -> bool {
        self.owner(Owner::Glib)
            && self.about.extra_threads == "none"
            && self.opened_by_library_task()
    }

    pub(super) fn has_step(&self, like: impl Fn(&Step) -> bool) -> bool {
        self.program.steps().any(like)
    }

    /// The program keeps this side busy without a pause.
    pub(super) fn floods(&self, side: Side) -> bool {
        match side {
            Side::Glib => {
                let flood = |a: &Actor| matches!(a.kind, ActorKind::Flood { .. });
                self.program.actors.iter().any(flood)
            }
            _ => self.has_step(|step| matches!(step, Step::Yield { .. })),
        }
    }

    pub(super) fn is_about_coop(&self) -> bool {
        self.program.name == "coop-budget" || self.program.tags.iter().any(|tag| tag == "coop")
    }
}

/// Whether it is a stall that no delivery shows: the run was ended because nothing came any more.
pub(super) fn is_hung(judgement: &Judgement) -> bool {
    let shows = |finding: &Finding| {
        matches!(finding, Finding::Frozen(_) | Finding::Starved(_) | Finding::LostWakeUp)
    };
    judgement.has(Word::Stall) && !judgement.findings.iter().any(shows)
}

/// Whether an actor opens a nested loop in its own steps.
fn opens(actor: &Actor) -> bool {
    actor.steps.iter().any(|step| matches!(step, Step::Dialog { .. }))
}
