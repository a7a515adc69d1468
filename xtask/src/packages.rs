//! What the workspace needs from the system, read from the list in `packages.toml`.
//!
//! The list is data, so that a packager, or a contributor who adds a distribution, edits one file and
//! no code.

use std::collections::BTreeMap;

use clap::ValueEnum;
use serde::Deserialize;

use crate::manager::Manager;

/// What a package is needed for, which decides how bad its absence is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// Nothing compiles without it
    Build,
    /// The GTK window does not compile without it; everything else does
    Demo,
    /// Some steps of `cargo xtask test` are skipped without it
    Test,
}

impl Group {
    /// All of them, in the order in which they are installed.
    pub const ALL: [Self; 3] = [Self::Build, Self::Demo, Self::Test];
}

/// One thing that must be on the machine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    pub name: String,
    pub group: Group,
    pub why: String,
    pub detect: Detect,
    packages: BTreeMap<Manager, Vec<String>>,
}

/// How to detect it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Detect {
    /// One of these programs is on the PATH.
    Command(Vec<String>),
    /// pkg-config knows all of these modules, in versions that are new enough.
    PkgConfig {
        modules: Vec<String>,
        #[serde(rename = "at-least")]
        at_least: String,
    },
    /// One of these files is in a folder of XDG_DATA_DIRS.
    DataFile(Vec<String>),
}

impl Need {
    /// The names of its packages for this manager; none if the manager has no such package.
    pub fn packages(&self, manager: Manager) -> &[String] {
        self.packages.get(&manager).map_or(&[], Vec::as_slice)
    }

    /// The name, with the version if one is required.
    pub fn title(&self) -> String {
        match &self.detect {
            Detect::Command(_) | Detect::DataFile(_) => self.name.clone(),
            Detect::PkgConfig { at_least, .. } => format!("{} >= {at_least}", self.name),
        }
    }
}

/// Every need, in the order of the file.
pub fn all() -> Vec<Need> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        need: Vec<Need>,
    }
    let file: File = toml::from_str(include_str!("../packages.toml"))
        .expect("packages.toml is part of this program, and a test reads it");
    file.need
}

/// The packages to install for `needs`, in order, each once.
pub fn names<'a>(needs: &[&'a Need], manager: Manager) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for name in needs.iter().flat_map(|need| need.packages(manager)) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names
}

/// The needs as a list, for a user who has to install them by hand.
pub fn by_hand(needs: &[&Need]) -> String {
    let mut lines = Vec::new();
    for need in needs {
        lines.push(format!("  {} ({})", need.title(), need.why));
        for manager in Manager::ALL {
            let names = need.packages(manager);
            if !names.is_empty() {
                lines.push(format!("    {:<8} {}", manager.program(), names.join(" ")));
            }
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(group: Group, manager: Manager) -> Vec<String> {
        let needs = all();
        let chosen: Vec<&Need> = needs.iter().filter(|need| need.group == group).collect();
        names(&chosen, manager).into_iter().map(String::from).collect()
    }

    #[test]
    fn each_manager_gets_its_own_names() {
        use Manager::*;
        assert_eq!(of(Group::Build, AptGet), ["gcc", "libc6-dev", "pkg-config", "libglib2.0-dev"]);
        assert_eq!(of(Group::Build, Dnf), ["gcc", "pkgconf-pkg-config", "glib2-devel"]);
        assert_eq!(of(Group::Build, Pacman), ["gcc", "pkgconf", "glib2"]);
        assert_eq!(of(Group::Build, Brew), ["gcc", "pkgconf", "glib"]);
        assert_eq!(of(Group::Demo, AptGet), ["libgtk-4-dev", "librsvg2-common"]);
        assert_eq!(of(Group::Demo, Dnf), ["gtk4-devel"]);
        assert_eq!(of(Group::Demo, Pacman), ["gtk4"]);
        assert_eq!(of(Group::Demo, Brew), ["gtk4"]);
        let desk = ["xvfb", "xdotool", "openbox", "at-spi2-core"];
        assert_eq!(of(Group::Test, AptGet), [&["valgrind", "dbus-daemon"][..], &desk].concat());
        assert_eq!(
            of(Group::Test, Dnf),
            [
                "valgrind",
                "dbus-daemon",
                "xorg-x11-server-Xvfb",
                "xdotool",
                "openbox",
                "at-spi2-core"
            ]
        );
        assert_eq!(
            of(Group::Test, Pacman),
            ["valgrind", "dbus", "xorg-server-xvfb", "xdotool", "openbox", "at-spi2-core"]
        );
        assert_eq!(of(Group::Test, Brew), ["dbus"]);
    }

    #[test]
    fn every_manager_can_install_all_that_the_build_needs() {
        for need in all().iter().filter(|need| need.group == Group::Build) {
            for manager in Manager::ALL {
                assert!(!need.packages(manager).is_empty(), "{} by {manager:?}", need.name);
            }
        }
    }

    #[test]
    fn a_package_that_two_needs_share_is_named_once() {
        let needs = all();
        let twice = [&needs[0], &needs[0]];
        assert_eq!(names(&twice, Manager::Dnf), ["gcc"]);
    }

    #[test]
    fn the_list_for_a_person_names_every_manager() {
        let needs = all();
        let text = by_hand(&[&needs[2], &needs[3]]);
        assert!(text.contains("GLib >= 2.74 (one of the two"), "{text}");
        assert!(text.contains("apt-get  libglib2.0-dev"), "{text}");
        assert!(text.contains("brew     glib"), "{text}");
        assert!(!text.contains("brew     valgrind"), "{text}");
    }

    #[test]
    fn versions_match_the_features_of_the_crates() {
        let manifest: toml::Table = include_str!("../../Cargo.toml").parse().unwrap();
        for need in all() {
            let Detect::PkgConfig { modules, at_least } = need.detect else {
                continue;
            };
            let feature = format!("v{}", at_least.replace('.', "_"));
            for module in modules {
                let package = module.trim_end_matches("-2.0");
                let features = &manifest["workspace"]["dependencies"][package]["features"];
                let features = features.as_array().expect("a list of features");
                assert!(features.iter().any(|f| f.as_str() == Some(&feature)), "{package}");
            }
        }
    }
}
