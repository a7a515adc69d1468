//! `harness report`: prints a stored run.

use anyhow::Context as _;

use super::failure::usage;
use super::output::{print, style};
use crate::cli::ReportArgs;
use crate::exit::Exit;
use crate::formats::render;
use crate::result::{RunResult, SCHEMA};

pub(super) fn report(args: &ReportArgs) -> anyhow::Result<Exit> {
    let path = args.file.display();
    let text = std::fs::read_to_string(&args.file)
        .with_context(|| format!("cannot read {path}"))
        .map_err(|e| usage(format!("{e:#}")))?;
    let result: RunResult = serde_json::from_str(&text).map_err(|e| {
        usage(format!("{path} is not a run stored with `harness run --format json`: {e}"))
    })?;
    if result.schema != SCHEMA {
        let found = result.schema;
        return Err(usage(format!("{path} has schema {found}; this harness reads {SCHEMA}")));
    }
    print(render(&result, args.format, &style(args.color, false, true))?.as_bytes())?;
    Ok(Exit::Ok)
}
