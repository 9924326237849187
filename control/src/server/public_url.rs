//! The address at which people reach the server.

use anyhow::{Context as _, ensure};
use reqwest::Url;

use super::issuer_keys::is_loopback;

/// Reads the address: scheme, host and port. Plain HTTP is for this machine only.
pub(in crate::server) fn read(text: &str) -> anyhow::Result<Url> {
    let expected =
        "invalid `--public-url`: expected the address of this server, such as `https://keyswap.example.com`";
    let url = Url::parse(text).ok().context(expected)?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    ensure!(is_bare && url.username().is_empty() && url.password().is_none(), expected);
    let is_local = is_loopback(&url) || url.host_str() == Some("localhost");
    ensure!(
        url.scheme() == "https" || (url.scheme() == "http" && is_local),
        "invalid `--public-url`: expected `https://…`, since plain HTTP lets others read the sign-in"
    );
    Ok(url)
}
