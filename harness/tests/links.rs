//! Every link in the documents leads somewhere, and every path exists.
//!
//! A path is a link's target, or words in backticks that look like one. `NAME` in a path is a
//! placeholder.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Everything in the repository, by its path from the root.
struct Tree {
    root: PathBuf,
    paths: BTreeSet<String>,
}

/// Words in backticks that end like this are file names.
const FILES: [&str; 8] = [".rs", ".md", ".toml", ".json", ".yml", ".ui", ".css", ".supp"];

impl Tree {
    fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut tree = Self { root, paths: BTreeSet::new() };
        tree.walk("");
        tree
    }

    fn walk(&mut self, folder: &str) {
        for entry in fs::read_dir(self.root.join(folder)).expect("a folder") {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("a plain name");
            if name == "target" || name == ".git" {
                continue;
            }
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            if entry.file_type().expect("a type").is_dir() {
                self.walk(&path);
            }
            self.paths.insert(path);
        }
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    fn documents(&self) -> impl Iterator<Item = &String> {
        self.paths.iter().filter(|path| path.ends_with(".md"))
    }

    /// A link's target, as a path from the root.
    fn resolve(&self, document: &str, target: &str) -> Option<String> {
        let joined = Path::new(document).parent()?.join(target);
        let mut parts = Vec::new();
        for part in joined.components() {
            match part {
                Component::ParentDir => drop(parts.pop()?),
                Component::Normal(name) => parts.push(name.to_str()?),
                _ => {}
            }
        }
        let path = parts.join("/");
        (path.is_empty() || self.paths.contains(&path)).then_some(path)
    }

    /// Whether some path is this one or ends with it: `turn.rs` is enough to name a file.
    fn names(&self, short: &str) -> bool {
        let tail = format!("/{short}");
        self.paths.contains(short) || self.paths.iter().any(|path| path.ends_with(&tail))
    }

    fn looks_like_a_path(&self, words: &str) -> bool {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
        let ours = words.split_once('/').is_some_and(|(top, _)| self.paths.contains(top));
        let file = FILES.iter().any(|ending| words.ends_with(ending) && words != *ending);
        words.chars().all(plain) && !words.contains("NAME") && (ours || file)
    }
}

/// The lines of a document outside of fenced blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fence && !fenced
    })
}

fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0))
}

fn in_backticks(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn has_heading(text: &str, name: &str) -> bool {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#'))).any(|heading| heading == name)
}

#[test]
fn every_link_leads_somewhere() {
    let tree = Tree::read();
    let mut dead = Vec::new();
    for document in tree.documents() {
        let text = tree.text(document);
        for target in prose(&text).flat_map(targets) {
            if target.starts_with("https://") {
                continue;
            }
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let path =
                if path.is_empty() { Some(document.clone()) } else { tree.resolve(document, path) };
            let found = path
                .is_some_and(|path| heading.is_empty() || has_heading(&tree.text(&path), heading));
            if !found {
                dead.push(format!("{document}: {target}"));
            }
        }
    }
    assert_eq!(dead, [""; 0]);
}

#[test]
fn every_path_in_backticks_exists() {
    let tree = Tree::read();
    let mut gone = Vec::new();
    for document in tree.documents() {
        let text = tree.text(document);
        let named =
            prose(&text).flat_map(in_backticks).filter(|words| tree.looks_like_a_path(words));
        let lost = named.filter(|path| !tree.names(path.trim_end_matches('/')));
        gone.extend(lost.map(|path| format!("{document}: {path}")));
    }
    assert_eq!(gone, [""; 0]);
}

#[test]
fn the_architecture_has_a_row_for_every_folder_with_code() {
    let tree = Tree::read();
    let text = tree.text("ARCHITECTURE.md");
    let linked: BTreeSet<&str> = text.lines().flat_map(targets).collect();
    let files = tree.paths.iter().filter(|path| path.ends_with(".rs"));
    let folders: BTreeSet<&str> = files.filter_map(|file| Some(file.rsplit_once('/')?.0)).collect();
    let missing: Vec<_> = folders.difference(&linked).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md links to no folder of {missing:?}");
}

#[test]
fn the_readme_links_every_example() {
    let tree = Tree::read();
    let text = tree.text("README.md");
    let examples = tree.paths.iter().filter(|path| path.contains("/examples/"));
    let missing: Vec<_> = examples.filter(|path| !text.contains(&format!("]({path})"))).collect();
    assert!(missing.is_empty(), "README.md links to none of {missing:?}");
}

#[test]
fn anchors_are_made_as_github_makes_them() {
    assert_eq!(anchor(" What loom cannot say"), "what-loom-cannot-say");
    assert_eq!(anchor(" `core/`: the vocabulary"), "core-the-vocabulary");
    assert!(has_heading("text\n## A turn, step by step\n", "a-turn-step-by-step"));
    assert!(!has_heading("```\n# a comment\n```\n", "a-comment"));
}
