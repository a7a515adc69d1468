//! The process with the window: creates it, and runs it on a strategy.
//!
//! The strategy decides which loop owns the thread; under `nested` it is tokio. So there is no
//! `application.run()` here: the code registers the application and opens its window, and the
//! strategy runs a future that completes when the window is closed.

use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use gtk4::prelude::*;
use gtk4::{Application, gdk, gio, glib};
use harness::Registry;
use harness::parent::die_with;
use loopnest_core::loops::Loops;
use loopnest_core::signal::Signal;
use loopnest_core::strategy::{About, Start};

use crate::blackbox::PostMortem;
use crate::cli::Options;
use crate::demo::Demo;
use crate::ending::Ending;
use crate::timer::after;
use crate::window::MainWindow;
use crate::{controls, session};

/// The exit code when there is no display.
pub const NO_DISPLAY: u8 = 5;

thread_local! {
    /// Keeps the demo alive: the strategy takes a future and a closure that are `Send`, and the
    /// demo is not.
    static DEMO: RefCell<Option<Rc<Demo>>> = const { RefCell::new(None) };
}

/// Runs the window until it is closed.
///
/// # Errors
/// When the strategy or the scenario is unknown or cannot be set up, or the supervisor is gone.
pub fn run(options: Options, parent: u32, registry: &Registry) -> anyhow::Result<ExitCode> {
    // A killed supervisor must not leave this window behind.
    die_with(parent, rustix::process::Signal::TERM)?;
    // `application.run()` would take these names from its arguments. Assistive technology and the
    // window manager identify the program by them.
    glib::set_prgname(Some("gui-demo"));
    glib::set_application_name("loopnest");
    // Only on X11 can we draw what a busy loop keeps GTK from drawing.
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
            let ending = Ending::new(exit.clone(), finish.clone());
            let opened = open(options, about, &names, loops, ending);
            if let Err(error) = opened {
                eprintln!("error: {error:#}");
                exit.store(1, Ordering::Relaxed);
                finish.set();
            }
            Box::pin(finish)
        })
    };
    strategy.run(start)?;
    let demo = DEMO.take();
    drop(demo);
    Ok(ExitCode::from(exit.load(Ordering::Relaxed)))
}

/// The error for a missing display, with what to do about it.
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
    ending: Ending,
) -> anyhow::Result<()> {
    let flags = gio::ApplicationFlags::NON_UNIQUE;
    let app = Application::new(Some("io.github.loopnest.Demo"), flags);
    app.register(gio::Cancellable::NONE).context("cannot register the application")?;
    let ui = MainWindow::new(&app, &about, names);
    let demo = Demo::start(ui, loops, about, options, ending);
    DEMO.set(Some(demo.clone()));
    controls::connect(&demo, names);
    controls::shortcuts(&app, &demo);
    demo.ui.window.present();
    let options = &demo.options;
    demo.ui.dark.set_active(options.dark);
    demo.ui.pause.set_active(options.pause_charts);
    // A scenario brings its own activity, so the other one stays off.
    demo.ui.activity.set_active(!options.idle && !options.plays());
    demo.ui.many_tasks.set_active(options.many_tasks);
    demo.ui.log(&format!("{}: {}", demo.about.name, demo.about.summary));
    for limit in demo.about.limits {
        demo.ui.log(&format!("known limit: {limit}"));
    }
    if !session::has_bus() {
        demo.ui.log("no session bus answers: no D-Bus calls, and no screen reader");
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

/// Plays the scenario or opens the dialog that the command line asked for.
fn perform(demo: &Rc<Demo>) -> anyhow::Result<()> {
    let options = &demo.options;
    if let Some(name) = &options.scenario {
        let program = Registry::default().scenario(name)?;
        let demo = demo.clone();
        // After the window has settled: the scenario must not be charged for showing it.
        after(Duration::from_millis(1000), move || demo.play(program));
    }
    if let Some(kind) = options.open {
        let demo = demo.clone();
        // A plain timeout, like the plain callback of a click.
        glib::timeout_add_local_once(Duration::from_millis(1000), move || demo.press(kind));
    }
    Ok(())
}
