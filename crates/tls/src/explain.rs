//! Words for what went wrong in a handshake.

use std::io;

use rustls::{AlertDescription, CertificateError, Error};

use crate::ServerRefusal;

/// The reason of a failed handshake, for logs and for the message of a 525: our own judgement on the peer's certificate
/// where that was it, the peer's alert in words where the peer gave up, and the library's text otherwise.
pub fn explain(error: &io::Error) -> String {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => "the peer closed the connection during the handshake".to_owned(),
            _ => error.to_string(),
        };
    };
    match error {
        Error::InvalidCertificate(CertificateError::Other(other)) => match other.0.downcast_ref::<ServerRefusal>() {
            Some(refusal) => refusal.to_string(),
            None => error.to_string(),
        },
        Error::AlertReceived(alert) => format!("the peer refused: {}", alert_text(*alert)),
        other => other.to_string(),
    }
}

fn alert_text(alert: AlertDescription) -> String {
    let text = match alert {
        AlertDescription::BadCertificate => "our certificate is bad (bad_certificate)",
        AlertDescription::CertificateExpired => "our certificate has expired (certificate_expired)",
        AlertDescription::CertificateRequired => "it demands a certificate (certificate_required)",
        AlertDescription::CertificateUnknown => "our certificate was not accepted (certificate_unknown)",
        AlertDescription::HandshakeFailure => "no common algorithms, or no acceptable certificate (handshake_failure)",
        AlertDescription::NoApplicationProtocol => "it does not speak HTTP/2 (no_application_protocol)",
        AlertDescription::ProtocolVersion => "no common TLS version (protocol_version)",
        AlertDescription::UnknownCA => "it does not trust the CA of our certificate (unknown_ca)",
        AlertDescription::UnrecognisedName => "it does not know the name it was called by (unrecognized_name)",
        other => return format!("{other:?}"),
    };
    text.to_owned()
}
