//! Requests that two readers might take for different ones, and paths that lead astray, at every listener that speaks
//! HTTP/1.1. Nothing that is refused may reach a remote or a component, and nothing may hide behind a request (RFC 9112 §11.2).

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use axum::body::Body;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use federation_api::Component;
use federator::{
    forwarded::Forwarded,
    inbound::Components,
    ingress::Ingress,
    limits::{ForwardedLimits, IngressLimits, OutwardLimits},
    outward,
    trust::DEFAULT_VERIFY_DEPTH,
};
use http::{Request, Response};
use rustls::{ClientConfig, pki_types::ServerName};
use services::{FederationComponent, Outbound, OutboundError, RpcCall};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use types::SeededRng;

use crate::support::{
    Backend, Setup, domain,
    plain::{Answer, Raw, serve},
    soon,
};

/// What came through, of either listener: the RPC and the body.
#[derive(Default)]
struct Through(Mutex<Vec<(String, Bytes)>>);

#[async_trait]
impl FederationComponent for Through {
    async fn handle(&self, request: Request<Bytes>) -> Response<Body> {
        let rpc = request.uri().path().rsplit('/').next().unwrap().to_owned();
        self.0.lock().unwrap().push((rpc, request.into_body()));
        Response::new(Body::from("through"))
    }
}

#[async_trait]
impl Outbound for Through {
    async fn send(&self, call: RpcCall) -> Result<Response<Body>, OutboundError> {
        self.0.lock().unwrap().push((call.rpc.to_string(), call.body));
        Ok(Response::new(Body::from("through")))
    }
}

