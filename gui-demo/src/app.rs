//! The process with the window: makes it, and runs it on a strategy.
//!
//! Who owns the thread is the strategy's business, and for `nested` it is tokio. So there is no
//! `application.run()` here: the application is registered and activated, and the strategy runs a
//! future that is done when the window is closed.

use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use gtk4::prelude::*;
use gtk4::{Application, gdk, gio, glib};
use harness::Registry;
use loopnest_core::loops::Loops;
use loopnest_core::signal::Signal;
use loopnest_core::strategy::{About, Start};

use crate::blackbox::PostMortem;
use crate::cli::Options;
use crate::demo::{self, Demo, after};
use crate::kind::Kind;
use crate::play::Play;
use crate::session;
use crate::supervisor::NEXT;
use crate::window::MainWindow;

/// There is no display.
pub const NO_DISPLAY: u8 = 5;

/// Runs the window until it is closed.
///
/// # Errors
/// When the strategy or the scenario is unknown, or cannot be set up, or the supervisor is gone.
pub fn run(options: Options, parent: u32, registry: &Registry) -> anyhow::Result<ExitCode> {
    // Nobody is left to look at this window when the supervisor has been killed.
    let signal = rustix::process::Signal::TERM;
    rustix::process::set_parent_process_death_signal(Some(signal))
        .context("cannot tie the window to its supervisor")?;
    // It may have been killed before that.
    let now = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    anyhow::ensure!(u32::try_from(now) == Ok(parent), "the supervisor is gone");
    // `application.run()` would take them from its arguments; assistive technology and the window
    // manager know the program by them.
    glib::set_prgname(Some("gui-demo"));
    glib::set_application_name("loopnest");
    // Only there can be drawn what a busy loop keeps GTK from drawing.
    gdk::set_allowed_backends("x11,*");
    if gtk4::init().is_err() {
        eprintln!("{}", no_display());
        return Ok(ExitCode::from(NO_DISPLAY));
    }
    let strategy = registry.strategy(&options.strategy)?;
    let about = strategy.about();
    let names: Vec<&'static str> =
        registry.strategies().map(|s| s.about()).filter(|a| !a.control).map(|a| a.name).collect();
    let exit = Arc::new(AtomicU8::new(0));
    let start: Start = {
        let exit = exit.clone();
        Box::new(move |loops| {
            let finish = Signal::default();
            let opened = open(options, about, &names, loops, finish.clone());
            if let Err(error) = opened {
                eprintln!("error: {error:#}");
                exit.store(1, Ordering::Relaxed);
                finish.set();
            }
            Box::pin(async move {
                finish.await;
                // Where tasks live on another thread there is no demo, and `run` has it below.
                demo::with(|demo| exit.store(demo.exit_code(), Ordering::Relaxed));
            })
        })
    };
    strategy.run(start)?;
    demo::with(|demo| exit.store(demo.exit_code(), Ordering::Relaxed));
    demo::forget();
    Ok(ExitCode::from(exit.load(Ordering::Relaxed)))
}

/// What to do about a missing display.
fn no_display() -> String {
    let set = ["WAYLAND_DISPLAY", "DISPLAY"].iter().find_map(|name| {
        let value = std::env::var(name).ok().filter(|value| !value.is_empty())?;
        Some(format!("{name} is {value}, and nothing answers there"))
    });
    let what = set.unwrap_or_else(|| "neither WAYLAND_DISPLAY nor DISPLAY is set".to_owned());
    format!(
        "error: there is no display: {what}.\n\
         Start this in a graphical session, or under a virtual one:\n\
         \n    xvfb-run -a cargo run -p gui-demo -- --screenshot window.png --exit-after 5\n\
         \nOver ssh, `ssh -X` forwards a display. `cargo xtask setup --group test` installs Xvfb."
    )
}

