//! Plain HTTP listeners: the public edge and the internal one.

mod admission;
mod connection;

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use types::AddressBlock;
use web::metrics::Durations;

use self::admission::{Admission, Admitted};
use crate::{
    client::Target,
    limits::{self, Times},
};

/// A bound listener that does not accept yet.
pub struct Bound {
    socket: Socket,
    target: Target,
    /// What one address may have; `None` where it may have everything.
    share: Option<Admission>,
    /// Whom that does not concern.
    shared_by: Vec<AddressBlock>,
    http2: Http2,
    durations: Option<Durations>,
}

/// What stands behind a listener.
#[derive(Clone)]
struct Behind {
    router: Router,
    /// For what does not reach the router.
    durations: Option<Durations>,
    http2: Http2,
}

/// What HTTP/2 connections may have.
#[derive(Clone, Copy)]
struct Http2 {
    /// How many requests of one are answered at the same time.
    streams: u32,
    /// How long the headers of one may be.
    headers: u32,
}

impl Default for Http2 {
    fn default() -> Self {
        Self { streams: limits::STREAMS, headers: limits::HEADERS }
    }
}

enum Socket {
    Tcp(TcpListener),
    #[cfg(unix)]
    /// The listener, and what removes its file when it goes.
    Unix(tokio::net::UnixListener, SocketFile),
}

impl Bound {
    /// Binds a TCP address; port 0 takes a free one.
    ///
    /// # Errors
    /// The address is in use, or not ours.
    pub async fn tcp(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let target = Target::Tcp(listener.local_addr()?);
        let share = Some(Admission::new(limits::CONNECTIONS_PER_ADDRESS));
        Ok(Self { share, ..Self::of(Socket::Tcp(listener), target) })
    }

    fn of(socket: Socket, target: Target) -> Self {
        Self { socket, target, share: None, shared_by: Vec::new(), http2: Http2::default(), durations: None }
    }

    /// The same, where requests are measured that are refused before they reach the router, which measures the others.
    #[must_use]
    pub fn measured_by(mut self, durations: &Durations) -> Self {
        self.durations = Some(durations.clone());
        self
    }

    /// The same, where so many proxies stand in front: one of them may have every connection, since it brings everybody's
    /// requests.
    #[must_use]
    pub fn behind(mut self, proxies: u8) -> Self {
        if proxies > 0 {
            self.share = None;
        }
        self
    }

    /// The same, where it is known which addresses bring everybody's requests. Others have their share.
    #[must_use]
    pub fn shared_by(mut self, blocks: &[AddressBlock]) -> Self {
        self.shared_by = blocks.to_vec();
        self
    }

    /// The same, where only components of the own backend connect.
    #[must_use]
    pub fn for_components(mut self) -> Self {
        self.share = None;
        self.http2.streams = limits::COMPONENT_STREAMS;
        self
    }

    /// The same, where a proxy brings the certificates of peers in a header.
    #[must_use]
    pub fn for_certificates(mut self) -> Self {
        self.http2.headers = limits::HEADERS_WITH_CERTIFICATE;
        self
    }

    /// Binds a unix socket that only the own user can reach. A socket that a killed process left behind is replaced.
    ///
    /// # Errors
    /// The path cannot be used, holds something else than a socket, or a socket on which somebody answers.
    #[cfg(unix)]
    pub async fn unix(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::{FileTypeExt, PermissionsExt};
        match fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => {
                abandoned(path).await?;
                fs::remove_file(path)?;
            }
            Ok(_) => return Err(io::Error::from(io::ErrorKind::AlreadyExists)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let listener = tokio::net::UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        let socket = Socket::Unix(listener, SocketFile::new(path)?);
        let target = Target::Unix(path.to_owned());
        Ok(Self::of(socket, target))
    }

    /// There are no unix sockets here.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(unix))]
    pub async fn unix(_: &Path) -> io::Result<Self> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }

    /// Where it is.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The TCP address, if it is one.
    pub fn address(&self) -> Option<SocketAddr> {
        match self.target {
            Target::Tcp(address) => Some(address),
            Target::Unix(_) => None,
        }
    }

    /// Accepts until `stop`; then lets open requests end, until `cut`.
    pub async fn serve(self, router: Router, stop: CancellationToken, cut: CancellationToken) {
        let tracker = TaskTracker::new();
        let places = Arc::new(Semaphore::new(limits::CONNECTIONS));
        let behind = Behind { router, durations: self.durations.clone(), http2: self.http2 };
        let begin = |client: Client, place: OwnedSemaphorePermit, right: Option<Admitted>| {
            // On the heap before there is a task, which else would have room for it more than once.
            let served = Box::pin(client.serve(behind.clone(), stop.clone()));
            let cut = cut.clone();
            tracker.spawn(async move {
                cut.run_until_cancelled_owned(served).await;
                drop((place, right));
            });
        };
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.accept(&places) => accepted,
            };
            match accepted {
                Ok((client, place)) => {
                    let Some(right) = client.admitted(self.share.as_ref(), &self.shared_by) else { continue };
                    begin(client, place, right);
                }
                Err(error) => pause(&error).await,
            }
        }
        // Who has connected already, as far as he can tell, is answered; who comes now is refused and tries elsewhere,
        // instead of waiting in the kernel's queue for nothing.
        let Self { socket, share, shared_by, .. } = self;
        for client in socket.queued() {
            let right = client.admitted(share.as_ref(), &shared_by);
            let (Ok(place), Some(right)) = (Arc::clone(&places).try_acquire_owned(), right) else { continue };
            begin(client, place, right);
        }
        tracker.close();
        tracker.wait().await;
    }

    /// The next client, once there is a place for it.
    async fn accept(&self, places: &Arc<Semaphore>) -> io::Result<(Client, OwnedSemaphorePermit)> {
        let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
        let client = match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                let _ = stream.set_nodelay(true);
                Client::Tcp(stream, peer)
            }
            #[cfg(unix)]
            Socket::Unix(listener, _) => Client::Unix(listener.accept().await?.0),
        };
        Ok((client, place))
    }
}

