//! The load: a small client on one thread, with the upstream and whatever else the proxies call beside it.
//!
//! Why not a load generator off the shelf: it has to rotate over thousands of tokens, to say when a request was *due* (a
//! client that waits for a slow answer before it sends the next request hides how slow it was), and to cost less than the
//! proxy that it measures, with which it shares two cores. None of those in Debian or on crates.io does all three.

mod clock;
mod slice;
mod streams;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use anyhow::{Context as _, Result};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    runtime,
    sync::oneshot,
};

use super::{
    cores::Cores,
    wire::{Connection, PADDING},
};

pub(super) use slice::{Pace, Slice, Taken};
pub(super) use streams::Streams;

/// A thread off the proxies' core, for all that has to be cheap and at once.
pub(super) struct Loader {
    handle: runtime::Handle,
    /// Dropped, it ends the thread.
    _stop: oneshot::Sender<()>,
}

impl Loader {
    pub(super) fn start(cores: &Cores) -> Result<Self> {
        let cores = *cores;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        thread::Builder::new().name("load".to_owned()).spawn(move || {
            cores.keep_to_others()?;
            let _ = runtime.block_on(stopped);
            runtime.shutdown_background();
            anyhow::Ok(())
        })?;
        Ok(Self { handle, _stop: stop })
    }

    /// Serves the connections to a free port.
    pub(super) fn serve<F>(&self, serve: impl Fn(TcpStream) -> F + Send + 'static) -> Result<SocketAddr>
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        self.handle.spawn(async move {
            let listener = TcpListener::from_std(listener)?;
            loop {
                // A connection that fails is the proxy's to tell of.
                if let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream));
                }
            }
            #[expect(unreachable_code, reason = "it tells the type of the error")]
            io::Result::Ok(())
        });
        Ok(address)
    }

    /// Does something on the thread and waits for its end.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (done, result) = mpsc::channel();
        self.handle.spawn(async move { done.send(work.await) });
        result.recv().context("the load has failed")?
    }
}

/// What is sent, one after the other, and after the last from the first again.
#[derive(Debug)]
pub(super) struct Requests {
    all: Vec<Box<[u8]>>,
    /// So many bytes more of each body.
    padding: usize,
    /// What each must be answered with.
    status: u16,
    next: AtomicUsize,
}

impl Requests {
    /// Requests as they are sent, and the status that each must be answered with.
    pub(super) fn new(all: impl IntoIterator<Item = String>, status: u16) -> Arc<Self> {
        let all = all.into_iter().map(|request| request.into_bytes().into_boxed_slice()).collect();
        Arc::new(Self { all, padding: 0, status, next: AtomicUsize::default() })
    }

    /// One request, of which only the beginning is given; so many bytes come behind it.
    pub(super) fn padded(request: String, padding: usize) -> Arc<Self> {
        let all = vec![request.into_bytes().into_boxed_slice()];
        Arc::new(Self { all, padding, status: 200, next: AtomicUsize::default() })
    }

    /// The first.
    pub(super) fn first(&self) -> &[u8] {
        self.all.first().map_or(&[], |request| request)
    }

    fn next(&self) -> &[u8] {
        let place = self.next.fetch_add(1, Ordering::Relaxed) % self.all.len().max(1);
        self.all.get(place).map_or(&[], |request| request)
    }
}

/// A client's connection to a proxy.
struct Client {
    address: SocketAddr,
    connection: Connection,
}

impl Client {
    async fn open(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { address, connection: Connection::new(TcpStream::connect(address).await?)? })
    }

    /// Sends the next request and reads its answer, on a new connection if the proxy closes this one afterwards.
    async fn exchange(&mut self, requests: &Requests) -> Result<()> {
        let stream = &mut self.connection.stream;
        stream.write_all(requests.next()).await?;
        let mut left = requests.padding;
        while left > 0 {
            let part = PADDING.get(..left).unwrap_or(PADDING.as_slice());
            stream.write_all(part).await?;
            left -= part.len();
        }
        let head = self.connection.head().await?.context("the proxy closed the connection")?;
        let (status, expected) = (head.status(), requests.status);
        anyhow::ensure!(status == Some(expected), "a request was answered {status:?}, not {expected}");
        self.connection.skip_body(&head).await?;
        if head.value("connection") == Some(b"close") {
            *self = Self::open(self.address).await?;
        }
        Ok(())
    }
}
