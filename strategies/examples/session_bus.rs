//! Connects to the session bus and asks for its id, with one `await` each.
//!
//! *Using GAsyncResult APIs with Python's asyncio* begins with this example. There, a callback on
//! the same thread has to do dummy I/O to wake the other loop; here it does not.
//!
//! `dbus-run-session -- cargo run -p loopnest-strategies --example session_bus`

use std::time::Duration;

use glib::MainContext;
use loopnest_strategies::{Dispatch, gasync};

fn main() -> anyhow::Result<()> {
    let dispatch = Dispatch::new(&MainContext::default())?;
    dispatch.block_on(async {
        let bus = session_bus().await?;
        println!("connected as {}", bus.unique_name().unwrap_or_default());

        // A timeout drops the future, and that cancels the `GCancellable`.
        let id = gasync::call(move |cancellable, done| {
            let (name, path) = ("org.freedesktop.DBus", "/org/freedesktop/DBus");
            let (flags, cancellable) = (gio::DBusCallFlags::NONE, Some(cancellable));
            let done = move |reply: Result<_, glib::Error>| done.resolve(reply);
            bus.call(Some(name), path, name, "GetId", None, None, flags, -1, cancellable, done);
        });
        let id = tokio::time::timeout(Duration::from_secs(5), id).await???;
        println!("the bus is {}", id.child_value(0).str().unwrap_or_default());
        Ok(())
    })
}

async fn session_bus() -> anyhow::Result<gio::DBusConnection> {
    let bus = gasync::call(|cancellable, done| {
        gio::bus_get(gio::BusType::Session, Some(cancellable), |bus| done.resolve(bus));
    });
    Ok(bus.await??)
}
