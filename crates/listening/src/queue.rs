//! Who has connected to a listener that stops.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};

/// Closes a listener, and gives those who had connected, as far as they can tell, and were not accepted yet. Who comes later
/// is refused and tries elsewhere, instead of waiting in the kernel's queue for nothing.
pub fn queued(listener: TcpListener) -> Vec<(TcpStream, SocketAddr)> {
    // The runtime may not have heard of the last of them, so the kernel itself is asked.
    let Ok(listener) = listener.into_std() else { return Vec::new() };
    // All of them before anything else is done: the moment between the last look and the end is what can be lost.
    let accepted: Vec<_> = std::iter::from_fn(|| listener.accept().ok()).collect();
    drop(listener);
    let registered = accepted.into_iter().filter_map(|(stream, peer)| {
        stream.set_nonblocking(true).ok()?;
        let stream = TcpStream::from_std(stream).ok()?;
        let _ = stream.set_nodelay(true);
        Some((stream, peer))
    });
    registered.collect()
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
}
