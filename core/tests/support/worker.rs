//! A worker that is driven by hand: its requests, its calls, and the clock. A call is answered where it is made, by the
//! test's own service.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use keyswap_core::base::{Digest, Moment};
use keyswap_core::host::{Capabilities, Environment, Store};
use keyswap_core::identity::jwt::{PureRust, SignatureCheck, SignatureVerifier, VerifierUnavailable};
use keyswap_core::judge::{AnswerHead, Decision, Observation, Request, Verdict};
use keyswap_core::policy::{PolicyErrors, RolloutPolicy};
use keyswap_core::request::{Header, RequestHead};
use keyswap_core::services::{Fetch, FetchAnswer, Resolution};
use keyswap_core::worker::{self, Background, Entry, Exchange, Next};
use serde_json::{Value, json};

use super::{NOW, with};

/// A token that the tests' registry knows, or knew.
pub(crate) const TOKEN: &str = "known-token-0123456789";

/// Returns the moment that is this many milliseconds after the tests begin.
pub(crate) fn at_ms(milliseconds: i64) -> Moment {
    let begin = NOW * 1_000_000_000;
    Moment(u64::try_from(begin + milliseconds * 1_000_000).unwrap())
}

pub(crate) fn at(seconds: i64) -> Moment {
    at_ms(seconds * 1000)
}

/// Returns a policy with a registry, where records are cached for 60 seconds and absences for 10; `changes` are made to
/// it.
pub(crate) fn registry_policy(changes: &Value) -> Value {
    let document = json!({
        "version": "keyswap/v1",
        "registry": {
            "url": "http://registry.example:8200", "plaintext": "trusted_network", "credential": {"env": "REGISTRY"},
            "cache": {"positive": "60s", "negative": "10s"},
        },
        "credentials": {"openai": [{"env": "OPENAI"}], "gemini": [{"env": "GEMINI"}]},
    });
    with(&document, changes)
}

/// Returns the same policy with a member of `registry` set.
pub(crate) fn registry_with(member: &str, value: &Value) -> Value {
    let mut document = registry_policy(&json!({}));
    document["registry"][member] = value.clone();
    document
}

/// An answer to a call.
pub(crate) struct Answer(pub(crate) u16, pub(crate) String);

impl Answer {
    /// Returns the record of the token, in this version.
    pub(crate) fn record(token: &str, version: u64) -> Self {
        let sha256 = Digest::of(token.as_bytes()).to_hex();
        let record = json!({"sha256": sha256, "label": "l", "providers": ["openai"], "version": version});
        Self(200, record.to_string())
    }

