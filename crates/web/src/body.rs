//! The body of a request on its way in: within its limit and that of all bodies, decompressed, and never slow.

use std::{
    io::{self, Write},
    pin::Pin,
    time::Duration,
};

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, header};
use public_api::{Failure, Payload, PayloadError, error::common};

use tokio::time::{Instant, timeout, timeout_at};

use crate::{limits, memory::Share};

/// How long a body may take.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    /// Without a byte.
    pub(crate) silence: Duration,
    /// In all.
    pub(crate) total: Duration,
    /// Waiting for room.
    pub(crate) room: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { silence: limits::BODY_SILENCE, total: limits::BODY_TOTAL, room: limits::BODY_ROOM }
    }
}

/// Prepares a body of at most `max` bytes, after decompression. What it takes is added to `share`.
///
/// # Errors
/// 413 if it is declared longer, 415 if it has an encoding that is not understood.
pub(crate) fn payload(
    headers: &HeaderMap,
    body: Body,
    max: usize,
    share: Share,
    pace: Pace,
) -> Result<Payload, Failure> {
    let gzip = is_gzip(headers)?;
    let wire_max = if gzip { max.saturating_add(limits::GZIP_OVERHEAD) } else { max };
    if declared_length(headers).is_some_and(|length| length > wire_max as u64) {
        return Err(common::BODY_TOO_LARGE.failure());
    }
    let state = State {
        input: body.into_data_stream(),
        wire_left: wire_max,
        decoder: gzip.then(|| Box::new(MultiGzDecoder::new(Bounded { out: Vec::new(), left: max, full: false }))),
        done: false,
        silence: pace.silence,
        deadline: Instant::now() + pace.total,
        patience: pace.room,
        share,
    };
    Ok(Payload::Stream(Box::pin(stream::try_unfold(state, State::next)) as Pin<Box<_>>))
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Failure> {
    let Some(encoding) = headers.get(header::CONTENT_ENCODING) else { return Ok(false) };
    match encoding.to_str().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(false),
        "gzip" | "x-gzip" => Ok(true),
        _ => Err(common::UNSUPPORTED_ENCODING.failure()),
    }
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

struct State {
    input: BodyDataStream,
    wire_left: usize,
    decoder: Option<Box<MultiGzDecoder<Bounded>>>,
    done: bool,
    silence: Duration,
    deadline: Instant,
    patience: Duration,
    share: Share,
}

impl State {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, PayloadError> {
        while !self.done {
            let piece = timeout_at(self.deadline, timeout(self.silence, self.input.next())).await;
            let piece = match piece.map_err(|_| PayloadError::Slow)?.map_err(|_| PayloadError::Silent)? {
                None => {
                    self.done = true;
                    self.finish()?
                }
                Some(piece) => self.take(piece.map_err(|_| PayloadError::Aborted)?)?,
            };
            if !self.share.grow(piece.len(), &mut self.patience).await {
                return Err(PayloadError::Busy);
            }
            if !piece.is_empty() {
                return Ok(Some((piece, self)));
            }
        }
        Ok(None)
    }

    fn take(&mut self, piece: Bytes) -> Result<Bytes, PayloadError> {
        self.wire_left = self.wire_left.checked_sub(piece.len()).ok_or(PayloadError::TooLarge)?;
        let Some(decoder) = &mut self.decoder else { return Ok(piece) };
        let written = decoder.write_all(&piece);
        drain(decoder, written)
    }

    fn finish(&mut self) -> Result<Bytes, PayloadError> {
        let Some(decoder) = &mut self.decoder else { return Ok(Bytes::new()) };
        let finished = decoder.try_finish();
        drain(decoder, finished)
    }
}

fn drain(decoder: &mut MultiGzDecoder<Bounded>, result: io::Result<()>) -> Result<Bytes, PayloadError> {
    let sink = decoder.get_mut();
    match result {
        _ if sink.full => Err(PayloadError::TooLarge),
        Err(_) => Err(PayloadError::Encoding),
        Ok(()) => Ok(Bytes::from(std::mem::take(&mut sink.out))),
    }
}

/// Takes what is decompressed and refuses more than the limit, so that a small body cannot become a large one.
struct Bounded {
    out: Vec<u8>,
    left: usize,
    full: bool,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(left) = self.left.checked_sub(bytes.len()) else {
            self.full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        };
        self.left = left;
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;

    use super::*;
    use crate::memory::Memory;

    fn prepare(headers: &HeaderMap, body: Body, max: usize) -> Result<Payload, Failure> {
        payload(headers, body, max, Memory::default().share(None), Pace::default())
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    async fn read(encoding: &str, pieces: Vec<Vec<u8>>, max: usize) -> Result<Vec<u8>, PayloadError> {
        let headers = HeaderMap::from_iter([(header::CONTENT_ENCODING, encoding.parse().unwrap())]);
        let stream = stream::iter(pieces.into_iter().map(|piece| Ok::<_, io::Error>(Bytes::from(piece))));
        let payload = prepare(&headers, Body::from_stream(stream), max).unwrap();
        payload.bytes().await.map(|bytes| bytes.to_vec())
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit() {
        let bomb = gzip(&vec![0; 64 << 20]);
        assert!(bomb.len() < 70_000);
        assert_eq!(run(read("gzip", vec![bomb], 100_000)), Err(PayloadError::TooLarge));
    }

    #[test]
    fn what_is_not_gzip_is_refused() {
        assert_eq!(run(read("gzip", vec![b"{}".to_vec()], 100)), Err(PayloadError::Encoding));
        let mut cut = gzip(b"0123456789");
        cut.truncate(cut.len() - 3);
        assert_eq!(run(read("gzip", vec![cut], 100)), Err(PayloadError::Encoding));
        let headers = HeaderMap::from_iter([(header::CONTENT_ENCODING, "br".parse().unwrap())]);
        assert_eq!(prepare(&headers, Body::empty(), 10).unwrap_err().entry, &common::UNSUPPORTED_ENCODING);
    }

    #[test]
    fn a_declared_length_beyond_the_limit_is_refused_unread() {
        let headers = HeaderMap::from_iter([(header::CONTENT_LENGTH, "11".parse().unwrap())]);
        assert_eq!(prepare(&headers, Body::empty(), 10).unwrap_err().entry, &common::BODY_TOO_LARGE);
        assert!(prepare(&headers, Body::empty(), 11).is_ok());
    }

    #[test]
    fn silence_ends_a_body() {
        let silent = Body::from_stream(stream::pending::<io::Result<Bytes>>());
        let pace = Pace { silence: Duration::from_millis(5), ..Pace::default() };
        let payload = payload(&HeaderMap::new(), silent, 10, Memory::default().share(None), pace).unwrap();
        assert_eq!(run(payload.bytes()), Err(PayloadError::Silent));
    }

    #[test]
    fn trickling_does_not_go_on_for_ever() {
        let trickle = stream::repeat(()).then(async |()| {
            tokio::task::yield_now().await;
            Ok::<_, io::Error>(Bytes::from_static(b" "))
        });
        let pace = Pace { total: Duration::from_millis(5), ..Pace::default() };
        let body = Body::from_stream(Box::pin(trickle));
        let payload =
            payload(&HeaderMap::new(), body, usize::MAX, Memory::of(usize::MAX, usize::MAX).share(None), pace).unwrap();
        let ended = run(async { timeout(Duration::from_secs(20), payload.bytes()).await });
        assert_eq!(ended.expect("it ends"), Err(PayloadError::Slow));
    }

    #[test]
    fn all_bodies_together_have_a_bound() {
        let memory = Memory::of(100, 100);
        let zipped = HeaderMap::from_iter([(header::CONTENT_ENCODING, "gzip".parse().unwrap())]);
        let read = |headers: &HeaderMap, body: Vec<u8>| {
            let share = memory.share(None);
            let pace = Pace { room: Duration::from_millis(1), ..Pace::default() };
            let payload = payload(headers, Body::from(body), 1_000, share.clone(), pace).unwrap();
            run(payload.bytes()).map(|_| share)
        };
        let plain = HeaderMap::new();
        let first = read(&plain, vec![b' '; 60]).unwrap();
        assert_eq!(read(&plain, vec![b' '; 41]).err(), Some(PayloadError::Busy));
        assert_eq!(read(&zipped, gzip(&[b' '; 41])).err(), Some(PayloadError::Busy), "it counts unpacked");
        let second = read(&zipped, gzip(&[b' '; 40])).unwrap();
        drop(first);
        assert!(read(&plain, vec![b' '; 60]).is_ok());
        drop(second);
        assert!(read(&plain, vec![b' '; 100]).is_ok());
        let told = PayloadError::Busy.failure().to_response();
        assert_eq!((told.status().as_u16(), told.headers().contains_key(header::RETRY_AFTER)), (503, true));
        assert_eq!(PayloadError::Slow.failure().entry, &common::REQUEST_TIMEOUT);
    }

    proptest! {
        #[test]
        fn gzip_in_any_pieces_is_what_it_was(text in prop::collection::vec(any::<u8>(), 0..5_000), size in 1_usize..500) {
            let packed = gzip(&text);
            let pieces: Vec<Vec<u8>> = packed.chunks(size).map(<[u8]>::to_vec).collect();
            prop_assert_eq!(run(read("gzip", pieces, 5_000)), Ok(text));
        }

        #[test]
        fn a_body_is_whole_or_refused(text in prop::collection::vec(any::<u8>(), 0..200), max in 0_usize..200) {
            let expected = if text.len() <= max { Ok(text.clone()) } else { Err(PayloadError::TooLarge) };
            prop_assert_eq!(run(read("identity", vec![text.clone()], max)), expected.clone());
            prop_assert_eq!(run(read("gzip", vec![gzip(&text)], max)), expected);
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = run(read("gzip", vec![bytes], 1_000));
        }
    }
}
