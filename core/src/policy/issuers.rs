//! Issuers in a policy: whose JWTs are accepted as identities. A preset knows where an identity provider puts its token
//! and its keys, and what its tokens must say; the policy says which tenant and which audience.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::Value;

use super::duration::duration_within;
use super::keys;
use super::reader::{Node, is_header_name};
use super::tokens::read_providers;
use crate::identity_slot::IdentitySlot;
use crate::jwt::{Algorithm, ClaimRules, ClaimValue, Issuer, Principals, Subjects};
use crate::slot::Slot;
use crate::url::BaseUrl;

/// The kinds of issuers whose ways are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Preset {
    CloudflareAccess,
    VercelOidc,
    Oidc,
}

/// Claims that have a field of their own, or are judged without one.
const JUDGED_CLAIMS: [&str; 5] = ["aud", "exp", "iat", "iss", "nbf"];

const CLOCK_SKEW: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_mins(5);
const DEFAULT_CLOCK_SKEW: Duration = Duration::from_mins(1);

/// Reads the list. `why_not` says what is wrong with the name of a provider, if anything is.
#[inline(never)]
pub(super) fn read(node: &Node<'_>, why_not: &dyn Fn(&str) -> Option<String>) -> Vec<Issuer> {
    let mut issuers: Vec<Issuer> = Vec::new();
    for item in node.items() {
        let Some(issuer) = read_issuer(&item, why_not) else { continue };
        if issuers.iter().any(|other| other.name == issuer.name) {
            item.fail(format!("another issuer is named `{}`, too", issuer.name));
        }
        issuers.push(issuer);
    }
    issuers
}

fn read_issuer(node: &Node<'_>, why_not: &dyn Fn(&str) -> Option<String>) -> Option<Issuer> {
    let mut fields = node.fields()?;
    let name = fields.required("name").and_then(|node| node.name());
    let preset = fields.required("preset").and_then(|node| {
        node.choice(&[
            ("cloudflare_access", Preset::CloudflareAccess),
            ("vercel_oidc", Preset::VercelOidc),
            ("oidc", Preset::Oidc),
        ])
    });
    let url = fields.required("issuer");
    let audiences = fields.required("audiences").map(|node| read_texts(&node, "audience"));
    let algorithms = fields.optional("algorithms").map(|node| read_algorithms(&node));
    let clock_skew = fields.optional("clock_skew").map_or(Some(DEFAULT_CLOCK_SKEW), |node| {
        duration_within(&node, CLOCK_SKEW, "expected a duration from `0s` to `5m`")
    });
    let claims = fields.optional("claims");
    let service_tokens = fields.optional("service_tokens");
    let principals = fields.optional("principals");
    let slots = fields.optional("slots").map(|node| read_slots(&node));
    let providers = fields.optional("providers").map(|node| read_providers(&node, why_not));
    let jwks = fields.optional("jwks");
    fields.finish();

    // Without the preset nobody can say what the rest means.
    let preset = preset?;
    let url = url.and_then(|node| preset.read_url(&node));
    let required = preset.read_claims(node, claims.as_ref());
    let subjects = preset.read_subjects(service_tokens.as_ref());
    let principals = preset.read_principals(principals.as_ref());
    let keys = keys::read(jwks.as_ref(), preset, url.as_deref());
    Some(Issuer {
        name: name?,
        rules: ClaimRules { issuer: url?, audiences: audiences?, required, clock_skew: clock_skew? },
        algorithms: algorithms.unwrap_or_else(|| preset.algorithms()),
        names_keys: preset != Preset::Oidc,
        subjects,
        keys: keys?,
        slots: slots.unwrap_or_else(|| preset.slots()),
        principals: principals?,
        providers,
    })
}

impl Preset {
    fn algorithms(self) -> Vec<Algorithm> {
        match self {
            Self::CloudflareAccess | Self::VercelOidc => vec![Algorithm::Rs256],
            Self::Oidc => vec![Algorithm::Rs256, Algorithm::Es256],
        }
    }

    fn slots(self) -> Vec<IdentitySlot> {
        let header = |name: &str| IdentitySlot::Header(name.to_owned());
        match self {
            Self::CloudflareAccess => vec![
                header("cf-access-jwt-assertion"),
                header("cf-access-token"),
                IdentitySlot::Cookie("CF_Authorization".to_owned()),
            ],
            Self::VercelOidc => vec![header("x-vercel-oidc-token")],
            Self::Oidc => Vec::new(),
        }
    }

    /// The value that `iss` must have. A Cloudflare team's domain may be written as people know it; another issuer's URL
    /// is compared as it is written, since its trailing slash is part of its name.
    fn read_url(self, node: &Node<'_>) -> Option<String> {
        let text = node.text()?;
        if self != Self::CloudflareAccess {
            return BaseUrl::parse(text).map_err(|message| node.fail(message)).ok().map(|_| text.to_owned());
        }
        let domain = text.strip_suffix('/').unwrap_or(text);
        let domain = domain.strip_prefix("https://").unwrap_or(domain);
        let url = BaseUrl::parse(&format!("https://{domain}")).ok().filter(|_| !domain.contains('/'));
        let expected = "expected the domain of a team such as `https://acme.cloudflareaccess.com`";
        node.check(url, expected).map(|url| format!("https://{}", url.authority))
    }

