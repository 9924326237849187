//! A file of cases, as people write it. The cases of this repository (`tests/cases`) have the same form.
//!
//! An error names its place and repeats no value: a file of cases may hold tokens.

use std::collections::BTreeMap;
use std::fmt;

use keyswap_core::base::{Moment, UnixTime};
use keyswap_core::policy::PolicyErrors;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::expectation::{Answer, Forward, Reply};
use super::template;

/// What is wrong with a file of cases, or with the policy in it.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) path: String,
    pub(super) message: String,
}

/// A file of cases.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Suite {
    /// What the cases have in common, for readers.
    #[serde(rename = "about")]
    _about: Option<String>,
    /// The values of variables. Where it is left out every variable has a placeholder; else no others are set.
    pub(super) env: Option<BTreeMap<String, String>>,
    /// A policy of its own.
    pub(super) policy: Option<Value>,
    /// When requests come.
    #[serde(default, deserialize_with = "time")]
    at: Option<Moment>,
    /// What the registry answers.
    #[serde(default)]
    pub(super) registry: Vec<Registered>,
    /// What other services answer, by the request's target.
    pub(super) fetched: Option<Vec<Served>>,
    pub(super) cases: Vec<Case>,
}

/// What the registry knows of a token or of a person; it knows no others.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Registered {
    pub(super) token: Option<String>,
    pub(super) email: Option<String>,
    /// The record, to which the digest or the address is added.
    pub(super) record: Option<Value>,
    pub(super) status: Option<u16>,
    /// The body, where it is no record.
    pub(super) body: Option<String>,
}

/// What a service answers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Served {
    pub(super) target: String,
    pub(super) status: Option<u16>,
    pub(super) body: String,
}

/// A request and what must become of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    #[serde(default, deserialize_with = "time")]
    at: Option<Moment>,
    pub(super) request: Request,
    /// Whose JWT comes with it.
    pub(super) identity: Option<Identity>,
    pub(super) forward: Option<Forward>,
    pub(super) reply: Option<Reply>,
    pub(super) answer: Option<Answer>,
    /// What Envoy itself answers: said for other hosts.
    #[serde(rename = "envoy")]
    _envoy: Option<u16>,
    pub(super) provider: Option<String>,
    /// The label.
    pub(super) principal: Option<String>,
    /// The name of an upstream credential.
    pub(super) credential: Option<String>,
}

/// A request head: in parts, or as HTTP/1.1 has it.
pub(super) enum Request {
    Parts(Parts),
    Text(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parts {
    pub(super) method: String,
    pub(super) target: String,
    #[serde(default)]
    pub(super) headers: Headers,
}

/// Header lines: a list of pairs, or a mapping.
#[derive(Default)]
pub(super) struct Headers(pub(super) Vec<(String, String)>);

/// The issuer of a JWT, by its name in the policy, and the claims; null leaves one out.
#[derive(Deserialize)]
pub(super) struct Identity {
    pub(super) issuer: String,
    #[serde(flatten)]
    pub(super) claims: Map<String, Value>,
}

impl Suite {
    pub(super) fn read(mut document: Value) -> Result<Self, Vec<Problem>> {
        template::expand(&mut document);
        let suite: Self = serde_path_to_error::deserialize(document).map_err(|error| {
            let path = error.path().to_string();
            vec![Problem {
                path: if path == "." { String::new() } else { path },
                message: words(error.inner()),
            }]
        })?;
        let problems: Vec<Problem> = suite.problems().collect();
        if problems.is_empty() { Ok(suite) } else { Err(problems) }
    }

    fn problems(&self) -> impl Iterator<Item = Problem> {
        let unnamed =
            self.registry.iter().enumerate().filter(|(_, it)| it.token.is_some() == it.email.is_some());
        let unnamed = unnamed
            .map(|(index, _)| Problem::at(format!("registry[{index}]"), "expected one of `token`, `email`"));
        let unclear = self.cases.iter().enumerate().filter(|(_, case)| !case.is_one());
        unnamed.chain(unclear.map(|(index, _)| {
            Problem::at(format!("cases[{index}]"), "expected one of `forward`, `reply`, `answer`")
        }))
    }
}

impl Case {
    /// Whether it expects one verdict.
    pub(super) fn is_one(&self) -> bool {
        [self.forward.is_some(), self.reply.is_some(), self.answer.is_some()].iter().filter(|it| **it).count()
            == 1
    }

    /// When it comes, where the file says so.
    pub(super) fn at(&self, suite: &Suite) -> Option<Moment> {
        self.at.or(suite.at)
    }
}

impl Problem {
    pub(super) fn at(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }

    pub(super) fn whole(message: impl Into<String>) -> Self {
        Self::at("", message)
    }

    /// The errors of a policy.
    pub(super) fn of_policy(errors: PolicyErrors) -> Vec<Self> {
        errors.0.into_iter().map(|error| Self { path: error.path, message: error.message }).collect()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => write!(f, "error: {}", self.message),
            path => write!(f, "error at `{path}`: {}", self.message),
        }
    }
}

/// Serde's words without the value that it found.
fn words(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.split_once(", expected ") {
        Some((found, expected)) if found.starts_with("invalid ") => format!("expected {expected}"),
        _ => message,
    }
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Moment>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let time = UnixTime::from_rfc3339(&text)
        .ok_or_else(|| D::Error::custom("expected a time with an offset such as `2027-06-30T00:00:00Z`"))?;
    Ok(Some(Moment::from(time)))
}

impl<'de> Deserialize<'de> for Request {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfEither;

        impl<'de> Visitor<'de> for OfEither {
            type Value = Request;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a request head: `{method, target, headers}`, or text")
            }

            fn visit_str<E>(self, text: &str) -> Result<Request, E> {
                Ok(Request::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Request, A::Error> {
                Parts::deserialize(MapAccessDeserializer::new(map)).map(Request::Parts)
            }
        }

        deserializer.deserialize_any(OfEither)
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfEither;

        impl<'de> Visitor<'de> for OfEither {
            type Value = Headers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("header lines: a list of `[name, value]`, or a mapping")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Headers, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(items)).map(Headers)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Headers, A::Error> {
                let map = BTreeMap::<String, String>::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Headers(map.into_iter().collect()))
            }
        }

        deserializer.deserialize_any(OfEither)
    }
}

impl Case {
    /// The method of its request, where that stands by itself.
    pub(super) fn method(&self) -> Option<&str> {
        match &self.request {
            Request::Parts(parts) => Some(&parts.method),
            Request::Text(_) => None,
        }
    }
}
