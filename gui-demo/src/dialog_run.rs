//! Shows a modal window and waits for its answer, like the `gtk_dialog_run()` that GTK 4 has
//! dropped.
//!
//! [`dialog_run`] shows a window and runs a *nested* main loop until the window is answered. The
//! rest of the program keeps running meanwhile, inside the call. GTK advises against this (*Stop
//! using blocking dialog functions* in its migration guide); if a callback for the answer will do,
//! use one. This file is for programs where it will not: a port of GTK 3 code, or an `ask()` that
//! has to return a value to a caller that has no other way to wait.
//!
//! It depends only on gtk4, and you may copy it as it is.
//!
//! ```no_run
//! use gtk4::prelude::*;
//! use gui_demo::dialog_run::{Outcome, dialog_run};
//!
//! fn ask(parent: &gtk4::Window) -> bool {
//!     let yes = gtk4::Button::with_mnemonic("_Delete");
//!     let dialog = gtk4::Window::builder().title("Sure?").transient_for(parent).child(&yes).build();
//!     let outcome = dialog_run(&dialog, |answer| {
//!         yes.connect_clicked(move |_| answer.give(true));
//!     });
//!     matches!(outcome, Outcome::Response(true))
//! }
//! ```
//!
//! # What is promised
//!
//! - The call returns, whatever happens to the window: answered, closed with Escape or by the
//!   window manager, hidden, destroyed, or its parent destroyed.
//! - Calls return in order. A nested loop returns only after all loops inside it. So an answer to
//!   an outer dialog ends the inner ones first, with [`Outcome::Aborted`], and a dialog that would
//!   open while they unwind is aborted at once instead.
//! - An ended dialog leaves the screen at once, even if its call has to wait for a foreign nested
//!   loop on top of it (GTK's print operation, a library's).
//! - Nothing is left behind: no window on the screen, no loop, no signal handler, no grab. GTK
//!   drops its reference to the window; a handler of yours that holds the window keeps the object
//!   alive.
//! - [`abort_for_good`] ends every open dialog, and any opened later. Call it before
//!   `application.quit()`, which ends no nested loop and would wait for the user.
//!
//! # Who may call it
//!
//! - A GTK or GLib callback (a click, a timeout, an idle source): yes. A timer that opens a dialog
//!   does not fire again until the dialog is closed, since GLib blocks the source that it
//!   dispatches (gmain.c 2.74.6, line 3432).
//! - A future of glib's own executor (`glib::spawn_future_local`): **no**. As soon as another such
//!   future wakes, the process aborts (gtk-rs-core#739, gtk4-rs#2185). Open the dialog from an idle
//!   callback, or use an executor that allows re-entry.
//! - A drawing function or a tick callback: **no**. The frame clock of that window stops until the
//!   dialog is closed (gdkframeclockidle.c 4.8.3, line 322).
//! - Code that holds a `RefCell` borrow: **no**. Another callback will try to borrow, panic, and
//!   take the process down.
//!
//! # What modal does not mean
//!
//! A modal window grabs the user's input and does no more. Timers, D-Bus calls, actions, assistive
//! technology and async tasks still reach the parent and may open a second dialog, which nests in
//! the first.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::{Rc, Weak};

use gtk4::glib::{MainLoop, Propagation, SignalHandlerId};
use gtk4::prelude::*;
use gtk4::{Shortcut, ShortcutController, ShortcutScope, gdk};

/// How a dialog ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome<R> {
    /// The dialog got this answer.
    Response(R),
    /// The user closed the window: Escape, its close button, the window manager.
    Closed,
    /// The program removed the window: it was hidden or destroyed, or its parent is gone.
    Destroyed,
    /// An outer dialog was answered, or the program is ending all dialogs. Do not ask again.
    Aborted,
}

impl<R> Outcome<R> {
    /// The answer, if there is one.
    pub fn response(self) -> Option<R> {
        match self {
            Self::Response(response) => Some(response),
            Self::Closed | Self::Destroyed | Self::Aborted => None,
        }
    }
}

/// Gives the answer to one dialog. Cheap to clone: make one for each button.
pub struct Answer<R> {
    frame: Weak<Frame>,
    response: Rc<RefCell<Option<R>>>,
}

impl<R> Answer<R> {
    /// Ends the dialog with `response` and hides its window. The first answer counts; an answer to
    /// a dialog that has ended does nothing.
    pub fn give(&self, response: R) {
        if let Some(frame) = self.frame.upgrade()
            && frame.is_open()
        {
            self.response.replace(Some(response));
            frame.end(Ending::Response);
        }
    }
}

