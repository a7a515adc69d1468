//! A private desk for each test: an X server, a window manager, a session bus.
//!
//! Tests share nothing here, and nothing outlives the value that started it.

#![allow(dead_code, unused_imports, unused_macros, reason = "each test file uses a part of this")]

pub mod inside;
pub mod png;
pub mod reader;
pub mod session;
pub mod threads;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a test waits for an effect before it gives up. Far more than any effect takes, and not
/// a measurement.
pub const PATIENCE: Duration = Duration::from_secs(80);

/// The size of the screen.
const SCREEN: &str = "1024x768";

/// Time between two looks. A screen reader that asks more often keeps the program busy.
const BETWEEN: Duration = Duration::from_millis(60);

/// A process that is killed when this is dropped.
#[derive(Debug)]
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The desk.
#[derive(Debug)]
pub struct Desk {
    // Dropped in this order: the server's clients before the server.
    _window_manager: Running,
    bus: Option<Running>,
    _server: Running,
    display: String,
    bus_address: String,
    folder: TempDir,
}

impl Desk {
    /// A screen of 1024x768 with openbox on it, and no session bus.
    pub fn without_bus() -> Self {
        Self::start(SCREEN, false)
    }

    /// The same with a session bus, which starts assistive technology on demand.
    pub fn with_bus() -> Self {
        Self::start(SCREEN, true)
    }

    /// A screen of another size, without a session bus.
    pub fn with_screen(size: &str) -> Self {
        Self::start(size, false)
    }

    fn start(size: &str, with_bus: bool) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let size = format!("{size}x24");
        let screen = ["-screen", "0", &size, "-nolisten", "tcp", "-noreset"];
        let fbdir = folder.path().to_str().expect("a plain path").to_owned();
        // The server chooses a free number and prints it when it listens.
        let mut server = command("Xvfb", folder.path());
        server.args(["-displayfd", "1", "-fbdir", &fbdir]).args(screen);
        let (server, number) = start_and_read(server);
        let display = format!(":{}", number.trim());
        let (bus, bus_address) = if with_bus {
            let mut daemon = command("dbus-daemon", folder.path());
            daemon.args(["--session", "--nofork", "--nopidfile", "--print-address=1"]);
            // Services that the bus starts on demand need the screen too.
            daemon.env("DISPLAY", &display);
            let (bus, address) = start_and_read(daemon);
            (Some(bus), address.trim().to_owned())
        } else {
            // Not just unset: GLib would start a daemon that outlives everything.
            (None, "disabled:".to_owned())
        };
        let mut openbox = command("openbox", folder.path());
        openbox.env("DISPLAY", &display).env("DBUS_SESSION_BUS_ADDRESS", &bus_address);
        let window_manager = Running(spawn(openbox.stdout(Stdio::null())));
        let desk = Self {
            _window_manager: window_manager,
            bus,
            _server: server,
            display,
            bus_address,
            folder,
        };
        wait_for("the window manager", || desk.has_window_manager().then_some(()));
        desk
    }

    /// Whether the window manager answers.
    fn has_window_manager(&self) -> bool {
        let ran = self.xdotool(&["get_num_desktops"]);
        ran.is_ok()
    }

    /// A command that sees this desk and none of the user's settings.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut cmd = command(program, self.folder.path());
        cmd.env("DISPLAY", &self.display)
            .env("DBUS_SESSION_BUS_ADDRESS", &self.bus_address)
            .env("GDK_BACKEND", "x11")
            .env("GSK_RENDERER", "cairo")
            // Newer GTK looks for a GPU all the same, and Mesa says on stderr that there is none.
            .env("GDK_DISABLE", "gl,vulkan")
            .env("GSETTINGS_BACKEND", "memory")
            .env("GTK_USE_PORTAL", "0")
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("GTK_THEME");
        if self.bus.is_none() {
            // Assistive technology lives on the bus, and GTK complains when it cannot reach it.
            cmd.env("GTK_A11Y", "none");
        }
        cmd
    }

    /// Starts another bus, which never starts a service: no assistive technology.
    pub fn bare_bus(&self) -> (Running, String) {
        let config = self.folder.path().join("bus.conf");
        let listen = format!("unix:dir={}", self.folder.path().display());
        // The usual policy of a session bus.
        let policy = "<allow send_destination='*' eavesdrop='true'/>\
                      <allow eavesdrop='true'/><allow own='*'/>";
        let text = format!(
            "<busconfig><type>session</type><listen>{listen}</listen>\
             <policy context='default'>{policy}</policy></busconfig>"
        );
        fs::write(&config, text).expect("a configuration");
        let mut daemon = command("dbus-daemon", self.folder.path());
        daemon.args(["--nofork", "--nopidfile", "--print-address=1", "--config-file"]).arg(config);
        let (daemon, address) = start_and_read(daemon);
        (daemon, address.trim().to_owned())
    }

    /// Where the session bus listens.
    pub fn bus_address(&self) -> &str {
        &self.bus_address
    }

    /// Ends the session bus.
    pub fn kill_bus(&mut self) {
        drop(self.bus.take());
    }

    /// A folder that is deleted with the desk.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The picture of the whole screen, in the server's format (XWD).
    pub fn screen(&self) -> Vec<u8> {
        fs::read(self.folder.path().join("Xvfb_screen0")).expect("the server's framebuffer")
    }

    /// Runs xdotool; the error is its stderr.
    pub fn xdotool(&self, args: &[&str]) -> Result<String, String> {
        let output = self.command("xdotool").args(args).output();
        let output = output.unwrap_or_else(|error| panic!("{}", missing("xdotool", &error)));
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }

    /// Waits until the window with this title has the input focus; returns its id.
    pub fn wait_for_focus(&self, title: &str) -> String {
        wait_for(&format!("`{title}` to be the active window"), || {
            let id = self.xdotool(&["getactivewindow"]).ok()?;
            let name = self.xdotool(&["getwindowname", &id]).ok()?;
            (name == title).then_some(id)
        })
    }

    /// Presses keys in the window with this title.
    pub fn keys(&self, title: &str, keys: &str) {
        self.wait_for_focus(title);
        self.xdotool(&["key", keys]).expect("keys are pressed");
    }

    /// Waits until the window with this id and title is gone.
    pub fn wait_for_end(&self, id: &str, title: &str) {
        wait_for(&format!("`{title}` to close"), || (!self.is_open(id, title)).then_some(()));
    }

    fn is_open(&self, id: &str, title: &str) -> bool {
        self.xdotool(&["getwindowname", id]).is_ok_and(|name| name == title)
    }

    /// Makes the window manager close the window with this title. Alt+F4 is openbox's own binding.
    /// In one of some tens of runs the first press had no effect, so this presses until it has one.
    pub fn close_by_window_manager(&self, title: &str) {
        let id = self.wait_for_focus(title);
        let is_open = || self.is_open(&id, title);
        for press in 0.. {
            assert!(press < 10, "`{title}` does not close");
            self.xdotool(&["key", "alt+F4"]).expect("keys are pressed");
            let until = Instant::now() + PATIENCE / 10;
            while is_open() && Instant::now() < until {
                thread::sleep(BETWEEN);
            }
            if !is_open() {
                return;
            }
        }
    }
}

