//! Ways of running GLib's main loop and tokio in one process that survive nested loops.
//!
//! | you want | take |
//! |---|---|
//! | one thread, `!Send` tasks, tokio's sockets and timers in them, dialogs that nest | [`Dispatch`] |
//! | tokio on its own thread, and a bridge that cancels, waits for room and shuts down | [`Handoff`] |
//! | a server that also has to run GLib (GStreamer, D-Bus) and never nests | [`Nested`] |
//!
//! # In a GTK program
//!
//! ```no_run
//! use loopnest_strategies::{Dispatch, SetupError, glib};
//! use tokio::io::AsyncReadExt;
//!
//! # fn main() -> Result<(), SetupError> {
//! // Before `application.run()`, on the main thread; keep it until that returns.
//! let dispatch = Dispatch::new(&glib::MainContext::default())?;
//! dispatch.spawn_local(async {
//!     // A tokio socket on the GTK thread. It goes on while a dialog is open.
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
//! What each strategy does under a nested loop, and what none of them can, is in its module's
//! documentation; the matrix in the repository's README shows it measured.
//!
//! # Features
//!
//! | feature | gives | default |
//! |---|---|---|
//! | `epoll-hook` | [`Dispatch`] and [`Nested`]; Linux only | yes |
//! | `rt-multi-thread` | [`GtkRs`] | yes |
//!
//! Without either, [`Handoff`], [`JobQueue`] and [`gasync`] are there. Nothing in them needs Linux, and
//! they compile for other systems, but only Linux is tested.
//!
//! # Linking
//!
//! With the feature `epoll-hook` this crate defines `epoll_wait`, and the linker takes it before
//! libc's for everything in your program, on every thread. Without a strategy at work on the calling
//! thread it does what libc's does. libc must be linked dynamically, as it is on every distribution
//! that ships GTK: a static libc brings its own definition along. In a library that is loaded at run
//! time (a plugin, an extension of Python) libc's comes first, and [`Dispatch`] and [`Nested`] say so
//! with [`SetupError::NotReached`].

#[cfg(all(feature = "epoll-hook", not(target_os = "linux")))]
compile_error!(
    "the feature `epoll-hook` of loopnest-strategies (Dispatch and Nested) needs Linux; use \
     `default-features = false` here, which leaves Handoff, JobQueue and gasync"
);

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

// The versions that the types in this crate's signatures come from.
pub use gio;
pub use glib;
pub use tokio;
