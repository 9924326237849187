//! The shelf: an upstream that keeps objects for one account, as the providers do. It knows no callers.
//!
//! Whatever leads to no collection is answered with success, so that a request which should not have arrived is seen.

mod kinds;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::scripted::{Call, Script, Scripted};
pub use kinds::{KINDS, Kind, Told};

/// The id of every upload in parts.
const UPLOAD: &str = "upload-of-the-shelf";
/// The most elements of a page.
const PAGE: usize = 20;

/// A running shelf. It ends on drop.
pub struct Shelf {
    server: Scripted,
    kept: Arc<Kept>,
}

/// The objects, in the order in which they were made.
#[derive(Default)]
struct Kept {
    objects: Mutex<Vec<(&'static Kind, String)>>,
    made: AtomicU32,
}

impl Shelf {
    /// Starts an empty shelf.
    pub fn start() -> Result<Self> {
        let kept = Arc::<Kept>::default();
        let shared = Arc::clone(&kept);
        Ok(Self { server: Scripted::start(move |call| shared.answer(call))?, kept })
    }

    /// Returns the URL of the shelf in the place of a provider's host, for a host that sends the authority of the URL.
    pub fn url(&self, host: &str) -> String {
        format!("http://{}/{host}", self.address())
    }

    /// Returns the URL of the shelf in the place of the host of a kind. Where its paths have a beginning of their own, it is theirs.
    pub fn url_of(&self, kind: &Kind) -> String {
        if kind.under.is_empty() {
            self.url(kind.host())
        } else {
            format!("http://{}{}", self.address(), kind.under)
        }
    }

    /// Returns the address that the shelf listens on, in plain HTTP.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Puts an object on the shelf, past all proxies. Returns its id.
    pub fn put(&self, kind: &'static Kind) -> String {
        self.kept.make(kind)
    }

    /// Returns whether an object is kept.
    pub fn has(&self, id: &str) -> bool {
        self.kept.with(|objects| objects.iter().any(|(_, kept)| kept == id))
    }

