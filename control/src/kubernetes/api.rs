//! The calls to the API server: a list in pages, and a watch.
//!
//! The credential and the authority are files that Kubernetes renews, so both are read again for each call and each client. The
//! server is trusted for what it answers, and not for how much: sizes are bounded, and redirects are not followed.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{Certificate, Client, Response, StatusCode, Url, redirect};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::secret::Secret;
use crate::http;

/// The folder in which Kubernetes mounts the credential of a service account.
const FOLDER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// The time in which a call has to begin its answer, and a page to be complete.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// The time after which the server ends a watch, in seconds.
const WATCH_SECONDS: u64 = 240;
/// The longest silence on a watch, which is longer than the watch itself: a connection that was lost without a sign.
const WATCH_SILENCE: Duration = Duration::from_secs(WATCH_SECONDS + 30);
/// The longest page, and the longest event of a watch. A Secret has 1 MiB at most, a third more in base64, and 256 KiB of
/// annotations.
const MAX_BYTES: usize = 4 << 20;
/// The lists at a time: each holds a page in memory.
const MAX_LISTS: usize = 2;
/// The Secrets of the first page. A page that is too long is asked for again with half as many.
const PAGE_SECRETS: usize = 64;
/// The most Secrets of a namespace.
pub(super) const MAX_SECRETS: usize = 2000;

/// An API server, and the credential for it.
#[derive(Clone, Debug)]
pub struct Api {
    url: Url,
    folder: PathBuf,
    lists: Arc<Semaphore>,
}

/// A failed call. `Display` holds nothing of an answer.
#[derive(Debug)]
pub(super) enum ApiError {
    /// The version is too old: only another list helps.
    Gone,
    Status(StatusCode),
    TooLong,
    TooMany,
    Malformed,
    /// No call, or no answer. The text names a file or what the connection met.
    Failed(String),
}

/// An event of a watch.
pub(super) enum Event {
    /// A Secret that is new or changed.
    Put(Secret),
    /// A Secret that is deleted, or that the labels do not select any more.
    Delete(Secret),
    /// A version without a change.
    Bookmark(String),
}

/// An open watch.
pub(super) struct Watch {
    response: Response,
    /// The beginning of the next event.
    rest: Zeroizing<Vec<u8>>,
    /// The number of its bytes that hold no line break.
    searched: usize,
}

#[derive(Deserialize)]
struct List {
    metadata: ListMetadata,
    #[serde(default)]
    items: Option<Vec<Secret>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMetadata {
    #[serde(default)]
    resource_version: String,
    #[serde(default, rename = "continue")]
    next: String,
}

/// An event without its object, whose form depends on the kind.
#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Of<T> {
    object: T,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(default)]
    code: u16,
}

#[derive(Deserialize)]
struct Marked {
    metadata: ListMetadata,
}

impl Api {
    /// Returns the API server of the cluster that this process runs in, with the credential of its service account.
    pub fn in_cluster() -> anyhow::Result<Self> {
        let variable = |name| {
            std::env::var(name).with_context(|| {
                format!("`{name}` is not set: this is no pod of a cluster, so name the API server with `--kubernetes-api`")
            })
        };
        let (host, port) = (variable("KUBERNETES_SERVICE_HOST")?, variable("KUBERNETES_SERVICE_PORT")?);
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        Self::at(&format!("https://{host}:{port}"), Path::new(FOLDER))
    }

    /// Returns an API server, with the files `token` and `ca.crt` of a folder. Without TLS it has to be on this machine.
    pub fn at(url: &str, folder: &Path) -> anyhow::Result<Self> {
        let url = Url::parse(url).ok().context("the address of the API server is not a URL")?;
        let is_plain = url.scheme() == "http" && is_loopback(&url);
        ensure!(url.scheme() == "https" || is_plain, "the API server needs an address with `https://`");
        ensure!(url.username().is_empty() && url.password().is_none(), "the address has a credential");
        Ok(Self { url, folder: folder.to_owned(), lists: Arc::new(Semaphore::new(MAX_LISTS)) })
    }

