//! How what became of a request differs from what must become of it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::found::{Found, Outcome};
use super::suite::Case;

/// Something that is not as it was to be.
#[derive(Serialize)]
pub(super) struct Difference {
    what: String,
    expected: Option<String>,
    found: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show =
            |value: &Option<String>| value.as_ref().map_or("none".to_owned(), |text| format!("`{text}`"));
        write!(f, "{}: expected {}, found {}", self.what, show(&self.expected), show(&self.found))
    }
}

/// Differences so far.
#[derive(Default)]
struct Differences(Vec<Difference>);

impl Differences {
    fn check(&mut self, what: &str, expected: Option<&str>, found: Option<&str>) {
        if expected != found {
            let own = |text: Option<&str>| text.map(str::to_owned);
            self.0.push(Difference { what: what.to_owned(), expected: own(expected), found: own(found) });
        }
    }

    /// The same where something is expected at all.
    fn check_said(&mut self, what: &str, expected: Option<&str>, found: Option<&str>) {
        if expected.is_some() {
            self.check(what, expected, found);
        }
    }

    fn check_headers(
        &mut self,
        expected: Option<&BTreeMap<String, String>>,
        found: &BTreeMap<String, String>,
    ) {
        let Some(expected) = expected else { return };
        let names: std::collections::BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
        for name in names {
            let (expected, found) = (expected.get(name), found.get(name));
            self.check(&format!("header `{name}`"), expected.map(String::as_str), found.map(String::as_str));
        }
    }
}

impl Case {
    fn verdict(&self) -> &'static str {
        match (&self.forward, &self.reply) {
            (Some(_), _) => "forward",
            (None, Some(_)) => "reply",
            (None, None) => "answer",
        }
    }

    /// All that is not as it was to be.
    pub(super) fn compare(&self, found: &Found) -> Vec<Difference> {
        let mut differences = Differences::default();
        differences.check("verdict", Some(self.verdict()), Some(found.verdict));
        let reason = self.reply.as_ref().and_then(|reply| reply.reason.as_deref());
        differences.check_said("reason", reason, Some(found.reason));
        differences.check_said("provider", self.provider.as_deref(), Some(&found.provider));
        differences.check_said("principal", self.principal.as_deref(), found.principal.as_deref());
        if let Some(name) = self.credential.as_ref().filter(|name| !found.credentials.contains(name)) {
            let used = (!found.credentials.is_empty()).then(|| found.credentials.join(", "));
            differences.check("credential", Some(name), used.as_deref());
        }
        match (&found.outcome, self) {
            (
                Outcome::Forwarded { method, authority, target, headers },
                Self { forward: Some(expected), .. },
            ) => {
                let expected_method = expected.method.as_deref().or(self.method());
                differences.check_said("method", expected_method, Some(method));
                differences.check_said("authority", expected.authority.as_deref(), Some(authority));
                differences.check_said("target", expected.target.as_deref(), Some(target));
                differences.check_headers(expected.headers.as_ref(), headers);
            }
            (Outcome::Replied { status, body, .. }, Self { reply: Some(expected), .. }) => {
                let texts = (expected.status.map(|it| it.to_string()), status.to_string());
                differences.check_said("status", texts.0.as_deref(), Some(&texts.1));
                differences.check_said("dialect", expected.dialect.as_deref(), Some(dialect(body)));
            }
            (Outcome::Replied { status, headers, body }, Self { answer: Some(expected), .. }) => {
                let texts = (expected.status.map(|it| it.to_string()), status.to_string());
                differences.check_said("status", texts.0.as_deref(), Some(&texts.1));
                differences.check_headers(expected.headers.as_ref(), headers);
                differences.check_said("body", expected.body.as_deref(), Some(body));
            }
            (Outcome::Failed(error), _) => differences.check("request", Some("sent"), Some(error)),
            _ => {}
        }
        differences.0
    }
}

/// Whose SDK would understand this error body.
fn dialect(body: &str) -> &'static str {
    let Ok(body) = serde_json::from_str::<Value>(body) else { return "unknown" };
    let member = |name: &str| body.get("error").and_then(|error| error.get(name));
    let is_text = |name: &str| member(name).is_some_and(Value::is_string);
    if body.get("type").is_some_and(|kind| kind == "error") && is_text("type") {
        "anthropic"
    } else if is_text("status") && member("code").is_some_and(Value::is_number) {
        "google"
    } else if is_text("type") && is_text("code") {
        "openai"
    } else {
        "unknown"
    }
}