    /// Returns the number of requests so far.
    pub fn arrived(&self) -> usize {
        self.server.calls().len()
    }
}

impl Kept {
    fn with<T>(&self, read: impl FnOnce(&mut Vec<(&'static Kind, String)>) -> T) -> T {
        read(&mut self.objects.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn make(&self, kind: &'static Kind) -> String {
        let number = self.made.fetch_add(1, Ordering::SeqCst);
        let id = format!("{}{number:06}", kind.begins);
        self.with(|objects| objects.push((kind, id.clone())));
        id
    }

    fn answer(&self, call: &Call) -> Script {
        let host = call.headers.iter().find(|(name, _)| name == "host").map_or("", |(_, host)| host);
        let (path, query) = call.target.split_once('?').unwrap_or((&call.target, ""));
        let named = |host: &'static str| Some((host, path.strip_prefix('/')?.strip_prefix(host)?));
        let is_own = KINDS.iter().any(|kind| kind.host() == host);
        let under = |kind: &Kind| !is_own && !kind.under.is_empty() && path.starts_with(kind.under);
        let (host, path) = KINDS
            .iter()
            .find_map(|kind| named(kind.host()).or_else(|| under(kind).then_some((kind.host(), path))))
            .unwrap_or((host, path));
        let kinds = || KINDS.iter().filter(|kind| kind.host() == host);
        // The id of an upload is the credential of its parts.
        let is_upload = |pair: &str| pair.strip_prefix("upload_id=").is_some_and(|id| id != UPLOAD);
        if query.split('&').any(is_upload) {
            return Script::answer(403, r#"{"error":{"message":"no such upload"}}"#);
        }
        let command = call.headers.iter().find(|(name, _)| name == "x-goog-upload-command");
        if command.is_some_and(|(_, command)| command == "start") {
            let url = format!("https://{host}{path}?upload_id={UPLOAD}&upload_protocol=resumable");
            let headers = vec![
                ("x-goog-upload-control-url", url.clone()),
                ("x-goog-upload-url", url),
                ("x-guploader-uploadid", UPLOAD.to_owned()),
                ("x-goog-upload-status", "active".to_owned()),
            ];
            return Script::Answer(200, headers, b"{}".to_vec());
        }
        let asked: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        if asked["thread"].is_object() {
            return kinds::MESSAGE.made(&self.make(&kinds::MESSAGE), &call.body);
        }
        if call.method == "POST"
            && let Some(kind) = kinds().find(|kind| kind.made_at == path)
        {
            return kind.made(&self.make(kind), &call.body);
        }
        if call.method == "GET"
            && let Some(kind) = kinds().find(|kind| kind.collection == path)
        {
            return Script::answer(200, self.list(kind, query).to_string());
        }
        let below = |kind: &'static Kind| path.strip_prefix(kind.collection)?.strip_prefix('/');
        let found = kinds().find_map(|kind| Some((kind, below(kind)?)));
        let is_use = kinds().any(|kind| kind.uses.iter().any(|(used, _)| *used == path));
        let Some((kind, rest)) = found.filter(|_| !is_use) else {
            return Script::answer(200, r#"{"ok":true}"#);
        };
        let id = rest.split(['/', ':']).next().unwrap_or_default();
        // An id of a tuned model has colons.
        let id = if kind.begins.contains(':') { rest.split('/').next().unwrap_or_default() } else { id };
        if !self.with(|objects| objects.iter().any(|(_, kept)| kept == id)) {
            return Script::answer(404, r#"{"error":{"message":"the account has no such object"}}"#);
        }
        if call.method == "DELETE" && rest == id {
            self.with(|objects| objects.retain(|(_, kept)| kept != id));
        }
        Script::answer(200, kind.object(id).to_string())
    }

    /// Returns a page of a collection, from the cursor of the query on.
    fn list(&self, kind: &'static Kind, query: &str) -> Value {
        let value = |names: &[&str]| {
            query.split('&').find_map(|pair| {
                pair.split_once('=')
                    .filter(|(name, _)| names.contains(name))
                    .map(|(_, value)| value.to_owned())
            })
        };
        let limit = value(&["limit", "pageSize"]).and_then(|limit| limit.parse().ok()).unwrap_or(PAGE);
        let ids: Vec<String> = self.with(|objects| {
            let own = objects.iter().filter(|(own, _)| std::ptr::eq(*own, kind));
            own.map(|(_, id)| id.clone()).collect()
        });
        let after = value(&["after", "after_id", "pageToken"]);
        let at = after.and_then(|after| ids.iter().position(|id| *id == after)).map_or(0, |at| at + 1);
        let rest = ids.get(at..).unwrap_or_default();
        let page = rest.get(..limit.min(rest.len())).unwrap_or_default();
        let elements: Vec<Value> = page.iter().map(|id| kind.element(id)).collect();
        let has_more = page.len() < rest.len();
        if kind.list == "data" {
            return json!({
                "object": "list", "data": elements, "has_more": has_more,
                "first_id": page.first(), "last_id": page.last(),
            });
        }
        let mut list = Map::from_iter([(kind.list.to_owned(), elements.into())]);
        if has_more {
            list.insert("nextPageToken".to_owned(), json!(page.last()));
        }
        list.into()
    }
}

impl Kind {
    /// Returns the answer to the request that made an object: an event stream, if the request wants one.
    fn made(&self, id: &str, body: &[u8]) -> Script {
        let wants = serde_json::from_slice::<Value>(body).is_ok_and(|body| body["stream"] == true);
        if !wants {
            let headers = match self.told {
                Told::File => vec![("x-goog-upload-status", "final".to_owned())],
                _ => Vec::new(),
            };
            return Script::Answer(200, headers, self.object_made(id).to_string().into_bytes());
        }
        let object = self.object(id);
        let events = match self.told {
            Told::Chunks => vec![object.clone(), object],
            _ => vec![
                json!({"type": "response.created", "sequence_number": 0, "response": object, "interaction": object}),
                json!({
                    "type": "response.output_text.delta", "sequence_number": 1, "item_id": "msg_1", "delta": "Hello",
                    "output_index": 0, "content_index": 0, "logprobs": [],
                }),
                json!({"type": "response.completed", "sequence_number": 2, "response": object, "interaction": object}),
            ],
        };
        let data = |event: Value| {
            format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or("message"))
        };
        let text = events.into_iter().map(data).collect::<String>() + "data: [DONE]\n\n";
        Script::Answer(200, vec![("content-type", "text/event-stream".to_owned())], text.into())
    }

    fn object_made(&self, id: &str) -> Value {
        match self.told {
            Told::File => json!({"file": self.object(id)}),
            Told::Tuned => json!({"id": format!("ft-{id}").replace(':', "-"), "fine_tuned_model": id}),
            Told::Operation => json!({
                "name": format!("tunedModels/{id}/operations/op-{id}"),
                "metadata": {"tunedModel": format!("tunedModels/{id}")},
            }),
            _ => self.object(id),
        }
    }

    /// Returns an object as its own endpoint shows it.
    fn object(&self, id: &str) -> Value {
        let mut object = self.element(id);
        let more: Value = serde_json::from_str(&self.members.replace("{id}", id)).unwrap_or_default();
        if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
            object.extend(more);
        }
        object
    }

    fn element(&self, id: &str) -> Value {
        match self.told {
            Told::Id | Told::Chunks | Told::Tuned => {
                json!({"id": id, "object": self.name, "type": self.name, "metadata": {"n": [1, {}]}})
            }
            Told::Name | Told::File | Told::Operation => {
                let path = self.collection.trim_start_matches('/');
                let (_, name) = path.split_once('/').unwrap_or_default();
                let uri = format!("https://{}/{path}/{id}", self.host());
                json!({"name": format!("{name}/{id}"), "uri": uri})
            }
        }
    }
}
