//! The sources of credentials that are asked over HTTP: a token agent, a metadata server, a secret manager, or a service
//! that exchanges identities for credentials.

use std::time::Duration;

use super::agent_call::{Call, CallBody, CallMethod, CallSecret, CallText, read_expected};
use super::duration::duration_within;
use super::literal::speaks_of_secrets;
use super::plaintext::Plaintext;
use super::pointer::{POINTER_TO_DOCUMENT, read_pointer};
use super::providers::read_auth;
use super::reader::{Fields, HEADER_EXPECTED, Node, is_header_name};
use crate::identity::jwt::Endpoint;
use crate::provider::AuthStyle;
use crate::secret::BEARER;

/// The callers that a fetched value is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Every caller: one value serves all.
    DataPlane,
    /// The caller whose identity JWT stands in the call, and no other.
    Caller,
}

/// A token agent or a secret manager: the request to it, and the form of its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpSource {
    pub(crate) endpoint: Endpoint,
    pub(crate) method: CallMethod,
    pub(crate) body: Option<CallBody>,
    pub(crate) subject: Subject,
    /// Texts that must stand at these places of the answer.
    pub(crate) expected: Vec<(String, CallText)>,
    /// The Envoy cluster of the agent; other hosts connect to the URL's authority.
    pub(crate) cluster: String,
    /// Header fields of the request that are no secrets.
    pub(crate) headers: Vec<(String, String)>,
    /// The agent's own credential, and the header that it takes that in.
    pub(crate) credential: Option<(CallSecret, AuthStyle)>,
    pub(crate) timeout: Duration,
    /// A JSON pointer to the value (RFC 6901); `None` where the body is the value.
    pub(crate) value: Option<String>,
    /// The region for which the value, an AWS credential, becomes a short-term key of Amazon Bedrock.
    pub(crate) bedrock_region: Option<String>,
    pub(crate) expiry: Expiry,
    /// The time after which a value is not used, whatever the answer says.
    pub(crate) max_age: Option<Duration>,
    /// The time before its expiry at which a value is renewed.
    pub(crate) refresh_before: Duration,
}

/// The place of the expiry in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// The value itself, if that is a JWT.
    OfValue,
    /// A member at this pointer: a date-time (RFC 3339), or seconds since 1970.
    At(String),
    /// A member at this pointer: seconds from the request for the value.
    In(String),
}

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);
const DEFAULT_REFRESH_BEFORE: Duration = Duration::from_mins(10);
const MAX_LIFE: Duration = Duration::from_hours(24);

impl HttpSource {
    #[inline(never)]
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let place = fields.required("url");
        let endpoint = place.as_ref().and_then(read_url);
        let plaintext = Plaintext::read(&mut fields);
        let cluster = fields.optional("cluster").map(|node| node.cluster());
        let call = Call::read(node, &mut fields);
        let subject = fields
            .optional("subject")
            .map(|node| node.choice(&[("data_plane", Subject::DataPlane), ("caller", Subject::Caller)]));
        let headers = fields.optional("headers").map(|node| read_headers(&node)).unwrap_or_default();
        let credential = fields.optional("credential").map(|node| CallSecret::read(&node));
        let auth = fields.optional("auth").map(|node| read_auth(&node));
        if let Some(Some(AuthStyle::Header(name))) = &auth
            && headers.iter().any(|(other, _)| other == name)
        {
            node.fail("`auth` names a header that stands in `headers`, too: remove it there");
        }
        if auth.is_some() && credential.is_none() {
            node.fail("`auth` says how a `credential` is sent: add one, or remove this");
        }
        let timeout = fields.optional("timeout").map(|node| {
            let range = Duration::from_millis(1)..=Duration::from_secs(30);
            duration_within(&node, range, "expected a duration up to `30s`")
        });
        let answer = Answer::read(node, &mut fields);
        fields.finish();
        let endpoint = endpoint?;
        plaintext.check(place.as_ref(), endpoint.is_exposed());
        let (Call { method, body }, answer) = (call?, answer?);
        let subject = subject.unwrap_or(Some(Subject::DataPlane))?;
        Some(Self {
            method,
            body,
            subject,
            cluster: cluster.unwrap_or_else(|| Some(endpoint.host().to_owned()))?,
            endpoint,
            headers,
            credential: match credential {
                Some(secret) => Some((secret?, auth.unwrap_or(Some(AuthStyle::Authorization(BEARER)))?)),
                None => None,
            },
            timeout: timeout.unwrap_or(Some(DEFAULT_TIMEOUT))?,
            expected: answer.expected,
            value: answer.value,
            bedrock_region: answer.bedrock_region,
            expiry: answer.expiry,
            max_age: answer.max_age,
            refresh_before: answer.refresh_before,
        })
    }

    /// Returns the secrets of the call, each with its field: that of the header, then those of the body in the order in
    /// which they are written.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = (&'static str, &CallSecret)> {
        let in_header = self.credential.iter().map(|(secret, _)| ("credential", secret));
        let in_body = self.body.iter().flat_map(|body| {
            body.texts().into_iter().filter_map(|text| match text {
                CallText::Secret(secret) => Some((body.field(), secret)),
                _ => None,
            })
        });
        in_header.chain(in_body)
    }

    /// Returns the names of the credentials in the call, in the order of [`HttpSource::secrets`].
    pub(crate) fn credentials_in_call(&self) -> impl Iterator<Item = &str> {
        self.secrets().filter_map(|(_, secret)| match secret {
            CallSecret::Credential(name) => Some(name.as_str()),
            CallSecret::Variable(_) => None,
        })
    }
}

