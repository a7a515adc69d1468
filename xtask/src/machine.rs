//! What is on this machine: programs on the PATH, modules that pkg-config knows, our privileges.
//!
//! Detection is separate from decisions, so that the decisions can be tested without a machine that
//! lacks things. A missing pkg-config is an ordinary answer, not an error.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::manager::{Manager, Privilege};
use crate::packages::{Detect, Need};

/// A machine, as far as its environment shows it.
#[derive(Debug)]
pub struct Machine {
    path: OsString,
    data: OsString,
    pkg_config: Option<OsString>,
}

impl Machine {
    /// The machine that this process runs on.
    pub fn this() -> Self {
        let path = env::var_os("PATH").unwrap_or_default();
        // The default when it is not set (XDG Base Directory Specification).
        let data = env::var_os("XDG_DATA_DIRS").filter(|dirs| !dirs.is_empty());
        let data = data.unwrap_or_else(|| "/usr/local/share:/usr/share".into());
        let mut machine = Self { path, data, pkg_config: None };
        // The same choice that the build scripts make.
        machine.pkg_config = env::var_os("PKG_CONFIG").or_else(|| {
            ["pkg-config", "pkgconf"].into_iter().find(|name| machine.has(name)).map(Into::into)
        });
        machine
    }

    /// Whether a program of this name is on the PATH.
    pub fn has(&self, program: &str) -> bool {
        self.find(program).is_some()
    }

    /// The program of this name on the PATH.
    pub fn find(&self, program: &str) -> Option<PathBuf> {
        env::split_paths(&self.path)
            .filter(|folder| !folder.as_os_str().is_empty())
            .map(|folder| folder.join(program))
            .find(|file| is_executable(file))
    }

    fn has_data(&self, file: &str) -> bool {
        env::split_paths(&self.data).any(|folder| folder.join(file).is_file())
    }

    /// Whether this need is met.
    pub fn meets(&self, need: &Need) -> bool {
        match &need.detect {
            Detect::Command(names) => names.iter().any(|name| self.has(name)),
            Detect::DataFile(files) => files.iter().any(|file| self.has_data(file)),
            Detect::PkgConfig { modules, at_least } => {
                // Not `--atleast-version`: pkgconf checks that only for the first module.
                let wanted = modules.iter().map(|module| format!("{module} >= {at_least}"));
                self.pkg_config(["--exists".into()].into_iter().chain(wanted)).is_some()
            }
        }
    }

    /// The installed version, if the need is not met because it is too old.
    pub fn version_found(&self, need: &Need) -> Option<String> {
        let Detect::PkgConfig { modules, .. } = &need.detect else {
            return None;
        };
        let answer = self.pkg_config(["--modversion".into(), modules.first()?.clone()])?;
        let version = answer.lines().next()?.trim();
        (!version.is_empty()).then(|| version.into())
    }

    /// The package manager to use.
    pub fn manager(&self) -> Option<Manager> {
        Manager::ALL.into_iter().find(|manager| self.has(manager.program()))
    }

    /// The privileges that we have, or can get.
    pub fn privilege(&self) -> Privilege {
        // Running `id` is portable and needs no C binding.
        let id = Command::new("id").arg("-u").stderr(Stdio::null()).output();
        if id.is_ok_and(|id| id.stdout.trim_ascii() == b"0") {
            Privilege::Root
        } else if self.has("sudo") {
            Privilege::Sudo
        } else {
            Privilege::None
        }
    }

    /// The output of pkg-config, if it is installed and succeeds.
    fn pkg_config<I: IntoIterator<Item: AsRef<OsStr>>>(&self, args: I) -> Option<String> {
        let program = self.pkg_config.as_ref()?;
        let answer = Command::new(program).args(args).stderr(Stdio::null()).output().ok()?;
        answer.status.success().then(|| String::from_utf8_lossy(&answer.stdout).into_owned())
    }
}

fn is_executable(file: &Path) -> bool {
    let Ok(meta) = file.metadata() else {
        return false;
    };
    #[cfg(unix)]
    let runs = std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o111 != 0;
    #[cfg(not(unix))]
    let runs = true;
    meta.is_file() && runs
}
