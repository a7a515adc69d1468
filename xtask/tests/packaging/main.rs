//! What a program that takes the strategies gets: which crates, and which symbols.
//!
//! Each test makes a stranger's package in a folder of its own and asks cargo. The versions are those
//! of this workspace's lock file, and what is compiled goes into its target folder.
#![cfg(unix)]

mod stranger;

use std::collections::BTreeSet;

use stranger::{Stranger, root, text};

const GTK: &str = "gtk4 = \"*\"\n";
const TOKIO: &str = "tokio = { version = \"*\", features = [\"net\", \"rt\", \"time\"] }\n";

/// The names in the list that is committed.
fn held() -> BTreeSet<String> {
    let list = include_str!("crates.lock").lines();
    list.filter(|line| !line.starts_with('#')).map(String::from).collect()
}

/// The crates that a package is built of, each with its version.
fn crates(stranger: &Stranger) -> BTreeSet<String> {
    let seen = stranger.cargo(&["tree", "-e", "normal", "--prefix", "none", "--no-dedupe"]);
    assert!(seen.success, "{}", seen.err);
    // The name, the version, and where it is if that is a folder.
    let named = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    seen.out.lines().filter(|line| !line.is_empty()).map(named).collect()
}

#[test]
fn an_application_takes_the_crates_of_the_list_and_no_more() {
    let without = crates(&Stranger::new("without", &format!("{GTK}{TOKIO}"), ""));
    let strategies = strategies("");
    let with = crates(&Stranger::new("with", &format!("{GTK}{TOKIO}{strategies}"), ""));
    let more: Vec<&String> = with.difference(&without).filter(|it| *it != "with v0.0.0").collect();
    assert!(more.len() <= 10, "{more:?}");
    let name = |it: &&String| it.split(' ').next().map(String::from);
    let names: BTreeSet<String> = more.iter().filter_map(name).collect();
    assert_eq!(names, held(), "see packaging/crates.lock");
}

#[test]
fn without_the_hook_a_program_defines_no_epoll_wait() {
    let job = text("strategies/examples/jobs.rs");
    let defined = |name: &str, flags: &str| {
        let names = ["anyhow", "gio", "glib"].map(|name| format!("{name} = \"*\"\n")).concat();
        let stranger = Stranger::new(name, &format!("{names}{TOKIO}{}", strategies(flags)), &job);
        stranger.defines("epoll_wait")
    };
    assert!(!defined("hookless", ", default-features = false"));
    // The same look finds it where it is.
    assert!(defined("hooked", ", default-features = false, features = [\"epoll-hook\"]"));
}

#[test]
fn two_versions_of_the_hook_in_one_program_are_refused() {
    let stranger = Stranger::new("two_hooks", &strategies(""), "");
    let other = stranger.folder().join("other");
    let manifest = "[package]\nname = \"loopnest-epoll-hook\"\nversion = \"0.0.1\"\n\
                    edition = \"2024\"\nlinks = \"loopnest_epoll_wait\"\nbuild = \"build.rs\"\n";
    stranger.write("other/Cargo.toml", manifest);
    stranger.write("other/build.rs", "fn main() {}\n");
    stranger.write("other/src/lib.rs", "");
    assert!(stranger.cargo(&["tree"]).success, "one is no reason to refuse");

    stranger.depend(&format!(
        "older = {{ package = \"loopnest-epoll-hook\", path = {:?} }}\n",
        other.display().to_string()
    ));
    let seen = stranger.cargo(&["tree"]);
    assert!(!seen.success, "{}", seen.out);
    assert!(seen.err.contains("loopnest_epoll_wait"), "{}", seen.err);
}

/// The dependency on the strategies of this workspace.
fn strategies(flags: &str) -> String {
    let path = root().join("strategies").display().to_string();
    format!("loopnest-strategies = {{ path = {path:?}{flags} }}\n")
}
