//! Whose certificates are believed, inward and outward (`federation.md` §2).

use std::time::Duration;

use serde_json::json;
use testkit::{
    Specimen as S,
    peer::{Caller, Reply, Shown, after_versions},
};
use tls::issue::KeyType;
use tokio::time::timeout;
use types::Domain;

use crate::support::{Target, Way, both, both_in_a_network, both_ways};

both! {
    inward_believed,
    inward_keys_of_every_kind,
    inward_refused_with_the_reason,
    inward_too_deep_chains_are_told_the_depth_that_is_needed,
    inward_names_that_do_not_match,
    a_refused_peer_reaches_nothing_over_tls12_either,
    a_refused_peer_is_told_so_and_the_connection_ends,
}

both_in_a_network! {
    s08_wildcards_and_long_lists_of_names,
}

both_ways! {
    outward_believed,
    outward_keys_of_every_kind,
    outward_refused,
    s14_localhost_with_and_without_trailing_dot,
}

async fn inward_believed(target: &Target) {
    for specimen in
        [S::Good, S::CommonNameOnly, S::ManyNames, S::Wildcard, S::WithoutUsage, S::WithoutServerAuth, S::Depth(2)]
    {
        let Some(caller) = target.caller_with(specimen) else { return };
        let answer = caller.call(target.peer.domain.as_str(), "brig", "api-version", &json!([])).await.unwrap();
        assert_eq!(answer.status, 200, "{specimen:?}: {answer}");
    }
}

const KEYS: [S; 4] =
    [S::Key(KeyType::EcdsaP256), S::Key(KeyType::EcdsaP384), S::Key(KeyType::Ed25519), S::Key(KeyType::Rsa2048)];

async fn inward_keys_of_every_kind(target: &Target) {
    for specimen in KEYS {
        let Some(caller) = target.caller_with(specimen) else { return };
        let answer = caller.call(target.peer.domain.as_str(), "brig", "api-version", &json!([])).await.unwrap();
        assert_eq!(answer.status, 200, "{specimen:?}: {answer}");
    }
}

async fn outward_keys_of_every_kind(way: &Way) {
    for specimen in KEYS {
        let (remote, _server) = way.foreign_with(specimen, after_versions(nothing_found)).await;
        let answer = way.search(&remote.domain).await;
        assert_eq!(answer.status, 200, "{specimen:?}: {answer}");
    }
}

async fn inward_refused_with_the_reason(target: &Target) {
    for (specimen, reason) in [
        (S::Expired, "expired"),
        (S::NotYetValid, "not valid before"),
        (S::SelfSigned, "self-signed"),
        (S::WrongAuthority, "a signature in the certificate chain is wrong"),
        (S::UnknownAuthority, "is not trusted"),
        (S::WithoutClientAuth, "clientAuth"),
    ] {
        let Some(caller) = target.caller_with(specimen) else { return };
        let answer = caller.call(target.peer.domain.as_str(), "brig", "api-version", &json!([])).await.unwrap();
        assert_eq!(answer.status, 400, "{specimen:?}: {answer}");
        answer.expect_error(400, "authentication-failure");
        let message = answer.message();
        assert!(message.contains(reason), "{specimen:?}: the reason is named: {answer}");
    }
    target.assert_nothing_reached();
}

async fn inward_too_deep_chains_are_told_the_depth_that_is_needed(target: &Target) {
    for depth in [3, 4] {
        let Some(caller) = target.caller_with(S::Depth(depth)) else { return };
        let answer = caller.call(target.peer.domain.as_str(), "brig", "api-version", &json!([])).await.unwrap();
        answer.expect_error(400, "authentication-failure");
        let message = answer.message();
        assert!(message.contains(&depth.to_string()) && message.contains("depth"), "{answer}");
    }
    target.assert_nothing_reached();
}

async fn inward_names_that_do_not_match(target: &Target) {
    for specimen in [S::Nameless, S::TrailingDot] {
        let Some(caller) = target.caller_with(specimen) else { return };
        let answer = caller.call(target.peer.domain.as_str(), "brig", "api-version", &json!([])).await.unwrap();
        assert_eq!(answer.status, 403, "{specimen:?}: {answer}");
        answer.expect_error(403, "authentication-failure");
    }
    target.assert_nothing_reached();
}

async fn a_refused_peer_reaches_nothing_over_tls12_either(target: &Target) {
    let versions = &[&rustls::version::TLS12];
    for shown in [Shown::Nothing, Shown::Certificate(&target.peer.certificate)] {
        let caller = Caller::speaking(target.ingress, &target.infra, &target.roots, shown, versions).unwrap();
        let answer = caller.call(target.peer.domain.as_str(), "brig", "api-version", &json!([])).await.unwrap();
        match shown {
            Shown::Nothing => drop(answer.expect_error(400, "authentication-failure")),
            _ => drop(answer.expect_status(200)),
        }
    }
}

