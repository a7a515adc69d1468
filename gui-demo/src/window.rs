//! The window: its widgets, and methods that set what they show. It decides nothing.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;

use gtk4::prelude::*;
use gtk4::{
    Adjustment, Application, ApplicationWindow, Builder, Button, CssProvider, DrawingArea,
    DropDown, HeaderBar, Label, ScrolledWindow, StringList, ToggleButton, gdk, glib,
};
use loopnest_core::strategy::{About, Owner};

use crate::charts::{Scale, Strip};
use crate::kind::Kind;
use crate::report::Verdict;
use crate::timer::after;

/// Lines that the log keeps.
const LOG_LINES: usize = 80;

/// The widgets that change.
#[derive(Debug)]
pub struct MainWindow {
    /// The window.
    pub window: ApplicationWindow,
    /// The names of the strategies.
    pub strategies: DropDown,
    /// A button for each kind of dialog.
    pub buttons: Vec<(Kind, Button)>,
    /// Whether the activity is running.
    pub activity: ToggleButton,
    /// Whether a thousand tasks run as well.
    pub many_tasks: ToggleButton,
    /// Whether the charts are paused.
    pub pause: ToggleButton,
    /// Whether the colours are dark.
    pub dark: ToggleButton,
    /// The charts: gap, iterations, processor, frames.
    pub charts: [Strip; 4],
    /// Moves with every frame while the activity is running.
    pub spinner: DrawingArea,
    card: gtk4::Box,
    word: Label,
    reason: Label,
    levels: gtk4::Box,
    base: Vec<String>,
    log: Label,
    lines: RefCell<VecDeque<String>>,
    status: Label,
    shown: RefCell<String>,
}

impl MainWindow {
    /// Builds the window for a strategy, without showing it.
    ///
    /// # Panics
    /// When `window.ui`, which is part of this program, lacks a widget.
    pub fn new(app: &Application, about: &About, names: &[&str]) -> Self {
        let provider = CssProvider::new();
        provider.load_from_data(include_str!("style.css"));
        if let Some(display) = gdk::Display::default() {
            let priority = gtk4::STYLE_PROVIDER_PRIORITY_APPLICATION;
            gtk4::style_context_add_provider_for_display(&display, &provider, priority);
        }
        let parts = Builder::from_string(include_str!("window.ui"));
        let strategies: DropDown = part(&parts, "strategies");
        strategies.set_model(Some(&StringList::new(names)));
        let selected = names.iter().position(|name| *name == about.name).unwrap_or(0);
        strategies.set_selected(selected as u32);
        part::<Label>(&parts, "owner").set_text(&owner(about));
        let strip = |id, title, unit, scale, colour| {
            Strip::new(&part(&parts, id), title, unit, scale, colour)
        };
        let charts = [
            strip("gaps", "Longest async gap", "ms", Scale::Log(10.0, 1e5), (0.90, 0.38, 0.10)),
            strip("iterations", "GLib iterations", "/s", Scale::Log(1.0, 1e6), (0.21, 0.52, 0.89)),
            strip("processor", "Processor", "%", Scale::Linear(100.0), (0.57, 0.25, 0.67)),
            strip("frames", "Frames", "/s", Scale::Linear(60.0), (0.18, 0.63, 0.35)),
        ];
        let open: gtk4::Box = part(&parts, "open");
        let buttons = Kind::ALL.map(|kind| (kind, button(kind)));
        buttons.iter().for_each(|(_, button)| open.append(button));
        let window = ApplicationWindow::builder()
            .application(app)
            .title(format!("loopnest: {}", about.name))
            .default_width(1000)
            .default_height(740)
            .child(&scrolled(&part::<gtk4::Box>(&parts, "page")))
            .build();
        window.set_titlebar(Some(&part::<HeaderBar>(&parts, "header")));
        let this = Self {
            window,
            strategies,
            buttons: buttons.into(),
            activity: part(&parts, "activity"),
            many_tasks: part(&parts, "many_tasks"),
            pause: part(&parts, "pause"),
            dark: part(&parts, "dark"),
            charts,
            spinner: part(&parts, "spinner"),
            card: part(&parts, "card"),
            word: part(&parts, "word"),
            reason: part(&parts, "reason"),
            levels: part(&parts, "levels"),
            base: base(about),
            log: part(&parts, "log"),
            lines: RefCell::default(),
            status: part(&parts, "status"),
            shown: RefCell::default(),
        };
        keep_at_end(&part::<ScrolledWindow>(&parts, "log_scroll").vadjustment());
        this.set_verdict(None);
        this.set_levels::<&str>(&[]);
        this
    }

