//! Plain HTTP listeners: the public edge and the internal one.

use std::{
    convert::Infallible,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo};
use http::Request;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use crate::client::Target;

/// How many connections a listener serves at the same time; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 20_000;

/// From the first byte of a request to the end of its headers.
const HEADERS: Duration = Duration::from_secs(10);

/// How long accepting pauses when the process is out of file descriptors.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(50);

/// How many requests of one HTTP/2 connection are answered at the same time.
const MAX_STREAMS: u32 = 250;

/// A bound listener that does not accept yet.
pub struct Bound {
    socket: Socket,
    target: Target,
}

enum Socket {
    Tcp(TcpListener),
    #[cfg(unix)]
    /// The listener, and what removes its file when it goes.
    Unix(tokio::net::UnixListener, #[expect(dead_code, reason = "kept for its drop")] SocketFile),
}

impl Bound {
    /// Binds a TCP address; port 0 takes a free one.
    ///
    /// # Errors
    /// The address is in use, or not ours.
    pub async fn tcp(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let target = Target::Tcp(listener.local_addr()?);
        Ok(Self { socket: Socket::Tcp(listener), target })
    }

    /// Binds a unix socket that only the own user can reach. A socket that a killed process left behind is replaced:
    /// the folder's lock says that nobody uses it.
    ///
    /// # Errors
    /// The path cannot be used, or holds something else than a socket.
    #[cfg(unix)]
    pub fn unix(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::{FileTypeExt, PermissionsExt};
        match fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => fs::remove_file(path)?,
            Ok(_) => return Err(io::Error::from(io::ErrorKind::AlreadyExists)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let listener = tokio::net::UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        let socket = Socket::Unix(listener, SocketFile(path.to_owned()));
        Ok(Self { socket, target: Target::Unix(path.to_owned()) })
    }

    /// There are no unix sockets here.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(unix))]
    pub fn unix(_: &Path) -> io::Result<Self> {
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
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.accept(&places) => accepted,
            };
            match accepted {
                Ok((client, place)) => {
                    let served = client.serve(router.clone(), stop.clone());
                    let cut = cut.clone();
                    tracker.spawn(async move {
                        cut.run_until_cancelled_owned(served).await;
                        drop(place);
                    });
                }
                Err(error) => pause(&error).await,
            }
        }
        // Who comes now is refused and tries elsewhere, instead of waiting in the kernel's queue for nothing.
        drop(self);
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

/// A client that was accepted.
enum Client {
    Tcp(TcpStream, SocketAddr),
    #[cfg(unix)]
    Unix(tokio::net::UnixStream),
}

impl Client {
    async fn serve(self, router: Router, stop: CancellationToken) {
        match self {
            Self::Tcp(stream, peer) => connection(TokioIo::new(stream), Some(peer), router, stop).await,
            #[cfg(unix)]
            Self::Unix(stream) => connection(TokioIo::new(stream), None, router, stop).await,
        }
    }
}

/// Removes the socket when the listener goes.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A connection that broke before it was accepted says nothing; running out of descriptors says: wait.
async fn pause(error: &io::Error) {
    if !matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    ) {
        tracing::warn!(%error, "cannot accept connections");
        tokio::time::sleep(OUT_OF_DESCRIPTORS).await;
    }
}

async fn connection<S>(io: TokioIo<S>, peer: Option<SocketAddr>, router: Router, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(MAX_STREAMS);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        async move {
            let mut request = request.map(Body::new);
            if let Some(peer) = peer {
                request.extensions_mut().insert(ConnectInfo(peer));
            }
            router.oneshot(request).await.map_err(|never: Infallible| match never {})
        }
    });
    let connection = builder.serve_connection_with_upgrades(io, service);
    tokio::pin!(connection);
    let mut draining = false;
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(%error, "a client's connection broke");
                }
                return;
            }
            () = stop.cancelled(), if !draining => {
                draining = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