    /// Checks that the files can be read.
    pub fn check(&self) -> anyhow::Result<()> {
        match (self.credential(), self.client()) {
            (Ok(_), Ok(_)) => Ok(()),
            (Err(error), _) | (_, Err(error)) => bail!("cannot ask the API server: {error}"),
        }
    }

    /// Hands over all Secrets with these labels, page by page. Returns the version of the list.
    pub(super) async fn list(
        &self,
        namespace: &str,
        selector: &str,
        mut take: impl FnMut(Secret),
    ) -> Result<String, ApiError> {
        let _permit = self.lists.acquire().await;
        let client = self.client()?;
        let (mut count, mut next, mut limit) = (0, String::new(), PAGE_SECRETS);
        loop {
            let mut url = self.secrets(namespace, selector);
            url.query_pairs_mut().append_pair("limit", &limit.to_string());
            if !next.is_empty() {
                url.query_pairs_mut().append_pair("continue", &next);
            }
            let page = match tokio::time::timeout(CALL_TIMEOUT, self.page(&client, url)).await {
                Ok(Err(ApiError::TooLong)) if limit > 1 => {
                    limit /= 2;
                    continue;
                }
                Ok(page) => page?,
                Err(_) => return Err(ApiError::Failed("a list did not come in time".to_owned())),
            };
            for secret in page.items.unwrap_or_default() {
                count += 1;
                take(secret);
            }
            if count > MAX_SECRETS {
                return Err(ApiError::TooMany);
            }
            if page.metadata.next.is_empty() {
                return Ok(page.metadata.resource_version);
            }
            next = page.metadata.next;
        }
    }

    async fn page(&self, client: &Client, url: Url) -> Result<List, ApiError> {
        let mut response = self.send(client, url).await?;
        let mut body = Zeroizing::new(Vec::new());
        while let Some(part) = response.chunk().await? {
            if body.len().saturating_add(part.len()) > MAX_BYTES {
                return Err(ApiError::TooLong);
            }
            body.extend_from_slice(&part);
        }
        serde_json::from_slice(&body).map_err(|_| ApiError::Malformed)
    }

    /// Begins a watch behind a version.
    pub(super) async fn watch(
        &self,
        namespace: &str,
        selector: &str,
        version: &str,
    ) -> Result<Watch, ApiError> {
        let mut url = self.secrets(namespace, selector);
        url.query_pairs_mut()
            .append_pair("watch", "true")
            .append_pair("allowWatchBookmarks", "true")
            .append_pair("timeoutSeconds", &WATCH_SECONDS.to_string())
            .append_pair("resourceVersion", version);
        let client = self.client()?;
        let response = tokio::time::timeout(CALL_TIMEOUT, self.send(&client, url)).await;
        let response =
            response.unwrap_or_else(|_| Err(ApiError::Failed("a watch did not begin in time".to_owned())))?;
        Ok(Watch { response, rest: Zeroizing::default(), searched: 0 })
    }

