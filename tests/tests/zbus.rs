//! zbus on tokio beside gio, in one thread.
//!
//! One test, because it counts the threads of the process.

use std::cell::Cell;
use std::fs;
use std::rc::Rc;
use std::time::{Duration, Instant};

use loopnest_strategies::gasync;
use loopnest_tests::bus::PrivateBus;
use loopnest_tests::calls::{get_id, open};
use loopnest_tests::sides::Kind;
use loopnest_tests::{after, dialog_until};
use tokio::net::UnixStream;
use tokio::sync::Notify;

/// The threads of this process except GLib's own: its worker, gio's D-Bus, and the pool.
fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").expect("a process has threads").flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    let of_glib = |name: &&str| ["gmain", "gdbus"].contains(name) || name.starts_with("pool");
    let mut names: Vec<_> = names.filter(|name| !of_glib(&name.trim())).collect();
    names.sort();
    names
}

/// Whether there are exactly these threads. A thread that was just started has its creator's name
/// until it sets its own; a thread of tokio's would stay for ten seconds.
fn are_threads(expected: &[String]) -> bool {
    let begun = Instant::now();
    while threads() != expected {
        if begun.elapsed() > Duration::from_secs(5) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

#[test]
fn zbus_and_gio_share_a_thread_and_zbus_starts_no_other() {
    let daemon = PrivateBus::start();
    let path = daemon.address().strip_prefix("unix:path=").expect("a socket in the file system");
    let path = path.split(',').next().unwrap_or(path).to_owned();
    for kind in [Kind::Dispatch, Kind::Nested] {
        kind.with(|side| {
            let before = threads();
            let (path, address) = (path.clone(), daemon.address().to_owned());
            let (context, counted) = (side.context.clone(), before.clone());
            side.here(async move {
                let socket = UnixStream::connect(path).await.expect("a daemon that listens");
                let zbus = zbus::connection::Builder::unix_stream(socket).build().await;
                let zbus = zbus.expect("a bus");
                let gio = open(address).await;
                let proxy = zbus::fdo::DBusProxy::new(&zbus).await.expect("a proxy");
                let names = proxy.list_names().await.expect("names");
                let (ours, theirs) = (zbus.unique_name(), gio.unique_name());
                let ours = ours.expect("a name").as_str();
                let theirs = theirs.expect("a name");
                assert!(names.iter().any(|name| name.as_str() == ours));
                assert!(names.iter().any(|name| name.as_str() == theirs.as_str()));
                let id = gasync::call(get_id(&gio)).await.expect("a result").expect("a reply");
                let same = proxy.get_id().await.expect("a reply");
                assert_eq!(id.child_value(0).str(), Some(same.as_str()));
                assert!(are_threads(&counted), "with {kind:?}: {:?}", threads());

                if kind.goes_on_in_a_dialog() {
                    let (tx, rx) = tokio::sync::oneshot::channel();
                    let (asked, answered) = (Rc::new(Notify::new()), Rc::new(Cell::new(false)));
                    let (open, done) = (asked.clone(), answered.clone());
                    after(&context.clone(), Duration::ZERO, move || {
                        open.notify_one();
                        // Fails only if the test has ended already.
                        _ = tx.send(dialog_until(&context, move || done.get()));
                    });
                    asked.notified().await;
                    proxy.list_names().await.expect("names");
                    answered.set(true);
                    assert!(rx.await.expect("the dialog closes"), "no reply while it was open");
                }
            });
            assert!(are_threads(&before), "after {kind:?}: {:?}", threads());
        });
    }
    // The count would see a thread: by default zbus connects on one of tokio's.
    let address = daemon.address().to_owned();
    Kind::Dispatch.with(|side| {
        let before = threads().len();
        let seen = side.here(async move {
            let zbus = zbus::connection::Builder::address(&*address).expect("an address").build();
            let _zbus = zbus.await.expect("a bus");
            threads().len() > before
        });
        assert!(seen);
    });
}
