//! A client of the authorization server that `keyswap serve` is for devices.
//!
//! Tokens are sent to one address only: redirects are not followed. No error holds a token.

use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use tokio::runtime::Runtime;

use super::address::Address;
use super::client::client;
use super::response::{self, NotKeyswapError};

/// The longest answer that is read.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// The time to wait for an answer. An agent waits for it, too.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The id of this client, which is public.
const CLIENT_ID: &str = "keyswap";

/// An authorization server.
pub(in crate::command) struct OAuth {
    runtime: Runtime,
    client: Client,
    address: Address,
}

/// The answer to a request that the server refused, by the code of the error (RFC 6749 section 5.2).
#[derive(Debug, Deserialize)]
pub(in crate::command) struct Refused {
    pub(in crate::command) error: String,
}

impl OAuth {
    /// Returns the server at an address, which must have TLS unless it is on this machine.
    pub(in crate::command) fn at(text: &str) -> anyhow::Result<Self> {
        let address = Address::parse(text, true)?;
        ensure!(address.keeps_secrets(), "{address} has no TLS, so the tokens could be read in transit");
        let runtime = Runtime::new().context("cannot start")?;
        let client = client(&address, TIMEOUT)?;
        Ok(Self { runtime, client, address })
    }

    pub(in crate::command) fn address(&self) -> &Address {
        &self.address
    }

    /// Sends a form. The outer error is one of the connection, or of a server that is none.
    pub(in crate::command) fn post(
        &self,
        endpoint: &str,
        fields: &[(&str, &str)],
    ) -> anyhow::Result<Result<Vec<u8>, Refused>> {
        let fields: Vec<_> = [("client_id", CLIENT_ID)].iter().chain(fields).collect();
        let form = serde_urlencoded::to_string(fields).context("cannot write the form")?;
        let request = self
            .client
            .post(self.address.at(&["oauth", endpoint]))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        let unreachable = |error: reqwest::Error| response::unreachable(&error, &self.address);
        let (status, body) = self.runtime.block_on(async {
            let mut response = request.send().await.map_err(unreachable)?;
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
                ensure!(body.len() + chunk.len() <= MAX_BODY_BYTES, NotKeyswapError);
                body.extend_from_slice(&chunk);
            }
            Ok::<_, anyhow::Error>((response.status(), body))
        })?;
        match status {
            StatusCode::OK => Ok(Ok(body)),
            StatusCode::NOT_FOUND => {
                Err(anyhow!("{} signs no devices in: it needs `--session-key`", self.address))
            }
            _ => serde_json::from_slice(&body).map(Err).ok().context(NotKeyswapError),
        }
    }
}
