//! The program as a user sees it, on machines that are simulated with shell scripts.
#![cfg(unix)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use common::{Bare, ROOT, USER, YES};

const GLIB_TOO_OLD: &str =
    r#"case "$1" in --modversion) echo 2.72.4; echo 2.72.4;; *) exit 1;; esac"#;

/// A fake manager that prints its arguments, and installs by writing programs to the PATH.
const INSTALLS: &str = r#"
echo "chatter: $*"
for program in cc pkg-config valgrind dbus-run-session; do
    printf '#!/bin/sh\nexit 0\n' > "$BIN/$program"
    /bin/chmod +x "$BIN/$program"
done"#;

#[test]
fn without_a_package_manager_setup_lists_the_packages_and_fails() {
    let machine = Bare::new("no-manager");
    for args in [&["setup"][..], &["setup", "--dry-run"], &["run", "--strategy", "nested"]] {
        let seen = machine.xtask(args);
        assert_eq!(seen.code, Some(5), "{seen:?}");
        assert_eq!(seen.out, "", "{seen:?}");
        for word in ["libglib2.0-dev", "pkgconf-pkg-config", "GLib >= 2.74", "by hand"] {
            assert!(seen.err.contains(word), "{word}: {seen:?}");
        }
    }
}

#[test]
fn dry_run_prints_the_commands_and_runs_none() {
    let machine = Bare::new("dry-run").with("id", ROOT).with("apt-get", "touch $BIN/was-run");
    let seen = machine.xtask(&["setup", "--dry-run"]);
    assert_eq!(seen.code, Some(0), "{seen:?}");
    let apt = "env DEBIAN_FRONTEND=noninteractive apt-get";
    let install = format!("{apt} install -y --no-install-recommends -o DPkg::Lock::Timeout=120");
    assert_eq!(
        seen.out,
        format!(
            "{apt} update\n\
             {install} gcc libc6-dev pkg-config libglib2.0-dev\n\
             {install} libgtk-4-dev librsvg2-common\n\
             {install} valgrind dbus-daemon xvfb xdotool openbox at-spi2-core\n"
        )
    );
    assert!(!machine.folder.join("bin/was-run").exists());
}

#[test]
fn a_group_can_be_chosen_and_a_user_needs_sudo() {
    let machine = Bare::new("group").with("id", USER).with("sudo", YES).with("dnf", YES);
    let seen = machine.xtask(&["setup", "--dry-run", "--group", "test"]);
    let packages = "valgrind dbus-daemon xorg-x11-server-Xvfb xdotool openbox at-spi2-core";
    assert_eq!(seen.out, format!("sudo dnf install -y {packages}\n"), "{seen:?}");
    let seen = machine.xtask(&["setup", "--dry-run", "--group", "demo"]);
    assert_eq!(seen.out, "sudo dnf install -y gtk4-devel\n", "{seen:?}");
}

#[test]
fn if_nothing_is_missing_setup_says_so_and_runs_nothing() {
    let machine = Bare::complete("complete").with("dnf", "exit 9").with("id", ROOT);
    for args in [&["setup"][..], &["setup", "--dry-run"]] {
        let seen = machine.xtask(args);
        assert_eq!((seen.code, seen.err.as_str()), (Some(0), ""), "{seen:?}");
        assert!(
            seen.out.starts_with("nothing is missing: C compiler, pkg-config, GLib"),
            "{seen:?}"
        );
    }
}