    /// Shows a verdict, or that there is none yet.
    pub fn set_verdict(&self, verdict: Option<&Verdict>) {
        let (word, reason, class) = match verdict {
            None => (
                "watching".to_owned(),
                "Open a dialog and see whether the async side keeps running.".to_owned(),
                "",
            ),
            Some(verdict) => {
                let so_far = if verdict.live { "So far: " } else { "" };
                let class = match verdict.words.first() {
                    Some(word) if word.is_bad() => "bad",
                    Some(loopnest_core::Word::Progress) => "good",
                    _ => "mild",
                };
                let cause = match verdict.is_bad() {
                    true => format!("\nWhy: {}.", verdict.cause),
                    false => String::new(),
                };
                (verdict.text(), format!("{so_far}{}{cause}", verdict.reason), class)
            }
        };
        let shown = format!("{word}\n{reason}");
        // Each change makes GTK lay out the window again.
        if self.shown.replace(shown.clone()) == shown {
            return;
        }
        self.word.set_text(&word);
        self.reason.set_text(&reason);
        for other in ["good", "bad", "mild"] {
            self.card.remove_css_class(other);
        }
        if !class.is_empty() {
            self.card.add_css_class(class);
        }
    }

    /// Shows the nested loops, given outermost first, on top of the levels that are always there.
    pub fn set_levels<S: AsRef<str>>(&self, open: &[S]) {
        while let Some(child) = self.levels.first_child() {
            self.levels.remove(&child);
        }
        for (i, level) in open.iter().enumerate().rev() {
            let label = level_label(&format!("{}  nested loop: {}", i + 1, level.as_ref()));
            label.add_css_class("nested");
            self.levels.append(&label);
        }
        for name in &self.base {
            self.levels.append(&level_label(name));
        }
    }

    /// Adds a line to the log.
    pub fn log(&self, text: &str) {
        let time = glib::DateTime::now_local().and_then(|now| now.format("%H:%M:%S"));
        let mut lines = self.lines.borrow_mut();
        lines.push_back(format!("{}  {text}", time.unwrap_or_default()));
        if lines.len() > LOG_LINES {
            lines.pop_front();
        }
        self.log.set_text(&lines.make_contiguous().join("\n"));
    }

    /// Sets the status line at the bottom.
    pub fn set_status(&self, text: &str) {
        self.status.set_text(text);
    }
}

fn owner(about: &About) -> String {
    let owner = match about.owner {
        Owner::Async => "tokio owns the thread",
        Owner::Glib => "GLib owns the thread",
        Owner::Both => "a thread for each loop",
    };
    format!("{}: {owner}", about.name)
}

/// The levels below every dialog, topmost first.
fn base(about: &About) -> Vec<String> {
    let levels: &[&str] = match about.owner {
        Owner::Async => &["GLib: an iteration inside tokio's wait", "tokio: block_on"],
        Owner::Glib => &["GLib: the main loop, which drives the async side"],
        Owner::Both => &["GLib: the main loop; tokio on a thread of its own"],
    };
    levels.iter().map(|level| (*level).to_owned()).collect()
}

fn level_label(text: &str) -> Label {
    let label = Label::builder().label(text).xalign(0.0).css_classes(["level"]).build();
    label.set_ellipsize(gtk4::pango::EllipsizeMode::End);
    label
}

fn button(kind: Kind) -> Button {
    let button = Button::builder().label(kind.label()).css_classes(["open-button"]).build();
    if let Some(label) = button.child().and_downcast::<Label>() {
        label.set_xalign(0.0);
    }
    button.set_tooltip_text(Some(kind.about()));
    button
}

/// Keeps a list scrolled to its end. Not in the signal itself, which comes in the middle of the
/// layout: GTK would set the old value again.
fn keep_at_end(scrolled: &Adjustment) {
    scrolled.connect_changed(|scrolled| {
        let end = |scrolled: &Adjustment| scrolled.upper() - scrolled.page_size();
        if scrolled.value() < end(scrolled) {
            let scrolled = scrolled.clone();
            after(Duration::ZERO, move || scrolled.set_value(end(&scrolled)));
        }
    });
}

/// The page, with scroll bars where the screen is smaller than what it needs, about 800x600.
fn scrolled(page: &gtk4::Box) -> ScrolledWindow {
    ScrolledWindow::builder().child(page).build()
}

/// A widget from `window.ui`.
fn part<T: IsA<glib::Object>>(parts: &Builder, id: &str) -> T {
    parts.object(id).unwrap_or_else(|| panic!("window.ui has no `{id}` of the right type"))
}
