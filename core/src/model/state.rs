//! The data of a modelled GMainContext: its sources in order, and what it polls. Everything here happens
//! with the context's lock held, as in the functions of gmain.c that are called with it. Lines are
//! those of GLib 2.74.6; where later versions differ, [`Rules`] says which one is modelled.
//!
//! Sources live in a slab, linked into one list: by priority, then by age, children right before
//! their parents (gmain.c:1208).
//! They are reference-counted as in GLib, but only the context counts: a user's handle keeps
//! nothing alive.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use slab::Slab;

use super::clock::{Rounding, Thread};
use super::counters::{Counters, Warning};
use super::fd::{EventFd, Events, Fd};
use super::rules::Rules;
use super::source::{Callbacks, FdTag};

/// No source.
pub(super) const NONE: u32 = u32::MAX;

/// Identifies a source for ever: a reused slot has another serial number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) slot: u32,
    pub(super) serial: u32,
}

/// A GSource.
pub(super) struct Slot {
    pub(super) serial: u32,
    pub(super) id: u32,
    pub(super) name: Cow<'static, str>,
    pub(super) funcs: Arc<dyn Callbacks>,
    /// Whether there is a `prepare` and a `check` to call.
    pub(super) asks: bool,
    /// Lower numbers go first.
    pub(super) priority: i32,
    pub(super) can_recurse: bool,
    pub(super) attached: bool,
    pub(super) ready: bool,
    pub(super) blocked: bool,
    pub(super) destroyed: bool,
    pub(super) ready_time: Option<u64>,
    /// The slot of the parent, or [`NONE`].
    pub(super) parent: u32,
    /// Their slots. The last one added is the first.
    pub(super) children: Vec<u32>,
    /// Those of `g_source_add_unix_fd`, as keys of [`State::poll_fds`].
    pub(super) unix_fds: Vec<u32>,
    /// Those of `g_source_add_poll`, likewise.
    pub(super) poll_fds: Vec<u32>,
    refs: u32,
    next: u32,
    prev: u32,
}

/// A GPollFD.
pub(super) struct PollFd {
    serial: u64,
    /// The source that it belongs to; `None` means the context.
    source: Option<Key>,
    pub(super) fd: Fd,
    pub(super) events: Events,
    pub(super) revents: Events,
}

/// A GPollRec: a descriptor to poll, for sources of a priority.
#[derive(Clone, Copy)]
pub(super) struct Record {
    pub(super) number: u32,
    pub(super) priority: i32,
    /// Which [`PollFd`]; [`NONE`] is the wakeup.
    pub(super) poll_fd: u32,
}

/// What must be dropped without the lock, because its drop may call us.
#[derive(Default)]
pub(super) struct Dead {
    funcs: Vec<Arc<dyn Callbacks>>,
    fds: Vec<Fd>,
}

impl Dead {
    pub(super) fn is_empty(&self) -> bool {
        self.funcs.is_empty() && self.fds.is_empty()
    }
}

/// A context behind its lock.
pub(super) struct State {
    pub(super) rules: Rules,
    pub(super) rounding: Rounding,
    pub(super) slots: Slab<Slot>,
    pub(super) poll_fds: Slab<PollFd>,
    pub(super) records: Vec<Record>,
    pub(super) poll_changed: bool,
    pub(super) pending: Vec<u32>,
    /// Of the current iteration; `None` means no limit.
    pub(super) timeout: Option<u64>,
    pub(super) time: u64,
    pub(super) time_is_fresh: bool,
    pub(super) in_check_or_prepare: u32,
    pub(super) owner: Option<Thread>,
    pub(super) owner_count: u32,
    pub(super) counters: Counters,
    pub(super) warnings: Vec<Warning>,
    pub(super) dead: Dead,
    pub(super) wakeup: EventFd,
    pub(super) next_id: u32,
    ids_wrapped: bool,
    next_serial: u32,
    head: u32,
    tail: u32,
}

