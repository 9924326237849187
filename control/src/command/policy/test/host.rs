//! A data plane for the cases of a file: the engine with what it is told by whomever it asks.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use keyswap_core::jwt::{Issuer, KeySource, PureRust};
use keyswap_core::{
    Check, Decision, Engine, Environment, Fetch, FetchAnswer, Header, IdentitySlot, MemoryStore, Moment,
    RequestHead, Rewrite, Step, TokenDigest, Verdict,
};
use serde_json::{Value, json};

use super::document;
use super::issuer::StandInKey;
use super::suite::{Case, Problem, Registered, Request, Served, Suite};
use super::template;
use crate::command::policy::placeholders::Placeholders;
use crate::request_head::HeadText;

/// Where the keys are that a discovery document names here.
const KEYS: &str = "/keys-of-the-stand-in";

/// A data plane with a policy, and what it remembers from case to case.
pub(super) struct Host {
    engine: Engine,
    store: MemoryStore,
    key: StandInKey,
    issuers: Vec<Issuer>,
    /// The issuers that the key stands for.
    stood_in: BTreeSet<String>,
    /// Places that other services answer.
    fetched: Vec<(String, u16, String)>,
    registry: Vec<(String, u16, String)>,
}

/// What became of a request.
pub(super) struct Found {
    pub(super) verdict: &'static str,
    pub(super) reason: &'static str,
    pub(super) provider: String,
    pub(super) principal: Option<String>,
    /// The names of the credentials that it carries, the provider's first.
    pub(super) credentials: Vec<String>,
    pub(super) outcome: Outcome,
    /// The checks that were made, in words, and what was asked for in vain.
    pub(super) checks: Vec<String>,
}

pub(super) enum Outcome {
    /// As the upstream sees it, without what belongs to the connection.
    Forwarded {
        method: String,
        authority: String,
        target: String,
        headers: BTreeMap<String, String>,
    },
    Replied {
        status: u16,
        headers: BTreeMap<String, String>,
        body: String,
    },
    /// The case itself could not be carried out.
    Failed(String),
}

/// What the variables of a file's policy are, and what would be fetched.
struct CaseEnvironment<'s>(&'s Suite);

impl Environment for CaseEnvironment<'_> {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        match &self.0.env {
            Some(env) => env.get(name).map(|value| value.clone().into_bytes()),
            None => Placeholders.variable(name),
        }
    }

    fn fetched(&self, credential: &str) -> Option<Vec<u8>> {
        match &self.0.fetched {
            None if self.0.env.is_none() => Placeholders.fetched(credential),
            _ => None,
        }
    }
}

impl Host {
    pub(super) fn new(suite: &Suite, policy: Option<&Value>) -> Result<Self, Vec<Problem>> {
        let Some(document) = suite.policy.as_ref().or(policy) else {
            return Err(vec![Problem::whole("the file has no `policy`: name one before it")]);
        };
        let key = StandInKey::new().map_err(|error| vec![Problem::whole(error.to_string())])?;
        let (policy, stood_in) = document::read(document.clone(), suite, &key)?;
        let issuers = policy.issuers().to_vec();
        let engine = Engine::new(policy, &CaseEnvironment(suite), Box::new(PureRust));
        let served = |it: &Served| (it.target.clone(), it.status.unwrap_or(200), it.body.clone());
        let host = Self {
            engine: engine.map_err(Problem::of_policy)?,
            store: MemoryStore::default(),
            key,
            issuers,
            stood_in,
            fetched: suite.fetched.iter().flatten().map(served).collect(),
            registry: suite.registry.iter().map(Registered::answer).collect(),
        };
        let broken = suite.cases.iter().enumerate().filter_map(|(index, case)| {
            let error = HeadText::new(case.text()?.into_bytes()).parse().err()?;
            Some(Problem::at(format!("cases[{index}].request"), error.to_string()))
        });
        let broken: Vec<Problem> = broken.collect();
        if broken.is_empty() { Ok(host) } else { Err(broken) }
    }

