//! The dialogs that the window can open, and what they look like.

use std::time::Duration;

use anyhow::Context as _;
use gtk4::prelude::*;
use gtk4::{Align, Button, Label, Orientation, PrintOperation, PrintOperationAction, Window};

use crate::dialog_run::Answer;
use crate::episode::Origin;

/// How long the future sleeps that *block on* waits for.
pub const BLOCK_ON: Duration = Duration::from_millis(1500);

/// Pages of the document that GTK exports. Each is drawn from an idle source of its nested loop.
const PAGES: i32 = 400;

/// What a button does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A dialog opened by the click itself.
    Callback,
    /// A dialog opened by a task of the application.
    Task,
    /// A dialog opened by a task on tokio's own queue.
    LibraryTask,
    /// Three dialogs, each opened from the one before.
    ThreeDeep,
    /// GTK's own nested loop: the export of a print operation.
    Print,
    /// GTK's own nested loop: the page set-up dialog.
    PageSetup,
    /// A dialog without a nested loop, for contrast.
    Async,
    /// Waiting for a future inside a callback.
    BlockOn,
}

impl Kind {
    /// All of them, in the order of the buttons.
    pub const ALL: [Self; 8] = [
        Self::Callback,
        Self::Task,
        Self::LibraryTask,
        Self::ThreeDeep,
        Self::Print,
        Self::PageSetup,
        Self::Async,
        Self::BlockOn,
    ];

    /// The text of the button; also what assistive technology finds it by.
    pub fn label(self) -> &'static str {
        match self {
            Self::Callback => "From a callback",
            Self::Task => "From a task",
            Self::LibraryTask => "From a library\u{2019}s task",
            Self::ThreeDeep => "Three deep",
            Self::Print => "GTK\u{2019}s own: export a print",
            Self::PageSetup => "GTK\u{2019}s own: page set-up",
            Self::Async => "Without nesting",
            Self::BlockOn => "Block on a future",
        }
    }

    /// The name in the log, in reports and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Callback => "callback",
            Self::Task => "task",
            Self::LibraryTask => "library-task",
            Self::ThreeDeep => "three-deep",
            Self::Print => "print",
            Self::PageSetup => "page-setup",
            Self::Async => "async",
            Self::BlockOn => "block-on",
        }
    }

    /// What the button does, in a sentence.
    pub fn about(self) -> &'static str {
        match self {
            Self::Callback => "The click opens a dialog and waits for it in a nested main loop",
            Self::Task => {
                "An async task of this program opens the dialog and waits inside its poll"
            }
            Self::LibraryTask => "A task that a library gave to tokio::spawn opens the dialog",
            Self::ThreeDeep => {
                "Three dialogs, each opened from inside the nested loop of the one before"
            }
            Self::Print => "GtkPrintOperation writes a PDF and runs a nested loop meanwhile",
            Self::PageSetup => {
                "The page set-up dialog of GTK 4 still runs a nested loop of its own"
            }
            Self::Async => "The dialog answers by a signal; nothing waits and nothing nests",
            Self::BlockOn => "The click waits for an async sleep of one and a half seconds",
        }
    }

    /// The name of its nested loop in the verdict.
    pub fn level(self) -> &'static str {
        match self {
            Self::Callback => "dialog-from-callback",
            Self::Task => "dialog-from-task",
            Self::LibraryTask => "dialog-from-library-task",
            Self::ThreeDeep => "dialog-three-deep",
            Self::Print => "gtk-print",
            Self::PageSetup => "gtk-page-setup",
            Self::Async => "no-nesting",
            Self::BlockOn => "block-on",
        }
    }

    /// Who runs the code that opens the nested loop.
    pub fn origin(self) -> Origin {
        match self {
            Self::Task => Origin::Task,
            Self::LibraryTask => Origin::LibraryTask,
            Self::BlockOn => Origin::BlockOn(BLOCK_ON),
            _ => Origin::Callback,
        }
    }
}

/// A dialog of ours.
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
    /// A dialog that is transient for `parent`. It is not shown.
    pub fn new(parent: &impl IsA<Window>, title: &str, text: &str) -> Self {
        let body = Label::builder()
            .label(text)
            .wrap(true)
            .max_width_chars(44)
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
            .margin_top(6)
            .build();
        buttons.append(&another);
        buttons.append(&close);
        let column = gtk4::Box::builder()
            .orientation(Orientation::Vertical)
            .spacing(8)
            .margin_top(14)
            .margin_bottom(14)
            .margin_start(22)
            .margin_end(22)
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

    /// Connects the button that closes.
    pub fn answer_with(&self, answer: Answer<()>) {
        self.close.connect_clicked(move |_| answer.give(()));
    }
}

/// Exports a document of many pages. GTK runs a nested loop until it is written
/// (gtkprintoperation.c 4.8.3, line 2936).
///
/// # Errors
/// When the file cannot be written.
pub fn export_print(parent: &impl IsA<Window>) -> anyhow::Result<()> {
    // Not a name that somebody else may have taken in a folder that everybody writes to.
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
        // A page with something on it takes a while.
        std::thread::sleep(Duration::from_millis(2));
    });
    print.run(PrintOperationAction::Export, Some(parent)).context("cannot export")?;
    Ok(())
}
