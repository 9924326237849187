//! The engine without any host around it: what every host is compared with.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use keyswap_core::answer::{LocalReply, ResponseHeaders};
use keyswap_core::base::Moment;
use keyswap_core::host::{Capabilities, Environment, MemoryStore};
use keyswap_core::identity::jwt::PureRust;
use keyswap_core::judge::{Field, Request as Judged, Rewrite, Verdict};
use keyswap_core::policy::RolloutPolicy;
use keyswap_core::request::{OwnedHead, RequestHead};
use keyswap_core::services::{Fetch, FetchAnswer, Resolution};
use keyswap_core::worker::Worker;
use keyswap_tests::cases::{Answered, CaseRegistry, CaseRequest, Forwarded, Suite};
use keyswap_tests::{Request, Standin};

use crate::outcome::{Outcome, answered, is_of_connection, joined};

/// The engine with what it needs around it.
pub(crate) struct Core {
    worker: Worker,
    store: MemoryStore,
    registry: CaseRegistry,
    standin: Standin,
}

struct Env(BTreeMap<String, String>);

impl Environment for Env {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        self.0.get(name).map(|value| value.clone().into_bytes())
    }
}

impl Core {
    pub(crate) fn start(suite: &Suite, host: Capabilities) -> Result<Self> {
        let policy = RolloutPolicy::from_json(suite.policy.to_string().as_bytes())?;
        let worker = Worker::of(policy, Box::new(Env(suite.env.clone())), Box::new(PureRust), host)?;
        let (store, registry) = (MemoryStore::default(), suite.registry());
        Ok(Self { worker, store, registry, standin: Standin::start()? })
    }

    pub(crate) fn decide(&self, request: &CaseRequest) -> Result<Outcome> {
        let head = OwnedHead {
            method: request.method.clone(),
            target: request.target.clone(),
            authority: String::new(),
            fields: request
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), value.clone().into_bytes()))
                .collect(),
        };
        let lines = head.lines();
        let head = head.with(&lines);
        let in_force = self.worker.in_force(&self.store);
        let request = Judged { head: &head, now: now(), store: &self.store };
        let (decision, _) = in_force.decide(&request, &mut |fetch| (self.fetch(&fetch), now()));
        match decision.verdict {
            Verdict::Forward(rewrite) => {
                let answer = self.ask_upstream(&rewrite, &head, &decision.response)?;
                Ok(Outcome::Forwarded(forwarded(&rewrite, &head), answer))
            }
            Verdict::Reply(_, reply) | Verdict::Answer(reply) => Ok(Outcome::Replied(replied(&reply))),
            Verdict::Pass(_) => bail!("a policy in shadow mode decides nothing that could be compared"),
        }
    }

    fn fetch(&self, fetch: &Fetch) -> Resolution {
        let body = fetch.request.body.as_ref().map_or(&[][..], |body| body);
        let (status, body) = self.registry.answer(fetch.request.target(), body);
        let answer = FetchAnswer::Response { status, body: &body };
        self.worker.accept(&fetch.key, fetch.as_of, &answer, now(), &self.store).resolution
    }

    /// What the caller would get of the stand-in's answer.
    fn ask_upstream(
        &self,
        rewrite: &Rewrite<'_>,
        head: &RequestHead<'_>,
        response: &ResponseHeaders,
    ) -> Result<Answered> {
        let method = str::from_utf8(head.method)?;
        let mut request = Request::new(method, &rewrite.path);
        for (name, value) in rewrite.fields(head) {
            request = request.header(name, value);
        }
        let raw = self.standin.ask(rewrite.authority, &request)?;
        let lines: Vec<Field<'_>> =
            raw.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_slice())).collect();
        let fields = response.fields(&lines).map(owned).collect::<Result<Vec<_>>>()?;
        self.standin.take();
        Ok(answered(raw.status, &fields, raw.text()))
    }
}

/// What an upstream sees of a head after a rewrite.
fn forwarded(rewrite: &Rewrite<'_>, head: &RequestHead<'_>) -> Forwarded {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let fields: Vec<_> = rewrite.fields(head).map(|(name, value)| (text(name), value.to_vec())).collect();
    let mut headers = joined(&fields);
    headers.retain(|name, _| !is_of_connection(name));
    Forwarded {
        // A rewrite has no say in the method.
        method: Some(text(head.method)),
        authority: rewrite.authority.to_owned(),
        target: text(&rewrite.path),
        headers,
    }
}

fn replied(reply: &LocalReply) -> Answered {
    let line =
        |(name, value): &(&str, std::borrow::Cow<'_, str>)| ((*name).to_owned(), value.as_bytes().to_vec());
    let lines: Vec<_> = reply.headers.iter().map(line).collect();
    answered(reply.status, &lines, reply.body.clone())
}

fn owned((name, value): Field<'_>) -> Result<(String, Vec<u8>)> {
    Ok((str::from_utf8(name)?.to_owned(), value.to_vec()))
}

fn now() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
