//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::kind::Kind;

const AFTER: &str = "\
A strategy that owns the outer loop cannot be replaced while it runs, so choosing another one in
the window restarts the program. The window runs in a child process: if that process aborts, a new
window opens and explains why.

Exit codes:
  0  done
  1  a file could not be written, or the scenario did not end
  2  wrong usage, or an unknown name
  5  there is no display";

/// A GTK window that shows whether a dialog stops the async side.
#[derive(Clone, Debug, Parser)]
#[command(name = "gui-demo", version, after_help = AFTER)]
pub struct Options {
    /// How GLib and tokio run together
    #[arg(
        short,
        long,
        default_value = "dispatch",
        value_name = "NAME",
        overrides_with = "strategy"
    )]
    pub strategy: String,

    /// Play a scenario of the matrix with real dialogs, and show its verdict
    #[arg(long, value_name = "NAME")]
    pub scenario: Option<String>,

    /// Open a dialog as soon as the window is shown
    #[arg(long, value_name = "KIND", value_parser = kind)]
    pub open: Option<Kind>,

    /// Close every dialog after this many milliseconds
    #[arg(long, value_name = "MS")]
    pub dialog_ms: Option<u32>,

    /// Write a screenshot of the window (PNG) before exiting
    #[arg(long, value_name = "FILE")]
    pub screenshot: Option<PathBuf>,

    /// Write the counters and verdicts (JSON) before exiting
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,

    /// Exit after this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub exit_after: Option<Duration>,

    /// Start without the ticker, the echo and the D-Bus calls
    #[arg(long)]
    pub idle: bool,

    /// Start with the charts paused
    #[arg(long)]
    pub pause_charts: bool,

    /// Start with a thousand extra tasks
    #[arg(long)]
    pub many_tasks: bool,

    /// Start in dark colours
    #[arg(long)]
    pub dark: bool,

    /// The supervisor's process ID, set by the supervisor: this process is the one with the window.
    #[arg(long, hide = true)]
    pub parent: Option<u32>,

    /// Set by the supervisor: this is not the first process of the run.
    #[arg(long, hide = true)]
    pub again: bool,

    /// Set by the supervisor: where to record what is on the stack.
    #[arg(long, hide = true)]
    pub black_box: Option<PathBuf>,

    /// Set by the supervisor: where to write which strategy comes next.
    #[arg(long, hide = true)]
    pub next: Option<PathBuf>,

    /// Set by the supervisor: how the previous process died.
    #[arg(long, hide = true)]
    pub post_mortem: Option<PathBuf>,
}

impl Options {
    /// Whether there is a scenario to play that no earlier process has played.
    pub fn plays(&self) -> bool {
        self.scenario.is_some() && !self.again
    }

    /// How long each dialog stays open before it closes by itself.
    pub fn dialog_time(&self) -> Option<Duration> {
        self.dialog_ms.map(|ms| Duration::from_millis(ms.into()))
    }
}

fn kind(name: &str) -> Result<Kind, String> {
    Kind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
        let names = Kind::ALL.map(Kind::name).join(", ");
        format!("the kinds are {names}")
    })
}

fn seconds(text: &str) -> Result<Duration, String> {
    let time = text.parse().map_err(|error| format!("{error}"))?;
    let time = Duration::try_from_secs_f64(time).map_err(|error| error.to_string())?;
    // GLib counts milliseconds in 32 bits.
    u32::try_from(time.as_millis()).map_err(|_| "more than a month".to_owned())?;
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn the_last_strategy_given_wins() {
        let options = Options::parse_from(["gui-demo", "-s", "nested", "--strategy", "handoff"]);
        assert_eq!(options.strategy, "handoff");
    }

    #[test]
    fn an_impossible_time_is_a_usage_error() {
        for time in ["-1", "nan", "inf", "1e9", "soon"] {
            let error = Options::try_parse_from(["gui-demo", &format!("--exit-after={time}")]);
            assert_eq!(error.map_err(|error| error.exit_code()).err(), Some(2), "{time}");
        }
        let options = Options::parse_from(["gui-demo", "--exit-after", "0.5"]);
        assert_eq!(options.exit_after, Some(Duration::from_millis(500)));
    }

    #[test]
    fn an_unknown_kind_of_dialog_names_the_known_ones() {
        let error = Options::try_parse_from(["gui-demo", "--open", "nonsense"]).unwrap_err();
        assert!(error.to_string().contains("library-task"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}
