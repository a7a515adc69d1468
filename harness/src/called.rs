//! How this program was called, so that a command it prints can be pasted.
//!
//! Under `cargo run` the command is cargo's, which also rebuilds the program. Otherwise it is the
//! name that the caller used. A harness with a strategy of its own thus names itself, and nothing
//! else writes the name of the program into a command.
//!
//! The variables of cargo are inherited by whatever a program under cargo starts, so they count only
//! if the package that they name has a program of this name.

use std::borrow::Cow;
use std::env;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The words before the arguments, quoted for a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    words: Vec<String>,
    /// The name of the executable, by which a shell completes its arguments.
    name: String,
}

impl Default for Called {
    /// By a plain name, as if it were installed.
    fn default() -> Self {
        Self::by_name("harness")
    }
}

impl fmt::Display for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words.join(" "))
    }
}

impl Called {
    /// How this process was called.
    pub fn now() -> &'static Self {
        static NOW: OnceLock<Called> = OnceLock::new();
        NOW.get_or_init(|| {
            let path = env::args_os().next().filter(|name| !name.is_empty()).map(PathBuf::from);
            let path = path.or_else(|| env::current_exe().ok()).unwrap_or_else(|| "harness".into());
            let folder = env::current_dir().unwrap_or_default();
            Self::of(&path, &folder, |name| env::var_os(name))
        })
    }

    /// A program of this path, called in a folder with these variables.
    fn of(path: &Path, folder: &Path, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let by_cargo = || {
            // Only cargo's own programs have all three.
            variable("CARGO")?;
            let package = variable("CARGO_PKG_NAME")?.into_string().ok()?;
            cargo_run(path, &package, &PathBuf::from(variable("CARGO_MANIFEST_DIR")?), folder)
        };
        let called = Self::by_name(&path.to_string_lossy());
        by_cargo().map_or(called.clone(), |words| Self { words, ..called })
    }

    /// By its path or plain name.
    pub(crate) fn by_name(path: &str) -> Self {
        let name = Path::new(path).file_name().map_or(path.into(), |name| name.to_string_lossy());
        Self { words: vec![quoted(path)], name: name.into_owned() }
    }

    /// The name of the executable.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The words of a command of this program.
    pub fn words<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        self.words.iter().cloned().chain(arguments.into_iter().map(quoted)).collect()
    }

    /// A command of this program in one line.
    pub fn line<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> String {
        self.words(arguments).join(" ")
    }
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    shlex::try_quote(word).map_or(word.to_owned(), Cow::into_owned)
}

/// The words of `cargo run` for a program of a package, if `cargo run` works in this folder.
fn cargo_run(path: &Path, package: &str, manifest: &Path, folder: &Path) -> Option<Vec<String>> {
    let name = path.file_stem()?.to_str()?;
    let mut built = path.parent()?;
    let is_example = built.ends_with("examples");
    if is_example {
        built = built.parent()?;
    }
    let mut above = folder.ancestors();
    above.find(|folder| manifest.starts_with(folder) && folder.join("Cargo.toml").exists())?;
    let text = std::fs::read_to_string(manifest.join("Cargo.toml")).ok()?;
    let table: toml::Table = toml::from_str(&text).ok()?;
    let mut words = vec!["cargo".to_owned(), "run".to_owned()];
    match built.file_name()?.to_str()? {
        "debug" => {}
        "release" => words.push("--release".to_owned()),
        profile => words.extend(["--profile".to_owned(), quoted(profile)]),
    }
    words.extend(["-p".to_owned(), quoted(package)]);
    if is_example {
        targets(&table, manifest, "example", "examples").contains(&name.to_owned()).then_some(())?;
        words.extend(["--example".to_owned(), quoted(name)]);
    } else {
        let mut programs = targets(&table, manifest, "bin", "src/bin");
        if manifest.join("src/main.rs").exists() {
            programs.push(package.to_owned());
        }
        programs.sort_unstable();
        programs.dedup();
        programs.contains(&name.to_owned()).then_some(())?;
        // Without its name cargo runs the only one.
        if programs.len() > 1 {
            words.extend(["--bin".to_owned(), quoted(name)]);
        }
    }
    words.push("--".to_owned());
    Some(words)
}

