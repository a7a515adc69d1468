//! The steps of `cargo xtask test`: what each one runs, and when it cannot.
//!
//! A step turns what is known about the machine and the checkout into commands, or into the reason
//! why it cannot be done here. That is a pure function, so `--list`, the run and the tests of this
//! file all look at the same thing.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::command::{Cmd, cargo_of_workspace};
use crate::protocols;
use crate::published::{Package, Published};
use crate::site::Site;

/// One step, in the order in which they run: the quick ones first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Step {
    /// The code is formatted
    Format,
    /// No lint has anything to say
    Clippy,
    /// Unit and integration tests
    Tests,
    /// Every dialog under every strategy, in a real window
    Gui,
    /// The examples in the documentation run
    DocTests,
    /// The documentation builds, and its links lead somewhere
    Doc,
    /// The models of the cross-thread protocols hold
    Loom,
    /// The table of mutants in PROTOCOLS.md is what the tests say
    Mutants,
    /// Licences, bans and sources of the dependencies
    Deny,
    /// Every feature of a published package compiles, alone and with all others
    Features,
    /// The published packages compile outside of the workspace
    Package,
    /// They compile with the oldest Rust and the lowest versions that their manifests promise
    Oldest,
    /// What tokio does only with `tokio_unstable` (io-uring) is reckoned with
    Unstable,
    /// Every verdict is the expected one
    Matrix,
    /// The generated parts of the documents are what the harness prints
    Readme,
    /// The examples of the strategies neither leak nor read what they should not
    Valgrind,
}

/// What a step comes to on this machine.
#[derive(Debug, PartialEq, Eq)]
pub enum Work {
    /// `prepare` stops the step when it fails; `commands` all run, so that all failures are seen.
    Do { prepare: Vec<Cmd>, commands: Vec<Cmd> },
    /// Cannot be done here: why, and what would change that.
    Skip(String),
}

impl Step {
    /// The word on the command line and in the table.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().into()).unwrap_or_default()
    }

    /// What to do at this site.
    pub fn work(self, site: &Site) -> Work {
        match self {
            Self::Format if !site.rustfmt => component("rustfmt"),
            Self::Format => one(Cmd::line("cargo fmt --all --check")),
            Self::Clippy if !site.clippy => component("clippy"),
            Self::Clippy => {
                let cmd = workspace("clippy", site).arg("--all-targets");
                one(cmd.args(["--", "-D", "warnings"]))
            }
            Self::Tests => tests(site),
            Self::Gui if !site.gtk => Work::Skip(
                "GTK is not installed, so the window is neither built nor tested; \
                 `cargo xtask setup` gets it"
                    .into(),
            ),
            Self::Gui if !site.no_desk.is_empty() => {
                let names = site.no_desk.join(", ");
                Work::Skip(format!("{names} not installed; `cargo xtask setup` gets it"))
            }
            Self::Gui => gui(site),
            Self::DocTests => one(workspace("test", site).args(["--doc", "--no-fail-fast"])),
            Self::Doc => {
                let cmd = workspace("doc", site).arg("--no-deps");
                one(cmd.env("RUSTDOCFLAGS", "-D warnings"))
            }
            Self::Loom | Self::Mutants if !site.loom_models => {
                Work::Skip("core/tests/loom.rs is missing; it holds the models".into())
            }
            // The mutants have a step of their own.
            Self::Loom => {
                one(protocols::command(protocols::QUICK, None).args(["--", "--skip", "mutant"]))
            }
            Self::Mutants => one(Cmd::line("cargo xtask mutants --check")),
            Self::Deny if !site.deny => Work::Skip(
                "cargo-deny is not installed; `cargo install --locked cargo-deny` gets it".into(),
            ),
            Self::Deny => one(Cmd::line("cargo deny check licenses bans sources")),
            Self::Features | Self::Package | Self::Oldest => packaging(self, site),
            Self::Unstable => {
                let test = Cmd::line("cargo test --package loopnest-strategies --lib");
                let flags = test.env("RUSTFLAGS", "--cfg tokio_unstable");
                one(flags.env("CARGO_TARGET_DIR", &site.target.join("unstable").to_string_lossy()))
            }
            Self::Matrix => Work::Do {
                // A harness that misjudges a planted subject has nothing to say of the others.
                prepare: vec![build_harness(site), Cmd::program(harness(site)).arg("doctor")],
                // What is unexpected is run again by itself.
                commands: vec![
                    Cmd::program(harness(site))
                        .args("run --strategy all --format human".split(' ')),
                ],
            },
            Self::Readme => Work::Do {
                prepare: vec![build_harness(site)],
                commands: vec![
                    Cmd::line("cargo xtask readme --check --harness").arg(harness(site)),
                ],
            },
            Self::Valgrind if !site.valgrind => {
                Work::Skip("valgrind is not installed; `cargo xtask setup` gets it".into())
            }
            Self::Valgrind if site.examples.is_empty() => {
                Work::Skip("strategies/examples is empty; valgrind has nothing to run".into())
            }
            Self::Valgrind => valgrind(site),
        }
    }

    /// What an exit code of this step's command means, where it says more than failed.
    pub fn meaning(self, code: Option<i32>) -> Option<&'static str> {
        match (self, code?) {
            (Self::Matrix, 1) => Some("a verdict is not the expected one"),
            (Self::Matrix, 3) => Some("no surprise, but a cell is inconclusive"),
            (Self::Matrix, 4) => Some("no cell was run"),
            (Self::Matrix, 5) => {
                Some("the controls are misjudged here; see `cargo run -p harness -- doctor`")
            }
            (Self::Matrix, 70) => Some("the harness itself failed"),
            (Self::Format, 1) => Some("`cargo fmt --all` repairs it"),
            _ => None,
        }
    }
}

