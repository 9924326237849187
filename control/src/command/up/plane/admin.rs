//! The admin interface of an Envoy, on the loopback address.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::{Client, Method};
use serde_json::Value;

use crate::http;

/// The time limit of an answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// An admin interface.
pub(super) struct Admin {
    client: Client,
    address: SocketAddr,
}

impl Admin {
    pub(super) fn at(address: SocketAddr) -> anyhow::Result<Self> {
        let client = http::client(false).timeout(TIMEOUT).build().context("cannot make a client")?;
        Ok(Self { client, address })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns true if Envoy has started whole.
    pub(super) async fn is_live(&self) -> bool {
        self.get("/ready").await.is_ok_and(|state| state.trim() == "LIVE")
    }

    /// Returns the address of the listener, `None` while Envoy has none.
    pub(super) async fn listener(&self) -> anyhow::Result<Option<SocketAddr>> {
        let listeners: Value = serde_json::from_str(&self.get("/listeners?format=json").await?)?;
        let address = listeners.pointer("/listener_statuses/0/local_address/socket_address");
        let member = |name: &str| address.and_then(|address| address.get(name));
        let ip = member("address").and_then(Value::as_str).and_then(|ip| ip.parse().ok());
        let port = member("port_value").and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok());
        Ok(ip.zip(port).filter(|(_, port)| *port != 0).map(|(ip, port)| SocketAddr::new(ip, port)))
    }

    /// Returns the value of a counter or gauge, 0 if Envoy has none of that name.
    pub(super) async fn stat(&self, name: &str) -> anyhow::Result<u64> {
        // The names have no characters that mean something in a regular expression but dots.
        let stats = self.get(&format!("/stats?filter=^{name}$")).await?;
        let line = stats.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.map_or(Ok(0), |value| value.trim().parse().with_context(|| format!("`{name}` is no number")))
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<String> {
        self.ask(Method::GET, path).await
    }

    pub(super) async fn post(&self, path: &str) -> anyhow::Result<()> {
        self.ask(Method::POST, path).await.map(drop)
    }

    async fn ask(&self, method: Method, path: &str) -> anyhow::Result<String> {
        let answer = self.client.request(method, format!("http://{}{path}", self.address)).send().await?;
        let status = answer.status();
        ensure!(status.is_success(), "the admin interface answered {status} to {path}");
        Ok(answer.text().await?)
    }
}