impl Socket {
    /// Closes it, and gives those who had connected and were not accepted yet.
    fn queued(self) -> Vec<Client> {
        match self {
            Self::Tcp(listener) => {
                let queued = listening::queued(listener).into_iter();
                queued.map(|(stream, peer)| Client::Tcp(stream, peer)).collect()
            }
            #[cfg(unix)]
            Self::Unix(listener, file) => {
                drop(file);
                listening::queued_unix(listener).into_iter().map(Client::Unix).collect()
            }
        }
    }
}

/// A client that was accepted.
enum Client {
    Tcp(TcpStream, SocketAddr),
    #[cfg(unix)]
    Unix(tokio::net::UnixStream),
}

impl Client {
    /// The right to be served, `None` if the address has its share already.
    fn admitted(&self, share: Option<&Admission>, shared_by: &[AddressBlock]) -> Option<Option<Admitted>> {
        match (share, self) {
            (Some(share), Self::Tcp(_, peer)) if !shared_by.iter().any(|block| block.contains(peer.ip())) => {
                share.admit(peer.ip()).map(Some)
            }
            _ => Some(None),
        }
    }

    async fn serve(self, behind: Behind, stop: CancellationToken) {
        let times = Times::default();
        match self {
            Self::Tcp(stream, peer) => connection::serve(stream, Some(peer), behind, &times, &stop).await,
            #[cfg(unix)]
            Self::Unix(stream) => connection::serve(stream, None, behind, &times, &stop).await,
        }
    }
}

/// Whether nobody answers on a socket.
#[cfg(unix)]
async fn abandoned(path: &Path) -> io::Result<()> {
    let in_use = || io::Error::new(io::ErrorKind::AddrInUse, "another process answers on this socket");
    match tokio::net::UnixStream::connect(path).await {
        Ok(_) => Err(in_use()),
        Err(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Ok(()),
            // Its queue is full.
            io::ErrorKind::WouldBlock => Err(in_use()),
            _ => Err(error),
        },
    }
}

/// Removes the socket when the listener goes, unless another one has taken its path.
#[cfg(unix)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

#[cfg(unix)]
impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: Self::identity(path)? })
    }

    /// The device, and the file on it.
    fn identity(path: &Path) -> io::Result<(u64, u64)> {
        use std::os::unix::fs::MetadataExt;
        fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
    }
}

#[cfg(unix)]
impl Drop for SocketFile {
    fn drop(&mut self) {
        if Self::identity(&self.path).is_ok_and(|found| found == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A connection that broke before it was accepted says nothing; running out of descriptors says: wait.
async fn pause(error: &io::Error) {
    if !listening::is_of_one_connection(error) {
        tracing::warn!(%error, "cannot accept connections");
        tokio::time::sleep(limits::OUT_OF_DESCRIPTORS).await;
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_socket_in_use_is_refused_and_one_left_behind_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let first = Bound::unix(&path).await.unwrap();
        let refused = Bound::unix(&path).await.err().expect("somebody answers there");
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse, "{refused}");
        assert!(tokio::net::UnixStream::connect(&path).await.is_ok(), "and still does");
        drop(first);
        assert!(!path.exists());
        // A process that was killed.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        Bound::unix(&path).await.unwrap();
    }

    #[tokio::test]
    async fn only_the_own_socket_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let first = Bound::unix(&path).await.unwrap();
        fs::rename(&path, folder.path().join("aside")).unwrap();
        let _second = Bound::unix(&path).await.unwrap();
        drop(first);
        assert!(path.exists(), "it is the second one's");
    }

    /// Whether the second of two connections from one address is served.
    async fn second_is_served(bound: Bound) -> bool {
        let (stop, cut) = (CancellationToken::new(), CancellationToken::new());
        let at = bound.address().unwrap();
        let serving = tokio::spawn(bound.serve(Router::new(), stop.clone(), cut.clone()));
        let first = TcpStream::connect(at).await.unwrap();
        let mut second = TcpStream::connect(at).await.unwrap();
        second.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        // Closed before its request was read, it may end by a reset.
        let read = second.read(&mut answer).await.unwrap_or(0);
        assert_eq!(first.try_read(&mut [0; 1]).unwrap_err().kind(), io::ErrorKind::WouldBlock, "the first stays");
        stop.cancel();
        cut.cancel();
        serving.await.unwrap();
        read > 0
    }

    #[tokio::test]
    async fn an_address_has_its_share_unless_it_brings_everybodys_requests() {
        let bound = async || {
            let mut bound = Bound::tcp(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
            bound.share = Some(Admission::new(1));
            bound
        };
        let block = |text: &str| -> Vec<AddressBlock> { vec![text.parse().unwrap()] };
        assert!(!second_is_served(bound().await).await);
        assert!(!second_is_served(bound().await.behind(0)).await);
        assert!(second_is_served(bound().await.behind(1)).await);
        assert!(second_is_served(bound().await.shared_by(&block("127.0.0.0/8"))).await);
        assert!(!second_is_served(bound().await.shared_by(&block("192.0.2.0/24"))).await);
        assert!(second_is_served(bound().await.for_components()).await);
    }
}
