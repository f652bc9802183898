//! The process while it runs and when it ends.

use std::{fs, time::Duration};

use serde_json::json;
use testkit::{
    Specimen,
    http1::{Call, Place},
    peer::{Caller, ForeignBackend, Reply, Shown, script},
};

use crate::support::{SMALL_LIMITS, Standalone, run};

#[test]
fn it_tells_of_itself_on_both_ports_to_those_who_come_directly() {
    run(async {
        let standalone = Standalone::start(SMALL_LIMITS).await.unwrap();
        let (outward, behind) = (standalone.federated.outward, standalone.federated.behind_proxy.unwrap());
        for place in [outward, behind] {
            let place = Place::Tcp(place);
            Call::get(&place, "/i/status").send().await.unwrap().expect_status(200);
            Call::get(&place, "/i/status?standalone").send().await.unwrap().expect_status(200);
            Call::get(&place, "/i/metrics").send().await.unwrap().expect_status(200);
            let metrics = Call::get(&place, "/i/metrics").send().await.unwrap().text();
            for told in ["# TYPE http_request_duration_seconds histogram", "com_wire_federator_outgoing_requests"] {
                assert!(metrics.contains(told), "{told}: {metrics}");
            }
        }
        // What came through an ingress is of other backends.
        for header in ["x-ssl-certificate", "x-forwarded-for"] {
            for path in ["/i/status", "/i/metrics"] {
                let call = Call::get(&Place::Tcp(behind), path).header(header, "192.0.2.1");
                call.send().await.unwrap().expect_status(404);
            }
        }
        // Nor does the own ingress show it.
        let peer = standalone.world.stranger("peer").unwrap();
        let roots = standalone.world.certificates().root_pem();
        let shown = Shown::Certificate(&peer.certificate);
        let ingress = standalone.federated.ingress.unwrap();
        let caller = Caller::new(ingress, standalone.folder.infra(), &roots, shown).unwrap();
        let request = caller.head("GET", "/i/metrics").body(testkit::peer::whole("")).unwrap();
        caller.send(request).await.unwrap().expect_status(404);
    });
}

#[test]
fn asked_to_end_it_fails_no_call() {
    run(async {
        let mut standalone = Standalone::start(SMALL_LIMITS).await.unwrap();
        let stranger = standalone.world.stranger("slow").unwrap();
        let slow = script(|_| Reply::Stream {
            head: http::Response::builder().header("content-type", "application/json").body(()).unwrap(),
            piece: bytes::Bytes::from_static(b" "),
            count: 10,
            pause: Duration::from_millis(100),
            ends: true,
        });
        let server = ForeignBackend::start(&stranger.certificate, slow).await.unwrap();
        standalone.world.publish(&stranger.domain, &stranger.infra, server.address());
        standalone.served.allow(&stranger.domain).await.unwrap();
        let place = Place::Tcp(standalone.federated.outward);
        let path = format!("/rpc/{}/brig/get-user-by-handle", stranger.domain);
        let call = || Call::post(&place, &path, &json!("bob"));
        // One call first, so that those that follow are under way at once.
        call().send().await.unwrap().expect_status(200);
        let under_way: Vec<_> = (0..6).map(|_| tokio::spawn(call().send())).collect();
        let begun = async {
            while server.requests().len() < 7 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), begun).await.expect("all calls are under way");
        let ended = tokio::task::spawn_blocking(move || {
            let status = standalone.federated.child().terminate().unwrap();
            (status, standalone)
        });
        for call in under_way {
            let answer = call.await.unwrap().unwrap();
            assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 10));
        }
        let (status, _standalone) = ended.await.unwrap();
        assert!(status.success(), "{status}");
    });
}

#[test]
fn s18_a_new_certificate_is_taken_up_without_a_restart_and_a_broken_one_is_not() {
    run(async {
        let standalone = Standalone::start(SMALL_LIMITS).await.unwrap();
        let ingress = standalone.federated.ingress.unwrap();
        let roots = standalone.world.certificates().root_pem();
        let infra = standalone.folder.infra().clone();
        let caller = Caller::new(ingress, &infra, &roots, Shown::Nothing).unwrap();
        let names = async || {
            let stream = caller.tls().await.unwrap();
            let leaf = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
            tls::Certificate::parse(&leaf).unwrap().names().len()
        };
        assert_eq!(names().await, 1);
        fs::write(standalone.folder.path("leaf.pem"), "junk").unwrap();
        until(async || standalone.federated.log().contains("federation setup error")).await;
        assert_eq!(names().await, 1);
        let new = standalone.world.certificates().issue(Specimen::ManyNames, infra.as_str()).unwrap();
        fs::write(standalone.folder.path("leaf-key.pem"), &new.key).unwrap();
        fs::write(standalone.folder.path("leaf.pem"), &new.chain).unwrap();
        until(async || names().await == 60).await;
        assert!(standalone.federated.log().contains("updating TLS settings"));
    });
}

/// Polls: another process gives no signal.
async fn until(mut done: impl AsyncFnMut() -> bool) {
    let polling = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), polling).await.expect("it happens in time");
}