    fn secrets(&self, namespace: &str, selector: &str) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1", "namespaces", namespace, "secrets"]);
        }
        url.query_pairs_mut().append_pair("labelSelector", selector);
        url
    }

    async fn send(&self, client: &Client, url: Url) -> Result<Response, ApiError> {
        let request = client.get(url).header(ACCEPT, "application/json");
        let response = request.header(AUTHORIZATION, self.credential()?).send().await?;
        match response.status() {
            StatusCode::OK => Ok(response),
            StatusCode::GONE => Err(ApiError::Gone),
            status => Err(ApiError::Status(status)),
        }
    }

    fn credential(&self) -> Result<HeaderValue, ApiError> {
        let token = Zeroizing::new(self.read("token")?);
        let text = str::from_utf8(&token).map(str::trim).unwrap_or_default();
        let value = HeaderValue::from_str(&Zeroizing::new(format!("Bearer {text}")));
        let mut value = value.ok().filter(|_| !text.is_empty()).ok_or_else(|| {
            ApiError::Failed(format!("`{}` holds no credential", self.folder.join("token").display()))
        })?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Returns a client that trusts the authority of the cluster and no other.
    fn client(&self) -> Result<Client, ApiError> {
        let has_tls = self.url.scheme() == "https";
        let mut client = http::client(has_tls);
        if has_tls {
            let authorities = Certificate::from_pem_bundle(&self.read("ca.crt")?).unwrap_or_default();
            if authorities.is_empty() {
                let file = self.folder.join("ca.crt");
                return Err(ApiError::Failed(format!("`{}` holds no certificate", file.display())));
            }
            client = client.no_proxy().tls_certs_only(authorities);
        }
        let client = client
            .redirect(redirect::Policy::none())
            .connect_timeout(CALL_TIMEOUT)
            .read_timeout(WATCH_SILENCE)
            .user_agent(concat!("keyswap/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(client?)
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, ApiError> {
        let file = self.folder.join(name);
        std::fs::read(&file)
            .map_err(|error| ApiError::Failed(format!("cannot read `{}`: {error}", file.display())))
    }
}

impl Watch {
    /// Returns the next event, `None` at the end of the watch. A dropped call loses nothing.
    pub(super) async fn next(&mut self) -> Result<Option<Event>, ApiError> {
        loop {
            let new = self.rest.get(self.searched..).unwrap_or_default();
            if let Some(end) = new.iter().position(|byte| *byte == b'\n') {
                let line: Zeroizing<Vec<u8>> =
                    Zeroizing::new(self.rest.drain(..=self.searched.saturating_add(end)).collect());
                self.searched = 0;
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return read(&line).map(Some);
            }
            self.searched = self.rest.len();
            let Some(part) = self.response.chunk().await? else { return Ok(None) };
            if self.rest.len().saturating_add(part.len()) > MAX_BYTES {
                return Err(ApiError::TooLong);
            }
            self.rest.extend_from_slice(&part);
        }
    }
}

/// Reads an event. An error of the server is one of the watch.
fn read(line: &[u8]) -> Result<Event, ApiError> {
    fn object<T: DeserializeOwned>(line: &[u8]) -> Result<T, ApiError> {
        let event: Of<T> = serde_json::from_slice(line).map_err(|_| ApiError::Malformed)?;
        Ok(event.object)
    }
    let Kind { kind } = serde_json::from_slice(line).map_err(|_| ApiError::Malformed)?;
    match kind.as_str() {
        "ADDED" | "MODIFIED" => object(line).map(Event::Put),
        "DELETED" => object(line).map(Event::Delete),
        "BOOKMARK" => object::<Marked>(line).map(|it| Event::Bookmark(it.metadata.resource_version)),
        "ERROR" => {
            let Failure { code } = object(line)?;
            if code == StatusCode::GONE.as_u16() {
                return Err(ApiError::Gone);
            }
            Err(StatusCode::from_u16(code).map_or(ApiError::Malformed, ApiError::Status))
        }
        _ => Err(ApiError::Malformed),
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the version of the list is too old"),
            Self::Status(StatusCode::UNAUTHORIZED) => {
                f.write_str("the API server does not accept the credential of the service account (401)")
            }
            Self::Status(StatusCode::FORBIDDEN) => f.write_str(
                "the service account may not get, list and watch the Secrets of this namespace (403)",
            ),
            Self::Status(status) => write!(f, "the API server answers {}", status.as_u16()),
            Self::TooLong => f.write_str("the answer of the API server is too long"),
            Self::TooMany => write!(f, "the namespace has more than {MAX_SECRETS} Secrets with the labels"),
            Self::Malformed => f.write_str("the answer of the API server is not what its API documents"),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for ApiError {}

impl From<reqwest::Error> for ApiError {
    fn from(error: reqwest::Error) -> Self {
        // The address has the names of namespace and labels, and no secret; without it the message is shorter.
        let error = anyhow::Error::new(error.without_url());
        Self::Failed(format!("{error:#}"))
    }
}
