//! Descriptors that a source watches. GLib has them on Unix only; the rest of a source works
//! everywhere.

#![expect(unsafe_code, reason = "GLib's sources are C")]

use std::os::fd::{AsFd, AsRawFd};

use glib::ffi::{self, gpointer};

use super::callbacks::{Callbacks, SourceRef};
use super::handle::Source;
use super::vtable;

/// Identifies a descriptor of one source; other sources ignore it.
#[derive(Debug, PartialEq, Eq)]
pub struct FdTag {
    source: usize,
    tag: gpointer,
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
        // SAFETY: the source is alive, and GLib only polls the number.
        let tag = unsafe { ffi::g_source_add_unix_fd(self.raw(), raw_fd, condition.bits()) };
        FdTag { source: self.as_ref().number(), tag }
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
            // SAFETY: the tag belongs to this source, which is alive.
            unsafe { ffi::g_source_modify_unix_fd(self.raw, tag.tag, condition.bits()) };
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
            // SAFETY: the source is alive, and GLib looks the tag up among its own before it
            // dereferences it.
            unsafe { ffi::g_source_remove_unix_fd(self.raw, tag.tag) };
        }
    }

    /// What was ready when the loop last polled.
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
        if tag.source != self.number() {
            return glib::IOCondition::empty();
        }
        // SAFETY: the tag belongs to this source, which is alive.
        let bits = unsafe { ffi::g_source_query_unix_fd(self.raw, tag.tag) };
        glib::IOCondition::from_bits_truncate(bits)
    }

    fn number(&self) -> usize {
        // SAFETY: every `SourceRef` is a source made by `vtable::make`, and this one is alive.
        unsafe { vtable::number(self.raw) }
    }
}
