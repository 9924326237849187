//! The comparison of an outcome with the expected one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::difference::Difference;
use super::found::{Found, Outcome};
use super::seen::{Answered, Forwarded};
use crate::format::{Answer, Case, Forward, Reply};

/// The differences so far.
#[derive(Default)]
struct Differences(Vec<Difference>);

impl Case {
    /// Returns every difference between the outcome and the expected one.
    pub fn compare(&self, found: &Found) -> Vec<Difference> {
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
            (Outcome::Forwarded(found), Self { forward: Some(expected), .. }) => {
                differences.check_forwarded(expected, self.request.method(), found);
            }
            (Outcome::Replied(found), Self { reply: Some(expected), .. }) => {
                differences.check_reply(expected, found);
            }
            (Outcome::Replied(found), Self { answer: Some(expected), .. }) => {
                differences.check_answer(expected, found);
            }
            (Outcome::Failed(error), _) => differences.check("request", Some("sent"), Some(error)),
            _ => {}
        }
        differences.0
    }

    fn verdict(&self) -> &'static str {
        match (&self.forward, &self.reply) {
            (Some(_), _) => "forward",
            (None, Some(_)) => "reply",
            (None, None) => "answer",
        }
    }
}

impl Differences {
    fn check_forwarded(&mut self, expected: &Forward, sent_method: Option<&str>, found: &Forwarded) {
        self.check_said("method", expected.method.as_deref().or(sent_method), Some(&found.method));
        self.check_said("authority", expected.authority.as_deref(), Some(&found.authority));
        self.check_said("target", expected.target.as_deref(), Some(&found.target));
        self.check_headers(expected.headers.as_ref(), &found.headers);
    }

    fn check_reply(&mut self, expected: &Reply, found: &Answered) {
        self.check_status(expected.status, found.status);
        self.check_said("dialect", expected.dialect.as_deref(), Some(dialect(&found.body)));
    }

    fn check_answer(&mut self, expected: &Answer, found: &Answered) {
        self.check_status(expected.status, found.status);
        self.check_headers(expected.headers.as_ref(), &found.headers);
        self.check_said("body", expected.body.as_deref(), Some(&found.body));
    }

    fn check_status(&mut self, expected: Option<u16>, found: u16) {
        let expected = expected.map(|status| status.to_string());
        self.check_said("status", expected.as_deref(), Some(&found.to_string()));
    }

    fn check_headers(
        &mut self,
        expected: Option<&BTreeMap<String, String>>,
        found: &BTreeMap<String, String>,
    ) {
        let Some(expected) = expected else { return };
        let names: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
        for name in names {
            let (expected, found) = (expected.get(name), found.get(name));
            self.check(&format!("header `{name}`"), expected.map(String::as_str), found.map(String::as_str));
        }
    }

    /// Notes a difference where something is expected at all.
    fn check_said(&mut self, what: &str, expected: Option<&str>, found: Option<&str>) {
        if expected.is_some() {
            self.check(what, expected, found);
        }
    }

    fn check(&mut self, what: &str, expected: Option<&str>, found: Option<&str>) {
        if expected != found {
            let own = |text: Option<&str>| text.map(str::to_owned);
            self.0.push(Difference { what: what.to_owned(), expected: own(expected), found: own(found) });
        }
    }
}

/// Returns the dialect of the SDK that understands an error body, and no other does.
fn dialect(body: &str) -> &'static str {
    let Ok(body) = serde_json::from_str::<Value>(body) else { return "unknown" };
    let member = |name: &str| body.get("error").and_then(|error| error.get(name));
    let is_text = |name: &str| member(name).is_some_and(Value::is_string);
    let is_typed = body.get("type").is_some_and(|kind| kind == "error");
    match (is_typed, is_text("code"), is_text("status")) {
        (true, false, false) if is_text("type") => "anthropic",
        (false, true, false) if is_text("type") => "openai",
        (false, false, true) if member("code").is_some_and(Value::is_number) => "google",
        _ => "unknown",
    }
}
