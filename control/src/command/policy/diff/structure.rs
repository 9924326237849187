//! A comparison of two policy outlines, field by field, and its wording.
//!
//! A change is marked wider or narrower where the field alone shows it: a scope with one more provider is wider. A
//! change has no mark where its effect depends on other fields.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use keyswap_core::base::UnixTime;
use serde::Serialize;
use serde_json::{Map, Value};

use super::scope;
use crate::command::terminal::output::visible;

/// The sections in the order of the report. The members of the first [`NAMED`] sections have names from the policy.
const SECTIONS: [&str; 17] = [
    "tokens",
    "principals",
    "issuers",
    "client_certificates",
    "providers",
    "credentials",
    "prices",
    "gateway",
    "registry",
    "rate_limit",
    "metering",
    "budgets",
    "mode",
    "slots",
    "cors",
    "resource",
    "status",
];
const NAMED: usize = 7;

/// One difference between the policies.
#[derive(Serialize)]
pub(in crate::command::policy) struct Change {
    section: String,
    /// The entry of the section: a token's id, an issuer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The label of the entry, where it differs from the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// The field. `None` where the whole entry was added or removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<Effect>,
    before: Value,
    after: Value,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Added,
    Removed,
    Changed,
}

/// The effect of a change on the requests that callers may make.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Effect {
    Wider,
    Narrower,
}

/// The order of the values of a field.
#[derive(Clone, Copy)]
enum Scale {
    /// A list: one more element is wider.
    Set,
    /// A scope: one more class of endpoints is wider, and an absent scope is the widest.
    Scope,
    /// A time: later is wider, and an absent time is the widest.
    Until,
    /// A rate limit: more requests in any period are wider.
    Rate,
    /// Ranked values: the last is the widest.
    Ranks(&'static [&'static str]),
    /// A field without an order: its effect depends on other fields.
    None,
}

fn scale(section: &str, field: &str) -> Scale {
    match (section, field) {
        ("tokens" | "principals" | "issuers" | "client_certificates", "providers") => Scale::Scope,
        ("tokens" | "principals", "models")
        | ("client_certificates", "dns_names")
        | ("issuers", "audiences" | "tenants" | "algorithms" | "service_tokens" | "slots")
        | ("status", "allow")
        | ("cors", "allow_origins") => Scale::Set,
        ("tokens", "expires_at") => Scale::Until,
        ("tokens" | "principals" | "issuers" | "client_certificates", "rate_limit")
        | ("rate_limit", "limit") => Scale::Rate,
        ("tokens", "status") => Scale::Ranks(&["disabled", "active"]),
        ("issuers", "principals") => Scale::Ranks(&["known", "any"]),
        // A policy in shadow mode refuses nothing.
        ("mode", _) => Scale::Ranks(&["enforce", "shadow", "shadow, with its header"]),
        ("rate_limit", "failure_mode_allow") => Scale::Ranks(&["false", "true"]),
        _ => Scale::None,
    }
}

/// Returns the effect of adding an entry to the section, `None` if it depends on other fields.
fn effect_of_coming(section: &str) -> Option<Effect> {
    match section {
        "tokens" | "principals" | "issuers" | "client_certificates" | "registry" => Some(Effect::Wider),
        "rate_limit" => Some(Effect::Narrower),
        _ => None,
    }
}

/// Returns all changes, in the order of the sections.
pub(in crate::command::policy) fn compare(before: &Value, after: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    for (index, section) in SECTIONS.into_iter().enumerate() {
        let of = |outline: &Value| outline.get(section).cloned().unwrap_or_default();
        let (before, after) = (of(before), of(after));
        if index < NAMED {
            compare_named(section, members(&before), members(&after), &mut changes);
        } else {
            compare_entry(section, None, Some(&before), Some(&after), &mut changes);
        }
    }
    changes
}

fn compare_named(
    section: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    changes: &mut Vec<Change>,
) {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        compare_entry(section, Some(name), before.get(name), after.get(name), changes);
    }
}

