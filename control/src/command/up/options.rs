//! The options of `keyswap up`, and the check that its ports are free.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::Args;

use super::certificate::Certificate;
use super::host::Host;
use crate::command::listen;
use crate::command::log::LogFormat;
use crate::command::rate;
use crate::command::terminal::{exit, written};
use crate::server::ProxyUrl;

/// The port of the registry beside a policy.
const REGISTRY_PORT: u16 = 7070;

/// Run Keyswap on this machine: a proxy with the registry beside it
///
/// With `--policy` it runs the proxy of the policy, checks the file again when it changes, and puts a valid policy in force
/// while requests go on. A policy that names no `registry` gets the one that runs beside the proxy.
///
/// Without a policy it is for a first try: it makes a token, prints commands to try, and shows what the upstream receives. The
/// upstream is a stand-in that needs no account; with `OPENAI_API_KEY`, `ANTHROPIC_API_KEY` or `GEMINI_API_KEY` in the
/// environment it is the provider itself, and with all of `CF_AIG_TOKEN`, `CLOUDFLARE_ACCOUNT_ID` and
/// `CLOUDFLARE_GATEWAY_ID` your Cloudflare AI Gateway.
///
/// Ctrl-C and SIGTERM end it when the requests in progress have ended; the second one ends it at once.
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap up\n  \
     keyswap up --policy policy.yaml\n  \
     keyswap up --policy policy.yaml --host module --listen 0.0.0.0:443 --tls-cert tls.crt --tls-key tls.key"
))]
pub(crate) struct Up {
    /// Policy to run, in YAML or JSON; it is read again when it changes
    #[arg(long, value_name = "FILE")]
    pub(super) policy: Option<PathBuf>,
    /// Host that runs Keyswap
    #[arg(long, value_enum, default_value_t)]
    pub(super) host: Host,
    /// Address and port for callers, such as `0.0.0.0:10000`, in place of `--port`; where callers come over a network, set `--tls-cert`, too
    #[arg(long, env = "KEYSWAP_UP_LISTEN", value_name = "ADDR", value_parser = listen::parse)]
    pub(super) listen: Option<SocketAddr>,
    /// Port for callers, on the loopback address; 0 selects a free port
    #[arg(long, value_name = "PORT", default_value_t = 10000)]
    pub(super) port: u16,
    /// Port of Envoy's admin interface, on the loopback address; Wasmtime has none
    #[arg(long, value_name = "PORT", default_value_t = 9901)]
    pub(super) admin_port: u16,
    /// File with the certificate for callers, followed by intermediate ones, in PEM; read again when it changes. Needs `--policy` and Envoy
    #[arg(long, env = "KEYSWAP_UP_TLS_CERT", value_name = "FILE", requires_all = ["tls_key", "policy"])]
    pub(super) tls_cert: Option<PathBuf>,
    /// File with the private key of `--tls-cert`, in PEM
    #[arg(long, env = "KEYSWAP_UP_TLS_KEY", value_name = "FILE", requires_all = ["tls_cert", "policy"])]
    pub(super) tls_key: Option<PathBuf>,
    /// Address and port of the dashboard for other machines, such as `0.0.0.0:7070`; it asks for the password, and has TLS with `--tls-cert`
    #[arg(long, env = "KEYSWAP_UP_DASHBOARD_LISTEN", value_name = "ADDR", value_parser = listen::parse)]
    pub(super) dashboard_listen: Option<SocketAddr>,
    /// Port of the registry and its dashboard, on the loopback address [default: 7070 with `--policy` and without `--dashboard-listen`, else a free port]
    #[arg(long, value_name = "PORT")]
    pub(super) registry_port: Option<u16>,
    /// Port of the stand-in [default: a free port]
    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 0,
        hide_default_value = true,
        conflicts_with = "policy"
    )]
    pub(super) gateway_port: u16,
    /// Use the stand-in, whatever keys are in the environment
    #[arg(long, conflicts_with = "policy")]
    pub(super) stand_in: bool,
    /// Folder for the registry's data [default: with `--policy` `$XDG_DATA_HOME/keyswap` or `~/.local/share/keyswap`, else nothing is kept]
    #[arg(long, value_name = "DIR", value_parser = written::path())]
    pub(super) data: Option<PathBuf>,
    /// URL at which callers reach the proxy, for the dashboard's examples [default: the address that it listens on]
    #[arg(long, env = "KEYSWAP_PROXY_URL", value_name = "URL")]
    pub(super) proxy_url: Option<ProxyUrl>,
    /// Number of Envoy's workers [default: with `--policy` one a core, else 1]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) workers: Option<u32>,
    /// Longest wait for requests in progress at the end
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = rate::parse_timeout)]
    pub(super) drain_time: Duration,
    /// Program of Envoy [default: the Python package beside this command, then PATH, then the package of `python3`]
    #[arg(long, env = "KEYSWAP_ENVOY", value_name = "FILE")]
    pub(super) envoy: Option<PathBuf>,
    /// Program of Wasmtime [default: as for Envoy]
    #[arg(long, env = "KEYSWAP_WASMTIME", value_name = "FILE")]
    pub(super) wasmtime: Option<PathBuf>,
    /// Folder with the filter, the module and the component [default: `share/keyswap` beside the command]
    #[arg(long, env = "KEYSWAP_ARTEFACTS", value_name = "DIR")]
    pub(super) artefacts: Option<PathBuf>,
    /// Log filter for standard error, such as `debug` [default: `info` with `--policy`, else `warn`]
    #[arg(long, env = "KEYSWAP_LOG", value_name = "FILTER")]
    pub(super) log: Option<String>,
    /// Form of the log
    #[arg(long, value_enum, default_value_t)]
    pub(super) log_format: LogFormat,
}

