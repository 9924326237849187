//! The registry beside the proxy, in this process: no credential of the registry is in an argument or a file.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::folder::Folder;
use super::url::url_of;
use crate::command::secret_variable;
use crate::registry::{Actor, Listing, NewToken, Registry, SecretText, Source};
use crate::server::{self, ConnectionLimits, Listeners, Options, ProxyUrl, State, Tls, TlsFiles};

/// The label and owner of the token for a first try.
const LABEL: &str = "keyswap-up";
const OWNER: &str = "you@example.com";

/// The time for a client to send a request, and to take the answer.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(20);
/// All clients are on this machine.
const MAX_CONNECTIONS: u32 = 4096;
/// The time for which hourly usage is kept.
const USAGE_RETENTION: Duration = Duration::from_hours(400 * 24);

/// A registry that has an address, and does not answer yet.
pub(super) struct Beside {
    registry: Registry,
    listener: TcpListener,
    address: SocketAddr,
    credential: SecretText,
    dashboard: Option<Dashboard>,
}

/// An address of the dashboard for other machines. Data planes are not served there.
pub(super) struct Dashboard {
    listener: TcpListener,
    tls: Option<Tls>,
}

/// A registry that answers.
pub(super) struct Serving {
    address: SocketAddr,
    /// The dashboard for other machines: if it has TLS, and its address.
    outside: Option<(bool, SocketAddr)>,
    password: Password,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// The administrator's password, as far as it is known.
pub(super) enum Password {
    /// The registry has made it just now.
    New(SecretText),
    /// The registry has made it just now, and it is in this file.
    InFile(PathBuf),
    /// It is in the environment, or known from an earlier run.
    Known,
}

impl Dashboard {
    /// Takes the address that the options name, `None` where they name none.
    pub(super) async fn open(
        address: Option<SocketAddr>,
        tls: Option<&TlsFiles>,
    ) -> anyhow::Result<Option<Self>> {
        let Some(address) = address else { return Ok(None) };
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
        let tls = tls.cloned().map(Tls::new).transpose().context("the dashboard cannot use TLS")?;
        Ok(Some(Self { listener, tls }))
    }
}

impl Beside {
    /// Opens the database, and takes a port on the loopback address.
    pub(super) async fn open(
        port: u16,
        folder: &Folder,
        dashboard: Option<Dashboard>,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.with_context(|| format!("cannot listen on port {port}"))?;
        let address = listener.local_addr()?;
        let registry = Registry::open(&folder.database()).await.context("cannot open the registry")?;
        let given = secret_variable::REGISTRY_TOKEN.read()?;
        let credential = given.map_or_else(SecretText::mint_credential, Ok)?;
        Ok(Self { registry, listener, address, credential, dashboard })
    }

    /// Returns the base URL.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the credential of the data plane.
    pub(super) fn credential(&self) -> &SecretText {
        &self.credential
    }

    /// Mints a token for these providers, unless the registry has tokens already.
    pub(super) async fn mint(&self, providers: &[&str]) -> anyhow::Result<Option<SecretText>> {
        let listing = Listing { limit: Some(1), ..Listing::default() };
        if !self.registry.tokens(&listing).await?.items.is_empty() {
            return Ok(None);
        }
        let new = NewToken {
            label: LABEL.to_owned(),
            owner: Some(OWNER.to_owned()),
            providers: providers.iter().map(ToString::to_string).collect(),
            ..NewToken::default()
        };
        let created = self.registry.create_token(Source::Mint, new, &Actor::new("keyswap up")).await?;
        Ok(created.token)
    }

    /// Answers from now on. The dashboard's examples name the proxy.
    pub(super) async fn serve(self, proxy_url: ProxyUrl, folder: &Folder) -> anyhow::Result<Serving> {
        let Self { registry, listener, address, credential, dashboard } = self;
        let options = Options {
            proxy_url,
            environment: None,
            patience: CLIENT_TIMEOUT,
            connections: ConnectionLimits { total: MAX_CONNECTIONS, per_address: None },
            tls: None,
            usage_retention: USAGE_RETENTION,
            access: None,
            oidc: None,
            kubernetes: None,
            sessions: None,
        };
        let given = secret_variable::ADMIN_PASSWORD.read()?;
        let state = State::new(registry, Some(credential), given, None, options);
        let password = match server::first_password(&state).await? {
            None => Password::Known,
            Some(password) => match folder.keep_secret("admin-password", &password)? {
                Some(file) => Password::InFile(file),
                None => Password::New(password),
            },
        };
        let (stop, stopped) = oneshot::channel();
        // A sender that is dropped stops the server, too.
        let stopped = async move { drop(stopped.await) };
        let listeners = Listeners { all: listener, administration: None };
        let mut outside = None;
        // The password is there by now: the dashboard is never open without one.
        if let Some(Dashboard { listener, tls }) = dashboard {
            outside = Some((tls.is_some(), listener.local_addr()?));
            tokio::spawn(server::run_dashboard(listener, tls, state.clone()));
        }
        let task = tokio::spawn(server::run(listeners, None, state, stopped));
        Ok(Serving { address, outside, password, stop: Some(stop), task })
    }
}

impl Serving {
    /// Returns the base URL.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the URL of the dashboard for people: the one for other machines, if there is one.
    pub(super) fn dashboard(&self) -> anyhow::Result<String> {
        let (has_tls, address) = self.outside.unwrap_or((false, self.address));
        Ok(format!("{}/admin", url_of(has_tls, address)?))
    }

    /// Returns the address of the dashboard for other machines, and if it has TLS. `None` if it is for this machine only.
    pub(super) fn outside(&self) -> Option<(bool, SocketAddr)> {
        self.outside
    }

    pub(super) fn password(&self) -> &Password {
        &self.password
    }

    /// Waits for the end of the server, which nobody asked for, and returns it as an error.
    pub(super) async fn fails(&mut self) -> anyhow::Error {
        match (&mut self.task).await {
            Ok(()) => anyhow!("the registry has ended"),
            Err(error) => anyhow!("the registry has ended: {error}"),
        }
    }

    /// Answers the requests in progress, and ends the server.
    pub(super) async fn end(mut self) {
        drop(self.stop.take());
        let _ = (&mut self.task).await;
    }
}
