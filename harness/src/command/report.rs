//! `harness report`: prints a stored run.

use std::path::Path;

use anyhow::Context as _;

use super::output::{print, style};
use super::usage::usage;
use crate::cli::ReportArgs;
use crate::exit::Exit;
use crate::formats::render;
use crate::result::{RunResult, SCHEMA};

pub(super) fn report(args: &ReportArgs) -> anyhow::Result<Exit> {
    let result = stored(&args.file)?;
    print(render(&result, args.format, &style(args.color, false, true))?.as_bytes())?;
    Ok(Exit::Ok)
}

/// Reads a stored run.
pub(super) fn stored(path: &Path) -> anyhow::Result<RunResult> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read {}", path.display()))
        .map_err(|e| usage(format!("{e:#}")))?;
    let path = path.display();
    let result: RunResult = serde_json::from_str(&text)
        .map_err(|e| usage(format!("{path} is not a run stored with `run --format json`: {e}")))?;
    if result.schema != SCHEMA {
        let found = result.schema;
        return Err(usage(format!("{path} has schema {found}; this harness reads {SCHEMA}")));
    }
    Ok(result)
}