/// Which steps to run, in their own order whatever the order of the flags.
pub fn select(only: &[Step], skip: &[Step]) -> Vec<Step> {
    let wanted = |step: &Step| only.is_empty() || only.contains(step);
    let all = Step::value_variants().iter().copied();
    all.filter(wanted).filter(|step| !skip.contains(step)).collect()
}

fn one(cmd: Cmd) -> Work {
    Work::Do { prepare: Vec::new(), commands: vec![cmd] }
}

fn component(name: &str) -> Work {
    let remedy = format!("`rustup component add {name}`, or your distribution's package, gets it");
    Work::Skip(format!("{name} is not installed; {remedy}"))
}

fn workspace(command: &str, site: &Site) -> Cmd {
    cargo_of_workspace(command, site.gtk)
}

/// Kinds of targets are named because benchmarks must not run here, and because the two runners
/// would choose differently. That leaves out the examples.
const TARGETS: [&str; 4] = ["--lib", "--bins", "--tests", "--no-fail-fast"];

/// The same tests with either runner, the window's apart: they need a screen. Some start examples;
/// building these first also shows that they compile.
fn tests(site: &Site) -> Work {
    // nextest builds the whole workspace for both steps, so that nothing is compiled twice.
    let run = match (site.nextest, site.gtk) {
        (true, true) => nextest("not package(gui-demo)"),
        (true, false) => workspace("nextest run", site).args(TARGETS),
        (false, _) => Cmd::line("cargo test --workspace --exclude gui-demo").args(TARGETS),
    };
    Work::Do { prepare: vec![build_examples(site)], commands: vec![run] }
}

fn gui(site: &Site) -> Work {
    let run = if site.nextest {
        // Windows are mostly waited for; .config/nextest.toml has the limit.
        nextest("package(gui-demo)").args(["--test-threads", "3"])
    } else {
        Cmd::line("cargo test --package gui-demo").args(TARGETS)
    };
    Work::Do { prepare: vec![build_examples(site)], commands: vec![run] }
}

fn nextest(filter: &str) -> Cmd {
    Cmd::line("cargo nextest run --workspace").args(TARGETS).args(["-E", filter])
}

/// Of the whole workspace wherever examples are needed: features are unified over what is built, so
/// a smaller selection would compile the dependencies again.
fn build_examples(site: &Site) -> Cmd {
    workspace("build", site).arg("--examples")
}

/// The harness as the tests have built it: `cargo run --package harness`, and even `--bins` without
/// examples, would compile dependencies again, with fewer features.
fn build_harness(site: &Site) -> Cmd {
    workspace("build", site).args(["--bins", "--examples"])
}

fn harness(site: &Site) -> PathBuf {
    site.target.join("debug/harness")
}

/// Only definite leaks count, and only they are shown: GLib keeps many blocks for the life of the
/// process. The fair scheduler, because the default one can starve a thread for seconds.
fn valgrind(site: &Site) -> Work {
    let mut memcheck = Cmd::line(
        "valgrind --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
         --error-exitcode=1 --fair-sched=yes",
    );
    if site.suppressions {
        memcheck = memcheck.arg("--suppressions=strategies/valgrind.supp");
    }
    let folder = site.target.join("debug/examples");
    let check = |name: &String| {
        let example = memcheck.clone().arg(folder.join(name));
        let needs_bus = NEEDS_BUS.contains(&name.as_str());
        if needs_bus { example.through("dbus-run-session") } else { example }
    };
    Work::Do {
        prepare: vec![build_examples(site)],
        commands: site.examples.iter().map(check).collect(),
    }
}

