//! A program that was found, as a file: the program first, then the seed.
//!
//! A seed makes the same program only as long as the generator does not change. The program itself
//! can be read, run again, edited and kept as a scenario.
//!
//! ```toml
//! format = 1
//! verdict = "stall+busy-loop"   # what was seen, and what a replay expects
//! strategy = "nested"
//! rules = 1
//! [program]
//! # ...
//! [found]
//! seed = "5eed"
//! case = 3
//! ```

use std::path::{Path, PathBuf};
use std::{fs, io};

use loopnest_core::classify::RULES_VERSION;
use loopnest_core::program::ProgramError;
use loopnest_core::{Program, Word};
use serde::{Deserialize, Serialize};

use crate::file;

/// Version of the file.
pub const FORMAT: u32 = 1;

/// A program, and what a strategy does on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counterexample {
    /// [`FORMAT`].
    pub format: u32,
    /// What was seen, worst first.
    #[serde(with = "as_text")]
    pub verdict: Vec<Word>,
    /// The strategy on which it was seen.
    pub strategy: String,
    /// Version of the verdict rules.
    pub rules: u32,
    /// The program.
    pub program: Program,
    /// How it was found; `None` if a person wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Found>,
}

/// How a counterexample was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// The seed of the programs, in hexadecimal.
    pub seed: String,
    /// Which program it was shrunk from, counted from 1.
    pub case: u32,
    /// The word that was searched for.
    #[serde(with = "as_text")]
    pub want: Vec<Word>,
    /// How many steps that program had.
    pub shrunk_from: usize,
    /// How many programs were tried to shrink it.
    pub tries: u32,
    /// What the model says, if it ran it.
    #[serde(default, with = "as_text", skip_serializing_if = "Vec::is_empty")]
    pub model: Vec<Word>,
    /// What the real loops say, if they ran it.
    #[serde(default, with = "as_text", skip_serializing_if = "Vec::is_empty")]
    pub real: Vec<Word>,
}

/// What is wrong with a counterexample file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CounterexampleError {
    /// It cannot be read.
    #[error("cannot read {}: {source}; `explore` writes such files", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It is not TOML, or something in it is missing or unknown.
    #[error("{file}:{line}:{column}: {message}; fix that, or run `explore` again")]
    Syntax {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in characters.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// It was written by another version.
    #[error(
        "{file}: format {format}; this harness reads {FORMAT}, so search for it again with its seed"
    )]
    Format {
        /// The file.
        file: String,
        /// The version of the file.
        format: u32,
    },
    /// Its program is not well formed.
    #[error("{file}: the program cannot run: {source}; fix it in the file")]
    Program {
        /// The file.
        file: String,
        /// What is wrong.
        source: ProgramError,
    },
}

