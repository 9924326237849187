//! The lists of models of a LiteLLM proxy's keys, teams, members and users: the names that each permits.

use super::deployment::kind_of;
use crate::command::policy::import::list::matches;

/// Names by which a list of models is every model of the proxy, and every other name that a provider may know.
const ANYTHING: [&str; 2] = ["all-proxy-models", "*"];
/// The word in a key's list for the models of its team, and in a team's list for every model of the proxy.
pub(super) const OF_TEAM: &str = "all-team-models";
/// The word in a list of models for none.
pub(super) const NOTHING: &str = "no-default-models";

/// The names that a list permits. A model must be on the lists of a key, of its team and of its membership there.
pub(super) struct List<'l> {
    /// Set where any name is permitted, also one that the proxy does not know.
    pub(super) is_open: bool,
    /// Set where every model of the proxy is permitted.
    is_all: bool,
    /// Set where the aliases of the team are permitted beside the names.
    pub(super) has_team_aliases: bool,
    names: Vec<&'l str>,
}

/// A pattern that has names in common with another, and neither has all of the other's.
pub(super) struct Overlap;

impl<'l> List<'l> {
    /// Returns the list of a key, a team, a member or a user. A key's [`OF_TEAM`] is told by `is_of_team`.
    pub(super) fn new(names: &[&'l str], has_team_aliases: bool, is_of_team: bool) -> Self {
        let is_open = names.is_empty() || is_of_team || names.iter().any(|name| ANYTHING.contains(name));
        let is_all = is_open || (has_team_aliases && names.contains(&OF_TEAM));
        Self { is_open, is_all, has_team_aliases, names: names.to_vec() }
    }

    /// Returns whether the list permits a name that is in these access groups.
    pub(super) fn permits(&self, name: &str, groups: &[String]) -> bool {
        self.is_all
            || self.names.iter().any(|entry| {
                *entry == name || groups.iter().any(|group| group == entry) || is_meant(entry, name)
            })
    }

    /// Returns the parts of a pattern of the proxy that the list permits. The pattern is in these access groups.
    pub(super) fn within(&self, parts: Vec<String>, groups: &[String]) -> Result<Vec<String>, Overlap> {
        if self.is_all || self.names.iter().any(|entry| groups.iter().any(|group| group == entry)) {
            return Ok(parts);
        }
        let mut permitted = Vec::new();
        for part in parts {
            for entry in &self.names {
                if matches(entry, &part) {
                    permitted.push(part.clone());
                } else if matches(&part, entry) {
                    permitted.push((*entry).to_owned());
                } else if have_common(&part, entry) {
                    return Err(Overlap);
                }
            }
        }
        permitted.sort();
        permitted.dedup();
        Ok(permitted)
    }
}

/// Returns whether a pattern means a name, by itself or with the name of its provider in front.
fn is_meant(pattern: &str, name: &str) -> bool {
    let with_provider = || {
        let kind = kind_of(name).filter(|_| !name.contains('/'))?;
        Some(matches(pattern, &format!("{kind}/{name}")))
    };
    pattern.contains('*') && (matches(pattern, name) || with_provider().unwrap_or(false))
}

/// Returns whether a name may exist that both patterns match. It compares their texts before the first `*` and behind the
/// last one.
pub(super) fn have_common(one: &str, other: &str) -> bool {
    if !one.contains('*') || !other.contains('*') {
        return matches(one, other) || matches(other, one);
    }
    let before = |pattern: &str| pattern.split('*').next().unwrap_or_default().to_owned();
    let behind = |pattern: &str| pattern.rsplit('*').next().unwrap_or_default().to_owned();
    let (a, b) = (before(one), before(other));
    let (c, d) = (behind(one), behind(other));
    (a.starts_with(&b) || b.starts_with(&a)) && (c.ends_with(&d) || d.ends_with(&c))
}
