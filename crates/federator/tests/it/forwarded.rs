//! The listener behind a proxy that has judged the certificates of peers: what the proxy says, what a peer makes it say,
//! and what others say who are no proxy.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use axum::body::Body;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use federation_api::{Component, DEFAULT_MAX_BODY, RpcName};
use federator::{
    component::HttpComponent,
    forwarded::Forwarded,
    inbound::Components,
    limits::{ComponentLimits, ForwardedLimits, MemoryLimits},
};
use http::{Request, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use services::FederationComponent;
use tls::issue::{Issued, LeafRequest, Validity};
use tokio::{sync::Notify, time::Instant};
use types::{Clock, Timestamp};

use crate::support::{
    Backend, PATIENCE, Setup,
    plain::{Answer, Raw, Scripted, ask_both, header_lines, post, serve},
    soon, validity,
};

const PATH: &str = "/federation/brig/get-user-by-handle";
const CERTIFICATE: &str = "x-ssl-certificate";
const ORIGIN: (&str, &str) = ("wire-origin-domain", "b.example");
const SHORT: Duration = Duration::from_millis(150);

/// What nginx leaves as it is in `$ssl_client_escaped_cert`.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// The first certificate of a chain, as PEM.
fn pem(issued: &Issued) -> String {
    const END: &str = "-----END CERTIFICATE-----\n";
    let chain = issued.chain_pem().to_string();
    chain.split_inclusive(END).next().unwrap().to_owned()
}

/// HAProxy's `%[ssl_c_der,base64]`.
fn unwrapped(issued: &Issued) -> String {
    STANDARD.encode(&issued.chain()[0])
}

/// Remembers what it was asked.
#[derive(Default)]
struct Brig(Mutex<Vec<Request<Bytes>>>);

#[async_trait]
impl FederationComponent for Brig {
    async fn handle(&self, request: Request<Bytes>) -> Response<Body> {
        self.0.lock().unwrap().push(request);
        Response::builder().header("content-type", "application/json").body(Body::from("\"bar\"")).unwrap()
    }
}

struct Bench {
    backend: Backend,
    brig: Arc<Brig>,
    address: SocketAddr,
    /// What nginx would say of `fed.b.example`.
    good: String,
}

impl Bench {
    async fn start() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Forwarded)) -> Self {
        let brig = Arc::new(Brig::default());
        let (backend, address) = listen(Arc::clone(&brig) as _, change).await;
        let good = escaped(&pem(&backend.certificate("fed.b.example")));
        Self { backend, brig, address, good }
    }

    /// As the proxy asks for a peer with that certificate.
    async fn ask(&self, certificate: &str) -> Answer {
        ask_both(self.address, PATH, &[ORIGIN, (CERTIFICATE, certificate)], "\"foo\"").await
    }

    async fn ask_with(&self, headers: &[(&str, &str)]) -> Answer {
        let headers = [headers, &[ORIGIN, (CERTIFICATE, &self.good)]].concat();
        ask_both(self.address, PATH, &headers, "\"foo\"").await
    }

    fn calls(&self) -> usize {
        self.brig.0.lock().unwrap().len()
    }

    /// The address of the peer that the component was told last.
    fn origin_ip(&self) -> Option<String> {
        let asked = self.brig.0.lock().unwrap();
        let values: Vec<_> = asked.last().unwrap().headers().get_all("wire-origin-ip").iter().collect();
        assert!(values.len() <= 1, "{values:?}");
        values.first().map(|value| value.to_str().unwrap().to_owned())
    }
}

/// A listener for which 127.0.0.1 is a proxy and nobody else.
async fn listen(brig: Arc<dyn FederationComponent>, change: impl FnOnce(&mut Forwarded)) -> (Backend, SocketAddr) {
    listen_for(Components::from([(Component::Brig, brig)]), change).await
}

async fn listen_for(components: Components, change: impl FnOnce(&mut Forwarded)) -> (Backend, SocketAddr) {
    let backend = Backend::with(Setup { components, ..Setup::default() }).await;
    backend.dns.publish("b.example", 60, &[(0, 0, 443, "fed.b.example.")]);
    let mut forwarded = Forwarded {
        inbound: Arc::clone(&backend.inbound),
        proxies: vec!["127.0.0.1".parse().unwrap()],
        hops: 1,
        limits: ForwardedLimits::default(),
        clock: Arc::clone(&backend.clock) as _,
    };
    change(&mut forwarded);
    let address = serve(forwarded.router()).await;
    (backend, address)
}

