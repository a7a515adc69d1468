//! How the program ends: once, with an exit code, and even if the strategy does not return.

use std::cell::Cell;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use loopnest_core::signal::Signal;

/// How long nested loops that are not ours get to return when the program ends.
const UNWINDING: Duration = Duration::from_secs(3);

/// What is said when they do not.
pub const NO_RETURN: &str = "a nested loop has not returned; ending the program all the same";

/// The end of the program.
#[derive(Debug)]
pub struct Ending {
    has_begun: Cell<bool>,
    code: Arc<AtomicU8>,
    finish: Signal,
}

impl Ending {
    /// The exit code goes to `code`; the strategy returns when `finish` is set.
    pub fn new(code: Arc<AtomicU8>, finish: Signal) -> Self {
        Self { has_begun: Cell::new(false), code, finish }
    }

    /// Begins to end; `false` when that has begun before.
    pub fn begin(&self) -> bool {
        !self.has_begun.replace(true)
    }

    /// Whether the program is about to end, so that no more dialogs are opened.
    pub fn has_begun(&self) -> bool {
        self.has_begun.get()
    }

    /// Sets the exit code.
    pub fn set_code(&self, code: u8) {
        self.code.store(code, Relaxed);
    }

    /// Reports that something requested could not be done, and sets exit code 1.
    pub fn fail(&self, why: &str) {
        eprintln!("{why}");
        self.set_code(1);
    }

    /// Whether the exit code is still 0.
    pub fn is_good(&self) -> bool {
        self.code.load(Relaxed) == 0
    }

    /// Makes the strategy return.
    pub fn finish(&self) {
        let (finish, code) = (self.finish.clone(), self.code.load(Relaxed));
        // From another thread, so that a strategy whose own callbacks cannot wake it still ends.
        thread::spawn(move || {
            finish.set();
            thread::sleep(UNWINDING);
            // GTK's own nested loop ends when GTK has finished its work in it. Under a strategy
            // that starves GTK's idle sources, that never happens.
            eprintln!("{}", NO_RETURN);
            process::exit(code.into());
        });
    }
}
