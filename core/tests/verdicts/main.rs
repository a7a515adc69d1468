//! Golden tests of the verdict rules: every word, mixed ones, and a near-miss for each rule.
#![cfg(not(loopnest_loom))]

mod busy;
mod delivery;
mod endings;
mod figures;
mod tape;
