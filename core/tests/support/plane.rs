//! A data plane that is driven by hand, and the words for its decisions.

use std::ops::Deref;

use keyswap_core::base::{Digest, Moment};
use keyswap_core::host::{Capabilities, Environment, Store};
use keyswap_core::judge::{Decision, Verdict};
use keyswap_core::policy::PolicyErrors;
use keyswap_core::request::{Header, RequestHead};
use keyswap_core::worker;
use serde_json::{Value, json};

use super::worker::{Answer, Worker};

/// The token of the policy that [`policy`] returns.
pub(crate) const TOKEN: &str = "ptk_of-a-caller-0123456789";

/// Returns a policy under which [`TOKEN`] may call these providers.
pub(crate) fn policy(providers: &[&str]) -> Value {
    let sha256 = Digest::of(TOKEN.as_bytes()).to_hex();
    json!({
        "version": "keyswap/v1",
        "tokens": [{"sha256": sha256, "label": "l", "providers": providers}],
        "credentials": {"openai": [{"env": "OPENAI"}], "anthropic": [{"env": "ANTHROPIC"}]},
    })
}

/// An environment that has a value for every variable.
pub(crate) struct Secrets;

impl Environment for Secrets {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        (name != "UNSET").then(|| format!("secret-of-{name}").into_bytes())
    }
}

pub(crate) struct Plane(Worker);

impl Deref for Plane {
    type Target = Worker;

    fn deref(&self) -> &Worker {
        &self.0
    }
}

impl Plane {
    pub(crate) fn start(configuration: &Value) -> Result<Self, PolicyErrors> {
        let document = configuration.to_string();
        let start = |verifier| {
            let host = Capabilities::ENVOY;
            worker::Worker::start(document.as_bytes(), Box::new(Secrets), verifier, host, "plane-1")
        };
        Worker::of(start).map(Self)
    }

    pub(crate) fn new(configuration: &Value) -> Self {
        Self::start(configuration).unwrap_or_else(|errors| panic!("{errors}"))
    }

    /// Returns `forward`, or the reason; behind a colon what a policy in shadow mode would have said.
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
        let head = RequestHead::new(b"POST", path.as_bytes(), &headers);
        self.decide(store, &head, now, service, said)
    }

    /// Returns the metrics since this was last asked, sorted.
    pub(crate) fn metrics(&self) -> Vec<String> {
        let mut metrics: Vec<String> = self.observed.take().into_iter().map(|it| it.metric).collect();
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
