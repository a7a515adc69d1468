//! A modal window that is waited for, as `gtk_dialog_run()` was: GTK 4 has none.
//!
//! [`dialog_run`] shows a window and runs a *nested* main loop until somebody answers it. The rest
//! of the program goes on meanwhile, inside the call. GTK's advice is not to do this
//! (*Stop using blocking dialog functions* in its migration guide), and where a callback for the
//! answer will do, take that. This file is for programs that cannot: a port of GTK 3 code, an
//! `ask()` that has to return a value to a caller that cannot wait in another way.
//!
//! It needs gtk4 alone and may be copied as it is.
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
//! - The call returns, whatever becomes of the window: answered, closed with Escape or by the
//!   window manager, hidden, destroyed, or its parent destroyed.
//! - It returns in order. A nested loop returns only when all loops inside it have; so an answer to
//!   an outer dialog ends the inner ones first, with [`Outcome::Aborted`], and a dialog that would
//!   be opened on the way out is not opened but aborted at once.
//! - An ended dialog is off the screen at once, even if its call has to wait for a nested loop of
//!   somebody else's (GTK's print operation, a library's) that stands on top of it.
//! - Nothing is left: no window on the screen, no loop, no signal handler, no grab. GTK drops its
//!   reference to the window; who connects a handler that holds the window keeps the object.
//! - [`abort_for_good`] ends every dialog, and those that would be opened later. Call it before
//!   `application.quit()`, which ends no nested loop and would wait for the user.
//!
//! # Who may call it
//!
//! - A GTK or GLib callback (a click, a timeout, an idle source): yes. A timer that opens a dialog
//!   does not fire again until the dialog is closed, since GLib blocks the source that it
//!   dispatches (gmain.c 2.74.6, line 3432).
//! - A future of glib's own executor (`glib::spawn_future_local`): **no**. As soon as another such
//!   future wakes, the process aborts (gtk-rs-core#739, gtk4-rs#2185). Go by way of an idle
//!   callback, or take an executor that may be re-entered.
//! - A drawing function or a tick callback: **no**. The frame clock of that window stands still
//!   until the dialog is closed (gdkframeclockidle.c 4.8.3, line 322).
//! - Whoever holds a `RefCell` borrow: **no**. Another callback will meet it, panic, and take the
//!   process down.
//!
//! # What modal does not mean
//!
//! Modal is a grab of the user's input and no more. Timers, D-Bus calls, actions, assistive
//! technology and async tasks still reach the parent and may open a second dialog; that one
//! nests in the first.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::{Rc, Weak};

use gtk4::glib::{MainLoop, Propagation, SignalHandlerId};
use gtk4::prelude::*;
use gtk4::{Shortcut, ShortcutController, ShortcutScope, gdk};

/// How a dialog ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome<R> {
    /// Somebody gave this answer.
    Response(R),
    /// The user closed the window: Escape, its close button, the window manager.
    Closed,
    /// The program took the window away: hidden, destroyed, or its parent gone.
    Destroyed,
    /// A dialog further out was answered, or the program ends them all. Do not ask again.
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

/// Gives the answer to one dialog. Cheap to clone; one for each button.
pub struct Answer<R> {
    frame: Weak<Frame>,
    response: Rc<RefCell<Option<R>>>,
}

