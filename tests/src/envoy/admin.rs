//! The admin interface of an Envoy.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{
    http::{self, Request},
    server::Process,
    until,
};

pub(super) fn serves(admin_address: SocketAddr) -> Option<()> {
    admin(admin_address, "/ready").ok().filter(|state| state.trim() == "LIVE").map(drop)
}

pub(super) fn admin(address: SocketAddr, path: &str) -> Result<String> {
    let response = http::send(address, &Request::get(path))?;
    ensure!(response.status == 200, "the admin interface answered {} to {path}", response.status);
    Ok(response.text())
}

/// Returns the statistics of the module that match a filter such as `?filter=a|b`, by the names that the filter has for them.
pub(super) fn as_of_filter(address: SocketAddr, wanted: &str) -> Result<String> {
    let wanted: Vec<&str> = wanted.trim_start_matches("?filter=").split('|').collect();
    let stats = admin(address, "/stats")?;
    let stats = stats.replace("dynamicmodulescustom.", "wasmcustom.").replace(".keyswap_", ".");
    let is_wanted = |line: &&str| wanted.iter().any(|wanted| line.contains(wanted));
    Ok(stats.split_inclusive('\n').filter(is_wanted).collect())
}

pub(super) fn listener_address(admin_address: SocketAddr) -> Result<SocketAddr> {
    let listeners: Value = serde_json::from_str(&admin(admin_address, "/listeners?format=json")?)?;
    let port = listeners.pointer("/listener_statuses/0/local_address/socket_address/port_value");
    let port = port.and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok());
    Ok((Ipv4Addr::LOCALHOST, port.context("Envoy does not say where it listens")?).into())
}

/// Returns the address in the file `admin`, `None` while it is incomplete: Envoy does not write it atomically.
pub(super) fn admin_address(process: &Process) -> Result<Option<SocketAddr>> {
    match fs::read_to_string(process.folder().join("admin")) {
        Ok(address) => Ok(address.trim().parse().ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Waits until an answer has all of these texts.
pub(super) fn until_it_has(ask: impl Fn() -> Result<String>, texts: &[&str]) -> Result<()> {
    let mut answer = String::new();
    let has_all = until("all is counted", || {
        answer = ask()?;
        Ok(texts.iter().all(|text| answer.contains(text)))
    });
    has_all.map(drop).with_context(|| format!("{texts:?} are not all in:\n{answer}"))
}