impl<R> Clone for Answer<R> {
    fn clone(&self) -> Self {
        Self { frame: self.frame.clone(), response: self.response.clone() }
    }
}

impl<R> fmt::Debug for Answer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = self.frame.upgrade().is_some_and(|frame| frame.is_open());
        f.debug_struct("Answer").field("is_open", &open).finish()
    }
}

/// Shows `window` as a modal dialog and waits in a nested main loop until it has ended.
///
/// `wire` is called before the window is shown, with the [`Answer`] that ends the dialog; connect
/// it to buttons there. Any handler may keep the dialog open by stopping its close-request, the
/// handler of the window's class included, but not one that is connected with `after` once `wire`
/// has returned. The parent is the window that `window` is transient for when `wire` returns.
/// The window is destroyed when this returns, so it can be used only once. A window that has been
/// destroyed, or whose parent has, is not shown, and the outcome is [`Outcome::Destroyed`].
///
/// See [the module](self) for who may call it.
pub fn dialog_run<R: 'static>(
    window: &impl IsA<gtk4::Window>,
    wire: impl FnOnce(Answer<R>),
) -> Outcome<R> {
    let window = window.upcast_ref::<gtk4::Window>();
    let main_loop = MainLoop::new(None, false);
    let frame = Rc::new(Frame { window: window.clone(), main_loop, ending: Cell::new(None) });
    let response = Rc::new(RefCell::new(None));
    {
        let _on_stack = OnStack::push(&frame);
        let mut wiring = Wiring::new(window);
        wire(Answer { frame: Rc::downgrade(&frame), response: response.clone() });
        wiring.listen(&frame);
        // A destroyed window would reappear, and nothing could remove it: GTK destroys only once.
        if !is_alive(window) || window.transient_for().is_some_and(|parent| !is_alive(&parent)) {
            frame.end(Ending::Destroyed);
        }
        // A quit before the run has no effect (gmain.c 2.74.6, line 4446), so a dialog that has
        // been answered by now is not run at all.
        if frame.is_open() {
            window.present();
        }
        if frame.is_open() {
            frame.main_loop.run();
        }
    }
    match frame.ending.get() {
        Some(Ending::Response) => {
            let response = response.borrow_mut().take();
            response.map_or(Outcome::Aborted, Outcome::Response)
        }
        Some(Ending::Closed) => Outcome::Closed,
        Some(Ending::Destroyed) => Outcome::Destroyed,
        Some(Ending::Aborted) | None => Outcome::Aborted,
    }
}

/// Ends all dialogs with [`Outcome::Aborted`]. Each call to [`dialog_run`] returns when control
/// gets back to it, the innermost first. After the last has returned, dialogs can open as before.
pub fn abort_all() {
    let outermost = STACK.with_borrow(|stack| stack.iter().find(|f| f.is_open()).cloned());
    if let Some(frame) = outermost {
        frame.end(Ending::Aborted);
    }
}

/// Like [`abort_all`], and no dialog opens on this thread any more: a caller that reacts with an
/// error message, or asks again, gets [`Outcome::Aborted`] at once.
pub fn abort_for_good() {
    IS_OVER.set(true);
    abort_all();
}

/// Whether the window has not been destroyed.
fn is_alive(window: &gtk4::Window) -> bool {
    gtk4::Window::toplevels().iter::<gtk4::Widget>().flatten().any(|toplevel| toplevel == *window)
}

/// How many calls to [`dialog_run`] are waiting on this thread.
pub fn depth() -> usize {
    STACK.with_borrow(Vec::len)
}

/// One call to [`dialog_run`].
struct Frame {
    window: gtk4::Window,
    main_loop: MainLoop,
    /// Set once.
    ending: Cell<Option<Ending>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Response,
    Closed,
    Destroyed,
    Aborted,
}

thread_local! {
    /// The dialogs that calls are waiting for, outermost first.
    static STACK: RefCell<Vec<Rc<Frame>>> = const { RefCell::new(Vec::new()) };
    /// Set by [`abort_for_good`].
    static IS_OVER: Cell<bool> = const { Cell::new(false) };
}

impl Frame {
    fn is_open(&self) -> bool {
        self.ending.get().is_none()
    }

