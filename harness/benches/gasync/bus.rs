//! A private bus daemon, and a service on it that does not answer.

use std::cell::RefCell;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;

use anyhow::Context as _;
use gio::{DBusConnection, DBusConnectionFlags, DBusMethodInvocation, DBusNodeInfo};
use loopnest_strategies::gasync;

/// Where the service that hangs is found.
pub(crate) const PATH: &str = "/org/loopnest/Bench";
pub(crate) const INTERFACE: &str = "org.loopnest.Bench";

pub(crate) struct Daemon {
    child: Child,
    address: String,
}

impl Daemon {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let mut child = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nopidfile", "--print-address=1"])
            .stdout(Stdio::piped())
            // It says that it may not have more descriptors, which it does not need here.
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start dbus-daemon; `cargo xtask setup` installs it")?;
        let mut address = String::new();
        let stdout = child.stdout.take().context("no output of dbus-daemon")?;
        BufReader::new(stdout).read_line(&mut address)?;
        Ok(Self { child, address: address.trim().to_owned() })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) async fn connect(address: String) -> anyhow::Result<DBusConnection> {
    let flags =
        DBusConnectionFlags::AUTHENTICATION_CLIENT | DBusConnectionFlags::MESSAGE_BUS_CONNECTION;
    let connection = gasync::call(move |cancellable, done| {
        let done = move |result| done.resolve(result);
        DBusConnection::for_address(&address, flags, None, Some(cancellable), done);
    });
    Ok(connection.await??)
}

/// Calls that wait for a reply.
pub(crate) struct Hanging(Rc<RefCell<Vec<DBusMethodInvocation>>>);

impl Hanging {
    pub(crate) fn serve(connection: &DBusConnection) -> anyhow::Result<Self> {
        let xml =
            format!("<node><interface name='{INTERFACE}'><method name='Hang'/></interface></node>");
        let node = DBusNodeInfo::for_xml(&xml)?;
        let interface = node.lookup_interface(INTERFACE).context("the interface")?;
        let calls: Rc<RefCell<Vec<_>>> = Rc::default();
        let keep = calls.clone();
        let served = connection
            .register_object(PATH, &interface)
            .method_call(move |_, _, _, _, _, _, call| keep.borrow_mut().push(call));
        // Served for as long as the connection lives.
        let _id = served.build()?;
        Ok(Self(calls))
    }

    pub(crate) fn n(&self) -> usize {
        self.0.borrow().len()
    }

    /// Answers all.
    pub(crate) fn reply(&self) {
        for call in self.0.take() {
            call.return_value(None);
        }
    }
}
