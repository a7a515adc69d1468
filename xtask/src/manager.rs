//! The package managers that set-up can use, and the commands for each.
//!
//! This module only builds the commands, so what a Fedora machine would run can be tested on a
//! Debian one.

use serde::Deserialize;

use crate::command::Cmd;

/// A package manager. The variants are in the order of the search. Homebrew is last, because on
/// Linux it exists beside the system's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Manager {
    AptGet,
    Dnf,
    Pacman,
    Brew,
}

/// How we get the privileges to install.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    Root,
    Sudo,
    /// Neither root nor sudo: we can show commands but not run them.
    None,
}

impl Manager {
    pub const ALL: [Self; 4] = [Self::AptGet, Self::Dnf, Self::Pacman, Self::Brew];

    /// The program to look for.
    pub fn program(self) -> &'static str {
        match self {
            Self::AptGet => "apt-get",
            Self::Dnf => "dnf",
            Self::Pacman => "pacman",
            Self::Brew => "brew",
        }
    }

    /// Whether it installs for the whole system. Homebrew does not, and refuses to run as root.
    pub fn needs_root(self) -> bool {
        self != Self::Brew
    }

    /// What to run before an installation if the package lists may be old or missing.
    pub fn refresh(self, privilege: Privilege) -> Option<Cmd> {
        match self {
            Self::AptGet => {
                Some(self.with(privilege, "env DEBIAN_FRONTEND=noninteractive apt-get update"))
            }
            // dnf and brew refresh by themselves. pacman must not: a refresh without an upgrade of
            // the whole system leaves it half upgraded, and we must not decide to upgrade it.
            Self::Dnf | Self::Pacman | Self::Brew => None,
        }
    }

    /// The command that installs these packages without asking.
    pub fn install(self, privilege: Privilege, packages: &[&str]) -> Cmd {
        let line = match self {
            // Through `env`, because sudo drops variables. A fresh Ubuntu holds the lock for its
            // own upgrades during the first minutes, hence the patience.
            Self::AptGet => {
                "env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
                 -o DPkg::Lock::Timeout=120"
            }
            Self::Dnf => "dnf install -y",
            Self::Pacman => "pacman -S --needed --noconfirm",
            Self::Brew => "brew install",
        };
        self.with(privilege, line).args(packages)
    }

    /// What may help when an installation has failed.
    pub fn advice(self) -> &'static str {
        match self {
            Self::AptGet => {
                "see apt-get's message above; is there a network, and a mirror in /etc/apt?"
            }
            Self::Dnf => "see dnf's message above; is there a network?",
            Self::Pacman => {
                "if pacman does not know the package, its lists are out of date: \
                 run `pacman -Syu` as root and try again"
            }
            Self::Brew => "see brew's message above; `brew doctor` may help",
        }
    }

    fn with(self, privilege: Privilege, line: &str) -> Cmd {
        let cmd = Cmd::line(line);
        if self.needs_root() && privilege == Privilege::Sudo { cmd.through("sudo") } else { cmd }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(manager: Manager, privilege: Privilege) -> Vec<String> {
        let install = manager.install(privilege, &["one", "two"]);
        manager.refresh(privilege).iter().chain([&install]).map(Cmd::to_string).collect()
    }

    #[test]
    fn apt_refreshes_first_and_never_asks() {
        assert_eq!(
            lines(Manager::AptGet, Privilege::Root),
            [
                "env DEBIAN_FRONTEND=noninteractive apt-get update",
                "env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
                 -o DPkg::Lock::Timeout=120 one two",
            ]
        );
    }

    #[test]
    fn sudo_comes_before_every_command_that_needs_root() {
        assert_eq!(
            lines(Manager::AptGet, Privilege::Sudo),
            [
                "sudo env DEBIAN_FRONTEND=noninteractive apt-get update",
                "sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y \
                 --no-install-recommends -o DPkg::Lock::Timeout=120 one two",
            ]
        );
        assert_eq!(lines(Manager::Dnf, Privilege::Sudo), ["sudo dnf install -y one two"]);
        assert_eq!(
            lines(Manager::Pacman, Privilege::Sudo),
            ["sudo pacman -S --needed --noconfirm one two"]
        );
    }

    #[test]
    fn brew_is_never_run_as_root() {
        assert_eq!(lines(Manager::Brew, Privilege::Sudo), ["brew install one two"]);
    }

    #[test]
    fn root_needs_no_sudo() {
        assert_eq!(lines(Manager::Dnf, Privilege::Root), ["dnf install -y one two"]);
        assert_eq!(
            lines(Manager::Pacman, Privilege::Root),
            ["pacman -S --needed --noconfirm one two"]
        );
    }
}
