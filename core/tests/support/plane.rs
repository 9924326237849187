//! A data plane's worker that is driven by hand: what it decides, tells and calls for.

use std::cell::RefCell;

use keyswap_core::jwt::PureRust;
use keyswap_core::{
    Aside, Capabilities, Decision, Environment, Fetch, FetchAnswer, Header, Moment, Next, Observation,
    PolicyErrors, RequestHead, Resolution, Store, Verdict, Worker,
};
use serde_json::Value;

use super::worker::Answer;

/// Has a value for every variable.
pub(crate) struct Secrets;

impl Environment for Secrets {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        (name != "UNSET").then(|| format!("secret-of-{name}").into_bytes())
    }
}

pub(crate) struct Plane {
    pub(crate) worker: Worker,
    pub(crate) told: RefCell<Vec<Observation>>,
    pub(crate) notes: RefCell<Vec<String>>,
    pub(crate) asides: RefCell<usize>,
}

impl Plane {
    pub(crate) fn start(configuration: &Value) -> Result<Self, PolicyErrors> {
        let document = configuration.to_string();
        let verifier = Box::new(PureRust);
        let worker =
            Worker::start(document.as_bytes(), Box::new(Secrets), verifier, Capabilities::ENVOY, "plane-1")?;
        Ok(Self { worker, told: RefCell::default(), notes: RefCell::default(), asides: RefCell::default() })
    }

    pub(crate) fn new(configuration: &Value) -> Self {
        Self::start(configuration).unwrap_or_else(|errors| panic!("{errors}"))
    }

    /// `forward`, or the reason; behind a colon what a policy in shadow mode would have said.
    pub(crate) fn ask(
        &self,
        store: &dyn Store,
        token: &str,
        path: &str,
        now: Moment,
        service: &dyn Fn(&str) -> Answer,
    ) -> String {
        let authorization = format!("Bearer {token}");
        let headers = [Header { name: b"authorization", value: authorization.as_bytes() }];
        let head = RequestHead {
            method: b"POST",
            path: path.as_bytes(),
            authority: b"",
            headers: &headers,
            peer: || None,
        };
        if self.worker.rollout().is_none() {
            self.notes.borrow_mut().extend(self.worker.listen(store));
        }
        let Some(rollout) = self.worker.rollout() else {
            let Some(fetch) = self.worker.first_policy(now) else { return "policy_unavailable".to_owned() };
            self.call(&fetch, now, store, service);
            return match self.worker.rollout() {
                Some(_) => self.ask(store, token, path, now, service),
                None => "policy_unavailable".to_owned(),
            };
        };
        let mut judged = rollout.begin(&head, now, store);
        loop {
            self.told.borrow_mut().append(&mut judged.observations);
            match judged.next {
                Next::Decide(decision) => {
                    for fetch in &decision.refresh {
                        self.call(fetch, now, store, service);
                    }
                    let said = said(&decision);
                    self.follow(judged.aside, &head, now, store, service);
                    return said;
                }
                Next::Wait(fetch, waiting) => {
                    let resolution = self.call(&fetch, now, store, service);
                    judged = rollout.resume(waiting, resolution, &head, now, store);
                }
            }
        }
    }

    fn follow(
        &self,
        mut aside: Option<Aside>,
        head: &RequestHead<'_>,
        now: Moment,
        store: &dyn Store,
        service: &dyn Fn(&str) -> Answer,
    ) {
        while let (Some(next), Some(rollout)) = (aside.take(), self.worker.rollout()) {
            *self.asides.borrow_mut() += 1;
            let resolution = self.call(&next.fetch, now, store, service);
            let (mut told, more) = rollout.conclude(next.waiting, resolution, head, now, store);
            self.told.borrow_mut().append(&mut told);
            aside = more;
        }
    }

    /// Makes the calls that are due.
    pub(crate) fn work(&self, store: &dyn Store, now: Moment, service: &dyn Fn(&str) -> Answer) {
        let due = self.worker.due(now, store);
        self.notes.borrow_mut().extend(due.notes);
        for fetch in due.fetches {
            self.call(&fetch, now, store, service);
        }
    }

    pub(crate) fn call(
        &self,
        fetch: &Fetch,
        now: Moment,
        store: &dyn Store,
        service: &dyn Fn(&str) -> Answer,
    ) -> Resolution {
        if !self.worker.may_call(&fetch.key, now) {
            return Resolution::Unavailable;
        }
        let (_, path) = fetch.request.headers.iter().find(|(name, _)| *name == ":path").unwrap();
        let Answer(status, body) = service(path);
        let answer = match status {
            0 => FetchAnswer::Failed,
            status => FetchAnswer::Response { status, body: body.as_bytes() },
        };
        let accepted = self.worker.accept(&fetch.key, fetch.asked, &answer, now, store);
        self.notes.borrow_mut().extend(accepted.notes);
        accepted.resolution
    }

    /// The metrics that were told since this was last asked, sorted.
    pub(crate) fn metrics(&self) -> Vec<String> {
        let mut metrics: Vec<String> = self.told.take().into_iter().map(|it| it.metric).collect();
        metrics.sort();
        metrics
    }
}

fn said(decision: &Decision<'_>) -> String {
    match &decision.verdict {
        Verdict::Forward(rewrite) => format!("forward to {}", rewrite.authority),
        Verdict::Pass(passed) => format!("pass: {}", passed.reason),
        Verdict::Reply(reason, _) => reason.code().to_owned(),
        Verdict::Answer(answer) => format!("answer {}", answer.body),
    }
}
