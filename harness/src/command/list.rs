//! `harness list`: what can be run, and what the words and rules mean.

use std::fmt::Write as _;

use loopnest_core::Word;
use serde_json::json;

use super::failure::usage;
use super::output::print;
use crate::cli::{ListArgs, ListWhat};
use crate::exit::Exit;
use crate::registry::Registry;
use crate::rules::{self, RULES};

pub(super) fn list(registry: &Registry, args: &ListArgs) -> anyhow::Result<Exit> {
    let text = match args.what {
        ListWhat::Rules if args.markdown => rules::page(),
        _ if args.markdown => {
            let hint = "only rules can be listed as Markdown; try `list rules --markdown`";
            return Err(usage(hint));
        }
        what if args.json => as_json(registry, what)?,
        what => as_text(registry, what)?,
    };
    print(text.as_bytes())?;
    Ok(Exit::Ok)
}

fn wants(what: ListWhat, this: ListWhat) -> bool {
    what == ListWhat::All || what == this
}

fn as_text(registry: &Registry, what: ListWhat) -> anyhow::Result<String> {
    let mut text = String::new();
    let mut section = |title: &str, rows: Vec<(String, String)>| -> std::fmt::Result {
        if !text.is_empty() {
            writeln!(text)?;
        }
        writeln!(text, "{title}")?;
        for (name, about) in rows {
            let options =
                textwrap::Options::new(78).initial_indent("      ").subsequent_indent("      ");
            writeln!(text, "  {name}\n{}", textwrap::fill(&about, options))?;
        }
        Ok(())
    };
    if wants(what, ListWhat::Strategies) {
        let rows = registry.strategies().map(|s| s.about()).map(|about| {
            let limits = about.limits.join("; ");
            let limits = if limits.is_empty() { limits } else { format!(" Limits: {limits}.") };
            (about.name.to_owned(), format!("{}.{limits}", about.summary))
        });
        section("strategies", rows.collect())?;
    }
    if wants(what, ListWhat::Scenarios) {
        let rows = registry.scenarios().iter();
        let rows = rows.map(|p| (p.name.clone(), format!("{} Seen: {}.", p.about, p.source)));
        section("scenarios", rows.collect())?;
    }
    if wants(what, ListWhat::Verdicts) {
        let rows = Word::ALL.iter().map(|w| (w.name().to_owned(), w.meaning().to_owned()));
        section("verdicts, from good to bad", rows.collect())?;
    }
    if wants(what, ListWhat::Rules) {
        let rows = RULES.iter().map(|rule| (rule.name.to_owned(), rule.title.to_owned()));
        section("rules, in the order in which they are tried", rows.collect())?;
    }
    Ok(text)
}

fn as_json(registry: &Registry, what: ListWhat) -> anyhow::Result<String> {
    let mut all = serde_json::Map::new();
    if wants(what, ListWhat::Strategies) {
        let rows: Vec<_> = registry.strategies().map(|s| json!(s.about())).collect();
        all.insert("strategies".to_owned(), json!(rows));
    }
    if wants(what, ListWhat::Scenarios) {
        all.insert("scenarios".to_owned(), json!(registry.scenarios()));
    }
    if wants(what, ListWhat::Verdicts) {
        let rows = Word::ALL.iter().map(|w| json!({"name": w.name(), "meaning": w.meaning()}));
        all.insert("verdicts".to_owned(), json!(rows.collect::<Vec<_>>()));
    }
    if wants(what, ListWhat::Rules) {
        let rows = RULES.iter().map(|rule| json!({"name": rule.name, "title": rule.title}));
        all.insert("rules".to_owned(), json!(rows.collect::<Vec<_>>()));
    }
    Ok(serde_json::to_string_pretty(&all)? + "\n")
}
