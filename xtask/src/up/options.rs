//! The options of `cargo xtask up`, and the check that its ports are free.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, TcpListener},
};

use anyhow::{Context as _, Result, bail};

use super::host::Host;

/// The options of `cargo xtask up`. Port 0 selects a free port.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Host that runs Keyswap.
    #[arg(long, value_enum, default_value_t)]
    pub(super) host: Host,
    /// Port that Keyswap listens on.
    #[arg(long, default_value_t = 10000)]
    pub(super) port: u16,
    /// Port of Envoy's admin interface; Wasmtime has none.
    #[arg(long, default_value_t = 9901)]
    pub(super) admin_port: u16,
    /// Port of the stand-in gateway [default: any free port].
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub(super) gateway_port: u16,
}

impl Options {
    /// Returns an error if a port is taken. The check runs before the builds, so that the error comes at once.
    pub(super) fn check_ports(&self) -> Result<()> {
        let admin = matches!(self.host, Host::Envoy).then_some(("--admin-port", self.admin_port));
        let ports = [("--port", self.port), ("--gateway-port", self.gateway_port)];
        ports.into_iter().chain(admin).try_for_each(|(flag, port)| check_port(flag, port))
    }
}

fn check_port(flag: &str, port: u16) -> Result<()> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            bail!("port {port} is taken: choose another with `{flag}` (`{flag} 0` takes any free one)")
        }
        Err(error) => {
            Err(error).with_context(|| format!("cannot listen on port {port}: choose another with `{flag}`"))
        }
        Ok(_) => Ok(()),
    }
}
