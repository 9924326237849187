//! A session with a server: sign-in, requests, sign-out; or requests with an API key.
//!
//! The password is sent to one address only: redirects are not followed, and without TLS no proxy is used.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue};
use reqwest::{Client, Method, StatusCode, Url, redirect};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::address::Address;
use super::response::{self, NotKeyswapError, Success};
use crate::http;
use crate::registry::{Listing, Page, SecretText};
use crate::server::admin::origin::CLIENT;

/// The time limit of signing out. Sign-out is best effort: a session expires by itself.
const FAREWELL: Duration = Duration::from_secs(2);

/// A signed-in session with a server, or an API key.
pub(in crate::command) struct Remote {
    runtime: Runtime,
    client: Client,
    address: Address,
    /// The header with the session or the key, `None` before the sign-in.
    proof: Option<(HeaderName, HeaderValue)>,
}

impl Remote {
    pub(in crate::command) fn sign_in(
        address: Address,
        timeout: Duration,
        password: &SecretText,
    ) -> anyhow::Result<Self> {
        let runtime = Runtime::new().context("cannot start")?;
        let client = client(&address, timeout)?;
        let mut remote = Self { runtime, client, address, proof: None };
        let url = remote.address.at(&["admin", "session"]);
        let answer = remote.send(Method::POST, url, &json!({"password": password.expose()}))?;
        remote.proof = Some((COOKIE, session(&answer).context(NotKeyswapError)?));
        Ok(remote)
    }

    /// Returns a connection that sends an API key.
    pub(in crate::command) fn with_key(
        address: Address,
        timeout: Duration,
        key: &SecretText,
    ) -> anyhow::Result<Self> {
        let runtime = Runtime::new().context("cannot start")?;
        let client = client(&address, timeout)?;
        let value = HeaderValue::from_str(&format!("Bearer {}", key.expose()));
        let mut value = value.ok().context("the API key has a character that no key has")?;
        value.set_sensitive(true);
        Ok(Self { runtime, client, address, proof: Some((AUTHORIZATION, value)) })
    }

    pub(super) fn ask<T: for<'de> Deserialize<'de>>(
        &self,
        method: Method,
        path: &[&str],
        body: &Value,
    ) -> anyhow::Result<T> {
        response::json(&self.send(method, self.at(path), body)?.body)
    }

    pub(super) fn get<T: for<'de> Deserialize<'de>>(&self, path: &[&str]) -> anyhow::Result<T> {
        self.ask(Method::GET, path, &Value::Null)
    }

    /// Sends a request with query parameters. Empty ones are left out.
    pub(super) fn query<T: for<'de> Deserialize<'de>>(
        &self,
        path: &[&str],
        parameters: &[(&str, String)],
    ) -> anyhow::Result<T> {
        let mut url = self.at(path);
        url.query_pairs_mut().extend_pairs(parameters.iter().filter(|(_, value)| !value.is_empty()));
        response::json(&self.send(Method::GET, url, &Value::Null)?.body)
    }

    pub(super) fn delete(&self, path: &[&str]) -> anyhow::Result<()> {
        let answer = self.send(Method::DELETE, self.at(path), &Value::Null)?;
        ensure!(answer.status == StatusCode::NO_CONTENT, NotKeyswapError);
        Ok(())
    }

    pub(super) fn list<T: for<'de> Deserialize<'de>>(
        &self,
        what: &str,
        listing: &Listing,
    ) -> anyhow::Result<Page<T>> {
        let mut url = self.at(&[what]);
        let mut query = url.query_pairs_mut();
        for (name, value) in [
            ("search", listing.search.clone()),
            ("status", listing.status.map(|status| status.name().to_owned())),
            ("attention", listing.attention.map(|one| one.name().to_owned())),
            ("after", listing.after.map(|after| after.to_string())),
            ("limit", listing.limit.map(|limit| limit.to_string())),
        ] {
            if let Some(value) = value {
                query.append_pair(name, &value);
            }
        }
        drop(query);
        response::json(&self.send(Method::GET, url, &Value::Null)?.body)
    }

    fn at(&self, path: &[&str]) -> Url {
        self.address.at(&[&["admin", "api"], path].concat())
    }

    /// Sends a request, with a JSON body unless `body` is null.
    fn send(&self, method: Method, url: Url, body: &Value) -> anyhow::Result<Success> {
        let mut request = self.client.request(method, url).header(CLIENT, "command line");
        if let Some((name, value)) = &self.proof {
            request = request.header(name, value.clone());
        }
        if !body.is_null() {
            request = request.json(body);
        }
        self.runtime.block_on(async {
            let response =
                request.send().await.map_err(|error| response::unreachable(&error, &self.address))?;
            response::read(response, &self.address).await
        })
    }
}

impl Drop for Remote {
    /// Signs out, so that no unused session stays valid.
    fn drop(&mut self) {
        let Some((_, cookie)) = self.proof.as_ref().filter(|(name, _)| *name == COOKIE) else { return };
        let url = self.address.at(&["admin", "session"]);
        let request = self.client.delete(url).header(CLIENT, "command line").header(COOKIE, cookie);
        // A failure is ignored: the session expires after a day.
        drop(self.runtime.block_on(async { request.timeout(FAREWELL).send().await }));
    }
}

pub(super) fn client(address: &Address, timeout: Duration) -> anyhow::Result<Client> {
    let mut client = http::client(address.has_tls())
        .redirect(redirect::Policy::none())
        .timeout(timeout)
        .user_agent(concat!("keyswap/", env!("CARGO_PKG_VERSION")));
    if address.is_loopback() {
        // The resolver may map the name elsewhere. Port 0 keeps the port of the address.
        let here = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        client = client.resolve_to_addrs("localhost", &here.map(|ip| SocketAddr::new(ip, 0)));
    }
    client.build().context("cannot use TLS")
}

/// Returns the session cookie of a sign-in's response, `None` if the response has none.
fn session(answer: &Success) -> Option<HeaderValue> {
    let pair = answer.cookie.as_deref()?.split(';').next()?;
    let is_session = pair.strip_prefix("keyswap_session=").is_some_and(|secret| !secret.is_empty());
    let mut cookie = HeaderValue::from_str(pair).ok().filter(|_| is_session)?;
    cookie.set_sensitive(true);
    (answer.status == StatusCode::NO_CONTENT).then_some(cookie)
}
