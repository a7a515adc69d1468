//! What the buttons, the keys and the window's close button do.

use std::rc::Rc;

use gtk4::prelude::*;
use gtk4::{
    Application, CallbackAction, DropDown, Shortcut, ShortcutController, ShortcutScope,
    ShortcutTrigger, ToggleButton, Window, gio, glib,
};

use crate::colours::set_dark;
use crate::demo::Demo;
use crate::kind::Kind;
use crate::supervisor::NEXT;

/// Connects the widgets of the main window. `names` are the strategies in the drop-down.
pub fn connect(demo: &Rc<Demo>, names: &[&'static str]) {
    let ui = &demo.ui;
    for (kind, button) in &ui.buttons {
        let kind = *kind;
        button.connect_clicked(handler(demo, move |demo, _| demo.press(kind)));
    }
    let names = names.to_vec();
    ui.strategies.connect_selected_notify(handler(demo, move |demo, list: &DropDown| {
        if let Some(name) = names.get(list.selected() as usize) {
            change_strategy(demo, name);
        }
    }));
    let toggled = |job: fn(&Demo, bool)| {
        handler(demo, move |demo, toggle: &ToggleButton| job(demo, toggle.is_active()))
    };
    ui.activity.connect_toggled(toggled(Demo::set_activity));
    ui.many_tasks.connect_toggled(toggled(Demo::set_many_tasks));
    ui.pause.connect_toggled(handler(demo, |demo, _| demo.keep_sampling()));
    ui.dark.connect_toggled(|toggle| {
        if let Some(settings) = gtk4::Settings::default() {
            set_dark(&settings, toggle.is_active());
        }
    });
    let close = handler(demo, |demo, _| demo.quit());
    ui.window.connect_close_request(move |window| {
        close(window);
        glib::Propagation::Stop
    });
}

/// Adds the keyboard shortcuts.
pub fn shortcuts(app: &Application, demo: &Rc<Demo>) {
    let action = |name: &str, keys: &[&str], job: Job| {
        let action = gio::SimpleAction::new(name, None);
        let job = handler(demo, move |demo, _| job(demo));
        action.connect_activate(move |action, _| job(action));
        demo.ui.window.add_action(&action);
        app.set_accels_for_action(&format!("win.{name}"), keys);
    };
    for (i, kind) in Kind::ALL.into_iter().enumerate() {
        let keys = format!("<Control>{}", i + 1);
        action(kind.name(), &[&keys], Box::new(move |demo| demo.press(kind)));
    }
    let toggle = |toggle: &ToggleButton| {
        let toggle = toggle.clone();
        Box::new(move |_: &Demo| toggle.set_active(!toggle.is_active())) as Job
    };
    action("activity", &["<Control>t"], toggle(&demo.ui.activity));
    action("many-tasks", &["<Control>m"], toggle(&demo.ui.many_tasks));
    action("pause", &["<Control>p"], toggle(&demo.ui.pause));
    action("dark", &["<Control>d"], toggle(&demo.ui.dark));
    action("quit", &["<Control>q", "<Control>w"], Box::new(Demo::quit));
    quit_from_dialogs(demo);
}

/// Makes Ctrl+Q quit from every other window too: from our dialogs, and from GTK's own. They are
/// modal, so the keys do not reach the main window, and the action above belongs to that one.
fn quit_from_dialogs(demo: &Rc<Demo>) {
    let demo = Rc::downgrade(demo);
    Window::toplevels().connect_items_changed(move |toplevels, position, _, added| {
        let new = (position..position + added).filter_map(|i| toplevels.item(i));
        for window in new.filter_map(|new| new.downcast::<Window>().ok()) {
            let demo = demo.clone();
            let quit = CallbackAction::new(move |_, _| {
                if let Some(demo) = demo.upgrade() {
                    demo.quit();
                }
                glib::Propagation::Stop
            });
            let trigger = ShortcutTrigger::parse_string("<Control>q");
            let keys = ShortcutController::new();
            keys.set_scope(ShortcutScope::Global);
            keys.add_shortcut(Shortcut::new(trigger, Some(quit)));
            window.add_controller(keys);
        }
    });
}

/// What a shortcut does.
type Job = Box<dyn Fn(&Demo)>;

/// A signal handler with access to the demo, which it does not keep alive.
fn handler<W>(demo: &Rc<Demo>, job: impl Fn(&Demo, &W) + 'static) -> impl Fn(&W) + 'static {
    let demo = Rc::downgrade(demo);
    move |widget| {
        if let Some(demo) = demo.upgrade() {
            job(&demo, widget);
        }
    }
}

/// Restarts the program with another strategy. The running one is on the stack and owns the outer
/// loop, so another one needs another process.
fn change_strategy(demo: &Demo, name: &str) {
    if name == demo.about.name {
        return;
    }
    let Some(file) = &demo.options.next else {
        demo.ui.log("started without a supervisor: cannot change the strategy");
        return;
    };
    match std::fs::write(file, name) {
        Ok(()) => demo.quit_with(NEXT),
        Err(error) => demo.ui.log(&format!("cannot restart: {error}")),
    }
}
