//! The page that a cell's process shares with its supervisor.
//!
//! The process writes down what happens as it happens, so that it survives the process.
//! Everything is an atomic word. An unfinished record is not read.

#![expect(unsafe_code, reason = "the only way to a page that two processes share")]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use loopnest_core::program::THINGS;
use loopnest_core::trace::{Event, Key, Kind, Meter, What};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// How many events fit. More are counted but not kept.
const MAX_EVENTS: usize = 1 << 17;
// Every event of a program, and as many pokes, panics and edges beside them as a run may have.
const _: () = assert!(MAX_EVENTS as u64 >= THINGS + 1000);
/// Words of a record.
const RECORD: usize = 9;
/// Words before the first record.
const HEADER: usize = 16;
/// Bytes for notes.
const NOTES: usize = 1 << 16;
/// Words in all.
const WORDS: usize = HEADER + MAX_EVENTS * RECORD + NOTES / 8;
/// Bytes in all.
const BYTES: usize = WORDS * 8;

/// Index of a counter in the header.
#[derive(Clone, Copy, Debug)]
pub enum Counter {
    /// Events recorded.
    Events,
    /// GLib iterations.
    Iterations,
    /// Things done for the program.
    Useful,
    /// Opportunity ticks, written by the supervisor.
    Ticks,
    /// Kernel id of the loop thread.
    Tid,
    /// Set when all actors are done.
    Done,
    /// Bytes of notes.
    Notes,
    /// Nanoseconds for which threads of the subject could run and did not.
    Delay,
}

/// A mapping of the page.
pub struct Page {
    words: &'static [AtomicU64],
    /// Only the side that created it has the descriptor.
    memfd: Option<OwnedFd>,
}

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Page").field("events", &self.get(Counter::Events)).finish_non_exhaustive()
    }
}

impl Page {
    /// Creates a page.
    ///
    /// # Errors
    /// When the system has no memory or descriptor left.
    pub fn create() -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let memfd = memfd_create("loopnest-cell", flags)?;
        ftruncate(&memfd, BYTES as u64)?;
        // A subject can open it too. Without its end the supervisor would get SIGBUS, and a subject
        // could fill the memory by way of it.
        fcntl_add_seals(&memfd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        let words = map(&memfd)?;
        Ok(Self { words, memfd: Some(memfd) })
    }

    /// Where another process of the same user finds it.
    pub fn path(&self) -> String {
        let fd = self.memfd.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        format!("/proc/{}/fd/{fd}", std::process::id())
    }

