//! A test in a process of its own that must not say a word.
//!
//! GLib's warnings and criticals go to standard error by default, those of `g_log` and those of
//! `g_log_structured` alike, from whatever thread. A handler inside the process would have to be
//! set for both, and would miss what is said while the process ends.

use std::process::{Command, Stdio};

/// Set in the child.
const CHILD: &str = "LOOPNEST_TEST_CHILD";

/// What a child did.
#[derive(Debug)]
pub struct Said {
    /// Whether its test passed.
    pub passed: bool,
    /// Its standard error.
    pub stderr: String,
}

/// Runs `body`, the body of the test called `test`, in a child. In the child nothing is returned.
///
/// # Panics
/// When there is no child; in the child with the panic of `body`.
pub fn run(test: &str, body: impl FnOnce()) -> Option<Said> {
    if std::env::var_os(CHILD).is_some() {
        body();
        return None;
    }
    let program = std::env::current_exe().expect("the path of this test");
    let output = Command::new(program)
        .args([test, "--exact", "--nocapture"])
        .env(CHILD, "1")
        .stdin(Stdio::null())
        .output()
        .expect("a child");
    let stdout = String::from_utf8_lossy(&output.stdout);
    print!("{stdout}");
    assert!(stdout.contains("running 1 test"), "there is no test called {test}");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Some(Said { passed: output.status.success(), stderr })
}

/// As [`run`], and the child must pass without a word on standard error.
///
/// # Panics
/// When it does not.
pub fn run_silent(test: &str, body: impl FnOnce()) {
    if let Some(said) = run(test, body) {
        assert!(said.passed, "the child failed:\n{}", said.stderr);
        assert!(said.stderr.is_empty(), "the child said:\n{}", said.stderr);
    }
}
