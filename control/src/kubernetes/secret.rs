//! A Secret as a declaration of a token: its value and its annotations.
//!
//! Text of a Secret is in no message, not even that of an annotation: anything may be in a wrong place.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::bounds::{Beyond, Bounds, Namespace};
use crate::registry::{DeclaredToken, NewToken, RateLimit, RegistryError, SecretText};

/// The beginning of the annotations that are read. Others are of other programs.
const ANNOTATION: &str = "keyswap/";
/// The longest name of an object (RFC 1123).
const MAX_NAME_BYTES: usize = 253;
/// The longest base64 of a value that could be a token.
const MAX_BASE64_BYTES: usize = 8192;

/// A Secret as the API answers it, as far as it is read.
#[derive(Deserialize)]
pub(super) struct Secret {
    pub(super) metadata: Metadata,
    #[serde(default)]
    data: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    pub(super) resource_version: String,
    #[serde(default)]
    creation_timestamp: Option<String>,
    #[serde(default)]
    deletion_timestamp: Option<String>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

/// A Secret that was read.
#[derive(Debug)]
pub(super) struct Reading {
    /// The time at which the Secret was made, as the API writes it: in UTC, so that the order of texts is that of times.
    pub(super) created: String,
    /// The declaration. `None` if the Secret has no value that could be a token.
    pub(super) declared: Option<DeclaredToken>,
    pub(super) fault: Option<Fault>,
}

/// A fault of a Secret. `Display` names the place and quotes nothing.
#[derive(Debug)]
pub(super) enum Fault {
    NoValue,
    NotBase64,
    Annotation(&'static str),
    UnknownAnnotation,
    Beyond(Beyond),
    Registry(RegistryError),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoValue => f.write_str("the data has not the key of the token"),
            Self::NotBase64 => f.write_str("the value is not text in base64, or too long for a token"),
            Self::Annotation(expected) => f.write_str(expected),
            Self::UnknownAnnotation => {
                write!(f, "an annotation that begins with `{ANNOTATION}` is not known")
            }
            Self::Beyond(Beyond(field)) => write!(f, "`{field}` is beyond the bounds of the namespace"),
            // The registry's words could hold a name from the scope.
            Self::Registry(RegistryError::Invalid { field: field @ "provider", .. }) => {
                write!(f, "invalid {field}")
            }
            Self::Registry(error) => error.fmt(f),
        }
    }
}

impl Secret {
    /// Returns the name, `None` if the object is not one of the namespace that was asked for. A name has nothing that a log
    /// could take for something else.
    pub(super) fn name_in(&self, namespace: &Namespace) -> Option<&str> {
        let Metadata { name, namespace: of, .. } = &self.metadata;
        let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
        let is_name = (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(is_part);
        (is_name && *of == namespace.name).then_some(name)
    }

    /// Returns true if the Secret has all labels, and is not about to be deleted. The API selects by labels too.
    pub(super) fn is_selected(&self, bounds: &Bounds) -> bool {
        let has = |(name, value): (&String, &String)| {
            self.metadata.labels.as_ref().and_then(|labels| labels.get(name)) == Some(value)
        };
        self.metadata.deletion_timestamp.is_none() && bounds.labels.iter().all(has)
    }

    /// Reads the token and its record.
    pub(super) fn read(self, name: &str, bounds: &Bounds, namespace: &Namespace) -> Reading {
        let Metadata { creation_timestamp, annotations, .. } = self.metadata;
        let created = creation_timestamp.unwrap_or_default();
        let value = self.data.and_then(|mut data| data.remove(&bounds.key)).map(Zeroizing::new);
        let token = match value.map(|value| decode(&value)) {
            None => Err(Fault::NoValue),
            Some(None) => Err(Fault::NotBase64),
            Some(Some(token)) => Ok(token),
        };
        let label = format!("{}/{name}", namespace.name);
        let (new, fault) = match record(label, &annotations.unwrap_or_default(), namespace) {
            Ok(new) => (Some(new), None),
            Err(fault) => (None, Some(fault)),
        };
        let declared =
            token.and_then(|token| DeclaredToken::new(name.to_owned(), token, new).map_err(Fault::Registry));
        match declared {
            Ok(declared) => Reading { created, declared: Some(declared), fault },
            Err(fault) => Reading { created, declared: None, fault: Some(fault) },
        }
    }
}

fn decode(value: &str) -> Option<SecretText> {
    let bytes = (value.len() <= MAX_BASE64_BYTES).then(|| BASE64_STANDARD.decode(value).ok())??;
    let bytes = Zeroizing::new(bytes);
    str::from_utf8(&bytes).ok().map(|text| SecretText::new(text.to_owned()))
}

/// Reads the annotations as a record within the bounds of the namespace. What they leave out is as the namespace has it.
fn record(
    label: String,
    annotations: &BTreeMap<String, String>,
    namespace: &Namespace,
) -> Result<NewToken, Fault> {
    let mut new = NewToken {
        label,
        owner: None,
        team: namespace.team.clone(),
        providers: namespace.providers.clone(),
        models: namespace.models.clone(),
        expires_at: None,
        rate_limit: namespace.rate_limit,
        certificate_sha256: None,
    };
    for (name, text) in annotations {
        let Some(name) = name.strip_prefix(ANNOTATION) else { continue };
        match name {
            "providers" => new.providers = list(text, "`providers` needs names with commas between them")?,
            "models" => new.models = list(text, "`models` needs names with commas between them")?,
            "owner" if text.trim().is_empty() => return Err(Fault::Annotation("`owner` is empty")),
            "owner" => new.owner = Some(text.trim().to_owned()),
            "expires-at" if text.trim().is_empty() => return Err(Fault::Annotation("`expires-at` is empty")),
            "expires-at" => new.expires_at = Some(text.trim().to_owned()),
            "rate-limit" => {
                let limit = RateLimit::of_text(text.trim()).and_then(Result::ok);
                new.rate_limit =
                    Some(limit.ok_or(Fault::Annotation("`rate-limit` needs a text such as `60/1m`"))?);
            }
            _ => return Err(Fault::UnknownAnnotation),
        }
    }
    let new = new.normal().map_err(Fault::Registry)?;
    namespace.check_token(&new).map_err(Fault::Beyond)?;
    Ok(new)
}

fn list(text: &str, expected: &'static str) -> Result<Vec<String>, Fault> {
    let items: Vec<String> = text.split(',').map(|item| item.trim().to_owned()).collect();
    let is_whole = items.iter().all(|item| !item.is_empty());
    is_whole.then_some(items).ok_or(Fault::Annotation(expected))
}
