//! A data plane that a target drives: its policy, its shared memory, and the answers that it gets.

use keyswap_core::base::{Digest, Moment};
use keyswap_core::host::{Capabilities, Environment, Store};
use keyswap_core::identity::jwt::{SignatureCheck, SignatureVerifier, VerifierUnavailable};
use keyswap_core::judge::{Decision, Request, Verdict};
use keyswap_core::request::{Header, RequestHead};
use keyswap_core::services::{Fetch, FetchAnswer, Resolution};
use keyswap_core::worker::{Entry, Exchange, Next, Worker};
use serde_json::Value;

/// The token of the callers of most targets.
pub(crate) const TOKEN: &str = "ptk_of-the-fuzzed-caller-0001";
/// The beginning of every credential of an upstream. Nothing else of a target has it.
pub(crate) const REAL: &str = "REAL-";
/// The time of all requests, in seconds since 1970.
pub(crate) const NOW: u32 = 1_800_000_000;

/// Returns the moment that is this many seconds after [`NOW`].
pub(crate) fn at(seconds: u32) -> Moment {
    Moment(u64::from(NOW + seconds) * 1_000_000_000)
}

pub(crate) fn sha256(token: &str) -> String {
    Digest::of(token.as_bytes()).to_hex()
}

/// An environment in which the value of each variable tells its name.
struct Secrets;

impl Environment for Secrets {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        Some(format!("{REAL}{name}").into_bytes())
    }
}

/// A verifier that takes every signature for right, or every one for wrong.
pub(crate) struct Always(pub(crate) bool);

impl SignatureVerifier for Always {
    fn verify(&self, _: &SignatureCheck<'_>) -> Result<bool, VerifierUnavailable> {
        Ok(self.0)
    }
}

/// An answer to a call: status and body. Status 0 is no answer at all.
pub(crate) type Answer<'d> = (u16, &'d [u8]);

pub(crate) struct Plane(Worker);

impl Plane {
    /// Starts a data plane; `None` where its configuration does not hold.
    pub(crate) fn try_new(configuration: &[u8], signatures_hold: bool) -> Option<Self> {
        let verifier = Box::new(Always(signatures_hold));
        Worker::start(configuration, Box::new(Secrets), verifier, Capabilities::ENVOY, "p").ok().map(Self)
    }

    pub(crate) fn new(configuration: &Value) -> Self {
        let plane = Self::try_new(configuration.to_string().as_bytes(), true);
        plane.unwrap_or_else(|| panic!("this configuration holds: {configuration}"))
    }

    /// Judges a request. `service` answers each call, by the kind of the call.
    pub(crate) fn judge<'d, T>(
        &self,
        store: &dyn Store,
        head: &RequestHead<'_>,
        now: Moment,
        service: &dyn Fn(&str) -> Answer<'d>,
        show: impl FnOnce(&Decision<'_>) -> T,
    ) -> T {
        self.begin(store, head, now, service, show).0
    }

    /// Does the same, and returns the exchange that begins where the request is forwarded.
    fn begin<'d, T>(
        &self,
        store: &dyn Store,
        head: &RequestHead<'_>,
        now: Moment,
        service: &dyn Fn(&str) -> Answer<'d>,
        show: impl FnOnce(&Decision<'_>) -> T,
    ) -> (T, Exchange) {
        let request = Request { head, now, store };
        let mut entry = Entry::New;
        loop {
            let in_force = self.0.in_force(store);
            match in_force.judge(entry, &request) {
                Next::Fetch(fetch, ticket) => {
                    entry = Entry::Resumed(ticket, self.call(&fetch, now, store, service));
                }
                Next::Decide(mut decision, _) => {
                    let exchange = in_force.exchange(&mut decision);
                    for fetch in &decision.follow_up.refresh {
                        self.call(fetch, now, store, service);
                    }
                    return (show(&decision), exchange);
                }
            }
        }
    }

    fn call<'d>(
        &self,
        fetch: &Fetch,
        now: Moment,
        store: &dyn Store,
        service: &dyn Fn(&str) -> Answer<'d>,
    ) -> Resolution {
        if !self.0.may_call(&fetch.key, now) {
            return Resolution::Unavailable;
        }
        let answer = match service(fetch.key.kind()) {
            (0, _) => FetchAnswer::Failed,
            (status, body) => FetchAnswer::Response { status, body },
        };
        self.0.accept(&fetch.key, fetch.as_of, &answer, now, store).resolution
    }

    /// Sends a request of [`TOKEN`] with this body. Returns the status of the reply where it is not forwarded whole.
    pub(crate) fn send<'d>(
        &self,
        store: &dyn Store,
        body: &[u8],
        now: Moment,
        service: &dyn Fn(&str) -> Answer<'d>,
    ) -> Result<(), u16> {
        let authorization = format!("Bearer {TOKEN}");
        let headers = [
            Header { name: b"authorization", value: authorization.as_bytes() },
            Header { name: b"content-type", value: b"application/json" },
        ];
        let head = RequestHead::new(b"POST", b"/v1/chat/completions", &headers);
        let (head, mut exchange) = self.begin(store, &head, now, service, carried);
        head?;
        let mut sent = exchange.request_body(body, true, now, store);
        loop {
            let slice = sent.map_err(|refusal| refusal.reply.status)?;
            if let Some(fetch) = &slice.fetch {
                self.call(fetch, now, store, service);
            }
            if !slice.waits {
                return Ok(());
            }
            sent = exchange.resume_request(now, store);
        }
    }

    /// Makes the calls that are due.
    pub(crate) fn work<'d>(&self, store: &dyn Store, now: Moment, service: &dyn Fn(&str) -> Answer<'d>) {
        for fetch in self.0.due(now, store).fetches {
            self.call(&fetch, now, store, service);
        }
    }

    /// Returns the credential with which a request of [`TOKEN`] is forwarded, or the status of the reply.
    pub(crate) fn ask<'d>(
        &self,
        store: &dyn Store,
        now: Moment,
        service: &dyn Fn(&str) -> Answer<'d>,
    ) -> Result<Vec<u8>, u16> {
        let authorization = format!("Bearer {TOKEN}");
        let headers = [Header { name: b"authorization", value: authorization.as_bytes() }];
        let head = RequestHead::new(b"POST", b"/v1/chat/completions", &headers);
        self.judge(store, &head, now, service, carried)
    }
}

/// Returns the credential of a forwarded request, or the status of the reply.
pub(crate) fn carried(decision: &Decision<'_>) -> Result<Vec<u8>, u16> {
    match &decision.verdict {
        Verdict::Forward(rewrite) => {
            let set = rewrite.set.iter().find(|(name, _)| *name == "authorization");
            Ok(set.map(|(_, value)| value.to_vec()).unwrap_or_default())
        }
        Verdict::Pass(_) => panic!("no policy here is in shadow mode"),
        Verdict::Reply(_, reply) | Verdict::Answer(reply) => Err(reply.status),
    }
}
