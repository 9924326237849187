//! `keyswap serve`: runs the registry's server until SIGTERM or SIGINT.

mod access;
mod kubernetes;
mod oidc;
mod sessions;
mod tls;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use self::access::AccessArgs;
use self::kubernetes::KubernetesArgs;
use self::oidc::OidcArgs;
use self::sessions::SessionArgs;
use self::tls::TlsArgs;
use super::log::LogFormat;
use super::terminal::exit::{self, Exit};
use super::terminal::{input, output};
use super::{environment, listen, log, rate, secret_variable};
use crate::kubernetes::{Source, Status};
use crate::registry::{DatabaseUrl, Registry};
use crate::server::{self, Access, ConnectionLimits, Listeners, Oidc, Options, ProxyUrl, State, Tls};
use crate::signing::{MAX_KEY_BYTES, SigningKey};

/// The database where none is named.
const DEFAULT_DATABASE: &str = "sqlite://keyswap.db";

/// Serve the token registry
///
/// Data planes authenticate with credentials that `keyswap credential create` makes, or with the one in
/// `KEYSWAP_REGISTRY_TOKEN`, or in the file that `KEYSWAP_REGISTRY_TOKEN_FILE` names. Administrators sign in with the password in `KEYSWAP_ADMIN_PASSWORD`, or in the
/// file that `KEYSWAP_ADMIN_PASSWORD_FILE` names. The server prints its address when it is ready. On SIGTERM and SIGINT
/// it answers the requests in progress and stops.
#[derive(Args)]
#[command(
    after_help = exit::help(
        "  KEYSWAP_REGISTRY_TOKEN=$(openssl rand -hex 32) keyswap serve\n  \
         keyswap serve --listen 0.0.0.0:7070 --database postgres://keyswap@db/keyswap"
    )
)]
pub(crate) struct Serve {
    /// Address and port to listen on; port 0 selects a free port
    #[arg(long, env = "KEYSWAP_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:7070", value_parser = listen::parse)]
    listen: SocketAddr,
    /// Address and port of the dashboard and the administration API; `--listen` then has only the API for data planes
    #[arg(long, env = "KEYSWAP_ADMIN_LISTEN", value_name = "ADDR", value_parser = listen::parse)]
    admin_listen: Option<SocketAddr>,
    /// Database of the registry: `sqlite://FILE`, which is created on the first start, or `postgres://…` (default:
    /// `KEYSWAP_DATABASE`, or the content of the file that `KEYSWAP_DATABASE_FILE` names, or `sqlite://keyswap.db`)
    ///
    /// Other users of a machine can read the arguments of a process. Pass a URL with a password in the environment or in
    /// a file.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// URL at which callers reach the proxy, for the dashboard's examples
    #[arg(long, env = "KEYSWAP_PROXY_URL", value_name = "URL", default_value = "http://127.0.0.1:10000")]
    proxy_url: ProxyUrl,
    /// Name of the environment in the head of the dashboard, such as `production`
    #[arg(long, env = "KEYSWAP_ENVIRONMENT", value_name = "NAME", value_parser = environment::parse)]
    environment: Option<String>,
    /// Time limit for a client to send the head of a request, then its body, and then to read the answer
    ///
    /// A connection on which no request arrives for this time is closed.
    #[arg(
        long,
        env = "KEYSWAP_CLIENT_TIMEOUT",
        value_name = "TIME",
        default_value = "20s",
        value_parser = rate::parse_timeout
    )]
    client_timeout: Duration,
    /// Maximum number of open connections; further ones are closed at once
    #[arg(
        long,
        env = "KEYSWAP_MAX_CONNECTIONS",
        value_name = "COUNT",
        default_value_t = 4096,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    max_connections: u32,
    /// Maximum number of open connections from one IPv4 address or IPv6 /64 network; 0 for no limit
    ///
    /// Behind a proxy all clients have the proxy's address: set 0, and limit connections in the proxy.
    #[arg(long, env = "KEYSWAP_MAX_CONNECTIONS_PER_ADDRESS", value_name = "COUNT", default_value_t = 1024)]
    max_connections_per_address: u32,
    /// Time for which hourly usage is kept, from `1d` to `4000d`
    #[arg(
        long,
        env = "KEYSWAP_USAGE_RETENTION",
        value_name = "TIME",
        default_value = "400d",
        value_parser = rate::parse_retention
    )]
    usage_retention: Duration,
    /// File with the private key that signs records of tokens and people, as `policy keygen` writes it
    ///
    /// Data planes whose policy pins the public key in `registry.keys` accept no other records. Use another key than for policies.
    #[arg(long, env = "KEYSWAP_RECORDS_KEY", value_name = "FILE")]
    records_key: Option<PathBuf>,
    /// Log filter for standard error, such as `debug` or `keyswap=trace,sqlx=warn`
    #[arg(long, env = "KEYSWAP_LOG", value_name = "FILTER", default_value = "info")]
    log: String,
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    access: AccessArgs,
    #[command(flatten)]
    oidc: OidcArgs,
    #[command(flatten)]
    kubernetes: KubernetesArgs,
    #[command(flatten)]
    sessions: SessionArgs,
}

