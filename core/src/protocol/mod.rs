//! Communication between threads.
//!
//! Each protocol is written once, over [`sync`](crate::sync), and checked by loom
//! (`core/tests/loom.rs`). Strategies use the wake flag and the hand-off queue, interpreters of
//! programs use the depth stack, and the baton is for a future strategy.

#[cfg(feature = "lab")]
pub mod baton;
#[cfg(feature = "lab")]
pub mod depth;
pub mod handoff;
pub mod wake;

#[cfg(feature = "lab")]
pub use baton::Baton;
#[cfg(feature = "lab")]
pub use depth::DepthStack;
pub use handoff::{HandoffReceiver, HandoffSender, handoff};
pub use wake::WakeFlag;
