//! A command as a value: it can be shown, compared in a test, and run.
//!
//! We must run exactly the line that we announce, so that a reader can paste it. So the line is
//! built once, and the same value is printed and run.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use anyhow::{Context, Result};

/// A program, its arguments, and the variables set for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cmd {
    env: Vec<(String, String)>,
    program: OsString,
    args: Vec<OsString>,
}

impl Cmd {
    /// A command from one line, split at blanks. For lines that are literals in this program.
    pub fn line(line: &str) -> Self {
        let mut words = line.split_whitespace().map(OsString::from);
        let program = words.next().unwrap_or_default();
        Self { env: Vec::new(), program, args: words.collect() }
    }

    /// A program by its path.
    pub fn program(path: impl Into<OsString>) -> Self {
        Self { env: Vec::new(), program: path.into(), args: Vec::new() }
    }

    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub fn args<I: IntoIterator<Item: Into<OsString>>>(mut self, args: I) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// The same command, started through another one, such as `sudo`.
    pub fn through(mut self, program: &str) -> Self {
        let inner = std::mem::replace(&mut self.program, program.into());
        self.args.insert(0, inner);
        self
    }

    /// Runs it in `folder` and waits.
    pub fn status(&self, folder: &Path) -> Result<ExitStatus> {
        self.build(Some(folder)).status().with_context(|| self.not_started())
    }

    /// Runs it with its standard output on our standard error. For helpers whose output must not
    /// mix with a result that goes into a pipe.
    pub fn status_on_stderr(&self) -> Result<ExitStatus> {
        self.build(None).stdout(io::stderr()).status().with_context(|| self.not_started())
    }

    /// Runs it in `folder` and returns what it wrote on standard output.
    pub fn stdout(&self, folder: &Path) -> Result<(ExitStatus, String)> {
        let output = self
            .build(Some(folder))
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| self.not_started())?;
        let text = String::from_utf8(output.stdout)
            .with_context(|| format!("the output of `{self}` is not UTF-8"))?;
        Ok((output.status, text))
    }

    /// Whether it starts and succeeds, without showing its output. For `--version` and the like.
    pub fn succeeds(&self) -> bool {
        let mut command = self.build(None);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    /// Becomes the command. Only a replaced process passes on an exit code or a death by signal
    /// exactly, and then Ctrl-C reaches one process instead of two.
    #[cfg(unix)]
    pub fn replace_process(&self) -> Result<ExitCode> {
        use std::os::unix::process::CommandExt;
        Err(self.build(None).exec()).with_context(|| self.not_started())
    }

    #[cfg(not(unix))]
    pub fn replace_process(&self) -> Result<ExitCode> {
        let status = self.build(None).status().with_context(|| self.not_started())?;
        std::process::exit(status.code().unwrap_or(1));
    }

    fn build(&self, folder: Option<&Path>) -> Command {
        // `CARGO` is the cargo that started us; a bare `cargo` could be another toolchain's.
        let program = match env::var_os("CARGO") {
            Some(cargo) if self.program == "cargo" => cargo,
            _ => self.program.clone(),
        };
        let mut command = Command::new(program);
        command.args(&self.args).envs(self.env.iter().cloned());
        if let Some(folder) = folder {
            command.current_dir(folder);
        }
        command
    }

    fn not_started(&self) -> String {
        format!("cannot start `{self}`; is {} installed and on the PATH?", self.program.display())
    }
}

impl fmt::Display for Cmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.env {
            write!(f, "{name}={} ", quoted(value.as_ref()))?;
        }
        write!(f, "{}", quoted(&self.program))?;
        self.args.iter().try_for_each(|arg| write!(f, " {}", quoted(arg)))
    }
}

/// The word, quoted for a shell if necessary.
pub fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// How a command ended, in words.
pub fn ending(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("killed by signal {signal}");
    }
    match status.code() {
        Some(code) => format!("exit code {code}"),
        None => "ended without an exit code".into(),
    }
}

/// `cargo COMMAND` for the whole workspace, or for all of it that can be built without GTK.
///
/// Features are unified over what is selected, so a smaller selection compiles the dependencies
/// again.
pub fn cargo_of_workspace(command: &str, gtk: bool) -> Cmd {
    let cmd = Cmd::line(&format!("cargo {command} --workspace"));
    if gtk { cmd } else { cmd.args(["--exclude", "gui-demo"]) }
}

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    let here = env::var_os("CARGO_MANIFEST_DIR").unwrap_or(env!("CARGO_MANIFEST_DIR").into());
    Path::new(&here).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Where cargo puts what it builds, relative to the root of the workspace unless set otherwise.
pub fn target_folder() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_a_shell_would_take_it() {
        let cmd = Cmd::line("cargo run -- ")
            .args(["--scenario", "*dialog*", "it's", ""])
            .env("RUSTFLAGS", "--cfg loopnest_loom");
        assert_eq!(
            cmd.to_string(),
            r"RUSTFLAGS='--cfg loopnest_loom' cargo run -- --scenario '*dialog*' 'it'\''s' ''"
        );
    }

    #[test]
    fn a_wrapper_comes_first() {
        let cmd = Cmd::line("env A=1 apt-get update").through("sudo");
        assert_eq!(cmd.to_string(), "sudo env A=1 apt-get update");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = Cmd::line("no-such-program-at-all").status(Path::new(".")).unwrap_err();
        assert!(error.to_string().contains("is no-such-program-at-all installed"), "{error}");
    }
}