/// The names of a package's programs or examples: those in its manifest and those that cargo finds.
fn targets(table: &toml::Table, manifest: &Path, key: &str, folder: &str) -> Vec<String> {
    let written = table.get(key).and_then(toml::Value::as_array).into_iter().flatten();
    let written = written.filter_map(|target| Some(target.get("name")?.as_str()?.to_owned()));
    let files = std::fs::read_dir(manifest.join(folder)).into_iter().flatten().flatten();
    let files = files.map(|entry| entry.path());
    let is_target = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "rs") || path.join("main.rs").exists()
    };
    let found = files.filter(is_target).filter_map(|p| Some(p.file_stem()?.to_str()?.to_owned()));
    written.chain(found).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A workspace with a package `judge` in it.
    fn workspace(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in ["Cargo.toml", "judge/Cargo.toml"].iter().chain(files) {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    /// How a program of `judge` says that it was called under `cargo run` in `folder`.
    fn called(workspace: &Path, path: &str, folder: &str) -> String {
        let variable = |name: &str| match name {
            "CARGO" => Some("/usr/bin/cargo".into()),
            "CARGO_PKG_NAME" => Some("judge".into()),
            "CARGO_MANIFEST_DIR" => Some(workspace.join("judge").into_os_string()),
            _ => None,
        };
        let called = Called::of(Path::new(path), &workspace.join(folder), variable);
        called.line(["replay", "nested/idle"])
    }

    #[test]
    fn under_cargo_run_the_command_is_that_of_cargo() {
        let of = workspace(&["judge/src/main.rs", "judge/examples/own.rs", "core/lib.rs"]);
        let of = of.path();
        let plain = "cargo run -p judge -- replay nested/idle";
        assert_eq!(called(of, "target/debug/judge", ""), plain);
        assert_eq!(called(of, "/w/target/debug/judge", "core"), plain);
        assert_eq!(
            called(of, "target/debug/examples/own", ""),
            "cargo run -p judge --example own -- replay nested/idle"
        );
        assert_eq!(
            called(of, "target/release/judge", ""),
            "cargo run --release -p judge -- replay nested/idle"
        );
        assert_eq!(
            called(of, "target/small/judge", ""),
            "cargo run --profile small -p judge -- replay nested/idle"
        );
    }

    #[test]
    fn one_of_several_programs_of_a_package_is_named() {
        let of = workspace(&["judge/src/main.rs", "judge/src/bin/other.rs"]);
        assert_eq!(
            called(of.path(), "target/debug/other", ""),
            "cargo run -p judge --bin other -- replay nested/idle"
        );
        let of = workspace(&[]);
        let manifest = "[[bin]]\nname = \"mine\"\npath = \"main.rs\"\n";
        fs::write(of.path().join("judge/Cargo.toml"), manifest).unwrap();
        assert_eq!(
            called(of.path(), "target/debug/mine", ""),
            "cargo run -p judge -- replay nested/idle"
        );
    }

    #[test]
    fn the_variables_of_another_program_do_not_count() {
        let of = workspace(&["judge/src/main.rs"]);
        // Started by a program of `judge`, or where cargo would not find the package.
        for (path, folder) in [("target/debug/harness", ""), ("/w/target/debug/judge", "/")] {
            let expected = format!("{path} replay nested/idle");
            assert_eq!(called(of.path(), path, folder), expected);
        }
    }

    #[test]
    fn otherwise_the_program_is_named_as_it_was_called() {
        let of = |path| Called::of(Path::new(path), Path::new("/"), |_| None);
        assert_eq!(of("mine").line(["list"]), "mine list");
        assert_eq!(of("./target/debug/mine").line(["list"]), "./target/debug/mine list");
        assert_eq!(of("/a b/mine").line(["replay", "c d.toml"]), "'/a b/mine' replay 'c d.toml'");
        assert_eq!(of("/a b/mine").name(), "mine");
    }
}
