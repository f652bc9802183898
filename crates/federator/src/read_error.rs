//! Reading the errors of others.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::time::timeout;

/// As much of an error's body as comes within so many bytes and that time; what came until then counts.
pub(crate) async fn within<B>(mut body: B, bytes: usize, time: Duration) -> Bytes
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let mut read = BytesMut::new();
    let collect = async {
        while read.len() < bytes && !body.is_end_stream() {
            let Some(Ok(frame)) = body.frame().await else { break };
            if let Ok(data) = frame.into_data() {
                let room = bytes - read.len();
                read.extend_from_slice(&data[..data.len().min(room)]);
            }
        }
    };
    let _ = timeout(time, collect).await;
    read.freeze()
}

/// An error as Wire's processes write it, if it is one.
pub(crate) fn parse(body: &[u8]) -> Option<Value> {
    let is_error = |value: &Value| value["code"].is_u64() && value["label"].is_string() && value["message"].is_string();
    serde_json::from_slice(body).ok().filter(is_error)
}
