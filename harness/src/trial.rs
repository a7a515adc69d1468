//! One program on one strategy, on the real loops, in a child process.
//!
//! The child knows a scenario by its name. It gets any other program as a file in memory, in TOML.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::sync::atomic::AtomicBool;

use loopnest_core::model::ideal;
use loopnest_core::strategy::About;
use loopnest_core::verdict::{Judgement, Word};
use loopnest_core::{Program, Trace, classify};
use rustix::fs::{MemfdFlags, memfd_create};

use crate::judgeable::{Unjudgeable, judgeable};
use crate::launch::Launch;
use crate::registry::{Registry, Unknown};
use crate::result::CellResult;
use crate::supervisor::{Outcome, supervise};

/// How many times an inconclusive run is repeated at most.
const RETRIES: u32 = 2;

/// One run of one program on one strategy.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Its judgement.
    pub judgement: Judgement,
    /// What happened.
    pub trace: Trace,
    /// What the child wrote to stderr.
    pub stderr: String,
}

/// Why a program cannot be run on a strategy.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// There is no such strategy or scenario.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// The method cannot judge it.
    #[error(transparent)]
    Unjudgeable(#[from] Unjudgeable),
    /// There is no memory for the program.
    #[error("cannot write the program to memory: {0}")]
    Io(#[from] io::Error),
}

/// A program and a strategy, ready to be run.
#[derive(Debug)]
pub struct Trial {
    /// The strategy.
    pub about: About,
    /// The program.
    pub program: Program,
    /// When everything in it is due.
    pub ideal: Trace,
    /// The program for the child to read, if it does not know it by name.
    text: Option<File>,
}

impl Trial {
    /// A scenario by its name.
    ///
    /// # Errors
    /// When there is no such strategy or scenario, or when it cannot be judged.
    pub fn named(registry: &Registry, strategy: &str, scenario: &str) -> Result<Self, TrialError> {
        let about = registry.strategy(strategy)?.about();
        Self::new(about, registry.scenario(scenario)?, None)
    }

    /// Any program.
    ///
    /// # Errors
    /// When it cannot be judged, or cannot be written to memory.
    pub fn of(about: About, program: Program) -> Result<Self, TrialError> {
        let text = toml::to_string(&program).map_err(io::Error::other)?;
        let mut file = File::from(
            memfd_create("loopnest-program", MemfdFlags::CLOEXEC).map_err(io::Error::from)?,
        );
        file.write_all(text.as_bytes())?;
        Self::new(about, program, Some(file))
    }

    fn new(about: About, program: Program, text: Option<File>) -> Result<Self, TrialError> {
        let ideal = ideal(&program);
        judgeable(&program, &ideal)?;
        Ok(Self { about, program, ideal, text })
    }

    /// `strategy/scenario`, its name everywhere.
    pub fn id(&self) -> String {
        format!("{}/{}", self.about.name, self.program.name)
    }

    /// Runs it once, or again if that is inconclusive; `None` if interrupted.
    ///
    /// # Errors
    /// When the child cannot be started.
    pub fn run(&self, launch: &Launch, interrupted: &AtomicBool) -> io::Result<Option<Attempt>> {
        let mut tries = 0;
        loop {
            let attempt = self.run_once(launch, interrupted)?;
            let unsure = |attempt: &Attempt| attempt.judgement.has(Word::Inconclusive);
            if !attempt.as_ref().is_some_and(unsure) || tries == RETRIES {
                return Ok(attempt);
            }
            tries += 1;
        }
    }

    /// Runs it once; `None` if interrupted.
    ///
    /// # Errors
    /// When the child cannot be started.
    pub fn run_once(
        &self,
        launch: &Launch,
        interrupted: &AtomicBool,
    ) -> io::Result<Option<Attempt>> {
        let mut launch = launch.clone();
        launch.args.extend(["--strategy".to_owned(), self.about.name.to_owned()]);
        launch.args.extend(match &self.text {
            None => ["--scenario".to_owned(), self.program.name.clone()],
            Some(file) => {
                // The child opens it by way of this process, so each try reads it from the beginning,
                // and nothing is inherited.
                let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
                ["--program".to_owned(), path]
            }
        });
        let Outcome { trace, stderr, interrupted } = supervise(&launch, &self.ideal, interrupted)?;
        let judgement = classify(&self.program, &self.ideal, &trace);
        Ok((!interrupted).then_some(Attempt { judgement, trace, stderr }))
    }

    /// The result of several attempts, and of those that were made again, by themselves.
    pub fn result(&self, attempts: &[Attempt], again: &[Attempt]) -> CellResult {
        let judgements = |attempts: &[Attempt]| {
            attempts.iter().map(|attempt| attempt.judgement.clone()).collect()
        };
        CellResult::of(&self.about, &self.program, judgements(attempts), judgements(again))
    }
}
