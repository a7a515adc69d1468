//! Descriptors that a source watches. GLib has them on Unix only; the rest of a source works
//! everywhere.

#![expect(unsafe_code, reason = "GLib's sources are C")]

use std::os::fd::{AsFd, AsRawFd};

use glib::MainContext;

use super::callbacks::{Callbacks, SourceRef};
use super::handle::Source;
use super::vtable;

/// Identifies a descriptor of one source; other sources ignore it.
#[derive(Debug, PartialEq, Eq)]
pub struct FdTag {
    source: usize,
    index: usize,
}

impl<C: Callbacks> Source<C> {
    /// Watches a descriptor, and keeps it open for as long as the source lives. While it is ready,
    /// so is the source.
    ///
    /// ```
    /// # use loopnest_strategies::glib::{IOCondition, MainContext};
    /// # use loopnest_strategies::source::{Source, SourceRef};
    /// # use std::ops::ControlFlow;
    /// # let source = Source::new("quiet", |_: SourceRef<'_>| ControlFlow::Continue(()));
    /// let (reader, _writer) = std::io::pipe()?;
    /// let tag = source.add_fd(reader, IOCondition::IN | IOCondition::HUP);
    /// assert!(source.as_ref().query_fd(&tag).is_empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn add_fd(&self, fd: impl AsFd + 'static, condition: glib::IOCondition) -> FdTag {
        let raw_fd = fd.as_fd().as_raw_fd();
        // SAFETY: as in `callbacks`. The descriptor stays open until the source is finalised.
        unsafe { (*self.callbacks).kept.borrow_mut().push(Box::new(fd)) };
        let this = self.as_ref();
        // SAFETY: the source is alive, these are its watches, and the descriptor stays open.
        let index = unsafe { this.watches.add(this.raw, raw_fd, condition.bits()) };
        FdTag { source: this.number(), index }
    }
}

impl SourceRef<'_> {
    /// Changes which conditions are watched; costs a write to the context's eventfd.
    ///
    /// ```
    /// # use loopnest_strategies::glib::{IOCondition, MainContext};
    /// # use loopnest_strategies::source::{Source, SourceRef};
    /// # use std::ops::ControlFlow;
    /// # let source = Source::new("quiet", |_: SourceRef<'_>| ControlFlow::Continue(()));
    /// # let (reader, _writer) = std::io::pipe()?;
    /// let tag = source.add_fd(reader, IOCondition::IN);
    /// // Stop watching for now.
    /// source.as_ref().modify_fd(&tag, IOCondition::empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn modify_fd(&self, tag: &FdTag, condition: glib::IOCondition) {
        if tag.source == self.number() {
            let owned = self.context.map(MainContext::acquire);
            let alone = !matches!(owned, Some(Err(_)));
            // SAFETY: the source is alive, these are its watches, and no other thread iterates the
            // context while this one owns it.
            unsafe { self.watches.modify(self.raw, tag.index, condition.bits(), alone) };
        }
    }

    /// Stops watching it. The descriptor still stays open until the source is gone.
    ///
    /// ```
    /// # use loopnest_strategies::glib::{IOCondition, MainContext};
    /// # use loopnest_strategies::source::{Source, SourceRef};
    /// # use std::ops::ControlFlow;
    /// # let source = Source::new("quiet", |_: SourceRef<'_>| ControlFlow::Continue(()));
    /// # let (reader, _writer) = std::io::pipe()?;
    /// let tag = source.add_fd(reader, IOCondition::IN);
    /// source.as_ref().remove_fd(tag);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn remove_fd(&self, tag: FdTag) {
        if tag.source == self.number() {
            // SAFETY: the source is alive, and these are its watches.
            unsafe { self.watches.remove(self.raw, tag.index) };
        }
    }

    /// What was ready when the loop last polled; nothing while another thread runs the loop.
    ///
    /// ```
    /// # use loopnest_strategies::glib::{IOCondition, MainContext};
    /// # use loopnest_strategies::source::{Source, SourceRef};
    /// # use std::ops::ControlFlow;
    /// # let source = Source::new("quiet", |_: SourceRef<'_>| ControlFlow::Continue(()));
    /// # let (reader, _writer) = std::io::pipe()?;
    /// let tag = source.add_fd(reader, IOCondition::IN);
    /// assert_eq!(source.as_ref().query_fd(&tag), IOCondition::empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn query_fd(&self, tag: &FdTag) -> glib::IOCondition {
        let owned = self.context.map(MainContext::acquire);
        if tag.source != self.number() || matches!(owned, Some(Err(_))) {
            return glib::IOCondition::empty();
        }
        // SAFETY: the source is alive, these are its watches, and no other thread iterates the
        // context while this one owns it.
        let bits = unsafe { self.watches.query(self.raw, tag.index) };
        glib::IOCondition::from_bits_truncate(bits)
    }

    fn number(&self) -> usize {
        // SAFETY: every `SourceRef` is a source made by `vtable::make`, and this one is alive.
        unsafe { vtable::number(self.raw) }
    }
}
