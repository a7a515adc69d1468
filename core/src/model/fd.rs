//! Virtual descriptors, as poll(2) sees them: level-triggered.
//!
//! A descriptor is a number and a function that says what is ready *now*; nothing is queued and
//! nothing is notified.
//! A [derived](Fd::derived) descriptor computes its readiness. An epoll descriptor is modelled this
//! way: it is readable while anything that it watches is ready.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use bitflags::bitflags;

use super::clock::Clock;

bitflags! {
    /// What a descriptor is ready for, or what to wait for.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Events: u8 {
        /// There is something to read.
        const IN = 1;
        /// There is urgent data to read.
        const PRI = 2;
        /// There is room to write.
        const OUT = 4;
        /// Error; cannot be masked.
        const ERR = 8;
        /// The peer hung up; cannot be masked.
        const HUP = 16;
        /// Not open; cannot be masked.
        const NVAL = 32;
    }
}

impl Events {
    /// What poll reports even if it was not asked for.
    pub const ALWAYS: Self = Self::ERR.union(Self::HUP).union(Self::NVAL);
}

/// An open descriptor. Clones are the same descriptor, not `dup`s of it.
#[derive(Clone)]
pub struct Fd(Arc<Inner>);

struct Inner {
    number: u32,
    kind: Kind,
}

enum Kind {
    Counter(Arc<AtomicU64>),
    ReadEnd(Arc<Bytes>),
    WriteEnd(Arc<Bytes>),
    Derived(Box<dyn Fn() -> Events + Send + Sync>),
}

struct Bytes {
    n: AtomicU64,
    capacity: u64,
    no_writer: AtomicBool,
    no_reader: AtomicBool,
}

impl Fd {
    fn new(clock: &Clock, kind: Kind) -> Self {
        Self(Arc::new(Inner { number: clock.next_fd(), kind }))
    }

    /// A descriptor whose readiness is computed by `ready`: in each poll that looks at it, again
    /// after every event during that poll. `ready` is called with no lock held.
    pub fn derived(clock: &Clock, ready: impl Fn() -> Events + Send + Sync + 'static) -> Self {
        Self::new(clock, Kind::Derived(Box::new(ready)))
    }

    /// The number; later descriptors have higher ones, and none is reused.
    pub fn number(&self) -> u32 {
        self.0.number
    }

    /// What it is ready for.
    pub fn ready(&self) -> Events {
        match &self.0.kind {
            Kind::Counter(n) => {
                Events::OUT | if n.load(Relaxed) > 0 { Events::IN } else { Events::empty() }
            }
            Kind::ReadEnd(bytes) => {
                let mut events = Events::empty();
                events.set(Events::IN, bytes.n.load(Relaxed) > 0);
                events.set(Events::HUP, bytes.no_writer.load(Relaxed));
                events
            }
            Kind::WriteEnd(bytes) => {
                let mut events = Events::empty();
                let broken = bytes.no_reader.load(Relaxed);
                events.set(Events::OUT, broken || bytes.n.load(Relaxed) < bytes.capacity);
                events.set(Events::ERR, broken);
                events
            }
            Kind::Derived(ready) => ready(),
        }
    }

    /// What poll reports if it is asked for `events`.
    pub fn poll(&self, events: Events) -> Events {
        self.ready() & (events | Events::ALWAYS)
    }
}

impl fmt::Debug for Fd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fd({})", self.0.number)
    }
}

/// An eventfd: a counter, readable while it is not zero.
#[derive(Clone, Debug)]
pub struct EventFd {
    n: Arc<AtomicU64>,
    fd: Fd,
}

impl EventFd {
    /// With the counter at zero.
    pub fn new(clock: &Clock) -> Self {
        let n = Arc::new(AtomicU64::new(0));
        Self { fd: Fd::new(clock, Kind::Counter(n.clone())), n }
    }

    /// Its descriptor.
    pub fn fd(&self) -> &Fd {
        &self.fd
    }

    /// write(2): adds one.
    pub fn signal(&self) {
        self.n.fetch_add(1, Relaxed);
    }

    /// read(2): takes the whole counter.
    pub fn take(&self) -> u64 {
        self.n.swap(0, Relaxed)
    }
}

/// What reading from a [`Pipe`] gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// This many bytes, at least one.
    Bytes(u64),
    /// `EAGAIN`.
    Empty,
    /// All writers are gone.
    End,
}

/// A pipe of bytes without contents. Clones are the same pipe.
#[derive(Clone)]
pub struct Pipe {
    bytes: Arc<Bytes>,
    read: Fd,
    write: Fd,
}

impl Pipe {
    /// An empty pipe of Linux's usual size.
    pub fn new(clock: &Clock) -> Self {
        Self::with_capacity(clock, 65_536)
    }

    /// An empty pipe.
    pub fn with_capacity(clock: &Clock, capacity: u64) -> Self {
        let bytes = Arc::new(Bytes {
            n: AtomicU64::new(0),
            capacity,
            no_writer: AtomicBool::new(false),
            no_reader: AtomicBool::new(false),
        });
        let read = Fd::new(clock, Kind::ReadEnd(bytes.clone()));
        let write = Fd::new(clock, Kind::WriteEnd(bytes.clone()));
        Self { bytes, read, write }
    }

    /// The reading end.
    pub fn read_end(&self) -> &Fd {
        &self.read
    }

    /// The writing end.
    pub fn write_end(&self) -> &Fd {
        &self.write
    }

    /// Writes up to `n` bytes and returns how many were written.
    pub fn write(&self, n: u64) -> u64 {
        if self.bytes.no_reader.load(Relaxed) || self.bytes.no_writer.load(Relaxed) {
            return 0;
        }
        let n = n.min(self.bytes.capacity.saturating_sub(self.len()));
        self.bytes.n.fetch_add(n, Relaxed);
        n
    }

    /// Reads up to `max` bytes.
    pub fn read(&self, max: u64) -> Read {
        let n = self.len().min(max);
        if n > 0 {
            self.bytes.n.fetch_sub(n, Relaxed);
            Read::Bytes(n)
        } else if self.bytes.no_writer.load(Relaxed) {
            Read::End
        } else {
            Read::Empty
        }
    }

    /// How many bytes are in it.
    pub fn len(&self) -> u64 {
        self.bytes.n.load(Relaxed)
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Closes the writing end: the reading end hangs up, what is in the pipe stays readable.
    pub fn close_write(&self) {
        self.bytes.no_writer.store(true, Relaxed);
    }

    /// Closes the reading end: the writing end is in error.
    pub fn close_read(&self) {
        self.bytes.no_reader.store(true, Relaxed);
    }
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe").field("read", &self.read).field("len", &self.len()).finish()
    }
}
