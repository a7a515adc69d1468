//! Loads files while a dialog is open.
//!
//! A task opens a nested loop, as a modal dialog does. Another task loads a file and then closes
//! the loop. This works only if the load, its callback and the task that awaits it all run inside
//! the loop; otherwise the loop is closed after five seconds and the program fails.
//! The program also shows a read that times out, and a load for a task on another thread.

use std::cell::Cell;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use gio::Cancellable;
use gio::prelude::*;
use glib::{ControlFlow, MainContext, MainLoop, Priority};
use loopnest_strategies::gasync::Resolver;
use loopnest_strategies::{Dispatch, GlibHandle, gasync};
use tokio::sync::oneshot;

type Contents = Result<(glib::collections::Slice<u8>, Option<glib::GString>), glib::Error>;

fn main() -> anyhow::Result<()> {
    let dispatch = Dispatch::new(&MainContext::default())?;
    let dialog = MainLoop::new(None, false);
    let is_open = Rc::new(Cell::new(false));

    let (opened_tx, opened) = oneshot::channel();
    let (close, open) = (dialog.clone(), is_open.clone());
    let loading = dispatch.spawn_local(async move {
        opened.await.context("the dialog did not open")?;
        let (contents, _etag) = gasync::call(load("/proc/self/comm")).await??;
        let name = String::from_utf8_lossy(&contents).trim().to_owned();
        println!("loaded {name:?} while the dialog was {}", word(open.get()));
        let in_time = open.get();
        close.quit();
        anyhow::Ok(in_time)
    });

    let (glib, open) = (dispatch.glib(), is_open.clone());
    let in_time = dispatch.block_on(async move {
        let (ours, _silent) = UnixStream::pair()?;
        let stream = gio::Socket::from_fd(ours.into())?.connection_factory_create_connection();
        let read = gasync::call(|cancellable, done| {
            let input = stream.input_stream();
            input.read_bytes_async(1, Priority::DEFAULT, Some(cancellable), |bytes| {
                done.resolve(bytes);
            });
        });
        let given_up = tokio::time::timeout(Duration::from_millis(20), read).await.is_err();
        println!("a read of a silent socket {}", if given_up { "timed out" } else { "finished" });

        glib::timeout_add_local_once(Duration::ZERO, move || _ = opened_tx.send(()));
        let late = dialog.clone();
        let late = glib::timeout_add_local(Duration::from_secs(5), move || {
            late.quit();
            ControlFlow::Break
        });
        println!("the dialog opens");
        open.set(true);
        // A nested loop, on the stack of this task.
        dialog.run();
        open.set(false);
        println!("the dialog is closed");
        late.remove();

        let (tx, rx) = oneshot::channel();
        let thread = thread::spawn(move || _ = tx.send(elsewhere(glib)));
        let read = rx.await??;
        println!("another thread's task loaded {read} bytes");
        ensure!(thread.join().is_ok(), "the thread panicked");
        loading.await?
    })?;
    ensure!(in_time, "the load waited until the dialog was closed");
    Ok(())
}

/// A task on another thread; the call is made on GLib's thread.
fn elsewhere(glib: GlibHandle) -> anyhow::Result<usize> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let (contents, _etag) = runtime.block_on(glib.gasync(load("/proc/self/status")))??;
    Ok(contents.len())
}

fn load(path: &'static str) -> impl FnOnce(&Cancellable, Resolver<Contents>) + Send {
    move |cancellable, done| {
        gio::File::for_path(path)
            .load_contents_async(Some(cancellable), |contents| done.resolve(contents));
    }
}

fn word(open: bool) -> &'static str {
    if open { "open" } else { "closed" }
}
