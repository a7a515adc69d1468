//! Golden tests of the verdict rules: every word, combinations, and a near miss for each rule.
#![cfg(not(loopnest_loom))]

mod busy;
mod delivery;
mod endings;
mod figures;
mod kept;
mod tape;
