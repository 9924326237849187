//! The registry in a policy: where tokens are looked up that the policy does not name.

use std::time::Duration;

use super::credentials;
use super::credentials::Variable;
use super::gateway::read_url;
use super::reader::{Node, read_texts};
use crate::policy::duration::duration_within;
use crate::syntax::BaseUrl;

/// How the registry is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// As `keyswap serve` answers: by digest, with a feed of changes.
    Keyswap,
    /// Token introspection (RFC 7662).
    Introspection {
        /// The scope of tokens whose answer has none.
        providers: Vec<String>,
        /// The audiences that a token must be for; empty: every token that the server vouches for.
        audiences: Vec<String>,
    },
}

/// Where tokens are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RegistryPolicy {
    pub(crate) url: BaseUrl,
    /// Envoy's name for where to connect to.
    pub(crate) cluster: String,
    pub(crate) credential: Variable,
    pub(crate) timeout: Duration,
    /// How long a record is believed.
    pub(crate) positive: Duration,
    /// How long a token stays unknown.
    pub(crate) negative: Duration,
    pub(crate) protocol: Protocol,
}

impl RegistryPolicy {
    #[inline(never)]
    pub(super) fn read(node: &Node<'_>, why_not: &dyn Fn(&str) -> Option<String>) -> Option<Self> {
        let mut fields = node.fields()?;
        let url = fields.required("url").and_then(|node| read_url(&node));
        let cluster = fields.optional("cluster").map(|node| node.cluster());
        let credential =
            fields.required("credential").and_then(|node| credentials::read_variable_source(&node));
        let timeout = fields.optional("timeout").map(|node| {
            let range = Duration::from_millis(1)..=Duration::from_secs(30);
            duration_within(&node, range, "expected a duration up to `30s`")
        });
        let cache = fields.optional("cache").map(|node| read_cache(&node));
        let introspection = fields.optional("introspection").map(|node| read_introspection(&node, why_not));
        fields.finish();
        let url = url?;
        let (positive, negative) = cache.unwrap_or(Some(DEFAULT_CACHE))?;
        Some(Self {
            cluster: cluster.unwrap_or_else(|| Some(url.host().to_owned()))?,
            url,
            credential: credential?,
            timeout: timeout.unwrap_or(Some(Duration::from_millis(500)))?,
            positive,
            negative,
            protocol: introspection.unwrap_or(Some(Protocol::Keyswap))?,
        })
    }
}

const DEFAULT_CACHE: (Duration, Duration) = (Duration::from_mins(1), Duration::from_secs(10));

fn read_cache(node: &Node<'_>) -> Option<(Duration, Duration)> {
    let mut fields = node.fields()?;
    let positive = fields.optional("positive").map(|node| read_span(&node, Duration::from_hours(1)));
    let negative = fields.optional("negative").map(|node| read_span(&node, Duration::from_mins(10)));
    fields.finish();
    Some((positive.unwrap_or(Some(DEFAULT_CACHE.0))?, negative.unwrap_or(Some(DEFAULT_CACHE.1))?))
}

/// A token that was taken back may be believed for so long when the registry cannot tell of it.
fn read_span(node: &Node<'_>, longest: Duration) -> Option<Duration> {
    let expected = format!("expected a duration up to `{}s`", longest.as_secs());
    duration_within(node, Duration::from_millis(1)..=longest, &expected)
}

fn read_introspection(node: &Node<'_>, why_not: &dyn Fn(&str) -> Option<String>) -> Option<Protocol> {
    let mut fields = node.fields()?;
    let providers = fields.required("providers").map(|node| super::tokens::read_providers(&node, why_not));
    let audiences = fields.optional("audiences").map(|node| read_texts(&node, "audience"));
    fields.finish();
    Some(Protocol::Introspection { providers: providers?, audiences: audiences.unwrap_or_default() })
}
