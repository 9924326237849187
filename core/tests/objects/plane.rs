//! A data plane with two callers of one account, and another of the team of the first.

use std::cell::Cell;

use keyswap_core::base::{Digest, Moment};
use keyswap_core::host::{Capabilities, MemoryStore, Store, StoreError, Update};
use keyswap_core::identity::jwt::PureRust;
use keyswap_core::judge::{AnswerFields, Request, Verdict};
use keyswap_core::policy::RolloutPolicy;
use keyswap_core::request::{Header, RequestHead};
use keyswap_core::services::{Fetch, FetchAnswer, Resolution};
use keyswap_core::worker::{Exchange, Worker};
use serde_json::{Value, json};

use crate::registry::Registry;
use crate::support::worker::{Secrets, at};

pub(crate) const A: &str = "ptk_token-of-a-0123456789";
pub(crate) const B: &str = "ptk_token-of-b-0123456789";
/// A token of A's team.
pub(crate) const C: &str = "ptk_token-of-c-0123456789";

/// A store that counts how often it is read and changed.
#[derive(Default)]
pub(crate) struct Counted {
    inner: MemoryStore,
    pub(crate) counts: Cell<(usize, usize)>,
}

impl Store for Counted {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let (reads, changes) = self.counts.get();
        self.counts.set((reads + 1, changes));
        self.inner.get(key)
    }

    fn update(&self, key: &str, change: &mut dyn FnMut(Option<&[u8]>) -> Update) -> Result<(), StoreError> {
        let (reads, changes) = self.counts.get();
        self.counts.set((reads, changes + 1));
        self.inner.update(key, change)
    }
}

/// A data plane, and its registry.
pub(crate) struct Plane<'r> {
    pub(crate) worker: Worker,
    pub(crate) store: Counted,
    pub(crate) registry: &'r Registry,
    pub(crate) now: Cell<Moment>,
}

/// An upstream's answer, in slices.
pub(crate) struct Answered<'a>(pub(crate) u16, pub(crate) &'a str, pub(crate) Vec<&'a str>);

pub(crate) fn json_answer(body: &str) -> Answered<'_> {
    Answered(200, "application/json", vec![body])
}

/// The outcome of a request: the refusal, or the answer.
#[derive(Debug, PartialEq)]
pub(crate) enum Got {
    Refused(u16, &'static str, String),
    Answer(String),
    CutOff,
}

impl Got {
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Refused(_, reason, _) => reason,
            Self::Answer(_) => "forward",
            Self::CutOff => "cut off",
        }
    }
}

pub(crate) fn policy(changes: &Value) -> Value {
    let token = |token: &str, label: &str, team: Option<&str>| {
        json!({
            "sha256": Digest::of(token.as_bytes()).to_hex(), "label": label, "team": team, "owner": format!("{label}@b.c"),
            "providers": ["openai:*", "anthropic:*", "gemini:*", "grok:*", "deepseek", "cohere:*"],
        })
    };
    let mut document = json!({
        "version": "keyswap/v1",
        "tokens": [token(A, "a", Some("x")), token(B, "b", Some("y")), token(C, "c", Some("x"))],
        "credentials": {"openai": [{"env": "A"}], "anthropic": [{"env": "B"}], "gemini": [{"env": "C"}], "grok": [{"env": "D"}],
                        "deepseek": [{"env": "E"}], "cohere": [{"env": "F"}]},
        "registry": {"url": "https://r.example", "credential": {"env": "R"}},
    });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => _ = document.as_object_mut().unwrap().remove(name),
            value => document[name] = value.clone(),
        }
    }
    document
}

/// Returns the changes for a policy that has more providers.
pub(crate) fn with_more_providers() -> Value {
    let mut document = policy(&json!({}));
    for provider in ["groq", "mistral", "azure-openai", "google-vertex-ai"] {
        document["credentials"][provider] = json!([{"env": "A"}]);
        for token in document["tokens"].as_array_mut().unwrap() {
            token["providers"].as_array_mut().unwrap().push(format!("{provider}:*").into());
        }
    }
    document["providers"]["azure-openai"] = json!({"url": "https://acme.openai.azure.com/openai/v1"});
    document
}