fn compare_entry(
    section: &str,
    name: Option<&String>,
    before: Option<&Value>,
    after: Option<&Value>,
    changes: &mut Vec<Change>,
) {
    let (before, after) = (before.unwrap_or(&Value::Null), after.unwrap_or(&Value::Null));
    if before == after {
        return;
    }
    let label = [after, before].into_iter().find_map(|entry| entry.get("label")?.as_str());
    let label = label.filter(|label| name.is_none_or(|name| name != label)).map(str::to_owned);
    let change = |field: Option<&String>, kind, effect, before: &Value, after: &Value| Change {
        section: section.to_owned(),
        name: name.cloned(),
        label: label.clone(),
        field: field.cloned(),
        kind,
        effect,
        before: before.clone(),
        after: after.clone(),
    };
    let opposite = |effect| if effect == Effect::Wider { Effect::Narrower } else { Effect::Wider };
    match (before, after) {
        (Value::Null, after) => {
            changes.push(change(None, Kind::Added, effect_of_coming(section), &Value::Null, after));
        }
        (before, Value::Null) => {
            let effect = effect_of_coming(section).map(opposite);
            changes.push(change(None, Kind::Removed, effect, before, &Value::Null));
        }
        (Value::Object(old), Value::Object(new)) => {
            let fields: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for field in fields {
                let (before, after) =
                    (old.get(field).unwrap_or(&Value::Null), new.get(field).unwrap_or(&Value::Null));
                if before != after {
                    let effect = effect(scale(section, field), before, after);
                    changes.push(change(Some(field), Kind::Changed, effect, before, after));
                }
            }
        }
        (before, after) => {
            changes.push(change(
                None,
                Kind::Changed,
                effect(scale(section, ""), before, after),
                before,
                after,
            ));
        }
    }
}

fn effect(scale: Scale, before: &Value, after: &Value) -> Option<Effect> {
    let ordering = match scale {
        Scale::None => None,
        Scale::Set => compare_sets(before, after),
        Scale::Scope => match (before.is_null(), after.is_null()) {
            (true, false) => Some(Ordering::Less),
            (false, true) => Some(Ordering::Greater),
            _ => order(&scope::opened(before), &scope::opened(after)),
        },
        Scale::Until => {
            let until = |value: &Value| match value.as_str() {
                Some(text) => UnixTime::from_rfc3339(text),
                None => Some(UnixTime(i64::MAX)),
            };
            until(after).zip(until(before)).map(|(after, before)| after.cmp(&before))
        }
        Scale::Rate => compare_rates(before, after),
        Scale::Ranks(ranks) => {
            let rank = |value: &Value| {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                ranks.iter().position(|rank| *rank == text)
            };
            Some(rank(after).cmp(&rank(before)))
        }
    };
    match ordering? {
        Ordering::Greater => Some(Effect::Wider),
        Ordering::Less => Some(Effect::Narrower),
        Ordering::Equal => None,
    }
}

/// Compares two lists as sets: `Greater` if `after` is wider, `None` if each has an element that the other lacks.
fn compare_sets(before: &Value, after: &Value) -> Option<Ordering> {
    let is_all = |value: &Value| texts(value).contains("*");
    match (is_all(before), is_all(after)) {
        (true, false) => return Some(Ordering::Less),
        (false, true) => return Some(Ordering::Greater),
        _ => {}
    }
    order(&texts(before), &texts(after))
}

fn order<T: Ord>(before: &BTreeSet<T>, after: &BTreeSet<T>) -> Option<Ordering> {
    match (before.is_subset(after), after.is_subset(before)) {
        (true, true) => Some(Ordering::Equal),
        (true, false) => Some(Ordering::Greater),
        (false, true) => Some(Ordering::Less),
        (false, false) => None,
    }
}

/// Compares two rate limits: `Greater` if `after` lets more requests and more tokens pass in any period. Returns `None` if
/// the order depends on the period, if requests and tokens differ in their order, or if a limit is absent: the policy's own
/// limit then applies.
fn compare_rates(before: &Value, after: &Value) -> Option<Ordering> {
    let number = |value: &Value, name: &str| value.get(name).and_then(Value::as_u64);
    let per = |value: &Value| value.get("per")?.as_str()?.strip_suffix('s')?.parse::<u64>().ok();
    let (old_per, per) = (per(before)?, per(after)?);
    let compare = |name: &str| match (number(before, name), number(after, name)) {
        (None, None) => Some(Ordering::Equal),
        (Some(old), Some(new)) => both((new * old_per).cmp(&(old * per)), new.cmp(&old)),
        _ => None,
    };
    both(compare("requests")?, compare("tokens")?)
}

