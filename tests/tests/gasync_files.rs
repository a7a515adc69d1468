//! Files and processes through gio, with both faces on every strategy.
//!
//! Streams, monitors and processes are not `Send`. A call from another thread keeps them in its
//! closures, and makes several gio calls there if one needs the result of another.

use std::cell::Cell;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use gio::prelude::*;
use gio::{Cancellable, FileCreateFlags, FileMonitorEvent, FileMonitorFlags, IOErrorEnum};
use gio::{Subprocess, SubprocessFlags};
use glib::{Bytes, Error, Priority};
use loopnest_strategies::gasync::Resolver;
use loopnest_tests::sides::{Face, everywhere};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::time::timeout;

const SOON: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(10);

/// A private file for a test, which need not exist.
struct Scratch(TempDir);

impl Scratch {
    fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("scratch")
    }

    fn file(&self) -> gio::File {
        gio::File::for_path(self.path())
    }
}

/// A call whose result is one of gio's.
async fn call<T: Send + 'static>(
    face: &Face,
    start: impl FnOnce(&Cancellable, Resolver<Result<T, Error>>) + Send + 'static,
) -> Result<T, Error> {
    face.call(start).await.expect("a result")
}

/// Starts a call, cancels it once it has started, and returns its error.
async fn cancelled_in_flight<T: 'static>(
    face: &Face,
    start: impl FnOnce(&Cancellable, Box<dyn FnOnce(Result<T, Error>)>) + Send + 'static,
) -> Option<IOErrorEnum> {
    let (begun, begins) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    let call = face.call(move |cancellable, done: Resolver<()>| {
        start(
            cancellable,
            Box::new(move |result| {
                _ = end.send(result.err().and_then(|error| error.kind::<IOErrorEnum>()));
                done.resolve(());
            }),
        );
        _ = begun.send(());
    });
    let cancel = async {
        begins.await.expect("a start");
        tokio::time::sleep(SOON).await;
    };
    tokio::select! {
        result = call => panic!("it ended by itself: {result:?}"),
        () = cancel => {}
    }
    timeout(PATIENCE, ended).await.expect("in time").expect("a callback")
}

fn load(
    file: gio::File,
) -> impl FnOnce(&Cancellable, Resolver<Result<Vec<u8>, Error>>) + Send + 'static {
    move |cancellable, done| {
        file.load_contents_async(Some(cancellable), move |contents| {
            done.resolve(contents.map(|(contents, _etag)| contents.to_vec()));
        });
    }
}

/// Opens a stream, reads from it and closes it.
fn read(
    file: gio::File,
    n: usize,
) -> impl FnOnce(&Cancellable, Resolver<Result<Bytes, Error>>) + Send + 'static {
    move |cancellable, done| {
        let then = cancellable.clone();
        file.read_async(Priority::DEFAULT, Some(cancellable), move |stream| {
            let stream = match stream {
                Ok(stream) => stream,
                Err(error) => return done.resolve(Err(error)),
            };
            let closing = stream.clone();
            stream.read_bytes_async(n, Priority::DEFAULT, Some(&then.clone()), move |bytes| {
                closing.close_async(Priority::DEFAULT, Some(&then), move |closed| {
                    done.resolve(closed.and(bytes));
                });
            });
        });
    }
}

/// Opens a stream at the end of a file, writes to it and closes it.
fn append(
    file: gio::File,
    text: &'static str,
) -> impl FnOnce(&Cancellable, Resolver<Result<usize, Error>>) + Send + 'static {
    move |cancellable, done| {
        let then = cancellable.clone();
        let flags = FileCreateFlags::NONE;
        file.append_to_async(flags, Priority::DEFAULT, Some(cancellable), move |stream| {
            let stream = match stream {
                Ok(stream) => stream,
                Err(error) => return done.resolve(Err(error)),
            };
            let closing = stream.clone();
            stream.write_all_async(text, Priority::DEFAULT, Some(&then.clone()), move |written| {
                let written = match written {
                    Ok((_, n, None)) => Ok(n),
                    Ok((_, _, Some(error))) | Err((_, error)) => Err(error),
                };
                closing.close_async(Priority::DEFAULT, Some(&then), move |closed| {
                    done.resolve(closed.and(written));
                });
            });
        });
    }
}

fn create(
    file: gio::File,
) -> impl FnOnce(&Cancellable, Resolver<Result<(), Error>>) + Send + 'static {
    move |cancellable, done| {
        let done = move |stream: Result<_, _>| done.resolve(stream.map(drop));
        file.create_async(FileCreateFlags::NONE, Priority::DEFAULT, Some(cancellable), done);
    }
}

/// Waits for the next deletion of a file. Reports when it is watching.
fn deletion(
    file: gio::File,
    watches: oneshot::Sender<()>,
) -> impl FnOnce(&Cancellable, Resolver<Result<(), Error>>) + Send + 'static {
    move |cancellable, done| {
        let monitor = match file.monitor_file(FileMonitorFlags::NONE, Some(cancellable)) {
            Ok(monitor) => monitor,
            Err(error) => return done.resolve(Err(error)),
        };
        // Keeps the monitor alive until it has seen the deletion.
        let waiting = Rc::new(Cell::new(None));
        let seen = waiting.clone();
        monitor.connect_changed(move |_, _, _, event| {
            if event == FileMonitorEvent::Deleted
                && let Some((_monitor, done)) = seen.take()
            {
                let done: Resolver<_> = done;
                done.resolve(Ok(()));
            }
        });
        waiting.set(Some((monitor, done)));
        _ = watches.send(());
    }
}

