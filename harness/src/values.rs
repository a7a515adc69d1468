//! What an argument may be, and what is said if it is something else.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::builder::{PossibleValue, TypedValueParser};
use loopnest_core::Word;

use crate::called::Called;
use crate::rules::RULES;

/// A cell, `STRATEGY/SCENARIO`.
#[derive(Clone, Debug)]
pub(crate) struct CellId {
    pub strategy: String,
    pub scenario: String,
}

impl std::str::FromStr for CellId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((strategy, scenario)) if !strategy.is_empty() && !scenario.is_empty() => {
                Ok(Self { strategy: strategy.to_owned(), scenario: scenario.to_owned() })
            }
            _ => Err("expected STRATEGY/SCENARIO, such as nested/dialog-quiet".to_owned()),
        }
    }
}

/// What to explain or replay.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    Cell(CellId),
    File(PathBuf),
}

impl Subject {
    /// From what was written, which need not be text: a path can have any bytes.
    pub(crate) fn of(written: OsString) -> Result<Self, String> {
        let path = PathBuf::from(written);
        // Only by its extension: `nested/idle` is a cell, even if there is a file of that name.
        if path.extension().is_some_and(|extension| extension == "toml") {
            return Ok(Self::File(path));
        }
        path.to_str().and_then(|text| text.parse().ok()).map(Self::Cell).ok_or_else(|| {
            "expected STRATEGY/SCENARIO, such as nested/dialog-quiet, or the .toml file of a \
             counterexample"
                .to_owned()
        })
    }
}

/// Reads a number in hexadecimal.
pub(crate) fn seed(text: &str) -> Result<u64, String> {
    u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16)
        .map_err(|_| "expected a number in hexadecimal, such as 5eed".to_owned())
}

/// The parser of a word of a verdict that can be searched for: a bad one, or `refused`, which a program
/// may also want to avoid.
pub(crate) fn wanted() -> OneOf<Word> {
    OneOf { names: wanted_names, parse: parse_wanted }
}

fn is_wanted(word: Word) -> bool {
    word.is_bad() || word == Word::Refused
}

fn wanted_names() -> Vec<&'static str> {
    Word::ALL.into_iter().filter(|word| is_wanted(*word)).map(Word::name).collect()
}

fn parse_wanted(text: &str) -> Result<Word, String> {
    match Word::from_name(text) {
        Some(word) if is_wanted(word) => Ok(word),
        Some(word) => Err(format!("`{word}` is not a bad verdict, and a search looks for those")),
        None => {
            let names = wanted_names();
            let all = names.join(", ");
            Err(match &near(text, names)[..] {
                [] => format!("no such verdict; a search looks for {all}"),
                near => format!("no such verdict{} A search looks for {all}", did_you_mean(near)),
            })
        }
    }
}

/// The parser of the name of a rule, one of [`RULES`].
pub(crate) fn rule() -> OneOf<String> {
    OneOf { names: rule_names, parse: parse_rule }
}

fn rule_names() -> Vec<&'static str> {
    RULES.iter().map(|rule| rule.name).collect()
}

fn parse_rule(text: &str) -> Result<String, String> {
    let names = rule_names();
    if names.contains(&text) {
        return Ok(text.to_owned());
    }
    let list = Called::now().line(["list", "rules"]);
    Err(match &near(text, names)[..] {
        [] => format!("no such rule; `{list}` lists them"),
        near => format!("no such rule{} `{list}` lists them", did_you_mean(near)),
    })
}

/// One of some names, which the help shows and a shell completes.
#[derive(Clone)]
pub(crate) struct OneOf<T> {
    names: fn() -> Vec<&'static str>,
    parse: fn(&str) -> Result<T, String>,
}

impl<T: Clone + Send + Sync + 'static> TypedValueParser for OneOf<T> {
    type Value = T;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<T, clap::Error> {
        TypedValueParser::parse_ref(&self.parse, command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new((self.names)().into_iter().map(PossibleValue::new)))
    }
}

/// At most this many names are suggested.
const SUGGESTIONS: usize = 3;

/// The names that somebody may have meant, nearest first: those at a few edits from what was
/// written, then those that begin with it, then those that contain it.
pub(crate) fn near<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut near: Vec<((bool, bool), usize, &str)> = Vec::new();
    for name in names {
        // Letters that changed places are one edit.
        let edits = strsim::osa_distance(text, name);
        let is_near = edits <= text.chars().count().max(3) / 3;
        if is_near || (text.len() > 2 && name.contains(text)) {
            near.push(((!is_near, !name.starts_with(text)), edits, name));
        }
    }
    near.sort();
    near.into_iter().take(SUGGESTIONS).map(|(.., name)| name.to_owned()).collect()
}

/// The question after an unknown name, if there is something to ask.
pub(crate) fn did_you_mean(near: &[String]) -> String {
    match near {
        [] => String::new(),
        near => format!("; did you mean {}?", near.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_the_one_with_the_fewest_edits() {
        let names = ["idle", "nested", "nested-no-wake", "dispatch", "dialog-from-callback"];
        let near = |text| near(text, names);
        assert_eq!(near("idel"), ["idle"]);
        assert_eq!(near("nestd"), ["nested"]);
        assert_eq!(near("nested-no-wkae"), ["nested-no-wake"]);
        // A part of a name is no mistake in spelling, and comes after one.
        assert_eq!(near("neste"), ["nested", "nested-no-wake"]);
        assert_eq!(near("callback"), ["dialog-from-callback"]);
        // A name that has nothing in common is not suggested.
        assert_eq!(near("qqq"), [""; 0]);
        assert_eq!(near("of"), [""; 0]);
    }
}