impl State {
    pub(super) fn new(wakeup: EventFd, rounding: Rounding, rules: Rules) -> Self {
        let record = Record { number: wakeup.fd().number(), priority: 0, poll_fd: NONE };
        Self {
            rules,
            rounding,
            slots: Slab::new(),
            poll_fds: Slab::new(),
            // The wakeup is polled at default priority (gmain.c:772).
            records: vec![record],
            poll_changed: true,
            pending: Vec::new(),
            timeout: None,
            time: 0,
            time_is_fresh: false,
            in_check_or_prepare: 0,
            owner: None,
            owner_count: 0,
            counters: Counters::default(),
            warnings: Vec::new(),
            dead: Dead::default(),
            wakeup,
            next_id: 1,
            ids_wrapped: false,
            next_serial: 0,
            head: NONE,
            tail: NONE,
        }
    }

    pub(super) fn slot(&self, i: u32) -> &Slot {
        &self.slots[i as usize]
    }

    pub(super) fn slot_mut(&mut self, i: u32) -> &mut Slot {
        &mut self.slots[i as usize]
    }

    /// The slot of a source that is not finalised.
    pub(super) fn find(&self, key: Key) -> Option<u32> {
        let slot = self.slots.get(key.slot as usize)?;
        (slot.serial == key.serial).then_some(key.slot)
    }

    pub(super) fn key(&self, i: u32) -> Key {
        Key { slot: i, serial: self.slot(i).serial }
    }

    fn serial(&mut self) -> u32 {
        self.next_serial = self.next_serial.wrapping_add(1);
        self.next_serial
    }

    /// `g_source_new`.
    pub(super) fn new_source(
        &mut self,
        name: Cow<'static, str>,
        funcs: Arc<dyn Callbacks>,
        asks: bool,
    ) -> Key {
        let serial = self.serial();
        let slot = self.slots.insert(Slot {
            serial,
            id: 0,
            name,
            funcs,
            asks,
            priority: 0,
            can_recurse: false,
            attached: false,
            ready: false,
            blocked: false,
            destroyed: false,
            ready_time: None,
            parent: NONE,
            children: Vec::new(),
            unix_fds: Vec::new(),
            poll_fds: Vec::new(),
            refs: 0,
            next: NONE,
            prev: NONE,
        });
        Key { slot: slot as u32, serial }
    }

    /// `g_wakeup_signal`.
    pub(super) fn wake(&mut self) {
        self.counters.wakeups += 1;
        self.wakeup.signal();
    }

    /// `g_source_get_time` (gmain.c:4783).
    pub(super) fn time(&mut self, now: u64) -> u64 {
        if !self.time_is_fresh {
            self.time = now;
            self.time_is_fresh = true;
        }
        self.time
    }

    // ===== the list =====

    pub(super) fn first(&mut self) -> u32 {
        self.hold(self.head);
        self.head
    }

    /// The next source of a walk, which holds a reference to the current source (gmain.c:1097): its
    /// own callback may destroy that source, which must then still have its neighbour.
    pub(super) fn step(&mut self, i: u32) -> u32 {
        let next = self.slot(i).next;
        self.hold(next);
        self.release(i);
        next
    }

    /// `source_add_to_context` (gmain.c:1208).
    fn link(&mut self, i: u32) {
        let Slot { priority, parent, .. } = *self.slot(i);
        let next = if parent != NONE && self.rules.child_before_parent() {
            parent
        } else {
            let mut last = self.tail;
            while last != NONE && self.slot(last).priority > priority {
                last = self.slot(last).prev;
            }
            if last == NONE { self.head } else { self.slot(last).next }
        };
        let prev = if next == NONE { self.tail } else { self.slot(next).prev };
        let slot = self.slot_mut(i);
        (slot.prev, slot.next) = (prev, next);
        *if prev == NONE { &mut self.head } else { &mut self.slot_mut(prev).next } = i;
        *if next == NONE { &mut self.tail } else { &mut self.slot_mut(next).prev } = i;
    }

    fn unlink(&mut self, i: u32) {
        let Slot { prev, next, .. } = *self.slot(i);
        *if prev == NONE { &mut self.head } else { &mut self.slot_mut(prev).next } = next;
        *if next == NONE { &mut self.tail } else { &mut self.slot_mut(next).prev } = prev;
    }

    // ===== references =====

    pub(super) fn hold(&mut self, i: u32) {
        if i != NONE {
            self.slot_mut(i).refs += 1;
        }
    }

    /// `g_source_unref_internal` (gmain.c:2308): dropping the last reference finalises. A source that
    /// was not destroyed may still be attached by its user, whose handle is not counted, and stays.
    pub(super) fn release(&mut self, i: u32) {
        let slot = self.slot_mut(i);
        slot.refs -= 1;
        if slot.refs == 0 && slot.destroyed {
            self.finalise(i);
        }
    }

