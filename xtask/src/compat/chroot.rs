//! The chroot of a suite: its folders, and the script that runs a command in it.
//!
//! The script is a file so that a person can use it too: `enter` alone is a shell. All its mounts
//! are in a mount namespace of its own, which the kernel takes down with its last process. So nothing
//! has to be unmounted, whatever fails or is killed, and outside of it nothing was ever mounted:
//! `cargo clean` cannot reach the checkout, or this machine's Rust, through a chroot in `target`.

use std::env;
use std::ffi::OsStr;
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::command::quoted;
use crate::machine::Machine;

/// What the script needs to know.
#[derive(Debug)]
pub struct Chroot {
    folder: PathBuf,
    checkout: PathBuf,
    cargo: PathBuf,
    rustup: PathBuf,
    /// Cargo's commands that are installed outside of cargo's own folder.
    tools: Vec<PathBuf>,
}

/// Cargo's commands that steps of `cargo xtask test` use where they are installed.
const TOOLS: [&str; 3] = ["cargo-nextest", "cargo-deny", "cargo-hack"];

/// Variables that keep their values, by their first letters. The rest stays outside: it is about
/// this machine's session, screen and libraries. Tokens of registries are nobody's business inside.
const KEPT: [&str; 18] = [
    "CARGO_BUILD_JOBS",
    "CARGO_HTTP_",
    "CARGO_INCREMENTAL",
    "CARGO_NET_",
    "CARGO_PROFILE_",
    "CARGO_TERM_",
    "HARNESS_",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "LOOPNEST_",
    "NEXTEST_",
    "NO_COLOR",
    "NO_PROXY",
    "PROPTEST_",
    "RUSTUP_",
    "RUST_",
    "TERM",
    "CI",
];

impl Chroot {
    /// The chroot in this folder, whether it is there yet or not.
    pub fn new(folder: &Path, checkout: &Path, machine: &Machine) -> Result<Self> {
        let home = |name: &str, usual: &str| {
            let usual = || env::var_os("HOME").map(|home| Path::new(&home).join(usual));
            env::var_os(name).map(PathBuf::from).or_else(usual)
        };
        let cargo = home("CARGO_HOME", ".cargo").unwrap_or_default();
        let rustup = home("RUSTUP_HOME", ".rustup").unwrap_or_default();
        ensure!(
            cargo.join("bin/cargo").exists() && rustup.join("toolchains").is_dir(),
            "the chroot shares Rust with this machine, which must come from https://rustup.rs: \
             {}/bin/cargo or {}/toolchains is missing",
            cargo.display(),
            rustup.display()
        );
        let found = TOOLS.iter().filter_map(|tool| machine.find(tool));
        let tools = found.filter(|file| !file.starts_with(&cargo)).collect();
        Ok(Self { folder: folder.into(), checkout: checkout.into(), cargo, rustup, tools })
    }

    /// Its files.
    pub fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// Its files while they are being installed.
    pub fn unfinished(&self) -> PathBuf {
        self.folder.join("root.unfinished")
    }

    /// The script.
    pub fn enter(&self) -> PathBuf {
        self.folder.join("enter")
    }

    /// Writes the script, for the variables and tools of today.
    pub fn write_enter(&self) -> Result<()> {
        let file = self.enter();
        let written = fs::write(&file, self.script()).and_then(|()| make_executable(&file));
        written.with_context(|| format!("cannot write {}", file.display()))
    }