/// Returns the order on which two orders agree.
fn both(one: Ordering, other: Ordering) -> Option<Ordering> {
    match (one, other) {
        (Ordering::Equal, other) => Some(other),
        (one, Ordering::Equal) => Some(one),
        (one, other) => (one == other).then_some(one),
    }
}

/// Returns the changes as text, grouped by section.
pub(in crate::command::policy) fn in_words(changes: &[Change]) -> String {
    let mut text = String::new();
    let mut section = "";
    for change in changes {
        if change.section != section {
            section = &change.section;
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{section}");
        }
        let _ = writeln!(text, "  {}", visible(&change.words()));
    }
    text.trim_end().to_owned()
}

impl Change {
    fn words(&self) -> String {
        let mark = match self.kind {
            Kind::Added => "+",
            Kind::Removed => "-",
            Kind::Changed => "~",
        };
        let subject = match (&self.label, &self.name) {
            (Some(label), Some(name)) => format!("{label} ({name})"),
            (None, Some(name)) => name.clone(),
            _ => String::new(),
        };
        let what = match (&self.field, self.kind) {
            (Some(field), _) => match scale(&self.section, field) {
                Scale::Scope if !self.before.is_null() && !self.after.is_null() => {
                    format!("{field} {}", scope::difference(&self.before, &self.after))
                }
                _ => format!("{field} {}", difference(&self.before, &self.after)),
            },
            (None, Kind::Added) => summary(&self.after),
            (None, Kind::Removed) => summary(&self.before),
            (None, Kind::Changed) => difference(&self.before, &self.after),
        };
        let separator = if subject.is_empty() || what.is_empty() { "" } else { ": " };
        let effect = match self.effect.filter(|_| self.kind == Kind::Changed) {
            Some(Effect::Wider) => " (wider)",
            Some(Effect::Narrower) => " (narrower)",
            None => "",
        };
        format!("{mark} {subject}{separator}{what}{effect}")
    }
}

/// Returns a short text for an entry that was added or removed.
fn summary(entry: &Value) -> String {
    let of_scope = entry.get("providers").map(|providers| format!("for {}", show(providers)));
    let until = entry.get("expires_at").and_then(Value::as_str).map(|at| format!(" until {at}"));
    let disabled = entry.get("status").is_some_and(|status| status == "disabled").then_some(", disabled");
    match of_scope {
        Some(scope) => format!("{scope}{}{}", until.unwrap_or_default(), disabled.unwrap_or_default()),
        None => ["url", "limit", "issuer"]
            .iter()
            .find_map(|name| entry.get(name).map(show))
            .unwrap_or_else(|| show(entry)),
    }
}

/// Returns the text of a difference: added and removed elements for lists, both values otherwise.
fn difference(before: &Value, after: &Value) -> String {
    let is_plain = |value: &Value| value.as_array().is_some_and(|items| items.iter().all(Value::is_string));
    if is_plain(before) && is_plain(after) {
        let (old, new) = (texts(before), texts(after));
        let came = new.difference(&old).map(|item| format!("+ {item}"));
        let went = old.difference(&new).map(|item| format!("- {item}"));
        let words: Vec<String> = came.chain(went).collect();
        if !words.is_empty() {
            return words.join(", ");
        }
    }
    format!("{} → {}", show(before), show(after))
}

fn show(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(show).collect::<Vec<_>>().join(", "),
        Value::Object(members) => {
            let number = |name: &str| members.get(name).filter(|number| number.is_number());
            let limits =
                [number("requests").map(Value::to_string), number("tokens").map(|it| format!("{it} tokens"))];
            let limits = limits.into_iter().flatten().collect::<Vec<_>>().join(" and ");
            if let (false, Some(per)) = (limits.is_empty(), members.get("per")) {
                format!("{limits} per {}", show(per))
            } else {
                let shown = members.iter().filter(|(_, value)| !value.is_null());
                shown.map(|(name, value)| format!("{name} {}", show(value))).collect::<Vec<_>>().join(", ")
            }
        }
        other => other.to_string(),
    }
}

fn texts(value: &Value) -> BTreeSet<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn members(value: &Value) -> &Map<String, Value> {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    value.as_object().unwrap_or(&NONE)
}
