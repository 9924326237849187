//! The log line of a decision: a refusal has one.

use super::decision::{Decision, Verdict};
use super::refused::Refused;
use crate::judge::progress::Check;
use crate::request::{RequestHead, request_id};

impl Decision<'_> {
    /// Returns the line for a refused request; `None` for any other.
    ///
    /// `x-request-id` is taken from the head where it is a UUID, the form that Envoy gives it.
    pub fn log_line(&self, head: &RequestHead<'_>) -> Option<String> {
        let Verdict::Reply(reason, reply) = &self.verdict else { return None };
        let fault = self.facts.checks.iter().rev().find(|check| !check.passed());
        let line = Refused {
            reason: *reason,
            status: reply.status,
            fault: fault.map(Check::to_string),
            provider: self.facts.provider,
            class: self.facts.class,
            principal: self.facts.principal.as_ref(),
            request_id: request_id(head),
        };
        Some(line.to_string())
    }
}