    /// Opens the page of another process.
    ///
    /// # Errors
    /// When there is none at `path`.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(path)?;
        if file.metadata()?.len() != BYTES as u64 {
            return Err(io::Error::other("not a page of this version of the harness"));
        }
        Ok(Self { words: map(&file.into())?, memfd: None })
    }

    fn word(&self, counter: Counter) -> &AtomicU64 {
        &self.words[counter as usize]
    }

    /// Reads a counter.
    pub fn get(&self, counter: Counter) -> u64 {
        self.word(counter).load(Ordering::Acquire)
    }

    /// Sets a counter.
    pub fn set(&self, counter: Counter, value: u64) {
        self.word(counter).store(value, Ordering::Release);
    }

    /// Adds one and returns the previous value.
    pub fn count(&self, counter: Counter) -> u64 {
        self.word(counter).fetch_add(1, Ordering::AcqRel)
    }

    /// The counters that go into a meter.
    pub fn meter(&self) -> Meter {
        Meter {
            iterations: self.get(Counter::Iterations),
            useful: self.get(Counter::Useful),
            ticks: self.get(Counter::Ticks),
            delay: Duration::from_nanos(self.get(Counter::Delay)),
            ..Meter::default()
        }
    }

    /// Appends an event.
    pub fn push(&self, event: &Event) {
        let index = self.count(Counter::Events) as usize;
        if index >= MAX_EVENTS {
            return;
        }
        let record = &self.words[HEADER + index * RECORD..][..RECORD];
        let (code, n) = encode(event.what);
        record[1].store(event.at.as_nanos() as u64, Ordering::Relaxed);
        record[2].store(u64::from(event.depth) << 32 | u64::from(n), Ordering::Relaxed);
        record[3].store(event.meter.iterations, Ordering::Relaxed);
        record[4].store(event.meter.useful, Ordering::Relaxed);
        record[5].store(event.meter.switches, Ordering::Relaxed);
        record[6].store(event.meter.cpu.as_nanos() as u64, Ordering::Relaxed);
        record[7].store(event.meter.ticks, Ordering::Relaxed);
        record[8].store(event.meter.delay.as_nanos() as u64, Ordering::Relaxed);
        // Last, and never zero: the record is whole.
        record[0].store(code, Ordering::Release);
    }

    /// The event at `index`, if it was written whole.
    pub fn event(&self, index: usize) -> Option<Event> {
        if index >= MAX_EVENTS {
            return None;
        }
        let record = &self.words[HEADER + index * RECORD..][..RECORD];
        let code = record[0].load(Ordering::Acquire);
        let get = |i: usize| record[i].load(Ordering::Relaxed);
        Some(Event {
            what: decode(code, get(2) as u32)?,
            at: Duration::from_nanos(get(1)),
            depth: (get(2) >> 32) as u16,
            meter: Meter {
                iterations: get(3),
                useful: get(4),
                switches: get(5),
                cpu: Duration::from_nanos(get(6)),
                delay: Duration::from_nanos(get(8)),
                ticks: get(7),
            },
        })
    }

    /// All events so far.
    pub fn events(&self) -> Vec<Event> {
        let n = (self.get(Counter::Events) as usize).min(MAX_EVENTS);
        (0..n).filter_map(|i| self.event(i)).collect()
    }

    /// Whether events did not fit.
    pub fn overflowed(&self) -> bool {
        self.get(Counter::Events) as usize > MAX_EVENTS
    }

    /// Appends a line of text, if it fits.
    pub fn note(&self, text: &str) {
        // Whole words, so that two threads never write into the same one.
        let n_words = text.len() / 8 + 1;
        let start = self.word(Counter::Notes).fetch_add(n_words as u64, Ordering::AcqRel) as usize;
        let area = &self.words[HEADER + MAX_EVENTS * RECORD..];
        for i in 0..n_words {
            let Some(word) = area.get(start + i) else {
                return;
            };
            let mut bytes = [0; 8];
            let rest = &text.as_bytes()[i * 8..];
            let n = rest.len().min(8);
            bytes[..n].copy_from_slice(&rest[..n]);
            word.store(u64::from_le_bytes(bytes), Ordering::Release);
        }
    }

    /// All notes so far. Each ends with a zero byte.
    pub fn notes(&self) -> Vec<String> {
        let area = &self.words[HEADER + MAX_EVENTS * RECORD..];
        let n = (self.get(Counter::Notes) as usize).min(area.len());
        let bytes: Vec<u8> =
            area[..n].iter().flat_map(|w| w.load(Ordering::Acquire).to_le_bytes()).collect();
        bytes
            .split(|&b| b == 0)
            .filter(|note| !note.is_empty())
            .map(|note| String::from_utf8_lossy(note).into_owned())
            .collect()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this length, and nothing can use `words` after this: the
        // references that were handed out borrow `self`.
        let _ = unsafe { munmap(self.words.as_ptr().cast_mut().cast(), BYTES) };
    }
}

fn map(memfd: &OwnedFd) -> io::Result<&'static [AtomicU64]> {
    let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
    // SAFETY: a new mapping of the whole file. The callers have checked its length, and it is a
    // memfd that is sealed against shrinking.
    let start = unsafe { mmap(std::ptr::null_mut(), BYTES, protection, flags, memfd, 0)? };
    // SAFETY: page-aligned, `WORDS` words long, alive until `drop`, and accessed by both
    // processes as atomics only. Any bits are a valid `AtomicU64`.
    Ok(unsafe { std::slice::from_raw_parts(start.cast::<AtomicU64>(), WORDS) })
}

