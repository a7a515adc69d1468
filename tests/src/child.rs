//! A test in a separate process that must not print anything to standard error.
//!
//! By default GLib's warnings and criticals go to standard error, from both `g_log` and
//! `g_log_structured`, on any thread. A handler inside the process would have to be set for both,
//! and would miss what is logged while the process ends.

use std::process::{Command, Stdio};

use crate::bus::PrivateBus;

/// Set in the child.
const CHILD: &str = "LOOPNEST_TEST_CHILD";

/// What a child did.
#[derive(Debug)]
pub struct Said {
    /// Whether the test passed.
    pub passed: bool,
    /// Its standard error.
    pub stderr: String,
}

/// Runs `body`, the body of the test named `test`, in a child. Returns `None` in the child.
///
/// # Panics
/// When the child cannot be started; in the child with the panic of `body`.
pub fn run(test: &str, body: impl FnOnce()) -> Option<Said> {
    if is_child() {
        body();
        return None;
    }
    Some(spawn(test, &[]))
}

/// Like [`run`], and the child must pass without printing anything to standard error.
///
/// # Panics
/// When it does not.
pub fn run_silent(test: &str, body: impl FnOnce()) {
    if let Some(said) = run(test, body) {
        said.must_be_silent();
    }
}

/// Like [`run_silent`], with a private session bus for the child.
///
/// # Panics
/// When the child does not pass in silence, or there is no bus.
pub fn run_silent_with_bus(test: &str, body: impl FnOnce()) {
    if is_child() {
        return body();
    }
    let bus = PrivateBus::start();
    spawn(test, &[("DBUS_SESSION_BUS_ADDRESS", bus.address())]).must_be_silent();
}

/// Whether this is the child.
pub fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Runs the test named `test` in a child with these variables.
///
/// # Panics
/// When the child cannot be started.
pub fn spawn(test: &str, environment: &[(&str, &str)]) -> Said {
    let program = std::env::current_exe().expect("the path of this test");
    let output = Command::new(program)
        .args([test, "--exact", "--nocapture"])
        .env(CHILD, "1")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("a child");
    let stdout = String::from_utf8_lossy(&output.stdout);
    print!("{stdout}");
    assert!(stdout.contains("running 1 test"), "there is no test named {test}");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Said { passed: output.status.success(), stderr }
}

impl Said {
    fn must_be_silent(&self) {
        assert!(self.passed, "the child failed:\n{}", self.stderr);
        assert!(self.stderr.is_empty(), "the child printed:\n{}", self.stderr);
    }
}
