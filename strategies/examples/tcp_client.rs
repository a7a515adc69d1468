//! A TCP client on the GLib thread: tokio's sockets in a program that GLib drives.
//!
//! `cargo run -p loopnest-strategies --example tcp_client -- 127.0.0.1:7` talks to a server that
//! answers each line. Without an address, the program talks to a server of its own.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use glib::{MainContext, MainLoop};
use loopnest_strategies::Dispatch;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

fn main() -> anyhow::Result<()> {
    let context = MainContext::default();
    let dispatch = Dispatch::new(&context).context("cannot set up tokio")?;
    let address = match std::env::args().nth(1) {
        Some(address) => address.parse().context("expected an address such as 127.0.0.1:7")?,
        None => start_server(&dispatch)?,
    };

    // Any loop of the context works; a GTK program would call `application.run()` here.
    let main_loop = MainLoop::new(Some(&context), false);
    let quit = main_loop.clone();
    let client = dispatch.spawn_local(async move {
        let result = talk(address).await;
        quit.quit();
        result
    });
    main_loop.run();
    let answers = dispatch.block_on(client)??;
    println!("{answers} answers from {address}");
    Ok(())
}

/// Says hello three times.
async fn talk(address: SocketAddr) -> anyhow::Result<usize> {
    let mut stream = TcpStream::connect(address).await.context("cannot connect")?;
    let (read, mut write) = stream.split();
    let mut lines = BufReader::new(read).lines();
    let mut answers = 0;
    for i in 1..=3 {
        write.write_all(format!("hello {i}\n").as_bytes()).await?;
        let line = tokio::time::timeout(Duration::from_secs(5), lines.next_line()).await??;
        println!("{}", line.context("the server hung up")?);
        answers += 1;
    }
    Ok(answers)
}

/// A server that repeats lines, on the same thread.
fn start_server(dispatch: &Dispatch) -> anyhow::Result<SocketAddr> {
    let listener = dispatch.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    dispatch.spawn_local(async move {
        let (mut stream, _) = listener.accept().await?;
        let (mut read, mut write) = stream.split();
        tokio::io::copy(&mut read, &mut write).await
    });
    Ok(address)
}
