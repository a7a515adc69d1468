//! The call that [`Loops::call`] makes: a GAsyncResult call whose peer answers at a set time.
//!
//! It reads from a socket pair through gio. A GLib timeout holds the other end, and writes a byte
//! or closes it with a byte unread. Then the read fails with `G_IO_ERROR_CONNECTION_CLOSED`.
//!
//! [`Loops::call`]: loopnest_core::loops::Loops::call

use std::os::fd::OwnedFd;
use std::time::Duration;

use gio::Cancellable;
use gio::prelude::*;
use glib::{ControlFlow, MainContext, Priority};
use loopnest_core::loops::BoxFuture;
use loopnest_core::program::Reply;
use loopnest_strategies::GlibHandle;
use loopnest_strategies::gasync::{self, Resolver};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair};

/// Makes a call: through `glib` from another thread, or else on this one.
pub(super) fn ask(
    glib: Option<GlibHandle>,
    after: Duration,
    reply: Reply,
) -> BoxFuture<Option<Reply>> {
    let start = move |cancellable: &Cancellable, done: Resolver<Reply>| {
        begin(after, reply, cancellable, done).unwrap_or_else(|error| {
            tracing::warn!("cannot make the call: {error}");
        });
    };
    Box::pin(async move {
        let result = match glib {
            Some(glib) => glib.gasync(start).await,
            None => gasync::call(start).await,
        };
        result.ok()
    })
}

/// Reads from a socket pair; the peer lives in a timeout source.
fn begin(
    after: Duration,
    reply: Reply,
    cancellable: &Cancellable,
    done: Resolver<Reply>,
) -> Result<(), Box<dyn std::error::Error>> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (ours, peer) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    if reply == Reply::Error {
        send(&ours, b"x", SendFlags::NOSIGNAL)?;
    }
    let connection = gio::Socket::from_fd(ours)?.connection_factory_create_connection();
    connection.input_stream().read_bytes_async(
        1,
        Priority::DEFAULT,
        Some(cancellable),
        // Dropping the connection closes its socket, so keep it until the answer.
        move |result| {
            drop(connection);
            match result {
                Ok(bytes) if !bytes.is_empty() => done.resolve(Reply::Value),
                // The end of file is not an answer: the resolver is dropped.
                Ok(_) => {}
                Err(_) => done.resolve(Reply::Error),
            }
        },
    );
    glib::timeout_source_new(after, None, Priority::DEFAULT, answer(peer, reply))
        .attach(Some(&MainContext::ref_thread_default()));
    Ok(())
}

/// Answers once. The peer's end closes with the source.
fn answer(peer: OwnedFd, reply: Reply) -> impl FnMut() -> ControlFlow {
    move || {
        if reply == Reply::Value {
            // Fails if the call was cancelled, and then nothing waits for it.
            let _ = send(&peer, b"x", SendFlags::NOSIGNAL);
        }
        ControlFlow::Break
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use glib::MainContext;
    use loopnest_core::program::Reply;

    use super::ask;

    fn answer_of(reply: Reply) -> Option<Reply> {
        let context = MainContext::new();
        let asking = ask(None, Duration::from_millis(1), reply);
        context.with_thread_default(|| context.block_on(asking)).expect("a new context is free")
    }

    #[test]
    fn the_peer_answers_as_asked() {
        assert_eq!(answer_of(Reply::Value), Some(Reply::Value));
        assert_eq!(answer_of(Reply::Error), Some(Reply::Error));
    }
}
