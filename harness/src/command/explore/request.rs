//! What a search was asked for, and the command that repeats it.

use loopnest_core::strategy::About;

use crate::cli::ExploreArgs;

/// A strategy, the arguments, and a seed even if none was given.
pub(super) struct Request<'a> {
    pub(super) about: &'a About,
    pub(super) args: &'a ExploreArgs,
    pub(super) seed: u64,
}

impl Request<'_> {
    /// The seed in hexadecimal, as it is written everywhere.
    pub(super) fn seed(&self) -> String {
        format!("{:x}", self.seed)
    }

    /// The arguments that repeat this search.
    pub(super) fn words(&self) -> Vec<String> {
        let (cases, seed) = (self.args.cases.to_string(), self.seed());
        let mut words = vec!["explore", "--strategy", self.about.name];
        if let Some(want) = self.args.want {
            words.extend(["--want", want.name()]);
        }
        words.extend(self.args.skip.iter().flat_map(|rule| ["--skip", rule]));
        words.extend(["--cases", &cases, "--seed", &seed]);
        if self.args.real {
            words.push("--real");
        }
        words.into_iter().map(str::to_owned).collect()
    }
}
