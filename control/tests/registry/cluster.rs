//! An API server of Kubernetes, as far as Secrets are listed and watched: pages, versions, bookmarks, events in pieces, versions that
//! are too old, credentials that expire. It follows the API's documentation, and is no cluster.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::Url;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The label of the Secrets that count.
pub(crate) const LABEL: &str = "keyswap/token";

#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    /// The version, and the number of times that all watches were cut.
    changed: watch::Sender<(u64, u64)>,
    folder: Arc<TempDir>,
}

#[derive(Default)]
struct State {
    version: u64,
    /// The oldest version from which a watch can begin.
    oldest: u64,
    secrets: BTreeMap<(String, String), Value>,
    events: Vec<(u64, Value)>,
    credential: String,
    /// The targets of the requests, and the statuses of the answers.
    asked: Vec<(String, u16)>,
}

/// A Secret to put: its name, its value, and its annotations without their prefix.
pub(crate) fn secret(namespace: &str, name: &str, value: &str, annotations: &[(&str, &str)]) -> Value {
    let annotations: BTreeMap<String, &str> =
        annotations.iter().map(|(name, text)| (format!("keyswap/{name}"), *text)).collect();
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": format!("{namespace}-{name}"),
            "labels": {LABEL: "true", "app": "other"},
            "annotations": annotations,
        },
        "type": "Opaque",
        "data": {"token": BASE64_STANDARD.encode(value), "other": BASE64_STANDARD.encode("other")},
    })
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (folder, state) = (Arc::new(tempfile::tempdir().unwrap()), Arc::default());
        let cluster = Self { address, state, changed: watch::Sender::new((0, 0)), folder };
        cluster.renew_credential("first");
        let serving = cluster.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let cluster = serving.clone();
                tokio::spawn(async move { cluster.serve(stream).await });
            }
        });
        cluster
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the folder with the files of the service account.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Lets no other credential in than this one, and puts it into the file.
    pub(crate) fn renew_credential(&self, credential: &str) {
        self.expire_credential(credential);
        std::fs::write(self.folder.path().join("token"), format!("{credential}\n")).unwrap();
    }

    /// Lets no other credential in than this one.
    pub(crate) fn expire_credential(&self, credential: &str) {
        credential.clone_into(&mut self.state.lock().unwrap().credential);
    }

    pub(crate) fn put(&self, mut secret: Value) {
        let mut state = self.state.lock().unwrap();
        state.version += 1;
        let metadata = secret["metadata"].as_object_mut().unwrap();
        let key = (
            metadata["namespace"].as_str().unwrap().to_owned(),
            metadata["name"].as_str().unwrap().to_owned(),
        );
        let before = state.secrets.get(&key).cloned();
        let created = before.as_ref().map_or_else(
            || json!(format!("2026-11-30T00:00:{:02}Z", state.version % 60)),
            |before| before["metadata"]["creationTimestamp"].clone(),
        );
        metadata.insert("creationTimestamp".to_owned(), created);
        metadata.insert("resourceVersion".to_owned(), json!(state.version.to_string()));
        // A Secret that loses the labels is deleted, as far as a watch with a selector knows.
        let kind = match (before.is_some(), secret["metadata"]["labels"][LABEL] == "true") {
            (_, false) => "DELETED",
            (true, true) => "MODIFIED",
            (false, true) => "ADDED",
        };
        let version = state.version;
        state.events.push((version, json!({"type": kind, "object": secret})));
        state.secrets.insert(key, secret);
        drop(state);
        self.tell();
    }

    pub(crate) fn delete(&self, namespace: &str, name: &str) {
        let mut state = self.state.lock().unwrap();
        state.version += 1;
        let mut secret = state.secrets.remove(&(namespace.to_owned(), name.to_owned())).unwrap();
        secret["metadata"]["resourceVersion"] = json!(state.version.to_string());
        let version = state.version;
        state.events.push((version, json!({"type": "DELETED", "object": secret})));
        drop(state);
        self.tell();
    }

    /// Sends these bytes to all watches, as an event.
    pub(crate) fn send(&self, event: Value) {
        let mut state = self.state.lock().unwrap();
        state.version += 1;
        let version = state.version;
        state.events.push((version, event));
        drop(state);
        self.tell();
    }

    /// Forgets all events so far, as etcd does in a compaction.
    pub(crate) fn compact(&self) {
        let mut state = self.state.lock().unwrap();
        state.version += 1;
        state.oldest = state.version;
        state.events.clear();
    }

    /// Cuts all watches, in the middle of an event.
    pub(crate) fn cut(&self) {
        self.changed.send_modify(|(_, cuts)| *cuts += 1);
    }

    /// Returns the requests so far that have all of the words in their target, with the statuses of their answers.
    pub(crate) fn asked(&self, words: &[&str]) -> Vec<u16> {
        let state = self.state.lock().unwrap();
        let has = |(target, _): &&(String, u16)| words.iter().all(|word| target.contains(word));
        state.asked.iter().filter(has).map(|(_, status)| *status).collect()
    }

    fn tell(&self) {
        let version = self.state.lock().unwrap().version;
        self.changed.send_modify(|(at, _)| *at = version);
    }

    async fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut stream = BufReader::new(stream);
        let (mut target, mut credential) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.ok()?;
            if let Some(rest) = line.strip_prefix("GET ") {
                rest.split(' ').next()?.clone_into(&mut target);
            }
            if let Some(rest) = line.strip_prefix("authorization: Bearer ") {
                rest.trim().clone_into(&mut credential);
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let url = Url::parse(&format!("http://cluster{target}")).ok()?;
        let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let namespace = url.path().strip_prefix("/api/v1/namespaces/")?.strip_suffix("/secrets")?.to_owned();
        assert_eq!(query["labelSelector"], format!("{LABEL}=true"));
        let is_let_in = credential == self.state.lock().unwrap().credential;
        let answer = if is_let_in { Ok(self.answer(&namespace, &query)) } else { Err(401) };
        let status = answer.as_ref().map_or_else(|status| *status, |_| 200);
        self.state.lock().unwrap().asked.push((target, status));
        let stream = stream.get_mut();
        match answer {
            Err(status) => {
                let body = json!({"kind": "Status", "code": status}).to_string();
                reply(stream, status, &body).await
            }
            Ok(Some(list)) => reply(stream, 200, &list).await,
            Ok(None) => self.watch(stream, &namespace, query["resourceVersion"].parse().ok()?).await,
        }
    }

    /// Returns a list, or `None` for a watch that may begin.
    fn answer(&self, namespace: &str, query: &BTreeMap<String, String>) -> Option<String> {
        let state = self.state.lock().unwrap();
        if query.contains_key("watch") {
            assert!(query.contains_key("timeoutSeconds") && query["allowWatchBookmarks"] == "true");
            return None;
        }
        let is_selected = |((of, _), secret): &(&(String, String), &Value)| {
            of == namespace && secret["metadata"]["labels"][LABEL] == "true"
        };
        let selected: Vec<&Value> =
            state.secrets.iter().filter(is_selected).map(|(_, secret)| secret).collect();
        let from: usize = query.get("continue").map_or(0, |at| at.parse().unwrap());
        let limit: usize = query["limit"].parse().unwrap();
        let page: Vec<&Value> = selected.iter().copied().skip(from).take(limit).collect();
        let rest = selected.len().saturating_sub(from + page.len());
        let next = if rest > 0 { (from + page.len()).to_string() } else { String::new() };
        let metadata = json!({"resourceVersion": state.version.to_string(), "continue": next});
        Some(json!({"kind": "SecretList", "metadata": metadata, "items": page}).to_string())
    }

    async fn watch(&self, stream: &mut TcpStream, namespace: &str, mut version: u64) -> Option<()> {
        let mut changed = self.changed.subscribe();
        let cuts = changed.borrow().1;
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.ok()?;
        loop {
            let (events, is_gone, newest) = {
                let state = self.state.lock().unwrap();
                let is_new = |(at, event): &&(u64, Value)| {
                    let of = event["object"]["metadata"]["namespace"].as_str();
                    *at > version && of.is_none_or(|of| of == namespace)
                };
                let events: Vec<Value> =
                    state.events.iter().filter(is_new).map(|(_, event)| event.clone()).collect();
                (events, version < state.oldest, state.version)
            };
            if is_gone {
                let gone =
                    json!({"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}});
                return chunk(stream, format!("{gone}\n").as_bytes()).await;
            }
            for event in events {
                // Each event comes in two pieces.
                let line = format!("{event}\n");
                let (begin, end) = line.as_bytes().split_at(line.len() / 2);
                chunk(stream, begin).await?;
                chunk(stream, end).await?;
            }
            version = newest;
            let bookmark =
                json!({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": newest.to_string()}}});
            chunk(stream, format!("{bookmark}\n").as_bytes()).await?;
            changed.changed().await.ok()?;
            if changed.borrow().1 != cuts {
                chunk(stream, b"{\"type\": \"ADD").await?;
                return None;
            }
        }
    }
}

async fn chunk(stream: &mut TcpStream, bytes: &[u8]) -> Option<()> {
    stream.write_all(format!("{:x}\r\n", bytes.len()).as_bytes()).await.ok()?;
    stream.write_all(bytes).await.ok()?;
    stream.write_all(b"\r\n").await.ok()?;
    stream.flush().await.ok()
}

async fn reply(stream: &mut TcpStream, status: u16, body: &str) -> Option<()> {
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(body.as_bytes()).await.ok()?;
    stream.flush().await.ok()
}