    /// Judges a case at a time.
    pub(super) fn judge(&self, case: &Case, now: Moment) -> Found {
        let request = match self.request(case, now) {
            Ok(request) => request,
            Err(error) => return Found::failed(error.to_string()),
        };
        let headers: Vec<Header<'_>> = request
            .headers
            .iter()
            .map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() })
            .collect();
        let head = RequestHead {
            method: request.method.as_bytes(),
            path: request.target.as_bytes(),
            headers: &headers,
            peer: || None,
        };
        let asked = RefCell::default();
        let decision = self.decide(&head, now, &asked);
        Found::of(&decision, &head, asked.into_inner())
    }

    fn decide<'a>(
        &'a self,
        head: &RequestHead<'a>,
        now: Moment,
        asked: &RefCell<Vec<String>>,
    ) -> Decision<'a> {
        let mut step = self.engine.begin(head, now, &self.store);
        loop {
            match step {
                Step::Decide(decision) => return decision,
                Step::Fetch(fetch, pending) => {
                    let answer = self.answer(&fetch, asked);
                    let answer = match &answer {
                        Some((status, body)) => {
                            FetchAnswer::Response { status: *status, body: body.as_bytes() }
                        }
                        None => FetchAnswer::Failed,
                    };
                    let accepted = self.engine.accept(&fetch.key, fetch.asked, &answer, now, &self.store);
                    asked.borrow_mut().extend(accepted.notes);
                    step = self.engine.resume(pending, accepted.resolution, head, now, &self.store);
                }
            }
        }
    }

    /// What whoever is asked answers; nothing where the file does not say.
    fn answer(&self, fetch: &Fetch, asked: &RefCell<Vec<String>>) -> Option<(u16, String)> {
        let field =
            |name: &str| fetch.request.headers.iter().find(|(it, _)| *it == name).map(|(_, it)| it.as_str());
        let (authority, target) =
            (field(":authority").unwrap_or_default(), field(":path").unwrap_or_default());
        let scripted = |(of, ..): &&(String, u16, String)| of == target;
        if let Some((_, status, body)) = self.fetched.iter().find(scripted) {
            return Some((*status, body.clone()));
        }
        let answer = match fetch.key.kind() {
            "discovery" => self.issuer_at(authority).map(|issuer| {
                let keys = format!("{}{KEYS}", site(issuer));
                (200, json!({"issuer": issuer.url(), "jwks_uri": keys}).to_string())
            }),
            "keys" => self.issuer_at(authority).map(|_| (200, self.key.key_set().to_string())),
            "token" if target.contains("/v1/tokens/") => Some(self.registered(target, "unknown_token")),
            "person" => Some(self.registered(target, "unknown_user")),
            _ => None,
        };
        if answer.is_none() {
            let note = format!("nothing in `fetched` answers `{target}`, which was asked for at {authority}");
            asked.borrow_mut().push(note);
        }
        answer
    }

    /// What the registry answers.
    fn registered(&self, target: &str, unknown: &str) -> (u16, String) {
        let known = self.registry.iter().find(|(path, ..)| target.ends_with(path.as_str()));
        known.map_or_else(
            || (404, json!({"code": unknown}).to_string()),
            |(_, status, body)| (*status, body.clone()),
        )
    }

    /// The issuer that the key stands for and whose keys are there.
    fn issuer_at(&self, authority: &str) -> Option<&Issuer> {
        let is_there = |issuer: &&Issuer| match issuer.keys() {
            KeySource::Inline(_) => false,
            KeySource::Jwks(keys) | KeySource::Discovery(keys) => keys.endpoint.authority == authority,
        };
        self.issuers.iter().filter(|issuer| self.stood_in.contains(issuer.name())).find(is_there)
    }

    fn request(&self, case: &Case, now: Moment) -> anyhow::Result<FilledRequest> {
        let issuer = case.identity.as_ref().and_then(|identity| {
            Some((identity, self.issuers.iter().find(|issuer| issuer.name() == identity.issuer)?))
        });
        let jwt = issuer
            .map(|(identity, issuer)| self.key.sign(issuer, &identity.claims, now.unix()))
            .transpose()?;
        let mut request = FilledRequest::of(&case.request, jwt.as_deref())?;
        if let (Some((_, issuer)), Some(jwt), false) = (issuer, jwt, case.places_identity()) {
            request.headers.push(match issuer.slots().first() {
                Some(IdentitySlot::Header(name)) => (name.clone(), jwt),
                Some(IdentitySlot::Cookie(name)) => ("cookie".to_owned(), format!("{name}={jwt}")),
                None => ("authorization".to_owned(), format!("Bearer {jwt}")),
            });
        }
        Ok(request)
    }
}

/// Scheme and authority of where an issuer's keys are.
fn site(issuer: &Issuer) -> String {
    match issuer.keys() {
        KeySource::Inline(_) => String::new(),
        KeySource::Jwks(keys) | KeySource::Discovery(keys) => {
            let scheme = if keys.endpoint.https { "https" } else { "http" };
            format!("{scheme}://{}", keys.endpoint.authority)
        }
    }
}

/// A request as it is sent.
struct FilledRequest {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
}

