//! `X-SSL-Certificate`: the leaf of the peer, as a proxy passes it on (`federation.md` §1.2).

use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderMap;
use rustls_pki_types::CertificateDer;

use crate::{header, trust::Leaf};

/// Why there is no certificate in the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateHeaderError {
    /// There is no header.
    #[error("the header X-SSL-Certificate is missing")]
    Missing,
    /// There is more than one.
    #[error("the header X-SSL-Certificate is there more than once")]
    Repeated,
    /// It is longer than a certificate needs.
    #[error("the header X-SSL-Certificate is too long")]
    TooLong,
    /// `%` without two hexadecimal digits, or bytes that are no text.
    #[error("the header X-SSL-Certificate is not percent-encoded text")]
    Encoding,
    /// There is no block of PEM, or something beside it.
    #[error("no certificate found in X-SSL-Certificate")]
    NoCertificate,
    /// There is more than one block of PEM.
    #[error("more than one certificate found in X-SSL-Certificate")]
    Several,
    /// What stands in the block is no certificate.
    #[error("what stands in X-SSL-Certificate is no certificate")]
    Unparsable,
}

use CertificateHeaderError as Error;

/// The leaf that the one header holds.
pub(super) fn leaf(headers: &HeaderMap, longest: usize) -> Result<Leaf, Error> {
    let mut values = headers.get_all(header::X_SSL_CERTIFICATE).iter();
    let value = values.next().ok_or(Error::Missing)?;
    if values.next().is_some() {
        return Err(Error::Repeated);
    }
    if value.len() > longest {
        return Err(Error::TooLong);
    }
    let der = der(value.as_bytes())?;
    Leaf::parse(&CertificateDer::from(der)).map_err(|_| Error::Unparsable)
}

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The DER in a value. What consists of base64 alone is HAProxy's form, and `+` is a digit of it; all else is
/// percent-encoded PEM, and `+` a blank.
fn der(value: &[u8]) -> Result<Vec<u8>, Error> {
    if value.is_empty() {
        return Err(Error::NoCertificate);
    }
    if value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte)) {
        return STANDARD.decode(value).map_err(|_| Error::Unparsable);
    }
    let text = unescaped(value)?;
    let text = text.trim_matches(WHITE);
    if text.matches("-----BEGIN ").nth(1).is_some() {
        return Err(Error::Several);
    }
    let block = text.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END)).ok_or(Error::NoCertificate)?;
    // Lines may end as they like, but a blank within one is a `+` that was not escaped.
    let digits: String = block.split(['\r', '\n']).map(|line| line.trim_end_matches([' ', '\t'])).collect();
    STANDARD.decode(digits).map_err(|_| Error::Unparsable)
}

const WHITE: [char; 4] = [' ', '\t', '\r', '\n'];