/// The steps about what strangers get.
fn packaging(step: Step, site: &Site) -> Work {
    let Some(published) = &site.published else {
        return Work::Skip("the manifests cannot be read; cargo says why".into());
    };
    match step {
        Step::Oldest if !site.oldest_rust => toolchain(&published.rust),
        Step::Oldest if !site.nightly => toolchain("nightly"),
        Step::Oldest => one(Cmd::line("cargo xtask package --oldest")),
        Step::Features => features(published, site),
        _ => one(Cmd::line("cargo xtask package")),
    }
}

fn toolchain(name: &str) -> Work {
    let remedy = format!("`rustup toolchain install --profile minimal {name}` gets it");
    Work::Skip(format!("Rust {name} is not installed; {remedy}"))
}

/// Each feature without the default ones. What is unused in one choice of features shows only there,
/// so clippy looks where it is installed.
fn features(published: &Published, site: &Site) -> Work {
    let tool = if site.clippy { "clippy" } else { "check" };
    let strict = |cmd: Cmd| if site.clippy { cmd.args(["--", "-D", "warnings"]) } else { cmd };
    if site.hack {
        let hack = Cmd::line("cargo hack").args([tool, "--each-feature"]);
        return one(strict(hack.args(published.flags())));
    }
    let each = |package: &Package| {
        let cargo = Cmd::line("cargo").args([tool, "-p", &package.name]);
        let alone = |name: &String| cargo.clone().args(["--no-default-features", "-F", name]);
        let mut all = vec![cargo.clone().arg("--no-default-features")];
        all.extend(package.features.iter().map(alone));
        if !package.features.is_empty() {
            all.push(cargo.arg("--all-features"));
        }
        all
    };
    let commands = published.packages.iter().flat_map(each).map(strict).collect();
    Work::Do { prepare: Vec::new(), commands }
}

