//! Models: those that a caller may use, as a record names them.
//!
//! An entry is a name, a glob in which `*` is any text, or `group:` and the name of a group that the policy declares. An
//! entry behind `!` takes models away, whatever the order. The case of letters does not count: no provider has two models
//! that differ by it alone, and some take either spelling.

use std::collections::BTreeMap;

use crate::syntax::glob;

/// The mark in front of a group's name.
pub const GROUP: &str = "group:";

/// The models that a caller may use: lists, each of which must allow a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Models(Vec<Vec<String>>);

/// The groups of models that a policy declares: names and globs, by the name of the group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelGroups(pub(crate) BTreeMap<String, Vec<String>>);

/// The spellings of one model: those by which it may be allowed, and all by which it may be denied.
pub(crate) struct Spellings<'m> {
    pub(crate) allowed: Vec<&'m str>,
    pub(crate) denied: Vec<&'m str>,
}

impl Models {
    /// Returns the models of a caller that is not restricted.
    pub fn all() -> Self {
        Self::new(vec!["*".to_owned()])
    }

    /// Takes the entries of a record.
    pub fn new(entries: Vec<String>) -> Self {
        Self(vec![entries])
    }

    /// Returns the models that both allow.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let lists = self.0.iter().chain(&other.0).filter(|entries| !are_all(entries));
        let lists: Vec<Vec<String>> = lists.cloned().collect();
        if lists.is_empty() { Self::all() } else { Self(lists) }
    }

    /// Returns the lists of entries. A record has one.
    pub fn lists(&self) -> &[Vec<String>] {
        &self.0
    }

    /// Returns whether every model is allowed, so that none has to be known.
    pub fn is_all(&self) -> bool {
        self.0.iter().all(|entries| are_all(entries))
    }

    /// Returns whether two rules have the same entries, in whatever order.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.is_in(other) && other.is_in(self)
    }

    /// Returns whether each list that leaves a model out is one of the other rule's, too.
    fn is_in(&self, other: &Self) -> bool {
        let has_all = |entries: &[String], some: &[String]| {
            some.iter().all(|entry| entries.iter().any(|own| own.eq_ignore_ascii_case(entry)))
        };
        let is_same = |one: &[String], other: &[String]| has_all(one, other) && has_all(other, one);
        self.0.iter().all(|list| are_all(list) || other.0.iter().any(|other| is_same(list, other)))
    }

    /// Returns whether a model is allowed: an entry has one of its spellings, and no entry takes it away. A group that
    /// the policy does not declare has no model, and takes every model away where it stands behind `!`.
    pub(crate) fn allow(&self, groups: &ModelGroups, model: &Spellings<'_>) -> bool {
        let is_denied = |entry: &String| {
            let denied = entry.strip_prefix('!');
            denied.is_some_and(|entry| groups.has(entry, &model.denied).unwrap_or(true))
        };
        let is_allowed = |entry: &String| groups.has(entry, &model.allowed) == Some(true);
        self.0.iter().all(|entries| entries.iter().any(is_allowed) && !entries.iter().any(is_denied))
    }
}

/// Returns whether a list allows every model.
fn are_all(entries: &[String]) -> bool {
    entries.iter().any(|entry| entry == "*") && !entries.iter().any(|entry| entry.starts_with('!'))
}

impl ModelGroups {
    /// Returns whether an entry has one of the spellings; `None` for a group that is not declared.
    fn has(&self, entry: &str, spellings: &[&str]) -> Option<bool> {
        let fits = |glob: &str| {
            spellings
                .iter()
                .any(|model| glob::fits(glob.as_bytes(), model.as_bytes(), u8::eq_ignore_ascii_case))
        };
        match entry.strip_prefix(GROUP) {
            Some(name) => self.0.get(name).map(|globs| globs.iter().any(|glob| fits(glob))),
            None => Some(fits(entry)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(entries: &[&str], model: &str) -> bool {
        let groups = [("cheap", &["*-mini", "claude-haiku-*"][..]), ("none", &[])];
        let groups =
            groups.map(|(name, globs)| (name.to_owned(), globs.iter().map(|it| (*it).to_owned()).collect()));
        let spellings = Spellings { allowed: vec![model], denied: vec![model] };
        let models = Models::new(entries.iter().map(|entry| (*entry).to_owned()).collect());
        models.allow(&ModelGroups(groups.into()), &spellings)
    }

    #[test]
    fn a_model_is_allowed_by_an_entry_and_by_no_entry_taken_away() {
        for (entries, model, is_allowed) in [
            (&["gpt-5"][..], "gpt-5", true),
            (&["gpt-5"], "GPT-5", true),
            (&["gpt-5"], "gpt-5-pro", false),
            (&["gpt-5"], "xgpt-5", false),
            (&["gpt-5*"], "gpt-5", true),
            (&["gpt-5*"], "gpt-5-pro", true),
            (&["*5*pro"], "gpt-5-mini-pro", true),
            (&["*5*pro"], "gpt-5-mini-pros", false),
            (&["a*b*c"], "abbbcxc", true),
            (&["a**c"], "ac", true),
            (&["gpt-?"], "gpt-5", false),
            (&["*"], "", true),
            (&[""], "gpt-5", false),
            (&[], "gpt-5", false),
            (&["*", "!gpt-5-pro"], "gpt-5-pro", false),
            (&["!GPT-5-*", "*"], "gpt-5-pro", false),
            (&["*", "!gpt-5-pro"], "gpt-5", true),
            (&["!gpt-5-pro"], "gpt-5", false),
            (&["group:cheap"], "gpt-5-mini", true),
            (&["group:cheap"], "gpt-5", false),
            (&["group:none"], "gpt-5", false),
            (&["group:other"], "gpt-5", false),
            (&["group:other"], "group:other", false),
            (&["*", "!group:cheap"], "claude-haiku-4-5", false),
            (&["*", "!group:none"], "gpt-5", true),
            (&["*", "!group:other"], "gpt-5", false),
            (&["*", "!"], "gpt-5", true),
        ] {
            assert_eq!(allowed(entries, model), is_allowed, "{entries:?} {model:?}");
        }
    }

    #[test]
    fn two_lists_allow_what_both_allow() {
        let models = |entries: &[&str]| Models::new(entries.iter().map(|it| (*it).to_owned()).collect());
        let both = models(&["gpt-*"]).and(&models(&["*-mini"]));
        let allows = |model| {
            both.allow(&ModelGroups::default(), &Spellings { allowed: vec![model], denied: vec![model] })
        };
        assert!(allows("gpt-5-mini") && !allows("gpt-5") && !allows("o4-mini"));
        assert_eq!(models(&["gpt-5"]).and(&Models::all()), models(&["gpt-5"]));
        assert!(Models::all().and(&Models::all()).is_all());
    }

    #[test]
    fn only_a_star_without_an_entry_behind_a_mark_is_all() {
        let is_all =
            |entries: &[&str]| Models::new(entries.iter().map(|it| (*it).to_owned()).collect()).is_all();
        assert!(is_all(&["*"]) && is_all(&["gpt-5", "*"]));
        assert!(!is_all(&["*", "!gpt-5"]) && !is_all(&["**"]) && !is_all(&[]) && !is_all(&["gpt-5"]));
    }
}
