//! A session bus as programs use it, with both faces on every strategy: `bus_get`, owning and
//! losing names, signals, and serving an object.
//!
//! A subscription belongs to the context in which it was made, like a call; so it is made in the
//! closure of one.

use std::time::Duration;

use gio::{BusNameOwnerFlags, BusType, DBusConnection, DBusSignalFlags};
use glib::variant::ToVariant;
use loopnest_tests::bus::PrivateBus;
use loopnest_tests::calls::{Reply, connect, get_id, send};
use loopnest_tests::child;
use loopnest_tests::sides::{Face, everywhere};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

const NAME: &str = "org.loopnest.Test";
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs a function on the GLib thread, in the closure of a call.
async fn there<T: Send + 'static>(face: &Face, f: impl FnOnce() -> T + Send + 'static) -> T {
    face.call(|_, done| done.resolve(f())).await.expect("a result")
}

async fn connected(face: &Face, address: &str) -> DBusConnection {
    face.call(connect(address.to_owned())).await.expect("a result").expect("a bus")
}

async fn next<T>(events: &mut UnboundedReceiver<T>) -> T {
    timeout(PATIENCE, events.recv()).await.expect("in time").expect("a sender")
}

async fn session_bus(face: &Face) -> DBusConnection {
    let bus = face.call(|cancellable, done| {
        gio::bus_get(BusType::Session, Some(cancellable), |bus| done.resolve(bus));
    });
    bus.await.expect("a result").expect("a session bus")
}

/// Requests the name. The channel tells whether it is owned, whenever that changes.
async fn own(
    face: &Face,
    bus: &DBusConnection,
    flags: BusNameOwnerFlags,
    owned: UnboundedSender<bool>,
) -> gio::OwnerId {
    let (bus, lost) = (bus.clone(), owned.clone());
    let ask = move || {
        gio::bus_own_name_on_connection(
            &bus,
            NAME,
            flags,
            move |_, _| _ = owned.send(true),
            move |_, _| _ = lost.send(false),
        )
    };
    there(face, ask).await
}

#[test]
fn the_session_bus_comes_from_the_environment_and_is_shared() {
    child::run_silent_with_bus("the_session_bus_comes_from_the_environment_and_is_shared", || {
        everywhere(|face| async move {
            let bus = session_bus(&face).await;
            let address = std::env::var("DBUS_SESSION_BUS_ADDRESS").expect("an address");
            let other = connected(&face, &address).await;
            let id = face.call(get_id(&bus)).await.expect("a result");
            let same = face.call(get_id(&other)).await.expect("a result");
            assert_eq!(id.expect("a reply"), same.expect("a reply"));
            assert_eq!(session_bus(&face).await, bus);
            assert_ne!(other.unique_name(), bus.unique_name());
        });
    });
}

#[test]
fn a_name_is_acquired_refused_and_lost() {
    let bus = PrivateBus::start();
    everywhere(|face| {
        let address = bus.address().to_owned();
        async move {
            let first = connected(&face, &address).await;
            let second = connected(&face, &address).await;
            let (tx, mut of_first) = unbounded_channel();
            let replaceable = BusNameOwnerFlags::ALLOW_REPLACEMENT;
            let first_id = own(&face, &first, replaceable, tx).await;
            assert!(next(&mut of_first).await, "it was free");

            let (tx, mut of_second) = unbounded_channel();
            let refused = own(&face, &second, BusNameOwnerFlags::DO_NOT_QUEUE, tx.clone()).await;
            assert!(!next(&mut of_second).await, "it was taken");
            there(&face, || gio::bus_unown_name(refused)).await;

            let second_id = own(&face, &second, BusNameOwnerFlags::REPLACE, tx).await;
            assert!(next(&mut of_second).await, "it can be replaced");
            assert!(!next(&mut of_first).await, "another owner has it");
            there(&face, || gio::bus_unown_name(second_id)).await;
            // The first owner was queued for it.
            assert!(next(&mut of_first).await, "it is free again");
            there(&face, || gio::bus_unown_name(first_id)).await;
        }
    });
}

#[test]
fn signals_arrive_and_objects_answer() {
    let bus = PrivateBus::start();
    everywhere(|face| {
        let address = bus.address().to_owned();
        async move {
            let server = connected(&face, &address).await;
            let client = connected(&face, &address).await;
            let (tx, mut signals) = unbounded_channel();
            let (bus, to) = (client.clone(), server.unique_name());
            let subscribe = move || {
                bus.subscribe_to_signal(
                    to.as_deref(),
                    Some(NAME),
                    Some("Changed"),
                    Some("/"),
                    None,
                    DBusSignalFlags::NONE,
                    move |signal| _ = tx.send(signal.parameters.get::<(u32,)>()),
                )
            };
            let _subscription = there(&face, subscribe).await;
            // When this call has reached the daemon, the match rule has too.
            face.call(get_id(&client)).await.expect("a result").expect("a reply");

            let bus = server.clone();
            let serve = move || {
                let xml = format!(
                    "<node><interface name='{NAME}'><method name='Double'>\
                     <arg type='u' direction='in'/><arg type='u' direction='out'/>\
                     </method></interface></node>"
                );
                let node = gio::DBusNodeInfo::for_xml(&xml).expect("good XML");
                let interface = node.lookup_interface(NAME).expect("the interface");
                let served = bus.register_object("/", &interface).method_call(
                    |bus, _, path, name, _, parameters, invocation| {
                        let (n,): (u32,) = parameters.get().expect("a number");
                        invocation.return_value(Some(&(n * 2,).to_variant()));
                        let changed = Some(&(n,).to_variant());
                        let name = name.expect("an interface");
                        bus.emit_signal(None, path, name, "Changed", changed).expect("to say it");
                    },
                );
                served.build().expect("to serve");
            };
            there(&face, serve).await;
            let to = server.unique_name().expect("a name");
            let reply = face.call(move |cancellable, done| {
                let done = move |reply: Reply| done.resolve(reply);
                let parameters = (21u32,).to_variant();
                send(&client, [&to, "/", NAME, "Double"], Some(&parameters), -1, cancellable, done);
            });
            let reply = reply.await.expect("a result").expect("a reply");
            assert_eq!(reply.get(), Some((42u32,)));
            assert_eq!(next(&mut signals).await, Some((21,)));
        }
    });
}
