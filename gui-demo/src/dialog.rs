//! What the demo's dialogs look like, and which are open.

use std::cell::RefCell;
use std::time::Duration;

use anyhow::Context as _;
use gtk4::prelude::*;
use gtk4::{
    Align, Button, Label, NamedAction, Orientation, PrintOperation, PrintOperationAction, Shortcut,
    ShortcutController, ShortcutTrigger, Window,
};

use crate::dialog_run::Answer;

/// Pages of the document that GTK exports. GTK draws each from an idle source in its nested loop.
const PAGES: i32 = 400;

/// One of the demo's own dialogs.
#[derive(Clone, Debug)]
pub struct Dialog {
    /// The window.
    pub window: Window,
    /// Closes it.
    pub close: Button,
    /// Opens another from inside it.
    pub another: Button,
    /// How the async side is doing; kept up to date while it is open.
    pub pulse: Label,
}

impl Dialog {
    /// Builds a dialog that is transient for `parent`, without showing it.
    pub fn new(parent: &impl IsA<Window>, title: &str, text: &str) -> Self {
        let body = Label::builder()
            .label(text)
            .wrap(true)
            .max_width_chars(38)
            .justify(gtk4::Justification::Center)
            .build();
        let pulse =
            Label::builder().css_classes(["dim-label"]).label("async ticks in here: 0").build();
        let close = Button::builder().label("Close").css_classes(["suggested-action"]).build();
        let another = Button::builder().label("Open another").build();
        let buttons = gtk4::Box::builder()
            .spacing(8)
            .homogeneous(true)
            .halign(Align::Center)
            .margin_top(2)
            .build();
        buttons.append(&another);
        buttons.append(&close);
        let column = gtk4::Box::builder()
            .orientation(Orientation::Vertical)
            .spacing(6)
            .margin_top(10)
            .margin_bottom(12)
            .margin_start(16)
            .margin_end(16)
            .build();
        column.append(&body);
        column.append(&pulse);
        column.append(&buttons);
        let window = Window::builder()
            .title(title)
            .transient_for(parent)
            .modal(true)
            .destroy_with_parent(true)
            .resizable(false)
            .child(&column)
            .default_widget(&close)
            .build();
        GtkWindowExt::set_focus(&window, Some(&close));
        Self { window, close, another, pulse }
    }

    /// Connects the close button.
    pub fn answer_with(&self, answer: Answer<()>) {
        self.close.connect_clicked(move |_| answer.give(()));
    }

    /// Makes its button and Escape close it. For a dialog that no call waits for.
    pub fn close_by_itself(&self) {
        // Weak: the button is in the window, and would keep it alive for ever.
        let window = self.window.downgrade();
        self.close.connect_clicked(move |_| {
            if let Some(window) = window.upgrade() {
                window.close();
            }
        });
        let escape = ShortcutController::new();
        let trigger = ShortcutTrigger::parse_string("Escape");
        let action = NamedAction::new("window.close");
        escape.add_shortcut(Shortcut::new(trigger, Some(action)));
        self.window.add_controller(escape);
    }
}

/// The open dialogs, outermost first, each with the number of async ticks before it opened.
#[derive(Debug, Default)]
pub struct OpenDialogs(RefCell<Vec<(Dialog, u64)>>);

impl OpenDialogs {
    /// Adds a dialog that opened after this many async ticks.
    pub fn push(&self, dialog: &Dialog, ticks: u64) {
        self.0.borrow_mut().push((dialog.clone(), ticks));
    }

    /// Removes the dialog with this window, which has closed.
    pub fn remove(&self, window: &Window) {
        self.0.borrow_mut().retain(|(open, _)| open.window != *window);
    }

    /// How many there are.
    pub fn n(&self) -> usize {
        self.0.borrow().len()
    }

    /// The window of the innermost dialog.
    pub fn innermost(&self) -> Option<Window> {
        self.0.borrow().last().map(|(dialog, _)| dialog.window.clone())
    }

    /// Shows in each dialog how many async ticks have come since it was opened.
    pub fn show_pulse(&self, ticks: u64) {
        for (dialog, before) in self.0.borrow().iter() {
            dialog.pulse.set_text(&format!("async ticks in here: {}", ticks - before));
        }
    }
}

/// Exports a document of many pages. GTK runs a nested loop until the file is written
/// (gtkprintoperation.c 4.8.3, line 2936).
///
/// # Errors
/// When the file cannot be written.
pub fn export_print(parent: &impl IsA<Window>) -> anyhow::Result<()> {
    // A folder of our own: in a shared one the name could already be taken.
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let print = PrintOperation::new();
    print.set_n_pages(PAGES);
    print.set_export_filename(folder.path().join("print.pdf"));
    print.connect_draw_page(|_, context, page| {
        let cr = context.cairo_context();
        cr.set_font_size(14.0);
        cr.move_to(40.0, 60.0);
        // The surface remembers an error by itself, and the operation reports it.
        let _ = cr.show_text(&format!("page {}", page + 1));
        // A real page would take a while.
        std::thread::sleep(Duration::from_millis(2));
    });
    print.run(PrintOperationAction::Export, Some(parent)).context("cannot export")?;
    Ok(())
}
