//! The thread of the load, which serves connections and runs tasks.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::mpsc,
    thread,
};

use anyhow::{Context as _, Result};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime,
    sync::oneshot,
};

use crate::bench::cores::Cores;

/// A thread off the proxies' core, for the load and the services.
pub(crate) struct Loader {
    handle: runtime::Handle,
    /// The sender whose drop ends the thread.
    _stop: oneshot::Sender<()>,
}

impl Loader {
    /// Starts the thread.
    pub(crate) fn start(cores: &Cores) -> Result<Self> {
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

    /// Serves connections on a free port. Returns the address.
    pub(crate) fn serve<F>(&self, serve: impl Fn(TcpStream) -> F + Send + 'static) -> Result<SocketAddr>
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        self.handle.spawn(async move {
            let listener = TcpListener::from_std(listener)?;
            loop {
                // The proxy reports a connection that fails.
                if let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream));
                }
            }
            #[expect(unreachable_code, reason = "it tells the type of the error")]
            io::Result::Ok(())
        });
        Ok(address)
    }

    /// Runs a task on the thread and waits for its end.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (done, result) = mpsc::channel();
        self.handle.spawn(async move { done.send(work.await) });
        result.recv().context("the load has failed")?
    }
}
