//! What crosses threads.
//!
//! Each protocol is written once, over [`sync`](crate::sync), and checked by loom
//! (`core/tests/loom.rs`). Strategies use the wake flag and the hand-off queue, whoever plays a
//! program the depth stack; the baton is for a strategy to come.

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
