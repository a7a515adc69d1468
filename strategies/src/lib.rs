//! Runs GLib's main loop and tokio in one process, and keeps both going under nested loops.
//!
//! | you want | use |
//! |---|---|
//! | one thread, `!Send` tasks, tokio's sockets and timers in them, dialogs that nest | [`Dispatch`] |
//! | tokio on its own thread, and a bridge with cancellation, back-pressure and shutdown | [`Handoff`] |
//! | a server that also has to run GLib (GStreamer, D-Bus) and never nests | [`Nested`] |
//! | GLib's own asynchronous calls (D-Bus, files, processes) as futures | [`gasync`] |
//!
//! # In a GTK program
//!
//! ```no_run
//! # #[cfg(feature = "epoll-hook")]
//! use loopnest_strategies::{Dispatch, SetupError, glib};
//! use tokio::io::AsyncReadExt;
//!
//! # #[cfg(not(feature = "epoll-hook"))]
//! # fn main() {}
//! # #[cfg(feature = "epoll-hook")]
//! # fn main() -> Result<(), SetupError> {
//! // Before `application.run()`, on the main thread; keep it until that returns.
//! let dispatch = Dispatch::new(&glib::MainContext::default())?;
//! dispatch.spawn_local(async {
//!     // A tokio socket on the GTK thread. It keeps working while a dialog is open.
//!     let mut stream = tokio::net::TcpStream::connect("127.0.0.1:7").await?;
//!     let mut greeting = String::new();
//!     stream.read_to_string(&mut greeting).await?;
//!     println!("{greeting}");
//!     std::io::Result::Ok(())
//! });
//! glib::MainLoop::new(None, false).run();
//! # Ok(())
//! # }
//! ```
//!
//! The documentation of each module says what its strategy does under a nested loop, and what its
//! limits are. The matrix in the repository's README has the measurements.
//!
//! # Features
//!
//! | feature | gives | default |
//! |---|---|---|
//! | `epoll-hook` | [`Dispatch`] and [`Nested`]; Linux only | yes |
//! | `rt-multi-thread` | [`GtkRs`] | yes |
//!
//! [`Handoff`], [`JobQueue`] and [`gasync`] need neither feature. They do not depend on Linux and
//! compile for other systems, but they are tested on Linux only.
//!
//! # Linking
//!
//! With the feature `epoll-hook` this crate defines `epoll_wait`, and the linker prefers it to
//! libc's, for everything in your program and on every thread. On a thread that runs none of these
//! strategies it calls the next definition, which is that of an `LD_PRELOAD`ed library, or else
//! libc's: there `pthread_cancel` and seccomp filters work as they do without this crate. On a thread
//! that runs one, a wait for tokio is no cancellation point. libc must be linked dynamically, as it
//! is on every distribution that ships GTK: a static libc has its own definition. In a library that is
//! loaded at run time (a plugin, a Python extension) libc's function comes first, and creating a
//! [`Dispatch`] or a [`Nested`] fails with [`SetupError::NotReached`].

#[cfg(all(feature = "epoll-hook", not(target_os = "linux")))]
compile_error!(
    "the feature `epoll-hook` of loopnest-strategies (Dispatch and Nested) needs Linux; use \
     `default-features = false` on this system, which leaves Handoff, JobQueue and gasync"
);

mod advice;
#[cfg(feature = "epoll-hook")]
pub mod dispatch;
mod error;
pub mod gasync;
#[cfg(feature = "rt-multi-thread")]
pub mod gtk_rs;
pub mod handoff;
mod jobs;
#[cfg(feature = "epoll-hook")]
pub mod nested;
mod pace;
mod quiet;
mod room;
#[cfg(feature = "epoll-hook")]
mod runtime;
pub mod source;
#[cfg(feature = "epoll-hook")]
mod wait;

#[cfg(feature = "epoll-hook")]
pub use dispatch::Dispatch;
pub use error::{CallError, SetupError};
#[cfg(feature = "rt-multi-thread")]
pub use gtk_rs::GtkRs;
pub use handoff::Handoff;
pub use jobs::{GlibHandle, JobQueue};
pub use loopnest_core::executor::{JoinError, JoinHandle, Panic, Spawner};
#[cfg(feature = "epoll-hook")]
pub use nested::{Nested, WakeAfterDispatch};

// Its program compiles, or the doc tests fail.
#[cfg(all(doctest, feature = "epoll-hook"))]
#[doc = include_str!("../README.md")]
struct Readme;

// The versions whose types appear in this crate's signatures.
pub use gio;
pub use glib;
pub use tokio;