/// Calls `look` until it returns something.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    wait_until(what, || look().ok_or(""))
}

/// The same, but `look` reports what it found instead, for the panic message.
pub fn wait_until<T, S: std::fmt::Debug>(what: &str, look: impl FnMut() -> Result<T, S>) -> T {
    wait_within(PATIENCE, what, look)
}

/// The same, with another patience.
pub fn wait_within<T, S: std::fmt::Debug>(
    patience: Duration,
    what: &str,
    mut look: impl FnMut() -> Result<T, S>,
) -> T {
    let end = Instant::now() + patience;
    loop {
        let instead = match look() {
            Ok(found) => return found,
            Err(instead) => instead,
        };
        assert!(Instant::now() < end, "waited in vain for {what}; found {instead:?}");
        thread::sleep(BETWEEN);
    }
}

/// Where cargo puts the examples: beside the folder that this test was built into.
pub fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this test's own path");
    let profile = test.ancestors().nth(2).expect("a test is in target/<profile>/deps");
    let path = profile.join("examples").join(name);
    let shown = path.display();
    let make = "run `cargo build --workspace --examples`";
    assert!(path.exists(), "{shown} is missing: {make}");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    let changed = |path: &Path| path.metadata().and_then(|m| m.modified()).expect("a time");
    let fresh = changed(&source.with_extension("rs")) <= changed(&path);
    assert!(fresh, "{shown} is older than its source: {make}");
    path
}

/// The complaints of GLib and GTK in a log.
pub fn complaints(log: &str) -> Vec<&str> {
    const BAD: [&str; 5] = ["WARNING **", "CRITICAL **", "ERROR **", "-WARNING", "-CRITICAL"];
    const EXPECTED: [&str; 2] = [
        // Some dialogs are there to be warned of by our own crate.
        "loopnest-WARNING",
        // With a popover and no compositor, GTK 4.24 submits one frame from two places
        // (gdksurface-x11.c, gdkdisplay-x11.c); any program with a menu shows it on Xvfb.
        "gdk_frame_timings_submitted() called on submitted frame",
    ];
    let has = |line: &str, words: &[&str]| words.iter().any(|word| line.contains(word));
    log.lines().filter(|line| has(line, &BAD) && !has(line, &EXPECTED)).collect()
}

fn command(program: impl AsRef<std::ffi::OsStr>, folder: &Path) -> Command {
    let mut cmd = Command::new(program);
    cmd.stdin(Stdio::null())
        .env("XDG_RUNTIME_DIR", folder)
        .env("XDG_CONFIG_HOME", folder)
        .env("XDG_CACHE_HOME", folder)
        .env("XDG_DATA_HOME", folder)
        .env("HOME", folder)
        .env("LC_ALL", "C.UTF-8");
    cmd
}

fn spawn(cmd: &mut Command) -> Child {
    let program = cmd.get_program().to_string_lossy().into_owned();
    cmd.stderr(Stdio::null());
    cmd.spawn().unwrap_or_else(|error| panic!("{}", missing(&program, &error)))
}

fn missing(program: &str, error: &std::io::Error) -> String {
    format!("cannot start {program} ({error}); `cargo xtask setup --group test` installs it")
}

/// Starts a server that prints one line when it is ready.
fn start_and_read(mut cmd: Command) -> (Running, String) {
    let mut child = Running(spawn(cmd.stdout(Stdio::piped())));
    let mut line = String::new();
    if let Some(stdout) = child.0.stdout.take() {
        let _ = BufReader::new(stdout).read_line(&mut line);
    }
    assert!(!line.trim().is_empty(), "{:?} did not come up", cmd.get_program());
    (child, line)
}
