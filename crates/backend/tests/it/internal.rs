//! Who may call the internal listener.

use backend::{
    Node, Surroundings,
    client::{Call, Target},
};
use http::header;

use crate::life::configured;

async fn status(node: &Node, host: &str) -> u16 {
    let call = Call::get(node.internal(), "/i/status").header(header::HOST, host);
    call.send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_called_by_its_address_by_loopback_names_and_by_those_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = configured(folder.path());
    config.internal.hosts = vec!["Ferrule".into(), "10.0.0.3:81".into()];
    let node = Node::start(config, Surroundings::default()).await.unwrap();
    let Target::Tcp(address) = *node.internal() else { panic!("configured as TCP") };
    for host in [&address.to_string(), "localhost", "127.0.0.1:1", "[::1]", "ferrule", "ferrule:8081", "10.0.0.3:81"] {
        assert_eq!(status(&node, host).await, 200, "{host}");
    }
    for host in ["10.0.0.3", "10.0.0.3:82", "ferrule.example", "a.example"] {
        assert_eq!(status(&node, host).await, 421, "{host}");
    }
    node.stop(std::future::pending()).await;
}
