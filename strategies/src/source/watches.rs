//! What GLib watches for a source: descriptors and a ready time.
//!
//! They count only in a loop of the source's own thread. In another thread's loop no callback runs
//! that could read a descriptor or move a ready time, so that loop would spin for as long as the
//! source is ready. There the source goes *away* at the first `prepare`: GLib watches nothing for
//! it, until its own thread prepares it again.
//!
//! # Threads
//!
//! GLib adds and removes under its context's lock, but changes the conditions of a descriptor
//! (`g_source_modify_unix_fd`) and reads what was ready (`g_source_query_unix_fd`) without one
//! (gmain.c 2.74.6, lines 2802 and 2888). The caller must keep the loop from running meanwhile, by
//! owning the context.

#![expect(unsafe_code, reason = "GLib's sources are C")]

use std::sync::{Mutex, MutexGuard, PoisonError};

#[cfg(unix)]
use glib::ffi::gpointer;
use glib::ffi::{self, GSource};

/// What a source wants to be watched, and whether it is.
#[derive(Debug)]
pub(super) struct Watches(Mutex<Wanted>);

#[derive(Debug)]
struct Wanted {
    away: bool,
    ready_time: i64,
    #[cfg(unix)]
    fds: Vec<Fd>,
}

#[cfg(unix)]
#[derive(Debug)]
struct Fd {
    number: i32,
    condition: u32,
    /// GLib's tag; null while GLib does not watch it.
    tag: gpointer,
    removed: bool,
}

impl Default for Watches {
    fn default() -> Self {
        let wanted = Wanted {
            away: false,
            ready_time: -1,
            #[cfg(unix)]
            fds: Vec::new(),
        };
        Self(Mutex::new(wanted))
    }
}

impl Watches {
    fn lock(&self) -> MutexGuard<'_, Wanted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes GLib watch nothing for the source. Says whether it watched before.
    ///
    /// # Safety
    /// `source` is alive, and these are its watches.
    pub(super) unsafe fn leave(&self, source: *mut GSource) -> bool {
        let mut wanted = self.lock();
        if wanted.away {
            return false;
        }
        wanted.away = true;
        // SAFETY: alive by the contract; each tag is GLib's, and is forgotten here.
        unsafe {
            #[cfg(unix)]
            for fd in &mut wanted.fds {
                fd.unwatch(source);
            }
            if wanted.ready_time != -1 {
                ffi::g_source_set_ready_time(source, -1);
            }
        }
        true
    }

    /// Makes GLib watch again what it watched before [`leave`](Self::leave).
    ///
    /// # Safety
    /// As for `leave`.
    pub(super) unsafe fn come_back(&self, source: *mut GSource) {
        let mut wanted = self.lock();
        if !wanted.away {
            return;
        }
        wanted.away = false;
        // SAFETY: alive by the contract.
        unsafe {
            #[cfg(unix)]
            for fd in &mut wanted.fds {
                fd.watch(source);
            }
            if wanted.ready_time != -1 {
                ffi::g_source_set_ready_time(source, wanted.ready_time);
            }
        }
    }

    /// Sets the ready time in microseconds; -1 means never.
    ///
    /// # Safety
    /// As for `leave`.
    pub(super) unsafe fn set_ready_time(&self, source: *mut GSource, at: i64) {
        let mut wanted = self.lock();
        wanted.ready_time = at;
        if !wanted.away {
            // SAFETY: alive by the contract.
            unsafe { ffi::g_source_set_ready_time(source, at) };
        }
    }
}

#[cfg(unix)]
impl Watches {
    /// Watches a descriptor; gives its index.
    ///
    /// # Safety
    /// As for `leave`. The descriptor stays open until the source is finalised.
    pub(super) unsafe fn add(&self, source: *mut GSource, number: i32, condition: u32) -> usize {
        let mut wanted = self.lock();
        let mut fd = Fd { number, condition, tag: std::ptr::null_mut(), removed: false };
        if !wanted.away {
            // SAFETY: by the contract.
            unsafe { fd.watch(source) };
        }
        wanted.fds.push(fd);
        wanted.fds.len() - 1
    }

    /// Changes a condition. Unless this thread is `alone` with the context, GLib removes the
    /// descriptor and adds it again, which it does under its lock.
    ///
    /// # Safety
    /// As for `leave`. If `alone`, no other thread iterates the source's context meanwhile.
    pub(super) unsafe fn modify(
        &self,
        source: *mut GSource,
        index: usize,
        condition: u32,
        alone: bool,
    ) {
        let mut wanted = self.lock();
        let Some(fd) = wanted.fds.get_mut(index) else { return };
        fd.condition = condition;
        if fd.tag.is_null() {
            return;
        }
        // SAFETY: by the contract; the tag is one of the source's, because it is not null.
        unsafe {
            if alone {
                ffi::g_source_modify_unix_fd(source, fd.tag, condition);
            } else {
                fd.unwatch(source);
                fd.watch(source);
            }
        }
    }

    /// What was ready; nothing while GLib does not watch it.
    ///
    /// # Safety
    /// As for `leave`, and no other thread iterates the source's context meanwhile.
    pub(super) unsafe fn query(&self, source: *mut GSource, index: usize) -> u32 {
        let wanted = self.lock();
        match wanted.fds.get(index) {
            // SAFETY: by the contract; the tag is one of the source's, because it is not null.
            Some(fd) if !fd.tag.is_null() => unsafe { ffi::g_source_query_unix_fd(source, fd.tag) },
            _ => 0,
        }
    }

    /// Stops watching a descriptor for good.
    ///
    /// # Safety
    /// As for `leave`.
    pub(super) unsafe fn remove(&self, source: *mut GSource, index: usize) {
        let mut wanted = self.lock();
        let Some(fd) = wanted.fds.get_mut(index) else { return };
        fd.removed = true;
        // SAFETY: by the contract.
        unsafe { fd.unwatch(source) };
    }
}

#[cfg(unix)]
impl Fd {
    /// # Safety
    /// `source` is alive, and this is one of its descriptors.
    unsafe fn watch(&mut self, source: *mut GSource) {
        // SAFETY: alive by the contract. A destroyed source takes no descriptor.
        unsafe {
            if !self.removed && self.tag.is_null() && ffi::g_source_is_destroyed(source) == 0 {
                self.tag = ffi::g_source_add_unix_fd(source, self.number, self.condition);
            }
        }
    }

    /// # Safety
    /// As for `watch`.
    unsafe fn unwatch(&mut self, source: *mut GSource) {
        let tag = std::mem::replace(&mut self.tag, std::ptr::null_mut());
        // SAFETY: alive by the contract. A destroyed source watches nothing and frees its tags.
        unsafe {
            if !tag.is_null() && ffi::g_source_is_destroyed(source) == 0 {
                ffi::g_source_remove_unix_fd(source, tag);
            }
        }
    }
}
