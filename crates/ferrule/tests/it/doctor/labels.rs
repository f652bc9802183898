//! What a partner's federator answers, label by label (`federation.md` §5), and what is made of it.

use serde_json::json;
use testkit::peer::Reply;

use super::patient::Patient;
use crate::support::run;

#[test]
fn errors_in_answer_to_the_first_question() {
    run(async {
        let patient = Patient::new().await;
        let unknown = "what answers at POST /federation/brig/api-version";
        let brig = "to look at its brig";
        let before = patient.answers.calls_of("get-user-by-handle").len();
        for (status, label, id, remedy) in [
            (400, "federation-denied", 27, "to allow patient.example (federationStrategy.allowedDomains"),
            (400, "authentication-failure", 23, "ask them to add CN=Test root to tlsClientCA"),
            (
                403,
                "no-client-certificate",
                23,
                "to let its ingress pass the client certificate on in X-SSL-Certificate",
            ),
            (
                403,
                "certificate-parse-error",
                23,
                "to let its ingress pass the client certificate on in X-SSL-Certificate",
            ),
            (403, "authentication-failure", 28, "Make the SRV record's target and a subject alternative name"),
            (422, "invalid-domain", 28, "its name server does not find it"),
            (400, "discovery-failure", 28, "its name server does not find it"),
            (403, "domain-parse-error", 28, "whether a proxy of theirs takes the header Wire-Origin-Domain away"),
            (403, "no-origin-domain", 28, "whether a proxy of theirs takes the header Wire-Origin-Domain away"),
            (403, "invalid-endpoint", 29, unknown),
            (403, "unknown-component", 29, unknown),
            (404, "no-endpoint", 29, unknown),
            (400, "bad-request", 29, unknown),
            (400, "federation-not-enabled", 29, "to switch federation on"),
            (500, "server-error", 29, brig),
            (500, "federation-not-available", 29, brig),
            (521, "federation-connection-refused", 29, brig),
            (525, "federation-tls-error", 29, brig),
            (533, "federation-remote-error", 29, brig),
            (533, "federation-version-error", 29, brig),
            (503, "service-unavailable", 29, "it is overloaded"),
        ] {
            patient.partner_answers("api-version", Reply::error(status, label, "as it is"));
            let examined = patient.examined(&[]);
            match id {
                23 => examined.fails(23, label, remedy).leaves_out(&[27, 28, 29, 30], 23),
                27 => examined.fails(27, label, remedy).leaves_out(&[28, 29, 30], 27),
                28 => examined.fails(28, label, remedy).leaves_out(&[29, 30], 28),
                _ => examined.fails(29, label, remedy).leaves_out(&[30], 29),
            };
            assert_eq!(patient.answers.calls_of("get-user-by-handle").len(), before, "{label}: nothing more is asked");
        }
    });
}

#[test]
fn answers_of_something_that_is_no_federator() {
    run(async {
        let patient = Patient::new().await;
        let unknown = "what answers at POST /federation/brig/api-version";
        for (reply, told, remedy) in [
            (Reply::status(404, "text/plain", ""), "failed: 404", unknown),
            (Reply::status(400, "text/plain", "Bad Request"), "failed: 400 Bad Request", unknown),
            (Reply::status(502, "text/html", "<html>502 Bad Gateway</html>"), "failed: 502", "to look at its brig"),
            (Reply::status(200, "text/html", "Welcome!"), "no list of versions: Welcome!", unknown),
            (Reply::json(&json!({"supported_versions": "all"})), "no list of versions", unknown),
        ] {
            patient.partner_answers("api-version", reply);
            patient.examined(&[]).fails(29, told, remedy).leaves_out(&[30], 29);
        }
        for reply in [Reply::Reset, Reply::Never] {
            patient.partner_answers("api-version", reply);
            patient.examined(&[]).fails(23, "broke the connection off", "Look at proxies and firewalls on the way");
        }
    });
}

#[test]
fn no_common_version() {
    run(async {
        let patient = Patient::new().await;
        for versions in [json!([97, 98]), json!([])] {
            patient
                .partner_answers("api-version", Reply::json(&json!({"supported_versions": versions, "supported": []})));
            let remedy = "Bring the older of the two backends up to date";
            patient.examined(&[]).fails(29, "No common federation API version", remedy).leaves_out(&[30], 29);
        }
    });
}

#[test]
fn errors_in_answer_to_a_call() {
    run(async {
        let patient = Patient::new().await;
        let remedy = "Look into its operator's logs for our request at this time";
        for (status, label) in [
            (400, "bad-request"),
            (403, "invalid-endpoint"),
            (404, "no-endpoint"),
            (422, "federation-not-implemented"),
            (500, "server-error"),
            (533, "federation-remote-error"),
            (533, "federation-unexpected-body"),
        ] {
            patient.partner_answers("get-user-by-handle", Reply::error(status, label, "as it is"));
            patient.examined(&[]).fails(30, &format!("failed: {status} {label}"), remedy);
        }
        patient.partner_answers("get-user-by-handle", Reply::status(404, "text/plain", ""));
        patient.examined(&[]).fails(30, "failed: 404 without label", remedy);
        patient.partner_answers("get-user-by-handle", Reply::Reset);
        patient.examined(&[]).fails(30, "failed: ", remedy);
        // Whoever changes his mind in between is believed the second time.
        patient.partner_answers("get-user-by-handle", Reply::error(400, "federation-denied", "not any more"));
        patient.examined(&[]).fails(27, "federation-denied", "to allow patient.example");
    });
}

#[test]
fn what_is_asked_is_what_a_federator_asks() {
    run(async {
        let patient = Patient::new().await;
        let versions = patient.answers.received("api-version").await.unwrap();
        let call = patient.answers.received("get-user-by-handle").await.unwrap();
        for request in [&versions, &call] {
            assert_eq!(
                (request.method.as_str(), request.header("wire-origin-domain")),
                ("POST", "patient.example".into())
            );
            assert_eq!(request.names, [patient.infra().to_string()], "with our certificate");
            assert!(!request.header("wire-origin-request-id").is_empty());
        }
        assert_eq!((versions.path.as_str(), versions.json()), ("/federation/brig/api-version", json!([])));
        assert_eq!(
            (call.path.as_str(), call.header("x-wire-api-version").as_str()),
            ("/federation/brig/get-user-by-handle", "3")
        );
        assert!(call.json().as_str().unwrap().parse::<types::Handle>().is_ok(), "a handle that nobody has");
        // A secret is nowhere.
        let key = std::fs::read_to_string(patient.folder.path("federation-key.pem")).unwrap();
        let report = patient.examined(&[]).report().to_string();
        for line in key.lines().filter(|line| line.len() > 20 && !line.starts_with("--")) {
            assert!(!report.contains(line));
        }
    });
}
