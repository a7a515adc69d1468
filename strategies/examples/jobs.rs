//! tokio on its own thread: a task asks the GLib thread for work.
//!
//! The task runs a closure on the GLib thread, and then makes one of GLib's own asynchronous calls
//! there and awaits it like any future. It does so while a nested loop is open, as a modal dialog
//! would be, and closes that loop the same way. Nothing here needs the feature `epoll-hook`.

use std::time::Duration;

use anyhow::ensure;
use gio::prelude::*;
use glib::{MainContext, MainLoop};
use loopnest_strategies::{Handoff, gasync};
use tokio::sync::oneshot;

fn main() -> anyhow::Result<()> {
    let handoff = Handoff::new(&MainContext::default())?;

    // On the GLib thread, futures that glib runs can await a call too.
    let local = MainContext::default().block_on(gasync::call(|cancellable, done| {
        let file = gio::File::for_path("/proc/self/comm");
        file.load_contents_async(Some(cancellable), move |contents| done.resolve(contents));
    }))??;
    println!("this program is {:?}", String::from_utf8_lossy(&local.0).trim());

    let (opened, open) = oneshot::channel();
    let glib = handoff.glib();
    let task = handoff.spawn(async move {
        let dialog = open.await?;
        // tokio's timers run on tokio's thread, so no dialog stops them.
        tokio::time::sleep(Duration::from_millis(10)).await;
        let depth = glib.call(glib::main_depth).await?;
        let loaded = glib
            .gasync(|cancellable, done| {
                let file = gio::File::for_path("/proc/self/status");
                file.load_contents_async(Some(cancellable), move |contents| done.resolve(contents));
            })
            .await??;
        glib.call(move || MainLoop::quit(&dialog)).await?;
        anyhow::Ok((depth, loaded.0.len()))
    });

    // The nested loop: a callback of the outer one opens it.
    glib::idle_add_local_once(move || {
        let dialog = MainLoop::new(None, false);
        if opened.send(dialog.clone()).is_ok() {
            dialog.run();
        }
    });
    let (depth, bytes) = handoff.block_on(async { task.await? })?;
    println!("in the dialog, at depth {depth}, {bytes} bytes were loaded for tokio's thread");
    ensure!(depth > 1 && bytes > 0, "the job did not run inside the dialog");
    Ok(())
}