    /// Returns the registry's word that it does not know the token.
    pub(crate) fn unknown() -> Self {
        Self(404, r#"{"code":"unknown_token"}"#.to_owned())
    }
}

pub(crate) fn keyswap() -> Value {
    registry_policy(&json!({}))
}

pub(crate) fn introspection() -> Value {
    registry_with("introspection", &json!({"providers": ["openai"]}))
}

pub(crate) fn known(_: &str) -> Answer {
    Answer::record(TOKEN, 1)
}

pub(crate) fn unknown(_: &str) -> Answer {
    Answer::unknown()
}

pub(crate) fn active(_: &str) -> Answer {
    Answer(200, r#"{"active":true}"#.to_owned())
}

pub(crate) fn inactive(_: &str) -> Answer {
    Answer(200, r#"{"active":false}"#.to_owned())
}

pub(crate) fn nobody_is_asked(path: &str) -> Answer {
    panic!("{path} was asked for")
}

/// A policy, and the answers of its registry for a token that it knows and one that it does not.
pub(crate) type Kind = (&'static str, Value, fn(&str) -> Answer, fn(&str) -> Answer);

pub(crate) fn kinds() -> [Kind; 2] {
    [("keyswap", keyswap(), known, unknown), ("introspection", introspection(), active, inactive)]
}

/// An environment in which every variable is set.
pub(crate) struct Secrets;

impl Environment for Secrets {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        Some(match name {
            "BROKER" => b"5a".repeat(32),
            _ => b"secret-value-0123456789".to_vec(),
        })
    }
}

pub(crate) struct Worker {
    /// The engine's worker.
    pub(crate) inner: worker::Worker,
    /// The observations, and the notes for operators.
    pub(crate) observed: RefCell<Vec<Observation>>,
    pub(crate) notes: RefCell<Vec<String>>,
    /// The judgements that went on in the background.
    pub(crate) backgrounds: Cell<usize>,
    calls: Cell<usize>,
    accepted: RefCell<String>,
    body: RefCell<String>,
    authorization: RefCell<String>,
    signatures: Rc<Cell<usize>>,
}

/// A verifier that counts the signatures that it computes.
struct Counting(Rc<Cell<usize>>);

impl SignatureVerifier for Counting {
    fn verify(&self, check: &SignatureCheck<'_>) -> Result<bool, VerifierUnavailable> {
        self.0.set(self.0.get() + 1);
        PureRust.verify(check)
    }
}

impl Worker {
    pub(crate) fn new(policy: &Value) -> Self {
        Self::within(policy, Secrets)
    }

    pub(crate) fn within(policy: &Value, environment: impl Environment + 'static) -> Self {
        Self::on(policy, environment, Capabilities::ENVOY)
    }

    /// Returns a worker in another host than Envoy.
    pub(crate) fn on(policy: &Value, environment: impl Environment + 'static, host: Capabilities) -> Self {
        let policy = RolloutPolicy::from_json(policy.to_string().as_bytes()).unwrap();
        Self::of(|verifier| worker::Worker::of(policy, Box::new(environment), verifier, host)).unwrap()
    }

    /// Returns the worker that `start` makes.
    pub(crate) fn of(
        start: impl FnOnce(Box<dyn SignatureVerifier>) -> Result<worker::Worker, PolicyErrors>,
    ) -> Result<Self, PolicyErrors> {
        let signatures = Rc::default();
        let worker = start(Box::new(Counting(Rc::clone(&signatures))))?;
        Ok(Self {
            inner: worker,
            observed: RefCell::default(),
            notes: RefCell::default(),
            backgrounds: Cell::default(),
            calls: Cell::default(),
            accepted: RefCell::default(),
            body: RefCell::default(),
            authorization: RefCell::default(),
            signatures,
        })
    }

    /// Returns the status of a request with this token; 200 where it is forwarded.
    pub(crate) fn ask(
        &self,
        store: &dyn Store,
        token: &str,
        now: Moment,
        service: &dyn Fn(&str) -> Answer,
    ) -> u16 {
        let authorization = format!("Bearer {token}");
        let headers = [Header { name: b"authorization", value: authorization.as_bytes() }];
        let head = RequestHead::new(b"POST", b"/v1/chat/completions", &headers);
        self.decide(store, &head, now, service, status)
    }

    /// Judges a request, makes the calls that it needs and that are due, and shows the decision.
    pub(crate) fn decide<T>(
        &self,
        store: &dyn Store,
        head: &RequestHead<'_>,
        now: Moment,
        service: &dyn Fn(&str) -> Answer,
        show: impl FnOnce(&Decision<'_>) -> T,
    ) -> T {
        self.send(store, head, now, service, show).0
    }

    /// Does the same, and returns the exchange that begins where the request is forwarded.
    pub(crate) fn send<T>(
        &self,
        store: &dyn Store,
        head: &RequestHead<'_>,
        now: Moment,
        service: &dyn Fn(&str) -> Answer,
        show: impl FnOnce(&Decision<'_>) -> T,
    ) -> (T, Exchange) {
        let request = Request { head, now, store };
        let mut entry = Entry::New;
        loop {
            // As hosts do it: another policy may be in force after a call.
            let in_force = self.inner.in_force(store);
            match in_force.judge(entry, &request) {
                Next::Fetch(fetch, ticket) => {
                    entry = Entry::Resumed(ticket, self.call(&fetch, now, store, service));
                }
                Next::Decide(mut decision, background) => {
                    let exchange = in_force.exchange(&mut decision);
                    self.observed.borrow_mut().append(&mut decision.follow_up.observations);
                    for fetch in &decision.follow_up.refresh {
                        self.call(fetch, now, store, service);
                    }
                    let shown = show(&decision);
                    self.follow(background, &request, service);
                    return (shown, exchange);
                }
            }
        }
    }

    fn follow(
        &self,
        mut background: Option<Background>,
        request: &Request<'_, '_>,
        service: &dyn Fn(&str) -> Answer,
    ) {
        while let Some(Background { fetch, ticket }) = background.take() {
            self.backgrounds.set(self.backgrounds.get() + 1);
            let resolution = self.call(&fetch, request.now, request.store, service);
            let in_force = self.inner.in_force(request.store);
            let (mut observed, more) = in_force.resume_background(ticket, resolution, request);
            self.observed.borrow_mut().append(&mut observed);
            background = more;
        }
    }

    /// Follows the feed, with this part of it. A part without a history is of the same one as all others.
    pub(crate) fn hear(&self, store: &dyn Store, now: Moment, part: &Value) {
        let mut part = part.clone();
        let history = format!("{:016x}", part["sequence"].as_u64().unwrap_or_default() + 1);
        part.as_object_mut().unwrap().entry("history").or_insert_with(|| history.into());
        let due = self.inner.due(now, store).fetches;
        let feed = due.iter().find(|fetch| fetch.key.kind() == "changes").expect("the feed is due");
        let body = part.to_string();
        let answer = FetchAnswer::Response { status: 200, body: body.as_bytes() };
        let outcome = self.inner.accept(&feed.key, feed.as_of, &answer, now, store).outcome;
        assert!(outcome.is_healthy(), "{outcome:?}");
    }

    /// Makes the calls that are due.
    pub(crate) fn work(&self, store: &dyn Store, now: Moment, service: &dyn Fn(&str) -> Answer) {
        let due = self.inner.due(now, store);
        self.notes.borrow_mut().extend(due.notes);
        for fetch in due.fetches {
            self.call(&fetch, now, store, service);
        }
    }

    /// Returns the number of calls since this was last asked, without those for the feed.
    pub(crate) fn calls(&self) -> usize {
        self.calls.take()
    }

    /// Returns the media type that the last call asked for.
    pub(crate) fn accepted(&self) -> String {
        self.accepted.take()
    }

    /// Returns the body of the last call.
    pub(crate) fn body(&self) -> String {
        self.body.borrow().clone()
    }

    /// Returns the credential of the last call.
    pub(crate) fn authorization(&self) -> String {
        self.authorization.borrow().clone()
    }

    /// Returns the number of signatures since this was last asked.
    pub(crate) fn signatures(&self) -> usize {
        self.signatures.take()
    }

    pub(crate) fn call(
        &self,
        fetch: &Fetch,
        now: Moment,
        store: &dyn Store,
        service: &dyn Fn(&str) -> Answer,
    ) -> Resolution {
        if !self.inner.may_call(&fetch.key, now) {
            return Resolution::Unavailable;
        }
        self.calls.set(self.calls.get() + 1);
        let accepted = fetch.request.fields().find(|(name, _)| *name == "accept");
        self.accepted.replace(accepted.map(|(_, value)| value.to_owned()).unwrap_or_default());
        let authorization = fetch.request.fields().find(|(name, _)| *name == "authorization");
        self.authorization.replace(authorization.map(|(_, value)| value.to_owned()).unwrap_or_default());
        let body = fetch.request.body.as_ref().map(|body| String::from_utf8_lossy(body).into_owned());
        self.body.replace(body.unwrap_or_default());
        let Answer(status, body) = service(fetch.request.target());
        let answer = match status {
            // No answer at all.
            0 => FetchAnswer::Failed,
            status => FetchAnswer::Response { status, body: body.as_bytes() },
        };
        let accepted = self.inner.accept(&fetch.key, fetch.as_of, &answer, now, store);
        self.notes.borrow_mut().extend(accepted.notes);
        accepted.resolution
    }
}

struct OfUpstream<'a>(&'a [(&'static str, &'a str)]);

impl AnswerHead for OfUpstream<'_> {
    fn value(&self, name: &'static str) -> Option<Vec<u8>> {
        self.0.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_bytes().to_vec())
    }

    fn is_of_upstream(&self) -> bool {
        true
    }
}

pub(crate) fn status(decision: &Decision<'_>) -> u16 {
    match &decision.verdict {
        Verdict::Forward(_) | Verdict::Pass(_) => 200,
        Verdict::Reply(_, reply) | Verdict::Answer(reply) => reply.status,
    }
}

/// Answers a request with this status and these headers, as the upstream.
pub(crate) fn answered(store: &dyn Store, exchange: &Exchange, now: Moment, answer: &[(&'static str, &str)]) {
    exchange.answered(&OfUpstream(answer), now, store);
}

impl Worker {
    /// Looks again at the caller of an exchange, until no call is left to make. Returns the metric of its end.
    pub(crate) fn look_again(
        &self,
        store: &dyn Store,
        exchange: &Exchange,
        now: Moment,
        service: &dyn Fn(&str) -> Answer,
    ) -> Option<String> {
        let look = || self.inner.in_force(store).look_again(exchange, now, store);
        let (ended, fetches) = look();
        for fetch in &fetches {
            self.call(fetch, now, store, service);
        }
        let ended = if ended.is_none() && !fetches.is_empty() { look().0 } else { ended };
        ended.map(|observation| observation.metric)
    }
}
