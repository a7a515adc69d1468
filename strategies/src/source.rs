//! A safe wrapper around `GSource`, with what glib-rs leaves out: `prepare`, `check`, recursion.
//!
//! The callbacks take `&self`, not `&mut self`, because a source that can recurse is dispatched
//! again while its own dispatch is on the stack.
//!
//! # Panics in callbacks
//!
//! A panic never crosses C.
//! It is caught, the source is destroyed, the innermost loop run by [`run`] is quit, and the panic
//! is resumed in the caller of that `run`.
//! If there is no such loop on the stack, a warning is given and the panic is kept until
//! [`resume_carried_panic`] is called.
//!
//! # Threads
//!
//! A [`Source`] and its callbacks belong to the thread that created it.
//! If another thread iterates the context, the callbacks do nothing there, and GLib watches neither
//! the descriptors nor the ready time, so that thread's loop does not spin. If the last reference is
//! dropped there, the callbacks are leaked.
//!
//! # Example
//!
//! A closure is enough if only a descriptor makes the source ready:
//!
//! ```
//! use std::cell::Cell;
//! use std::io::{Read, Write};
//! use std::ops::ControlFlow;
//! use std::os::unix::net::UnixStream;
//! use std::rc::Rc;
//!
//! use loopnest_strategies::glib::{IOCondition, MainContext};
//! use loopnest_strategies::source::{Source, SourceRef};
//!
//! let (ours, mut theirs) = UnixStream::pair()?;
//! let watched = ours.try_clone()?;
//! let read = Rc::new(Cell::new(0));
//! let source = Source::new("echo", {
//!     let read = read.clone();
//!     move |_: SourceRef<'_>| {
//!         let mut byte = [0];
//!         read.set((&ours).read(&mut byte).unwrap_or(0));
//!         ControlFlow::Break(())
//!     }
//! });
//! source.add_fd(watched, IOCondition::IN);
//! let context = MainContext::new();
//! source.attach(&context);
//!
//! theirs.write_all(b"x")?;
//! context.iteration(true);
//! assert_eq!(read.get(), 1);
//! # Ok::<(), std::io::Error>(())
//! ```

mod asked;
mod callbacks;
#[cfg(unix)]
mod fd;
mod handle;
mod running;
mod vtable;
mod watches;

pub use self::callbacks::{Callbacks, Prepare, SourceRef};
#[cfg(unix)]
pub use self::fd::FdTag;
pub use self::handle::Source;
#[cfg(feature = "epoll-hook")]
pub(crate) use self::running::{Running, carry_panic, panic_is_carried};
pub(crate) use self::running::{far_or, run_until};
pub use self::running::{quit_when_running, resume_carried_panic, run};
