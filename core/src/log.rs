//! The log line of a refusal: one JSON object, the same in every host.
//!
//! It tells operators the exact fault, and holds no credential, no path and nothing else that the client chose
//! freely.

use serde_json::{Map, Value};

use crate::decision::{Check, Decision, Verdict};
use crate::head::RequestHead;

impl Decision<'_> {
    /// The line for a refused request; `None` for one that is forwarded.
    ///
    /// `x-request-id` is taken from the head where it is a UUID, the form that Envoy gives it.
    pub fn log_line(&self, head: &RequestHead<'_>) -> Option<String> {
        let Verdict::Reply(reason, reply) = &self.verdict else { return None };
        let fault = self.checks.iter().rev().find(|check| !check.passed());
        let mut line = Map::new();
        let mut put = |name: &str, value: Value| line.insert(name.to_owned(), value);
        put("event", "refused".into());
        put("reason", reason.code().into());
        put("status", reply.status.into());
        put("fault", fault.map(Check::to_string).into());
        put("provider", self.provider.into());
        if let Some(principal) = &self.principal {
            put("principal", principal.id().into());
            put("label", principal.label().into());
        }
        put("request_id", request_id(head).into());
        Some(Value::Object(line).to_string())
    }
}

pub(crate) fn request_id<'a>(head: &RequestHead<'a>) -> Option<&'a str> {
    let id = head.values("x-request-id").next()?;
    let is_uuid = id.len() == 36 && id.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
    str::from_utf8(id).ok().filter(|_| is_uuid)
}