fn open(
    options: Options,
    about: About,
    names: &[&'static str],
    loops: Arc<dyn Loops>,
    finish: Signal,
) -> anyhow::Result<()> {
    let flags = gio::ApplicationFlags::NON_UNIQUE;
    let app = Application::new(Some("io.github.loopnest.Demo"), flags);
    app.register(gio::Cancellable::NONE).context("cannot register the application")?;
    let ui = MainWindow::new(&app, &about, names);
    let demo = Demo::start(ui, loops, about, options, finish);
    connect(&demo, names);
    shortcuts(&app, &demo);
    demo.ui.window.present();
    let options = demo.options();
    demo.ui.dark.set_active(options.dark);
    demo.ui.pause.set_active(options.pause_charts);
    // A scenario is all the activity there is.
    demo.ui.activity.set_active(!options.idle && !options.plays());
    demo.ui.many_tasks.set_active(options.many_tasks);
    demo.ui.log(&format!("{}: {}", demo.about().name, demo.about().summary));
    for limit in demo.about().limits {
        demo.ui.log(&format!("known limit: {limit}"));
    }
    if !session::has_bus() {
        demo.ui.log("no session bus answers: no calls to it, and no screen reader");
    }
    demo.keep_sampling();
    if let Some(time) = options.exit_after {
        let (half, end) = (demo.clone(), demo.clone());
        after(time / 2, move || half.half_time());
        after(time, move || end.quit());
    }
    if let Some(file) = &options.post_mortem {
        demo.post_mortem(PostMortem::read(file)?.case());
    } else if !options.again {
        perform(&demo)?;
    }
    Ok(())
}

/// What the command line wants to see.
fn perform(demo: &Rc<Demo>) -> anyhow::Result<()> {
    let options = demo.options();
    if let Some(name) = &options.scenario {
        let program = Registry::default().scenario(name)?;
        let shown = demo.clone();
        // When the window has settled: what it takes to show it is not the scenario's doing.
        after(Duration::from_millis(1000), move || {
            match Play::start(program, &shown.loops, &shown.log) {
                Ok(play) => shown.play(play),
                Err(error) => {
                    eprintln!("error: {error:#}");
                    shown.quit_with(1);
                }
            }
        });
    }
    if let Some(kind) = options.open {
        let demo = demo.clone();
        // A plain timeout, as a click is a plain callback.
        glib::timeout_add_local_once(Duration::from_millis(1000), move || demo.press(kind));
    }
    Ok(())
}

fn connect(demo: &Rc<Demo>, names: &[&'static str]) {
    let ui = &demo.ui;
    for (kind, button) in &ui.buttons {
        let (kind, demo) = (*kind, Rc::downgrade(demo));
        button.connect_clicked(move |_| {
            if let Some(demo) = demo.upgrade() {
                demo.press(kind);
            }
        });
    }
    let names = names.to_vec();
    let weak = Rc::downgrade(demo);
    ui.strategies.connect_selected_notify(move |list| {
        let name = names.get(list.selected() as usize);
        if let (Some(demo), Some(name)) = (weak.upgrade(), name) {
            change_strategy(&demo, name);
        }
    });
    let weak = Rc::downgrade(demo);
    ui.activity.connect_toggled(move |toggle| {
        if let Some(demo) = weak.upgrade() {
            demo.set_activity(toggle.is_active());
        }
    });
    let weak = Rc::downgrade(demo);
    ui.many_tasks.connect_toggled(move |toggle| {
        if let Some(demo) = weak.upgrade() {
            demo.set_many_tasks(toggle.is_active());
        }
    });
    let weak = Rc::downgrade(demo);
    ui.pause.connect_toggled(move |_| {
        if let Some(demo) = weak.upgrade() {
            demo.keep_sampling();
        }
    });
    ui.dark.connect_toggled(|toggle| {
        if let Some(settings) = gtk4::Settings::default() {
            settings.set_gtk_application_prefer_dark_theme(toggle.is_active());
        }
    });
    let weak = Rc::downgrade(demo);
    ui.window.connect_close_request(move |_| {
        if let Some(demo) = weak.upgrade() {
            demo.quit();
        }
        glib::Propagation::Stop
    });
    spin(demo);
}

/// Draws the spinner: an arc that stands elsewhere in every frame.
fn spin(demo: &Rc<Demo>) {
    let weak = Rc::downgrade(demo);
    demo.ui.spinner.set_draw_func(move |area, cr, width, height| {
        let Some(demo) = weak.upgrade() else { return };
        let angle = demo.frames.n() as f64 * 0.12;
        let (x, y) = (f64::from(width) / 2.0, f64::from(height) / 2.0);
        let ink = area.style_context().color();
        let alpha = if demo.is_active() { 0.9 } else { 0.3 };
        cr.set_source_rgba(ink.red().into(), ink.green().into(), ink.blue().into(), alpha);
        cr.set_line_width(3.0);
        cr.arc(x, y, x - 4.0, angle, angle + 4.4);
        // The surface remembers an error by itself.
        let _ = cr.stroke();
    });
}

/// The strategy that owns the outer loop is on the stack, so another one needs another process.
fn change_strategy(demo: &Rc<Demo>, name: &str) {
    if name == demo.about().name {
        return;
    }
    let Some(file) = &demo.options().next else {
        demo.ui.log("started without its supervisor: the strategy cannot be changed");
        return;
    };
    match std::fs::write(file, name) {
        Ok(()) => demo.quit_with(NEXT),
        Err(error) => demo.ui.log(&format!("cannot start anew: {error}")),
    }
}

/// What a shortcut does.
type Job = Box<dyn Fn(&Rc<Demo>)>;

fn shortcuts(app: &Application, demo: &Rc<Demo>) {
    let action = |name: &str, keys: &[&str], job: Job| {
        let action = gio::SimpleAction::new(name, None);
        let weak = Rc::downgrade(demo);
        action.connect_activate(move |_, _| {
            if let Some(demo) = weak.upgrade() {
                job(&demo);
            }
        });
        demo.ui.window.add_action(&action);
        app.set_accels_for_action(&format!("win.{name}"), keys);
    };
    for (i, kind) in Kind::ALL.into_iter().enumerate() {
        let keys = format!("<Control>{}", i + 1);
        action(kind.name(), &[&keys], Box::new(move |demo| demo.press(kind)));
    }
    let toggle = |toggle: &gtk4::ToggleButton| {
        let toggle = toggle.clone();
        Box::new(move |_: &Rc<Demo>| toggle.set_active(!toggle.is_active())) as Job
    };
    action("activity", &["<Control>t"], toggle(&demo.ui.activity));
    action("many-tasks", &["<Control>m"], toggle(&demo.ui.many_tasks));
    action("pause", &["<Control>p"], toggle(&demo.ui.pause));
    action("dark", &["<Control>d"], toggle(&demo.ui.dark));
    action("quit", &["<Control>q", "<Control>w"], Box::new(|demo| demo.quit()));
}
