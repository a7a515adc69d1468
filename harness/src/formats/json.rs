//! JSON: the contract with scripts.
//!
//! `harness/schema/run.schema.json` (draft 2020-12) is the strict schema. A change that an existing
//! reader would notice raises [`SCHEMA`](crate::result::SCHEMA).
//! The evidence of each repeat is long, so it is left out unless `--full` asks for it.

use serde::Serialize;

use super::style::Style;
use crate::result::{CellResult, RunResult};

/// The whole run, indented.
pub(super) fn render(result: &RunResult, style: &Style) -> anyhow::Result<String> {
    if style.full {
        return Ok(serde_json::to_string_pretty(result)?);
    }
    let mut short = result.clone();
    short.cells.iter_mut().for_each(shorten);
    Ok(serde_json::to_string_pretty(&short)?)
}

/// Leaves out what only `--full` asks for.
fn shorten(cell: &mut CellResult) {
    cell.judgements.clear();
    cell.record = None;
}

/// A cell on a line of its own, with what is needed to replay it.
#[derive(Serialize)]
struct Line<'a> {
    schema: u32,
    seed: &'a str,
    #[serde(flatten)]
    cell: &'a CellResult,
}

/// One cell per line. Each line is complete in itself.
pub(super) fn render_lines(result: &RunResult, style: &Style) -> anyhow::Result<String> {
    let mut text = String::new();
    for cell in &result.cells {
        let mut cell = cell.clone();
        if !style.full {
            shorten(&mut cell);
        }
        let line = Line { schema: result.schema, seed: &result.seed, cell: &cell };
        text.push_str(&serde_json::to_string(&line)?);
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use jsonschema::Validator;
    use loopnest_core::verdict::{Figures, Word};
    use serde_json::{Value, json};

    use super::super::tests::{full_sample, sample};
    use super::super::{Format, Style, render};
    use crate::result::{CellResult, RunResult};

    fn schema() -> Value {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/run.schema.json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    /// The whole document's schema, or that of one of its definitions.
    fn validator(definition: Option<&str>) -> Validator {
        let mut schema = schema();
        if let Some(name) = definition {
            let definitions = schema["$defs"].take();
            schema = json!({
                "$schema": schema["$schema"],
                "$ref": format!("#/$defs/{name}"),
                "$defs": definitions,
            });
        }
        jsonschema::draft202012::new(&schema).unwrap()
    }

    fn document(style: &Style) -> Value {
        let text = render(&full_sample(), Format::Json, style).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn complaints(validator: &Validator, value: &Value) -> Vec<String> {
        validator.iter_errors(value).map(|e| format!("{} {e}", e.instance_path())).collect()
    }

    #[test]
    fn a_run_with_every_word_fits_the_schema_short_and_full() {
        let validator = validator(None);
        for full in [false, true] {
            let value = document(&Style { full, ..Style::default() });
            assert_eq!(complaints(&validator, &value), [""; 0]);
            let first = &value["cells"][0];
            for key in ["judgements", "record"] {
                assert_eq!(first.get(key).is_some(), full, "{key}");
            }
        }
    }

    #[test]
    fn the_schema_itself_is_valid() {
        assert!(jsonschema::meta::is_valid(&schema()));
    }

    #[test]
    fn a_broken_document_fails() {
        let validator = validator(None);
        let breaks: [(&str, Value); 6] = [
            ("/schema", json!(2)),
            ("/seed", json!("not hex")),
            ("/cells/0/verdict", json!([])),
            ("/cells/0/verdict/0", json!("fine")),
            ("/cells/0/figures/iterations", json!(-1)),
            ("/cells/0/judgements/0/findings", json!(["sleepy"])),
        ];
        for (place, value) in breaks {
            let mut document = document(&Style { full: true, ..Style::default() });
            *document.pointer_mut(place).unwrap() = value;
            assert!(!validator.is_valid(&document), "{place} should be refused");
        }
        let mut document = document(&Style::default());
        document["cells"][0]["score"] = json!(7);
        assert!(!validator.is_valid(&document), "nothing may be added");
        document["cells"][0] = json!({});
        assert!(!validator.is_valid(&document), "nothing may be left out");
    }

    #[test]
    fn the_schema_knows_every_word_and_every_figure() {
        let schema = schema();
        let words: Vec<Value> = Word::ALL.map(|w| serde_json::to_value(w).unwrap()).to_vec();
        assert_eq!(schema["$defs"]["word"]["enum"], Value::Array(words));
        let figures = serde_json::to_value(Figures::default()).unwrap();
        let written: Vec<&String> = figures.as_object().unwrap().keys().collect();
        let known = schema["$defs"]["figures"]["properties"].as_object().unwrap();
        assert_eq!(written, known.keys().collect::<Vec<_>>());
    }

    #[test]
    fn a_run_in_full_is_read_back_the_same_and_has_a_line_for_each_trace() {
        let style = Style { full: true, ..Style::default() };
        let text = render(&full_sample(), Format::Json, &style).unwrap();
        let back: RunResult = serde_json::from_str(&text).unwrap();
        assert_eq!(back, full_sample());
        let traces = text.lines().filter(|line| line.contains("\"trace\": {\"events\":"));
        assert_eq!(traces.count(), back.cells.len());
    }

    #[test]
    fn every_line_is_a_complete_cell() {
        let text = render(&sample(), Format::Jsonl, &Style::default()).unwrap();
        let validator = validator(Some("line"));
        for (line, cell) in text.lines().zip(&sample().cells) {
            let mut value: Value = serde_json::from_str(line).unwrap();
            assert_eq!(complaints(&validator, &value), [""; 0]);
            assert_eq!((&value["schema"], &value["seed"]), (&json!(1), &json!("5eed")));
            for key in ["schema", "seed"] {
                value.as_object_mut().unwrap().remove(key);
            }
            let back: CellResult = serde_json::from_value(value).unwrap();
            assert_eq!(back, CellResult { judgements: Vec::new(), ..cell.clone() });
        }
        assert_eq!(text.lines().count(), sample().cells.len());
    }
}
