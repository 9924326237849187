//! The engine with the services that a file of cases describes. The caches last from case to case, as in a data plane.

use keyswap_core::base::Moment;
use keyswap_core::host::{Capabilities, MemoryStore};
use keyswap_core::identity::jwt::PureRust;
use keyswap_core::judge::{AnswerFields, Decision, Request};
use keyswap_core::policy::RolloutPolicy;
use keyswap_core::request::{OwnedHead, RequestHead};
use keyswap_core::services::{Fetch, FetchAnswer, Resolution};
use keyswap_core::worker::{Exchange, Refusal, Worker};
use serde_json::Value;

use super::environment::CaseEnvironment;
use super::policy_under_test;
use super::stand_in_key::StandInKey;
use super::stand_ins::StandIns;
use crate::format::{Case, ClientCertificate, Request as CaseRequest, Suite, SuiteError, SuiteErrors};
use crate::outcome::Found;
use crate::services::{ServiceAnswer, Services};

/// A data plane with a policy, for the cases of one file.
pub struct CaseHost {
    worker: Worker,
    store: MemoryStore,
    services: Services,
    stand_ins: StandIns,
}

impl CaseHost {
    /// Returns a host for the cases of a file. `policy` is used where the file has none of its own.
    pub fn new(
        suite: &Suite,
        policy: Option<&Value>,
        capabilities: Capabilities,
    ) -> Result<Self, SuiteErrors> {
        let Some(document) = suite.policy.as_ref().or(policy) else {
            return Err(SuiteErrors::whole("the file has no `policy`: name one before it"));
        };
        let key = StandInKey::new().map_err(|error| SuiteErrors::whole(error.to_string()))?;
        let (policy, replaced) = policy_under_test::read(document.clone(), suite, &key)?;
        let stand_ins = StandIns::new(key, policy.issuers().to_vec(), replaced);
        // Cases are about what a policy decides, also while it is in shadow mode.
        let policy = RolloutPolicy::of(policy.enforced());
        let environment = Box::new(CaseEnvironment::of(suite));
        let worker = Worker::of(policy, environment, Box::new(PureRust), capabilities)?;
        check_texts(suite)?;
        Ok(Self { worker, store: MemoryStore::default(), services: Services::of(suite), stand_ins })
    }

    /// Judges a case at a time.
    pub fn judge(&self, case: &Case, now: Moment) -> Found {
        match self.head(case, now) {
            Ok(head) => {
                let (certificate, body) = (case.certificate.as_ref(), case.body());
                self.decide_over(certificate, &head, body.as_deref(), now, |_, _| ()).0
            }
            Err(error) => Found::failed(error.to_string()),
        }
    }

    /// Judges a request at a time. Returns the outcome, with the value that `read` makes of the decision on the head, and the
    /// exchange that begins.
    pub fn decide<T>(
        &self,
        head: &OwnedHead,
        body: Option<&[u8]>,
        now: Moment,
        read: impl FnOnce(&Decision<'_>, &RequestHead<'_>) -> T,
    ) -> (Found, T, Exchange) {
        self.decide_over(None, head, body, now, read)
    }

    /// Does the same for a request of a connection with this client certificate.
    fn decide_over<T>(
        &self,
        certificate: Option<&ClientCertificate>,
        head: &OwnedHead,
        body: Option<&[u8]>,
        now: Moment,
        read: impl FnOnce(&Decision<'_>, &RequestHead<'_>) -> T,
    ) -> (Found, T, Exchange) {
        let lines = head.lines();
        let certificate = |part| certificate?.part(part);
        let head = RequestHead { certificate: &certificate, ..head.with(&lines) };
        let request = Request { head: &head, now, store: &self.store };
        let mut notes = Vec::new();
        let in_force = self.worker.in_force(&self.store);
        let (mut decision, _) =
            in_force.decide(&request, &mut |fetch| (self.fetch(&fetch, now, &mut notes), now));
        let (mut found, value) = (Found::of(&decision, &head, notes), read(&decision, &head));
        let is_pending = decision.is_pending();
        let mut exchange = in_force.exchange(&mut decision);
        if is_pending && let Err(refusal) = self.send(&mut exchange, body.unwrap_or_default(), now) {
            found.refuse(&refusal);
        }
        (found, value, exchange)
    }