#[tokio::test]
async fn a_peer_is_who_its_certificate_says_in_each_form_that_proxies_have() {
    let bench = Bench::start().await;
    let issued = bench.backend.certificate("fed.b.example");
    let pem = pem(&issued);
    for (what, value) in [
        ("nginx", escaped(&pem)),
        ("blanks as +", escaped(&pem).replace("%20", "+")),
        ("lower case", escaped(&pem).replace("%2B", "%2b").replace("%2F", "%2f").replace("%0A", "%0a")),
        ("lines of Windows", escaped(&pem.replace('\n', "\r\n"))),
        ("HAProxy", unwrapped(&issued)),
    ] {
        let before = bench.calls();
        let answer = bench.ask(&value).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "\"bar\""), "{what}");
        assert_eq!(bench.calls(), before + 2, "{what}");
    }
    // Exactly what `federation.md` §1.2 has, and the certificate is not in it.
    let asked = bench.brig.0.lock().unwrap().pop().unwrap();
    let mut names: Vec<&str> = asked.headers().keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-type", "request-id", "wire-origin-domain"], "nobody said for whom it was forwarded");
    assert_eq!(asked.body(), "\"foo\"");
}

/// Scenario 8, with the names as the proxy passes them on.
#[tokio::test]
async fn the_certificate_is_compared_with_the_claimed_origin() {
    let bench = Bench::start().await;
    for (names, common_name, expected) in [
        (&["fed.b.example"][..], None, 200),
        (&["other.example", "*.b.example"], None, 200),
        (&[], Some("fed.b.example"), 200),
        (&["fed.c.example"], None, 403),
        (&["fed.c.example"], Some("fed.b.example"), 403),
        (&["b.example"], None, 403),
    ] {
        let mut request = LeafRequest::new(names.first().copied().unwrap_or("x.example"), validity());
        request.dns_names = names.iter().map(|name| (*name).to_owned()).collect();
        request.common_name = common_name.map(str::to_owned);
        let issued = bench.backend.authority.issue(&request).unwrap();
        let answer = bench.ask(&escaped(&pem(&issued))).await;
        assert_eq!(answer.status, expected, "{names:?} {common_name:?}: {}", answer.text());
        if expected == 403 {
            assert_eq!(answer.told().1, "authentication-failure");
        }
    }
}

#[tokio::test]
async fn what_is_no_certificate_is_400_and_nobody_is_called() {
    let bench = Bench::start().await;
    let issued = bench.backend.certificate("fed.b.example");
    let other = bench.backend.certificate("fed.c.example");
    let (one, two) = (escaped(&pem(&issued)), escaped(&pem(&other)));
    let plus = one.replace("%2B", "+");
    let both = one.clone() + &two;
    let cut = &one[..one.len() - 10];
    let mut table: Vec<(&str, String, &str)> = vec![
        ("two blocks", both.clone(), "more than one certificate"),
        ("a list", format!("{one},{two}"), "more than one certificate"),
        ("escaped twice", escaped(&one), "no certificate found"),
        ("not escaped", pem(&issued).trim().replace('\n', " "), "no certificate"),
        ("cut", cut.to_owned(), "no certificate"),
        ("half an escape", format!("{one}%2"), "percent-encoded"),
        ("no escape", one.replace("%20", "%ZZ"), "percent-encoded"),
        ("empty", String::new(), "no certificate found"),
        ("nginx without a certificate", "%20".to_owned(), "no certificate found"),
        ("NONE", "NONE".to_owned(), "no certificate"),
        ("a key", escaped(&pem(&issued).replace("CERTIFICATE", "PRIVATE KEY")), "no certificate found"),
        ("a chain of HAProxy's", format!("{}{}", unwrapped(&issued), unwrapped(&other)), "no certificate"),
        ("HAProxy's in a list", format!("{},{}", unwrapped(&issued), unwrapped(&other)), "no certificate"),
    ];
    if plus != one {
        table.push(("+ not escaped", plus, "no certificate"));
    }
    for (what, value, message) in &table {
        let answer = bench.ask(value).await;
        assert_eq!(answer.told(), (400, String::new()), "{what}");
        assert!(answer.text().contains(message), "{what}: {}", answer.text());
        assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8", "{what}");
    }
    // The header twice: the proxy's and one of the peer's, in either order.
    for (first, second) in [(&one, &two), (&two, &one), (&one, &one)] {
        let headers = [ORIGIN, (CERTIFICATE, first.as_str()), (CERTIFICATE, second.as_str())];
        let answer = ask_both(bench.address, PATH, &headers, "1").await;
        assert_eq!(answer.told(), (400, String::new()));
        assert!(answer.text().contains("more than once"), "{}", answer.text());
    }
    let answer = ask_both(bench.address, PATH, &[ORIGIN], "1").await;
    assert_eq!((answer.status, answer.text().as_str()), (400, "the header X-SSL-Certificate is missing"));
    assert_eq!((bench.calls(), bench.backend.dns.asked_for("b.example")), (0, 0));
}

