//! A package that is not part of this workspace, and what cargo says of it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The root of this workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

/// A file of this workspace.
pub fn text(file: &str) -> String {
    fs::read_to_string(root().join(file)).expect("a file of this workspace")
}

/// A program with a manifest of its own. Its name is also that of its folder and its executable.
pub struct Stranger {
    name: String,
    folder: PathBuf,
}

impl Stranger {
    /// Makes a program with these lines under `[dependencies]`.
    pub fn new(name: &str, dependencies: &str, main: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("strangers").join(name);
        let _ = fs::remove_dir_all(&folder);
        let stranger = Self { name: name.into(), folder };
        let package = "version = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n[workspace]\n";
        let manifest = format!("[package]\nname = {name:?}\n{package}\n[dependencies]\n");
        stranger.write("Cargo.toml", &format!("{manifest}{dependencies}"));
        stranger.write("src/main.rs", if main.is_empty() { "fn main() {}\n" } else { main });
        stranger.lock();
        stranger
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes one of its files.
    pub fn write(&self, file: &str, text: &str) {
        let file = self.folder.join(file);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(file, text).expect("a file");
    }

    /// Adds a dependency.
    pub fn depend(&self, line: &str) {
        let manifest = fs::read_to_string(self.folder.join("Cargo.toml")).expect("its manifest");
        self.write("Cargo.toml", &format!("{manifest}{line}"));
        self.lock();
    }

    /// Takes the versions that this workspace is built with.
    fn lock(&self) {
        self.write("Cargo.lock", &text("Cargo.lock"));
    }

    /// Runs cargo on it; from what is on this machine, where that is enough.
    pub fn cargo(&self, args: &[&str]) -> Seen {
        let offline = self.ask(&[args, &["--offline"]].concat());
        if offline.success || !offline.err.contains("--offline") {
            return offline;
        }
        self.lock();
        self.ask(args)
    }

    fn ask(&self, args: &[&str]) -> Seen {
        let cargo = env::var_os("CARGO").unwrap_or("cargo".into());
        let mut command = Command::new(cargo);
        // Nobody debugs what is built here.
        command.env("CARGO_PROFILE_DEV_DEBUG", "0");
        command.args(args).current_dir(&self.folder);
        Seen::of(&command.output().expect("cargo"))
    }

    /// Builds it and says whether it defines a function of this name.
    pub fn defines(&self, function: &str) -> bool {
        // Beside the test's own executable, which is in `<target>/<profile>/deps`.
        let test = env::current_exe().expect("this test's own path");
        let target = test.ancestors().nth(3).expect("a test is in <target>/<profile>/deps");
        let seen = self.cargo(&["build", "--target-dir", target.to_str().expect("UTF-8")]);
        assert!(seen.success, "{}", seen.err);
        let executable = target.join("debug").join(&self.name);
        let nm = Command::new("nm").arg("--defined-only").arg(executable).output();
        let seen = Seen::of(&nm.expect("nm, which comes with the C compiler"));
        assert!(seen.success && seen.out.contains(" main\n"), "{}", seen.err);
        // The address, the kind of symbol, the name.
        seen.out.lines().any(|line| line.split_whitespace().nth(2) == Some(function))
    }
}

/// What a command said.
pub struct Seen {
    pub success: bool,
    pub out: String,
    pub err: String,
}

impl Seen {
    fn of(output: &Output) -> Self {
        Self {
            success: output.status.success(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