    /// Ends this dialog, and first all dialogs on top of it: its loop cannot return before theirs.
    fn end(self: &Rc<Self>, ending: Ending) {
        if !self.is_open() {
            return;
        }
        let mut frames: Vec<Rc<Self>> = STACK.with_borrow(|stack| {
            let above = stack.iter().rev().take_while(|frame| !Rc::ptr_eq(frame, self));
            above.filter(|frame| frame.is_open()).cloned().collect()
        });
        frames.iter().for_each(|frame| frame.ending.set(Some(Ending::Aborted)));
        self.ending.set(Some(ending));
        frames.push(self.clone());
        // Only now that all endings are set: a handler on these windows may call anything here.
        frames.iter().for_each(|frame| frame.leave());
    }

    /// Makes the loop return. It may have to wait for a foreign loop on top of it, and the user
    /// must not be left with a window that does not respond.
    fn leave(&self) {
        // If the loop is not running, the call will return by itself, and may be showing the window
        // just now.
        if self.main_loop.is_running() {
            self.main_loop.quit();
            self.window.set_visible(false);
        }
    }
}

/// Keeps a frame on the stack until this is dropped, also by a panic.
struct OnStack(Rc<Frame>);

impl OnStack {
    fn push(frame: &Rc<Frame>) -> Self {
        STACK.with_borrow_mut(|stack| {
            // A dialog that has been answered waits for the loops above it to return. A new one
            // would make it wait for the user again.
            if IS_OVER.get() || stack.iter().any(|below| !below.is_open()) {
                frame.ending.set(Some(Ending::Aborted));
            }
            stack.push(frame.clone());
        });
        Self(frame.clone())
    }
}

impl Drop for OnStack {
    fn drop(&mut self) {
        STACK.with_borrow_mut(|stack| stack.retain(|frame| !Rc::ptr_eq(frame, &self.0)));
    }
}

/// The handlers on the window and its parent. Dropping this, also by a panic, disconnects them and
/// destroys the window.
struct Wiring {
    handlers: Vec<(gtk4::Window, SignalHandlerId)>,
    window: gtk4::Window,
    escape: ShortcutController,
}

impl Wiring {
    /// Makes a dialog of the window.
    fn new(window: &gtk4::Window) -> Self {
        window.set_modal(true);
        window.set_destroy_with_parent(true);
        // GtkWindow itself has no binding for Escape; only GtkDialog has.
        let close = gtk4::CallbackAction::new(|widget, _| {
            if let Some(window) = widget.downcast_ref::<gtk4::Window>() {
                window.close();
            }
            Propagation::Stop
        });
        let trigger = gtk4::KeyvalTrigger::new(gdk::Key::Escape, gdk::ModifierType::empty());
        let escape = ShortcutController::new();
        // GTK asks these only after the window's other controllers, including the caller's, have
        // let the key pass.
        escape.set_scope(ShortcutScope::Global);
        escape.add_shortcut(Shortcut::new(Some(trigger), Some(close)));
        window.add_controller(escape.clone());
        Self { handlers: Vec::new(), window: window.clone(), escape }
    }

    /// Makes the end of the window end the dialog. Called after `wire` has set up its handlers.
    fn listen(&mut self, frame: &Rc<Frame>) {
        let window = &self.window;
        // Handlers hold the frame weakly: a window may outlive it, and must not keep its loop.
        let end = |ending| {
            let frame = Rc::downgrade(frame);
            move || {
                if let Some(frame) = frame.upgrade() {
                    frame.end(ending);
                }
            }
        };
        // GtkWindow's own handler would hide the window, and the outcome would be `Destroyed`.
        window.set_hide_on_close(false);
        let closed = end(Ending::Closed);
        // Runs after all others, including the handler of the window's class, because each may
        // refuse to close. It stops the signal, because the window is destroyed below anyway, once,
        // when nothing on the stack uses it any more.
        let handler = window.connect_local("close-request", true, move |_| {
            closed();
            Some(true.to_value())
        });
        self.handlers.push((window.clone(), handler));
        let hidden = end(Ending::Destroyed);
        self.handlers.push((window.clone(), window.connect_unmap(move |_| hidden())));
        if let Some(parent) = window.transient_for() {
            // Not "destroy": GTK 4's `gtk_window_destroy()` only unrealizes the window while there
            // are other references to it.
            let gone = end(Ending::Destroyed);
            self.handlers.push((parent.clone(), parent.connect_unrealize(move |_| gone())));
        }
    }
}

impl Drop for Wiring {
    fn drop(&mut self) {
        for (object, handler) in self.handlers.drain(..) {
            object.disconnect(handler);
        }
        self.window.remove_controller(&self.escape);
        // Hides the window and drops GTK's reference. The signal "destroy" comes with the last
        // reference, which may be anywhere, so nothing may wait for it.
        self.window.destroy();
    }
}

// The tests need a display and start one: `gui-demo/tests/dialog_run.rs`.
