//! A TCP proxy that counts what clients read from a server.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::Result;

/// A proxy in front of one server. Its threads end with the process.
pub(super) struct Proxy {
    port: u16,
    read: Arc<AtomicU64>,
}

impl Proxy {
    /// Listens on a free port of this machine.
    pub(super) fn start(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let read = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&read);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // A client whose server cannot be reached sees the end of its connection.
                drop(serve(&client, server, &counter));
            }
        });
        Ok(Self { port, read })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Returns the number of bytes that clients have read since the last call.
    pub(super) fn take(&self) -> u64 {
        self.read.swap(0, Ordering::SeqCst)
    }
}

/// Starts the two directions of a connection.
fn serve(client: &TcpStream, server: SocketAddr, read: &Arc<AtomicU64>) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    let (up, down) = (
        (client.try_clone()?, server.try_clone()?),
        (server, client.try_clone()?),
    );
    let read = Arc::clone(read);
    thread::spawn(move || copy(up, |_| {}));
    thread::spawn(move || {
        copy(down, |count| {
            read.fetch_add(count, Ordering::SeqCst);
        });
    });
    Ok(())
}

/// Copies until one side ends, and passes the end on.
fn copy((mut from, mut to): (TcpStream, TcpStream), count: impl Fn(u64)) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        // The client may end as soon as it has the last byte.
        count(length as u64);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    // The other side may be gone already.
    to.shutdown(Shutdown::Write).ok();
    from.shutdown(Shutdown::Read).ok();
}