#[tokio::test]
async fn a_certificate_may_be_so_long_and_no_longer() {
    let bench = Bench::start().await;
    // Signatures differ in length; white space behind makes up for it.
    let length = bench.good.len() + 100;
    for (limit, expected) in [(length, 200), (length - 1, 400)] {
        let bench = Bench::with(|forwarded| forwarded.limits.certificate_bytes = limit).await;
        let value = format!("{:+<length$}", bench.good);
        assert_eq!(bench.ask(&value).await.status, expected, "{limit}");
    }
    // 1 MiB is too much for the listener already, whatever the limit; what matters is that nobody is called.
    let long = post(PATH, &[ORIGIN, (CERTIFICATE, &"A".repeat(1 << 20))], "1");
    let mut proxy = Raw::connect(bench.address).await;
    if let Some(answer) = proxy.ask(long).await {
        assert_eq!(answer.status, 431);
    }
    let long = "A".repeat(ForwardedLimits::default().certificate_bytes + 1);
    let answer = Raw::connect(bench.address).await.ask(post(PATH, &[ORIGIN, (CERTIFICATE, &long)], "1")).await;
    let answer = answer.unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (400, "the header X-SSL-Certificate is too long"));
    assert_eq!(bench.calls(), 0);
}

/// The proxy's judgement is of the moment at which the connection began.
#[tokio::test]
async fn the_dates_of_a_certificate_count_with_each_request() {
    let bench = Bench::start().await;
    let now = bench.backend.clock.now();
    let hour = Duration::from_secs(3600);
    let of = |from, to| {
        let request = LeafRequest::new("fed.b.example", Validity { from, to });
        escaped(&pem(&bench.backend.authority.issue(&request).unwrap()))
    };
    assert_eq!(bench.ask(&of(now - hour - hour, now - hour)).await.told(), (400, "authentication-failure".into()));
    assert_eq!(bench.ask(&of(now + hour, now + hour + hour)).await.told(), (400, "authentication-failure".into()));
    assert_eq!((bench.calls(), bench.backend.dns.asked_for("b.example")), (0, 0));

    // One that expires while the proxy's connection stands. Dates of certificates are whole seconds.
    let value = of(now - hour, now + hour);
    let last = Timestamp::from_micros((now + hour).micros() / 1_000_000 * 1_000_000);
    let request = post(PATH, &[ORIGIN, (CERTIFICATE, &value)], "1");
    let mut proxy = Raw::connect(bench.address).await;
    assert_eq!(proxy.ask(&request).await.unwrap().status, 200);
    bench.backend.clock.set(last + Duration::from_micros(999_999));
    assert_eq!(proxy.ask(&request).await.unwrap().status, 200, "its last second counts, as it does for proxies");
    bench.backend.clock.advance(Duration::from_micros(1));
    let answer = proxy.ask(&request).await.unwrap();
    assert_eq!(answer.told(), (400, "authentication-failure".into()));
    assert!(answer.text().contains("expired"), "{}", answer.text());
    assert_eq!(bench.calls(), 2);

    // And one whose time begins while it stands.
    let begins = bench.backend.clock.now() + hour;
    let value = of(begins, begins + hour);
    let request = post(PATH, &[ORIGIN, (CERTIFICATE, &value)], "1");
    assert_eq!(proxy.ask(&request).await.unwrap().status, 400);
    bench.backend.clock.advance(hour);
    assert_eq!(proxy.ask(&request).await.unwrap().status, 200);
}

