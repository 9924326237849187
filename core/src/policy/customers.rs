//! The customers of an identity provider: a policy has to say which of them it means, where anyone can become one.

use super::presets::{Row, find, of_issuer};
use crate::identity::jwt::{ClaimValue, Issuer, IssuerRule, Principals};
use crate::syntax::glob;

/// Returns whether every token that counts is of a customer that the policy names.
pub(super) fn are_named(row: &Row, required: &[(String, Vec<ClaimValue>)], rights: &[IssuerRule]) -> bool {
    let names_one = |(name, values): &(String, Vec<ClaimValue>)| {
        let forms = row.customers.iter().filter(|(claim, _)| claim == name);
        forms.into_iter().any(|(_, form)| values.iter().all(|value| is_of_one(value, form)))
    };
    required.iter().any(names_one) || rights.iter().all(|rule| rule.when.iter().any(names_one))
}

/// Returns whether a value is of one customer: a whole one, or a glob that has the customer before its first star. A customer may
/// choose the form of its subjects, so that a whole value has the form, too.
fn is_of_one(value: &ClaimValue, form: &str) -> bool {
    let has_form = |text: &str| glob::fits(form.as_bytes(), text.as_bytes(), u8::eq);
    match value {
        ClaimValue::Text(text) => form.is_empty() || has_form(text) || has_form(&format!("{text}/")),
        ClaimValue::Glob(text) => !form.is_empty() && has_form(text.split('*').next().unwrap_or_default()),
        ClaimValue::Flag(_) => false,
    }
}

/// Returns the claims that would name the customers, where the policy lets in all subjects and names none. An entry of any preset
/// is meant, if its issuer is a provider's.
pub(super) fn unnamed(issuer: &Issuer) -> Option<String> {
    let row = find(issuer.preset()).or_else(|| of_issuer(issuer.url()))?;
    let is_open = issuer.principals() == Principals::Any && !row.customers.is_empty();
    (is_open && !are_named(row, issuer.required_claims(), issuer.rights())).then(|| claims(row))
}

/// Returns the claims that tell the customers apart.
pub(super) fn claims(row: &Row) -> String {
    let names: Vec<String> = row.customers.iter().map(|(claim, _)| format!("`{claim}`")).collect();
    names.join(", ")
}

/// Returns the first audience of tokens that are made for another service, unless the policy names the client that may ask for them.
pub(super) fn audience_of_others(issuer: &Issuer) -> Option<&str> {
    let row = find(issuer.preset())?;
    let names_client = issuer.required_claims().iter().any(|(name, _)| name == "azp");
    let is_of_others = |audience: &&String| {
        let fits = |form: &&str| {
            let form = form.replace("{issuer}", issuer.url());
            glob::fits(form.as_bytes(), audience.as_bytes(), u8::eq)
        };
        row.others.iter().any(fits)
    };
    issuer.audiences().iter().find(is_of_others).filter(|_| !names_client).map(String::as_str)
}