impl Serve {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        log::start(&self.log, LogFormat::Text)?;
        let registry_token = secret_variable::REGISTRY_TOKEN.read()?;
        let admin_password = secret_variable::ADMIN_PASSWORD.read()?;
        let records_key = self.records_key.as_deref().map(records_key).transpose()?;
        let access = self.access.settings().map(|settings| Access::new(&settings)).transpose()?;
        let public_url = self.oidc.public_url.clone();
        let oidc = self.oidc.settings()?.map(Oidc::new).transpose()?;
        let kubernetes = self.kubernetes.settings()?;
        let sessions = self.sessions.issuer(public_url.as_deref(), access.is_some() || oidc.is_some())?;
        let database = database(self.database.as_deref())?;
        let connections = ConnectionLimits {
            total: self.max_connections,
            per_address: Some(self.max_connections_per_address).filter(|limit| *limit > 0),
        };
        let (proxy_url, environment) = (self.proxy_url, self.environment);
        let (patience, usage_retention) = (self.client_timeout, self.usage_retention);
        let runtime = tokio::runtime::Runtime::new().context("cannot start")?;
        runtime.block_on(async {
            let stop = stop()?;
            let registry = Registry::open(&database).await?;
            if registry_token.is_none() && registry.credentials().await?.is_empty() {
                bail!(
                    "no data plane could authenticate: {}, or create a credential with `keyswap credential create`",
                    secret_variable::REGISTRY_TOKEN.remedy()
                );
            }
            let listeners = listeners(self.listen, self.admin_listen).await?;
            let tls = self.tls.files().map(Tls::new).transpose().context("cannot use TLS")?;
            tell_addresses(&listeners, tls.is_some())?;
            let (state, secrets) = (tls.as_ref().map(Tls::state), Status::default());
            let options = Options {
                proxy_url,
                environment,
                patience,
                connections,
                tls: state,
                usage_retention,
                access,
                oidc,
                kubernetes: kubernetes.as_ref().map(|_| secrets.clone()),
                sessions,
            };
            let source = kubernetes.map(|(api, bounds)| Source::new(registry.clone(), api, bounds, secrets));
            let state = State::new(registry, registry_token, admin_password, records_key, options);
            if let Some(password) = server::first_password(&state).await? {
                output::print(&format!("first password: {} (it is not shown again)", password.expose()))?;
            }
            tokio::select! {
                () = server::run(listeners, tls, state, stop) => Ok(Exit::Ok),
                error = follow(source) => Err(error),
            }
        })
    }
}

/// Returns the database that the argument or the environment names, or else the default.
fn database(argument: Option<&str>) -> anyhow::Result<DatabaseUrl> {
    if let Some(url) = argument {
        return Ok(url.parse()?);
    }
    let named = secret_variable::DATABASE.read()?.filter(|url| !url.expose().is_empty());
    Ok(named.as_ref().map_or(DEFAULT_DATABASE, |url| url.expose()).parse()?)
}

async fn listeners(all: SocketAddr, administration: Option<SocketAddr>) -> anyhow::Result<Listeners> {
    let bind = async |address: SocketAddr| {
        TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
    };
    let administration = match administration {
        None => None,
        Some(address) => Some(bind(address).await?),
    };
    Ok(Listeners { all: bind(all).await?, administration })
}

fn tell_addresses(listeners: &Listeners, has_tls: bool) -> anyhow::Result<()> {
    let scheme = if has_tls { "https" } else { "http" };
    output::print(&format!("listening on {scheme}://{}", listeners.all.local_addr()?))?;
    if let Some(administration) = &listeners.administration {
        output::print(&format!("administration on {scheme}://{}", administration.local_addr()?))?;
    }
    Ok(())
}

/// Follows the Secrets of a cluster, if there is such a source. Completes if that cannot go on.
async fn follow(source: Option<Source>) -> anyhow::Error {
    match source {
        Some(source) => source.run().await,
        None => std::future::pending().await,
    }
}

fn records_key(path: &Path) -> anyhow::Result<SigningKey> {
    SigningKey::read(&input::read(path, MAX_KEY_BYTES)?)
        .with_context(|| format!("cannot sign records with {}", input::name(path)))
}

/// Returns a future that completes on SIGTERM or SIGINT.
fn stop() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
