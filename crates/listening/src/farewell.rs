//! How a connection ends.

use std::time::Duration;

use public_api::error::common;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use crate::{End, Expired, Protocol, Watched};

/// Says what is left to say on a connection that ended, and ends our side: 408 where the head of a request did not come to
/// its end, and nothing else. Whether it is worth waiting for the peer to read it, by [`linger`].
pub async fn last_words<E>(
    stream: &mut (impl AsyncWrite + Unpin),
    end: &End<E>,
    watched: &Watched,
    within: Duration,
) -> bool {
    match end {
        // In HTTP/2 a head that is not whole belongs to no stream that could be answered.
        End::Expired(Expired::Head) if watched.lock().protocol() != Some(Protocol::Http2) => {
            if !matches!(timeout(within, stream.write_all(&head_timeout())).await, Ok(Ok(()))) {
                return false;
            }
        }
        End::Done(_) | End::Expired(Expired::Closing | Expired::Head | Expired::Idle) => {}
        // Who takes nothing or only gives trouble is not waited for.
        End::Expired(Expired::Abandoning | Expired::Stalled) => return false,
    }
    matches!(timeout(within, stream.shutdown()).await, Ok(Ok(())))
}

/// Ends our side and reads on for a while: a socket that is closed with bytes unread takes back what was sent last.
pub async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin, within: Duration) {
    let drained = async {
        if stream.shutdown().await.is_err() {
            return;
        }
        let mut nothing = [0; 4096];
        while matches!(stream.read(&mut nothing).await, Ok(length) if length > 0) {}
    };
    let _ = timeout(within, drained).await;
}

fn head_timeout() -> Vec<u8> {
    let failure = common::REQUEST_TIMEOUT.failure();
    let body = failure.to_json().to_string();
    let head = format!(
        "HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// What is said, and whether it is waited for.
    async fn said(end: Expired, watched: &Watched) -> (String, bool) {
        let (mut ours, mut theirs) = tokio::io::duplex(1 << 10);
        let waits = last_words(&mut ours, &End::<()>::Expired(end), watched, PATIENCE).await;
        drop(ours);
        let mut said = String::new();
        theirs.read_to_string(&mut said).await.unwrap();
        (said, waits)
    }

    #[tokio::test]
    async fn who_began_a_request_is_told_why_it_ends_and_nobody_else_is() {
        let told = |said: &str| said.starts_with("HTTP/1.1 408 ") && said.contains("\"request-timeout\"");
        for protocol in [None, Some(Protocol::Http1)] {
            let (said, waits) = said(Expired::Head, &Watched::new(protocol)).await;
            assert!(told(&said) && waits, "{protocol:?}: {said}");
        }
        // A server speaks first in HTTP/2 alone, so that it is known before there is a request.
        let spoken_to = Watched::new(None);
        spoken_to.lock().read(Instant::now());
        spoken_to.lock().wrote(Instant::now());
        for watched in [spoken_to, Watched::new(Some(Protocol::Http2))] {
            assert_eq!(said(Expired::Head, &watched).await, (String::new(), true));
        }
        let watched = Watched::new(Some(Protocol::Http1));
        for (end, waits) in
            [(Expired::Idle, true), (Expired::Closing, true), (Expired::Stalled, false), (Expired::Abandoning, false)]
        {
            assert_eq!(said(end, &watched).await, (String::new(), waits), "{end:?}");
        }
    }
}
