//! `cargo xtask compat` on machines that are simulated with shell scripts: nothing is installed, and
//! nothing is mounted.
#![cfg(unix)]

mod common;

use std::fs;
use std::path::PathBuf;

use common::{Bare, LOG, ROOT, USER, YES};

#[test]
fn compat_makes_a_chroot_once_and_ends_as_the_steps_in_it_do() {
    let machine = Bare::new("compat").with("id", ROOT).with_chroots();
    let args = ["compat", "trixie", "--mirror", "http://near.example/debian", "--only", "doc"];
    let seen = machine.xtask(&args);
    assert_eq!((seen.code, seen.out.as_str()), (Some(43), "table\n"), "{seen:?}");
    let log = machine.log();
    assert!(log[0].starts_with("debootstrap --variant=minbase --include="), "{log:?}");
    assert!(log[0].ends_with("/trixie/root.unfinished http://near.example/debian"), "{log:?}");

    let chroots = log.iter().filter(|line| line.starts_with("chroot "));
    let [setup, test] = &chroots.collect::<Vec<_>>()[..] else { panic!("{log:?}") };
    assert!(setup.ends_with(" cargo xtask setup"), "{setup}");
    assert!(test.ends_with(" cargo xtask test --only doc"), "{test}");
    let workspace = machine.folder.join("workspace");
    let root = workspace.join("target/compat/trixie/root");
    let begin = format!("chroot {} env -i --chdir={} ", root.display(), workspace.display());
    assert!(test.starts_with(&begin), "{test}");
    // The target folder of the suite covers the one of this machine.
    let target = format!("{}/compat/trixie/target ", workspace.join("target").display());
    assert!(log.iter().any(|line| line.starts_with(&format!("mount --bind {target}"))), "{log:?}");

    assert_eq!(machine.xtask(&args).code, Some(43));
    assert!(!machine.log().iter().any(|line| line.starts_with("debootstrap")));
    assert_eq!(machine.xtask(&[&args[..], &["--fresh"]].concat()).code, Some(43));
    assert!(machine.log()[0].starts_with("debootstrap"));
}

#[test]
fn compat_mounts_below_the_chroot_alone_and_rust_cannot_be_changed_from_inside() {
    let machine = Bare::new("compat-mounts").with("id", ROOT).with_chroots();
    let machine = machine.with("cargo-nextest", YES);
    machine.xtask(&["compat", "sid"]);
    let log = machine.log();
    let mounts: Vec<&String> = log.iter().filter(|line| line.starts_with("mount ")).collect();
    let root = machine.folder.join("workspace/target/compat/sid/root");
    for mount in &mounts {
        let place = mount.split(' ').next_back().unwrap();
        assert!(place.starts_with(root.to_str().unwrap()), "{mount}");
    }
    let home = machine.folder.join("home");
    let inside = |path: PathBuf| format!("{}{}", root.display(), path.display());
    for path in [
        inside(home.join(".rustup")),
        inside(home.join(".cargo/bin")),
        inside("/usr/local/bin/cargo-nextest".into()),
    ] {
        let read_only = format!("mount -o remount,bind,ro {path}");
        assert!(mounts.iter().any(|mount| **mount == read_only), "{path}: {mounts:?}");
    }
}

#[test]
fn half_a_chroot_is_not_taken_for_a_whole_one() {
    let machine = Bare::new("compat-half").with("id", ROOT).with_chroots();
    let machine = machine.with("debootstrap", "mkdir -p \"$4/proc\"; exit 1");
    let seen = machine.xtask(&["compat", "sid"]);
    assert_eq!((seen.code, seen.out.as_str()), (Some(1), ""), "{seen:?}");
    assert!(seen.err.contains("failed (exit code 1)"), "{seen:?}");
    let machine = machine.with_chroots();
    assert_eq!(machine.xtask(&["compat", "sid"]).code, Some(43));
    assert!(machine.log()[0].starts_with("debootstrap"));
}

#[test]
fn compat_runs_nothing_in_a_chroot_without_its_mounts_or_its_packages() {
    let machine = Bare::new("compat-fails").with("id", ROOT).with_chroots();
    let machine = machine.with("mount", "case \"$*\" in *rustup*) exit 32; esac");
    let seen = machine.xtask(&["compat", "sid"]);
    assert_eq!(seen.code, Some(1), "{seen:?}");
    assert!(!machine.log().iter().any(|line| line.starts_with("chroot")), "{seen:?}");

    let machine = machine.with_chroots().with("chroot", &format!("{LOG}; exit 5"));
    let seen = machine.xtask(&["compat", "sid"]);
    assert_eq!(seen.code, Some(1), "{seen:?}");
    assert!(seen.err.contains("sid cannot be set up as packages.toml says"), "{seen:?}");
    assert!(!machine.log().iter().any(|line| line.contains("xtask test")), "{seen:?}");
}

#[test]
fn compat_says_at_once_all_that_is_missing() {
    let machine = Bare::new("compat-lacks").with("id", USER).with_chroots();
    let machine = machine.with("df", "echo header; echo /dev/disk 1 1 3000000 99% /");
    fs::remove_file(machine.folder.join("bin/debootstrap")).unwrap();
    let seen = machine.xtask(&["compat", "sid"]);
    assert_eq!((seen.code, seen.out.as_str()), (Some(5), ""), "{seen:?}");
    for words in ["`apt-get install debootstrap` gets it", "run this as root", "has 3 GB free"] {
        assert!(seen.err.contains(words), "{words}: {seen:?}");
    }
    fs::remove_file(machine.folder.join("home/.cargo/bin/cargo")).unwrap();
    let seen = machine.xtask(&["compat", "sid"]);
    assert!(seen.err.contains("which must come from https://rustup.rs"), "{seen:?}");
    assert_eq!(machine.log(), [""; 0]);
}

#[test]
fn compat_list_shows_what_it_would_run_as_root() {
    let machine = Bare::new("compat-list").with("id", USER).with("sudo", YES).with_chroots();
    let seen = machine.xtask(&["compat", "bookworm", "--list", "--skip", "loom"]);
    assert_eq!((seen.code, seen.err.as_str()), (Some(0), ""), "{seen:?}");
    let lines: Vec<&str> = seen.out.lines().collect();
    assert!(lines[2].starts_with("sudo unshare --mount debootstrap "), "{seen:?}");
    let enter = machine.folder.join("workspace/target/compat/bookworm/enter");
    assert_eq!(lines[3], format!("sudo {} cargo xtask setup", enter.display()));
    assert_eq!(lines[4], format!("sudo {} cargo xtask test --skip loom", enter.display()));
    assert_eq!(machine.log(), [""; 0]);
    assert!(!machine.folder.join("workspace/target").exists());
}
