//! Issuers in a policy, whose JWTs are accepted as identities.
//!
//! A preset knows where an identity provider puts its token and its keys, and which claims its tokens must have. The
//! policy says which tenant and which audience. Most presets are data: an entry is read with their fields in place.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::customers;
use super::issuer_rules::{self, Rights};
use super::keys;
use super::origins::Named;
use super::preset::{Preset, read_claim_name};
use super::presets::{self, GENERIC, Row};
use super::reader::{Node, is_header_name, read_texts};
use super::tokens::WhyNot;
use crate::identity::ModelGroups;
use crate::identity::jwt::{
    AUDIENCE, Algorithm, ClaimRules, ClaimValue, Issuer, IssuerRule, MAX_TOKEN_BYTES, Principals,
};
use crate::policy::duration::duration_within;
use crate::request::{IdentitySlot, Slot};

const CLOCK_SKEW: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_mins(5);
const DEFAULT_CLOCK_SKEW: Duration = Duration::from_mins(1);

/// Reads the list. `why_not` returns the fault of an entry in a scope, if it has one.
#[inline(never)]
pub(super) fn read(node: &Node<'_>, why_not: &WhyNot<'_>, groups: &ModelGroups) -> Vec<Issuer> {
    let mut issuers: Vec<Issuer> = Vec::new();
    for item in node.items() {
        let expanded = presets::expand(item.value());
        let entry = expanded.as_ref().map_or_else(|| item.clone(), |value| item.with(value));
        let Some(issuer) = read_issuer(&entry, why_not, groups) else { continue };
        if issuers.iter().any(|other| other.name == issuer.name) {
            item.fail(format!("another issuer is named `{}`, too", issuer.name));
        }
        issuers.push(issuer);
    }
    issuers
}

fn read_issuer(node: &Node<'_>, why_not: &WhyNot<'_>, groups: &ModelGroups) -> Option<Issuer> {
    let mut fields = node.fields()?;
    let name = fields.required("name").and_then(|node| node.name());
    let preset = fields.required("preset").and_then(|node| node.choice(&preset_names()));
    let row = preset.and_then(|(_, name)| presets::find(name));
    let named = Named::read(&mut fields, row);
    let audiences = fields.required("audiences").map(|node| read_texts(&node, "audience"));
    let audience_claim =
        fields.optional("audience_claim").map_or(Some(AUDIENCE), |node| read_claim_name(&node));
    let algorithms = fields.optional("algorithms").map(|node| read_algorithms(&node));
    let clock_skew = fields.optional("clock_skew").map_or(Some(DEFAULT_CLOCK_SKEW), |node| read_skew(&node));
    let claims = fields.optional("claims");
    let service_tokens = fields.optional("service_tokens");
    let email_claim = fields.optional("email_claim");
    let unverified_email = fields.optional("unverified_email");
    let principals = fields.optional("principals");
    let slots = fields.optional("slots").map(|node| read_slots(&node));
    let rights = Rights::read(&mut fields, why_not, groups);
    let rules = fields.optional("rules");
    let longest = fields.optional("max_token_bytes").map(|node| read_longest(&node));
    let jwks = fields.optional("jwks");
    fields.finish();

    let rights = rights.for_all().map(|rights| match &rules {
        Some(node) => issuer_rules::read(node, &rights, why_not, groups),
        None => vec![rights],
    });
    // The meaning of the other fields depends on the preset.
    let (preset, preset_name) = preset?;
    let names_keys = jwks.as_ref().is_some_and(keys::names_keys);
    let origin = named.origin(preset, row, names_keys);
    let required = preset.read_claims(node, claims.as_ref());
    let subjects = preset.read_subjects(
        origin.as_ref(),
        service_tokens.as_ref(),
        email_claim.as_ref(),
        unverified_email.as_ref(),
    );
    let principals = preset.read_principals(principals.as_ref());
    let keys = keys::read(jwks.as_ref(), preset, named.issuer.as_ref(), origin.as_ref());
    let row = row.filter(|row| row.is_public && principals == Some(Principals::Any));
    check_customers(node, row, &required, rights.as_deref());
    Some(Issuer {
        name: name?,
        preset: preset_name,
        rules: ClaimRules {
            origin: origin?,
            audiences: audiences?,
            audience_claim: audience_claim?.to_owned(),
            required,
            clock_skew: clock_skew?,
        },
        algorithms: algorithms.unwrap_or_else(|| preset.algorithms()),
        longest: longest.map_or(Some(MAX_TOKEN_BYTES), |longest| longest)?,
        names_keys: preset != Preset::Oidc,
        subjects,
        keys: keys?,
        slots: slots.unwrap_or_else(|| preset.slots()),
        principals: principals?,
        rights: rights?,
    })
}

/// Returns the names of all presets. A preset of fields only has the meaning of the generic one.
fn preset_names() -> Vec<(&'static str, (Preset, &'static str))> {
    let own = [
        ("cloudflare_access", Preset::CloudflareAccess),
        ("vercel_oidc", Preset::VercelOidc),
        (GENERIC, Preset::Oidc),
        ("keyswap", Preset::Keyswap),
    ];
    let of_fields = presets::presets().map(|name| (name, Preset::Oidc));
    own.into_iter().chain(of_fields).map(|(name, preset)| (name, (preset, name))).collect()
}

/// Checks that the policy says which customers of a public provider are meant.
fn check_customers(
    node: &Node<'_>,
    row: Option<&Row>,
    required: &[(String, Vec<ClaimValue>)],
    rights: Option<&[IssuerRule]>,
) {
    let (Some(row), Some(rights)) = (row, rights) else { return };
    if !customers::are_named(row, required, rights) {
        let claims = customers::claims(row);
        node.fail(format!(
            "anyone can have a token of this issuer: name those who may call by one of {claims}, in `claims` or in each rule"
        ));
    }
}

fn read_skew(node: &Node<'_>) -> Option<Duration> {
    duration_within(node, CLOCK_SKEW, "expected a duration from `0s` to `5m`")
}

fn read_algorithms(node: &Node<'_>) -> Vec<Algorithm> {
    let names: Vec<_> = Algorithm::names().collect();
    let algorithms: Vec<Algorithm> = node.items().iter().filter_map(|item| item.choice(&names)).collect();
    if algorithms.is_empty() {
        node.fail("expected at least one algorithm");
    }
    algorithms
}

/// The longest tokens that an issuer may be allowed, in bytes. Envoy takes 60 KiB of headers in all.
const TOKEN_BYTES: RangeInclusive<u64> = 1024..=16 * 1024;

fn read_longest(node: &Node<'_>) -> Option<usize> {
    let bytes = node.number()?;
    node.check(
        Some(bytes).filter(|bytes| TOKEN_BYTES.contains(bytes)),
        "expected a number of bytes from 1024 to 16384",
    )
    .and_then(|bytes| usize::try_from(bytes).ok())
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
    // Headers of Cloudflare Access carry the JWTs of an identity provider.
    is_header_name(name.strip_prefix("cf-access-").unwrap_or(name))
        && !Slot::ALL.iter().any(|slot| slot.name() == name)
}

fn is_cookie(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// Returns the headers in which the issuers' tokens stand, each once.
pub(super) fn identity_headers(issuers: &[Issuer]) -> impl Iterator<Item = &str> {
    let headers: BTreeSet<&str> = issuers.iter().flat_map(Issuer::slots).map(IdentitySlot::header).collect();
    headers.into_iter()
}
