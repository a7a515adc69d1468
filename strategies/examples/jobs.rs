//! A program without tokio on the GLib thread: what crosses between two threads, and no more.
//!
//! tokio runs on a thread of its own. A task there asks the GLib thread for two things: to run a
//! closure, and to make one of GLib's own asynchronous calls, which it then awaits like any future.
//! It does so while a nested loop is open, such as that of a modal dialog, and then closes the loop.
//! Nothing here needs the feature `epoll-hook`.

use std::time::Duration;

use anyhow::ensure;
use gio::prelude::*;
use glib::{MainContext, MainLoop};
use loopnest_strategies::{Handoff, gasync};
use tokio::sync::oneshot;

fn main() -> anyhow::Result<()> {
    let handoff = Handoff::new(&MainContext::default())?;

    // On the GLib thread, a call is awaited in glib's own futures as well.
    let local = MainContext::default().block_on(gasync::call(|cancellable, done| {
        let file = gio::File::for_path("/proc/self/comm");
        file.load_contents_async(Some(cancellable), move |contents| done.resolve(contents));
    }))??;
    println!("this program is {:?}", String::from_utf8_lossy(&local.0).trim());

    let (opened, open) = oneshot::channel();
    let glib = handoff.glib();
    let task = handoff.spawn(async move {
        let dialog = open.await?;
        // tokio's timers run on tokio's thread: no dialog stops them.
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
    ensure!(depth > 1 && bytes > 0, "the job did not run inside of the dialog");
    Ok(())
}