fn spawn(argv: &[&str], flags: SubprocessFlags) -> Subprocess {
    let argv: Vec<_> = argv.iter().map(OsStr::new).collect();
    Subprocess::newv(&argv, flags).expect("a process")
}

#[test]
fn files_are_written_read_and_watched() {
    everywhere(|face| async move {
        let scratch = Scratch::new();
        let write = scratch.file();
        let replaced = call(&face, move |cancellable, done| {
            write.replace_contents_async(
                b"hello".to_vec(),
                None,
                false,
                FileCreateFlags::NONE,
                Some(cancellable),
                move |result| done.resolve(result.map(drop).map_err(|(_, error)| error)),
            );
        });
        replaced.await.expect("to write");
        assert_eq!(call(&face, append(scratch.file(), ", world")).await, Ok(7));
        let contents = call(&face, load(scratch.file())).await;
        assert_eq!(contents.as_deref(), Ok(&b"hello, world"[..]));
        let bytes = call(&face, read(scratch.file(), 5)).await;
        assert_eq!(bytes.as_deref(), Ok(&b"hello"[..]));

        let (tx, watches) = oneshot::channel();
        let removed = async {
            watches.await.expect("a monitor");
            std::fs::remove_file(scratch.path()).expect("to remove");
        };
        let both = async { tokio::join!(call(&face, deletion(scratch.file(), tx)), removed) };
        let (deleted, ()) = timeout(PATIENCE, both).await.expect("in time");
        assert_eq!(deleted, Ok(()));
    });
}

#[test]
fn errors_of_files_are_passed_on() {
    everywhere(|face| async move {
        let scratch = Scratch::new();
        let kind = |error: Error| error.kind::<IOErrorEnum>();
        let missing = call(&face, load(scratch.file())).await.expect_err("no such file");
        assert_eq!(kind(missing), Some(IOErrorEnum::NotFound));
        let missing = call(&face, read(scratch.file(), 1)).await.expect_err("no such file");
        assert_eq!(kind(missing), Some(IOErrorEnum::NotFound));
        call(&face, create(scratch.file())).await.expect("to create");
        let there = call(&face, create(scratch.file())).await.expect_err("it is there");
        assert_eq!(kind(there), Some(IOErrorEnum::Exists));
        let folder = gio::File::for_path(std::env::temp_dir());
        let folder = call(&face, append(folder, "x")).await.expect_err("a folder");
        assert_eq!(kind(folder), Some(IOErrorEnum::IsDirectory));
    });
}

#[test]
fn loads_and_reads_are_cancelled_in_flight() {
    everywhere(|face| async move {
        // A file without an end.
        let load = cancelled_in_flight(&face, |cancellable, done| {
            gio::File::for_path("/dev/zero").load_contents_async(Some(cancellable), done);
        });
        assert_eq!(load.await, Some(IOErrorEnum::Cancelled));
        // A pipe to which nothing writes.
        let read = cancelled_in_flight(&face, |cancellable, done| {
            let process = spawn(&["sleep", "60"], SubprocessFlags::STDOUT_PIPE);
            let pipe = process.stdout_pipe().expect("a pipe");
            pipe.read_bytes_async(1, Priority::DEFAULT, Some(cancellable), move |bytes| {
                process.force_exit();
                done(bytes);
            });
        });
        assert_eq!(read.await, Some(IOErrorEnum::Cancelled));
    });
}

#[test]
fn the_end_of_a_process_is_reported() {
    everywhere(|face| async move {
        let end = |script: &'static str| {
            call(&face, move |cancellable, done| {
                let process = spawn(&["sh", "-c", script], SubprocessFlags::NONE);
                process.clone().wait_async(Some(cancellable), move |waited| {
                    let exit = process.has_exited().then(|| process.exit_status());
                    let signal = process.has_signaled().then(|| process.term_sig());
                    done.resolve(waited.map(|()| (exit, signal)));
                });
            })
        };
        assert_eq!(end("exit 0").await, Ok((Some(0), None)));
        assert_eq!(end("exit 3").await, Ok((Some(3), None)));
        assert_eq!(end("kill -9 $$").await, Ok((None, Some(9))));

        let check = |program: &'static str| {
            call(&face, move |cancellable, done| {
                let process = spawn(&[program], SubprocessFlags::NONE);
                process.wait_check_async(Some(cancellable), move |result| done.resolve(result));
            })
        };
        assert_eq!(check("true").await, Ok(()));
        let error = check("false").await.expect_err("it exits with 1");
        assert!(error.message().contains("code 1"), "{error}");
    });
}

#[test]
fn processes_get_input_and_return_output() {
    everywhere(|face| async move {
        let flags = SubprocessFlags::STDIN_PIPE
            | SubprocessFlags::STDOUT_PIPE
            | SubprocessFlags::STDERR_PIPE;
        let talk = call(&face, move |cancellable, done| {
            let process = spawn(&["sh", "-c", "cat; echo no >&2; exit 1"], flags);
            let stdin = Some("a line\n".to_owned());
            process.communicate_utf8_async(stdin, Some(cancellable), move |said| {
                done.resolve(said.map(|(out, err)| (out.map(String::from), err.map(String::from))));
            });
        });
        // Its failure is not an error of this call.
        let said = (Some("a line\n".to_owned()), Some("no\n".to_owned()));
        assert_eq!(talk.await, Ok(said));

        let given_up = cancelled_in_flight(&face, |cancellable, done| {
            let process = spawn(&["sleep", "60"], SubprocessFlags::STDOUT_PIPE);
            process.clone().communicate_utf8_async(None, Some(cancellable), move |said| {
                process.force_exit();
                done(said);
            });
        });
        assert_eq!(given_up.await, Some(IOErrorEnum::Cancelled));
    });
}
