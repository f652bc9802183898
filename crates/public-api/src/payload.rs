//! The bytes of a body, whole or as they come.

use std::{fmt, pin::Pin};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};

/// The body of a request after decoding and within its limit, or the body of an answer.
pub enum Payload {
    /// All of it at once.
    Full(Bytes),
    /// Piece by piece.
    Stream(Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>> + Send>>),
}

/// Why a body ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// The connection broke.
    #[error("the body ended early")]
    Aborted,
    /// Too much is held of all bodies together.
    #[error("too many bodies are being read")]
    Busy,
    /// The declared content encoding is not the real one.
    #[error("the body could not be decompressed")]
    Encoding,
    /// Nothing came for too long.
    #[error("the body stopped coming")]
    Silent,
    /// It came, but took too long in all.
    #[error("the body took too long")]
    Slow,
    /// Longer than the endpoint allows.
    #[error("the body is too long")]
    TooLarge,
}

impl Payload {
    /// The whole body. Its length is bounded by whoever made the payload.
    ///
    /// # Errors
    /// What ended the stream early.
    pub async fn bytes(self) -> Result<Bytes, PayloadError> {
        let mut stream = match self {
            Self::Full(bytes) => return Ok(bytes),
            Self::Stream(stream) => stream,
        };
        let mut whole = BytesMut::new();
        while let Some(piece) = stream.next().await {
            whole.extend_from_slice(&piece?);
        }
        Ok(whole.freeze())
    }
}

impl Default for Payload {
    fn default() -> Self {
        Self::Full(Bytes::new())
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(bytes) => write!(f, "Full({} bytes)", bytes.len()),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}
