//! Verdicts from the end of a run: how the process ended, and how its nested loops ended.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{CHANCE, Case, ITERATIONS_FREE, ITERATIONS_PER_EVENT, OVERTAKEN};
use crate::program::{Actor, ActorKind};
use crate::trace::{End, Event, Kind, What};
use crate::verdict::{Finding, Tally, Word};

/// Why something is in doubt.
const KEPT: &str = "what came late could not run in time, because other work kept the processors \
                    busy or the machine stood still";

impl Case<'_> {
    /// Finds a nested loop that ended although nothing had quit it.
    pub(super) fn levels_in_order(&mut self) {
        for level in 0..self.levels.len() as u16 {
            let asked = self.ideal.find(What::Quit(level)).is_some();
            let Some(close) = self.real.find(What::Close(level)) else {
                continue;
            };
            if self.real.find(What::Refused(level)).is_some() || !asked {
                continue;
            }
            // A panic unwinds a nested loop without quitting it.
            if self.real.find(What::Panicked).is_some_and(|panic| panic < close) {
                continue;
            }
            match self.real.find(What::Quit(level)).filter(|&quit| quit < close) {
                None => drop(self.words.insert(Word::WrongLevel)),
                Some(quit) => self.held_open(level, quit, close),
            }
        }
    }

    /// Finds a nested loop that went on after it was told to end, until something that was due much
    /// later than its end had come.
    fn held_open(&mut self, level: u16, quit: usize, close: usize) {
        let ideal = self.ideal.find(What::Close(level)).map(|i| self.ideal.events[i].at);
        // It can end only when the loops inside it have ended.
        let inner = |event: &Event| matches!(event.what, What::Close(other) if other != level);
        let inner = self.real.events[..close].iter().rposition(inner);
        let quit = inner.map_or(quit, |inner| inner.max(quit));
        let until = self.real.events[quit].at;
        // Nobody can drain a loop in which the program itself keeps a source ready.
        let flooded = |actor: &Actor| {
            let ActorKind::Flood { for_ms, .. } = actor.kind else { return false };
            Duration::from_millis(for_ms) > until
        };
        let overtaker = ideal.and_then(|ideal| self.first_past(ideal + OVERTAKEN));
        let overtaken = overtaker.is_some_and(|i| quit < i && i < close);
        if !overtaken || self.program.actors.iter().any(flooded) {
            return;
        }
        let Some(overtaker) = overtaker else { return };
        let (asleep, kept) = self.idle(until, overtaker, close);
        if self.was_offered(until, overtaker) || asleep.saturating_sub(kept) >= CHANCE {
            self.words.insert(Word::HeldOpen);
        } else if asleep >= CHANCE {
            self.doubts.insert(Word::HeldOpen);
        }
    }

    /// Judges how the process ended.
    pub(super) fn end(&mut self, tallies: &BTreeMap<Kind, Tally>) {
        if self.real.events.iter().any(|e| matches!(e.what, What::Refused(_))) {
            self.words.insert(Word::Refused);
            self.message = self.real.notes.first().cloned();
        }
        if self.real.find(What::Panicked).is_some() && !matches!(self.real.end, End::Died { .. }) {
            self.findings.insert(Finding::PanicCaught);
        }
        match &self.real.end {
            End::Finished => {
                self.lost(tallies);
                if !self.words.contains(&Word::Refused) && self.missed_a_window() {
                    self.unsure("a window of the program is missing from the trace");
                }
            }
            End::Died { message, .. } => {
                self.words.insert(Word::Abort);
                self.message = Some(message.clone());
            }
            End::Deadline { .. } if self.ideal.end != End::Finished => {
                self.unsure("the program does not end, not even in the ideal run");
            }
            End::Deadline { last, in_lock } => {
                let open = self.innermost();
                // A drained loop iterates for nothing, once each pause.
                let paced = open.is_some_and(|level| self.drained.contains(&level));
                let justified = last.useful + if paced { last.ticks } else { 0 };
                let turning = last.iterations > ITERATIONS_FREE + ITERATIONS_PER_EVENT * justified;
                let over = match open {
                    Some(level) => self.real.find(What::Quit(level)).is_some(),
                    None => self.real.find(What::Done).is_some(),
                };
                if turning && over {
                    self.words.insert(Word::Livelock);
                    self.words.remove(&Word::BusyLoop);
                } else if *in_lock && last.iterations == 0 && last.useful == 0 {
                    self.words.insert(Word::Deadlock);
                    self.words.remove(&Word::Stall);
                    self.words.remove(&Word::Split);
                    self.findings.retain(|f| !matches!(f, Finding::Frozen(_)));
                } else {
                    self.words.insert(Word::Stall);
                    if turning {
                        self.words.insert(Word::BusyLoop);
                    } else if self.real.events.iter().any(|e| matches!(e.what, What::Close(_))) {
                        self.lost(tallies);
                    }
                }
            }
            End::Unknown { reason } => {
                // More may have been found.
                self.words.insert(Word::Inconclusive);
                self.message = Some(reason.clone());
            }
        }
        let died = matches!(self.real.end, End::Died { .. });
        let doubts: Vec<_> = self.doubts.difference(&self.words).map(|word| word.name()).collect();
        if !died && !doubts.is_empty() {
            self.words.insert(Word::Inconclusive);
            let doubts = doubts.join(" or ");
            self.message = Some(format!("whether this is {doubts} cannot be told: {KEPT}"));
        }
    }

    /// Nothing can be said, unless something bad is already proven.
    fn unsure(&mut self, why: &str) {
        if !self.words.iter().any(|word| word.is_bad()) {
            self.words.insert(Word::Inconclusive);
        }
        self.message = Some(why.to_owned());
    }

    /// Lost: every window closed and the program ended, but an event never came.
    fn lost(&mut self, tallies: &BTreeMap<Kind, Tally>) {
        let refused = self.words.contains(&Word::Refused);
        if self.innermost().is_none() && !refused && tallies.values().any(|t| t.lost > 0) {
            self.words.insert(Word::Lost);
            // It is a stall too if another event came, but too late.
            let late = |f: &Finding| matches!(f, Finding::LostWakeUp | Finding::Deferred(_));
            if !self.findings.iter().any(late) {
                self.words.remove(&Word::Stall);
            }
        }
    }

    /// The innermost nested loop that is open at the end.
    fn innermost(&self) -> Option<u16> {
        self.real.events.iter().rev().find_map(|event| match event.what {
            What::Open(level) => self.real.find(What::Close(level)).is_none().then_some(level),
            _ => None,
        })
    }

    /// Whether an edge of a nested loop or a quiet window is missing from the real trace.
    fn missed_a_window(&self) -> bool {
        let is_edge = |what| {
            matches!(what, What::Open(_) | What::Close(_) | What::QuietBegin | What::QuietEnd)
        };
        let mut edges = self.ideal.events.iter().map(|e| e.what).filter(|&what| is_edge(what));
        edges.any(|edge| self.real.find(edge).is_none())
    }
}
