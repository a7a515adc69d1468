//! `cargo xtask compat SUITE`: the steps of CI on another Debian, in a chroot.
//!
//! GLib and GTK change under us, and a machine has one version of each. A chroot has another, beside
//! the same kernel, the same Rust and the same checkout. It is made once and kept. What runs in it
//! is what a contributor would run on such a machine: `cargo xtask setup`, then `cargo xtask test`.

mod chroot;
mod mirror;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use self::chroot::Chroot;
use crate::cli::CompatArgs;
use crate::command::{Cmd, ending, target_folder, workspace};
use crate::machine::Machine;
use crate::manager::Privilege;
use crate::selection::select_or_exit;
use crate::setup::Unprepared;

/// What Rust itself needs of a system: a linker, and certificates to download crates. All else is
/// for `cargo xtask setup` to find out.
const BEFORE_SETUP: &str = "ca-certificates,gcc,libc6-dev";

/// What a suite takes: two gigabytes of packages, and what cargo builds.
const GIGABYTES: u64 = 8;

/// Runs the task.
pub fn run(args: &CompatArgs) -> Result<ExitCode> {
    // A wrong selection is a usage error now, and not after the installation.
    select_or_exit(&args.only, &args.skip);
    let machine = Machine::this();
    let suite = args.suite.name();
    let checkout = fs::canonicalize(workspace()).context("cannot find the workspace")?;
    let folder = match &args.folder {
        Some(folder) => folder.clone(),
        None => checkout.join(target_folder()).join("compat"),
    };
    let folder = std::path::absolute(folder)?.join(&suite);
    let chroot = Chroot::new(&folder, &checkout, &machine)?;
    let privilege = machine.privilege();
    let as_root = |cmd: Cmd| if privilege == Privilege::Sudo { cmd.through("sudo") } else { cmd };
    let remove = |what: &Path| as_root(Cmd::line("rm -rf --one-file-system").arg(what));
    let is_new = args.fresh || !chroot.root().is_dir();

    let mut make = Vec::new();
    if is_new {
        let mirror = args.mirror.clone().unwrap_or_else(mirror::of_this_machine);
        make.push(remove(&chroot.root()));
        make.push(remove(&chroot.unfinished()));
        // It mounts things, too.
        let debootstrap = Cmd::line("unshare --mount debootstrap --variant=minbase")
            .arg(format!("--include={BEFORE_SETUP}"))
            .args([suite.clone().into(), chroot.unfinished().into_os_string(), mirror.into()]);
        make.push(as_root(debootstrap));
    }
    let inside = |command: &str| as_root(Cmd::program(chroot.enter())).args(command.split(' '));
    let setup = inside("cargo xtask setup");
    let only = args.only.iter().flat_map(|step| ["--only".to_owned(), step.name()]);
    let skip = args.skip.iter().flat_map(|step| ["--skip".to_owned(), step.name()]);
    let test = inside("cargo xtask test").args(only.chain(skip));

    if args.list {
        let mut out = io::stdout().lock();
        for cmd in make.iter().chain([&setup, &test]) {
            writeln!(out, "{cmd}")?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    check(&machine, privilege, is_new, &folder)?;
    for cmd in &make {
        let status = announce(&suite, cmd).status_on_stderr()?;
        ensure!(status.success(), "`{cmd}` failed ({}); its messages are above", ending(status));
    }
    if is_new {
        // Only now does it have its name: half a chroot is never taken for a whole one.
        fs::rename(chroot.unfinished(), chroot.root()).context("cannot rename the chroot")?;
    }
    chroot.write_enter()?;
    let status = announce(&suite, &setup).status_on_stderr()?;
    if !status.success() {
        bail!(
            "`{setup}` failed ({}): {suite} cannot be set up as packages.toml says",
            ending(status)
        );
    }
    announce(&suite, &test).replace_process()
}

/// Whether this machine can do it; everything that is missing is said at once.
fn check(machine: &Machine, privilege: Privilege, is_new: bool, folder: &Path) -> Result<()> {
    let mut lacking = Vec::new();
    if !machine.has("unshare") {
        lacking
            .push("unshare is not on the PATH; it is a part of util-linux, and Linux only".into());
    }
    if is_new && !machine.has("debootstrap") {
        lacking.push(
            "debootstrap is not on the PATH; `apt-get install debootstrap` gets it (into /usr/sbin)"
                .to_owned(),
        );
    }
    if privilege == Privilege::None {
        lacking.push("a chroot needs root, and there is no sudo; run this as root".into());
    }
    if let Some(free) = free_gigabytes(folder).filter(|free| is_new && *free < GIGABYTES) {
        let path = folder.display();
        lacking.push(format!(
            "{path} has {free} GB free, and a suite needs {GIGABYTES}; `--folder` puts it elsewhere"
        ));
    }
    if lacking.is_empty() {
        return Ok(());
    }
    Err(Unprepared::new(format!("this machine cannot do it yet:\n  {}", lacking.join("\n  ")))
        .into())
}

/// The free space for files in this folder, if `df` can tell.
fn free_gigabytes(folder: &Path) -> Option<u64> {
    let (status, text) = Cmd::line("df -Pk .").stdout(folder).ok()?;
    let kilobytes: u64 = text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    status.success().then_some(kilobytes / 1_000_000)
}

fn announce<'a>(suite: &str, cmd: &'a Cmd) -> &'a Cmd {
    eprintln!("==> {suite}: {cmd}");
    cmd
}
