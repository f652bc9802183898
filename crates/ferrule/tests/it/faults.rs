//! Floods and faults against a whole process: it goes on answering, and gives back what it took.
//!
//! These run one after the other against a backend of their own, so that what it holds can be compared. They run with
//! Ferrule's brig only: the recording component answers in the test's own process, where what the backend holds cannot
//! be told from what the test holds. The same floods against the federator's ingress with a component of the test's
//! stand beside it, in its own tests.

use std::{future::Future, time::Duration};

use serde_json::json;
use testkit::{
    Trouble,
    peer::{Manner, Recorded, Reply, after_versions, frames, trickle},
    process::usage_of,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Mutex, OnceCell},
    task::JoinSet,
    time::timeout,
};

use crate::support::{Network, SMALL_LIMITS, Target, Way, long, run};

/// How much of a fault is run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// A small part, so that whatever is made once is made.
    WarmUp,
    /// All of it.
    Whole,
}

impl Extent {
    /// How many of so many.
    fn of(self, whole: usize) -> usize {
        match self {
            Self::WarmUp => whole.div_ceil(50),
            Self::Whole => whole,
        }
    }
}

/// Runs a fault against the process: a small part first, after which is counted what the process holds, and then the
/// whole. Everything that the whole took is given back, and a good call is answered, during it and after it.
fn fault<F: Future<Output = ()>>(fault: impl Fn(&'static Network, Extent) -> F) {
    static ALONE: Mutex<()> = Mutex::const_new(());
    static NETWORK: OnceCell<Network> = OnceCell::const_new();
    run(async {
        let _alone = ALONE.lock().await;
        let network = NETWORK.get_or_init(|| async { Network::start(SMALL_LIMITS).await.unwrap() }).await;
        let pid = network.served.pid();
        answers(network).await;
        let idle = usage_of(pid).unwrap();
        fault(network, Extent::WarmUp).await;
        settled(network, idle.files).await;
        let before = usage_of(pid).unwrap();
        tokio::join!(fault(network, Extent::Whole), answers(network));
        answers(network).await;
        tokio::task::spawn_blocking(move || before.given_back(pid)).await.unwrap().unwrap();
    });
}

/// Waits until the process holds no more files than that.
async fn settled(network: &Network, files: usize) {
    let pid = network.served.pid();
    let waiting = async {
        // A foreign process gives no signal.
        while usage_of(pid).unwrap().files > files {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(30), waiting).await.expect("open files are closed again");
}

/// A good call is answered.
async fn answers(network: &'static Network) {
    let target = Target::served_in(network).await;
    let answer = target.caller().call(target.peer.domain.as_str(), "brig", "api-version", &json!([])).await.unwrap();
    answer.expect_status(200);
}

#[test]
fn handshakes_with_garbage() {
    const HELLO: &[u8] = &[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3];
    let garbage: [&[u8]; 6] =
        [b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", &[0; 64], &[0xff; 3000], HELLO, &[0x16, 3, 1, 0x40, 1, 1, 0, 0, 1]];
    let count = if long() { 100_000 } else { 10_000 };
    fault(async |network, extent| {
        let ingress = network.served.backend().federation;
        let mut running = JoinSet::new();
        for n in 0..extent.of(count) {
            let bytes = garbage[n % garbage.len()].to_vec();
            running.spawn(async move {
                let Ok(mut stream) = TcpStream::connect(ingress).await else { return };
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                let mut nothing = Vec::new();
                let _ = timeout(Duration::from_secs(10), stream.read_to_end(&mut nothing)).await;
            });
            if running.len() >= 100 {
                running.join_next().await;
            }
        }
        running.join_all().await;
    });
}

#[test]
fn connections_that_are_left_in_every_state() {
    fault(async |network, extent| {
        let target = Target::served_in(network).await;
        let caller = target.caller();
        for _ in 0..extent.of(20) {
            drop(TcpStream::connect(target.ingress).await.unwrap());
            drop(caller.tls().await.unwrap());
            let mut begun = caller.tls().await.unwrap();
            begun.write_all(&frames::opening()).await.unwrap();
            drop(begun);
            let mut asked = caller.tls().await.unwrap();
            let path = "/federation/brig/api-version";
            let request = frames::request(1, target.infra.as_str(), path, target.peer.domain.as_str(), false);
            asked.write_all(&[frames::opening(), request].concat()).await.unwrap();
            drop(asked);
        }
    });
}

#[test]
fn slow_handshakes_headers_and_bodies() {
    fault(async |network, extent| {
        let target = Target::served_in(network).await;
        let mut running = JoinSet::new();
        for _ in 0..extent.of(40) {
            let ingress = target.ingress;
            running.spawn(async move {
                let mut stream = TcpStream::connect(ingress).await.unwrap();
                let _ = stream.read(&mut [0]).await;
            });
            let caller = target.caller().over_http1();
            running.spawn(async move {
                let mut stream = caller.tls().await.unwrap();
                stream.write_all(b"POST /federation/brig/x HTTP/1.1\r\nHost: ").await.unwrap();
                let mut answer = Vec::new();
                let _ = stream.read_to_end(&mut answer).await;
                assert!(answer.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&answer));
            });
            let (caller, origin) = (target.caller(), target.peer.domain.clone());
            running.spawn(async move {
                let head = caller.head("POST", "/federation/brig/x").header("wire-origin-domain", origin.as_str());
                let body = trickle(vec!["[".into()], Duration::ZERO, false);
                let answer = caller.send(head.body(body).unwrap()).await.unwrap();
                answer.expect_error(408, "request-timeout");
            });
        }
        running.join_all().await;
    });
}

/// What became of a connection that was flooded.
struct Flooded {
    /// How many frames were taken.
    taken: usize,
    /// The code of the GOAWAY, if one came.
    goaway: Option<u32>,
}

/// Sends the frames of `next` on one connection until the other side has had enough, `most` times at most.
async fn flood(target: &Target, most: usize, mut next: impl FnMut(u32) -> Vec<u8>) -> Flooded {
    let stream = target.caller().tls().await.unwrap();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let reading = tokio::spawn(async move {
        let mut goaway = None;
        while let Some((head, payload)) = frames::receive(&mut reader).await {
            if head.kind == frames::kind::GOAWAY && payload.len() >= 8 {
                goaway = Some(u32::from_be_bytes([payload[4], payload[5], payload[6], payload[7]]));
            }
        }
        goaway
    });
    writer.write_all(&frames::opening()).await.unwrap();
    let mut taken = 0;
    for n in 0..most {
        let frame = next(u32::try_from(n).unwrap());
        match timeout(Duration::from_secs(10), writer.write_all(&frame)).await {
            Ok(Ok(())) => taken += 1,
            _ => break,
        }
        if reading.is_finished() {
            break;
        }
    }
    let _ = timeout(Duration::from_secs(5), writer.shutdown()).await;
    let goaway = timeout(Duration::from_secs(10), reading).await.ok().and_then(Result::ok).flatten();
    Flooded { taken, goaway }
}

const ENHANCE_YOUR_CALM: u32 = 11;

#[test]
fn http2_rapid_reset() {
    const MOST: usize = 50_000;
    fault(async |network, extent| {
        let target = Target::served_in(network).await;
        let origin = target.peer.domain.to_string();
        let flooded = flood(&target, extent.of(MOST), |n| {
            let stream = 2 * n + 1;
            let path = "/federation/brig/api-version";
            [frames::request(stream, target.infra.as_str(), path, &origin, true), frames::reset(stream)].concat()
        })
        .await;
        assert!(extent == Extent::WarmUp || flooded.taken < MOST, "all of {MOST} resets were taken");
        assert!(matches!(flooded.goaway, None | Some(ENHANCE_YOUR_CALM)), "GOAWAY {:?}", flooded.goaway);
    });
}

#[test]
fn http2_continuation_flood() {
    const MOST: usize = 8_000;
    fault(async |network, extent| {
        let target = Target::served_in(network).await;
        let block = frames::request_block(target.infra.as_str(), "/federation/brig/api-version", "x.example");
        let mut padding = Vec::new();
        frames::literal(&mut padding, "x-padding", &"x".repeat(16_000));
        let flooded = flood(&target, extent.of(MOST), |n| match n {
            0 => frames::frame(frames::kind::HEADERS, 0, 1, &block),
            _ => frames::frame(frames::kind::CONTINUATION, 0, 1, &padding),
        })
        .await;
        assert!(extent == Extent::WarmUp || flooded.taken < MOST, "128 MB of headers were taken");
    });
}

#[test]
fn http2_stream_flood() {
    const MOST: usize = 20_000;
    fault(async |network, extent| {
        let target = Target::served_in(network).await;
        let origin = target.peer.domain.to_string();
        // Each opens a request and never ends it.
        let path = "/federation/brig/api-version";
        let flooded = flood(&target, extent.of(MOST), |n| {
            frames::request(2 * n + 1, target.infra.as_str(), path, &origin, false)
        })
        .await;
        assert!(extent == Extent::WarmUp || flooded.taken < MOST, "all of {MOST} streams were opened");
    });
}

#[test]
fn http2_ping_and_settings_flood() {
    const MOST: usize = 20_000;
    fault(async |network, extent| {
        let target = Target::served_in(network).await;
        // Whoever asks and never reads the answers must not make them pile up: the flood ends or is simply answered,
        // and what it took is given back.
        flood(&target, extent.of(MOST), |n| match n % 2 {
            0 => frames::frame(frames::kind::PING, 0, 0, &[0; 8]),
            _ => frames::frame(frames::kind::SETTINGS, 0, 0, &[]),
        })
        .await;
    });
}

fn nothing_found(_: &Recorded) -> Reply {
    Reply::json(&json!({"contacts": [], "searchPolicy": "full_search"}))
}

#[test]
fn remotes_in_every_kind_of_trouble() {
    fault(async |network, extent| {
        let way = Way::client_of(network).await;
        let manners = [Manner::Closes, Manner::NoHttp, Manner::NoTls, Manner::Silent, Manner::SilentAfterHandshake];
        for manner in manners.into_iter().take(extent.of(manners.len())) {
            let (remote, server) = way.foreign(after_versions(nothing_found)).await;
            server.treat(manner);
            let answer = way.search(&remote.domain).await;
            assert!([525, 533].contains(&answer.status.as_u16()), "{manner:?}: {answer}");
        }
        for reply in [Reply::Never, Reply::Reset] {
            let (remote, _server) = way.foreign(after_versions(move |_| reply.clone())).await;
            way.search(&remote.domain).await.expect_error(533, "federation-http2-error");
        }
    });
}

#[test]
fn name_servers_in_every_kind_of_trouble() {
    fault(async |network, extent| {
        let way = Way::client_of(network).await;
        let troubles = [Trouble::Garbage, Trouble::OtherId, Trouble::OtherQuestion, Trouble::ServFail];
        let troubles = [troubles, [Trouble::Silent; 4]].concat();
        for &trouble in &troubles[..extent.of(troubles.len())] {
            let remote = way.world().domain("trouble");
            way.world().dns().trouble(&remote, trouble);
            way.allow(&remote).await;
            way.search(&remote).await.expect_error(400, "discovery-failure");
        }
    });
}
