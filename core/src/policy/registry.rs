//! The registry in a policy, which looks up tokens that the policy does not name.

use std::time::Duration;

use super::gateway::read_url;
use super::keys::read_signers;
use super::plaintext::Plaintext;
use super::reader::{Node, read_texts};
use super::tokens::{WhyNot, read_scope};
use super::variable::{self, Variable};
use crate::identity::Scope;
use crate::identity::jwt::JwkSet;
use crate::policy::duration::duration_within;
use crate::syntax::BaseUrl;

/// The protocol of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Keyswap's own, as `keyswap serve` answers: by digest, with a change feed.
    Keyswap,
    /// Token introspection (RFC 7662).
    Introspection {
        /// The scope of tokens whose answer has none.
        scope: Scope,
        /// The audiences that a token must be for; empty: every token that the server vouches for.
        audiences: Vec<String>,
    },
}

/// The registry that tokens are looked up in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RegistryPolicy {
    pub(crate) url: BaseUrl,
    /// The Envoy cluster of the registry; other hosts connect to the URL's authority.
    pub(crate) cluster: String,
    pub(crate) credential: Variable,
    pub(crate) timeout: Duration,
    /// The time for which a record is cached.
    pub(crate) positive: Duration,
    /// The time for which an unknown token is cached.
    pub(crate) negative: Duration,
    pub(crate) protocol: Protocol,
    /// The keys of which one must have signed each record; `None` where the channel is the records' protection.
    pub(crate) keys: Option<JwkSet>,
}

impl RegistryPolicy {
    #[inline(never)]
    pub(super) fn read(node: &Node<'_>, why_not: &WhyNot<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let place = fields.required("url");
        let url = place.as_ref().and_then(read_url);
        let plaintext = Plaintext::read(&mut fields);
        let cluster = fields.optional("cluster").map(|node| node.cluster());
        let credential = fields.required("credential").and_then(|node| variable::read_variable_source(&node));
        let timeout = fields.optional("timeout").map(|node| {
            let range = Duration::from_millis(1)..=Duration::from_secs(30);
            duration_within(&node, range, "expected a duration up to `30s`")
        });
        let cache = fields.optional("cache").map(|node| read_cache(&node));
        let introspection = fields.optional("introspection").map(|node| read_introspection(&node, why_not));
        let keys = fields.optional("keys");
        if let (Some(node), Some(_)) = (&keys, &introspection) {
            node.fail("answers of token introspection are not signed: remove this, and rely on `https://`");
        }
        let keys = keys.map(|node| {
            if node.value().get("required").is_some() {
                node.fail("a record has one signature: remove `required`");
            }
            read_signers(&node)
        });
        fields.finish();
        let url = url?;
        plaintext.check(place.as_ref(), url.is_exposed());
        let (positive, negative) = cache.unwrap_or(Some(DEFAULT_CACHE))?;
        Some(Self {
            cluster: cluster.unwrap_or_else(|| Some(url.host().to_owned()))?,
            url,
            credential: credential?,
            timeout: timeout.unwrap_or(Some(Duration::from_millis(500)))?,
            positive,
            negative,
            protocol: introspection.unwrap_or(Some(Protocol::Keyswap))?,
            keys: keys.map_or(Some(None), |keys| keys.map(Some))?,
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

/// Reads a cache time. A revoked token may be accepted for that long while the registry cannot be asked.
fn read_span(node: &Node<'_>, longest: Duration) -> Option<Duration> {
    let expected = format!("expected a duration up to `{}s`", longest.as_secs());
    duration_within(node, Duration::from_millis(1)..=longest, &expected)
}

fn read_introspection(node: &Node<'_>, why_not: &WhyNot<'_>) -> Option<Protocol> {
    let mut fields = node.fields()?;
    let scope = fields.required("providers").map(|node| read_scope(&node, why_not));
    let audiences = fields.optional("audiences").map(|node| read_texts(&node, "audience"));
    fields.finish();
    Some(Protocol::Introspection { scope: scope?, audiences: audiences.unwrap_or_default() })
}