/// Examples that talk to the session bus. They get one of their own: what is on the user's is none
/// of their business.
const NEEDS_BUS: [&str; 1] = ["session_bus"];

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Site {
        Site {
            rustfmt: true,
            clippy: true,
            nextest: true,
            deny: true,
            valgrind: true,
            hack: true,
            published: Some(two_packages()),
            oldest_rust: true,
            nightly: true,
            gtk: true,
            no_desk: Vec::new(),
            loom_models: true,
            suppressions: true,
            examples: vec!["dialog".into(), "tcp_client".into()],
            target: "target".into(),
        }
    }

    fn bare() -> Site {
        Site {
            rustfmt: false,
            clippy: false,
            nextest: false,
            deny: false,
            valgrind: false,
            hack: false,
            published: None,
            oldest_rust: false,
            nightly: false,
            gtk: false,
            no_desk: vec!["Xvfb".into(), "xdotool".into()],
            loom_models: false,
            suppressions: false,
            examples: Vec::new(),
            target: "target".into(),
        }
    }

    fn two_packages() -> Published {
        let package = |name: &str, features: &[&str]| Package {
            name: name.into(),
            features: features.iter().map(|&name| name.into()).collect(),
        };
        Published {
            rust: "1.92".into(),
            version: "0.1.0".into(),
            packages: vec![package("small", &[]), package("large", &["default", "lab"])],
        }
    }

    fn lines(step: Step, site: &Site) -> Vec<String> {
        match step.work(site) {
            Work::Do { prepare, commands } => {
                prepare.iter().chain(&commands).map(Cmd::to_string).collect()
            }
            Work::Skip(why) => vec![format!("skipped: {why}")],
        }
    }

    #[test]
    fn every_step_runs_where_all_tools_are_there() {
        for step in Step::value_variants() {
            assert!(matches!(step.work(&full()), Work::Do { .. }), "{step:?}");
        }
    }

    #[test]
    fn a_step_that_cannot_run_says_why_and_what_to_do() {
        use Step::*;
        for step in [Format, Clippy, Gui, Loom, Mutants, Deny, Features, Package, Valgrind] {
            let Work::Skip(why) = step.work(&bare()) else { panic!("{step:?} would run") };
            assert!(why.contains("; "), "{step:?}: {why}");
        }
        for step in [Tests, DocTests, Doc, Unstable, Matrix, Readme] {
            assert!(matches!(step.work(&bare()), Work::Do { .. }), "{step:?}");
        }
    }

    #[test]
    fn both_runners_run_the_same_targets_and_no_benchmark() {
        let kinds = "--lib --bins --tests --no-fail-fast";
        let build = "cargo build --workspace --examples";
        let nextest = format!("cargo nextest run --workspace {kinds} -E");
        let rest = format!("{nextest} 'not package(gui-demo)'");
        assert_eq!(lines(Step::Tests, &full()), [build, &rest]);
        assert_eq!(
            lines(Step::Gui, &full()),
            [build, &format!("{nextest} 'package(gui-demo)' --test-threads 3")]
        );
        let without = Site { nextest: false, ..full() };
        let cargo = format!("cargo test --workspace --exclude gui-demo {kinds}");
        assert_eq!(lines(Step::Tests, &without), [build, &cargo]);
        let cargo = format!("cargo test --package gui-demo {kinds}");
        assert_eq!(lines(Step::Gui, &without), [build, &cargo]);
    }

    #[test]
    fn every_feature_is_tried_with_cargo_hack_and_without() {
        let strict = "-- -D warnings";
        assert_eq!(
            lines(Step::Features, &full()),
            [format!("cargo hack clippy --each-feature -p small -p large {strict}")]
        );
        let without = Site { hack: false, ..full() };
        assert_eq!(
            lines(Step::Features, &without),
            [
                format!("cargo clippy -p small --no-default-features {strict}"),
                format!("cargo clippy -p large --no-default-features {strict}"),
                format!("cargo clippy -p large --no-default-features -F default {strict}"),
                format!("cargo clippy -p large --no-default-features -F lab {strict}"),
                format!("cargo clippy -p large --all-features {strict}"),
            ]
        );
        let bare = Site { clippy: false, ..full() };
        assert_eq!(
            lines(Step::Features, &bare),
            ["cargo hack check --each-feature -p small -p large"]
        );
    }

    #[test]
    fn a_toolchain_that_is_not_there_is_named_with_its_remedy() {
        assert_eq!(lines(Step::Oldest, &full()), ["cargo xtask package --oldest"]);
        let without = |name| match name {
            "1.92" => Site { oldest_rust: false, ..full() },
            _ => Site { nightly: false, ..full() },
        };
        for name in ["1.92", "nightly"] {
            let Work::Skip(why) = Step::Oldest.work(&without(name)) else { panic!("it would run") };
            assert!(why.contains(&format!("minimal {name}`")), "{why}");
        }
    }

    #[test]
    fn without_gtk_everything_else_is_built_and_tested() {
        let bare = Site { clippy: true, nextest: true, ..bare() };
        for step in [Step::Clippy, Step::Tests, Step::DocTests, Step::Doc] {
            for line in lines(step, &bare) {
                assert!(line.contains("--workspace --exclude gui-demo"), "{line}");
            }
        }
        let Work::Skip(why) = Step::Gui.work(&bare) else { panic!("it would run") };
        assert!(why.contains("GTK is not installed"), "{why}");
    }

    #[test]
    fn without_a_desk_the_window_is_built_and_not_tested() {
        let site = Site { no_desk: vec!["Xvfb".into(), "openbox".into()], ..full() };
        let Work::Skip(why) = Step::Gui.work(&site) else { panic!("it would run") };
        assert!(why.starts_with("Xvfb, openbox not installed; "), "{why}");
        assert!(!lines(Step::Clippy, &site)[0].contains("--exclude"));
    }

    #[test]
    fn valgrind_builds_the_examples_and_then_runs_each() {
        let memcheck = "valgrind --leak-check=full --show-leak-kinds=definite \
                        --errors-for-leak-kinds=definite --error-exitcode=1 --fair-sched=yes \
                        --suppressions=strategies/valgrind.supp";
        assert_eq!(
            lines(Step::Valgrind, &full()),
            [
                "cargo build --workspace --examples".to_string(),
                format!("{memcheck} target/debug/examples/dialog"),
                format!("{memcheck} target/debug/examples/tcp_client"),
            ]
        );
    }

    #[test]
    fn an_example_that_wants_a_bus_gets_one_of_its_own() {
        let site = Site { examples: vec!["session_bus".into()], ..full() };
        let line = &lines(Step::Valgrind, &site)[1];
        assert!(line.starts_with("dbus-run-session valgrind "), "{line}");
        assert!(line.ends_with(" target/debug/examples/session_bus"), "{line}");
    }

    #[test]
    fn selection_keeps_the_order_of_the_steps() {
        use Step::*;
        assert_eq!(select(&[], &[]), Step::value_variants());
        assert_eq!(select(&[Doc, Format], &[]), [Format, Doc]);
        assert_eq!(select(&[Doc, Format], &[Doc]), [Format]);
        assert_eq!(select(&[Doc], &[Doc]), [Step::Format; 0]);
        assert!(!select(&[], &[Loom, Valgrind]).contains(&Loom));
    }

    #[test]
    fn an_inconclusive_matrix_is_told_from_a_surprise() {
        assert_ne!(Step::Matrix.meaning(Some(1)), Step::Matrix.meaning(Some(3)));
        assert_eq!(Step::Doc.meaning(Some(1)), None);
        assert_eq!(Step::Matrix.meaning(None), None);
    }
}
