//! Lets GTK draw a frame that a busy loop would keep from it.
//!
//! GTK draws in a source of priority 120, and a frame clock has one while a frame is due. Where a
//! source of default priority is always ready, GLib dispatches only that one (gmain.c 2.74.6, line
//! 4142). So the clock's source is raised above it, for this one frame: the next has a new source.
//! The frame is GTK's own in every other way. Emitting the clock's signals instead would draw as
//! well, but outside of any frame, which newer GTK warns of.
#![expect(unsafe_code, reason = "glib-rs finds no source by its user data, and sets no priority")]

use gtk4::gdk::FrameClock;
use gtk4::glib::translate::{IntoGlib, ToGlibPtr, from_glib_none};
use gtk4::glib::{MainContext, Priority, Source, ffi, prelude::*};

/// Raises the sources of this clock; `false` if no frame is due.
pub fn raise(clock: &FrameClock) -> bool {
    let mut found: Vec<Source> = Vec::new();
    // GLib finds the one of the highest priority, so each that was found is put behind the others.
    while let Some(source) = first(clock).filter(|source| !found.contains(source)) {
        set_priority(&source, Priority::from(i32::MAX));
        found.push(source);
    }
    found.iter().for_each(|source| set_priority(source, Priority::HIGH));
    !found.is_empty()
}

/// A source of the default context with the clock as its user data: GDK gives it to the timeouts
/// that flush its events and that paint (gdkframeclockidle.c 4.8.3, line 306).
fn first(clock: &FrameClock) -> Option<Source> {
    let context = MainContext::default();
    // SAFETY: both are borrowed for the call. The clock is only compared, and what comes back is
    // borrowed from the context, which this thread owns, and gets a reference of its own.
    unsafe {
        let source = ffi::g_main_context_find_source_by_user_data(
            context.to_glib_none().0,
            clock.as_ptr().cast(),
        );
        (!source.is_null()).then(|| from_glib_none(source))
    }
}

fn set_priority(source: &Source, priority: Priority) {
    let source: *mut ffi::GSource = source.to_glib_none().0;
    // SAFETY: the source is borrowed for the call, which may be made of an attached one.
    unsafe { ffi::g_source_set_priority(source, priority.into_glib()) }
}
