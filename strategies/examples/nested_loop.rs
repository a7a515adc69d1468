//! A TCP client on the GLib thread that keeps running while a nested loop is open.
//!
//! An echo server and its client run as tasks of [`Dispatch`] on the thread of the GLib loop.
//! Another task opens a nested loop for 200 ms, as a modal dialog does; the client keeps going.

use std::cell::Cell;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use glib::{ControlFlow, MainContext, MainLoop};
use loopnest_strategies::Dispatch;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn main() -> anyhow::Result<()> {
    let dispatch = Dispatch::new(&MainContext::default())?;
    let echoed = Rc::new(Cell::new(0));

    let listener = dispatch.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    dispatch.spawn_local(async move {
        let (mut stream, _) = listener.accept().await?;
        let (mut read, mut write) = stream.split();
        tokio::io::copy(&mut read, &mut write).await
    });

    let counter = echoed.clone();
    dispatch.spawn_local(talk(address, counter));

    let counter = echoed.clone();
    let during = dispatch.block_on(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let before = counter.get();
        // A nested loop, on the stack of this task.
        let dialog = MainLoop::new(None, false);
        let (close, seen) = (dialog.clone(), counter.clone());
        let mut looks = 0;
        glib::timeout_add_local(Duration::from_millis(200), move || {
            looks += 1;
            // On a slow machine, as under valgrind, a byte may take longer.
            if seen.get() == before && looks < 50 {
                return ControlFlow::Continue;
            }
            close.quit();
            ControlFlow::Break
        });
        dialog.run();
        counter.get() - before
    });
    println!("{} bytes echoed, {during} of them while the nested loop was open", echoed.get());
    anyhow::ensure!(during > 0, "the client stopped while the nested loop was open");
    Ok(())
}

/// Sends a byte every 10 ms and counts what comes back.
async fn talk(address: SocketAddr, echoed: Rc<Cell<usize>>) -> std::io::Result<Infallible> {
    let mut stream = TcpStream::connect(address).await?;
    loop {
        tokio::time::sleep(Duration::from_millis(10)).await;
        stream.write_all(b"!").await?;
        echoed.set(echoed.get() + usize::from(stream.read_u8().await? == b'!'));
    }
}
