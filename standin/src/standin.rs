//! A running stand-in: its listeners, its record, and what a test tells it to do.

use std::{
    collections::BTreeMap,
    fmt,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{runtime, sync::watch};

use super::received::{Received, Record};
use super::refusal::{Refusal, Refuses};
use super::{certificate, server};

/// The host names of the stand-in: the upstreams of the shipped bootstrap.
pub const UPSTREAM_HOSTS: [&str; 4] =
    ["gateway.ai.cloudflare.com", "api.openai.com", "api.anthropic.com", "generativelanguage.googleapis.com"];

/// A running stand-in. It ends on drop.
pub struct Standin {
    address: SocketAddr,
    certificates: TempDir,
    server: server::Server,
    plain: Mutex<BTreeMap<String, SocketAddr>>,
    record: Arc<Record>,
    held: watch::Sender<bool>,
    refuses: watch::Sender<Refuses>,
    runtime: Option<runtime::Runtime>,
}

impl Standin {
    /// Starts the stand-in on a free port.
    pub fn start() -> Result<Self> {
        Self::start_with(0, &UPSTREAM_HOSTS)
    }

    /// Starts the stand-in on `port`. Its certificate is for `hosts` and its address, signed by a new certificate
    /// authority.
    pub fn start_with(port: u16, hosts: &[&str]) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let certificates = tempfile::tempdir()?;
        let tls = certificate::issue(hosts, &certificates.path().join("ca.pem"))
            .context("cannot issue the stand-in's certificate")?;
        let address = listener.local_addr()?;
        let (record, held) = (Arc::<Record>::default(), watch::Sender::new(false));
        let refuses: watch::Sender<Refuses> = watch::Sender::new(Arc::new(|_| None));
        let server =
            server::Server::new(tls, address, Arc::clone(&record), held.subscribe(), refuses.subscribe());
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        runtime.spawn(server.clone().run(listener));
        let (plain, runtime) = (Mutex::default(), Some(runtime));
        Ok(Self { address, certificates, server, plain, record, held, refuses, runtime })
    }

    /// Returns an address that answers for `host` in plain HTTP, for clients that do not trust the authority. Requests
    /// to the address are recorded as requests to `host`.
    pub fn plain(&self, host: &str) -> Result<SocketAddr> {
        let mut plain = self.plain.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = plain.get(host) {
            return Ok(*address);
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        self.runtime().spawn(self.server.clone().run_plain(listener, host.to_owned(), address));
        plain.insert(host.to_owned(), address);
        Ok(address)
    }

    /// Returns the address that the stand-in listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the PEM file of the certificate authority.
    pub fn ca_file(&self) -> PathBuf {
        self.certificates.path().join("ca.pem")
    }

    /// Returns all complete requests, oldest first.
    pub fn received(&self) -> Vec<Received> {
        self.record.requests()
    }

    /// Returns all complete requests, and clears the record and the bytes of [`Self::wire`].
    pub fn take(&self) -> Vec<Received> {
        self.record.take()
    }

    /// Takes the recorded requests. None of `secrets` may occur in any received byte.
    pub fn take_without(&self, secrets: &[&str]) -> Result<Vec<Received>> {
        let wire = self.wire();
        let received = self.take();
        for secret in secrets {
            let shows = wire.windows(secret.len()).any(|window| window == secret.as_bytes());
            let shows = shows || received.iter().any(|request| request.contains(secret));
            ensure!(!shows, "`{secret}` reached the upstream: {received:?}");
        }
        Ok(received)
    }

    /// Takes the recorded requests like [`Self::take_without`]. There must be exactly one.
    pub fn take_one_without(&self, secrets: &[&str]) -> Result<Received> {
        let mut received = self.take_without(secrets)?;
        match (received.pop(), received.is_empty()) {
            (Some(only), true) => Ok(only),
            (None, _) => bail!("nothing reached the upstream"),
            (Some(last), false) => {
                bail!("more than one request reached the upstream: {received:?}, {last:?}")
            }
        }
    }

    /// Returns every byte that arrived inside TLS, including incomplete and malformed requests.
    pub fn wire(&self) -> Vec<u8> {
        self.record.wire()
    }

    /// Calls `watcher` with each request that arrives from now on.
    pub fn watch(&self, watcher: impl Fn(&Received) + Send + Sync + 'static) {
        self.record.watch(Box::new(watcher));
    }

    /// Holds every event stream after its first event with text, until the release.
    pub fn hold(&self) -> Hold {
        self.held.send_replace(true);
        Hold(self.held.clone())
    }

    /// Refuses every request from now on, with this status and body.
    pub fn refuse(&self, status: u16, body: Value) {
        self.refuse_if(move |_| Some(Refusal { status, headers: Vec::new(), body: body.clone() }));
    }

    /// Refuses requests from now on as `refuses` decides. A redirect counts as a refusal.
    pub fn refuse_if(&self, refuses: impl Fn(&Received) -> Option<Refusal> + Send + Sync + 'static) {
        self.refuses.send_replace(Arc::new(refuses));
    }

    fn runtime(&self) -> &runtime::Runtime {
        self.runtime.as_ref().unwrap_or_else(|| unreachable!("the runtime is only taken by drop"))
    }
}

impl fmt::Debug for Standin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standin")
            .field("address", &self.address)
            .field("record", &self.record)
            .finish_non_exhaustive()
    }
}

impl Drop for Standin {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A guard that holds event streams as long as it lives.
#[derive(Debug)]
pub struct Hold(watch::Sender<bool>);

impl Hold {
    /// Releases the held streams.
    pub fn release(self) {}
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.send_replace(false);
    }
}
