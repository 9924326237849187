//! Requests that reached the stand-in.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;

/// The headers in which a provider or the gateway looks for a credential.
const CREDENTIAL_HEADERS: [&str; 6] =
    ["authorization", "x-api-key", "x-goog-api-key", "api-key", "xi-api-key", "cf-aig-authorization"];

/// A received request. Header names are in lower case; values and the target are unchanged.
#[derive(Clone, PartialEq, Eq)]
pub struct Received {
    /// The server name of the TLS client (SNI).
    pub sni: String,
    /// The method.
    pub method: String,
    /// The path and the query.
    pub target: String,
    /// The headers in the order of their first occurrence, `host` among them.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
    /// The trailers.
    pub trailers: Vec<(String, Vec<u8>)>,
}

impl Received {
    /// Returns the first header of that name, `None` if it is absent or not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(header, _)| header == name);
        values.next().and_then(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// Returns the number of headers of that name.
    pub fn header_count(&self, name: &str) -> usize {
        self.headers.iter().filter(|(header, _)| header == name).count()
    }

    /// Returns the path without the query.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(&self.target, |(path, _)| path)
    }

    /// Returns the body as JSON, `null` if it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Returns the model that the body names.
    pub(super) fn model(&self) -> String {
        self.json().get("model").and_then(Value::as_str).unwrap_or("stand-in").to_owned()
    }

    /// Returns true if the body asks for a stream.
    pub(super) fn wants_stream(&self) -> bool {
        self.json().get("stream").and_then(Value::as_bool).unwrap_or_default()
    }

    /// Returns every credential that a service would read from the request, as `name: value`.
    pub fn credentials(&self) -> Vec<String> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let in_query =
            query.split('&').filter(|pair| pair.starts_with("key=")).map(|pair| format!("?{pair}"));
        let in_headers = self
            .headers
            .iter()
            .filter(|(name, _)| CREDENTIAL_HEADERS.contains(&name.as_str()))
            .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)));
        in_headers.chain(in_query).collect()
    }

    /// Returns true if `needle` occurs in any part of the request.
    pub fn contains(&self, needle: &str) -> bool {
        let fields = self.headers.iter().chain(&self.trailers);
        let mut parts = fields.flat_map(|(name, value)| [name.as_bytes(), value]).chain([
            self.sni.as_bytes(),
            self.method.as_bytes(),
            self.target.as_bytes(),
            &self.body,
        ]);
        parts.any(|part| part.windows(needle.len().max(1)).any(|window| window == needle.as_bytes()))
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {} (sni {})", self.method, self.target, self.sni)?;
        for (name, value) in self.headers.iter().chain(&self.trailers) {
            writeln!(f, "{name}: {}", String::from_utf8_lossy(value))?;
        }
        write!(f, "\n{}", String::from_utf8_lossy(&self.body))
    }
}

type Watcher = Box<dyn Fn(&Received) + Send + Sync>;

/// The record of a stand-in.
#[derive(Default)]
pub(super) struct Record {
    requests: Mutex<Vec<Received>>,
    wire: Mutex<Vec<u8>>,
    watcher: Mutex<Option<Watcher>>,
}

impl Record {
    pub(super) fn add(&self, request: Received) {
        if let Some(watcher) = &*locked(&self.watcher) {
            watcher(&request);
        }
        locked(&self.requests).push(request);
    }

    pub(super) fn add_bytes(&self, bytes: &[u8]) {
        locked(&self.wire).extend_from_slice(bytes);
    }

    pub(super) fn requests(&self) -> Vec<Received> {
        locked(&self.requests).clone()
    }

    pub(super) fn wire(&self) -> Vec<u8> {
        locked(&self.wire).clone()
    }

    pub(super) fn take(&self) -> Vec<Received> {
        locked(&self.wire).clear();
        std::mem::take(&mut locked(&self.requests))
    }

    pub(super) fn watch(&self, watcher: Watcher) {
        *locked(&self.watcher) = Some(watcher);
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("requests", &self.requests).finish_non_exhaustive()
    }
}

/// Locks a mutex. A watcher that panics leaves no partial state, so a poisoned lock is usable.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
