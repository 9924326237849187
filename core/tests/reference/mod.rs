//! The engine against a second, naive implementation of the decision, over random logs: requests, faults of the registry,
//! a clock that jumps, and policies.
//!
//! `KEYSWAP_REFERENCE_LOGS` is the number of logs: `KEYSWAP_REFERENCE_LOGS=100000 cargo xtask test reference::`.

#![expect(clippy::disallowed_methods, reason = "this is a test, not the engine")]

mod model;
mod script;

use std::cell::Cell;

use keyswap_core::base::{Digest, Moment, UnixTime};
use keyswap_core::host::{Capabilities, MemoryStore};
use keyswap_core::identity::jwt::PureRust;
use keyswap_core::judge::{Decision, Request, Verdict};
use keyswap_core::policy::RolloutPolicy;
use keyswap_core::request::{Header, RequestHead};
use keyswap_core::services::{Fetch, FetchAnswer, Resolution};
use keyswap_core::worker::{Entry, Next, Worker};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use serde_json::json;

use self::model::{Model, Time, Word};
use self::script::{Ask, Event, HEADERS, Health, OF_REGISTRY, Policy, REQUESTS, Record, TOKENS};
use crate::support::NOW;
use crate::support::plane::Secrets;
use crate::support::worker::at_ms;

const LOGS: u32 = 256;
const MAX_EVENTS: usize = 40;

#[test]
fn the_engine_decides_like_the_reference() {
    let cases = std::env::var("KEYSWAP_REFERENCE_LOGS").map_or(LOGS, |number| number.parse().unwrap());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let logs = (script::policy(), prop::collection::vec(script::event(), 1..MAX_EVENTS));
    let forwarded = Cell::new(0_u32);
    let replayed = runner.run(&logs, |(policy, log)| {
        let mut replay = Replay::new(&policy);
        for (number, event) in log.iter().enumerate() {
            let ended = replay.take(&policy, event).map_err(|difference| {
                TestCaseError::fail(format!("event {number} of {log:#?}\nunder {policy:#?}:\n{difference}"))
            })?;
            forwarded.set(forwarded.get() + u32::from(ended));
        }
        Ok(())
    });
    if let Err(error) = replayed {
        panic!("{error}");
    }
    assert!(forwarded.get() > cases / 2, "hardly any request was forwarded: {forwarded:?}");
}

/// Words of the registry, by token.
type Words = Vec<(usize, Word)>;

/// A log that is replayed: the engine's workers with their memory, the registry, and the model.
struct Replay {
    workers: [Worker; 2],
    store: MemoryStore,
    now: Time,
    health: Health,
    records: [Option<(Record, u64)>; OF_REGISTRY.len()],
    /// The tokens that changed, by the number of the change.
    changes: Vec<usize>,
    /// The number of changes that each worker has heard of; `None` for one that follows no feed yet.
    told: [Option<usize>; 2],
    model: Model,
}

impl Replay {
    fn new(policy: &Policy) -> Self {
        let document = policy.document(|second| UnixTime(NOW + second).to_string()).to_string();
        let start = || {
            let policy = RolloutPolicy::from_json(document.as_bytes()).unwrap();
            Worker::of(policy, Box::new(Secrets), Box::new(PureRust), Capabilities::ENVOY).unwrap()
        };
        let all = Record { scope: script::PROVIDERS.to_vec(), is_active: true, expires: None };
        Self {
            workers: [start(), start()],
            store: MemoryStore::default(),
            now: 0,
            health: Health::Well,
            records: [Some((all, 1)), None],
            changes: vec![OF_REGISTRY[0]],
            told: [None; 2],
            model: Model::default(),
        }
    }

    fn moment(&self) -> Moment {
        at_ms(self.now)
    }

