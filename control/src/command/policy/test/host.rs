//! A data plane for the cases of a file: the engine with what it is told by whomever it asks.

use std::collections::BTreeMap;

use keyswap_core::base::Moment;
use keyswap_core::host::{Capabilities, Environment, MemoryStore};
use keyswap_core::identity::jwt::PureRust;
use keyswap_core::judge::Request;
use keyswap_core::policy::RolloutPolicy;
use keyswap_core::request::{Header, IdentitySlot, OwnedHead};
use keyswap_core::services::{Fetch, FetchAnswer, Resolution};
use keyswap_core::worker::Worker;
use serde_json::Value;

use super::document;
use super::found::{Found, plain};
use super::issuer::StandInKey;
use super::services::Answers;
use super::suite::{self, Case, Problem, Suite};
use super::template;
use crate::command::policy::placeholders::Placeholders;
use crate::text::request_head::HeadText;

/// A data plane with a policy, and what it remembers from case to case.
pub(super) struct Host {
    worker: Worker,
    store: MemoryStore,
    answers: Answers,
}

/// The values of the variables of a file's policy, and of what would be fetched.
struct CaseEnvironment {
    env: Option<BTreeMap<String, String>>,
    answers_fetches: bool,
}

impl Environment for CaseEnvironment {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        match &self.env {
            Some(env) => env.get(name).map(|value| value.clone().into_bytes()),
            None => Placeholders.variable(name),
        }
    }

    fn fetched(&self, credential: &str) -> Option<Vec<u8>> {
        let is_placeholder = !self.answers_fetches && self.env.is_none();
        is_placeholder.then(|| Placeholders.fetched(credential)).flatten()
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
        let environment =
            CaseEnvironment { env: suite.env.clone(), answers_fetches: suite.fetched.is_some() };
        // Cases are about what a policy decides, also while it is in shadow mode.
        let policy = RolloutPolicy::of(policy.enforced());
        let worker = Worker::of(policy, Box::new(environment), Box::new(PureRust), Capabilities::ENVOY);
        let worker = worker.map_err(Problem::of_policy)?;
        let answers = Answers::new(suite, key, issuers, stood_in);
        let host = Self { worker, store: MemoryStore::default(), answers };
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
        let lines = request.lines();
        let request = Request { head: &request.with(&lines), now, store: &self.store };
        let mut notes = Vec::new();
        let in_force = self.worker.in_force(&self.store);
        let (decision, _) =
            in_force.decide(&request, &mut |fetch| (self.fetch(&fetch, now, &mut notes), now));
        Found::of(&decision, request.head, notes)
    }

    /// Answers a call as the file says, and notes what it does not say.
    fn fetch(&self, fetch: &Fetch, now: Moment, notes: &mut Vec<String>) -> Resolution {
        let scripted = self.answers.answer(fetch, now);
        let answer = match &scripted {
            Some((status, body)) => FetchAnswer::Response { status: *status, body: body.as_bytes() },
            None => FetchAnswer::Failed,
        };
        if scripted.is_none() {
            let target = fetch.request.target();
            notes.push(format!("{}: nothing in `fetched` answers `{target}`", fetch.key.kind()));
        }
        let accepted = self.worker.accept(&fetch.key, fetch.as_of, &answer, now, &self.store);
        notes.extend(accepted.notes);
        accepted.resolution
    }

    fn request(&self, case: &Case, now: Moment) -> anyhow::Result<OwnedHead> {
        let issuer = case.identity.as_ref().and_then(|identity| {
            Some((identity, self.answers.issuers.iter().find(|issuer| issuer.name() == identity.issuer)?))
        });
        let jwt = issuer
            .map(|(identity, issuer)| self.answers.key.sign(issuer, &identity.claims, now.unix()))
            .transpose()?;
        let mut request = filled(&case.request, jwt.as_deref())?;
        if let (Some((_, issuer)), Some(jwt), false) = (issuer, jwt, case.places_identity()) {
            request.fields.push(match issuer.slots().first() {
                Some(IdentitySlot::Header(name)) => (name.clone(), jwt.into_bytes()),
                Some(IdentitySlot::Cookie(name)) => {
                    ("cookie".to_owned(), format!("{name}={jwt}").into_bytes())
                }
                None => ("authorization".to_owned(), format!("Bearer {jwt}").into_bytes()),
            });
        }
        Ok(request)
    }
}

/// Fills the placeholders of a request.
fn filled(request: &suite::Request, jwt: Option<&str>) -> anyhow::Result<OwnedHead> {
    match request {
        suite::Request::Parts(parts) => {
            let fill =
                |(name, value): &(String, String)| (name.clone(), template::fill(value, jwt).into_bytes());
            Ok(OwnedHead {
                method: parts.method.clone(),
                target: template::fill(&parts.target, jwt),
                authority: String::new(),
                fields: parts.headers.0.iter().map(fill).collect(),
            })
        }
        suite::Request::Text(text) => {
            let text = HeadText::new(template::fill(text, jwt).into_bytes());
            let parsed = text.parse()?;
            let head = parsed.head();
            let field = |header: &Header<'_>| (plain(header.name), header.value.to_vec());
            Ok(OwnedHead {
                method: plain(head.method),
                target: plain(head.path),
                authority: String::new(),
                fields: head.headers.iter().map(field).collect(),
            })
        }
    }
}

impl Case {
    fn text(&self) -> Option<String> {
        match &self.request {
            suite::Request::Text(text) => Some(template::fill(text, None)),
            suite::Request::Parts(_) => None,
        }
    }
}
