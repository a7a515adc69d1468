//! `harness list`: what can be run, and what the words and rules mean.
//!
//! A list has a line or two for each thing. With a name it is the page of that thing.

use std::fmt::Write as _;

use loopnest_core::strategy::{About, Owner};
use loopnest_core::{Program, Word};
use serde_json::{Value, json};

use super::output::{print, style};
use super::usage::usage;
use crate::cli::{ListArgs, ListFormat, ListWhat, When};
use crate::exit::Exit;
use crate::formats::Style;
use crate::registry::Registry;
use crate::rules::{self, RULES, Rule};
use crate::text::{READABLE, capital, ended, labelled, wrap};
use crate::values::{did_you_mean, near};

pub(super) fn list(registry: &Registry, args: &ListArgs) -> anyhow::Result<Exit> {
    let format = match args {
        ListArgs { json: true, .. } => ListFormat::Json,
        ListArgs { markdown: true, .. } => ListFormat::Markdown,
        ListArgs { format, .. } => *format,
    };
    let style = style(When::Auto, false, false);
    let style = Style { width: style.width.min(READABLE), ..style };
    let mut sections = sections(registry, args.what, &style);
    if let Some(name) = &args.name {
        only(&mut sections, name)?;
    }
    let text = match format {
        ListFormat::Markdown => {
            if args.what != ListWhat::Rules {
                return Err(usage("only rules can be listed as Markdown; try `list rules`"));
            }
            let wanted = |rule: &&Rule| args.name.as_ref().is_none_or(|name| rule.name == name);
            rules::page(RULES.iter().filter(wanted))
        }
        ListFormat::Json => as_json(&sections)?,
        ListFormat::Human if args.name.is_some() => pages(&sections, &style)?,
        ListFormat::Human => as_text(&sections, &style)?,
    };
    print(text.as_bytes())?;
    Ok(Exit::Ok)
}

/// Things of one kind.
struct Section {
    /// Its name in JSON.
    key: &'static str,
    title: &'static str,
    items: Vec<Item>,
}

/// A thing that can be listed.
struct Item {
    name: String,
    short: String,
    page: String,
    json: Value,
}

fn sections(registry: &Registry, what: ListWhat, style: &Style) -> Vec<Section> {
    let mut sections = Vec::new();
    let mut add = |this: ListWhat, key: &'static str, title: &'static str, items: Vec<Item>| {
        if what == ListWhat::All || what == this {
            sections.push(Section { key, title, items });
        }
    };
    let items = registry.strategies().map(|s| strategy(&s.about(), style)).collect();
    add(ListWhat::Strategies, "strategies", "strategies", items);
    let items = registry.scenarios().iter().map(|program| scenario(program, style)).collect();
    add(ListWhat::Scenarios, "scenarios", "scenarios", items);
    let items = Word::ALL.into_iter().map(|word| verdict(word, style)).collect();
    add(ListWhat::Verdicts, "verdicts", "verdicts, from good to bad", items);
    let items = RULES.iter().map(|of| rule(of, style)).collect();
    add(ListWhat::Rules, "rules", "rules, in the order in which they are tried", items);
    sections
}

fn strategy(about: &About, style: &Style) -> Item {
    let limits = about.limits.join("; ");
    let short = match limits.as_str() {
        "" => ended(about.summary),
        limits => format!("{} Limits: {}", ended(about.summary), ended(limits)),
    };
    let owner = match about.owner {
        Owner::Async => "the async runtime owns the thread",
        Owner::Glib => "GLib's main loop owns the thread",
        Owner::Both => "each loop has its own thread",
    };
    let tasks = if about.needs_send { "must be Send" } else { "need not be Send" };
    let mut page = vec![
        wrap(&capital(&ended(about.summary)), style.width, 2),
        labelled("Owner", owner, style.width),
        labelled("Threads", &format!("extra: {}", about.extra_threads), style.width),
        labelled("Tasks", tasks, style.width),
        labelled("Systems", about.platforms, style.width),
        labelled("Idea", about.ancestry, style.width),
    ];
    page.extend(about.limits.iter().map(|limit| labelled("Limit", limit, style.width)));
    Item { name: about.name.to_owned(), short, page: page.join("\n"), json: json!(about) }
}