    /// Takes an event. Returns whether a request was forwarded.
    fn take(&mut self, policy: &Policy, event: &Event) -> Result<bool, String> {
        match event {
            Event::Ask(ask) => return self.ask(policy, ask),
            Event::Clock(milliseconds) => self.now += milliseconds,
            Event::Registry(health) => self.health = *health,
            Event::Change(token, record) => {
                self.changes.push(*token);
                let number = self.changes.len() as u64;
                self.records[token - OF_REGISTRY[0]] = record.clone().map(|record| (record, number));
            }
            Event::Tell(worker) if policy.registry.is_some() => self.tell(*worker),
            Event::Tell(_) => {}
        }
        Ok(false)
    }

    fn tell(&mut self, worker: usize) {
        let due = self.workers[worker].due(self.moment(), &self.store).fetches;
        let Some(feed) = due.iter().find(|fetch| fetch.key.kind() == "changes") else { return };
        let numbered = self.changes.iter().copied().zip(1_u64..);
        let news: Vec<(usize, u64)> =
            numbered.skip(self.told[worker].unwrap_or(self.changes.len())).collect();
        let sha256 = |token: usize| Digest::of(TOKENS[token].as_bytes()).to_hex();
        let changes: Vec<_> = news
            .iter()
            .map(|(token, number)| json!({"kind": "token", "key": sha256(*token), "sequence": number}))
            .collect();
        let sequence = self.changes.len();
        let body = json!({
            "sequence": sequence, "history": format!("{sequence:016x}"), "reset": false, "changes": changes,
        });
        let body = body.to_string();
        let answer = FetchAnswer::Response { status: 200, body: body.as_bytes() };
        self.workers[worker].accept(&feed.key, feed.as_of, &answer, self.moment(), &self.store);
        self.told[worker] = Some(sequence);
        self.model.tell(worker, news);
    }

    /// Returns the registry's answer on a token, and what it says.
    fn answer(&self, token: usize) -> (u16, String, Word) {
        let record =
            OF_REGISTRY.iter().position(|own| *own == token).and_then(|at| self.records[at].as_ref());
        let text = |named: usize, record: &Record, version: u64| {
            let expires = record.expires.map(|second| UnixTime(NOW + second).to_string());
            json!({
                "sha256": Digest::of(TOKENS[named].as_bytes()).to_hex(), "label": "l", "providers": record.scope,
                "status": if record.is_active { "active" } else { "disabled" }, "expires_at": expires,
                "version": version,
            })
            .to_string()
        };
        let all = Record { scope: script::PROVIDERS.to_vec(), is_active: true, expires: None };
        match (self.health, record) {
            (Health::Well, Some((record, version))) => {
                (200, text(token, record, *version), Word::Record(record.clone(), *version))
            }
            (Health::Well, None) => (404, r#"{"code":"unknown_token"}"#.to_owned(), Word::Unknown),
            (Health::Silent, _) => (0, String::new(), Word::Away),
            (Health::Status(status), _) => (status, String::new(), Word::Away),
            (Health::Lies, _) => (200, text((token + 1) % TOKENS.len(), &all, 1), Word::Senseless),
            (Health::NotFound, _) => (404, "not found".to_owned(), Word::Senseless),
            (Health::Garbage, _) => (200, text(token, &all, 1) + "x", Word::Senseless),
        }
    }

    fn call(&self, worker: usize, fetch: &Fetch) -> (Resolution, Option<(usize, Word)>) {
        let worker = &self.workers[worker];
        if !worker.may_call(&fetch.key, self.moment()) {
            return (Resolution::Unavailable, None);
        }
        let sha256 = fetch.request.target().rsplit('/').next().unwrap_or_default();
        let token = TOKENS.iter().position(|token| Digest::of(token.as_bytes()).to_hex() == sha256).unwrap();
        let (status, body, word) = self.answer(token);
        let answer = match status {
            0 => FetchAnswer::Failed,
            status => FetchAnswer::Response { status, body: body.as_bytes() },
        };
        let accepted = worker.accept(&fetch.key, fetch.as_of, &answer, self.moment(), &self.store);
        (accepted.resolution, Some((token, word)))
    }

    fn ask(&mut self, policy: &Policy, ask: &Ask) -> Result<bool, String> {
        let (method, path) = REQUESTS[ask.request];
        let mut target = format!("{path}?a=%20b");
        let mut lines: Vec<(&str, String)> = Vec::new();
        for (slot, token) in &ask.slots {
            match *slot {
                "query:key" => target = format!("{target}&key={}", TOKENS[*token]),
                "authorization" => lines.push((slot, format!("Bearer {}", TOKENS[*token]))),
                slot => lines.push((slot, TOKENS[*token].to_owned())),
            }
        }
        lines.extend(ask.headers.iter().map(|header| (HEADERS[*header].0, HEADERS[*header].1.to_owned())));
        lines.extend(ask.note.map(|note| ("x-note", format!("see {}", TOKENS[note]))));
        let headers: Vec<Header<'_>> = lines
            .iter()
            .map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() })
            .collect();
        let head = RequestHead::new(method.as_bytes(), target.as_bytes(), &headers);
        let (text, waited, renewals) = self.judge(ask.worker, &head);
        let ends = self.model.ends(policy, ask, self.now, &waited);
        let found = ends.iter().find(|end| end.text == text);
        let Some(end) = found else {
            let expected: Vec<_> = ends.iter().map(|end| &*end.text).collect();
            return Err(format!(
                "{method} {target}\nthe engine:\n{text}\nthe reference:\n{}",
                expected.join("or\n")
            ));
        };
        self.model.end(end);
        for (token, word) in waited.into_iter().chain(renewals) {
            assert!(Model::is_of_registry(token), "the registry is asked for a token of the policy");
            self.model.hear(ask.worker, token, self.now, word);
        }
        Ok(text.contains(" https://"))
    }

    /// Judges a request. Returns its end, and the words for which it waited and did not wait.
    fn judge(&self, worker: usize, head: &RequestHead<'_>) -> (String, Words, Words) {
        let request = Request { head, now: self.moment(), store: &self.store };
        let (mut entry, mut waited) = (Entry::New, Vec::new());
        loop {
            match self.workers[worker].in_force(&self.store).judge(entry, &request) {
                Next::Fetch(fetch, ticket) => {
                    let (resolution, word) = self.call(worker, &fetch);
                    waited.extend(word);
                    entry = Entry::Resumed(ticket, resolution);
                }
                Next::Decide(decision, _) => {
                    let renewals = decision.follow_up.refresh.iter();
                    let renewals = renewals.filter_map(|fetch| self.call(worker, fetch).1).collect();
                    return (told(&decision, head), waited, renewals);
                }
            }
        }
    }
}

