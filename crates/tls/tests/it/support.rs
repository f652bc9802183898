//! A fixed moment and certificates around it.

use std::time::Duration;

use rustls_pki_types::CertificateDer;
use tls::{
    Roots,
    issue::{Authority, AuthorityRequest, Issued, LeafRequest, Validity},
};
use types::{Clock, SystemClock, Timestamp};

const DAY: Duration = Duration::from_secs(86_400);

/// The real present: handshakes ask the operating system for it.
pub fn now() -> Timestamp {
    SystemClock.now()
}

pub fn valid() -> Validity {
    Validity { from: now() - DAY, to: now() + DAY }
}

pub fn past() -> Validity {
    Validity { from: now() - DAY * 3, to: now() - DAY }
}

pub fn future() -> Validity {
    Validity { from: now() + DAY, to: now() + DAY * 3 }
}

pub fn root(name: &str) -> Authority {
    Authority::root(&AuthorityRequest::new(name, valid())).unwrap()
}

pub fn under(authority: &Authority, name: &str) -> Authority {
    authority.intermediate(&AuthorityRequest::new(name, valid())).unwrap()
}

pub fn leaf(name: &str) -> LeafRequest {
    LeafRequest::new(name, valid())
}

pub fn roots(of: &[&Authority]) -> Roots {
    let text: String = of.iter().map(|authority| authority.certificate_pem()).collect();
    Roots::from_pem("test", text.as_bytes()).unwrap()
}

/// The contents of a PKCS#8 key: PKCS#1 for RSA, SEC1 for ECDSA.
pub fn unwrapped(issued: &Issued) -> Vec<u8> {
    let der = issued.key_der().unwrap();
    let mut rest = contents(der.secret_pkcs8_der()).1;
    // version, algorithm
    for _ in 0..2 {
        rest = contents(rest).2;
    }
    contents(rest).1.to_vec()
}

/// Tag, contents and what follows of a DER element.
fn contents(der: &[u8]) -> (u8, &[u8], &[u8]) {
    let (length, header) = match der[1] {
        short @ 0..=0x7f => (usize::from(short), 2),
        long => {
            let bytes = usize::from(long & 0x7f);
            (der[2..2 + bytes].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), 2 + bytes)
        }
    };
    (der[0], &der[header..header + length], &der[header + length..])
}

pub fn pem(kind: &str, der: &[u8]) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", STANDARD.encode(der))
}

pub fn chain_of(issued: &Issued) -> Vec<CertificateDer<'static>> {
    issued.chain().to_vec()
}
