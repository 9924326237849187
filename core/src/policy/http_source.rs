//! The sources of credentials that are asked over HTTP: a token agent, a metadata server, a secret manager, or a service
//! that exchanges identities for credentials.

use std::time::Duration;

use super::agent_call::{Call, CallBody, CallMethod, CallText, read_expected};
use super::credentials::{Variable, read_variable_source};
use super::duration::duration_within;
use super::plaintext::Plaintext;
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
    pub(crate) credential: Option<(Variable, AuthStyle)>,
    pub(crate) timeout: Duration,
    /// A JSON pointer to the value (RFC 6901); `None` where the body is the value.
    pub(crate) value: Option<String>,
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
pub(super) const POINTER_EXPECTED: &str = "expected a JSON pointer such as `/data/token`";

impl HttpSource {
    #[inline(never)]
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let place = fields.required("url");
        let endpoint = place.as_ref().and_then(read_url);
        let plaintext = Plaintext::read(&mut fields);
        let cluster = fields.optional("cluster").map(|node| node.cluster());
        let call = Call::read(node, &mut fields);
        let expected = fields.optional("expect").map(|node| read_expected(&node));
        let subject = fields
            .optional("subject")
            .map(|node| node.choice(&[("data_plane", Subject::DataPlane), ("caller", Subject::Caller)]));
        let headers = fields.optional("headers").map(|node| read_headers(&node)).unwrap_or_default();
        let credential = fields.optional("credential").map(|node| read_variable_source(&node));
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
        let value = fields.optional("value").map(|node| read_pointer(&node));
        let expiry = read_expiry(node, &mut fields);
        if value.is_none() && !(matches!(expiry, Some(Expiry::OfValue)) && expected.is_none()) {
            node.fail("where the answer is a document, `value` must point at the credential in it");
        }
        let max_age = fields.optional("max_age").map(|node| {
            duration_within(
                &node,
                Duration::from_secs(1)..=MAX_LIFE,
                "expected a duration from `1s` to `24h`",
            )
        });
        let refresh_before = fields
            .optional("refresh_before")
            .map(|node| duration_within(&node, Duration::ZERO..=MAX_LIFE, "expected a duration up to `24h`"));
        fields.finish();
        let endpoint = endpoint?;
        plaintext.check(place.as_ref(), endpoint.is_exposed());
        let Call { method, body } = call?;
        let expected = expected.unwrap_or(Some(Vec::new()))?;
        let subject = subject.unwrap_or(Some(Subject::DataPlane))?;
        check_subject(node, subject, body.as_ref(), &expected);
        Some(Self {
            method,
            body,
            subject,
            expected,
            cluster: cluster.unwrap_or_else(|| Some(endpoint.host().to_owned()))?,
            endpoint,
            headers,
            credential: match credential {
                Some(variable) => Some((variable?, auth.unwrap_or(Some(AuthStyle::Authorization(BEARER)))?)),
                None => None,
            },
            timeout: timeout.unwrap_or(Some(DEFAULT_TIMEOUT))?,
            value: value.map_or(Some(None), |value| value.map(Some))?,
            expiry: expiry?,
            max_age: max_age.map_or(Some(None), |age| age.map(Some))?,
            refresh_before: refresh_before.unwrap_or(Some(DEFAULT_REFRESH_BEFORE))?,
        })
    }
}

/// Reports a value that would be given to callers whom it is not for, and one that is fetched for each without need.
fn check_subject(
    node: &Node<'_>,
    subject: Subject,
    body: Option<&CallBody>,
    expected: &[(String, CallText)],
) {
    let is_in_call = body.is_some_and(|body| body.texts().into_iter().any(CallText::is_of_caller));
    let is_in_answer = expected.iter().any(|(_, text)| text.is_of_caller());
    match subject {
        Subject::DataPlane if is_in_call || is_in_answer => {
            node.fail("the call is made for one caller: say so with `subject: caller`");
        }
        Subject::Caller if !is_in_call => {
            node.fail("nothing in the call names the caller: put `{caller: jwt}` into `form` or `json`");
        }
        _ => {}
    }
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

/// Returns whether mostly secrets have such a name.
pub(super) fn speaks_of_secrets(name: &str) -> bool {
    const WORDS: [&str; 7] = ["auth", "credential", "key", "passw", "secret", "signature", "token"];
    let name = name.to_ascii_lowercase();
    WORDS.iter().any(|word| name.contains(word))
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

/// Reads a JSON pointer (RFC 6901 section 3).
pub(super) fn read_pointer(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    node.check(Some(text).filter(|text| is_pointer(text)), POINTER_EXPECTED).map(str::to_owned)
}

/// Returns whether a text is a JSON pointer to a part of a document.
pub(super) fn is_pointer(text: &str) -> bool {
    let escapes_hold =
        text.split('~').skip(1).all(|escape| escape.starts_with('0') || escape.starts_with('1'));
    text.starts_with('/') && text.len() <= 256 && escapes_hold
}