#[test]
fn missing_packages_are_installed_and_their_output_stays_out_of_the_result() {
    let machine = Bare::new("install")
        .with("id", USER)
        .with("sudo", r#"exec "$@""#)
        .with("dnf", INSTALLS)
        .with("cargo", "echo the harness");
    let seen = machine.xtask(&["run"]);
    assert_eq!((seen.code, seen.out.as_str()), (Some(0), "the harness\n"), "{seen:?}");
    let asked = "chatter: install -y gcc pkgconf-pkg-config glib2-devel";
    assert!(seen.err.contains(asked), "{seen:?}");
    // `run` does not need the tools of the tests.
    assert!(!seen.err.contains("valgrind"), "{seen:?}");
}

#[test]
fn a_glib_that_is_still_too_old_is_reported_with_its_version() {
    let machine = Bare::complete("too-old")
        .with("pkg-config", GLIB_TOO_OLD)
        .with("id", ROOT)
        .with("dnf", YES);
    let seen = machine.xtask(&["setup"]);
    assert_eq!(seen.code, Some(5), "{seen:?}");
    assert!(seen.err.contains("missing: GLib >= 2.74"), "{seen:?}");
    assert!(seen.err.contains("packages have GLib 2.72.4, but GLib >= 2.74 is needed"), "{seen:?}");
}

#[test]
fn without_root_and_sudo_setup_prints_the_commands_to_run_as_root() {
    let machine = Bare::new("no-rights").with("id", USER).with("dnf", "exit 9");
    let seen = machine.xtask(&["setup"]);
    assert_eq!(seen.code, Some(5), "{seen:?}");
    assert!(seen.err.contains("run this as root"), "{seen:?}");
    assert!(seen.err.contains("\n  dnf install -y gcc pkgconf-pkg-config glib2-devel"), "{seen:?}");
}

#[test]
fn a_failed_installation_says_what_to_check() {
    let machine = Bare::new("install-fails").with("id", ROOT).with("pacman", "exit 1");
    let seen = machine.xtask(&["setup"]);
    assert_eq!(seen.code, Some(5), "{seen:?}");
    assert!(seen.err.contains("failed (exit code 1); if pacman does not know"), "{seen:?}");
}

#[test]
fn a_missing_test_tool_is_only_a_note_if_the_build_is_complete() {
    let machine = Bare::complete("no-valgrind").with("cargo", YES);
    fs::remove_file(machine.folder.join("bin/valgrind")).unwrap();
    let seen = machine.xtask(&["test", "--only", "valgrind"]);
    assert_eq!(seen.code, Some(0), "{seen:?}");
    assert!(seen.err.contains("note: this machine lacks packages"), "{seen:?}");
    assert!(seen.out.contains("skipped      0.0  valgrind is not installed; "), "{seen:?}");
}

#[test]
fn setup_itself_fails_if_a_test_tool_cannot_be_installed() {
    let machine = Bare::complete("no-valgrind-setup").with("id", ROOT);
    fs::remove_file(machine.folder.join("bin/valgrind")).unwrap();
    let seen = machine.xtask(&["setup"]);
    assert_eq!(seen.code, Some(5), "{seen:?}");
    // Homebrew has no such package, and the user could do nothing about it.
    let machine = machine.with("brew", "exit 9");
    let seen = machine.xtask(&["setup"]);
    assert_eq!(seen.code, Some(0), "{seen:?}");
    assert!(seen.err.contains("note: brew has no valgrind"), "{seen:?}");
}

#[test]
fn run_passes_arguments_exit_code_and_standard_output_through() {
    let machine = Bare::complete("run").with("cargo", r#"printf '<%s>' "$@"; exit 43"#);
    let seen = machine.xtask(&["run", "-s", "nested", "-c", "*dialog*", "--", "--help", ""]);
    assert_eq!(seen.code, Some(43), "{seen:?}");
    assert_eq!(
        seen.out,
        "<run><--quiet><--package><harness><--><-s><nested><-c><*dialog*><--><--help><>"
    );
}

/// GLib is installed and GTK is not.
const NO_GTK: &str = r#"case "$*" in *gtk4*) exit 1;; esac"#;

#[test]
fn without_gtk_the_tests_run_and_leave_out_the_window() {
    let machine = Bare::complete("no-gtk").with("pkg-config", NO_GTK).with("cargo", YES);
    let seen = machine.xtask(&["test", "--only", "clippy", "--only", "gui"]);
    assert_eq!(seen.code, Some(0), "{seen:?}");
    assert!(seen.err.contains("clippy --workspace --exclude gui-demo"), "{seen:?}");
    assert!(seen.out.contains("gui        skipped      0.0  GTK is not installed"), "{seen:?}");
}

#[test]
fn the_demo_needs_gtk_and_the_harness_does_not() {
    let machine = Bare::complete("demo").with("pkg-config", NO_GTK).with("cargo", "echo runs");
    let seen = machine.xtask(&["demo"]);
    assert_eq!((seen.code, seen.out.as_str()), (Some(5), ""), "{seen:?}");
    assert!(seen.err.contains("libgtk-4-dev"), "{seen:?}");
    assert_eq!(machine.xtask(&["run"]).out, "runs\n");
    let machine = machine.with("pkg-config", YES);
    assert_eq!(machine.xtask(&["demo"]).out, "runs\n");
}

#[test]
fn run_dies_of_the_signal_that_killed_the_harness() {
    let machine = Bare::complete("signal").with("cargo", "kill -TERM $$");
    assert_eq!(machine.xtask(&["run"]).code, None);
}

#[test]
fn test_continues_after_a_failure_and_ends_with_the_table() {
    let cargo =
        r#"case "$1 $2" in "clippy --workspace") exit 101;; "deny --version") exit 1;; esac"#;
    let harness = "target/debug/harness";
    let machine = Bare::complete("test").with("cargo", cargo).with_file(harness, "#!/bin/sh\n");
    let harness = machine.folder.join("workspace").join(harness);
    fs::set_permissions(harness, fs::Permissions::from_mode(0o755)).unwrap();
    let seen = machine.xtask(&["test"]);
    assert_eq!(seen.code, Some(1), "{seen:?}");
    assert!(seen.err.contains("==> format: cargo fmt --all --check\n"), "{seen:?}");
    assert!(seen.err.contains("==> readme: cargo xtask readme --check --harness "), "{seen:?}");
    assert!(seen.err.contains("==> deny: skipped: cargo-deny is not installed"), "{seen:?}");
    let again = "exit code 101; again: cargo xtask test --only clippy\n";
    assert!(seen.out.contains(again), "{seen:?}");
    let last = seen.out.lines().last().unwrap();
    assert!(last.starts_with("8 ok, 1 failed, 7 skipped in "), "{seen:?}");
}

#[test]
fn every_failing_example_is_counted() {
    let machine = Bare::complete("valgrind")
        .with("cargo", YES)
        .with("valgrind", "exit 1")
        .with_file("strategies/examples/one.rs", "")
        .with_file("strategies/examples/two.rs", "");
    let seen = machine.xtask(&["test", "--only", "valgrind"]);
    assert_eq!(seen.code, Some(1), "{seen:?}");
    assert!(seen.err.contains("target/debug/examples/two"), "{seen:?}");
    assert!(seen.out.contains("exit code 1; and 1 more; again: "), "{seen:?}");
}

#[test]
fn test_list_runs_nothing() {
    let machine = Bare::complete("list").with("cargo", "[ \"$2\" = --version ]");
    let seen = machine.xtask(&["test", "--list", "--skip", "loom"]);
    assert_eq!((seen.code, seen.err.as_str()), (Some(0), ""), "{seen:?}");
    assert!(seen.out.starts_with("format     cargo fmt --all --check\n"), "{seen:?}");
    assert!(!seen.out.lines().any(|line| line.starts_with("loom")), "{seen:?}");
}

#[test]
fn an_unknown_or_empty_selection_is_a_usage_error() {
    let machine = Bare::complete("usage").with("cargo", "exit 9");
    let seen = machine.xtask(&["test", "--only", "matrx"]);
    assert_eq!(seen.code, Some(2), "{seen:?}");
    assert!(seen.err.contains("a similar value exists: 'matrix'"), "{seen:?}");
    let seen = machine.xtask(&["test", "--only", "doc", "--skip", "doc"]);
    assert_eq!(seen.code, Some(2), "{seen:?}");
    assert!(seen.err.contains("leave no step to run"), "{seen:?}");
}

#[test]
fn readme_updates_the_documents_and_check_finds_a_stale_one() {
    let page = "top\n<!-- BEGIN matrix: cargo xtask readme -->\n<!-- END matrix -->\n";
    let cargo =
        "case \"$*\" in *'list rules'*) echo '## lost';; *) echo '| nested | stall |';; esac";
    let machine = Bare::complete("readme")
        .with("cargo", cargo)
        .with_file("METHODOLOGY.md", &page.replace("matrix", "rules"))
        .with_file("papers/stall-or-spin/matrix.json", "{}")
        .with_file("papers/stall-or-spin/paper.md", page)
        .with_file("README.md", page);
    let seen = machine.xtask(&["readme", "--check"]);
    assert_eq!(seen.code, Some(1), "{seen:?}");
    assert!(seen.err.contains("run `cargo xtask readme` and commit"), "{seen:?}");
    assert!(seen.err.contains("paper.md:3"), "{seen:?}");
    assert_eq!(machine.file("README.md"), page);

    assert_eq!(machine.xtask(&["readme"]).code, Some(0));
    for name in ["README.md", "papers/stall-or-spin/paper.md"] {
        assert!(machine.file(name).contains("\n| nested | stall |\n"), "{name}");
    }
    assert!(machine.file("METHODOLOGY.md").contains("\n## lost\n"));
    assert_eq!(machine.xtask(&["readme", "--check"]).code, Some(0));
}

#[test]
fn readme_says_how_to_get_what_is_missing() {
    let machine = Bare::complete("readme-lacks").with("cargo", "echo x");
    let seen = machine.xtask(&["readme"]);
    assert!(seen.err.contains("`cargo xtask readme --record` measures one"), "{seen:?}");
    let machine = machine
        .with_file("papers/stall-or-spin/matrix.json", "{}")
        .with_file("README.md", "no markers\n");
    let seen = machine.xtask(&["readme"]);
    assert!(seen.err.contains("cannot update README.md: no begin marker"), "{seen:?}");
}

#[test]
fn a_record_with_an_unexpected_verdict_does_not_change_the_documents() {
    let machine = Bare::complete("record").with("cargo", "exit 1");
    let seen = machine.xtask(&["readme", "--record"]);
    assert_eq!(seen.code, Some(1), "{seen:?}");
    assert!(seen.err.contains("--repeat 5 --format json --output papers/"), "{seen:?}");
    assert!(seen.err.contains("The documents were not changed"), "{seen:?}");
}

#[test]
fn mutants_writes_the_table_and_check_finds_a_stale_one() {
    let page = "top\n<!-- BEGIN mutants: cargo xtask mutants -->\n<!-- END mutants -->\n";
    // Each command catches a different mutant.
    let cargo = "case \"$*\" in *loopnest-core*) n=flag::late;; *) n=other::$4;; esac\n\
                 echo \"mutant: $n | it comes late | loom | 6\"";
    let machine = Bare::complete("mutants").with("cargo", cargo).with_file("PROTOCOLS.md", page);
    let row = "| `flag::late` | it comes late | loom | up to 10 |\n";
    let seen = machine.xtask(&["mutants"]);
    assert!(seen.out.contains(row), "{seen:?}");
    let seen = machine.xtask(&["mutants", "--check"]);
    assert_eq!(seen.code, Some(1), "{seen:?}");
    assert!(seen.err.contains("run `cargo xtask mutants --record` and commit"), "{seen:?}");
    assert_eq!(machine.file("PROTOCOLS.md"), page);

    assert_eq!(machine.xtask(&["mutants", "--record"]).code, Some(0));
    assert!(machine.file("PROTOCOLS.md").contains(row));
    assert_eq!(machine.xtask(&["mutants", "--check"]).code, Some(0));
}

#[test]
fn mutants_fails_if_one_is_not_caught_or_not_printed() {
    let machine = Bare::complete("mutants-free").with("cargo", "exit 1");
    assert_eq!(machine.xtask(&["mutants"]).code, Some(1));
    let seen = machine.with("cargo", YES).xtask(&["mutants", "--check"]);
    assert_eq!(seen.code, Some(1), "{seen:?}");
    assert!(seen.err.contains("printed no line"), "{seen:?}");
}

#[test]
fn loom_passes_its_bounds_on_and_fails_if_its_models_fail() {
    let machine = Bare::complete("loom").with("cargo", "exit 101");
    let seen = machine.xtask(&["loom", "--quick", "--preemptions", "2", "--model", "depth"]);
    assert_eq!(seen.code, Some(1), "{seen:?}");
    for part in ["LOOM_MAX_PREEMPTIONS=2 ", "--test loom ", " -- depth"] {
        assert!(seen.err.contains(part), "{part}: {seen:?}");
    }
    assert_eq!(machine.with("cargo", YES).xtask(&["loom"]).code, Some(0));
}
