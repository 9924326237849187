//! The presets of issuers: identity providers that are known, and the meaning of an issuer's fields for each.

use serde_json::Value;

use super::reader::{Node, read_texts};
use crate::identity::jwt::{Algorithm, ClaimValue, Conditions, EMAIL, Origin, Principals, Subjects};
use crate::request::IdentitySlot;
use crate::syntax::{BaseUrl, moves_text};

/// An identity provider that is known, or a generic one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Preset {
    CloudflareAccess,
    VercelOidc,
    Oidc,
    /// The registry of `keyswap serve`, as the issuer of sessions.
    Keyswap,
}

/// Issuers that vouch for every address in their tokens, and send no `email_verified`: Google's Identity-Aware Proxy.
const VOUCHING_ISSUERS: [&str; 1] = ["https://cloud.google.com/iap"];

/// Claims that have a field of their own, or are judged without one.
const JUDGED_CLAIMS: [&str; 5] = ["aud", "exp", "iat", "iss", "nbf"];

impl Preset {
    pub(super) fn algorithms(self) -> Vec<Algorithm> {
        match self {
            Self::CloudflareAccess | Self::VercelOidc => vec![Algorithm::Rs256],
            Self::Oidc => vec![Algorithm::Rs256, Algorithm::Es256],
            Self::Keyswap => vec![Algorithm::Es256, Algorithm::EdDsa],
        }
    }

    pub(super) fn slots(self) -> Vec<IdentitySlot> {
        let header = |name: &str| IdentitySlot::Header(name.to_owned());
        match self {
            Self::CloudflareAccess => vec![
                header("cf-access-jwt-assertion"),
                header("cf-access-token"),
                IdentitySlot::Cookie("CF_Authorization".to_owned()),
            ],
            Self::VercelOidc => vec![header("x-vercel-oidc-token")],
            Self::Oidc | Self::Keyswap => Vec::new(),
        }
    }

    /// Reads the value that `iss` must have. A Cloudflare team's domain may be written as people know it. Another
    /// issuer's name is compared as it is written, since a trailing slash is part of it. It is a URL (OpenID Connect Core 1.0
    /// section 2) unless the policy says where its keys are: then any name will do, as in RFC 7519 section 4.1.1.
    pub(super) fn read_url(self, node: &Node<'_>, names_keys: bool) -> Option<String> {
        let text = node.text()?;
        if self != Self::CloudflareAccess {
            let is_name = self == Self::Oidc && names_keys && is_name(text);
            let message = match BaseUrl::parse(text) {
                _ if text.contains(['{', '}']) => {
                    "no token has this issuer: put the id of the tenant in place of `{…}`, or write `{tenant}` and list the `tenants`"
                }
                Err(message) if !is_name => message,
                _ => return Some(text.to_owned()),
            };
            node.fail(message);
            return None;
        }
        let domain = text.strip_suffix('/').unwrap_or(text);
        let domain = domain.strip_prefix("https://").unwrap_or(domain);
        let url = BaseUrl::parse(&format!("https://{domain}")).ok().filter(|_| !domain.contains('/'));
        let expected = "expected the domain of a team such as `https://acme.cloudflareaccess.com`";
        node.check(url, expected).map(|url| format!("https://{}", url.authority))
    }

