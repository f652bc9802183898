//! HTTP/2 frames made by hand (RFC 9113 §4, §6), for what no client library would send.

use tokio::io::{AsyncRead, AsyncReadExt};

/// What a client sends first, before its first frame.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The frame types that are used here (RFC 9113 §6).
pub mod kind {
    /// A part of a body.
    pub const DATA: u8 = 0;
    /// The beginning of a request or an answer.
    pub const HEADERS: u8 = 1;
    /// The end of a stream by force.
    pub const RST_STREAM: u8 = 3;
    /// The settings of a connection.
    pub const SETTINGS: u8 = 4;
    /// A sign of life.
    pub const PING: u8 = 6;
    /// The end of a connection.
    pub const GOAWAY: u8 = 7;
    /// More headers.
    pub const CONTINUATION: u8 = 9;
}

/// `END_STREAM`, and `ACK` of settings and pings.
pub const END_STREAM: u8 = 0x1;
/// `END_HEADERS`.
pub const END_HEADERS: u8 = 0x4;

/// A frame.
///
/// # Panics
/// The payload is longer than a frame can be.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).ok().filter(|length| *length < 1 << 24).expect("at most 2^24-1 bytes");
    let mut frame = Vec::with_capacity(9 + payload.len());
    frame.extend_from_slice(&length.to_be_bytes()[1..]);
    frame.push(kind);
    frame.push(flags);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// The preface and empty settings: the least that opens a connection.
pub fn opening() -> Vec<u8> {
    [PREFACE, &frame(kind::SETTINGS, 0, 0, &[])].concat()
}

/// The head of a call to a federation endpoint, ending the stream or not.
pub fn request(stream: u32, authority: &str, path: &str, origin: &str, ends: bool) -> Vec<u8> {
    let flags = END_HEADERS | if ends { END_STREAM } else { 0 };
    frame(kind::HEADERS, flags, stream, &request_block(authority, path, origin))
}

/// The header block of such a call.
pub fn request_block(authority: &str, path: &str, origin: &str) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", authority),
        (":path", path),
        ("wire-origin-domain", origin),
    ] {
        literal(&mut block, name, value);
    }
    block
}

/// The end of a stream by force, with CANCEL.
pub fn reset(stream: u32) -> Vec<u8> {
    frame(kind::RST_STREAM, 0, stream, &8u32.to_be_bytes())
}

/// Adds a header to a block: literal, with a literal name, not indexed (RFC 7541 §6.2.2).
pub fn literal(block: &mut Vec<u8>, name: &str, value: &str) {
    block.push(0);
    for text in [name, value] {
        length(block, text.len());
        block.extend_from_slice(text.as_bytes());
    }
}

/// RFC 7541 §5.1 with a prefix of seven bits, and without Huffman coding.
fn length(block: &mut Vec<u8>, length: usize) {
    let Some(mut rest) = length.checked_sub(127) else {
        block.push(u8::try_from(length).unwrap_or(u8::MAX));
        return;
    };
    block.push(127);
    while rest >= 128 {
        block.push(u8::try_from(rest % 128).unwrap_or(0) | 128);
        rest /= 128;
    }
    block.push(u8::try_from(rest).unwrap_or(0));
}

/// The head of a received frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream.
    pub stream: u32,
    /// The length of its payload.
    pub length: usize,
}

/// Reads one frame and its payload; `None` at the end of the connection, orderly or not.
pub async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> Option<(Received, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let number = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await.ok()?;
    Some((Received { kind: head[3], flags: head[4], stream: number, length }, payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_coded_as_the_standard_shows() {
        let coded = |n| {
            let mut block = Vec::new();
            length(&mut block, n);
            block
        };
        assert_eq!(coded(10), [10]);
        assert_eq!(coded(126), [126]);
        assert_eq!(coded(127), [127, 0]);
        assert_eq!(coded(127 + 128), [127, 128, 1]);
        assert_eq!(coded(1337), [127, 186, 9]);
    }

    #[tokio::test]
    async fn a_frame_can_be_read_back() {
        let bytes = frame(kind::GOAWAY, 3, 7, b"abc");
        let (head, payload) = receive(&mut bytes.as_slice()).await.unwrap();
        assert_eq!(head, Received { kind: kind::GOAWAY, flags: 3, stream: 7, length: 3 });
        assert_eq!(payload, b"abc");
        assert!(receive(&mut &bytes[..5]).await.is_none());
    }
}
