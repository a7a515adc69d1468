//! An episode: it begins when the first dialog opens, and ends when the last has closed and
//! everything owed has come.
//!
//! While it lasts, its nested loops are recorded here. Only at the end is it known how long each
//! was open, so the program that defines what was due is written then: [`case`](crate::case).

use std::time::Duration;

use crate::facts::{Beside, ECHO_EVERY, LONGEST, whole};
use crate::kind::Origin;

/// One nested loop of an episode.
#[derive(Clone, Debug)]
pub struct Opener {
    /// Who opens it.
    pub origin: Origin,
    /// Its name, unique in the episode.
    pub level: String,
    /// When the callback that opened it, or asked a task to, ran.
    pub pressed: Duration,
    /// When it began.
    pub opened: Option<Duration>,
    /// When it returned.
    pub closed: Option<Duration>,
    /// The strategy's reason, if it refused.
    pub refused: Option<String>,
}

/// An episode that is being recorded.
#[derive(Clone, Debug)]
pub struct Episode {
    /// Time zero of the program: the last moment before the first dialog at which all async
    /// deadlines coincide.
    pub zero: Duration,
    /// The activity, if it is judged.
    pub beside: Option<Beside>,
    /// The nested loops, in the order of the requests.
    pub openers: Vec<Opener>,
}

impl Episode {
    /// Begins now.
    pub fn begin(now: Duration, beside: Option<Beside>) -> Self {
        let zero = beside.map_or(now, |beside| {
            beside.began + ECHO_EVERY * whole(now.saturating_sub(beside.began), ECHO_EVERY)
        });
        Self { zero, beside, openers: Vec::new() }
    }

    /// The activity was switched off or on, so from now on it is not judged.
    pub fn forget_beside(&mut self) {
        self.beside = None;
    }

    /// An echo or a bus that has ended meanwhile owes nothing any more.
    pub fn forget_ended(&mut self, now: Option<Beside>) {
        if let (Some(beside), Some(now)) = (&mut self.beside, now) {
            beside.has_echo &= now.has_echo;
            beside.has_bus &= now.has_bus;
        }
    }

    /// Adds a nested loop that is requested now. Returns its index, which the facts about it carry.
    pub fn press(&mut self, origin: Origin, name: &str, now: Duration) -> usize {
        let n = self.openers.iter().filter(|opener| opener.level.starts_with(name)).count();
        let level = if n == 0 { name.to_owned() } else { format!("{name} {}", n + 1) };
        self.openers.push(Opener {
            origin,
            level,
            pressed: now,
            opened: None,
            closed: None,
            refused: None,
        });
        self.openers.len() - 1
    }

    /// Whether every requested nested loop has returned.
    pub fn is_over(&self) -> bool {
        self.openers.iter().all(|opener| opener.closed.is_some())
    }

    /// The names of the open loops, outermost first.
    pub fn open_levels(&self) -> Vec<&str> {
        let open = |o: &&Opener| o.opened.is_some() && o.closed.is_none();
        self.openers.iter().filter(open).map(|o| o.level.as_str()).collect()
    }

    /// Whether only the beginning of an episode that lasts until then is judged.
    pub fn is_cut(&self, until: Duration) -> bool {
        until > self.zero + LONGEST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_zero_is_where_all_deadlines_coincide() {
        let beside = Beside { began: at(1000), has_echo: true, has_bus: true };
        let episode = Episode::begin(at(5130), Some(beside));
        assert_eq!(episode.zero, at(5000));
        assert_eq!(Episode::begin(at(5130), None).zero, at(5130));
    }

    #[test]
    fn dialogs_with_the_same_name_are_numbered() {
        let mut episode = Episode::begin(at(5130), None);
        for _ in 0..3 {
            episode.press(Origin::Callback, "dialog", at(5130));
        }
        let levels: Vec<&str> = episode.openers.iter().map(|o| o.level.as_str()).collect();
        assert_eq!(levels, ["dialog", "dialog 2", "dialog 3"]);
        assert!(!episode.is_over());
        assert!(episode.open_levels().is_empty());
    }
}
