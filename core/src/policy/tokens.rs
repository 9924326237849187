//! Inline tokens in a policy: records by digest, for teams that need no registry.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::budgets::read_budget;
use super::models;
use super::rate_limit;
use super::reader::{Fields, Node};
use super::status::StatusPolicy;
use crate::base::{Digest, UnixTime};
use crate::identity::{
    CallerKind, CallerRecord, Classes, ModelGroups, Models, Scope, TokenStatus, person_digest, read_entry,
};
use crate::limit::Budget;
use crate::syntax::{is_email, is_line};

/// The form of an email address.
pub(super) const EMAIL_EXPECTED: &str = "expected an email address such as `alice@example.com`";

/// A function that returns the fault of a scope's entry, a provider and classes of its endpoints, if the entry has one.
pub(super) type WhyNot<'w> = dyn Fn(&str, Classes) -> Option<String> + 'w;

/// The budgets of tokens and people with one of their own, by principal.
type OwnBudgets = BTreeMap<Digest, Budget>;

/// Reads the list, and the budgets in it. `why_not` returns the fault of an entry in a scope, if it has one.
#[inline(never)]
pub(super) fn read(
    node: &Node<'_>,
    why_not: &WhyNot<'_>,
    groups: &ModelGroups,
    budgets: &mut OwnBudgets,
) -> Vec<Arc<CallerRecord>> {
    let mut records = Vec::new();
    let mut places: BTreeMap<Digest, usize> = BTreeMap::new();
    for (index, item) in node.items().into_iter().enumerate() {
        let Some(record) = read_token(&item, why_not, groups, budgets) else { continue };
        match places.entry(record.digest) {
            Entry::Occupied(first) => {
                item.fail(format!("the same `sha256` as `{}[{}]`", node.path(), first.get()));
            }
            Entry::Vacant(place) => _ = place.insert(index),
        }
        records.push(Arc::new(record));
    }
    records
}

/// Reads the people that the policy knows, by their address in lower case, and their budgets.
#[inline(never)]
pub(super) fn read_people(
    node: &Node<'_>,
    why_not: &WhyNot<'_>,
    groups: &ModelGroups,
    budgets: &mut OwnBudgets,
) -> BTreeMap<String, Arc<CallerRecord>> {
    let mut people = BTreeMap::new();
    for item in node.items() {
        let Some((email, record)) = read_person(&item, why_not, groups, budgets) else { continue };
        if people.insert(email, Arc::new(record)).is_some() {
            item.fail("this address stands twice in the list");
        }
    }
    people
}

fn read_person(
    node: &Node<'_>,
    why_not: &WhyNot<'_>,
    groups: &ModelGroups,
    budgets: &mut OwnBudgets,
) -> Option<(String, CallerRecord)> {
    let mut fields = node.fields()?;
    let email = fields.required("email").and_then(|node| read_email(&node));
    let label = fields.optional("label").map(|node| read_text(&node, 64));
    let team = fields.optional("team").map(|node| node.name());
    let scope = fields.required("providers").map(|node| read_scope(&node, why_not));
    let models = read_models(&mut fields, groups);
    let status = read_status(&mut fields);
    let rate_limit = fields.optional("rate_limit").map(|node| rate_limit::read_limit(&node));
    let budget = fields.optional("budget").map(|node| read_budget(&node));
    fields.finish();
    let email = email?.to_ascii_lowercase();
    let digest = person_digest(&email);
    if let Some(budget) = budget {
        budgets.insert(digest, budget?);
    }
    let record = CallerRecord {
        kind: CallerKind::Person,
        digest,
        holder: digest,
        label: label.unwrap_or_else(|| Some(email.clone()))?,
        owner: Some(email.clone()),
        team: team.map_or(Some(None), |team| team.map(Some))?,
        status: status?,
        scope: scope?,
        models,
        expires_at: None,
        rate_limit: rate_limit.map_or(Some(None), |limit| limit.map(Some))?,
        ended_sessions: Vec::new(),
        certificate: None,
        budget: None,
    };
    Some((email, record))
}

