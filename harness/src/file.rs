//! Reads files that a user names, which may be anything.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// The longest file that is read, in MiB. A program at all its limits has one or two.
const MOST: u64 = 16;

/// The text of a file. A device that never ends is an error like any other.
pub fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take((MOST << 20) + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST << 20 {
        return Err(io::Error::other(format!("it is longer than {MOST} MiB")));
    }
    String::from_utf8(bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.utf8_error()))
}
