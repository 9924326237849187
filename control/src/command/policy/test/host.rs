//! A data plane for the cases of a file: the engine with what it is told by whomever it asks.

use keyswap_core::base::Moment;
use keyswap_core::host::{Capabilities, Environment, MemoryStore};
use keyswap_core::identity::jwt::PureRust;
use keyswap_core::judge::{Decision, Engine, Step};
use keyswap_core::request::{Header, IdentitySlot, RequestHead};
use keyswap_core::services::{FetchAnswer, Services};
use serde_json::Value;

use super::document;
use super::found::{Found, plain};
use super::issuer::StandInKey;
use super::services::Answers;
use super::suite::{Case, Problem, Request, Suite};
use super::template;
use crate::command::policy::placeholders::Placeholders;
use crate::text::request_head::HeadText;

/// A data plane with a policy, and what it remembers from case to case.
pub(super) struct Host {
    engine: Engine,
    store: MemoryStore,
    answers: Answers,
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
        let services = Services::new(Box::new(PureRust), Capabilities::ENVOY);
        let engine = Engine::new(policy, &CaseEnvironment(suite), &services).map_err(Problem::of_policy)?;
        let answers = Answers::new(suite, key, issuers, stood_in);
        let host = Self { engine, store: MemoryStore::default(), answers };
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
            authority: b"",
            headers: &headers,
            peer: || None,
        };
        let mut notes = Vec::new();
        let decision = self.decide(&head, now, &mut notes);
        Found::of(&decision, &head, notes)
    }

    fn decide<'a>(&'a self, head: &RequestHead<'a>, now: Moment, notes: &mut Vec<String>) -> Decision<'a> {
        let mut step = self.engine.begin(head, now, &self.store);
        loop {
            match step {
                Step::Decide(decision) => return decision,
                Step::Fetch(fetch, pending) => {
                    let told = self.answers.answer(&fetch, now);
                    let answer = match &told {
                        Some((status, body)) => {
                            FetchAnswer::Response { status: *status, body: body.as_bytes() }
                        }
                        None => FetchAnswer::Failed,
                    };
                    if told.is_none() {
                        let target = fetch.request.headers.iter().find(|(name, _)| *name == ":path");
                        let target = target.map_or("", |(_, target)| target.as_str());
                        notes.push(format!("{}: nothing in `fetched` answers `{target}`", fetch.key.kind()));
                    }
                    let accepted =
                        self.engine.services().accept(&fetch.key, fetch.asked, &answer, now, &self.store);
                    notes.extend(accepted.notes);
                    step = self.engine.resume(pending, accepted.resolution, head, now, &self.store);
                }
            }
        }
    }

    fn request(&self, case: &Case, now: Moment) -> anyhow::Result<FilledRequest> {
        let issuer = case.identity.as_ref().and_then(|identity| {
            Some((identity, self.answers.issuers.iter().find(|issuer| issuer.name() == identity.issuer)?))
        });
        let jwt = issuer
            .map(|(identity, issuer)| self.answers.key.sign(issuer, &identity.claims, now.unix()))
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