/// Returns the end of a request as text.
fn told(decision: &Decision<'_>, head: &RequestHead<'_>) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let limits = |lines: Vec<(String, String)>| {
        let mut lines: Vec<String> = lines
            .into_iter()
            .filter(|(name, _)| name.starts_with("ratelimit"))
            .map(|(name, value)| format!("{name}: {value}\n"))
            .collect();
        lines.sort_unstable();
        lines.concat()
    };
    match &decision.verdict {
        Verdict::Forward(rewrite) => {
            let mut fields: Vec<String> = rewrite
                .fields(head)
                .map(|(name, value)| format!("{}: {}", text(name), text(value)))
                .collect();
            fields.sort_unstable();
            let scheme = if rewrite.https { "https" } else { "http" };
            let own = decision.response.own().map(|(name, value)| (text(name), text(value))).collect();
            format!(
                "{} {scheme}://{}{}\n{}\n{}",
                text(head.method),
                rewrite.authority,
                text(&rewrite.path),
                fields.join("\n"),
                limits(own)
            )
        }
        Verdict::Reply(reason, reply) => {
            let lines = reply.headers.iter().map(|(name, value)| ((*name).to_owned(), (**value).to_owned()));
            let lines: Vec<(String, String)> = lines.collect();
            let retry = lines.iter().find(|(name, _)| name == "retry-after");
            let retry = retry.map(|(_, value)| format!("retry-after: {value}\n")).unwrap_or_default();
            format!("{} {}\n{retry}{}", reply.status, reason.code(), limits(lines))
        }
        Verdict::Answer(reply) => format!("{} answered\n", reply.status),
        Verdict::Pass(_) => "passed\n".to_owned(),
    }
}
