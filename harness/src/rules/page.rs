//! The rules as a page of Markdown.
//!
//! METHODOLOGY.md has this text between markers, so that each rule is written only once.

use super::catalogue::Rule;
use crate::text::capital;

/// Each rule under its name as a heading, which `explain` links to.
pub fn page(rules: impl IntoIterator<Item = &'static Rule>) -> String {
    let sections: Vec<_> = rules.into_iter().map(section).collect();
    sections.join("\n")
}

fn section(rule: &Rule) -> String {
    let mut text = format!("## {}\n\n**{}.** {}\n\n", rule.name, capital(rule.title), rule.text);
    let seen: Vec<_> = rule.seen.iter().map(|issue| link(issue)).collect();
    let items = [
        ("Recognised when", rule.when),
        ("Seen before in", &seen.join(", ")),
        ("What to try:", rule.try_this),
    ];
    for (label, what) in items.into_iter().filter(|(_, what)| !what.is_empty()) {
        text += &format!("- *{label}* {what}.\n");
    }
    text
}

/// `owner/repository#issue`, as a link.
fn link(issue: &str) -> String {
    let address = issue.replace('#', "/issues/");
    format!("[{issue}](https://github.com/{address})")
}