    /// Reads the policy's claims, and adds those of the preset.
    pub(super) fn read_claims(
        self,
        issuer: &Node<'_>,
        node: Option<&Node<'_>>,
    ) -> Vec<(String, Vec<ClaimValue>)> {
        let mut claims = node.map(read_claims).unwrap_or_default();
        let names = |name: &str| claims.iter().any(|(other, _)| other == name);
        let text = |name: &str, value: &str| (name.to_owned(), vec![ClaimValue::Text(value.to_owned())]);
        match self {
            Self::Oidc | Self::Keyswap => {}
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

    /// Reads how an issuer of this origin names its subjects.
    pub(super) fn read_subjects(
        self,
        issuer: Option<&Origin>,
        service_tokens: Option<&Node<'_>>,
        email_claim: Option<&Node<'_>>,
        unverified_email: Option<&Node<'_>>,
    ) -> Subjects {
        let names = service_tokens.map(|node| read_texts(node, "`common_name` of a service token"));
        let takes_unmarked_email =
            unverified_email.and_then(|node| node.choice(&[("refuse", false), ("allow", true)]));
        if self != Self::Oidc {
            [email_claim, unverified_email]
                .into_iter()
                .flatten()
                .for_each(|node| node.fail("the preset knows which addresses are verified: remove it"));
        }
        if self == Self::CloudflareAccess {
            return Subjects::CloudflareAccess { service_tokens: names.unwrap_or_default() };
        }
        if let Some(node) = service_tokens {
            node.fail("only `cloudflare_access` has service tokens: remove it");
        }
        if self == Self::Keyswap {
            return Subjects::Registry;
        }
        let email = email_claim.and_then(read_claim_name).unwrap_or(EMAIL);
        let lacks_word = email != EMAIL && takes_unmarked_email != Some(true);
        if let Some(node) = email_claim.filter(|_| self == Self::Oidc && lacks_word) {
            node.fail(
                "`email_verified` is of `email` alone: if every address in this claim is verified some other way, add `unverified_email: allow`",
            );
        }
        let vouches = || issuer.is_some_and(vouches);
        let takes_unmarked_email = takes_unmarked_email.unwrap_or_else(vouches);
        Subjects::OpenId { email: email.to_owned(), takes_unmarked_email }
    }

    pub(super) fn read_principals(self, node: Option<&Node<'_>>) -> Option<Principals> {
        let Some(node) = node else {
            return Some(if self == Self::VercelOidc { Principals::Any } else { Principals::Known });
        };
        let principals = node.choice(&[("known", Principals::Known), ("any", Principals::Any)])?;
        if self == Self::VercelOidc && principals == Principals::Known {
            node.fail("people are known by their email, and a Vercel token has none: write `any`");
        }
        if self == Self::Keyswap && principals == Principals::Any {
            node.fail("a session is of a person that the registry knows: write `known`");
        }
        Some(principals)
    }
}

/// Returns whether an issuer vouches for every address in its tokens.
pub(super) fn vouches(issuer: &Origin) -> bool {
    matches!(issuer, Origin::Name(name) if VOUCHING_ISSUERS.contains(&name.as_str()))
}

/// Returns whether a text can be the name of an issuer.
fn is_name(text: &str) -> bool {
    (1..=1024).contains(&text.len()) && !text.chars().any(moves_text)
}

/// Returns whether a text names a claim, or is the JSON pointer of one within others (RFC 6901).
fn is_claim_name(name: &str) -> bool {
    let is_escape = |after: &str| after.starts_with(['0', '1']);
    !name.is_empty() && (!name.starts_with('/') || name.split('~').skip(1).all(is_escape))
}

pub(super) fn read_claim_name<'d>(node: &Node<'d>) -> Option<&'d str> {
    let name = node.text()?;
    node.check(Some(name).filter(|name| is_claim_name(name)), CLAIM_NAME_EXPECTED)
}

const CLAIM_NAME_EXPECTED: &str =
    "expected the name of a claim, or a JSON pointer such as `/realm_access/roles`";

fn read_claims(node: &Node<'_>) -> Vec<(String, Vec<ClaimValue>)> {
    let read = |(name, values): (&str, Node<'_>)| {
        if name.is_empty() || JUDGED_CLAIMS.contains(&name.strip_prefix('/').unwrap_or(name)) {
            values.fail("this claim is always judged, by fields of its own: remove it");
        } else if !is_claim_name(name) {
            values.fail(CLAIM_NAME_EXPECTED);
        }
        let allowed: Vec<ClaimValue> = values.items().iter().filter_map(read_value).collect();
        if allowed.is_empty() {
            values.fail("expected at least one value");
        }
        (name.to_owned(), allowed)
    };
    node.entries().into_iter().map(read).collect()
}

/// Reads the conditions of a rule, whose strings may be globs.
pub(super) fn read_conditions(node: &Node<'_>) -> Conditions {
    let glob = |value| match value {
        ClaimValue::Text(text) if text.contains('*') => ClaimValue::Glob(text),
        value => value,
    };
    let claims = read_claims(node).into_iter();
    claims.map(|(name, values)| (name, values.into_iter().map(glob).collect())).collect()
}

fn read_value(node: &Node<'_>) -> Option<ClaimValue> {
    let value = match node.value() {
        Value::String(text) => Some(ClaimValue::Text(text.clone())),
        Value::Bool(flag) => Some(ClaimValue::Flag(*flag)),
        _ => None,
    };
    node.check(value, "expected a string, `true` or `false`")
}
