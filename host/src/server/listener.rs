//! Sockets that listen.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// The length of the kernel's queue of connections, as for the listeners of tokio.
const BACKLOG: i32 = 1024;

/// The reason why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is in use, or is not an address of this machine.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
}

/// Listens on an address.
///
/// `[::]` means all IPv4 and IPv6 addresses. A machine without IPv6 listens on `0.0.0.0` instead. The function must
/// be called in a tokio runtime.
pub fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    let bound = match bind(address) {
        Err(error) if is_without_ipv6(&error) && is_every_address(address) => {
            bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())))
        }
        bound => bound,
    };
    bound.map_err(|source| ServeError::Bind { address, source })
}

fn is_every_address(address: SocketAddr) -> bool {
    address.is_ipv6() && address.ip().is_unspecified()
}

/// Returns whether the kernel has no IPv6, or has it disabled.
fn is_without_ipv6(error: &io::Error) -> bool {
    let Some(code) = error.raw_os_error() else {
        return false;
    };
    [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL]
        .iter()
        .any(|errno| errno.raw_os_error() == code)
}

/// Binds a socket. `[::]` includes IPv4, whatever the kernel's `bindv6only` is.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if is_every_address(address) {
        socket.set_only_v6(false)?;
    }
    // A restart does not wait for the connections of the previous process. The standard library sets the same option.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn the_unspecified_address_accepts_ipv4_and_ipv6() {
        let listener = listen("[::]:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .unwrap();
        // This part runs only if the machine has IPv6.
        if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.is_ok() {
            TcpStream::connect((Ipv6Addr::LOCALHOST, port))
                .await
                .unwrap();
        }
    }

    #[tokio::test]
    async fn an_ipv4_address_is_bound_as_ipv4() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        assert!(listener.local_addr().unwrap().is_ipv4());
    }

    #[tokio::test]
    async fn a_port_in_use_is_an_error() {
        let first = listen("[::]:0".parse().unwrap()).unwrap();
        let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, first.local_addr().unwrap().port()));
        let error = listen(address).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot listen on {address}"));
    }

    #[test]
    fn only_missing_ipv6_leads_to_ipv4() {
        let is_without = |errno: Errno| is_without_ipv6(&errno.into());
        assert!(is_without(Errno::AFNOSUPPORT) && is_without(Errno::ADDRNOTAVAIL));
        assert!(!is_without(Errno::ADDRINUSE) && !is_without(Errno::ACCESS));
        assert!(!is_every_address("[::1]:80".parse().unwrap()));
        assert!(!is_every_address("0.0.0.0:80".parse().unwrap()));
    }
}
