//! `cargo xtask setup`: finds out what is missing, and installs it.
//!
//! The other tasks call [`ensure`] before they build, so that a user who has just cloned the
//! repository sees a list of packages and not the error of a build script. If nothing is missing,
//! it runs nothing and prints nothing.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;

use crate::cli::SetupArgs;
use crate::command::{Cmd, ending};
use crate::machine::Machine;
use crate::manager::{Manager, Privilege};
use crate::packages::{self, Group, Need};
use crate::plan::{Install, Plan, plan};

/// The machine lacks something that the build needs, and we could not install it.
#[derive(Debug)]
pub struct Unprepared(String);

impl Unprepared {
    /// With what is missing and how to get it.
    pub fn new(message: String) -> Self {
        Self(message)
    }
}

impl fmt::Display for Unprepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unprepared {}

/// Runs the task.
pub fn run(args: &SetupArgs) -> Result<ExitCode> {
    let groups = if args.group.is_empty() { Group::ALL.to_vec() } else { args.group.clone() };
    let machine = Machine::this();
    let needs = packages::all();
    let missing = missing(&machine, &needs, &groups);
    let mut out = io::stdout().lock();
    if missing.is_empty() {
        let wanted = needs.iter().filter(|need| groups.contains(&need.group));
        let titles: Vec<String> = wanted.map(Need::title).collect();
        writeln!(out, "nothing is missing: {}", titles.join(", "))?;
        return Ok(ExitCode::SUCCESS);
    }
    if !args.dry_run {
        install(&machine, &missing, &groups)?;
        writeln!(out, "done")?;
        return Ok(ExitCode::SUCCESS);
    }
    let manager = machine.manager().ok_or_else(|| no_manager(&missing))?;
    let privilege = machine.privilege();
    let plan = plan(manager, privilege, &missing);
    for cmd in plan.commands() {
        writeln!(out, "{cmd}")?;
    }
    if manager.needs_root() && privilege == Privilege::None {
        eprintln!("note: these commands must run as root, and there is no sudo");
    }
    Ok(ExitCode::SUCCESS)
}

/// Installs what these groups lack. It is an error if something in a demanded group stays missing,
/// because then the task cannot continue. A test tool that stays missing is only a note, because
/// the step that needs it reports that again.
pub fn ensure(groups: &[Group], demanded: &[Group]) -> Result<()> {
    let machine = Machine::this();
    let needs = packages::all();
    let missing = missing(&machine, &needs, groups);
    if missing.is_empty() {
        return Ok(());
    }
    install(&machine, &missing, demanded)
}

fn missing<'a>(machine: &Machine, needs: &'a [Need], groups: &[Group]) -> Vec<&'a Need> {
    let wanted = needs.iter().filter(|need| groups.contains(&need.group));
    wanted.filter(|need| !machine.meets(need)).collect()
}

/// Installs what is missing. It fails only for the demanded groups.
fn install(machine: &Machine, missing: &[&Need], demanded: &[Group]) -> Result<()> {
    let can_go_on = missing.iter().all(|need| !demanded.contains(&need.group));
    for need in missing {
        let found = machine.version_found(need).map(|version| format!(", found {version}"));
        eprintln!("missing: {} ({}{})", need.title(), need.why, found.unwrap_or_default());
    }
    let Some(manager) = machine.manager() else {
        return or_note(can_go_on, no_manager(missing));
    };
    let privilege = machine.privilege();
    let plan = plan(manager, privilege, missing);
    if manager.needs_root() && privilege == Privilege::None {
        return or_note(can_go_on, no_rights(&plan));
    }
    if let Some(refresh) = &plan.refresh {
        let status = announce(refresh).status_on_stderr()?;
        if !status.success() {
            eprintln!("note: {}; continuing with the existing package lists", ending(status));
        }
    }
    for Install { group, cmd } in &plan.installs {
        let status = announce(cmd).status_on_stderr()?;
        if !status.success() {
            let failed = format!("`{cmd}` failed ({}); {}", ending(status), manager.advice());
            or_note(!demanded.contains(group), Unprepared(failed))?;
        }
    }
    verify(manager, missing, demanded)
}

/// Checks again: a package can be installed and still be too old.
fn verify(manager: Manager, were_missing: &[&Need], demanded: &[Group]) -> Result<()> {
    // Detect again, because pkg-config itself may have just been installed.
    let machine = Machine::this();
    for need in were_missing.iter().filter(|need| !machine.meets(need)) {
        if need.packages(manager).is_empty() {
            let program = manager.program();
            eprintln!("note: {program} has no {}; steps that need it will be skipped", need.name);
        } else {
            or_note(!demanded.contains(&need.group), still_missing(need, &machine))?;
        }
    }
    Ok(())
}

fn announce(cmd: &Cmd) -> &Cmd {
    eprintln!("==> setup: {cmd}");
    cmd
}

/// The error, or only a note if the task can continue without it.
fn or_note(can_go_on: bool, problem: Unprepared) -> Result<()> {
    if can_go_on {
        eprintln!("note: {problem}");
        return Ok(());
    }
    Err(problem.into())
}

fn no_manager(missing: &[&Need]) -> Unprepared {
    let known = Manager::ALL.map(Manager::program).join(", ");
    let list = packages::by_hand(missing);
    Unprepared(format!(
        "this machine lacks packages, and none of {known} is on the PATH to install them; \
         install these by hand and run the same command again:\n{list}"
    ))
}

fn no_rights(plan: &Plan) -> Unprepared {
    let cmds = plan.refresh.iter().chain(plan.installs.iter().map(|install| &install.cmd));
    let lines: Vec<String> = cmds.map(|cmd| format!("  {cmd}")).collect();
    Unprepared(format!(
        "installing packages needs root, and there is no sudo; \
         run this as root, then the same command again:\n{}",
        lines.join("\n")
    ))
}

fn still_missing(need: &Need, machine: &Machine) -> Unprepared {
    let (name, title) = (&need.name, need.title());
    Unprepared(match machine.version_found(need) {
        Some(version) => format!(
            "this machine's packages have {name} {version}, but {title} is needed; use a newer \
             release (Debian 12, Ubuntu 24.04, a current Fedora), or build {name} yourself and \
             set PKG_CONFIG_PATH to the folder with its .pc files"
        ),
        None => format!(
            "the packages were installed, but {title} is still not found; is its program on the \
             PATH, or do PKG_CONFIG or PKG_CONFIG_PATH point elsewhere?"
        ),
    })
}
