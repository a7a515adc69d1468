//! Builds and runs the README's first program as a newcomer would: copies its manifest and its
//! source from the README into a new crate outside this workspace.

mod common;

use std::fs::{self, File};
use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use atspi::Role;
use common::reader::{Node, Reader};
use common::{Desk, Running, wait_for};
use tempfile::TempDir;

/// The title of its window.
const TITLE: &str = "Lines";

/// The name of the crate, and so of the program.
const NAME: &str = "first_program";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace")
}

/// The first fenced block in this language.
fn block<'a>(page: &'a str, language: &str) -> &'a str {
    let fence = format!("```{language}\n");
    let rest = page.split_once(&fence).map(|(_, rest)| rest).expect("a block of this language");
    rest.split_once("```").expect("a block that ends").0
}

/// The manifest of the new crate. It takes our crate from this checkout, not from the README's
/// source.
fn manifest(page: &str, root: &Path) -> String {
    let ours = "loopnest-strategies = { git = \"https://github.com/loopnest/loopnest\"";
    let dependencies = block(page, "toml");
    assert_eq!(dependencies.matches(ours).count(), 1, "{dependencies}");
    let here = format!("loopnest-strategies = {{ path = {:?}", root.join("strategies"));
    let package = format!("[package]\nname = {NAME:?}\nversion = \"0.0.0\"\nedition = \"2024\"\n");
    // Its own workspace, because a folder above it may have one.
    format!("{package}\n{}\n[workspace]\n", dependencies.replace(ours, &here))
}

/// Builds the program and returns its path.
fn build(folder: &Path) -> PathBuf {
    let root = root();
    let page = fs::read_to_string(root.join("README.md")).expect("the README");
    fs::create_dir(folder.join("src")).expect("room");
    fs::write(folder.join("Cargo.toml"), manifest(&page, &root)).expect("room");
    fs::write(folder.join("src/main.rs"), block(&page, "rust")).expect("room");
    // The versions that everything here is tested with. They have been downloaded already.
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).expect("room");
    let test = std::env::current_exe().expect("this test's own path");
    // The workspace's own, so that GTK's bindings are not compiled once more.
    let target = test.ancestors().nth(3).expect("a test is in target/<profile>/deps");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--offline", "--target-dir"])
        .arg(target)
        // Nobody debugs it.
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .current_dir(folder)
        .output()
        .expect("cargo");
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success() && !said.contains("warning"), "{}: {said}", built.status);
    target.join("debug").join(NAME)
}

#[test]
fn the_first_program_builds_in_a_new_crate_and_shows_what_is_sent_to_it() {
    let folder = TempDir::new().expect("a temporary folder");
    let program = build(folder.path());
    let desk = Desk::with_bus();
    let log = desk.folder().join("err");
    let mut cmd = desk.command(program);
    let program = cmd.stderr(File::create(&log).expect("a file")).spawn().expect("the program");
    let mut program = Running(program);
    let reader = Reader::of(&desk, NAME);
    desk.wait_for_focus(TITLE);

    let is_label = |node: &Node| node.role == Role::Label && node.name.starts_with("nc ");
    let label = wait_for("the command", || reader.all().into_iter().find(is_label));
    let address = label.name.replace("nc ", "").replace(' ', ":");
    let mut stream = TcpStream::connect(address).expect("the program listens");
    stream.write_all(b"hello, GTK\n").expect("the program reads");
    reader.find(Role::Label, "hello, GTK");

    // Closed while a task still reads from its socket.
    desk.close_by_window_manager(TITLE);
    let status = wait_for("the end", || program.0.try_wait().ok().flatten());
    let said = fs::read_to_string(&log).expect("what it says");
    assert_eq!((status.code(), said.as_str()), (Some(0), ""));
}