    fn finalise(&mut self, i: u32) {
        if self.slot(i).attached {
            self.unlink(i);
        }
        let slot = self.slots.remove(i as usize);
        for poll_fd in slot.unix_fds.into_iter().chain(slot.poll_fds) {
            self.remove_poll_fd(poll_fd);
        }
        for child in slot.children {
            self.slot_mut(child).parent = NONE;
            self.release(child);
        }
        self.dead.funcs.push(slot.funcs);
    }

    /// The references to a source: one while it is attached, one for each entry in a pending list,
    /// and those of its parent and of a walk through the list.
    pub(super) fn n_refs(&self, i: u32) -> u32 {
        self.slot(i).refs
    }

    // ===== life =====

    /// `g_source_attach_unlocked` (gmain.c:1275).
    pub(super) fn attach(&mut self, i: u32, wake: bool, thread: Thread) -> u32 {
        let id = self.new_id();
        let slot = self.slot_mut(i);
        slot.attached = true;
        slot.id = id;
        self.hold(i);
        self.link(i);
        if !self.slot(i).blocked {
            self.poll_all(i);
        }
        for child in 0..self.slot(i).children.len() {
            let child = self.slot(i).children[child];
            self.attach(child, false, thread);
        }
        // Only another thread can be asleep in poll now (gmain.c:1320).
        if wake && self.owner.is_some_and(|owner| owner != thread) {
            self.wake();
        }
        id
    }

    /// Ids skip 0 and, once the counter has wrapped, all that are in use (gmain.c:1282).
    fn new_id(&mut self) -> u32 {
        loop {
            let id = self.next_id;
            self.next_id = id.wrapping_add(1);
            self.ids_wrapped |= id == u32::MAX;
            let taken = || self.slots.iter().any(|(_, slot)| slot.attached && slot.id == id);
            if id != 0 && !(self.ids_wrapped && taken()) {
                return id;
            }
        }
    }

    /// `g_source_destroy_internal` (gmain.c:1377).
    pub(super) fn destroy(&mut self, i: u32) {
        let slot = self.slot_mut(i);
        if slot.destroyed {
            return;
        }
        slot.destroyed = true;
        if !slot.attached {
            if slot.refs == 0 {
                self.finalise(i);
            }
            return;
        }
        if !slot.blocked {
            self.unpoll_all(i);
        }
        while let Some(&child) = self.slot(i).children.first() {
            self.remove_child(child);
        }
        if self.slot(i).parent != NONE {
            self.remove_child(i);
        }
        self.release(i);
    }

    /// `g_source_add_child_source` (gmain.c:1636).
    pub(super) fn add_child(&mut self, parent: u32, child: u32, thread: Thread) {
        self.slot_mut(parent).children.insert(0, child);
        self.slot_mut(child).parent = parent;
        self.hold(child);
        let Slot { priority, blocked, attached, .. } = *self.slot(parent);
        self.set_priority(child, priority);
        if blocked && self.rules.blocking_children() {
            self.block(child);
        }
        if attached {
            self.attach(child, true, thread);
        }
    }

    /// Whether source `i` is `from` or a descendant of it.
    pub(super) fn descends(&self, mut i: u32, from: u32) -> bool {
        while i != NONE && i != from {
            i = self.slot(i).parent;
        }
        i == from
    }

    /// `g_child_source_remove_internal` (gmain.c:1672).
    pub(super) fn remove_child(&mut self, child: u32) {
        let parent = self.slot(child).parent;
        self.slot_mut(parent).children.retain(|&other| other != child);
        self.slot_mut(child).parent = NONE;
        self.destroy(child);
        self.release(child);
    }

    /// `g_source_set_priority_unlocked` (gmain.c:1894).
    pub(super) fn set_priority(&mut self, i: u32, priority: i32) {
        let linked = self.slot(i).attached;
        if linked {
            self.unlink(i);
        }
        self.slot_mut(i).priority = priority;
        if linked {
            self.link(i);
            if !self.slot(i).blocked && !self.slot(i).destroyed {
                self.unpoll_all(i);
                self.poll_all(i);
            }
        }
        for child in 0..self.slot(i).children.len() {
            let child = self.slot(i).children[child];
            self.set_priority(child, priority);
        }
    }

