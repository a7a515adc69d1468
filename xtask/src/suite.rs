//! The Debians of `cargo xtask compat`.

use clap::ValueEnum;

/// A Debian to run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// Debian 12: GLib 2.74, GTK 4.8, the oldest that are supported
    Bookworm,
    /// Debian 13: GLib 2.84, GTK 4.18
    Trixie,
    /// Debian unstable: whatever is newest
    Sid,
}

impl Suite {
    /// Its name in an archive of packages.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().into()).unwrap_or_default()
    }
}