/// Whoever is no proxy is told so, and nothing that he says is looked at.
#[tokio::test]
async fn only_listed_proxies_may_forward() {
    let bench = Bench::with(|forwarded| {
        forwarded.proxies = vec!["127.0.0.1".parse().unwrap(), "127.0.3.0/24".parse().unwrap()];
    })
    .await;
    let good = post(PATH, &[ORIGIN, (CERTIFICATE, &bench.good), ("x-forwarded-for", "127.0.0.1")], "1");
    for (from, expected) in [
        ("127.0.0.1", 200),
        ("127.0.3.7", 200),
        ("127.0.3.255", 200),
        ("127.0.0.2", 403),
        ("127.0.2.255", 403),
        ("127.0.4.0", 403),
    ] {
        let before = bench.calls();
        let answer = Raw::connect_from(from, bench.address).await.ask(&good).await.unwrap();
        assert_eq!(answer.status, expected, "{from}");
        assert_eq!(bench.calls() - before, usize::from(expected == 200), "{from}");
        if expected == 403 {
            assert_eq!(answer.text(), "not for you", "{from}");
        }
    }
    // The same, whatever he asks for: he learns nothing of the order of checks.
    for (path, headers) in
        [("/federation/x", &[][..]), ("/federation/mallory/x", &[ORIGIN]), (PATH, &[(CERTIFICATE, "%")])]
    {
        let answer = Raw::connect_from("127.0.0.2", bench.address).await.ask(post(path, headers, "1")).await.unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (403, "not for you"), "{path}");
    }
}

/// `X-Forwarded-For` counts as far as the own proxies wrote it; what a peer says about itself is no part of it.
#[tokio::test]
async fn the_peers_address_is_what_the_own_proxies_say() {
    let xff = |value: &'static str| ("x-forwarded-for", value);
    for (hops, headers, expected) in [
        (1, &[xff("2001:db8::1")][..], Some("2001:db8::1")),
        (1, &[xff("192.0.2.66, 192.0.2.1")], Some("192.0.2.1")),
        (1, &[xff("192.0.2.66"), xff("192.0.2.1")], Some("192.0.2.1")),
        (1, &[xff("192.0.2.1:4711")], Some("192.0.2.1")),
        (1, &[xff("::ffff:192.0.2.1")], Some("192.0.2.1")),
        (1, &[xff("192.0.2.66, unknown")], None),
        (2, &[xff("192.0.2.66, 192.0.2.1, 10.0.0.1")], Some("192.0.2.1")),
        (0, &[xff("192.0.2.66")], None),
        (1, &[], None),
        (1, &[("wire-origin-ip", "192.0.2.66")], None),
        (1, &[("wire-origin-ip", "192.0.2.66"), ("wire-origin-ip", "192.0.2.67"), xff("192.0.2.1")], Some("192.0.2.1")),
        (1, &[("forwarded", "for=192.0.2.66"), ("x-real-ip", "192.0.2.66")], None),
    ] {
        let bench = Bench::with(|forwarded| forwarded.hops = hops).await;
        assert_eq!(bench.ask_with(headers).await.status, 200);
        assert_eq!(bench.origin_ip().as_deref(), expected, "{hops} {headers:?}");
    }
}

#[tokio::test]
async fn an_origin_that_is_claimed_more_than_once_must_be_the_same() {
    let bench = Bench::start().await;
    for (name, value, expected) in [
        ("wire-origin-domain", "b.example", 200),
        ("wire-origin-domain", "B.EXAMPLE", 200),
        ("wire-domain", "b.example", 200),
        ("wire-origin-domain", "c.example", 400),
        ("wire-domain", "c.example", 400),
        ("wire-origin-domain", "b.example, c.example", 400),
        ("wire-origin-domain", "", 400),
    ] {
        for headers in [[(name, value), ORIGIN], [ORIGIN, (name, value)]] {
            let headers = [&headers[..], &[(CERTIFICATE, &bench.good)]].concat();
            let answer = ask_both(bench.address, PATH, &headers, "1").await;
            assert_eq!(answer.status, expected, "{headers:?}");
        }
    }
    let asked = bench.brig.0.lock().unwrap();
    for asked in asked.iter() {
        let said: Vec<_> = asked.headers().get_all("wire-origin-domain").iter().collect();
        assert_eq!(said, ["b.example"]);
    }
}