    /// Returns the body of an upstream's answer as the caller gets it; `None` where it is cut off or withheld.
    pub fn receive(
        &self,
        exchange: &mut Exchange,
        head: &AnswerFields<'_>,
        body: Vec<u8>,
        now: Moment,
    ) -> Option<Vec<u8>> {
        exchange.begin_answer(head);
        if exchange.is_withheld() {
            return None;
        }
        if !exchange.reads_answer() {
            return Some(body);
        }
        let mut read = exchange.answer_body(&body, true, now, &self.store).ok()?;
        let mut has_waited = false;
        while let Some(fetch) = read.fetch.take().filter(|_| read.waits) {
            has_waited = true;
            self.fetch(&fetch, now, &mut Vec::new());
            read = exchange.resume_answer(now, &self.store).ok()?;
        }
        Some(read.bytes.unwrap_or(if has_waited { Vec::new() } else { body }))
    }

    /// Sends the body of a request that was forwarded.
    fn send(&self, exchange: &mut Exchange, body: &[u8], now: Moment) -> Result<(), Box<Refusal>> {
        let mut judged = exchange.request_body(body, true, now, &self.store)?;
        while let Some(fetch) = judged.fetch {
            self.fetch(&fetch, now, &mut Vec::new());
            judged = exchange.resume_request(now, &self.store)?;
        }
        Ok(())
    }

    /// Answers a call as the file says, and notes a call that nothing in the file answers.
    fn fetch(&self, fetch: &Fetch, now: Moment, notes: &mut Vec<String>) -> Resolution {
        let scripted = self.answer(fetch, now);
        let answer = match &scripted {
            Some(ServiceAnswer { status, body }) => {
                FetchAnswer::Response { status: *status, body: body.as_bytes() }
            }
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

    /// Returns the answer to a call. A target in `fetched` goes before the registry and the replaced issuers.
    fn answer(&self, fetch: &Fetch, now: Moment) -> Option<ServiceAnswer> {
        let (authority, target) = (fetch.request.authority(), fetch.request.target());
        self.services.fetched(target).or_else(|| match fetch.key.kind() {
            "discovery" => self.stand_ins.discovery(authority),
            "keys" => self.stand_ins.keys(authority),
            "token" | "person" | "limit" | "lease" | "objects" | "claim" | "removal" => {
                let body = fetch.request.body.as_ref().map_or(&[][..], |body| body);
                self.services.registry(target, body, now)
            }
            _ => None,
        })
    }

    /// Returns the head of a case, with its JWT.
    fn head(&self, case: &Case, now: Moment) -> Result<OwnedHead, Box<dyn std::error::Error>> {
        let jwt = match &case.identity {
            Some(identity) => self.stand_ins.sign(identity, now)?,
            None => None,
        };
        let mut head = case.request.head(jwt.as_ref().map(|jwt| jwt.text.as_str()))?;
        if let Some(jwt) = jwt.filter(|_| !case.request.places_identity()) {
            jwt.add_to(&mut head);
        }
        Ok(head)
    }
}

/// Checks that each request that is text is a request head.
fn check_texts(suite: &Suite) -> Result<(), SuiteErrors> {
    let broken = suite.cases.iter().enumerate().filter_map(|(at, case)| {
        let CaseRequest::Text(_) = &case.request else { return None };
        let error = case.request.head(None).err()?;
        Some(SuiteError::at(format!("cases[{at}].request"), error.to_string()))
    });
    let broken: Vec<SuiteError> = broken.collect();
    if broken.is_empty() { Ok(()) } else { Err(SuiteErrors(broken)) }
}