impl<'r> Plane<'r> {
    pub(crate) fn new(registry: &'r Registry, changes: &Value) -> Self {
        let policy = RolloutPolicy::from_json(policy(changes).to_string().as_bytes()).unwrap();
        let worker = Worker::of(policy, Box::new(Secrets), Box::new(PureRust), Capabilities::ENVOY).unwrap();
        Self { worker, store: Counted::default(), registry, now: Cell::new(at(0)) }
    }

    pub(crate) fn fetch(&self, fetch: &Fetch) -> Resolution {
        if !self.worker.may_call(&fetch.key, self.now.get()) {
            return Resolution::Unavailable;
        }
        let answer = self.registry.answer(fetch);
        if fetch.request.target() == "/v1/objects/find" && self.registry.overtaken.get() > 0 {
            self.tick("/v1/changes");
            self.registry.overtaken.set(self.registry.overtaken.get() - 1);
        }
        let answer = answer.as_ref().map(|(status, body)| (*status, body.as_bytes())).into();
        let answer: FetchAnswer<'_> = answer;
        self.worker.accept(&fetch.key, fetch.as_of, &answer, self.now.get(), &self.store).resolution
    }

    /// Makes the calls that are due, of those whose target begins so.
    pub(crate) fn tick(&self, target: &str) {
        for fetch in self.worker.due(self.now.get(), &self.store).fetches {
            if fetch.request.target().starts_with(target) {
                self.fetch(&fetch);
            }
        }
    }

    pub(crate) fn ask(&self, token: &str, request: (&str, &str), body: &Value, answer: &Answered<'_>) -> Got {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        self.send(token, request, ("application/json", &[text.as_bytes()]), answer)
    }

    pub(crate) fn post(&self, token: &str, path: &str, body: &str, answer: &Answered<'_>) -> Got {
        let (begin, rest) = body.split_at(body.len() / 2);
        self.send(token, ("POST", path), ("application/json", &[begin.as_bytes(), rest.as_bytes()]), answer)
    }

    pub(crate) fn get(&self, token: &str, path: &str) -> Got {
        self.ask(token, ("GET", path), &Value::Null, &json_answer("{}"))
    }

    pub(crate) fn send(
        &self,
        token: &str,
        request: (&str, &str),
        body: (&str, &[&[u8]]),
        answer: &Answered<'_>,
    ) -> Got {
        self.send_with(token, request, body, &[], answer)
    }

