//! The program's `epoll_wait` is what libc's is: an `LD_PRELOAD`ed library sees the waits, and a
//! seccomp filter sees libc's system call.
//!
//! The hook's own tests, beside it, see that it is a cancellation point.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use loopnest_tests::{child, dispatch};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::sleep;

/// Where a preloaded library writes what it has seen.
const REPORT: &str = "LOOPNEST_REPORT";

const ROUNDS: u32 = 20;

/// Needs tokio's timers, its sockets, and its wake from another thread.
async fn round() {
    let (mut here, mut there) = UnixStream::pair().expect("a pair of sockets");
    sleep(Duration::from_millis(5)).await;
    tokio::task::spawn_blocking(|| ()).await.expect("a blocking thread");
    here.write_all(b"1").await.expect("a write");
    assert_eq!(there.read_u8().await.expect("a read"), b'1');
}

/// Waits on a thread with a strategy.
fn with_dispatch() {
    let (_context, dispatch) = dispatch();
    dispatch.block_on(async {
        for _ in 0..ROUNDS {
            round().await;
        }
    });
}

/// Waits this often on a thread without a strategy.
fn with_tokio_alone() {
    let parks = Arc::new(AtomicU32::new(0));
    let count = parks.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_park(move || _ = count.fetch_add(1, Ordering::Relaxed))
        .build()
        .expect("a runtime");
    // Every park is a wait.
    while parks.load(Ordering::Relaxed) < ROUNDS {
        runtime.block_on(round());
    }
}

/// Runs `body`, the body of the test named `test`, in a child with a library preloaded: the C
/// program of this name. Returns the library's report, and `None` in the child.
fn with_preloaded(test: &str, program: &str, flags: &[&str], body: fn()) -> Option<String> {
    if child::is_child() {
        body();
        return None;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let [library, report] = ["preloaded.so", "report"].map(|name| folder.path().join(name));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hook").join(program);
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O2", "-Wall", "-Werror"]).args(flags);
    let made = cc.arg("-o").arg(&library).arg(source).arg("-ldl").status().expect("cc");
    assert!(made.success(), "{cc:?}: {made}");

    let path = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let environment = [("LD_PRELOAD", &*path(&library)), (REPORT, &*path(&report))];
    let said = child::spawn(test, &environment);
    assert!(said.passed, "{}", said.stderr);
    Some(std::fs::read_to_string(report).expect("the library's report"))
}

/// How often a preloaded `epoll_wait` was called.
fn waits_seen(test: &str, body: fn()) -> Option<u32> {
    let report = with_preloaded(test, "count_waits.c", &[], body)?;
    Some(report.parse().expect("a number"))
}

#[test]
fn a_preloaded_epoll_wait_sees_every_wait_of_tokio() {
    let test = "a_preloaded_epoll_wait_sees_every_wait_of_tokio";
    if let Some(n) = waits_seen(test, with_tokio_alone) {
        assert!(n >= ROUNDS, "{n} waits seen");
    }
}

#[test]
fn a_preloaded_epoll_wait_sees_the_waits_of_a_strategy() {
    let test = "a_preloaded_epoll_wait_sees_the_waits_of_a_strategy";
    if let Some(n) = waits_seen(test, with_dispatch) {
        assert!(n >= ROUNDS, "{n} waits seen");
    }
}

fn with_both() {
    with_tokio_alone();
    with_dispatch();
}

#[test]
fn tokio_waits_where_dlsym_finds_nothing() {
    let test = "tokio_waits_where_dlsym_finds_nothing";
    if let Some(found) = with_preloaded(test, "wrong_dlsym.c", &[], with_both) {
        assert_eq!(found, "nothing");
    }
}

#[test]
fn tokio_waits_where_dlsym_finds_the_hook_itself() {
    let test = "tokio_waits_where_dlsym_finds_the_hook_itself";
    if let Some(found) = with_preloaded(test, "wrong_dlsym.c", &["-DOURS"], with_both) {
        let name = |path: &Path| path.file_name().map(ToOwned::to_owned);
        let program = std::env::current_exe().expect("the path of this test");
        assert_eq!(name(Path::new(&found)), name(&program), "found in {found}");
    }
}

/// Refuses what libc's `epoll_wait` does not call, where there is a system call of that name.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_filter_that_allows_epoll_wait_is_enough_for_tokio() {
    use rustix::event::epoll;
    use rustix::io::Errno;
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

    let calls = [libc::SYS_epoll_pwait, libc::SYS_epoll_pwait2];
    let refused = calls.map(|call| (call, Vec::new())).into_iter().collect();
    let refusal = SeccompAction::Errno(libc::EPERM as u32);
    let arch = std::env::consts::ARCH.try_into().expect("an architecture");
    let filter = SeccompFilter::new(refused, SeccompAction::Allow, refusal, arch);
    let filter: BpfProgram = filter.and_then(TryInto::try_into).expect("a filter");
    // For this thread, and for those that it starts.
    seccompiler::apply_filter(&filter).expect("a kernel with seccomp");
    // rustix makes the system call by itself.
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll descriptor");
    let mut events = Vec::with_capacity(1);
    let events = rustix::buffer::spare_capacity(&mut events);
    assert_eq!(epoll::wait(&epoll, events, Some(&Default::default())), Err(Errno::PERM));

    let threads: Vec<_> = (0..3).map(|_| std::thread::spawn(with_tokio_alone)).collect();
    with_dispatch();
    for thread in threads {
        thread.join().expect("tokio waits on every thread");
    }
}
