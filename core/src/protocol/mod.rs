//! What crosses threads.
//!
//! Each protocol is written once, over [`sync`](crate::sync), and checked by loom
//! (`core/tests/loom.rs`). The strategies that ship use all but the [`baton`], which waits for one
//! that does.

pub mod baton;
pub mod depth;
pub mod handoff;
pub mod wake;

pub use baton::Baton;
pub use depth::DepthStack;
pub use handoff::{HandoffReceiver, HandoffSender, handoff};
pub use wake::WakeFlag;
