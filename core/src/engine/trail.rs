//! What a request is judged by, why judging ends, and what was found on the way.

use serde_json::Value;

use super::Role;
use super::known::Known;
use crate::decision::{Check, Decision, Verdict};
use crate::fault::Fault;
use crate::fetch::Fetch;
use crate::head::RequestHead;
use crate::provider::OPENAI;
use crate::registry::Origin;
use crate::reply::{LocalReply, ResponseHeaders};
use crate::route::Route;
use crate::sent::Sent;
use crate::store::Store;
use crate::time::Moment;
use crate::token::{Principal, TokenDigest};

/// What a request is judged by.
pub(super) struct Inputs<'a, 'r> {
    pub(super) head: &'r RequestHead<'a>,
    pub(super) known: &'r Known,
    pub(super) now: Moment,
    pub(super) store: &'r dyn Store,
    /// What part this policy has in a request of a principal.
    pub(super) role: &'r dyn Fn(&TokenDigest) -> Role,
}

/// Why judging ends before a rewrite.
pub(super) enum Stop<'a> {
    Refuse(Fault<'a>),
    Answer(LocalReply),
    Status(Value),
    Fetch(Box<Fetch>),
}

impl<'a> From<Fault<'a>> for Stop<'a> {
    fn from(fault: Fault<'a>) -> Self {
        Self::Refuse(fault)
    }
}

/// What was found on the way to a verdict.
pub(super) struct Trail<'a> {
    pub(super) checks: Vec<Check<'a>>,
    pub(super) route: Option<Route<'a>>,
    pub(super) principal: Option<Principal>,
    pub(super) origin: Option<Origin>,
    pub(super) refresh: Vec<Fetch>,
    pub(super) sent: Sent,
    pub(super) response: ResponseHeaders,
}

impl<'a> Trail<'a> {
    pub(super) fn new() -> Self {
        Self {
            // As many as a request passes that is forwarded.
            checks: Vec::with_capacity(12),
            route: None,
            principal: None,
            origin: None,
            refresh: Vec::new(),
            sent: Sent::default(),
            response: ResponseHeaders::default(),
        }
    }

    pub(super) fn decide(self, verdict: Verdict<'a>) -> Decision<'a> {
        Decision {
            verdict,
            checks: self.checks,
            provider: self.route.map_or(OPENAI, |route| route.provider),
            principal: self.principal,
            origin: self.origin,
            response: self.response,
            refresh: self.refresh,
            sent: self.sent,
            status: None,
        }
    }
}