async fn a_refused_peer_is_told_so_and_the_connection_ends(target: &Target) {
    for caller in [target.caller_showing(Shown::Nothing), target.caller_showing(Shown::Nothing).over_http1()] {
        let mut connection = caller.connect().await.unwrap();
        let request = || caller.rpc(target.peer.domain.as_str(), "brig", "api-version", &json!([]));
        connection.send(request()).await.unwrap().expect_error(400, "authentication-failure");
        // Requests that were under way when the end was announced may be answered too, in the same way.
        let rest = async {
            while let Ok(answer) = connection.send(request()).await {
                answer.expect_error(400, "authentication-failure");
            }
        };
        timeout(Duration::from_secs(5), rest).await.expect("the connection of a refused peer ends");
    }
    target.assert_nothing_reached();
}

async fn s08_wildcards_and_long_lists_of_names(target: &Target) {
    let world = target.world();
    let stranger = world.stranger("names").unwrap();
    world.publish_caller(&stranger);
    target.allow(&stranger.domain).await;
    let parent = stranger.infra.as_str().split_once('.').unwrap().1;
    for (specimen, name, status) in [
        (S::ManyNames, stranger.infra.to_string(), 200),
        (S::Wildcard, stranger.infra.to_string(), 200),
        (S::Wildcard, format!("x.{}", stranger.infra), 403),
        (S::Good, format!("x.{}", stranger.infra), 403),
        (S::Good, parent.to_owned(), 403),
        (S::Good, stranger.infra.as_str().to_uppercase(), 200),
        (S::CommonNameOnly, "elsewhere.example".to_owned(), 403),
    ] {
        let caller = target.caller_for(specimen, &name).unwrap();
        let answer = caller.call(stranger.domain.as_str(), "brig", "api-version", &json!([])).await.unwrap();
        assert_eq!(answer.status.as_u16(), status, "{specimen:?} for {name}: {answer}");
    }
}

fn nothing_found(_: &testkit::peer::Recorded) -> Reply {
    Reply::json(&json!({"contacts": [], "searchPolicy": "full_search"}))
}

async fn outward_believed(way: &Way) {
    for specimen in
        [S::Good, S::ManyNames, S::Wildcard, S::WithoutUsage, S::WithoutClientAuth, S::Depth(2), S::Depth(4)]
    {
        let (remote, server) = way.foreign_with(specimen, after_versions(nothing_found)).await;
        let answer = way.search(&remote.domain).await;
        assert_eq!(answer.status, 200, "{specimen:?}: {answer}");
        assert_eq!(server.calls_of("search-users").len(), 1, "{specimen:?}");
    }
}

async fn outward_refused(way: &Way) {
    for (specimen, reason) in [
        (S::Expired, "expired"),
        (S::NotYetValid, "not valid before"),
        (S::SelfSigned, "self-signed"),
        (S::WrongAuthority, "a signature in the certificate chain is wrong"),
        (S::UnknownAuthority, "is not trusted"),
        (S::WithoutServerAuth, "serverAuth"),
        (S::CommonNameOnly, "NameMismatch"),
        (S::Nameless, "NameMismatch"),
        (S::TrailingDot, "NameMismatch"),
    ] {
        let (remote, server) = way.foreign_with(specimen, after_versions(nothing_found)).await;
        let answer = way.search(&remote.domain).await;
        assert_eq!(
            (answer.status.as_u16(), answer.label().as_str()),
            (525, "federation-tls-error"),
            "{specimen:?}: {answer}"
        );
        assert!(answer.message().contains(reason), "{specimen:?}: the reason is named: {answer}");
        assert_eq!(answer.json()["data"]["domain"], remote.domain.as_str(), "{answer}");
        assert!(server.requests().is_empty(), "{specimen:?}: nothing is sent to one who is not believed");
    }
    // Good in itself, but for another name.
    let (mut remote, _server) = way.foreign(after_versions(nothing_found)).await;
    remote.infra = "federator.elsewhere.example".parse().unwrap();
    way.world().publish(&remote.domain, &remote.infra, _server.address());
    let answer = way.search(&remote.domain).await;
    answer.expect_error(525, "federation-tls-error");
    assert!(answer.message().contains("NameMismatch"), "{answer}");
}

async fn s14_localhost_with_and_without_trailing_dot(way: &Way) {
    // In DNS every target ends with a dot; in the certificate none may.
    for (specimen, status) in [(S::Good, 200), (S::TrailingDot, 525)] {
        let remote = way.world().domain("local");
        let certificate = way.world().certificates().issue(specimen, "localhost").unwrap();
        let server = testkit::peer::ForeignBackend::start(&certificate, after_versions(nothing_found)).await.unwrap();
        let localhost: Domain = "localhost".parse().unwrap();
        way.world().publish(&remote, &localhost, server.address());
        way.allow(&remote).await;
        let answer = way.search(&remote).await;
        assert_eq!(answer.status.as_u16(), status, "{specimen:?}: {answer}");
        if status == 200 {
            let call = server.received("search-users").await.unwrap();
            assert_eq!(call.server_name, "localhost", "SNI is without the dot");
        } else {
            assert_eq!(answer.label(), "federation-tls-error");
        }
    }
}