    /// Marks it and all its ancestors READY (gmain.c:3823).
    pub(super) fn mark_ready(&mut self, mut i: u32) {
        while i != NONE {
            self.slot_mut(i).ready = true;
            i = if self.rules.child_triggers_parent() { self.slot(i).parent } else { NONE };
        }
    }

    /// Forgets all sources and descriptors.
    pub(super) fn clear_list(&mut self) {
        (self.head, self.tail) = (NONE, NONE);
        self.dead.funcs.extend(self.slots.drain().map(|slot| slot.funcs));
        self.dead.fds.extend(self.poll_fds.drain().map(|poll_fd| poll_fd.fd));
    }

    // ===== blocking =====

    /// `block_source` (gmain.c:3330): takes it and its children out of the poll set.
    pub(super) fn block(&mut self, i: u32) {
        if self.slot(i).blocked {
            self.warnings.push(Warning::BlockedTwice);
            return;
        }
        self.slot_mut(i).blocked = true;
        if self.slot(i).attached {
            self.unpoll_all(i);
        }
        if self.rules.blocking_children() {
            for child in 0..self.slot(i).children.len() {
                let child = self.slot(i).children[child];
                self.block(child);
            }
        }
    }

    /// `unblock_source` (gmain.c:3364).
    pub(super) fn unblock(&mut self, i: u32) {
        let slot = self.slot_mut(i);
        if !slot.blocked || slot.destroyed {
            self.warnings.push(Warning::UnblockedTwice);
            return;
        }
        slot.blocked = false;
        self.poll_all(i);
        if self.rules.blocking_children() {
            for child in 0..self.slot(i).children.len() {
                let child = self.slot(i).children[child];
                self.unblock(child);
            }
        }
    }

    // ===== what is polled =====

    pub(super) fn new_poll_fd(&mut self, fd: Fd, events: Events, source: Option<Key>) -> FdTag {
        // One counter for all contexts, so that a tag of one is invalid in another.
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let serial = SERIAL.fetch_add(1, Relaxed);
        let poll_fd = PollFd { serial, source, fd, events, revents: Events::empty() };
        FdTag { index: self.poll_fds.insert(poll_fd) as u32, serial }
    }

    /// The descriptor with a tag, if it is this source's, or the context's own.
    pub(super) fn find_fd(&self, tag: FdTag, source: Option<Key>) -> Option<&PollFd> {
        let poll_fd = self.poll_fds.get(tag.index as usize)?;
        (poll_fd.serial == tag.serial && poll_fd.source == source).then_some(poll_fd)
    }

    pub(super) fn remove_poll_fd(&mut self, index: u32) {
        let poll_fd = self.poll_fds.remove(index as usize);
        self.dead.fds.push(poll_fd.fd);
    }

    /// `g_main_context_add_poll_unlocked` (gmain.c:4644): sorted by descriptor.
    pub(super) fn poll(&mut self, poll_fd: u32, priority: i32) {
        let entry = &mut self.poll_fds[poll_fd as usize];
        entry.revents = Events::empty();
        let number = entry.fd.number();
        let at = self.records.partition_point(|record| record.number <= number);
        self.records.insert(at, Record { number, priority, poll_fd });
        self.poll_changed = true;
        self.wake();
    }

    /// `g_main_context_remove_poll_unlocked` (gmain.c:4711): wakes even the calling thread.
    pub(super) fn unpoll(&mut self, poll_fd: u32) {
        if let Some(at) = self.records.iter().position(|record| record.poll_fd == poll_fd) {
            self.records.remove(at);
        }
        self.poll_changed = true;
        self.wake();
    }

    fn poll_all(&mut self, i: u32) {
        let priority = self.slot(i).priority;
        for n in 0..self.slot(i).poll_fds.len() {
            self.poll(self.slot(i).poll_fds[n], priority);
        }
        for n in 0..self.slot(i).unix_fds.len() {
            self.poll(self.slot(i).unix_fds[n], priority);
        }
    }

    fn unpoll_all(&mut self, i: u32) {
        for n in 0..self.slot(i).poll_fds.len() {
            self.unpoll(self.slot(i).poll_fds[n]);
        }
        for n in 0..self.slot(i).unix_fds.len() {
            self.unpoll(self.slot(i).unix_fds[n]);
        }
    }
}