fn scenario(program: &Program, style: &Style) -> Item {
    let source = ended(&program.source);
    let mut page = wrap(&program.about, style.width, 2);
    page += &format!("\n{}\n", labelled("Seen", &source, style.width));
    for line in program.to_string().lines() {
        page += &format!("\n  {line}");
    }
    let short = format!("{} Seen: {source}", program.about);
    Item { name: program.name.clone(), short, page, json: json!(program) }
}

fn verdict(word: Word, style: &Style) -> Item {
    let meaning = word.meaning();
    let harm = if word.is_bad() { " An application would suffer from it." } else { "" };
    let page = wrap(&format!("{}{harm}", capital(&ended(meaning))), style.width, 2);
    let json = json!({"name": word.name(), "meaning": meaning});
    Item { name: word.name().to_owned(), short: meaning.to_owned(), page, json }
}

fn rule(rule: &Rule, style: &Style) -> Item {
    let mut page = vec![
        wrap(&capital(&ended(rule.title)), style.width, 2),
        wrap(rule.text, style.width, 2),
        labelled("When", &ended(rule.when), style.width),
    ];
    for (label, text) in [("Seen", rule.seen.join(", ").as_str()), ("Try", rule.try_this)] {
        if !text.is_empty() {
            page.push(labelled(label, &ended(text), style.width));
        }
    }
    Item {
        name: rule.name.to_owned(),
        short: rule.title.to_owned(),
        page: page.join("\n"),
        json: json!({
            "name": rule.name,
            "title": rule.title,
            "text": rule.text,
            "when": rule.when,
            "seen": rule.seen,
            "try": rule.try_this,
        }),
    }
}

/// Leaves only what has this name.
fn only(sections: &mut Vec<Section>, name: &str) -> anyhow::Result<()> {
    let all: Vec<String> =
        sections.iter().flat_map(|section| &section.items).map(|item| item.name.clone()).collect();
    if !all.iter().any(|known| known == name) {
        let meant = did_you_mean(&near(name, all.iter().map(String::as_str)));
        return Err(usage(format!("nothing in this list is called `{name}`{meant}")));
    }
    for section in &mut *sections {
        section.items.retain(|item| item.name == name);
    }
    sections.retain(|section| !section.items.is_empty());
    Ok(())
}

fn as_text(sections: &[Section], style: &Style) -> anyhow::Result<String> {
    let mut text = String::new();
    for Section { title, items, .. } in sections {
        if !text.is_empty() {
            writeln!(text)?;
        }
        writeln!(text, "{}", style.heading(title))?;
        for Item { name, short, .. } in items {
            writeln!(text, "  {name}\n{}", wrap(short, style.width, 6))?;
        }
    }
    Ok(text)
}

/// A word may be the name of a verdict and of a rule.
fn pages(sections: &[Section], style: &Style) -> anyhow::Result<String> {
    let mut pages = Vec::new();
    for section in sections {
        for Item { name, page, .. } in &section.items {
            let title = format!("{name} ({})", section.key);
            pages.push(format!("{}\n{page}\n", style.heading(&title)));
        }
    }
    Ok(pages.join("\n"))
}

fn as_json(sections: &[Section]) -> anyhow::Result<String> {
    let rows = |section: &Section| section.items.iter().map(|item| item.json.clone()).collect();
    let all: serde_json::Map<String, Value> = sections
        .iter()
        .map(|section| (section.key.to_owned(), Value::Array(rows(section))))
        .collect();
    Ok(serde_json::to_string_pretty(&all)? + "\n")
}