const KINDS: [Kind; 7] =
    [Kind::Timer, Kind::Io, Kind::Wake, Kind::Task, Kind::Timeout, Kind::Idle, Kind::Fd];

/// A word that is not zero, and the number of a key.
fn encode(what: What) -> (u64, u32) {
    let code = |tag: u64, argument: u16| (tag | u64::from(argument) << 16, 0);
    match what {
        What::Reached(key) => {
            let kind = KINDS.iter().position(|&k| k == key.kind).unwrap_or(0) as u64;
            let word = 1 | kind << 8 | u64::from(key.actor) << 16 | u64::from(key.step) << 32;
            (word, key.n)
        }
        What::Open(level) => code(2, level),
        What::Close(level) => code(3, level),
        What::Quit(level) => code(4, level),
        What::QuietBegin => code(5, 0),
        What::QuietEnd => code(6, 0),
        What::Refused(level) => code(7, level),
        What::PokeBegin(n) => code(8, n),
        What::PokeEnd(n) => code(9, n),
        What::Panicked => code(10, 0),
        What::Done => code(11, 0),
        What::Awake => code(12, 0),
        What::Look => code(13, 0),
    }
}

fn decode(code: u64, n: u32) -> Option<What> {
    let argument = (code >> 16) as u16;
    Some(match code & 0xff {
        1 => What::Reached(Key {
            actor: argument,
            step: (code >> 32) as u16,
            n,
            kind: *KINDS.get((code >> 8 & 0xff) as usize)?,
        }),
        2 => What::Open(argument),
        3 => What::Close(argument),
        4 => What::Quit(argument),
        5 => What::QuietBegin,
        6 => What::QuietEnd,
        7 => What::Refused(argument),
        8 => What::PokeBegin(argument),
        9 => What::PokeEnd(argument),
        10 => What::Panicked,
        11 => What::Done,
        12 => What::Awake,
        13 => What::Look,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_mapping_writes_another_reads() -> io::Result<()> {
        let ours = Page::create()?;
        let theirs = Page::open(Path::new(&ours.path()))?;
        let mut all = vec![
            What::QuietBegin,
            What::QuietEnd,
            What::Panicked,
            What::Done,
            What::Awake,
            What::Look,
        ];
        for n in [0, 1, u16::MAX] {
            all.extend([What::Open(n), What::Close(n), What::Quit(n), What::Refused(n)]);
            all.extend([What::PokeBegin(n), What::PokeEnd(n)]);
            let key = |kind| Key { actor: n, step: n, n: u32::from(n) * 7, kind };
            all.extend(KINDS.map(|kind| What::Reached(key(kind))));
        }
        let meter = Meter {
            iterations: 1,
            useful: 2,
            switches: 3,
            cpu: Duration::from_nanos(4),
            delay: Duration::from_nanos(5),
            ticks: 6,
        };
        let events: Vec<Event> = (0..)
            .zip(all)
            .map(|(i, what)| Event { at: Duration::from_nanos(i), depth: 3, what, meter })
            .collect();
        events.iter().for_each(|event| theirs.push(event));
        theirs.note("first");
        theirs.note("second, exactly 24 bytes");
        assert_eq!(ours.events(), events);
        assert_eq!(ours.notes(), ["first", "second, exactly 24 bytes"]);
        Ok(())
    }

    #[test]
    fn nobody_can_change_the_length_of_a_page() -> io::Result<()> {
        let page = Page::create()?;
        let theirs = File::options().write(true).open(page.path())?;
        for length in [0, BYTES as u64 + 1] {
            let refused = theirs.set_len(length).expect_err("it is sealed");
            assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        }
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_reported() -> io::Result<()> {
        let page = Page::create()?;
        let event =
            Event { at: Duration::ZERO, depth: 0, what: What::Done, meter: Meter::default() };
        for _ in 0..MAX_EVENTS + 1 {
            page.push(&event);
        }
        assert!(page.overflowed());
        assert_eq!(page.events().len(), MAX_EVENTS);
        let long = "x".repeat(NOTES);
        page.note(&long);
        page.note("too late");
        assert_eq!(page.notes().len(), 1);
        Ok(())
    }
}
