//! Checks 19 and 20: how others are received.

use crate::{
    facts::{
        listener::Listener,
        probe::{Reply, Seen, Trouble},
    },
    outcome::Outcome,
};

/// Check 19: TLS as others speak it.
pub(crate) fn protocols(listener: &Listener) -> Outcome {
    let via = &listener.via;
    let seen = match &listener.plain {
        Ok(seen) => seen,
        Err(Trouble::Tcp(reason)) => return Outcome::skip(format!("nothing listens at {via}: {reason}")),
        Err(Trouble::Tls(reason)) => {
            return Outcome::fail(format!("{via} does not complete a TLS handshake: {reason}"));
        }
        Err(Trouble::Refused { reason, .. }) => {
            return Outcome::skip(format!("{via} ends the handshake, so that HTTP/2 was not seen: {reason}"));
        }
    };
    match (spoken(&listener.wire12), spoken(&listener.only13)) {
        (Err(old), Err(new)) => {
            Outcome::fail(format!("{via} speaks neither TLS 1.2 with Wire's suites ({old}) nor TLS 1.3 ({new})."))
        }
        _ if seen.alpn.as_deref() != Some("h2") => {
            Outcome::fail(format!("ALPN h2 not negotiated at {via}; federators speak HTTP/2 only."))
                .remedy("Switch HTTP/2 on at the ingress (nginx: `http2 on`), or pass TLS through to Ferrule.")
        }
        (Err(reason), Ok(_)) => Outcome::warn(format!(
            "{via} does not speak TLS 1.2 with ECDHE-*-AES256-GCM-SHA384 ({reason}): federators built on hs-tls cannot \
             call it."
        )),
        (Ok(_), Err(reason)) => Outcome::warn(format!("{via} does not speak TLS 1.3 ({reason}).")),
        (Ok(_), Ok(_)) => Outcome::pass(format!("{via} speaks TLS 1.2 with Wire's suites, TLS 1.3 and HTTP/2")),
    }
}

/// A version is spoken where the server shows a certificate, whatever it thinks of ours.
fn spoken(tried: &Result<Seen, Trouble>) -> Result<(), &Trouble> {
    match tried {
        Ok(_) | Err(Trouble::Refused { .. }) => Ok(()),
        Err(trouble) => Err(trouble),
    }
}

/// Check 20: nobody gets in without a certificate.
pub(crate) fn demands_certificate(listener: &Listener) -> Outcome {
    let via = &listener.via;
    match &listener.without_certificate {
        Err(Trouble::Tcp(reason)) => Outcome::skip(format!("nothing listens at {via}: {reason}")),
        Err(Trouble::Tls(reason) | Trouble::Refused { reason, .. }) => {
            Outcome::pass(format!("{via} ends the handshake: {reason}"))
        }
        Ok(Reply::Refused(reason) | Reply::Broken(reason)) => {
            Outcome::pass(format!("{via} ends the connection: {reason}"))
        }
        Ok(Reply::Answer { status: status @ (400 | 401 | 403 | 495 | 496), .. }) => {
            Outcome::pass(format!("{via} answers {status} to a request without a client certificate"))
        }
        Ok(Reply::Answer { status, .. }) => Outcome::fail(format!(
            "federator host answers requests without client certificate: {via} answered {status}."
        )),
        Ok(Reply::Silent(reason)) => Outcome::skip(format!("{via} did not answer: {reason}")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Verdict;

    fn listener() -> Listener {
        let seen = || Ok(Seen { chain: Vec::new(), alpn: Some("h2".into()) });
        Listener {
            via: "f.example:443".into(),
            plain: seen(),
            wire12: seen(),
            only13: seen(),
            without_certificate: Ok(Reply::Refused("it demands a certificate".into())),
            internal: crate::facts::listener::Tried {
                place: "here".into(),
                reply: Err("closed".into()),
                asked_for: false,
            },
        }
    }

    fn refused() -> Result<Seen, Trouble> {
        let seen = Seen { chain: Vec::new(), alpn: None };
        Err(Trouble::Refused { reason: "unknown_ca".into(), seen })
    }

    #[test]
    fn versions_of_every_kind() {
        let (good, tls) = (listener(), || Err(Trouble::Tls("protocol_version".into())));
        let tcp = || Err(Trouble::Tcp("refused".into()));
        let http1 = || Ok(Seen { chain: Vec::new(), alpn: Some("http/1.1".into()) });
        for (listener, verdict, told) in [
            (good.clone(), Verdict::Pass, "TLS 1.2 with Wire's suites, TLS 1.3 and HTTP/2"),
            (Listener { wire12: tls(), ..good.clone() }, Verdict::Warn, "hs-tls cannot call it"),
            (Listener { only13: tls(), ..good.clone() }, Verdict::Warn, "does not speak TLS 1.3"),
            (Listener { wire12: tls(), only13: tls(), ..good.clone() }, Verdict::Fail, "neither"),
            (Listener { wire12: refused(), only13: refused(), ..good.clone() }, Verdict::Pass, ""),
            (Listener { plain: http1(), ..good.clone() }, Verdict::Fail, "ALPN h2 not negotiated"),
            (Listener { plain: tls(), ..good.clone() }, Verdict::Fail, "does not complete a TLS handshake"),
            (Listener { plain: refused(), ..good.clone() }, Verdict::Skip, "ends the handshake"),
            (Listener { plain: tcp(), ..good }, Verdict::Skip, "nothing listens"),
        ] {
            let outcome = protocols(&listener);
            assert_eq!(outcome.verdict, verdict, "{outcome:?}");
            assert!(outcome.evidence.contains(told), "{told}: {outcome:?}");
        }
    }

    #[test]
    fn callers_without_certificate() {
        let answer = |status| Ok(crate::facts::probe::answer(status, Default::default(), Duration::ZERO));
        for (reply, verdict) in [
            (answer(400), Verdict::Pass),
            (answer(403), Verdict::Pass),
            (answer(496), Verdict::Pass),
            (answer(200), Verdict::Fail),
            (answer(404), Verdict::Fail),
            (answer(500), Verdict::Fail),
            (Ok(Reply::Refused("certificate_required".into())), Verdict::Pass),
            (Ok(Reply::Broken("reset".into())), Verdict::Pass),
            (Ok(Reply::Silent("no answer".into())), Verdict::Skip),
            (refused().map(|_| Reply::Silent(String::new())), Verdict::Pass),
            (Err(Trouble::Tls("handshake_failure".into())), Verdict::Pass),
            (Err(Trouble::Tcp("refused".into())), Verdict::Skip),
        ] {
            let outcome = demands_certificate(&Listener { without_certificate: reply, ..listener() });
            assert_eq!(outcome.verdict, verdict, "{outcome:?}");
        }
    }
}
