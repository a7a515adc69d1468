//! Machines that are simulated with shell scripts.
//!
//! Each has a folder that is its whole PATH, with fake package managers, compilers and cargo. So a bare
//! Fedora can be tested on any machine, and nothing is ever installed.
#![allow(dead_code, reason = "each binary of tests uses some of it")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A script cannot be started while a forked child of another test still holds it open for writing.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

pub const ROOT: &str = "echo 0";
pub const USER: &str = "echo 1000";
pub const YES: &str = "exit 0";

/// Writes the name and the arguments of a program into a log.
pub const LOG: &str = r#"echo "${0##*/} $*" >> "$BIN/log""#;

/// A machine with nothing on it, and a workspace with nothing in it.
pub struct Bare {
    pub folder: PathBuf,
    _alone: MutexGuard<'static, ()>,
}

impl Bare {
    pub fn new(name: &str) -> Self {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("bin")).unwrap();
        fs::create_dir_all(folder.join("workspace/xtask")).unwrap();
        Self { folder, _alone: alone }
    }

    /// The same, with everything that the build and the tests need.
    pub fn complete(name: &str) -> Self {
        let machine = Self::new(name);
        let service = machine.folder.join("share/dbus-1/services/org.a11y.Bus.service");
        fs::create_dir_all(service.parent().unwrap()).unwrap();
        fs::write(service, "").unwrap();
        let programs = ["cc", "pkg-config", "dbus-run-session", "valgrind"];
        let desk = ["Xvfb", "xdotool", "openbox"];
        let programs = programs.into_iter().chain(desk);
        programs.fold(machine, |machine, program| machine.with(program, YES))
    }

    /// Adds a program, given the body of a shell script.
    pub fn with(self, program: &str, body: &str) -> Self {
        let file = self.folder.join("bin").join(program);
        fs::write(&file, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    pub fn with_file(self, name: &str, text: &str) -> Self {
        let file = self.folder.join("workspace").join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        self
    }

    /// The same, with Rust from rustup and what a chroot is made with. Each program writes its
    /// arguments into a log, and nothing is mounted.
    pub fn with_chroots(self) -> Self {
        for folder in [".cargo/bin", ".rustup/toolchains"] {
            fs::create_dir_all(self.folder.join("home").join(folder)).unwrap();
        }
        fs::write(self.folder.join("home/.cargo/bin/cargo"), "").unwrap();
        let real = ["cp", "mkdir", "rm", "touch"];
        real.into_iter()
            .fold(self, |machine, name| machine.with(name, &format!("exec /bin/{name} \"$@\"")))
            .with("df", "echo header; echo /dev/disk 1 1 99000000 1% /")
            .with("unshare", "shift; exec \"$@\"")
            .with("debootstrap", &format!("{LOG}; mkdir -p \"$4/proc\" \"$4/etc\""))
            .with("mount", LOG)
            .with(
                "chroot",
                &format!("{LOG}; case \"$*\" in *'xtask test'*) echo table; exit 43; esac"),
            )
    }

    /// What the programs have logged since the last time.
    pub fn log(&self) -> Vec<String> {
        let file = self.folder.join("bin/log");
        let text = fs::read_to_string(&file).unwrap_or_default();
        let _ = fs::remove_file(file);
        text.lines().map(str::to_owned).collect()
    }

    pub fn file(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join("workspace").join(name)).unwrap()
    }

    pub fn xtask(&self, args: &[&str]) -> Seen {
        let bin = self.folder.join("bin");
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(args).current_dir(self.folder.join("workspace"));
        command.env_clear().env("PATH", &bin).env("BIN", &bin).env("CARGO", bin.join("cargo"));
        command.env("HOME", self.folder.join("home"));
        command.env("XDG_DATA_DIRS", self.folder.join("share"));
        command.env("CARGO_MANIFEST_DIR", self.folder.join("workspace/xtask"));
        Seen::of(&command.output().unwrap())
    }
}

/// What a user sees.
#[derive(Debug)]
pub struct Seen {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Seen {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