impl<R> Answer<R> {
    /// Ends the dialog with `response` and hides its window. The first answer counts; one to a
    /// dialog that has ended does nothing.
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
/// `wire` is called before the window is shown and gets what ends it; connect it to buttons there.
/// A close-request that is stopped keeps the dialog open: by any handler, the window's class's own
/// included, but not by one connected with `after` once `wire` has returned.
/// A parent is what `window` is transient for when `wire` returns. The window is destroyed when
/// this returns, so it serves once: one that has been destroyed, or whose parent has, is not shown,
/// and the outcome is [`Outcome::Destroyed`].
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
        // It would come back, and nothing could take it away: GTK destroys a window once.
        if !is_alive(window) || window.transient_for().is_some_and(|parent| !is_alive(&parent)) {
            frame.end(Ending::Destroyed);
        }
        // A quit before the run is forgotten (gmain.c 2.74.6, line 4446), so a dialog that was
        // answered meanwhile is not run at all.
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
/// comes back to it, the innermost first. When the last has, dialogs can be opened as before.
pub fn abort_all() {
    let outermost = STACK.with_borrow(|stack| stack.iter().find(|f| f.is_open()).cloned());
    if let Some(frame) = outermost {
        frame.end(Ending::Aborted);
    }
}

/// As [`abort_all`], and no dialog is opened on this thread any more: whoever is not content with
/// being aborted and shows an error, or asks again, gets [`Outcome::Aborted`] at once.
pub fn abort_for_good() {
    IS_OVER.set(true);
    abort_all();
}

/// Whether nobody has destroyed the window.
fn is_alive(window: &gtk4::Window) -> bool {
    gtk4::Window::toplevels().iter::<gtk4::Widget>().flatten().any(|toplevel| toplevel == *window)
}

/// How many dialogs are waited for on this thread.
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
    /// The dialogs that are waited for, outermost first.
    static STACK: RefCell<Vec<Rc<Frame>>> = const { RefCell::new(Vec::new()) };
    /// Set by [`abort_for_good`].
    static IS_OVER: Cell<bool> = const { Cell::new(false) };
}

impl Frame {
    fn is_open(&self) -> bool {
        self.ending.get().is_none()
    }

    /// Ends this dialog, and before it all that stand on top of it: this one's loop cannot return
    /// before theirs do.
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
        // When all is decided: what listens to the windows may call anything here.
        frames.iter().for_each(|frame| frame.leave());
    }

    /// Has the loop return. It may have to wait for somebody else's on top of it, and the user must
    /// not be left with a window that nothing answers.
    fn leave(&self) {
        // If it does not run, the call goes on by itself, and may just be showing the window.
        if self.main_loop.is_running() {
            self.main_loop.quit();
            self.window.set_visible(false);
        }
    }
}

/// A frame on the stack, until this is dropped, also by a panic.
struct OnStack(Rc<Frame>);

impl OnStack {
    fn push(frame: &Rc<Frame>) -> Self {
        STACK.with_borrow_mut(|stack| {
            // Whoever has been answered waits for the loops above it to return. A new one would
            // make it wait for the user again.
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

/// What listens to the window and to its parent, until this is dropped, and the window with it,
/// also by a panic.
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
        // GTK asks these when the window's other controllers have let the key pass, the caller's
        // among them.
        escape.set_scope(ShortcutScope::Global);
        escape.add_shortcut(Shortcut::new(Some(trigger), Some(close)));
        window.add_controller(escape.clone());
        Self { handlers: Vec::new(), window: window.clone(), escape }
    }

    /// Ends the dialog with its window. What `wire` has set up stands by then.
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
        // GtkWindow's own handler would hide the window, and nobody would be told why.
        window.set_hide_on_close(false);
        let closed = end(Ending::Closed);
        // After all others and after the one of the window's class, for each may refuse to close.
        // Stopped, because the window is destroyed below anyway, once, and when nothing on the
        // stack uses it any more.
        let handler = window.connect_local("close-request", true, move |_| {
            closed();
            Some(true.to_value())
        });
        self.handlers.push((window.clone(), handler));
        let hidden = end(Ending::Destroyed);
        self.handlers.push((window.clone(), window.connect_unmap(move |_| hidden())));
        if let Some(parent) = window.transient_for() {
            // Not "destroy": GTK 4's `gtk_window_destroy()` only unrealizes while somebody holds a
            // reference.
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
        // Hides, and drops the reference that GTK holds. The signal "destroy" comes with the last
        // reference, whoever has it, so nothing may wait for it.
        self.window.destroy();
    }
}

// The tests need a display, and start one: `gui-demo/tests/dialog_run.rs`.
