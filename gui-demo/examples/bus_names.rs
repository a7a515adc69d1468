//! A window that lists the names on the session bus, with a filter and a button that cancels.
//!
//! Two D-Bus libraries in one thread: the names come from zbus, which runs on tokio, and the
//! process behind each name comes from gio. Tokio starts no second thread: the program prints its
//! threads before and after (those that exist belong to GTK, gio and the graphics driver).
//!
//! `dbus-run-session -- cargo run -p gui-demo --example bus_names`
//!
//! With `--slow` each name takes a while, so that there is something to cancel.

use std::cell::{Cell, RefCell};
use std::fs;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use gtk4::gio::prelude::*;
use gtk4::prelude::*;
use gtk4::{gio, glib};
use loopnest_strategies::{Dispatch, JoinHandle, gasync};
use tokio::net::UnixStream;
use tokio::sync::OnceCell;
use zbus::address::Transport;
use zbus::address::transport::UnixSocket;

const BUS: &str = "org.freedesktop.DBus";

fn main() -> anyhow::Result<glib::ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let slow = match &args[..] {
        [] => false,
        [slow] if slow == "--slow" => true,
        _ => bail!("the only argument of bus_names is --slow"),
    };
    // Created before the application runs, and kept until it has returned.
    let dispatch = Rc::new(Dispatch::new(&glib::MainContext::default())?);
    let application = gtk4::Application::builder()
        .application_id("org.loopnest.BusNames")
        .flags(gio::ApplicationFlags::NON_UNIQUE)
        .build();
    application.connect_activate(move |application| {
        let window = Window::new(application, dispatch.clone(), slow);
        window.list();
    });
    Ok(application.run_with_args::<&str>(&[]))
}

struct Window {
    dispatch: Rc<Dispatch>,
    slow: bool,
    names: gtk4::StringList,
    status: gtk4::Label,
    again: gtk4::Button,
    cancel: gtk4::Button,
    task: RefCell<Option<JoinHandle<()>>>,
    /// How many names are listed, and of how many; `None` until the bus has listed its names.
    listed: Cell<Option<(usize, usize)>>,
    zbus: OnceCell<zbus::Connection>,
}

impl Window {
    fn new(application: &gtk4::Application, dispatch: Rc<Dispatch>, slow: bool) -> Rc<Self> {
        let this = Rc::new(Self {
            dispatch,
            slow,
            names: gtk4::StringList::default(),
            // An error can be long.
            status: gtk4::Label::builder().xalign(0.0).wrap(true).build(),
            again: gtk4::Button::with_label("List again"),
            cancel: gtk4::Button::with_label("Cancel"),
            task: RefCell::default(),
            listed: Cell::default(),
            zbus: OnceCell::new(),
        });
        let entry = gtk4::SearchEntry::builder().hexpand(true).build();
        // Gives the entry a name for screen readers, which a placeholder would not, and a key
        // (Alt+F).
        let filter = gtk4::Label::builder().label("_Filter").use_underline(true);
        let filter = filter.mnemonic_widget(&entry).build();
        let bar = gtk4::Box::new(gtk4::Orientation::Horizontal, 6);
        bar.append(&filter);
        bar.append(&entry);
        bar.append(&this.again);
        bar.append(&this.cancel);
        let list = gtk4::ScrolledWindow::builder().vexpand(true).child(&this.view(&entry)).build();
        let all = gtk4::Box::builder()
            .orientation(gtk4::Orientation::Vertical)
            .spacing(6)
            .margin_top(6)
            .margin_bottom(6)
            .margin_start(6)
            .margin_end(6)
            .build();
        all.append(&bar);
        all.append(&list);
        all.append(&this.status);

        // Weak, because `this` holds the buttons.
        this.again.connect_clicked(glib::clone!(
            #[weak]
            this,
            move |_| this.list()
        ));
        this.cancel.connect_clicked(glib::clone!(
            #[weak]
            this,
            move |_| this.cancel()
        ));
        let window = gtk4::ApplicationWindow::builder()
            .application(application)
            .title("Bus names")
            .default_width(640)
            .default_height(420)
            .child(&all)
            .build();
        // Keeps `this` until the window is closed, and ends the task then.
        window.connect_close_request(glib::clone!(
            #[strong]
            this,
            move |_| {
                this.cancel();
                glib::Propagation::Proceed
            }
        ));
        window.present();
        this
    }

    /// The names that pass the filter.
    fn view(&self, entry: &gtk4::SearchEntry) -> gtk4::ListView {
        let text = gtk4::PropertyExpression::new(
            gtk4::StringObject::static_type(),
            gtk4::Expression::NONE,
            "string",
        );
        let filter = gtk4::StringFilter::builder()
            .expression(&text)
            .ignore_case(true)
            .match_mode(gtk4::StringFilterMatchMode::Substring)
            .build();
        let shown = gtk4::FilterListModel::new(Some(self.names.clone()), Some(filter.clone()));
        entry.connect_search_changed(move |entry| filter.set_search(Some(&entry.text())));

        let factory = gtk4::SignalListItemFactory::new();
        factory.connect_setup(|_, item| {
            if let Some(item) = item.downcast_ref::<gtk4::ListItem>() {
                item.set_child(Some(&gtk4::Label::builder().xalign(0.0).build()));
            }
        });
        factory.connect_bind(|_, item| {
            let Some(item) = item.downcast_ref::<gtk4::ListItem>() else { return };
            let name = item.item().and_downcast::<gtk4::StringObject>();
            let label = item.child().and_downcast::<gtk4::Label>();
            if let (Some(name), Some(label)) = (name, label) {
                label.set_text(&name.string());
            }
        });
        gtk4::ListView::new(Some(gtk4::NoSelection::new(Some(shown))), Some(factory))
    }

