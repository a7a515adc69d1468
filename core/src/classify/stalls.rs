//! Whether a side stalled: from the fates of its events, kind by kind and place by place.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Case, FLOOD_SHARE};
use crate::program::Side;
use crate::trace::Kind;
use crate::verdict::{Delivery, Fate, Finding, Place, Tally, Unjudged, Word};

/// How one kind of event was delivered in one place.
#[derive(Default)]
struct Count {
    in_time: u32,
    failed: Vec<Fate>,
    /// Could not run in time.
    unsure: u32,
    /// Came before the window opened.
    before: u32,
    /// When the first event that did not come in time was due.
    first_bad: Option<Duration>,
    /// When the last event that came in time was due.
    last_good: Option<Duration>,
}

/// Whether a kind stalled in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stalled {
    No,
    Yes,
    /// It depends on what could not be judged.
    Unsure,
}

impl Count {
    fn add(&mut self, delivery: &Delivery) {
        match delivery.fate {
            Fate::InTime => {
                self.in_time += 1;
                self.last_good = Some(delivery.due);
            }
            Fate::Late | Fate::Cured | Fate::Never => {
                self.failed.push(delivery.fate);
                self.first_bad.get_or_insert(delivery.due);
            }
            Fate::NotJudged(Unjudged::CouldNotRun) => self.unsure += 1,
            Fate::NotJudged(Unjudged::BeforeTheWindow) => self.before += 1,
            Fate::NotJudged(_) => {}
        }
    }

    fn says_something(&self) -> bool {
        self.in_time + self.unsure + self.before > 0 || !self.failed.is_empty()
    }

    /// Only a minority of events can be late by chance, and none can need a poke by chance.
    ///
    /// During a flood, the number of events in time depends on how much of the processor the
    /// process gets, so it is starvation only if almost none come.
    fn stalled(&self, place: Place) -> Stalled {
        let (good, bad, unsure) = (self.in_time as usize, self.failed.len(), self.unsure as usize);
        let stalls = |good: usize, bad: usize| match place {
            Place::Flood(_) => good * FLOOD_SHARE < good + bad,
            _ => good < bad,
        };
        if self.failed.contains(&Fate::Cured) || stalls(good + unsure, bad) {
            Stalled::Yes
        } else if stalls(good, bad + unsure) || (good + bad + unsure == 0 && self.before > 0) {
            Stalled::Unsure
        } else {
            Stalled::No
        }
    }
}

/// By place and kind.
type Counts = BTreeMap<(Place, Kind), Count>;

impl Case<'_> {
    /// How each kind of event was delivered; finds stall and split.
    pub(super) fn deliveries(&mut self, deliveries: &[Delivery]) -> BTreeMap<Kind, Tally> {
        let mut tallies: BTreeMap<Kind, Tally> = BTreeMap::new();
        let mut counts = Counts::new();
        for delivery in deliveries {
            let tally = tallies.entry(delivery.key.kind).or_default();
            tally.lost += u32::from(delivery.fate == Fate::Never);
            if let Some(place) = delivery.place {
                counts.entry((place, delivery.key.kind)).or_default().add(delivery);
            }
        }
        self.stalls(&counts);
        for ((place, kind), count) in counts {
            let tally = tallies.entry(kind).or_default();
            let starved = count.failed.len() as u32;
            // If there are windows, events in time outside them would only hide those late inside.
            let outside = place == Place::Outside && !self.spans.is_empty();
            tally.due += if outside { starved } else { count.in_time + starved + count.unsure };
            tally.starved += starved;
            tally.unsure += if outside { 0 } else { count.unsure };
        }
        tallies
    }

    /// Finds stalls. Each side is judged in each place, so that progress in one dialog does not
    /// hide a stall in another.
    fn stalls(&mut self, counts: &Counts) {
        let sides: BTreeSet<_> = counts.keys().map(|(place, kind)| (*place, kind.side())).collect();
        for (place, side) in sides {
            let mine: Vec<&Count> = counts
                .iter()
                .filter(|((p, kind), _)| *p == place && kind.side() == side)
                .map(|(_, count)| count)
                .filter(|count| count.says_something())
                .collect();
            let any = |stalled| mine.iter().any(|count| count.stalled(place) == stalled);
            if any(Stalled::Yes) {
                self.stall(place, side, &mine);
            } else if any(Stalled::Unsure) {
                self.doubts.insert(Word::Stall);
            }
        }
    }

    /// Finds out what exactly stalled.
    fn stall(&mut self, place: Place, side: Side, mine: &[&Count]) {
        let stalled = |count: &Count| count.stalled(place) == Stalled::Yes;
        let went_on = |count: &Count| count.stalled(place) == Stalled::No;
        self.words.insert(Word::Stall);
        self.stalled.insert(side);
        // Events in time before the first bad one do not show that the side kept running.
        let since = mine.iter().filter(|c| stalled(c)).filter_map(|c| c.first_bad).min();
        let flood = matches!(place, Place::Flood(_));
        let unharmed = |c: &Count| went_on(c) && (c.failed.is_empty() || flood);
        if mine.iter().any(|c| unharmed(c) && c.last_good >= since) {
            self.words.insert(Word::Split);
        }
        let failed = |fate| mine.iter().any(|c| stalled(c) && c.failed.contains(&fate));
        self.findings.insert(if failed(Fate::Cured) {
            Finding::LostWakeUp
        } else if !mine.iter().any(|c| went_on(c)) {
            Finding::Frozen(side)
        } else {
            Finding::Starved(side)
        });
        if failed(Fate::Late) {
            self.findings.insert(Finding::Deferred(side));
        }
    }
}
