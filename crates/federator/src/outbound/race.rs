//! Connecting to the first address that answers (RFC 8305 §5).

use std::{io, net::SocketAddr, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout_at},
};

/// How long connecting may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// One address.
    pub(super) each: Duration,
    /// The lead of an address before the next is tried beside it.
    pub(super) stagger: Duration,
    /// The end for all.
    pub(super) until: Instant,
}

/// Connects to the first of the addresses that accepts. They are tried in their order, each with a lead before the next;
/// one that fails hands over at once. Those that lose are dropped.
///
/// # Errors
/// The last failure, in words, when all have failed.
pub(super) async fn connect(addresses: &[SocketAddr], pace: Pace) -> Result<(TcpStream, SocketAddr), String> {
    let mut waiting = addresses.iter();
    let mut running = FuturesUnordered::new();
    let mut last = "there is no address".to_owned();
    loop {
        let next = waiting.next().copied();
        if let Some(address) = next {
            running.push(async move { (connect_one(address, pace).await, address) });
        }
        tokio::select! {
            Some((result, address)) = running.next() => match result {
                Ok(stream) => return Ok((stream, address)),
                Err(error) => last = format!("{address}: {error}"),
            },
            () = sleep(pace.stagger), if waiting.len() > 0 => {}
            else => return Err(last),
        }
    }
}

async fn connect_one(address: SocketAddr, pace: Pace) -> io::Result<TcpStream> {
    let end = pace.until.min(Instant::now() + pace.each);
    match timeout_at(end, TcpStream::connect(address)).await {
        Ok(connected) => {
            let stream = connected?;
            stream.set_nodelay(true)?;
            Ok(stream)
        }
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no connection in time")),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn pace() -> Pace {
        let each = Duration::from_secs(5);
        Pace { each, stagger: Duration::from_secs(5), until: Instant::now() + each }
    }

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// An address where nobody listens: it is bound, so that nobody else takes it, but does not accept.
    fn dead() -> (socket2::Socket, SocketAddr) {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        (socket, address)
    }

    #[tokio::test]
    async fn a_refusal_hands_over_at_once() {
        let ((_listener, alive), (_socket, dead)) = (listener().await, dead());
        let started = Instant::now();
        let (_, address) = connect(&[dead, alive], pace()).await.unwrap();
        assert_eq!(address, alive);
        assert!(started.elapsed() < Duration::from_secs(2), "without waiting for the stagger");
    }

    #[tokio::test]
    async fn the_first_address_wins_if_it_answers() {
        let ((_a, first), (_b, second)) = (listener().await, listener().await);
        assert_eq!(connect(&[first, second], pace()).await.unwrap().1, first);
    }

    #[tokio::test]
    async fn silence_does_not_hold_up_the_next() {
        // Nothing in 192.0.2.0/24 answers (RFC 5737); whether the network drops or refuses, the next one is tried.
        let (_listener, alive) = listener().await;
        let pace = Pace { stagger: Duration::from_millis(20), ..pace() };
        assert_eq!(connect(&["192.0.2.1:1".parse().unwrap(), alive], pace).await.unwrap().1, alive);
    }

    #[tokio::test]
    async fn when_all_fail_the_last_failure_is_told() {
        let ((_s, one), (_t, two)) = (dead(), dead());
        let error = connect(&[one, two], pace()).await.unwrap_err();
        assert!(error.starts_with(&two.to_string()), "{error}");
        assert!(connect(&[], pace()).await.is_err());
    }
}
