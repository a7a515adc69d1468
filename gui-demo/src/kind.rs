//! The kinds of dialogs that the window can open: who opens each, and what it is called.

use std::time::Duration;

/// How long the future that *block on* waits for sleeps.
pub const BLOCK_ON: Duration = Duration::from_millis(1500);

/// What a button does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A dialog opened by the click itself.
    Callback,
    /// A dialog opened by a task of the application.
    Task,
    /// A dialog opened by a library's task, on tokio's own queue.
    LibraryTask,
    /// Three dialogs, each opened from the one before.
    ThreeDeep,
    /// GTK's own nested loop: the export of a print operation.
    Print,
    /// GTK's own nested loop: the page set-up dialog.
    PageSetup,
    /// A dialog without a nested loop, for contrast.
    Async,
    /// No dialog: the callback blocks on a future.
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

    /// The text of the button, by which assistive technology finds it too.
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

    /// The title of its dialog.
    pub fn title(self) -> &'static str {
        match self {
            Self::Callback => "Dialog from a callback",
            Self::Task => "Dialog from a task",
            Self::LibraryTask => "Dialog from a library\u{2019}s task",
            _ => "Dialog without nesting",
        }
    }
}

/// Who runs the code that opens a nested loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A GLib callback: a click.
    Callback,
    /// A task of the application.
    Task,
    /// A task on tokio's own queue.
    LibraryTask,
    /// A callback that waits for a future, which sleeps.
    BlockOn(Duration),
}
