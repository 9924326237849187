//! The log line of a refusal: one JSON object, the same in every host.
//!
//! The line has the exact error, for operators. No credential, no path and nothing else that the client chose freely
//! stands in the line.

use serde_json::{Map, Value};

use super::decision::{Decision, Verdict};
use crate::judge::progress::Check;
use crate::request::{RequestHead, request_id};

impl Decision<'_> {
    /// Returns the line for a refused request; `None` for any other.
    ///
    /// `x-request-id` is taken from the head where it is a UUID, the form that Envoy gives it.
    pub fn log_line(&self, head: &RequestHead<'_>) -> Option<String> {
        let Verdict::Reply(reason, reply) = &self.verdict else { return None };
        let fault = self.facts.checks.iter().rev().find(|check| !check.passed());
        let mut line = Map::new();
        let mut put = |name: &str, value: Value| line.insert(name.to_owned(), value);
        put("event", "refused".into());
        put("reason", reason.code().into());
        put("status", reply.status.into());
        put("fault", fault.map(Check::to_string).into());
        put("provider", self.facts.provider.into());
        if let Some(class) = self.facts.class {
            put("class", class.name().into());
        }
        if let Some(principal) = &self.facts.principal {
            put("principal", principal.id().into());
            put("label", principal.label().into());
            if let Some(team) = principal.team() {
                put("team", team.into());
            }
        }
        put("request_id", request_id(head).into());
        Some(Value::Object(line).to_string())
    }
}