/// The form of an answer, and the life of its value.
struct Answer {
    expected: Vec<(String, CallText)>,
    value: Option<String>,
    bedrock_region: Option<String>,
    expiry: Expiry,
    max_age: Option<Duration>,
    refresh_before: Duration,
}

impl Answer {
    fn read(node: &Node<'_>, fields: &mut Fields<'_>) -> Option<Self> {
        let expected = fields.optional("expect").map(|node| read_expected(&node));
        let value = fields.optional("value").map(|node| read_pointer(&node));
        let bedrock = fields.optional("bedrock_key").map(|node| read_bedrock_region(&node));
        let value = value.or_else(|| bedrock.is_some().then(|| Some(POINTER_TO_DOCUMENT.to_owned())));
        let expiry = read_expiry(node, fields);
        if value.is_none() && !(matches!(expiry, Some(Expiry::OfValue)) && expected.is_none()) {
            node.fail("where the answer is a document, `value` must point at the credential in it");
        }
        let max_age = fields.optional("max_age").map(|node| {
            let range = Duration::from_secs(1)..=MAX_LIFE;
            duration_within(&node, range, "expected a duration from `1s` to `24h`")
        });
        let refresh_before = fields
            .optional("refresh_before")
            .map(|node| duration_within(&node, Duration::ZERO..=MAX_LIFE, "expected a duration up to `24h`"));
        Some(Self {
            expected: expected.unwrap_or(Some(Vec::new()))?,
            value: value.map_or(Some(None), |value| value.map(Some))?,
            bedrock_region: bedrock.map_or(Some(None), |region| region.map(Some))?,
            expiry: expiry?,
            max_age: max_age.map_or(Some(None), |age| age.map(Some))?,
            refresh_before: refresh_before.unwrap_or(Some(DEFAULT_REFRESH_BEFORE))?,
        })
    }
}

/// Reads the region of a short-term key of Amazon Bedrock.
fn read_bedrock_region(node: &Node<'_>) -> Option<String> {
    let is_region = |text: &&str| {
        (1..=32).contains(&text.len())
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    };
    let mut fields = node.fields()?;
    let region = fields.required("region").and_then(|node| {
        node.check(Some(node.text()?).filter(is_region), "expected a region of AWS such as `us-east-1`")
            .map(str::to_owned)
    });
    fields.finish();
    region
}

/// Reads the address of an agent. A secret in an address is an error, since it would show wherever the policy does.
fn read_url(node: &Node<'_>) -> Option<Endpoint> {
    let endpoint = node.endpoint()?;
    let query = endpoint.path.split_once('?').map_or("", |(_, query)| query);
    let mut names = query.split('&').map(|pair| pair.split('=').next().unwrap_or_default());
    if names.any(speaks_of_secrets) {
        node.fail("a parameter here may hold a secret: send it as the `credential`");
    }
    Some(endpoint)
}

fn read_headers(node: &Node<'_>) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    for (name, value) in node.entries() {
        if speaks_of_secrets(name) {
            value.fail("a header of this name may hold a secret: send it as the `credential`, by `auth`");
        }
        let is_value = |text: &&str| {
            (1..=1024).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        };
        let text = value.text().and_then(|text| {
            value.check(Some(text).filter(is_value), "expected 1 to 1024 characters of plain ASCII")
        });
        if is_header_name(name) {
            headers.extend(text.map(|text| (name.to_owned(), text.to_owned())));
        } else {
            value.fail(HEADER_EXPECTED);
        }
    }
    headers
}

fn read_expiry(node: &Node<'_>, fields: &mut Fields<'_>) -> Option<Expiry> {
    let at = fields.optional("expires_at").map(|node| read_pointer(&node));
    let within = fields.optional("expires_in").map(|node| read_pointer(&node));
    match (at, within) {
        (Some(_), Some(_)) => {
            node.fail("expected `expires_at` or `expires_in`, not both");
            None
        }
        (Some(pointer), None) => pointer.map(Expiry::At),
        (None, Some(pointer)) => pointer.map(Expiry::In),
        (None, None) => Some(Expiry::OfValue),
    }
}
