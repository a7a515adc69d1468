//! The rules as a page of Markdown.
//!
//! METHODOLOGY.md has this text between markers, so that each rule is written only once.

use super::catalogue::{RULES, Rule};

/// Every rule under its name as a heading, which `explain` links to.
pub fn page() -> String {
    let sections: Vec<_> = RULES.iter().map(section).collect();
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

fn capital(title: &str) -> String {
    let mut rest = title.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}