    /// Starts to list the names.
    fn list(self: &Rc<Self>) {
        self.cancel();
        self.names.splice(0, self.names.n_items(), &[]);
        self.listed.take();
        self.status.set_text("connecting");
        self.set_running(true);
        let this = self.clone();
        let task = self.dispatch.spawn_local(async move {
            let ended = this.names().await;
            this.status.set_text(&match ended {
                Ok(n) => format!("{n} names"),
                Err(error) => format!("{error:#}, {}", this.so_far()),
            });
            this.set_running(false);
        });
        self.task.replace(Some(task));
    }

    /// Cancels the running task, and with it any pending call of zbus or gio.
    fn cancel(&self) {
        if let Some(task) = self.task.take()
            && !task.is_finished()
        {
            task.abort();
            self.status.set_text(&format!("cancelled {}", self.so_far()));
            self.set_running(false);
        }
    }

    fn set_listed(&self, n: usize, all: usize) {
        self.listed.set(Some((n, all)));
        self.status.set_text(&format!("{n} of {all} names"));
    }

    fn so_far(&self) -> String {
        match self.listed.get() {
            Some((n, all)) => format!("after {n} of {all} names"),
            None => "before the first name".to_owned(),
        }
    }

    fn set_running(&self, running: bool) {
        self.again.set_sensitive(!running);
        self.cancel.set_sensitive(running);
    }

    /// Lists the names, and returns how many there are.
    async fn names(&self) -> anyhow::Result<usize> {
        let gio = gasync::call(|cancellable, done| {
            gio::bus_get(gio::BusType::Session, Some(cancellable), |bus| done.resolve(bus));
        });
        let gio = gio.await?.context("gio has no session bus")?;
        // By default the process would end with the session bus. Here that is only an error
        // message.
        gio.set_exit_on_close(false);
        let zbus = self.zbus.get_or_try_init(connect_zbus).await?;
        let proxy = zbus::fdo::DBusProxy::new(zbus).await?;
        let names = proxy.list_names().await?;
        let mut names: Vec<String> = names.iter().map(ToString::to_string).collect();
        // Well-known names first; plain sorting would put unique names such as `:1.42` before them.
        names.sort_by_key(|name| (name.starts_with(':'), name.clone()));
        self.set_listed(0, names.len());
        for (n, name) in names.iter().enumerate() {
            let process = process_of(&gio, name.clone()).await?;
            self.names.append(&format!("{name}    {process}"));
            self.set_listed(n + 1, names.len());
            if self.slow {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
        Ok(names.len())
    }
}

/// Connects in this thread. zbus would connect the socket on a thread of tokio's blocking pool
/// (zbus 5.19, `address/transport/mod.rs`), so it gets a socket that is already connected.
async fn connect_zbus() -> anyhow::Result<zbus::Connection> {
    let before = threads();
    let Transport::Unix(unix) = zbus::Address::session()?.transport().clone() else {
        bail!("the session bus does not listen on a Unix socket");
    };
    let stream = match unix.take_path() {
        UnixSocket::File(path) => UnixStream::connect(path).await?,
        UnixSocket::Abstract(name) => {
            UnixStream::connect(format!("\0{}", name.to_string_lossy())).await?
        }
        _ => bail!("the session bus has no address to connect to"),
    };
    let bus = zbus::connection::Builder::unix_stream(stream).build().await?;
    println!("threads before zbus: {before}");
    println!("threads with zbus:   {}", threads());
    Ok(bus)
}

/// The process behind a name: gio's D-Bus gives its ID, and gio's files its command.
async fn process_of(bus: &gio::DBusConnection, name: String) -> anyhow::Result<String> {
    let bus = bus.clone();
    let reply = gasync::call(move |cancellable, done| {
        let done = move |reply: Result<_, glib::Error>| done.resolve(reply);
        let (method, name) = ("GetConnectionUnixProcessID", (name,).to_variant());
        let (flags, cancellable) = (gio::DBusCallFlags::NONE, Some(cancellable));
        let path = "/org/freedesktop/DBus";
        bus.call(Some(BUS), path, BUS, method, Some(&name), None, flags, -1, cancellable, done);
    });
    let reply = match reply.await? {
        Err(error) if error.matches(gio::DBusError::NameHasNoOwner) => return Ok("gone".to_owned()),
        // The bus does not know, or does not tell. If the bus itself is gone, that is an error.
        Err(error) if gio::DBusError::is_remote_error(&error) => return Ok("unknown".to_owned()),
        reply => reply?,
    };
    let (pid,) = reply.get::<(u32,)>().context("the reply has no process ID")?;
    let contents = gasync::call(move |cancellable, done| {
        gio::File::for_path(format!("/proc/{pid}/comm"))
            .load_contents_async(Some(cancellable), |contents| done.resolve(contents));
    });
    Ok(match contents.await? {
        Ok((command, _etag)) => format!("{} ({pid})", String::from_utf8_lossy(&command).trim()),
        Err(_) => format!("({pid})"),
    })
}

/// The names of this process's threads.
fn threads() -> String {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    let mut names: Vec<String> = names.map(|name| name.trim().to_owned()).collect();
    names.sort();
    names.join(", ")
}