    /// The policy's claims, and those that the preset adds.
    fn read_claims(self, issuer: &Node<'_>, node: Option<&Node<'_>>) -> Vec<(String, Vec<ClaimValue>)> {
        let mut claims = node.map(read_claims).unwrap_or_default();
        let names = |name: &str| claims.iter().any(|(other, _)| other == name);
        let text = |name: &str, value: &str| (name.to_owned(), vec![ClaimValue::Text(value.to_owned())]);
        match self {
            Self::Oidc => {}
            Self::CloudflareAccess if names("type") => {
                issuer.fail("the claim `type` is fixed to `app` by the preset: remove it");
            }
            // `org` is the type of a sign-in, which is for no application.
            Self::CloudflareAccess => claims.push(text("type", "app")),
            Self::VercelOidc => {
                if !names("project_id") && !names("owner_id") {
                    issuer.fail(
                        "the claims need a `project_id` or an `owner_id`: names change hands, such as `claims: {project_id: [prj_123]}`",
                    );
                }
                if !names("environment") {
                    claims.push(text("environment", "production"));
                }
            }
        }
        claims
    }

    fn read_subjects(self, service_tokens: Option<&Node<'_>>) -> Subjects {
        let names = service_tokens.map(|node| read_texts(node, "`common_name` of a service token"));
        if self == Self::CloudflareAccess {
            return Subjects::CloudflareAccess { service_tokens: names.unwrap_or_default() };
        }
        if let Some(node) = service_tokens {
            node.fail("only `cloudflare_access` has service tokens: remove it");
        }
        Subjects::OpenId
    }

    fn read_principals(self, node: Option<&Node<'_>>) -> Option<Principals> {
        let Some(node) = node else {
            return Some(if self == Self::VercelOidc { Principals::Any } else { Principals::Known });
        };
        let principals = node.choice(&[("known", Principals::Known), ("any", Principals::Any)])?;
        if self == Self::VercelOidc && principals == Principals::Known {
            node.fail("people are known by their email, and a Vercel token has none: write `any`");
        }
        Some(principals)
    }
}

/// Strings that are compared whole: at least one, none empty, none twice.
pub(super) fn read_texts(node: &Node<'_>, what: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for item in node.items() {
        match item.text() {
            Some(text) if text.is_empty() || text.len() > 1024 => item.fail("expected 1 to 1024 bytes"),
            Some(text) if texts.iter().any(|other| other == text) => {
                item.fail("this stands twice in the list");
            }
            Some(text) => texts.push(text.to_owned()),
            None => {}
        }
    }
    if texts.is_empty() {
        node.fail(format!("expected at least one {what}"));
    }
    texts
}

fn read_algorithms(node: &Node<'_>) -> Vec<Algorithm> {
    let names = Algorithm::ALL.map(|algorithm| (algorithm.name(), algorithm));
    let algorithms: Vec<Algorithm> = node.items().iter().filter_map(|item| item.choice(&names)).collect();
    if algorithms.is_empty() {
        node.fail("expected at least one algorithm");
    }
    algorithms
}

fn read_claims(node: &Node<'_>) -> Vec<(String, Vec<ClaimValue>)> {
    let read = |(name, values): (&str, Node<'_>)| {
        if name.is_empty() || JUDGED_CLAIMS.contains(&name) {
            values.fail("this claim is always judged, by fields of its own: remove it");
        }
        let allowed: Vec<ClaimValue> = values.items().iter().filter_map(read_value).collect();
        if allowed.is_empty() {
            values.fail("expected at least one value");
        }
        (name.to_owned(), allowed)
    };
    node.entries().into_iter().map(read).collect()
}

fn read_value(node: &Node<'_>) -> Option<ClaimValue> {
    let value = match node.value() {
        Value::String(text) => Some(ClaimValue::Text(text.clone())),
        Value::Bool(flag) => Some(ClaimValue::Flag(*flag)),
        _ => None,
    };
    node.check(value, "expected a string, `true` or `false`")
}

fn read_slots(node: &Node<'_>) -> Vec<IdentitySlot> {
    let mut slots = Vec::new();
    for item in node.items() {
        match read_slot(&item) {
            Some(slot) if slots.contains(&slot) => item.fail("this slot stands twice in the list"),
            Some(slot) => slots.push(slot),
            None => {}
        }
    }
    slots
}

fn read_slot(node: &Node<'_>) -> Option<IdentitySlot> {
    let text = node.text()?;
    let header = text.strip_prefix("header:").filter(|name| is_header(name));
    let cookie = text.strip_prefix("cookie:").filter(|name| is_cookie(name));
    let slot = header
        .map(|name| IdentitySlot::Header(name.to_owned()))
        .or_else(|| cookie.map(|name| IdentitySlot::Cookie(name.to_owned())));
    node.check(
        slot,
        "expected `header:` and the name of a header in lower case that carries nothing else, or `cookie:` and a name; auth slots carry JWTs anyway",
    )
}

fn is_header(name: &str) -> bool {
    // What Cloudflare Access has is an identity provider's.
    is_header_name(name.strip_prefix("cf-access-").unwrap_or(name))
        && !Slot::ALL.iter().any(|slot| slot.name() == name)
}

fn is_cookie(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// The headers in which the issuers' tokens stand, each once.
pub(super) fn identity_headers(issuers: &[Issuer]) -> impl Iterator<Item = &str> {
    let headers: BTreeSet<&str> = issuers.iter().flat_map(Issuer::slots).map(IdentitySlot::header).collect();
    headers.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protected::is_protected;

    #[test]
    fn no_header_in_which_a_preset_finds_a_jwt_is_ever_forwarded() {
        for preset in [Preset::CloudflareAccess, Preset::VercelOidc, Preset::Oidc] {
            for slot in preset.slots() {
                assert!(is_protected(slot.header().as_bytes()), "{slot}");
            }
        }
    }
}
