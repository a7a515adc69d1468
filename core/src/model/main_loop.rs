//! GMainLoop: a flag, and iterations until the flag is cleared.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use super::context::Context;
use super::counters::Warning;

/// A loop over a context. Clones are the same loop.
#[derive(Clone, Debug)]
pub struct MainLoop(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    context: Context,
    state: AtomicU8,
}

const NEW: u8 = 0;
const RUNNING: u8 = 1;
const QUIT: u8 = 2;

impl MainLoop {
    /// Creates a loop, which does not run yet.
    pub fn new(context: &Context) -> Self {
        Self(Arc::new(Inner { context: context.clone(), state: AtomicU8::new(NEW) }))
    }

    /// `g_main_loop_run` (gmain.c:4400): iterates until [`quit`](Self::quit), or until the run is
    /// given up.
    ///
    /// A quit before the run is forgotten. One quit ends all runs of the same loop that are on the
    /// stack. Inside `prepare` or `check` it warns and returns, as in GLib since 2.77.0; earlier
    /// versions deadlock.
    pub fn run(&self) {
        let context = &self.0.context;
        if !context.acquire() {
            return;
        }
        if context.is_in_check_or_prepare() {
            context.warn(Warning::RunInside);
        } else {
            if context.rules().forget_quit() || self.0.state.load(Relaxed) == NEW {
                self.0.state.store(RUNNING, Relaxed);
            }
            while self.is_running() && context.clock().stuck().is_none() {
                context.iteration(true);
            }
            if !context.rules().forget_quit() {
                self.0.state.store(NEW, Relaxed);
            }
        }
        context.release();
    }

    /// `g_main_loop_quit` (gmain.c:4468): takes effect once this is the innermost loop on the stack
    /// again.
    pub fn quit(&self) {
        self.0.state.store(QUIT, Relaxed);
        self.0.context.wakeup();
    }

    /// `g_main_loop_is_running`.
    pub fn is_running(&self) -> bool {
        self.0.state.load(Relaxed) == RUNNING
    }

    /// Its context.
    pub fn context(&self) -> &Context {
        &self.0.context
    }
}
