//! The main window at several sizes: what fits, and what a dialog over its middle covers.

mod common;

use std::process::Stdio;

use common::inside::on_a_desk;
use common::{Desk, Running, png, wait_for};
use gtk4::prelude::*;
use gtk4::{Application, ScrolledWindow, Widget, gio, glib, graphene};
use gui_demo::dialog::Dialog;
use gui_demo::kind::Kind;
use gui_demo::window::MainWindow;
use harness::Registry;

/// What a window manager puts round a dialog: the title bar of openbox has 20 pixels.
const FRAME: f32 = 20.0;

/// The smallest window in which everything can be seen, with GTK's own frame.
const SMALLEST: (i32, i32) = (800, 600);

/// The main window under `nested`, which has most to show, at this size.
fn window(width: i32, height: i32) -> MainWindow {
    let app = Application::new(None::<&str>, gio::ApplicationFlags::NON_UNIQUE);
    app.register(gio::Cancellable::NONE).expect("an application");
    let registry = Registry::default();
    let about = registry.strategy("nested").expect("a strategy").about();
    let ui = MainWindow::new(&app, &about, &["dispatch", "nested-no-wake"]);
    ui.set_levels(&["dialog-three-deep", "dialog-three-deep 2", "dialog-three-deep 3"]);
    ui.window.set_default_size(width, height);
    ui.window.present();
    lay_out(&ui.window);
    ui
}

/// Iterates until the window has its place on the screen, and nothing is left to do.
fn lay_out(window: &impl IsA<Widget>) {
    let context = glib::MainContext::default();
    wait_for("the window's layout", || {
        while context.iteration(false) {}
        (window.width() > 0 && window.is_mapped()).then_some(())
    });
}

/// A widget and all below it that are on the screen.
fn all(widget: &Widget, found: &mut Vec<Widget>) {
    if !widget.is_mapped() {
        return;
    }
    found.push(widget.clone());
    let mut child = widget.first_child();
    while let Some(widget) = child {
        all(&widget, found);
        child = widget.next_sibling();
    }
}

fn scrolled(ui: &MainWindow) -> ScrolledWindow {
    ui.window.child().and_downcast().expect("the page scrolls")
}

/// Whether all of the page is in the window.
fn fits(ui: &MainWindow) -> bool {
    let scrolled = scrolled(ui);
    [scrolled.hadjustment(), scrolled.vadjustment()]
        .iter()
        .all(|adjustment| adjustment.upper() <= adjustment.page_size())
}

on_a_desk! {
    fn a_dialog_over_the_middle_covers_nothing_that_says_something() {
        for (width, height) in [SMALLEST, (900, 600), (800, 700), (1000, 740)] {
            let ui = window(width, height);
            assert!(ui.window.width() <= width && ui.window.height() <= height);
            assert!(fits(&ui), "{width}x{height}");
            for kind in [Kind::Callback, Kind::Task, Kind::ThreeDeep] {
                let dialog = Dialog::new(&ui.window, kind.title(), &format!("{}.", kind.about()));
                dialog.window.present();
                lay_out(&dialog.window);
                let size = (dialog.window.width() as f32, dialog.window.height() as f32);
                dialog.window.destroy();
                let covered = middle(&ui, size);
                let mut widgets = Vec::new();
                all(ui.window.upcast_ref(), &mut widgets);
                let says = widgets.iter().filter(|widget| {
                    let type_name = widget.type_().name();
                    ["GtkLabel", "GtkDrawingArea", "GtkButton"].contains(&type_name)
                        && !widget.has_css_class("place")
                });
                let says: Vec<_> = says.collect();
                assert!(says.len() > 20, "{says:?}");
                for widget in says {
                    let bounds = widget.compute_bounds(&ui.window).expect("a place");
                    let hidden = bounds.intersection(&covered);
                    let what = widget.clone().downcast::<gtk4::Label>().map(|label| label.text());
                    assert!(hidden.is_none(), "{width}x{height}: {what:?} {bounds:?} {covered:?}");
                }
            }
            ui.window.destroy();
        }
    }

    fn the_log_shows_its_last_lines() {
        let ui = window(SMALLEST.0, SMALLEST.1);
        (0..60).for_each(|n| ui.log(&format!("line {n}")));
        wait_for("the end of the log", || {
            lay_out(&ui.window);
            let mut widgets = Vec::new();
            all(ui.window.upcast_ref(), &mut widgets);
            let log = widgets.iter().find(|widget| widget.has_css_class("log"))?;
            let scroll = log.ancestor(ScrolledWindow::static_type())?;
            let bounds = log.compute_bounds(&scroll)?;
            let end = bounds.y() + bounds.height();
            (bounds.y() < 0.0 && end <= scroll.height() as f32).then_some(())
        });
        ui.window.destroy();
    }

    fn what_does_not_fit_can_be_scrolled_to() {
        let ui = window(500, 400);
        assert!(!fits(&ui));
        let (width, height) = (ui.window.width(), ui.window.height());
        assert!(width < SMALLEST.0 && height < SMALLEST.1, "{width}x{height}");
        let down = scrolled(&ui).vadjustment();
        down.set_value(down.upper());
        wait_for("the end of the page", || {
            lay_out(&ui.window);
            let mut widgets = Vec::new();
            all(ui.window.upcast_ref(), &mut widgets);
            let status = widgets.iter().find(|widget| widget.has_css_class("status"));
            let bounds = status?.compute_bounds(&ui.window)?;
            (bounds.y() + bounds.height() <= height as f32).then_some(())
        });
        ui.window.destroy();
    }
}

/// Where a dialog of this size is, with its frame, if it is in the middle of the window.
fn middle(ui: &MainWindow, (width, height): (f32, f32)) -> graphene::Rect {
    let height = height + FRAME;
    let x = (ui.window.width() as f32 - width) / 2.0;
    let y = (ui.window.height() as f32 - height) / 2.0;
    graphene::Rect::new(x, y, width, height)
}

#[test]
fn the_demo_fits_on_a_small_screen() {
    for screen in ["800x600", "640x480"] {
        let desk = Desk::with_screen(screen);
        let mut cmd = desk.command(common::session::DEMO);
        cmd.args(["--open", "callback"]).stdout(Stdio::null()).stderr(Stdio::null());
        let _demo = Running(cmd.spawn().expect("the demo"));
        desk.wait_for_focus("Dialog from a callback");
        let id = desk.xdotool(&["search", "--name", "^loopnest: dispatch$"]).expect("the window");
        let size = desk.xdotool(&["getwindowgeometry", "--shell", &id]).expect("its size");
        let of = |name| {
            let line = size.lines().find_map(|line| line.strip_prefix(name)).expect("a size");
            line.parse::<i32>().expect("a number")
        };
        let (width, height) = screen.split_once('x').expect("two sizes");
        let screen_size = (width.parse().unwrap(), height.parse().unwrap());
        assert!(of("WIDTH=") <= screen_size.0 && of("HEIGHT=") <= screen_size.1, "{size}");
        png::write(&desk.screen(), &common::session::picture(&format!("small-{screen}")));
    }
}
