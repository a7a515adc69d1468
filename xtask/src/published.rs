//! The packages that are published, as their manifests say it: no list of them is kept anywhere else.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// What strangers get, and what they are promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The oldest Rust that compiles it.
    pub rust: String,
    pub version: String,
    pub packages: Vec<Package>,
}

/// A package with its features, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    pub name: String,
    pub features: Vec<String>,
}

/// Reads the manifests of the workspace.
pub fn published(root: &Path) -> Result<Published> {
    let Workspace { members, package } = read::<Root>(root)?.workspace;
    let mut packages = Vec::new();
    for member in members {
        let Member { package: Named { name, publish }, features } = read(&root.join(member))?;
        if publish {
            packages.push(Package { name, features: features.into_keys().collect() });
        }
    }
    Ok(Published { rust: package.rust_version, version: package.version, packages })
}

impl Published {
    /// The flags by which cargo takes these packages and no other.
    pub fn flags(&self) -> impl Iterator<Item = &str> {
        self.packages.iter().flat_map(|package| ["-p", &package.name])
    }
}

#[derive(Deserialize)]
struct Root {
    workspace: Workspace,
}

#[derive(Deserialize)]
struct Workspace {
    members: Vec<String>,
    package: Shared,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Shared {
    version: String,
    rust_version: String,
}

#[derive(Deserialize)]
struct Member {
    package: Named,
    #[serde(default)]
    features: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    /// Cargo publishes what does not say otherwise.
    #[serde(default = "yes")]
    publish: bool,
}

fn yes() -> bool {
    true
}

fn read<T: DeserializeOwned>(folder: &Path) -> Result<T> {
    let file = folder.join("Cargo.toml");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {file:?}"))?;
    toml::from_str(&text).with_context(|| format!("{file:?} is not a manifest of this workspace"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strategies_are_published_and_the_chores_are_not() {
        let published = published(&crate::command::workspace()).expect("the manifests");
        let names: Vec<&str> = published.packages.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["loopnest-core", "loopnest-strategies", "loopnest-epoll-hook"]);
        assert!(published.packages[1].features.contains(&"epoll-hook".into()), "{published:?}");
    }
}