/// The order of `federation.md` §1.3: paths and names before the certificate, the method after it.
#[tokio::test]
async fn the_order_of_checks() {
    let bench = Bench::start().await;
    let good = (CERTIFICATE, bench.good.as_str());
    let bad = (CERTIFICATE, "x%");
    for (method, path, headers, expected) in [
        ("POST", "/federation/brig", &[ORIGIN, bad][..], (404, "")),
        ("POST", "/federation/brig/x/y", &[ORIGIN], (404, "")),
        ("POST", "/federation/mallory/x", &[ORIGIN, bad], (400, "no such component")),
        ("POST", PATH, &[bad], (400, "the header Wire-Origin-Domain")),
        ("POST", PATH, &[ORIGIN, bad], (400, "the header X-SSL-Certificate")),
        ("GET", PATH, &[ORIGIN, bad], (400, "the header X-SSL-Certificate")),
        ("GET", PATH, &[ORIGIN, good], (403, "invalid-endpoint")),
        ("POST", &format!("{PATH}?x"), &[ORIGIN, good], (403, "invalid-endpoint")),
        ("POST", PATH, &[("wire-origin-domain", "stranger.example"), good], (400, "federation-denied")),
        ("POST", PATH, &[("wire-origin-domain", "c.example"), good], (422, "invalid-domain")),
        ("POST", "/federation/galley/x", &[ORIGIN, good], (500, "server-error")),
        ("POST", "/i/users", &[ORIGIN, good], (404, "")),
        ("POST", "/", &[ORIGIN, good], (404, "")),
    ] {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = format!("{method} {path} HTTP/1.1\r\nhost: x\r\n{headers}content-length: 1\r\n\r\n1");
        let answer = Raw::connect(bench.address).await.ask(&request).await.unwrap();
        assert_eq!(answer.status, expected.0, "{method} {path}: {}", answer.text());
        assert!(answer.text().contains(expected.1), "{method} {path}: {}", answer.text());
    }
    assert_eq!(bench.calls(), 0);
}

#[tokio::test]
async fn bodies_are_read_of_those_that_are_let_in_and_within_limits() {
    let bench = Bench::with(|forwarded| {
        forwarded.limits.bodies.idle = SHORT;
        forwarded.limits.bodies.discarding = SHORT;
    })
    .await;
    let longest = "0".repeat(DEFAULT_MAX_BODY);
    let headers = [ORIGIN, (CERTIFICATE, bench.good.as_str())];
    assert_eq!(ask_both(bench.address, PATH, &headers, &longest).await.status, 200);
    let request = post(PATH, &headers, &(longest + "0"));
    assert_eq!(Raw::connect(bench.address).await.ask(request).await.unwrap().status, 413);
    let before = bench.calls();
    let begun = |origin: &str| {
        let certificate = &bench.good;
        format!(
            "POST {PATH} HTTP/1.1\r\nhost: x\r\nwire-origin-domain: {origin}\r\n{CERTIFICATE}: {certificate}\r\n\
            content-length: 10\r\n\r\n12345"
        )
    };
    let began = Instant::now();
    let answer = Raw::connect(bench.address).await.ask(begun("b.example")).await.unwrap();
    assert_eq!(answer.told(), (408, "request-timeout".into()));
    assert!(began.elapsed() >= SHORT, "{:?}", began.elapsed());
    // The head of a stranger's request says all there is to say.
    let answer = Raw::connect(bench.address).await.ask(begun("stranger.example")).await.unwrap();
    assert_eq!(answer.told(), (400, "federation-denied".into()));
    assert_eq!(bench.calls(), before);
}