fn read_token(
    node: &Node<'_>,
    why_not: &WhyNot<'_>,
    groups: &ModelGroups,
    budgets: &mut OwnBudgets,
) -> Option<CallerRecord> {
    let mut fields = node.fields()?;
    let digest = fields.required("sha256").and_then(|node| read_digest(&node, "token"));
    let label = fields.required("label").and_then(|node| read_text(&node, 64));
    let owner = fields.optional("owner").map(|node| read_email(&node));
    let team = fields.optional("team").map(|node| node.name());
    let scope = fields.required("providers").map(|node| read_scope(&node, why_not));
    let models = read_models(&mut fields, groups);
    let status = read_status(&mut fields);
    let expires_at = fields.optional("expires_at").map(|node| {
        node.check(
            UnixTime::from_rfc3339(node.text()?),
            "expected a time with an offset such as `2027-06-30T00:00:00Z`",
        )
    });
    let rate_limit = fields.optional("rate_limit").map(|node| rate_limit::read_limit(&node));
    let budget = fields.optional("budget").map(|node| read_budget(&node));
    let certificate =
        fields.optional("certificate_sha256").map(|node| read_digest(&node, "certificate in DER"));
    fields.finish();
    let digest = digest?;
    if let Some(budget) = budget {
        budgets.insert(digest, budget?);
    }
    Some(CallerRecord {
        kind: CallerKind::Token,
        digest,
        holder: digest,
        label: label?,
        owner: owner.map_or(Some(None), |owner| owner.map(Some))?,
        team: team.map_or(Some(None), |team| team.map(Some))?,
        status: status?,
        scope: scope?,
        models,
        expires_at: expires_at.map_or(Some(None), |at| at.map(Some))?,
        rate_limit: rate_limit.map_or(Some(None), |limit| limit.map(Some))?,
        ended_sessions: Vec::new(),
        certificate: certificate.map_or(Some(None), |certificate| certificate.map(Some))?,
        budget: None,
    })
}

/// Reads the SHA-256 of a thing.
fn read_digest(node: &Node<'_>, of: &str) -> Option<Digest> {
    let expected = format!("expected 64 lower-case hexadecimal digits: the SHA-256 of the {of}");
    node.check(Digest::from_hex(node.text()?), &expected)
}

/// Reads the models of a token or a person; one that has no such list may use all.
fn read_models(fields: &mut Fields<'_>, groups: &ModelGroups) -> Models {
    fields.optional("models").map_or_else(Models::all, |node| models::read(&node, groups))
}

/// Reads the status of a token or a person; one that is left out is active.
fn read_status(fields: &mut Fields<'_>) -> Option<TokenStatus> {
    fields.optional("status").map_or(Some(TokenStatus::Active), |node| {
        node.choice(&[("active", TokenStatus::Active), ("disabled", TokenStatus::Disabled)])
    })
}

/// Reads one line of text, of at most `longest` characters.
pub(super) fn read_text(node: &Node<'_>, longest: usize) -> Option<String> {
    let text = node.text()?.trim();
    let fits = is_line(text, longest);
    node.check(fits.then(|| text.to_owned()), &format!("expected 1 to {longest} characters on one line"))
}

/// Reads an email address, as far as its form can be told without sending to it.
fn read_email(node: &Node<'_>) -> Option<String> {
    let text = node.text()?.trim();
    node.check(Some(text).filter(|text| is_email(text)), EMAIL_EXPECTED).map(str::to_owned)
}

/// Reads the list `providers`: what a caller may use.
pub(super) fn read_scope(node: &Node<'_>, why_not: &WhyNot<'_>) -> Scope {
    let items = node.items();
    if items.is_empty() {
        node.fail("expected at least one provider");
    }
    let mut scope = Scope::default();
    for item in &items {
        let Some(text) = item.text() else { continue };
        let (provider, classes) = match read_entry(text) {
            // The status has no classes of endpoints.
            Ok((StatusPolicy::SCOPE, _)) if text != StatusPolicy::SCOPE => {
                item.fail(format!("expected `{}` alone: it has no classes", StatusPolicy::SCOPE));
                continue;
            }
            Ok(entry) => entry,
            Err(error) => {
                item.fail(error.to_string());
                continue;
            }
        };
        if let Some(message) = why_not(provider, classes) {
            item.fail(message);
        } else if !scope.open(provider, classes) {
            item.fail("this provider stands twice in the list, or another entry opens it already");
        }
    }
    scope
}
