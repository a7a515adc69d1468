//! What a child writes to stderr: the beginning and the end of it.
//!
//! A strategy that spins may write warnings for ever, and its last words say what killed it. So a
//! thread reads while the child writes, and keeps as much as can be of use to anybody.
//!
//! The pipe need not end with the child: a process that the child has left behind may hold it open,
//! and write. So the reader is told when the child is over, and takes only what is there by then.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

/// How much is kept of the beginning, and as much again of the end.
const KEPT: usize = 32 * 1024;

/// How much is read at a time: what a pipe holds.
const CHUNK: usize = 64 * 1024;

/// How much is still read when the child is over: more than a pipe holds, unless it was enlarged.
const LEFT: usize = 1024 * 1024;

/// Reads what a child writes to stderr.
#[derive(Debug)]
pub struct Stderr {
    over: Arc<File>,
    thread: Option<JoinHandle<Kept>>,
}

impl Stderr {
    /// Begins to read. The child gets the other end, which must not stay open here.
    ///
    /// # Errors
    /// When the system has no descriptor or thread left.
    pub fn begin() -> io::Result<(Self, PipeWriter)> {
        let (reader, writer) = io::pipe()?;
        let over = Arc::new(File::from(eventfd(0, EventfdFlags::CLOEXEC)?));
        let told = over.clone();
        let thread = thread::Builder::new().spawn(move || read(reader, &told))?;
        Ok((Self { over, thread: Some(thread) }, writer))
    }

    /// What the child has written, once it is over. Whoever still holds the pipe is not waited for.
    pub fn finish(mut self) -> String {
        self.end().text()
    }

    fn end(&mut self) -> Kept {
        let Some(thread) = self.thread.take() else { return Kept::default() };
        // It can fail only if the counter is full, and this is the first time.
        let _ = rustix::io::write(&*self.over, &1_u64.to_ne_bytes());
        thread.join().unwrap_or_default()
    }
}

/// Without this, the thread of a child that could not be started would wait for ever.
impl Drop for Stderr {
    fn drop(&mut self) {
        drop(self.end());
    }
}

/// Reads until the end of the pipe, or until it is told that the child is over.
fn read(mut pipe: PipeReader, over: &File) -> Kept {
    let (mut kept, mut chunk) = (Kept::default(), vec![0; CHUNK]);
    let mut left = None;
    while left != Some(0) {
        let mut fds = [PollFd::new(&pipe, PollFlags::IN), PollFd::new(over, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut fds, left.map(|_| &now)) {
            Err(Errno::INTR) => continue,
            Err(_) => break,
            Ok(_) => {}
        }
        if left.is_none() && !fds[1].revents().is_empty() {
            left = Some(LEFT);
            continue;
        }
        // Now a read does not wait.
        if fds[0].revents().is_empty() {
            break;
        }
        match pipe.read(&mut chunk) {
            Ok(0) | Err(_) => break,
            Ok(n) => {
                kept.push(&chunk[..n]);
                left = left.map(|left| left.saturating_sub(n));
            }
        }
    }
    kept
}

/// The beginning and the end of a text.
#[derive(Debug, Default)]
struct Kept {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    /// How much was between them.
    left_out: u64,
}

impl Kept {
    fn push(&mut self, bytes: &[u8]) {
        let (head, rest) = bytes.split_at(bytes.len().min(KEPT - self.head.len()));
        self.head.extend(head);
        self.tail.extend(rest);
        let too_much = self.tail.len().saturating_sub(KEPT);
        self.tail.drain(..too_much);
        self.left_out += too_much as u64;
    }

    fn text(self) -> String {
        let mut text = self.head;
        if self.left_out > 0 {
            text.extend(format!("\n[{} bytes left out]\n", self.left_out).bytes());
        }
        text.extend(self.tail);
        String::from_utf8_lossy(&text).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_is_short_is_kept_whole() -> io::Result<()> {
        let (stderr, mut writer) = Stderr::begin()?;
        writer.write_all(b"one\n\xfftwo\n")?;
        drop(writer);
        assert_eq!(stderr.finish(), "one\n\u{fffd}two\n");
        Ok(())
    }

    #[test]
    fn of_what_is_long_the_beginning_and_the_end_are_kept() -> io::Result<()> {
        let (stderr, mut writer) = Stderr::begin()?;
        writer.write_all(b"first")?;
        for _ in 0..1000 {
            writer.write_all(&[b'.'; 10_000])?;
        }
        writer.write_all(b"last")?;
        drop(writer);
        let text = stderr.finish();
        assert!(text.starts_with("first.") && text.ends_with(".last"));
        let left_out = 10_000_009 - 2 * KEPT;
        assert!(text.contains(&format!("\n[{left_out} bytes left out]\n")));
        assert_eq!(text.bytes().filter(|&b| b == b'.').count(), 2 * KEPT - "firstlast".len());
        Ok(())
    }

    #[test]
    fn a_pipe_that_stays_open_is_not_waited_for() -> io::Result<()> {
        let (stderr, mut writer) = Stderr::begin()?;
        writer.write_all(b"left behind")?;
        assert_eq!(stderr.finish(), "left behind");
        // The reader is gone.
        assert_eq!(writer.write_all(b"more").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        Ok(())
    }

    #[test]
    fn one_who_never_stops_writing_is_not_waited_for_either() -> io::Result<()> {
        let (stderr, mut writer) = Stderr::begin()?;
        let writing = thread::spawn(move || while writer.write_all(&[b'.'; 4096]).is_ok() {});
        // If it has written much until then, the middle is left out.
        let text = stderr.finish();
        assert!(text.trim_matches('.').is_empty() || text.contains(" bytes left out]"), "{text}");
        writing.join().expect("a broken pipe ends it");
        Ok(())
    }
}