impl Counterexample {
    /// A program on which a strategy gets this verdict under the current rules.
    pub fn new(strategy: &str, verdict: Vec<Word>, program: Program, found: Option<Found>) -> Self {
        let strategy = strategy.to_owned();
        Self { format: FORMAT, verdict, strategy, rules: RULES_VERSION, program, found }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read or is not a counterexample; the message names the place.
    pub fn load(path: &Path) -> Result<Self, CounterexampleError> {
        let text = file::read(path)
            .map_err(|source| CounterexampleError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Reads the text of a file; `file` names it in errors.
    ///
    /// # Errors
    /// When it is not a counterexample.
    pub fn parse(text: &str, file: &str) -> Result<Self, CounterexampleError> {
        let file = file.to_owned();
        let this: Self = toml::from_str(text).map_err(|error| {
            // The fields of another version are not errors of this one.
            if let Ok(Version { format }) = toml::from_str(text)
                && format != FORMAT
            {
                return CounterexampleError::Format { file: file.clone(), format };
            }
            let start = error.span().map_or(0, |span| span.start);
            let (line, column) = place(text, start);
            let message = error.message().lines().next().unwrap_or("not TOML").to_owned();
            CounterexampleError::Syntax { file: file.clone(), line, column, message }
        })?;
        if this.format != FORMAT {
            return Err(CounterexampleError::Format { file, format: this.format });
        }
        match this.program.check() {
            Ok(()) => Ok(this),
            Err(source) => Err(CounterexampleError::Program { file, source }),
        }
    }

    /// The text of the file, with the program as a readable script at the top.
    ///
    /// # Errors
    /// When it cannot be written as TOML, which does not happen for a well-formed program.
    pub fn render(&self) -> Result<String, toml::ser::Error> {
        let mut text = String::from(
            "# A program on which a strategy fails. `replay` runs it again, `explain` says why.\n#\n",
        );
        for line in self.program.to_string().lines() {
            text.push_str(&format!("#   {line}\n"));
        }
        text.push('\n');
        text.push_str(&toml::to_string(self)?);
        Ok(text)
    }

    /// Writes the file, and creates its folder. The file is never there half written.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), CounterexampleError> {
        let failed = |source| CounterexampleError::Write { path: path.to_owned(), source };
        let text = self.render().map_err(io::Error::other).map_err(failed)?;
        write_beside(path, &text, |beside| fs::rename(beside, path)).map_err(failed)
    }

    /// Checks whether a file could be saved, before a search that may take hours. What is there
    /// stays as it is.
    ///
    /// # Errors
    /// When it could not.
    pub fn can_be_saved(path: &Path) -> Result<(), CounterexampleError> {
        let failed = |source| CounterexampleError::Write { path: path.to_owned(), source };
        write_beside(path, "", |beside| fs::remove_file(beside)).map_err(failed)
    }
}

/// Creates the folder of `path`, and in it a file beside `path` that is used and then gone.
fn write_beside(
    path: &Path,
    text: &str,
    then: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.part", std::process::id()));
    let beside = Path::new(&beside);
    let written = fs::write(beside, text).and_then(|()| then(beside));
    written.inspect_err(|_| drop(fs::remove_file(beside)))
}

/// The one field that all versions have in common.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

/// Line and column of a byte, counted from 1.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line, column)
}

/// What is wrong with a verdict as people write it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WordsError {
    /// There is no such word.
    #[error(
        "no such verdict, `{0}`; did you mean `{near}`? The words are {all}",
        near = nearest(.0), all = Word::ALL.map(Word::name).join(", ")
    )]
    Unknown(String),
    /// A word is there more than once.
    #[error("`{0}` is there twice; leave one of them out")]
    Twice(Word),
    /// A word that excludes all others is beside another one.
    #[error("`{0}` cannot be joined with other words; leave one of them out")]
    Contradiction(Word),
}

/// A verdict as people write it: words joined by `+`, in any order.
///
/// # Errors
/// When there is no such word, or no such verdict.
pub fn words(text: &str) -> Result<Vec<Word>, WordsError> {
    let parse = |name: &str| {
        Word::from_name(name.trim()).ok_or_else(|| WordsError::Unknown(name.trim().to_owned()))
    };
    let mut words = text.split('+').map(parse).collect::<Result<Vec<_>, _>>()?;
    // A verdict has the worst word first.
    words.sort_unstable_by(|a, b| b.cmp(a));
    if let Some(twice) = words.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(WordsError::Twice(twice[0]));
    }
    let alone = words.iter().find(|w| matches!(w, Word::Progress | Word::NotApplicable));
    match alone {
        Some(&word) if words.len() > 1 => Err(WordsError::Contradiction(word)),
        _ => Ok(words),
    }
}

/// The word that is most like a mistyped one.
fn nearest(text: &str) -> &'static str {
    let names = Word::ALL.map(Word::name).into_iter();
    names.min_by_key(|name| strsim::damerau_levenshtein(text, name)).unwrap_or_default()
}

/// A verdict in one string, worst first.
pub fn text(words: &[Word]) -> String {
    words.iter().map(|word| word.name()).collect::<Vec<_>>().join("+")
}

/// Words in a file, written as they are everywhere else.
mod as_text {
    use loopnest_core::Word;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(words: &[Word], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::text(words))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Word>, D::Error> {
        super::words(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}