    pub(crate) fn send_with(
        &self,
        token: &str,
        (method, path): (&str, &str),
        (content_type, slices): (&str, &[&[u8]]),
        more: &[Header<'_>],
        answer: &Answered<'_>,
    ) -> Got {
        let authorization = format!("Bearer {token}");
        let mut headers = vec![
            Header { name: b"authorization", value: authorization.as_bytes() },
            Header { name: b"content-type", value: content_type.as_bytes() },
        ];
        headers.extend_from_slice(more);
        let head = RequestHead::new(method.as_bytes(), path.as_bytes(), &headers);
        let request = Request { head: &head, now: self.now.get(), store: &self.store };
        let in_force = self.worker.in_force(&self.store);
        let (mut decision, _) = in_force.decide(&request, &mut |fetch| (self.fetch(&fetch), self.now.get()));
        if let Verdict::Reply(reason, reply) = &decision.verdict {
            return Got::Refused(reply.status, reason.code(), reply.body.clone());
        }
        let mut exchange = in_force.exchange(&mut decision);
        if let Err(refused) = self.upload(&mut exchange, slices) {
            return refused;
        }
        self.download(&mut exchange, answer)
    }

    /// Opens a WebSocket.
    pub(crate) fn open(&self, token: &str, path: &str) -> Exchange {
        let upgrade = [
            Header { name: b"connection", value: b"upgrade" },
            Header { name: b"upgrade", value: b"websocket" },
        ];
        let mut exchange = self.exchange(token, path, &upgrade);
        exchange.begin_answer(&AnswerFields { status: 101, fields: &[] });
        exchange
    }

    /// Begins a GET with these headers.
    pub(crate) fn exchange(&self, token: &str, path: &str, headers: &[Header<'_>]) -> Exchange {
        self.begin(token, ("GET", path), headers)
    }

    /// Begins a request with these headers.
    pub(crate) fn begin(
        &self,
        token: &str,
        (method, path): (&str, &str),
        headers: &[Header<'_>],
    ) -> Exchange {
        let authorization = format!("Bearer {token}");
        let authorization = Header { name: b"authorization", value: authorization.as_bytes() };
        let headers: Vec<Header<'_>> = [authorization].into_iter().chain(headers.iter().copied()).collect();
        let head = RequestHead::new(method.as_bytes(), path.as_bytes(), &headers);
        let request = Request { head: &head, now: self.now.get(), store: &self.store };
        let in_force = self.worker.in_force(&self.store);
        let (mut decision, _) = in_force.decide(&request, &mut |fetch| (self.fetch(&fetch), self.now.get()));
        assert!(matches!(decision.verdict, Verdict::Forward(_)), "{}", decision.reason_code());
        in_force.exchange(&mut decision)
    }

    /// Returns the target that upstream gets of a GET.
    pub(crate) fn target(&self, token: &str, path: &str) -> String {
        let authorization = format!("Bearer {token}");
        let headers = [Header { name: b"authorization", value: authorization.as_bytes() }];
        let head = RequestHead::new(b"GET", path.as_bytes(), &headers);
        let request = Request { head: &head, now: self.now.get(), store: &self.store };
        let in_force = self.worker.in_force(&self.store);
        let (decision, _) = in_force.decide(&request, &mut |fetch| (self.fetch(&fetch), self.now.get()));
        let Verdict::Forward(rewrite) = &decision.verdict else { panic!("{}", decision.reason_code()) };
        String::from_utf8(rewrite.path.clone()).unwrap()
    }

    /// Sends frames to the upstream.
    pub(crate) fn say(&self, exchange: &mut Exchange, frames: &[u8]) -> Result<(), &'static str> {
        let mut judged = exchange.request_body(frames, false, self.now.get(), &self.store);
        loop {
            let Some(fetch) = judged.map_err(|refusal| refusal.reason)?.fetch else { return Ok(()) };
            self.fetch(&fetch);
            judged = exchange.resume_request(self.now.get(), &self.store);
        }
    }

    /// Takes frames of the upstream. Returns whether they went on at once.
    pub(crate) fn hear(&self, exchange: &mut Exchange, frames: &[u8]) -> bool {
        let read = exchange.answer_body(frames, false, self.now.get(), &self.store).unwrap();
        read.fetch.into_iter().for_each(|fetch| _ = self.fetch(&fetch));
        !read.waits
    }

    pub(crate) fn upload(&self, exchange: &mut Exchange, slices: &[&[u8]]) -> Result<(), Got> {
        let slices: Vec<&[u8]> = slices.iter().copied().chain([&b""[..]]).collect();
        for (index, slice) in slices.iter().enumerate() {
            let is_last = index + 1 == slices.len();
            let mut judged = exchange.request_body(slice, is_last, self.now.get(), &self.store);
            loop {
                match judged {
                    Ok(slice) => {
                        let Some(fetch) = slice.fetch else { break };
                        self.fetch(&fetch);
                        judged = exchange.resume_request(self.now.get(), &self.store);
                    }
                    Err(refusal) => {
                        return Err(Got::Refused(refusal.reply.status, refusal.reason, refusal.reply.body));
                    }
                }
            }
        }
        Ok(())
    }

    pub(crate) fn download(
        &self,
        exchange: &mut Exchange,
        Answered(status, content_type, slices): &Answered<'_>,
    ) -> Got {
        let fields = [(&b"content-type"[..], content_type.as_bytes())];
        let head = AnswerFields { status: *status, fields: &fields };
        exchange.begin_answer(&head);
        exchange.answered(&head, self.now.get(), &self.store);
        if !exchange.reads_answer() {
            return Got::Answer(slices.concat());
        }
        let mut out = Vec::new();
        let slices: Vec<&[u8]> = slices.iter().map(|it| it.as_bytes()).chain([&b""[..]]).collect();
        for (index, slice) in slices.iter().enumerate() {
            let is_last = index + 1 == slices.len();
            let mut read = exchange.answer_body(slice, is_last, self.now.get(), &self.store);
            loop {
                let Ok(passed) = read else { return Got::CutOff };
                if let Some(fetch) = &passed.fetch {
                    self.fetch(fetch);
                }
                if !passed.waits {
                    out.extend(passed.bytes.unwrap_or_else(|| slice.to_vec()));
                    break;
                }
                assert!(passed.bytes.is_none(), "nothing goes on of a slice that waits");
                read = exchange.resume_answer(self.now.get(), &self.store);
            }
        }
        Got::Answer(String::from_utf8(out).unwrap())
    }
}
