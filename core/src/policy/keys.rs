//! The place of an issuer's keys in a policy: `jwks`; and keys that a document pins.
//!
//! Without this member the preset knows the address. A generic issuer is asked for it (OpenID Connect Discovery).

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::plaintext::Plaintext;
use super::preset::Preset;
use super::reader::{Fields, Node};
use crate::identity::jwt::{Algorithm, Endpoint, Jwk, JwkError, JwkSet, KeySource, Origin, RemoteKeys};
use crate::policy::duration::duration_within;

const SECOND: Duration = Duration::from_secs(1);
const WEEK: Duration = Duration::from_hours(7 * 24);

/// A duration of `jwks`: its name, its default, and its bounds.
struct Setting {
    name: &'static str,
    default: Duration,
    range: RangeInclusive<Duration>,
    expected: &'static str,
}

const TIMEOUT: Setting = Setting {
    name: "timeout",
    default: Duration::from_secs(5),
    range: Duration::from_millis(1)..=Duration::from_mins(1),
    expected: "expected a duration from `1ms` to `1m`",
};
const CACHE_DURATION: Setting = Setting {
    name: "cache_duration",
    default: Duration::from_mins(5),
    range: SECOND..=WEEK,
    expected: "expected a duration from `1s` to `7d`",
};
const STALE_IF_ERROR: Setting = Setting {
    name: "stale_if_error",
    default: Duration::from_hours(24),
    range: Duration::ZERO..=WEEK,
    expected: "expected a duration from `0s` to `7d`",
};
const REFETCH_COOLDOWN: Setting = Setting {
    name: "refetch_cooldown",
    default: Duration::from_secs(30),
    range: SECOND..=WEEK,
    expected: "expected a duration from `1s` to `7d`",
};

/// Reads `jwks` of an issuer of this origin, which is `None` where it could not be read. `place` is the place of the issuer's URL.
#[inline(never)]
pub(super) fn read(
    node: Option<&Node<'_>>,
    preset: Preset,
    place: Option<&Node<'_>>,
    origin: Option<&Origin>,
) -> Option<KeySource> {
    // Where the origin is no URL, the policy has the address of the keys.
    let url = origin.map(|origin| if let Origin::Name(name) = origin { name.as_str() } else { "" });
    let Some(node) = node else {
        let source = remote(preset, url?, None, None, Settings::default())?;
        Plaintext::default().check(place, source.is_exposed());
        return Some(source);
    };
    let mut fields = node.fields()?;
    let inline = fields.optional("inline");
    let address = fields.optional("url");
    // An address that the issuer's leads to is as safe as that.
    let place = address.as_ref().or(place);
    let address = address.as_ref().map(Node::endpoint);
    let plaintext = Plaintext::read(&mut fields);
    let cluster = fields.optional("cluster").map(|node| node.cluster());
    let settings = Settings::read(&mut fields);
    let is_alone = address.is_none() && cluster.is_none() && !plaintext.is_said() && settings.is_default;
    fields.finish();
    if let Some(inline) = inline {
        if !is_alone {
            node.fail("`inline` keys are fetched from nowhere: remove the other fields");
        }
        let is_of_domain = matches!(origin, Some(Origin::TrustDomain(_)));
        return read_inline(&inline, is_of_domain).map(KeySource::Inline);
    }
    // A member that could not be read is an error, never a default.
    let address = address.map_or(Some(None), |address| address.map(Some))?;
    let cluster = cluster.map_or(Some(None), |cluster| cluster.map(Some))?;
    let source = remote(preset, url?, address, cluster, settings);
    let source = node.check(source, "the issuer's URL leads to no address of keys: name one in `url`")?;
    plaintext.check(place, source.is_exposed());
    Some(source)
}

fn remote(
    preset: Preset,
    issuer: &str,
    address: Option<Endpoint>,
    cluster: Option<String>,
    settings: Settings,
) -> Option<KeySource> {
    let beside = issuer.strip_suffix('/').unwrap_or(issuer);
    let (endpoint, is_discovery) = match (address, preset) {
        (Some(address), _) => (address, false),
        (None, Preset::CloudflareAccess) => {
            (Endpoint::parse(&format!("{beside}/cdn-cgi/access/certs")).ok()?, false)
        }
        (None, Preset::Keyswap) => (Endpoint::parse(&format!("{beside}/oauth/jwks")).ok()?, false),
        (None, Preset::VercelOidc) => (Endpoint::parse(&format!("{beside}/.well-known/jwks")).ok()?, false),
        (None, Preset::Oidc) => {
            (Endpoint::parse(&format!("{beside}/.well-known/openid-configuration")).ok()?, true)
        }
    };
    let keys = RemoteKeys {
        cluster: cluster.unwrap_or_else(|| endpoint.host().to_owned()),
        endpoint,
        timeout: settings.timeout,
        cache_duration: settings.cache_duration,
        stale_if_error: settings.stale_if_error,
        refetch_cooldown: settings.refetch_cooldown,
    };
    Some(if is_discovery { KeySource::Discovery(keys) } else { KeySource::Jwks(keys) })
}

