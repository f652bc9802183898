//! Who has connected to a listener that stops.

use std::{io, net::SocketAddr};

use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

use crate::limits::BACKLOG;

/// Closes a listener, and gives those who had connected, as far as they can tell, and were not accepted yet. Who comes later
/// is refused and tries elsewhere, instead of waiting in the kernel's queue for nothing.
pub fn queued(listener: TcpListener) -> Vec<(TcpStream, SocketAddr)> {
    // The runtime may not have heard of the last of them, so the kernel itself is asked.
    let Ok(listener) = listener.into_std() else { return Vec::new() };
    let accepted = all_of(|| listener.accept());
    drop(listener);
    let registered = accepted.into_iter().filter_map(|(stream, peer)| {
        stream.set_nonblocking(true).ok()?;
        let stream = TcpStream::from_std(stream).ok()?;
        let _ = stream.set_nodelay(true);
        Some((stream, peer))
    });
    registered.collect()
}

/// The same of a unix socket.
#[cfg(unix)]
pub fn queued_unix(listener: UnixListener) -> Vec<UnixStream> {
    let Ok(listener) = listener.into_std() else { return Vec::new() };
    let accepted = all_of(|| listener.accept());
    drop(listener);
    let registered = accepted.into_iter().filter_map(|(stream, _)| {
        stream.set_nonblocking(true).ok()?;
        UnixStream::from_std(stream).ok()
    });
    registered.collect()
}

/// Whether an error of accepting is about one connection that is gone already, and says nothing about the next.
pub fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// All of them before anything else is done: the moment between the last look and the end is what can be lost. No more than
/// a full queue, or those who keep coming would keep the listener open.
fn all_of<T>(mut accept: impl FnMut() -> io::Result<T>) -> Vec<T> {
    let mut accepted = Vec::new();
    // The kernel lets one more wait than it was told.
    for _ in 0..=BACKLOG {
        match accept() {
            Ok(one) => accepted.push(one),
            Err(error) if is_of_one_connection(&error) => {}
            // None is left; or they cannot be had, for want of descriptors.
            Err(_) => break,
        }
    }
    accepted
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn who_had_connected_is_served_and_who_comes_later_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut clients = Vec::new();
        for _ in 0..20 {
            clients.push(TcpStream::connect(address).await.unwrap());
        }
        let mut served = queued(listener);
        assert_eq!(served.len(), clients.len());
        assert!(TcpStream::connect(address).await.is_err());
        for client in &mut clients {
            let at = client.local_addr().unwrap();
            let (stream, _) = served.iter_mut().find(|(_, peer)| *peer == at).expect("it is there");
            stream.write_all(b"x").await.unwrap();
            assert_eq!(client.read_u8().await.unwrap(), b'x');
        }
    }

    #[test]
    fn one_that_broke_hides_nobody_behind_it_and_those_who_keep_coming_end() {
        use io::ErrorKind::{ConnectionAborted, ConnectionReset, WouldBlock};
        let script = [Ok(1), Err(ConnectionAborted), Ok(2), Err(ConnectionReset), Ok(3), Err(WouldBlock), Ok(4)];
        let mut script = script.into_iter();
        assert_eq!(all_of(|| script.next().unwrap().map_err(io::Error::from)), [1, 2, 3]);
        let full = usize::try_from(BACKLOG).unwrap() + 1;
        assert_eq!(all_of(|| Ok(())).len(), full);
        let mut asked = 0;
        let none: Vec<()> = all_of(|| {
            asked += 1;
            Err(ConnectionAborted.into())
        });
        assert_eq!((none.len(), asked), (0, full));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn who_had_connected_to_a_unix_socket_is_served() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let mut clients = Vec::new();
        for _ in 0..20 {
            clients.push(UnixStream::connect(&path).await.unwrap());
        }
        let mut served = queued_unix(listener);
        assert_eq!(served.len(), clients.len());
        assert!(UnixStream::connect(&path).await.is_err());
        for (client, stream) in clients.iter_mut().zip(&mut served) {
            stream.write_all(b"x").await.unwrap();
            assert_eq!(client.read_u8().await.unwrap(), b'x');
        }
    }
}