/// Undoes the percent-encoding of a form: `+` is a blank. A `%` that begins nothing is an error, as a header that is cut
/// or encoded in another way must not be guessed at.
fn unescaped(value: &[u8]) -> Result<String, Error> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(*rest.next()?).to_digit(16);
                let (high, low) = (digit(), digit());
                let number = high.zip(low).map(|(high, low)| high * 16 + low);
                number.and_then(|number| u8::try_from(number).ok()).ok_or(Error::Encoding)?
            }
            b'+' => b' ',
            other => *other,
        });
    }
    String::from_utf8(bytes).map_err(|_| Error::Encoding)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;
    use tls::issue::{Authority, AuthorityRequest, LeafRequest, Validity};
    use types::Timestamp;

    use super::*;

    /// What nginx leaves as it is.
    const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

    fn escaped(pem: &str) -> String {
        utf8_percent_encode(pem, ESCAPED).to_string()
    }

    fn pem() -> String {
        let validity = Validity::starting(Timestamp::from_micros(0), std::time::Duration::from_secs(3600));
        let authority = Authority::root(&AuthorityRequest::new("Test CA", validity)).unwrap();
        let issued = authority.issue(&LeafRequest::new("fed.b.example", validity)).unwrap();
        let chain = issued.chain_pem();
        let end = chain.find(END).unwrap() + END.len();
        format!("{}\n", &chain[..end])
    }

    fn base64(pem: &str) -> String {
        pem.lines().filter(|line| !line.starts_with('-')).collect()
    }

    fn read(values: &[&str]) -> Result<Vec<String>, Error> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::X_SSL_CERTIFICATE, HeaderValue::from_str(value).unwrap());
        }
        leaf(&headers, 32 * 1024).map(|leaf| leaf.dns_names)
    }

    #[test]
    fn the_forms_of_proxies() {
        let pem = pem();
        let name = Ok(vec!["fed.b.example".to_owned()]);
        assert_eq!(read(&[&escaped(&pem)]), name, "nginx");
        assert_eq!(read(&[&escaped(&pem).replace("%20", "+")]), name, "as a form");
        assert_eq!(read(&[&escaped(&pem.replace('\n', "\r\n"))]), name);
        assert_eq!(read(&[&escaped(pem.trim_end())]), name);
        assert_eq!(read(&[&base64(&pem)]), name, "HAProxy");
    }

    #[test]
    fn hostile_forms() {
        let pem = pem();
        let good = escaped(&pem);
        let plus = escaped(&pem).replace("%2B", "+");
        // Not amid an escape, which would be another error.
        let half = &escaped(&pem[..pem.len() / 2]);
        let other = pem.replace("CERTIFICATE", "PUBLIC KEY");
        for (what, values, expected) in [
            ("absent", &[][..], Error::Missing),
            ("twice", &[good.as_str(), &good], Error::Repeated),
            ("empty", &[""], Error::NoCertificate),
            ("blank", &["%20"], Error::NoCertificate),
            ("two blocks", &[&(good.clone() + &good)], Error::Several),
            ("a list", &[&format!("{good},{good}")], Error::Several),
            ("text before", &[&format!("x{good}")], Error::NoCertificate),
            ("text behind", &[&format!("{good}x")], Error::NoCertificate),
            ("another block", &[&escaped(&other)], Error::NoCertificate),
            ("cut", &[half], Error::NoCertificate),
            ("cut in an escape", &[&format!("{good}%0")], Error::Encoding),
            ("no escape", &[&good.replace("%0A", "%G0")], Error::Encoding),
            ("a sign", &[&good.replace("%0A", "%+A")], Error::Encoding),
            ("no text", &[&format!("{good}%FF")], Error::Encoding),
            ("escaped twice", &[&escaped(&good)], Error::NoCertificate),
            ("1 MiB", &[&"A".repeat(1 << 20)], Error::TooLong),
            ("a word", &["spoofed"], Error::Unparsable),
            ("half of the base64", &[&base64(&pem)[..200]], Error::Unparsable),
            ("more base64", &[&format!("{}AAAA", base64(&pem).trim_end_matches('='))], Error::Unparsable),
            ("spaces for lines", &[&pem.trim_end().replace('\n', " ")], Error::Unparsable),
        ] {
            assert_eq!(read(values), Err(expected), "{what}");
        }
        if plus != good {
            assert_eq!(read(&[&plus]), Err(Error::Unparsable), "`+` is a blank");
        }
    }

    proptest! {
        #[test]
        fn any_value_is_judged(bytes in prop::collection::vec(0x20u8..=0xff, 0..300)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let headers = HeaderMap::from_iter([(header::X_SSL_CERTIFICATE, value)]);
                prop_assert!(leaf(&headers, 32 * 1024).is_err());
            }
        }

        #[test]
        fn der_comes_back_from_both_forms(der in prop::collection::vec(any::<u8>(), 1..400), width in 1_usize..100) {
            let digits = STANDARD.encode(&der);
            let lines: Vec<&str> = digits.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect();
            let pem = format!("{BEGIN}\n{}\n{END}\n", lines.join("\n"));
            prop_assert_eq!(super::der(escaped(&pem).as_bytes()), Ok(der.clone()));
            prop_assert_eq!(super::der(digits.as_bytes()), Ok(der));
        }

        #[test]
        fn damaged_certificates_never_panic(at in 0_usize..1000, byte in 0x21u8..0x7f) {
            let mut value = escaped(&pem()).into_bytes();
            let at = at % value.len();
            value[at] = byte;
            let headers = HeaderMap::from_iter([(header::X_SSL_CERTIFICATE, HeaderValue::from_bytes(&value).unwrap())]);
            let _ = leaf(&headers, 32 * 1024);
        }
    }
}