impl FilledRequest {
    fn of(request: &Request, jwt: Option<&str>) -> anyhow::Result<Self> {
        match request {
            Request::Parts(parts) => {
                let fill = |(name, value): &(String, String)| (name.clone(), template::fill(value, jwt));
                Ok(Self {
                    method: parts.method.clone(),
                    target: template::fill(&parts.target, jwt),
                    headers: parts.headers.0.iter().map(fill).collect(),
                })
            }
            Request::Text(text) => {
                let text = HeadText::new(template::fill(text, jwt).into_bytes());
                let parsed = text.parse()?;
                let head = parsed.head();
                let header = |header: &Header<'_>| (plain(header.name), plain(header.value));
                Ok(Self {
                    method: plain(head.method),
                    target: plain(head.path),
                    headers: head.headers.iter().map(header).collect(),
                })
            }
        }
    }
}

impl Case {
    fn text(&self) -> Option<String> {
        match &self.request {
            Request::Text(text) => Some(template::fill(text, None)),
            Request::Parts(_) => None,
        }
    }
}

impl Registered {
    /// The end of the path at which it is asked for, and what is answered.
    fn answer(&self) -> (String, u16, String) {
        let (path, member, value) = match (&self.token, &self.email) {
            (Some(token), _) => {
                let digest = TokenDigest::of(template::fill(token, None).as_bytes()).to_hex();
                (format!("/v1/tokens/{digest}"), "sha256", digest)
            }
            (None, email) => {
                let email = email.clone().unwrap_or_default().to_ascii_lowercase();
                (format!("/v1/principals/{}", escaped(&email)), "email", email)
            }
        };
        let body = match (&self.record, &self.body) {
            (Some(record), _) => {
                let mut record = record.clone();
                if let Some(members) = record.as_object_mut() {
                    members.entry(member).or_insert_with(|| value.into());
                }
                record.to_string()
            }
            (None, body) => body.clone().unwrap_or_default(),
        };
        (path, self.status.unwrap_or(200), body)
    }
}

/// All but letters, digits, `-`, `_` and `.` percent-encoded, as the engine asks for people.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

impl Found {
    fn of(decision: &Decision<'_>, head: &RequestHead<'_>, notes: Vec<String>) -> Self {
        let credentials = decision.checks.iter().filter_map(|check| match check {
            Check::HasCredential(name) => Some((*name).to_owned()),
            Check::HostHasCredential => Some("host".to_owned()),
            _ => None,
        });
        Self {
            verdict: decision.verdict_name(),
            reason: decision.reason_code(),
            provider: decision.provider.to_owned(),
            principal: decision.principal.as_ref().map(|it| it.label().to_owned()),
            credentials: credentials.collect(),
            outcome: Outcome::of(decision, head),
            checks: decision
                .checks
                .iter()
                .map(|check| format!("{}: {check}", check.stage().name()))
                .chain(notes)
                .collect(),
        }
    }

    fn failed(error: String) -> Self {
        Self {
            verdict: "none",
            reason: "none",
            provider: String::new(),
            principal: None,
            credentials: Vec::new(),
            outcome: Outcome::Failed(error),
            checks: Vec::new(),
        }
    }
}

impl Outcome {
    fn of(decision: &Decision<'_>, head: &RequestHead<'_>) -> Self {
        match &decision.verdict {
            Verdict::Forward(rewrite) => Self::Forwarded {
                method: plain(head.method),
                authority: rewrite.authority.to_owned(),
                target: plain(&rewrite.path),
                headers: forwarded_headers(rewrite, head),
            },
            Verdict::Reply(_, reply) | Verdict::Answer(reply) => Self::Replied {
                status: reply.status,
                headers: reply
                    .headers
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), value.to_string()))
                    .collect(),
                body: reply.body.clone(),
            },
        }
    }
}

fn forwarded_headers(rewrite: &Rewrite<'_>, head: &RequestHead<'_>) -> BTreeMap<String, String> {
    let kept = head.headers.iter().filter(|header| !rewrite.remove.contains(&header.name));
    let kept = kept.map(|header| (plain(header.name).to_ascii_lowercase(), plain(header.value)));
    let set = rewrite.set.iter().map(|(name, value)| ((*name).to_owned(), plain(value)));
    let mut headers: BTreeMap<String, String> = kept.chain(set).collect();
    headers.retain(|name, _| !is_of_connection(name));
    headers
}

fn is_of_connection(name: &str) -> bool {
    const NAMES: [&str; 6] =
        ["host", "connection", "content-length", "transfer-encoding", "upgrade", "x-request-id"];
    NAMES.contains(&name)
}

fn plain(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