/// The settings for fetching and caching remote keys.
#[derive(Clone, Copy)]
struct Settings {
    timeout: Duration,
    cache_duration: Duration,
    stale_if_error: Duration,
    refetch_cooldown: Duration,
    is_default: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeout: TIMEOUT.default,
            cache_duration: CACHE_DURATION.default,
            stale_if_error: STALE_IF_ERROR.default,
            refetch_cooldown: REFETCH_COOLDOWN.default,
            is_default: true,
        }
    }
}

impl Settings {
    fn read(fields: &mut Fields<'_>) -> Self {
        let mut is_default = true;
        let mut read = |setting: &Setting| {
            let Some(node) = fields.optional(setting.name) else { return setting.default };
            is_default = false;
            // What could not be read is reported, and the policy refused; the default only stands in for it here.
            duration_within(&node, setting.range.clone(), setting.expected).unwrap_or(setting.default)
        };
        let timeout = read(&TIMEOUT);
        let cache_duration = read(&CACHE_DURATION);
        let stale_if_error = read(&STALE_IF_ERROR);
        let refetch_cooldown = read(&REFETCH_COOLDOWN);
        Self { timeout, cache_duration, stale_if_error, refetch_cooldown, is_default }
    }
}

/// Returns whether `jwks` says where the keys are.
pub(super) fn names_keys(node: &Node<'_>) -> bool {
    ["inline", "url"].iter().any(|name| node.value().get(name).is_some())
}

/// Reads the keys of an issuer in the policy. An issuer publishes keys for other purposes, too, so one that cannot be used is passed
/// over, as in a set that is fetched. A private key is an error: it is a secret, and has no place in a policy.
fn read_inline(node: &Node<'_>, is_of_domain: bool) -> Option<JwkSet> {
    let set = read_set(node)?;
    let is_fatal = |fault: &JwkError| set.keys().is_empty() || *fault == JwkError::Private;
    fail_keys(node, &set, is_fatal);
    if !set.keys().is_empty() && !set.keys().iter().any(|key| key.is_of_domain() == is_of_domain) {
        node.fail("the keys of a trust domain have the use `jwt-svid`, those of any other issuer have another use or none");
    }
    Some(set)
}

fn fail_keys(node: &Node<'_>, set: &JwkSet, is_fatal: impl Fn(&JwkError) -> bool) {
    for (index, fault) in set.dropped().iter().filter(|(_, fault)| is_fatal(fault)) {
        node.fail(format!("the key `keys[{index}]` cannot be used: {fault}"));
    }
}

fn read_set(node: &Node<'_>) -> Option<JwkSet> {
    let set = JwkSet::from_value(node.value()).map_err(|fault| node.fail(fault.to_string())).ok()?;
    if set.keys().is_empty() && set.dropped().is_empty() {
        node.fail("expected at least one key in `keys`");
    }
    let mut kids = BTreeSet::new();
    if !set.keys().iter().filter_map(|key| key.kid()).all(|kid| kids.insert(kid)) {
        node.fail("two keys have the same `kid`, so that neither would be used");
    }
    Some(set)
}

/// Reads the public keys of those who sign what a policy trusts; several, so that a key can be replaced.
/// `keyswap policy keygen` prints such a set.
pub(super) fn read_signers(node: &Node<'_>) -> Option<JwkSet> {
    let keys = read_set(node)?;
    fail_keys(node, &keys, |_| true);
    let signs =
        |key: &&Jwk| !key.is_of_domain() && (key.is_for(Algorithm::EdDsa) || key.is_for(Algorithm::Es256));
    if !keys.keys().iter().all(|key| signs(&key)) {
        node.fail("expected keys for Ed25519 or ES256 only, which `keyswap` signs with");
    }
    Some(keys)
}
