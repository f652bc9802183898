//! How a node ends.

use std::{
    future::pending,
    io,
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use backend::{
    Node, Surroundings,
    client::Target,
    config::{self, Bind, Config},
    init::{self, Init},
};
use store::{OpenError, Options, Place, Store};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use types::{Clock as _, SystemClock, SystemRng};

/// Longer than anything here takes, shorter than a node that drains.
const SOON: Duration = Duration::from_secs(8);

pub fn configured(folder: &Path) -> Config {
    let (domain, infra) = ("a.example".parse().unwrap(), "federator.a.example".parse().unwrap());
    init::write(folder, &Init { domain, infra, data: "data".into(), now: SystemClock.now() }, &SystemRng).unwrap();
    let mut config = config::load(&folder.join(init::file::CONFIG), std::iter::empty()).unwrap();
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    config.edge.listen = any_port;
    config.internal.listen = Bind::Tcp(any_port);
    config.federation.as_mut().unwrap().listen = any_port;
    config
}

/// A node, its data folder, and its listeners.
async fn node(folder: &TempDir) -> (Node, Config, [SocketAddr; 3]) {
    let config = configured(folder.path());
    let node = Node::start(config.clone(), Surroundings::default()).await.unwrap();
    let Target::Tcp(internal) = *node.internal() else { panic!("configured as TCP") };
    let listeners = [node.edge(), internal, node.federation().unwrap()];
    for listener in listeners {
        TcpStream::connect(listener).await.unwrap();
    }
    (node, config, listeners)
}

/// Waits for what happens elsewhere in this process without telling.
async fn soon(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + SOON;
    while !so().await {
        assert!(Instant::now() < end, "{what}");
        tokio::task::yield_now().await;
    }
}

async fn refuses(listener: SocketAddr) -> bool {
    TcpStream::connect(listener).await.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

fn is_unlocked(config: &Config) -> bool {
    match Store::open(Options::new(Place::Folder(config.data.clone()), config.domain.clone())) {
        Ok(_) => true,
        Err(OpenError::InUse { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

/// A client in the middle of a request.
async fn half_a_login(edge: SocketAddr) -> TcpStream {
    let mut client = TcpStream::connect(edge).await.unwrap();
    let head = "POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n";
    let expect = "Expect: 100-continue\r\nConnection: close\r\n\r\n";
    client.write_all(format!("{head}{expect}").as_bytes()).await.unwrap();
    // The answer to the expectation says that the request has reached its handler.
    let mut told = [0; 25];
    client.read_exact(&mut told).await.unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_node_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (node, config, listeners) = node(&folder).await;
    assert!(!is_unlocked(&config));
    let mut client = half_a_login(listeners[0]).await;
    drop(node);
    for listener in listeners {
        soon("the listener is gone", async || refuses(listener).await).await;
    }
    let ended = tokio::time::timeout(SOON, client.read(&mut [0; 1])).await;
    assert!(matches!(ended, Ok(Ok(0) | Err(_))), "the connection ends: {ended:?}");
    soon("the folder is free again", async || is_unlocked(&config)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_node_finishes_what_was_begun_and_takes_nothing_new() {
    let folder = tempfile::tempdir().unwrap();
    let (node, config, listeners) = node(&folder).await;
    let mut client = half_a_login(listeners[0]).await;
    let stopping = tokio::spawn(node.stop(pending()));
    for listener in listeners {
        soon("the listener is gone", async || refuses(listener).await).await;
    }
    assert!(!stopping.is_finished());
    client.write_all(b"{}").await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    tokio::time::timeout(SOON, stopping).await.unwrap().unwrap();
    assert!(is_unlocked(&config));
}
