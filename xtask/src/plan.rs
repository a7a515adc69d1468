//! What set-up would run, as a value: the commands that install what is missing.
//!
//! `setup --dry-run` prints this plan and `setup` carries it out, so the two cannot differ.

use crate::command::Cmd;
use crate::manager::{Manager, Privilege};
use crate::packages::{self, Group, Need};

/// The installation of one group. Groups are installed one by one, so that a machine for which
/// there is no valgrind still gets its compiler.
#[derive(Debug, PartialEq, Eq)]
pub struct Install {
    pub group: Group,
    pub cmd: Cmd,
}

/// What to run, in order.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    pub refresh: Option<Cmd>,
    pub installs: Vec<Install>,
}

impl Plan {
    /// Every command, in order.
    pub fn commands(&self) -> impl Iterator<Item = &Cmd> {
        self.refresh.iter().chain(self.installs.iter().map(|install| &install.cmd))
    }
}

/// The commands that install what is missing.
pub fn plan(manager: Manager, privilege: Privilege, missing: &[&Need]) -> Plan {
    let mut installs = Vec::new();
    for group in Group::ALL {
        let needs: Vec<&Need> =
            missing.iter().copied().filter(|need| need.group == group).collect();
        let names = packages::names(&needs, manager);
        if !names.is_empty() {
            installs.push(Install { group, cmd: manager.install(privilege, &names) });
        }
    }
    let refresh = manager.refresh(privilege).filter(|_| !installs.is_empty());
    Plan { refresh, installs }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(manager: Manager, privilege: Privilege, names: &[&str]) -> Vec<String> {
        let needs = packages::all();
        let missing: Vec<&Need> =
            needs.iter().filter(|need| names.contains(&need.name.as_str())).collect();
        let plan = plan(manager, privilege, &missing);
        let installs = plan.installs.iter().map(|install| &install.cmd);
        plan.refresh.iter().chain(installs).map(Cmd::to_string).collect()
    }

    const ALL: [&str; 5] = ["C compiler", "pkg-config", "GLib", "valgrind", "D-Bus session"];

    #[test]
    fn a_bare_debian_refreshes_once_and_installs_group_by_group() {
        let apt = "env DEBIAN_FRONTEND=noninteractive apt-get";
        let options = "install -y --no-install-recommends -o DPkg::Lock::Timeout=120";
        assert_eq!(
            lines(Manager::AptGet, Privilege::Root, &ALL),
            [
                format!("{apt} update"),
                format!("{apt} {options} gcc libc6-dev pkg-config libglib2.0-dev"),
                format!("{apt} {options} valgrind dbus-daemon"),
            ]
        );
    }

    #[test]
    fn a_bare_fedora_arch_and_mac_get_their_own_commands() {
        assert_eq!(
            lines(Manager::Dnf, Privilege::Sudo, &ALL),
            [
                "sudo dnf install -y gcc pkgconf-pkg-config glib2-devel",
                "sudo dnf install -y valgrind dbus-daemon",
            ]
        );
        assert_eq!(
            lines(Manager::Pacman, Privilege::Root, &ALL),
            [
                "pacman -S --needed --noconfirm gcc pkgconf glib2",
                "pacman -S --needed --noconfirm valgrind dbus",
            ]
        );
        assert_eq!(
            lines(Manager::Brew, Privilege::None, &ALL),
            ["brew install gcc pkgconf glib", "brew install dbus"]
        );
    }

    #[test]
    fn the_window_is_installed_apart_from_the_build_and_from_the_tools() {
        assert_eq!(
            lines(Manager::Pacman, Privilege::Root, &["GLib", "GTK", "Xvfb", "xdotool"]),
            [
                "pacman -S --needed --noconfirm glib2",
                "pacman -S --needed --noconfirm gtk4",
                "pacman -S --needed --noconfirm xorg-server-xvfb xdotool",
            ]
        );
    }

    #[test]
    fn only_what_is_missing_is_installed() {
        assert_eq!(lines(Manager::Dnf, Privilege::Root, &["GLib"]), ["dnf install -y glib2-devel"]);
    }

    #[test]
    fn nothing_is_run_for_a_tool_that_the_manager_does_not_have() {
        assert_eq!(lines(Manager::Brew, Privilege::None, &["valgrind"]), [""; 0]);
    }
}
