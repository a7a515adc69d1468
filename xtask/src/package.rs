//! `cargo xtask package`: the published packages, unpacked and compiled where no workspace is.
//!
//! `cargo package` does this too, but it builds everything a second time, in a folder of its own.
//! Here the packages are only checked, and share what is compiled with the workspace.
//!
//! A manifest promises more than a lock file tries: the lowest version of each dependency that it
//! names, and the oldest Rust. With `--oldest` these are taken, both at once: whoever has to keep an
//! old compiler keeps old dependencies too.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use crate::cli::PackageArgs;
use crate::command::{Cmd, ending, target_folder, workspace};
use crate::published::{Published, published};

/// Runs the task.
pub fn run(args: &PackageArgs) -> Result<ExitCode> {
    let root = workspace();
    let published = published(&root)?;
    let target = root.join(target_folder());
    let outside = target.join("outside");

    empty(&outside)?;
    perform(&pack(&published), &root)?;
    for archive in archives(&published) {
        // With the time of now: cargo packs files with one of long ago, and would take what changed
        // since the last check for what it has checked.
        let tar = Cmd::line("tar -xzmf").arg(target.join("package").join(archive));
        perform(&tar, &outside)?;
    }
    fs::write(outside.join("Cargo.toml"), manifest(&published))?;
    fs::copy(root.join("Cargo.lock"), outside.join("Cargo.lock"))?;

    let mut check = Cmd::line("cargo");
    if args.oldest {
        perform(&Cmd::line(MINIMISE), &outside)?;
        check = Cmd::line("rustup run").args([&published.rust, "cargo"]);
    }
    let check = check.args("check --workspace --all-features --target-dir".split(' '));
    perform(&check.arg(target), &outside)?;
    Ok(ExitCode::SUCCESS)
}

/// Only the packages' own dependencies: those of others name lower versions than they need, which
/// is not ours to repair.
const MINIMISE: &str = "rustup run nightly cargo update -Z direct-minimal-versions";

fn pack(published: &Published) -> Cmd {
    Cmd::line("cargo package --no-verify --allow-dirty").args(published.flags())
}

/// The files that `cargo package` writes.
fn archives(published: &Published) -> impl Iterator<Item = String> {
    folders(published).map(|(_, folder)| format!("{folder}.crate"))
}

/// Each package, and the folder that its archive unpacks into.
fn folders(published: &Published) -> impl Iterator<Item = (&str, String)> {
    let named = |name| (name, format!("{name}-{}", published.version));
    published.packages.iter().map(move |package| named(package.name.as_str()))
}

/// A workspace in which the packages find each other, as they do on crates.io.
fn manifest(published: &Published) -> String {
    let mut members = String::new();
    let mut patches = String::new();
    for (name, folder) in folders(published) {
        members += &format!("    {folder:?},\n");
        patches += &format!("{name} = {{ path = {folder:?} }}\n");
    }
    format!(
        "[workspace]\nresolver = \"3\"\nmembers = [\n{members}]\n\n[patch.crates-io]\n{patches}"
    )
}

fn perform(cmd: &Cmd, folder: &Path) -> Result<()> {
    eprintln!("{cmd}");
    let status = cmd.status(folder)?;
    ensure!(status.success(), "`{cmd}` in {}: {}", folder.display(), ending(status));
    Ok(())
}

/// Makes the folder, without what an earlier run left in it.
fn empty(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::create_dir_all(folder),
    }
    .with_context(|| format!("cannot empty {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::published::Package;

    #[test]
    fn unpacked_packages_find_each_other() {
        let package = |name: &str| Package { name: name.into(), features: Vec::new() };
        let published = Published {
            rust: "1.92".into(),
            version: "0.1.0".into(),
            packages: vec![package("a"), package("b")],
        };
        let expected = "\
[workspace]
resolver = \"3\"
members = [
    \"a-0.1.0\",
    \"b-0.1.0\",
]

[patch.crates-io]
a = { path = \"a-0.1.0\" }
b = { path = \"b-0.1.0\" }
";
        assert_eq!(manifest(&published), expected);
        assert_eq!(archives(&published).collect::<Vec<_>>(), ["a-0.1.0.crate", "b-0.1.0.crate"]);
    }
}
