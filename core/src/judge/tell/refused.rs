//! The log line of a refusal: one JSON object, the same in every host.
//!
//! The line has the exact error, for operators. No credential, no path and nothing else that the client chose freely
//! stands in the line.

use std::fmt;

use serde_json::{Map, Value};

use crate::answer::Reason;
use crate::identity::{Class, Principal};

/// The line of a refusal.
pub(crate) struct Refused<'l> {
    pub(crate) reason: Reason,
    pub(crate) status: u16,
    pub(crate) fault: Option<String>,
    pub(crate) provider: &'l str,
    pub(crate) class: Option<Class>,
    pub(crate) principal: Option<&'l Principal>,
    pub(crate) request_id: Option<&'l str>,
}

impl fmt::Display for Refused<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Map::new();
        let mut put = |name: &str, value: Value| line.insert(name.to_owned(), value);
        put("event", "refused".into());
        put("reason", self.reason.code().into());
        put("status", self.status.into());
        put("fault", self.fault.as_deref().into());
        put("provider", self.provider.into());
        if let Some(class) = self.class {
            put("class", class.name().into());
        }
        if let Some(principal) = self.principal {
            put("principal", principal.id().into());
            put("label", principal.label().into());
            if let Some(team) = principal.team() {
                put("team", team.into());
            }
        }
        put("request_id", self.request_id.into());
        Value::Object(line).fmt(f)
    }
}