    fn script(&self) -> String {
        let [root, target] = [self.root(), self.folder.join("target")].map(shown);
        let [checkout, cargo, rustup] =
            [&self.checkout, &self.cargo, &self.rustup].map(|path| shown(path.clone()));
        let mut tools = String::new();
        for tool in &self.tools {
            let name = tool.file_name().unwrap_or_default();
            let inside = shown(Path::new("/usr/local/bin").join(name));
            let _ = writeln!(tools, "bind {} {inside} ro", shown(tool.clone()));
        }
        let mut variables = String::new();
        for (name, value) in env::vars().filter(|(name, _)| is_kept(name)) {
            let _ = write!(variables, " \\\n    {}", quoted(format!("{name}={value}").as_ref()));
        }
        SCRIPT
            .replace("@root@", &root)
            .replace("@target@", &target)
            .replace("@checkout@", &checkout)
            .replace("@cargo@", &cargo)
            .replace("@rustup@", &rustup)
            .replace("@tools@\n", &tools)
            .replace("@variables@", &variables)
    }
}

/// For its owner alone: the address of a proxy may have a password in it.
fn make_executable(file: &Path) -> io::Result<()> {
    #[cfg(unix)]
    fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

fn shown(path: PathBuf) -> String {
    quoted(path.as_ref() as &OsStr)
}

fn is_kept(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    // `CI` and `TERM` are whole names, and so is what has no underscore at its end.
    KEPT.iter().any(|kept| name == *kept || kept.ends_with('_') && name.starts_with(kept))
        && name != "RUSTUP_HOME"
}

/// Paths have in the chroot the names that they have outside, so that a message in a run inside can
/// be followed outside.
const SCRIPT: &str = r#"#!/bin/sh
# Runs a command in the chroot; a shell without one. Written by `cargo xtask compat`.
set -eu
if [ "${1-}" != --mounts ]; then
    exec unshare --mount "$0" --mounts "$@"
fi
shift
[ $# -gt 0 ] || set -- bash

root=@root@
checkout=@checkout@
target=@target@
cargo=@cargo@
rustup=@rustup@

bind() {
    if [ -d "$1" ]; then
        mkdir -p "$root$2"
    else
        mkdir -p "$root${2%/*}"
        touch "$root$2"
    fi
    mount --bind "$1" "$root$2"
    if [ "${3-}" = ro ]; then mount -o remount,bind,ro "$root$2"; fi
}

mount -t proc proc "$root/proc"
# With their submounts: /dev/pts, /dev/shm, control groups.
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
# The network as this machine has it, with the certificates of a proxy that it trusts.
for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt; do
    if [ -e $file ]; then
        mkdir -p "$root${file%/*}"
        cp -L $file "$root$file"
    fi
done

mkdir -p "$target"
bind "$checkout" "$checkout"
bind "$target" "$checkout/target"

# This machine's toolchains and crates, neither of which can be changed from inside: what is
# downloaded there goes into a registry of its own, which begins as a copy, so that it works offline.
bind "$rustup" "$rustup" ro
bind "$cargo/bin" "$cargo/bin" ro
for part in registry/index registry/cache config.toml; do
    if [ -e "$cargo/$part" ]; then
        mkdir -p "$root$cargo/registry"
        cp -a --update --no-target-directory "$cargo/$part" "$root$cargo/$part"
    fi
done
@tools@

# As .ci/run does: nothing is built twice or debugged.
exec chroot "$root" env -i --chdir="$checkout" \
    HOME=/root LANG=C.UTF-8 "CARGO_HOME=$cargo" "RUSTUP_HOME=$rustup" \
    "PATH=$cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
    CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=0@variables@ \
    "$@"
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_about_this_machine_is_passed_on() {
        for name in ["CARGO_TERM_COLOR", "NEXTEST_TEST_THREADS", "https_proxy", "RUSTUP_TOOLCHAIN"]
        {
            assert!(is_kept(name), "{name}");
        }
        for name in [
            "CARGO_MANIFEST_DIR",
            "CARGO_REGISTRY_TOKEN",
            "CARGO_TARGET_DIR",
            "CIRCLE",
            "DBUS_SESSION_BUS_ADDRESS",
            "DISPLAY",
            "PKG_CONFIG_PATH",
            "RUSTUP_HOME",
            "TERMINAL",
        ] {
            assert!(!is_kept(name), "{name}");
        }
    }
}
