//! A private D-Bus daemon.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A `dbus-daemon` that is killed when this is dropped.
#[derive(Debug)]
pub struct PrivateBus {
    daemon: Child,
    address: String,
}

impl PrivateBus {
    /// Starts a daemon and waits until it listens.
    ///
    /// # Panics
    /// When there is no `dbus-daemon`: `cargo xtask setup --group test` installs it.
    pub fn start() -> Self {
        let daemon = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nopidfile", "--print-address=1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // It complains about its limit of descriptors, but no test needs more.
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut daemon) = daemon else {
            panic!("cannot start dbus-daemon; `cargo xtask setup --group test` installs it")
        };
        let mut address = String::new();
        if let Some(stdout) = daemon.stdout.take() {
            let _ = BufReader::new(stdout).read_line(&mut address);
        }
        assert!(address.contains(':'), "dbus-daemon printed {address:?} instead of its address");
        Self { daemon, address: address.trim().to_owned() }
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.daemon.id()
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

impl Drop for PrivateBus {
    fn drop(&mut self) {
        self.kill();
    }
}
