//! Upstream credentials in a policy: named chains of sources, of which the first that yields a value wins.
//!
//! Only names, addresses and pointers stand here; values are found by [`crate::upstream::Credentials`].

use std::collections::BTreeMap;
use std::time::Duration;

use super::error::PolicyError;
use super::plaintext::Plaintext;
use super::providers::read_auth;
use super::reader::{Fields, HEADER_EXPECTED, NAME_EXPECTED, Node, is_header_name, is_name};
use crate::host::Environment;
use crate::identity::jwt::Endpoint;
use crate::policy::duration::duration_within;
use crate::provider::AuthStyle;
use crate::secret::{BEARER, Secret, SecretError, ServiceSecret};

/// A place that an upstream credential comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// An environment variable of the host.
    Env(Variable),
    /// A file of the host, at this path, that holds nothing else.
    File(String),
    /// The request's header of this name, where it held the verified identity JWT.
    RequestHeader(String),
    /// A token agent or a secret manager, asked over HTTP.
    Http(Box<HttpSource>),
    /// The host, which writes the value into the request; the engine never sees it.
    Host,
}

/// The name of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variable(String);

/// A token agent or a secret manager: the request to it, and the form of its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpSource {
    pub(crate) endpoint: Endpoint,
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

/// Every named credential with its chain of sources.
#[derive(Clone, Debug, Default)]
pub(crate) struct CredentialPolicy(BTreeMap<String, Vec<Source>>);

impl CredentialPolicy {
    #[inline(never)]
    pub(super) fn read(node: &Node<'_>) -> Self {
        let mut chains = BTreeMap::new();
        for (name, chain) in node.entries() {
            // Later errors repeat the name, in logs too.
            match chain.check(Some(name).filter(|name| is_name(name)), NAME_EXPECTED) {
                Some(name) => _ = chains.insert(name.to_owned(), read_chain(&chain)),
                None => _ = read_chain(&chain),
            }
        }
        Self(chains)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Returns every chain under its name.
    pub(crate) fn chains(&self) -> impl Iterator<Item = (&str, &[Source])> {
        self.0.iter().map(|(name, chain)| (name.as_str(), chain.as_slice()))
    }

    /// Returns the headers of requests that may hold a credential, with the places of the sources that name them.
    pub(super) fn request_headers(&self) -> impl Iterator<Item = (String, &str)> {
        self.chains().flat_map(|(name, chain)| {
            chain.iter().enumerate().filter_map(move |(index, source)| match source {
                Source::RequestHeader(header) => {
                    Some((format!("credentials.{name}[{index}].request_header"), header.as_str()))
                }
                _ => None,
            })
        })
    }
}

fn read_chain(node: &Node<'_>) -> Vec<Source> {
    let items = node.items();
    if items.is_empty() {
        node.fail("expected at least one source, such as `[{env: OPENAI_API_KEY}]`");
    }
    let chain: Vec<Source> = items.iter().filter_map(read_source).collect();
    if items.len() > 1 && chain.iter().any(|source| matches!(source, Source::Host)) {
        node.fail("a chain cannot see whether the host has a value: `inject_by: host` stands alone");
    }
    chain
}

fn read_source(node: &Node<'_>) -> Option<Source> {
    let mut fields = node.fields()?;
    let variable = fields.optional("env").map(|node| Variable::read(&node).map(Source::Env));
    let header = fields
        .optional("request_header")
        .map(|node| node.text().map(|name| Source::RequestHeader(name.to_owned())));
    let file = fields.optional("file").map(|node| read_path(&node).map(Source::File));
    let http = fields.optional("http").map(|node| HttpSource::read(&node).map(Box::new).map(Source::Http));
    let host = fields.optional("inject_by").map(|node| node.choice(&[("host", ())]).map(|()| Source::Host));
    fields.finish();
    let mut said = [variable, file, header, http, host].into_iter().flatten();
    let (source, another) = (said.next(), said.next());
    if source.is_none() || another.is_some() {
        node.fail("expected one of `env`, `file`, `request_header`, `http`, `inject_by`");
    }
    source?
}

/// Reads the path of a file: absolute, and the same by every reading of it.
fn read_path(node: &Node<'_>) -> Option<String> {
    let is_path = |text: &&str| {
        text.len() <= 255
            && text.bytes().all(|byte| byte.is_ascii_graphic())
            && text
                .strip_prefix('/')
                .is_some_and(|rest| rest.split('/').all(|part| !matches!(part, "" | "." | "..")))
    };
    let text = node.text()?;
    node.check(
        Some(text).filter(is_path),
        "expected the absolute path of a file such as `/run/secrets/openai`, without `.` and `..`",
    )
    .map(str::to_owned)
}

impl HttpSource {
    #[inline(never)]
    fn read(node: &Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let place = fields.required("url");
        let endpoint = place.as_ref().and_then(read_url);
        let plaintext = Plaintext::read(&mut fields);
        let cluster = fields.optional("cluster").map(|node| node.cluster());
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
        if value.is_none() && !matches!(expiry, Some(Expiry::OfValue)) {
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
        Some(Self {
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
fn speaks_of_secrets(name: &str) -> bool {
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
fn read_pointer(node: &Node<'_>) -> Option<String> {
    let is_pointer = |text: &&str| {
        let escapes_hold =
            text.split('~').skip(1).all(|escape| escape.starts_with('0') || escape.starts_with('1'));
        text.starts_with('/') && text.len() <= 256 && escapes_hold
    };
    let text = node.text()?;
    node.check(Some(text).filter(is_pointer), "expected a JSON pointer such as `/data/token`")
        .map(str::to_owned)
}

/// Reads a secret that is known before any call can be made: `{env: NAME}`.
pub(super) fn read_variable_source(node: &Node<'_>) -> Option<Variable> {
    let mut fields = node.fields()?;
    let variable = fields.required("env").and_then(|node| Variable::read(&node));
    fields.finish();
    variable
}

impl Variable {
    #[inline(never)]
    fn read(node: &Node<'_>) -> Option<Self> {
        let is_name = |text: &&str| {
            !text.starts_with(|char: char| char.is_ascii_digit())
                && !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        let name = node.text()?;
        node.check(
            Some(name).filter(is_name),
            "expected the name of an environment variable such as `OPENAI_API_KEY`",
        )
        .map(|name| Self(name.to_owned()))
    }

    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    /// Returns the upstream secret, if the variable is set; `path` is its place in the policy.
    ///
    /// # Errors
    /// A variable that is set but unusable, even where a later source would do: it was meant.
    pub(crate) fn find(
        &self,
        path: &str,
        environment: &dyn Environment,
    ) -> Result<Option<Secret>, PolicyError> {
        let value = environment.variable(&self.0);
        value.map(|value| Secret::new(value).map_err(|error| self.unusable(path, error))).transpose()
    }

    /// Returns the credential of a service, which has no other source.
    ///
    /// # Errors
    /// A variable that is not set, or unusable.
    pub(crate) fn require(
        &self,
        path: &str,
        environment: &dyn Environment,
    ) -> Result<ServiceSecret, PolicyError> {
        let value = environment.variable(&self.0).ok_or_else(|| PolicyError {
            path: path.to_owned(),
            message: format!("the environment variable `{}` is not set", self.0),
        })?;
        ServiceSecret::new(value).map_err(|error| self.unusable(path, error))
    }

    fn unusable(&self, path: &str, error: SecretError) -> PolicyError {
        PolicyError {
            path: format!("{path}.env"),
            message: format!("the value of the environment variable `{}` {error}", self.0),
        }
    }
}
