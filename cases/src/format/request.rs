//! The request head of a case: in parts, or as HTTP/1.1 has it.

use std::collections::BTreeMap;
use std::fmt;

use keyswap_core::request::OwnedHead;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use crate::text::{self, HeadError};

/// A request head.
#[derive(Clone, Debug)]
pub enum Request {
    /// The head in parts.
    Parts(Parts),
    /// The head as text.
    Text(String),
}

/// A request head in parts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parts {
    /// The method.
    pub method: String,
    /// The request target.
    pub target: String,
    /// The header lines.
    #[serde(default)]
    pub headers: Headers,
}

/// Header lines: a list of pairs, or a mapping.
#[derive(Clone, Debug, Default)]
pub struct Headers(pub Vec<(String, String)>);

impl Request {
    /// Returns the head with its placeholders filled. Without a JWT that of the JWT stays.
    pub fn head(&self, jwt: Option<&str>) -> Result<OwnedHead, HeadError> {
        match self {
            Self::Text(text) => text::parse_head(text::fill(text, jwt).as_bytes()),
            Self::Parts(Parts { method, target, headers: Headers(lines) }) => {
                let line =
                    |(name, value): &(String, String)| (name.clone(), text::fill(value, jwt).into_bytes());
                Ok(OwnedHead {
                    method: method.clone(),
                    target: text::fill(target, jwt),
                    authority: String::new(),
                    scheme: String::new(),
                    fields: lines.iter().map(line).collect(),
                })
            }
        }
    }

    /// Returns the method, where it stands by itself.
    pub(crate) fn method(&self) -> Option<&str> {
        match self {
            Self::Parts(parts) => Some(&parts.method),
            Self::Text(_) => None,
        }
    }

    /// Returns the labels of the generated tokens that the request carries.
    pub fn labels(&self) -> Vec<String> {
        self.texts().into_iter().flat_map(text::labels).collect()
    }

    /// Returns true where the request says where the JWT of its case stands.
    pub(crate) fn places_identity(&self) -> bool {
        self.texts().into_iter().any(text::asks_for_identity)
    }

    /// Returns the texts that may have placeholders.
    fn texts(&self) -> Vec<&str> {
        match self {
            Self::Text(text) => vec![text],
            Self::Parts(Parts { target, headers: Headers(lines), .. }) => {
                lines.iter().map(|(_, value)| value.as_str()).chain([target.as_str()]).collect()
            }
        }
    }
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
