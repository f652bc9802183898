//! The body of a request.

use std::future::Future;

use serde_json::Value;

use crate::{Failure, Json, Payload, PayloadError, Schemas, Shape, error::common};

/// What a body looks like, for the documents.
#[derive(Clone, Debug, PartialEq)]
pub struct BodyInfo {
    /// Its media type.
    pub content_type: &'static str,
    /// Its schema.
    pub schema: Value,
}

/// The body of a request.
pub trait RequestBody: 'static {
    /// What a handler gets.
    type Value: Send + 'static;

    /// Whether a body is read at all.
    const PRESENT: bool = true;

    /// Its media type, if only one is read. A body that names another is answered with 415.
    const CONTENT_TYPE: Option<&'static str> = None;

    /// Reads it. The payload is decompressed and never longer than the endpoint allows.
    ///
    /// # Errors
    /// 400 `bad-request` if it is not what it should be, 413 if it is too long.
    fn read(payload: Payload) -> impl Future<Output = Result<Self::Value, Failure>> + Send;

    /// What it looks like; `None` if there is none.
    fn info(schemas: &mut Schemas) -> Option<BodyInfo>;
}

/// No body. One that is sent all the same is ignored.
#[derive(Clone, Copy, Debug)]
pub struct NoBody;

impl RequestBody for NoBody {
    type Value = ();
    const PRESENT: bool = false;

    async fn read(_: Payload) -> Result<(), Failure> {
        Ok(())
    }

    fn info(_: &mut Schemas) -> Option<BodyInfo> {
        None
    }
}

impl<T: Shape + Send + 'static> RequestBody for Json<T> {
    type Value = T;
    const CONTENT_TYPE: Option<&'static str> = Some("application/json");

    async fn read(payload: Payload) -> Result<T, Failure> {
        let bytes = payload.bytes().await.map_err(PayloadError::failure)?;
        parse_json(&bytes)
    }

    fn info(schemas: &mut Schemas) -> Option<BodyInfo> {
        Some(BodyInfo { content_type: "application/json", schema: T::schema(schemas) })
    }
}

/// Reads JSON; what is wrong is said with the place where it is: `Error in $.password: outside range [6, 1024]`.
///
/// # Errors
/// 400 `bad-request`.
pub fn parse_json<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let place = match path.as_str() {
            "." | "" | "?" => "$".to_owned(),
            path if path.starts_with('[') => format!("${path}"),
            path => format!("$.{path}"),
        };
        common::BAD_REQUEST.because(format!("Error in {place}: {}", reason(error.inner())))
    })?;
    reader.end().map_err(|error| common::BAD_REQUEST.because(format!("Error in $: {error}")))?;
    Ok(value)
}

impl PayloadError {
    /// What a client is told.
    pub fn failure(self) -> Failure {
        match self {
            Self::Busy => common::SERVICE_UNAVAILABLE.failure().retry_after(1),
            Self::Silent | Self::Slow => common::REQUEST_TIMEOUT.failure(),
            Self::TooLarge => common::BODY_TOO_LARGE.failure(),
            Self::Aborted | Self::Encoding => common::BAD_REQUEST.because(self.to_string()),
        }
    }
}

/// What is wrong, without line and column where the path says the place already.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((reason, _)) if error.is_data() => reason.to_owned(),
        _ => text,
    }
}
