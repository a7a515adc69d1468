//! Saves what a search found, as a counterexample.

use std::path::{Path, PathBuf};

use loopnest_core::{Program, Word};

use super::request::Request;
use crate::counterexample::{self, Counterexample, Found};
use crate::result::CellResult;
use crate::search::Find;

/// Writes the file and returns its path.
///
/// `real` is what the real loops say, if they ran it after the model.
pub(super) fn save(
    request: &Request<'_>,
    find: &Find,
    real: Option<&CellResult>,
) -> anyhow::Result<PathBuf> {
    let stem = format!("{}-{}-{}", request.about.name, find.word, request.seed());
    let default = || Path::new("counterexamples").join(format!("{stem}.toml"));
    let path = request.args.output.clone().unwrap_or_else(default);
    let words = &find.judgement.words;
    let judged = real.map_or(Vec::new(), |real| real.verdict.clone());
    let (model, real) =
        if request.args.real { (Vec::new(), words.clone()) } else { (words.clone(), judged) };
    // A replay sees what the real loops do.
    let seen = real.iter().any(|word| word.is_bad() || *word == Word::Refused);
    let verdict = if seen { real.clone() } else { words.clone() };
    let program = Program {
        name: stem,
        about: format!("A search found {} here.", counterexample::text(&verdict)),
        source: request.words().join(" "),
        ..find.program.clone()
    };
    let found = Found {
        seed: request.seed(),
        case: find.case,
        want: vec![find.word],
        shrunk_from: find.shrunk_from,
        tries: find.tries,
        model,
        real,
    };
    let file = Counterexample::new(request.about.name, verdict, program, Some(found));
    // Its message already includes the system's reason.
    file.save(&path).map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_that_can_be_found_can_be_part_of_a_file_name() {
        for word in Word::ALL.into_iter().filter(|word| word.is_bad() || *word == Word::Refused) {
            assert!(!word.name().contains('/'), "{word}");
        }
    }
}