/// The proxy's connection goes on behind a refusal, where what it still has to send is short.
#[tokio::test]
async fn short_bodies_of_refused_requests_are_read_and_long_ones_not_waited_for() {
    let bench = Bench::with(|forwarded| {
        let bodies = &mut forwarded.limits.bodies;
        (bodies.discarded_bytes, bodies.discarding) = (1000, PATIENCE);
    })
    .await;
    let stranger = ("wire-origin-domain", "stranger.example");
    for (headers, expected) in
        [([ORIGIN, (CERTIFICATE, "bad")], 400), ([stranger, (CERTIFICATE, bench.good.as_str())], 400)]
    {
        let mut proxy = Raw::connect(bench.address).await;
        // The body comes later than the head, so that the answer could overtake it.
        let request = post(PATH, &headers, &"0".repeat(1000));
        let (head, body) = request.split_at(request.len() - 500);
        proxy.say(head).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(proxy.ask(body).await.unwrap().status, expected);
        let good = post(PATH, &[ORIGIN, (CERTIFICATE, &bench.good)], "1");
        assert_eq!(proxy.ask(good).await.unwrap().status, 200, "the connection goes on");

        let began = Instant::now();
        let request = post(PATH, &headers, &"0".repeat(1001));
        let answer = Raw::connect(bench.address).await.ask(&request[..request.len() - 1]).await.unwrap();
        assert_eq!(answer.status, expected);
        assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn an_rpc_that_carries_messages_may_bring_more() {
    let galley = Arc::new(Brig::default());
    let components = Components::from([(Component::Galley, Arc::clone(&galley) as Arc<dyn FederationComponent>)]);
    let (backend, address) = listen_for(components, |_| {}).await;
    let good = escaped(&pem(&backend.certificate("fed.b.example")));
    let headers = [ORIGIN, (CERTIFICATE, good.as_str())];
    let large = RpcName::of::<federation_api::galley::SendMessage>();
    let body = "0".repeat(DEFAULT_MAX_BODY + 1);
    assert_eq!(ask_both(address, &format!("/federation/galley/{large}"), &headers, &body).await.status, 200);
    assert_eq!(galley.0.lock().unwrap()[0].body().len(), body.len());
    let request = post("/federation/galley/on-conversation-created", &headers, &body);
    assert_eq!(Raw::connect(address).await.ask(request).await.unwrap().status, 413);
}

/// A body is held until its request is answered.
#[tokio::test]
async fn bodies_of_requests_that_are_being_answered_count() {
    struct Silent(Arc<Notify>);

    #[async_trait]
    impl FederationComponent for Silent {
        async fn handle(&self, _: Request<Bytes>) -> Response<Body> {
            self.0.notify_one();
            std::future::pending().await
        }
    }

    let began = Arc::new(Notify::new());
    let (backend, address) = listen(Arc::new(Silent(Arc::clone(&began))), |forwarded| {
        let bodies = &mut forwarded.limits.bodies;
        (bodies.memory, bodies.idle) = (MemoryLimits::of_one_size(100, 100), SHORT);
    })
    .await;
    let good = escaped(&pem(&backend.certificate("fed.b.example")));
    let of = |length: usize| post(PATH, &[ORIGIN, (CERTIFICATE, &good)], &"0".repeat(length));
    let mut first = Raw::connect(address).await;
    first.say(of(60)).await;
    soon(began.notified()).await;
    let answer = Raw::connect(address).await.ask(of(41)).await.unwrap();
    assert_eq!(answer.told(), (503, "service-unavailable".into()));
    assert_eq!(answer.headers["retry-after"], "1");
    let mut second = Raw::connect(address).await;
    second.say(of(40)).await;
    soon(began.notified()).await;
}

/// A share is that of the peer, not of the proxy through which all come.
#[tokio::test]
async fn each_peer_has_a_share_of_the_memory_for_bodies() {
    let bench = Bench::with(|forwarded| {
        let bodies = &mut forwarded.limits.bodies;
        (bodies.memory, bodies.total) = (MemoryLimits::of_one_size(100, 60), Duration::from_secs(60));
        bodies.idle = Duration::from_secs(60);
    })
    .await;
    let begun = |ip: &str, length: usize| {
        let certificate = &bench.good;
        format!(
            "POST {PATH} HTTP/1.1\r\nhost: x\r\nwire-origin-domain: b.example\r\n{CERTIFICATE}: {certificate}\r\n\
            x-forwarded-for: {ip}\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    // It takes all of its share, and sends nothing.
    let mut greedy = Raw::connect(bench.address).await;
    greedy.say(begun("192.0.2.1", 60)).await;
    let mut other = Raw::connect(bench.address).await;
    assert_eq!(other.ask(begun("192.0.2.2", 40) + &"0".repeat(40)).await.unwrap().status, 200);
    // The first is over before the second of the same peer gets its room.
    let mut waiting = Raw::connect(bench.address).await;
    waiting.say(begun("192.0.2.1", 1) + "0").await;
    greedy.say("0".repeat(60)).await;
    assert_eq!(greedy.answer().await.unwrap().status, 200);
    assert_eq!(waiting.answer().await.unwrap().status, 200);
}

/// From the proxy to a component of another process and back: only what `federation.md` §1.2 lists passes in either
/// direction, and no hop-by-hop header does (RFC 9110 §7.6.1).
#[tokio::test]
async fn headers_end_at_the_federator_in_both_directions() {
    let brig = Scripted::always(
        "HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\nconnection: keep-alive, x-named\r\nx-named: 1\r\n\
        keep-alive: timeout=5\r\nproxy-authenticate: Basic\r\nte: trailers\r\ntrailer: x-late\r\nupgrade: h2c\r\n\
        set-cookie: zuid=x\r\nserver: brig\r\nx-secret: 1\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nx-late: 1\r\n\r\n",
    )
    .await;
    let component = HttpComponent::new(Component::Brig, &brig.address.to_string(), ComponentLimits::default()).unwrap();
    let (backend, address) = listen(Arc::new(component), |_| {}).await;
    let good = escaped(&pem(&backend.certificate("fed.b.example")));
    let headers = [
        ORIGIN,
        (CERTIFICATE, good.as_str()),
        ("x-forwarded-for", "192.0.2.1"),
        ("connection", "keep-alive, x-named, wire-origin-domain, x-ssl-certificate"),
        ("x-named", "1"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("upgrade", "h2c"),
        ("proxy-connection", "keep-alive"),
        ("proxy-authorization", "Basic eA=="),
        ("authorization", "Bearer x"),
        ("cookie", "zuid=x"),
        ("z-user", "somebody"),
        ("request-id", "another"),
        ("wire-origin-request-id", "r-1"),
        ("wire-origin-ip", "192.0.2.66"),
        ("x-wire-api-version", "1"),
        ("content-type", "text/x"),
        ("host", "second"),
    ];
    let answer = Raw::connect(address).await.ask(post(PATH, &headers, "\"foo\"")).await.unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (404, "{}"));
    // The date and the framing are our listener's own.
    assert_eq!(answer.header_names(), ["content-type", "date", "transfer-encoding"]);
    let requests = brig.requests();
    assert_eq!(requests.len(), 1);
    let mut lines = header_lines(&requests[0]);
    lines.retain(|line| !line.starts_with("traceparent: "));
    let expected = [
        "content-length: 5".to_owned(),
        "content-type: application/json".to_owned(),
        format!("host: {}", brig.address),
        "request-id: r-1".to_owned(),
        "wire-origin-domain: b.example".to_owned(),
        "wire-origin-ip: 192.0.2.1".to_owned(),
        "x-wire-api-version: 1".to_owned(),
    ];
    assert_eq!(lines, expected);
}

/// Where the listener does not tell who connects, nobody is a proxy.
#[tokio::test]
async fn without_an_address_nobody_is_believed() {
    let bench = Bench::start().await;
    let forwarded = Forwarded {
        inbound: Arc::clone(&bench.backend.inbound),
        proxies: vec!["127.0.0.0/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap()],
        hops: 1,
        limits: ForwardedLimits::default(),
        clock: Arc::clone(&bench.backend.clock) as _,
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = forwarded.router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let good = post(PATH, &[ORIGIN, (CERTIFICATE, &bench.good)], "1");
    let answer = Raw::connect(address).await.ask(good).await.unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (403, "not for you"));
    assert_eq!(bench.calls(), 0);
}

/// On a listener for both families a proxy's IPv4 address is written as IPv6.
#[tokio::test]
async fn a_proxy_is_known_by_its_address_however_the_socket_writes_it() {
    let bench = Bench::start().await;
    let forwarded = Forwarded {
        inbound: Arc::clone(&bench.backend.inbound),
        proxies: vec!["127.0.0.1".parse().unwrap()],
        hops: 1,
        limits: ForwardedLimits::default(),
        clock: Arc::clone(&bench.backend.clock) as _,
    };
    let socket = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None).unwrap();
    socket.set_only_v6(false).unwrap();
    socket.bind(&"[::]:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    socket.listen(16).unwrap();
    socket.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(socket.into()).unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = forwarded.router().into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let good = post(PATH, &[ORIGIN, (CERTIFICATE, &bench.good)], "1");
    for (from, expected) in [("127.0.0.1", 200), ("127.0.0.2", 403)] {
        let to = SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(Raw::connect_from(from, to).await.ask(&good).await.unwrap().status, expected, "{from}");
    }
}