impl Up {
    /// Returns the address for callers.
    pub(super) fn listen(&self) -> SocketAddr {
        self.listen.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, self.port).into())
    }

    /// Returns the port of the registry. An address of the dashboard's own may have the usual port.
    pub(super) fn registry_port(&self) -> u16 {
        let is_usual = self.policy.is_some() && self.dashboard_listen.is_none();
        self.registry_port.unwrap_or(if is_usual { REGISTRY_PORT } else { 0 })
    }

    /// Returns the certificate for callers, `None` where they are served without TLS.
    pub(super) fn certificate(&self) -> anyhow::Result<Option<Certificate>> {
        let (Some(chain), Some(key)) = (&self.tls_cert, &self.tls_key) else { return Ok(None) };
        ensure!(
            self.host != Host::Wasmtime,
            "`--tls-cert` needs Envoy: Wasmtime serves without TLS, so put a proxy with TLS in front"
        );
        Certificate::new(chain, key).map(Some)
    }

    /// Returns the program that the user names for the host.
    pub(super) fn program(&self) -> Option<&PathBuf> {
        match self.host {
            Host::Envoy | Host::Module => self.envoy.as_ref(),
            Host::Wasmtime => self.wasmtime.as_ref(),
        }
    }

    /// Returns an error if a port is taken. Envoy itself would share a port with another Envoy of the same user.
    pub(super) fn check_ports(&self) -> anyhow::Result<()> {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let callers = if self.listen.is_some() { "--listen" } else { "--port" };
        check_address(callers, self.listen())?;
        check_address("--registry-port", local(self.registry_port()))?;
        if let Some(address) = self.dashboard_listen {
            check_address("--dashboard-listen", address)?;
        }
        if self.policy.is_none() {
            check_address("--gateway-port", local(self.gateway_port))?;
        }
        if self.host == Host::Wasmtime {
            Ok(())
        } else {
            check_address("--admin-port", local(self.admin_port))
        }
    }
}

fn check_address(option: &str, address: SocketAddr) -> anyhow::Result<()> {
    let port = address.port();
    match TcpListener::bind(address) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            bail!("port {port} is taken: choose another with `{option}` (port 0 takes any free one)")
        }
        Err(error) => {
            Err(error).with_context(|| format!("cannot listen on {address}: choose another with `{option}`"))
        }
        Ok(_) => Ok(()),
    }
}