/// One of the listeners.
struct Face {
    name: &'static str,
    address: SocketAddr,
    /// Where it speaks TLS.
    tls: Option<TlsConnector>,
    /// Where RPCs are.
    prefix: &'static str,
    /// What a request must say.
    headers: String,
    through: Arc<Through>,
    _backend: Option<Backend>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Face {
    async fn all_three() -> [Self; 3] {
        let through = Arc::<Through>::default();
        let rng = Arc::new(SeededRng::new(1));
        let router = outward::router(Arc::clone(&through) as _, OutwardLimits::default(), rng, domain("a.example"));
        let outward = Self {
            name: "outward",
            address: serve(router).await,
            tls: None,
            prefix: "/rpc/b.example/brig",
            headers: String::new(),
            through,
            _backend: None,
        };
        let through = Arc::<Through>::default();
        let components = Components::from([(Component::Brig, Arc::clone(&through) as _)]);
        let backend = Backend::with(Setup { components, ..Setup::default() }).await;
        backend.dns.publish("b.example", 600, &[(0, 0, 443, "fed.b.example.")]);
        let forwarded = Forwarded {
            inbound: Arc::clone(&backend.inbound),
            proxies: vec!["127.0.0.1".parse().unwrap()],
            hops: 1,
            limits: ForwardedLimits::default(),
            clock: Arc::clone(&backend.clock) as _,
        };
        let certificate = STANDARD.encode(&backend.certificate("fed.b.example").chain()[0]);
        let forwarded = Self {
            name: "forwarded",
            address: serve(forwarded.router()).await,
            tls: None,
            prefix: "/federation/brig",
            headers: format!("wire-origin-domain: b.example\r\nx-ssl-certificate: {certificate}\r\n"),
            through,
            _backend: Some(backend),
        };
        let through = Arc::<Through>::default();
        let components = Components::from([(Component::Brig, Arc::clone(&through) as _)]);
        let backend = Backend::with(Setup { components, ..Setup::default() }).await;
        // The backend calls itself by another name, with the one certificate it has.
        backend.dns.publish("b.example", 600, &[(0, 0, 443, "fed.a.example.")]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ingress = Ingress {
            backend: domain("a.example"),
            contexts: backend.tls.clone(),
            verify_depth: DEFAULT_VERIFY_DEPTH,
            inbound: Arc::clone(&backend.inbound),
            limits: IngressLimits::default(),
            clock: Arc::clone(&backend.clock) as _,
            observer: Arc::clone(&backend.hops) as _,
        };
        tokio::spawn(ingress.serve(listener, CancellationToken::new()));
        let mut config = ClientConfig::clone(&backend.tls.contexts().connector);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let ingress = Self {
            name: "ingress",
            address,
            tls: Some(TlsConnector::from(Arc::new(config))),
            prefix: "/federation/brig",
            headers: "wire-origin-domain: b.example\r\n".to_owned(),
            through,
            _backend: Some(backend),
        };
        [outward, forwarded, ingress]
    }

    /// A request up to the end of what it must say.
    fn head(&self, target: &str) -> String {
        format!("POST {target} HTTP/1.1\r\nhost: here\r\n{}", self.headers)
    }

    /// What came through since the last time.
    fn through(&self) -> Vec<(String, Bytes)> {
        std::mem::take(&mut self.through.0.lock().unwrap())
    }

    async fn connect(&self) -> Raw<Box<dyn Stream>> {
        let plain = Raw::connect(self.address).await.stream;
        let Some(tls) = &self.tls else { return Raw::over(Box::new(plain)) };
        let name = ServerName::try_from("fed.a.example").unwrap();
        Raw::over(Box::new(soon(tls.connect(name, plain)).await.unwrap()))
    }

    /// Says this on a connection of its own; the first so many answers, or fewer where it is closed before.
    async fn first(&self, count: usize, text: impl AsRef<[u8]>) -> Vec<Answer> {
        let mut raw = self.connect().await;
        raw.say(text).await;
        let mut answers = Vec::new();
        while answers.len() < count
            && let Some(answer) = raw.answer().await
        {
            answers.push(answer);
        }
        answers
    }

    /// All the answers until the connection is closed, which it must be.
    async fn all(&self, text: impl AsRef<[u8]>) -> Vec<Answer> {
        self.first(usize::MAX, text).await
    }
}

fn statuses(answers: &[Answer]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status).collect()
}

#[tokio::test]
async fn framing_that_can_be_read_in_two_ways_is_refused() {
    for face in Face::all_three().await {
        let path = format!("{}/x", face.prefix);
        let hidden = face.head(&format!("{}/hidden", face.prefix)) + "content-length: 1\r\n\r\n2";
        for framing in [
            // Lengths.
            "content-length: 1\r\ncontent-length: 2\r\n\r\n1",
            "content-length: 2\r\ncontent-length: 1\r\n\r\n1",
            "content-length: 1, 2\r\n\r\n1",
            "content-length: +1\r\n\r\n1",
            "content-length: -1\r\n\r\n1",
            "content-length: 0x1\r\n\r\n1",
            "content-length: 1 1\r\n\r\n1",
            "content-length: \r\n\r\n1",
            "content-length: 1_0\r\n\r\n1",
            "content-length: 99999999999999999999999\r\n\r\n1",
            "content-length : 1\r\n\r\n1",
            // Codings.
            "transfer-encoding: identity\r\n\r\n1",
            "transfer-encoding: chunked, identity\r\n\r\n1\r\n1\r\n0\r\n\r\n",
            "transfer-encoding: xchunked\r\n\r\n1\r\n1\r\n0\r\n\r\n",
            "transfer-encoding: chunked;q=1\r\n\r\n1\r\n1\r\n0\r\n\r\n",
            "transfer-encoding: \"chunked\"\r\n\r\n1\r\n1\r\n0\r\n\r\n",
            "transfer-encoding: chunked\x0b\r\n\r\n1\r\n1\r\n0\r\n\r\n",
            "transfer-encoding : chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n",
            " transfer-encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n",
            "x: y\r\n transfer-encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n",
            "x: y\rtransfer-encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n",
            "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n1\r\n1\r\n0\r\n\r\n",
            "content-length: 1\r\ntransfer-encoding: identity\r\n\r\n1",
            // Chunks.
            "transfer-encoding: chunked\r\n\r\n0x1\r\n1\r\n0\r\n\r\n",
            "transfer-encoding: chunked\r\n\r\n-1\r\n1\r\n0\r\n\r\n",
            "transfer-encoding: chunked\r\n\r\n+1\r\n1\r\n0\r\n\r\n",
            "transfer-encoding: chunked\r\n\r\n\r\n1\r\n0\r\n\r\n",
            "transfer-encoding: chunked\r\n\r\n10000000000000001\r\n1\r\n0\r\n\r\n",
            "transfer-encoding: chunked\r\n\r\n1\r\n11\r\n0\r\n\r\n",
            "transfer-encoding: chunked\r\n\r\n1 1\r\n1\r\n0\r\n\r\n",
            "transfer-encoding: chunked\r\n\r\n1\n1\r\n0\r\n\r\n",
            "transfer-encoding: chunked\r\n\r\n1;a\nb\r\n1\r\n0\r\n\r\n",
        ] {
            let answers = face.all(face.head(&path) + framing + &hidden).await;
            assert_eq!(face.through(), [], "{}: {framing:?} -> {:?}", face.name, statuses(&answers));
            assert!(
                answers.iter().all(|answer| (400..500).contains(&answer.status)),
                "{}: {framing:?} -> {:?}",
                face.name,
                statuses(&answers)
            );
            assert!(answers.len() <= 1, "{}: {framing:?}: the connection went on", face.name);
        }
    }
}

/// RFC 9112 §6.1: `Transfer-Encoding` overrides `Content-Length`, and the connection ends with the answer, since another
/// reader may have taken what follows for a part of the body.
#[tokio::test]
async fn a_request_with_a_length_and_a_coding_is_the_last_of_its_connection() {
    for face in Face::all_three().await {
        let path = format!("{}/x", face.prefix);
        let hidden = face.head(&format!("{}/hidden", face.prefix)) + "content-length: 1\r\n\r\n2";
        for framing in [
            "content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n",
            "transfer-encoding: chunked\r\ncontent-length: 11\r\n\r\n1\r\n1\r\n0\r\n\r\n",
            "transfer-encoding: chunked\r\ncontent-length: 0\r\n\r\n1\r\n1\r\n0\r\n\r\n",
        ] {
            let answers = face.all(face.head(&path) + framing + &hidden).await;
            let through = face.through();
            assert!(!through.iter().any(|(rpc, _)| rpc == "hidden"), "{}: {framing:?}: {through:?}", face.name);
            assert!(through.iter().all(|(_, body)| body == "1"), "{}: {framing:?}: {through:?}", face.name);
            assert_eq!(answers.len(), 1, "{}: {framing:?}", face.name);
        }
    }
}

/// What is unusual, but has one meaning, is read so.
#[tokio::test]
async fn framing_with_one_meaning_is_read() {
    for face in Face::all_three().await {
        let path = format!("{}/x", face.prefix);
        let next = face.head(&format!("{}/next", face.prefix)) + "content-length: 1\r\n\r\n2";
        for framing in [
            "content-length: 1\r\n\r\n1",
            "CONTENT-LENGTH:1\r\n\r\n1",
            "content-length: 01\r\n\r\n1",
            "transfer-encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n",
            "Transfer-Encoding:  Chunked \r\n\r\n0001;x=\"y\"\r\n1\r\n0\r\n\r\n",
            "transfer-encoding: chunked\r\ntrailer: x-wire-api-version\r\n\r\n1\r\n1\r\n0\r\nwire-origin-domain: c.example\r\n\r\n",
        ] {
            let answers = face.first(2, face.head(&path) + framing + &next).await;
            assert_eq!(statuses(&answers), [200, 200], "{}: {framing:?}", face.name);
            let expected = [("x".to_owned(), Bytes::from("1")), ("next".to_owned(), Bytes::from("2"))];
            assert_eq!(face.through(), expected, "{}: {framing:?}", face.name);
        }
    }
}

#[tokio::test]
async fn paths_that_lead_astray_are_refused() {
    for face in Face::all_three().await {
        let prefix = face.prefix;
        let (first, rest) = prefix[1..].split_once('/').unwrap();
        let long = "a".repeat(60_000);
        let longer = "a".repeat(70_000);
        for (target, expected) in [
            (format!("/{prefix}/x"), &[404][..]),
            (format!("{prefix}//x"), &[404]),
            (format!("/{first}//{rest}/x"), &[404]),
            (format!("{prefix}/x/"), &[404]),
            (format!("{prefix}/x//"), &[404]),
            (format!("{prefix}/./x"), &[404]),
            (format!("{prefix}/../brig/x"), &[404]),
            (format!("/i/../{first}/{rest}/x"), &[404]),
            (format!("/{first}/../i/users"), &[400, 404]),
            (format!("{prefix}/.."), &[400]),
            (format!("{prefix}/."), &[400]),
            (format!("{prefix}/%2e%2e"), &[400]),
            (format!("{prefix}/..%2fi%2fusers"), &[400]),
            (format!("{prefix}/%2e%2e%2fi"), &[400]),
            (format!("{prefix}/%252e%252e"), &[400]),
            (format!("{prefix}/x%2fy"), &[400]),
            (format!("{prefix}/x%5cy"), &[400]),
            (format!("{prefix}/x%00"), &[400]),
            (format!("{prefix}/x%0d%0ahost:%20y"), &[400]),
            (format!("{prefix}/x%20"), &[400]),
            (format!("{prefix}/x;y"), &[400]),
            (format!("{prefix}/x%3fy"), &[400]),
            (format!("{prefix}/x%"), &[400]),
            (format!("{prefix}/x%zz"), &[400]),
            (format!("{prefix}/%c0%ae%c0%ae"), &[400]),
            (format!("{prefix}/%ff"), &[400]),
            (format!("{prefix}/x\\y"), &[400]),
            (format!("{prefix}/x?y"), &[403]),
            (format!("{prefix}/x??"), &[403]),
            (format!("/{first}%2f{rest}/x"), &[404]),
            (format!("/%{:x}{}/{rest}/x", first.as_bytes()[0], &first[1..]), &[404]),
            (format!("/{}/{rest}/x", first.to_uppercase()), &[404]),
            (format!("{prefix}/{long}."), &[400]),
            (format!("{prefix}/{longer}"), &[414, 431]),
            (format!("{first}/{rest}/x"), &[400, 404]),
            ("*".to_owned(), &[400, 404]),
            ("here:80".to_owned(), &[400, 404]),
            (format!("http://here{}/../x", prefix), &[404]),
            ("http://here".to_owned(), &[404]),
            (format!("http://here/i{prefix}/x"), &[404]),
        ] {
            let shown = &target[..target.len().min(80)];
            let answers = face.first(1, face.head(&target) + "content-length: 1\r\n\r\n1").await;
            assert_eq!(face.through(), [], "{}: {shown}", face.name);
            assert!(
                answers.len() == 1 && expected.contains(&answers[0].status),
                "{}: {shown}: {:?}",
                face.name,
                statuses(&answers)
            );
        }
        for raw in [&b"\0"[..], b"\x01", b"\x7f", b" ", b"\t", b"x y", b"\r"] {
            let target = [prefix.as_bytes(), b"/x", raw].concat();
            let head = face.head("TARGET").into_bytes();
            let at = head.windows(6).position(|bytes| bytes == b"TARGET").unwrap();
            let request = [&head[..at], &target, &head[at + 6..], b"content-length: 1\r\n\r\n1"].concat();
            let answers = face.first(1, request).await;
            assert_eq!(face.through(), [], "{}: {raw:?}", face.name);
            assert!(answers.iter().all(|answer| answer.status == 400), "{}: {raw:?}: {answers:?}", face.name);
        }
        // A name that is long is a name: whoever is asked knows whether there is one.
        let answers = face.first(1, face.head(&format!("{prefix}/{long}")) + "content-length: 1\r\n\r\n1").await;
        assert!(statuses(&answers) == [200] || statuses(&answers) == [400], "{}: {:?}", face.name, statuses(&answers));
        face.through();
    }
}

/// RFC 9112 §3.2.2: a server takes the absolute form, and what stands before the path decides nothing here.
#[tokio::test]
async fn the_absolute_form_is_the_same_request() {
    for face in Face::all_three().await {
        let path = format!("{}/x", face.prefix);
        for origin in ["http://here", "https://elsewhere.example:8443", "HTTP://HERE"] {
            let answers = face.first(1, face.head(&format!("{origin}{path}")) + "content-length: 1\r\n\r\n1").await;
            assert_eq!(statuses(&answers), [200], "{}: {origin}", face.name);
            assert_eq!(face.through(), [("x".to_owned(), Bytes::from("1"))], "{}: {origin}", face.name);
        }
    }
}
