//! The examples do what they say, and print nothing to standard error.
//!
//! CI also runs them under valgrind, if it is installed.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Where cargo puts an example: beside the folder that this test was built into.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this test's own path");
    let profile = test.ancestors().nth(2).expect("a test is in target/<profile>/deps");
    let path = profile.join("examples").join(name);
    assert!(
        path.exists(),
        "{} is missing: build it with `cargo build --workspace --examples`",
        path.display()
    );
    path
}

/// The lines that a command prints.
fn lines(command: &mut Command) -> Vec<String> {
    let output = command.stdin(Stdio::null()).output().expect("a process");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{stderr}", output.status);
    assert!(stderr.is_empty(), "{command:?} said:\n{stderr}");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

fn run(name: &str) -> Vec<String> {
    lines(&mut Command::new(example(name)))
}

#[test]
fn session_bus_connects_and_asks() {
    // The daemon may complain about its limit of descriptors. The example's standard error goes to
    // its standard output, where it would be an extra line.
    let script = r#"exec "$0" 2>&1"#;
    let mut command = Command::new("dbus-run-session");
    command.args(["--", "sh", "-c", script]).arg(example("session_bus")).stderr(Stdio::null());
    let lines = lines(&mut command);
    let [connected, id] = &lines[..] else { panic!("{lines:?}") };
    assert!(connected.starts_with("connected as :1."), "{lines:?}");
    let id = id.strip_prefix("the bus is ").expect("the id of the bus");
    assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{lines:?}");
}

#[test]
fn file_and_dialog_loads_while_the_dialog_is_open() {
    let lines = run("file_and_dialog");
    let [given_up, opens, loaded, closed, elsewhere] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(given_up, "a read of a silent socket timed out");
    assert_eq!(opens, "the dialog opens");
    assert_eq!(loaded, "loaded \"file_and_dialog\" while the dialog was open");
    assert_eq!(closed, "the dialog is closed");
    let read = elsewhere.strip_prefix("another thread's task loaded ");
    let read = read.and_then(|read| read.strip_suffix(" bytes"));
    assert!(read.is_some_and(|n| n.parse().is_ok_and(|n: u32| n > 0)), "{lines:?}");
}

#[test]
fn nested_loop_echoes_while_the_dialog_is_open() {
    let lines = run("nested_loop");
    assert!(matches!(&lines[..], [line] if line.contains("bytes echoed")), "{lines:?}");
}

#[test]
fn tcp_client_gets_its_answers() {
    let lines = run("tcp_client");
    assert_eq!(lines[..3], ["hello 1", "hello 2", "hello 3"]);
    assert!(lines[3].starts_with("3 answers from 127.0.0.1:"), "{lines:?}");
}

#[test]
fn jobs_are_done_in_the_dialog() {
    let lines = run("jobs");
    let [name, done] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(name, "this program is \"jobs\"");
    let done = done.strip_prefix("in the dialog, at depth 2, ").expect("the second line");
    let bytes = done.strip_suffix(" bytes were loaded for tokio's thread");
    assert!(bytes.is_some_and(|n| n.parse().is_ok_and(|n: u32| n > 0)), "{lines:?}");
}
