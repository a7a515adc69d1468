//! D-Bus calls in gio's style, and a service that does not answer.

use std::cell::RefCell;
use std::rc::Rc;

use gio::{
    Cancellable, DBusCallFlags, DBusConnection, DBusConnectionFlags, DBusMethodInvocation,
    DBusNodeInfo,
};
use loopnest_strategies::gasync::{self, Resolver};

/// The result of a method call.
pub type Reply = Result<glib::Variant, glib::Error>;

const BUS: &str = "org.freedesktop.DBus";
/// The object path of a [`Hanging`] service.
const PATH: &str = "/org/loopnest/Test";
/// Its interface, with the method `Hang`.
const INTERFACE: &str = "org.loopnest.Test";

/// Connects to the bus at `address`.
pub fn connect(
    address: String,
) -> impl FnOnce(&Cancellable, Resolver<Result<DBusConnection, glib::Error>>) + Send {
    move |cancellable, done| {
        let flags = DBusConnectionFlags::AUTHENTICATION_CLIENT
            | DBusConnectionFlags::MESSAGE_BUS_CONNECTION;
        let done = move |result| done.resolve(result);
        DBusConnection::for_address(&address, flags, None, Some(cancellable), done);
    }
}

/// Like [`connect`], awaited on the GLib thread.
///
/// # Panics
/// When there is no such bus.
pub async fn open(address: String) -> DBusConnection {
    gasync::call(connect(address)).await.expect("a result").expect("a bus")
}

/// Asks the daemon for its identity.
pub fn get_id(bus: &DBusConnection) -> impl FnOnce(&Cancellable, Resolver<Reply>) + Send + use<> {
    method(bus, "GetId", None)
}

/// Calls a method of the daemon.
pub fn method(
    bus: &DBusConnection,
    name: &'static str,
    parameters: Option<glib::Variant>,
) -> impl FnOnce(&Cancellable, Resolver<Reply>) + Send + use<> {
    let bus = bus.clone();
    move |cancellable, done| {
        let done = move |reply| done.resolve(reply);
        send(&bus, of_daemon(name), parameters.as_ref(), -1, cancellable, done);
    }
}

/// A service, its object, an interface and a method.
pub type Method<'a> = [&'a str; 4];

/// A method of the daemon.
pub fn of_daemon(name: &str) -> Method<'_> {
    [BUS, "/org/freedesktop/DBus", BUS, name]
}

/// The method of the [`Hanging`] service with this unique name.
pub fn of_hanging(service: &str) -> Method<'_> {
    [service, PATH, INTERFACE, "Hang"]
}

/// Makes a call. GDBus returns an error after `patience` milliseconds without a reply; -1 is its
/// usual 25 s.
pub fn send<'a>(
    bus: &DBusConnection,
    [service, path, interface, name]: Method<'_>,
    parameters: Option<&glib::Variant>,
    patience: i32,
    cancellable: impl Into<Option<&'a Cancellable>>,
    done: impl FnOnce(Reply) + 'static,
) {
    let (service, flags, cancellable) = (Some(service), DBusCallFlags::NONE, cancellable.into());
    bus.call(service, path, interface, name, parameters, None, flags, patience, cancellable, done);
}

/// A service that keeps calls and does not answer them.
#[derive(Debug)]
pub struct Hanging {
    calls: Rc<RefCell<Vec<DBusMethodInvocation>>>,
    connection: DBusConnection,
}

impl Hanging {
    /// Serves on `connection`, in this thread's default context.
    ///
    /// # Panics
    /// When `connection` serves something there already.
    pub fn serve(connection: &DBusConnection) -> Self {
        let xml =
            format!("<node><interface name='{INTERFACE}'><method name='Hang'/></interface></node>");
        let node = DBusNodeInfo::for_xml(&xml).expect("good XML");
        let interface = node.lookup_interface(INTERFACE).expect("the interface");
        let calls: Rc<RefCell<Vec<_>>> = Rc::default();
        let keep = calls.clone();
        let served = connection
            .register_object(PATH, &interface)
            .method_call(move |_, _, _, _, _, _, call| keep.borrow_mut().push(call));
        let _id = served.build().expect("to serve");
        Self { calls, connection: connection.clone() }
    }

    /// Its unique name.
    pub fn name(&self) -> String {
        self.connection.unique_name().unwrap_or_default().into()
    }

    /// How many calls are waiting.
    pub fn n(&self) -> usize {
        self.calls.borrow().len()
    }

    /// Answers all waiting calls.
    pub fn reply(&self) {
        for call in self.calls.take() {
            call.return_value(None);
        }
    }
}
