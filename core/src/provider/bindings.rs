//! Bindings: the callers of a provider that have a credential of their own, by what their records say.
//!
//! A caller has at most one binding, the most specific: that of the token, the person, the owner, the team. Only what an
//! administrator wrote into a record, or an issuer vouches for, counts. Nothing of a request chooses.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use crate::identity::{CallerKind, CallerRecord};

/// The part of a record that a binding is by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum BindingKind {
    /// One proxy token: by its [`CallerRecord::id`], or by its SHA-256.
    Token,
    /// A person, by the address that an issuer vouches for.
    Person,
    /// The owner of tokens, and the person of the same address.
    Owner,
    /// The team of a token or a person.
    Team,
}

/// The callers that are bound, by kind, the most specific kind first. `T` is the name of the credential in a policy, and
/// its pool in an upstream.
#[derive(Clone, Debug)]
pub(crate) struct Bindings<T>(Vec<(BindingKind, BTreeMap<String, T>)>);

impl BindingKind {
    /// Every kind, the most specific first.
    pub(crate) const ALL: [Self; 4] = [Self::Token, Self::Person, Self::Owner, Self::Team];

    /// Returns the kind's member of `bindings` in a policy.
    pub(crate) const fn member(self) -> &'static str {
        match self {
            Self::Token => "tokens",
            Self::Person => "people",
            Self::Owner => "owners",
            Self::Team => "teams",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Person => "person",
            Self::Owner => "owner",
            Self::Team => "team",
        }
    }

    /// Returns the names under which a binding of this kind may have the record.
    fn names_of(self, record: &CallerRecord) -> [Option<Cow<'_, str>>; 2] {
        let is_person = record.kind == CallerKind::Person;
        // The owner of an introspected token is the word of another server, where callers may choose their names.
        let is_vouched_for = record.kind != CallerKind::Introspected;
        let owner = || record.owner.as_deref().map(in_lower_case);
        match self {
            Self::Token if is_person => [None, None],
            Self::Token => [Some(record.digest.to_hex().into()), Some(record.id().into())],
            Self::Person => [owner().filter(|_| is_person), None],
            Self::Owner => [owner().filter(|_| is_vouched_for), None],
            Self::Team => [record.team.as_deref().map(Cow::Borrowed), None],
        }
    }
}

impl fmt::Display for BindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl<T> Bindings<T> {
    /// Takes bindings by kind, in the order of [`BindingKind::ALL`].
    pub(crate) fn new(by_kind: impl IntoIterator<Item = (BindingKind, BTreeMap<String, T>)>) -> Self {
        Self(by_kind.into_iter().filter(|(_, bound)| !bound.is_empty()).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the binding of a caller, by which and with what; `None` where it has none.
    pub(crate) fn find(&self, record: &CallerRecord) -> Option<(BindingKind, &str, &T)> {
        self.0.iter().find_map(|(kind, bound)| {
            let mut names = kind.names_of(record).into_iter().flatten();
            let (name, value) = names.find_map(|name| bound.get_key_value(&*name))?;
            Some((*kind, name.as_str(), value))
        })
    }

    /// Returns every binding.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (BindingKind, &str, &T)> {
        self.0
            .iter()
            .flat_map(|(kind, bound)| bound.iter().map(move |(name, value)| (*kind, name.as_str(), value)))
    }

    /// Returns the same callers with other values.
    pub(crate) fn map<U>(&self, value: impl Fn(&T) -> U) -> Bindings<U> {
        let of_kind =
            |bound: &BTreeMap<String, T>| bound.iter().map(|(name, it)| (name.clone(), value(it))).collect();
        Bindings::new(self.0.iter().map(|(kind, bound)| (*kind, of_kind(bound))))
    }
}

impl<T> Default for Bindings<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// Puts ASCII in lower case, and nothing else: no letter of another script turns one address into another.
fn in_lower_case(address: &str) -> Cow<'_, str> {
    if address.bytes().any(|byte| byte.is_ascii_uppercase()) {
        address.to_ascii_lowercase().into()
    } else {
        address.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Digest;
    use crate::identity::{Models, Scope, TokenStatus};

    fn record(kind: CallerKind, owner: Option<&str>, team: Option<&str>) -> CallerRecord {
        CallerRecord {
            kind,
            digest: Digest::of(b"t"),
            holder: Digest::of(b"t"),
            label: "research".to_owned(),
            owner: owner.map(str::to_owned),
            team: team.map(str::to_owned),
            status: TokenStatus::Active,
            scope: Scope::default(),
            models: Models::all(),
            expires_at: None,
            rate_limit: None,
            ended_sessions: Vec::new(),
            certificate: None,
            budget: None,
        }
    }

    fn bindings(rows: &[(BindingKind, &str, &'static str)]) -> Bindings<&'static str> {
        let of_kind = |kind| {
            let rows = rows.iter().filter(|(of, ..)| *of == kind);
            (kind, rows.map(|(_, name, value)| ((*name).to_owned(), *value)).collect())
        };
        Bindings::new(BindingKind::ALL.map(of_kind))
    }

    #[test]
    fn a_caller_has_the_most_specific_binding_and_no_other() {
        use BindingKind::{Owner, Person, Team, Token};
        use CallerKind::{Introspected, Person as OfPerson, Token as OfToken};
        let id = Digest::of(b"t").to_hex()[..16].to_owned();
        let whole = Digest::of(b"t").to_hex();
        let other = format!("{id}{}", "0".repeat(48));
        let all = bindings(&[
            (Token, &id, "t"),
            (Person, "a@b", "p"),
            (Owner, "a@b", "o"),
            (Team, "research", "r"),
        ]);
        let by_address = bindings(&[(Owner, "a@b", "o"), (Team, "research", "r")]);
        for (bindings, record, expect) in [
            (&all, record(OfToken, Some("a@b"), Some("research")), Some("t")),
            (&all, record(OfPerson, Some("a@b"), Some("research")), Some("p")),
            (&all, record(OfPerson, None, Some("research")), Some("r")),
            (&all, record(OfPerson, None, None), None),
            (&by_address, record(OfToken, Some("A@B"), Some("research")), Some("o")),
            (&by_address, record(OfPerson, Some("a@b"), None), Some("o")),
            // A label is no team, and a team is compared whole and as it is written.
            (&by_address, record(OfToken, None, None), None),
            (&by_address, record(OfToken, None, Some("Research")), None),
            (&by_address, record(OfToken, None, Some("research2")), None),
            // The owner of an introspected token is another server's word.
            (&by_address, record(Introspected, Some("a@b"), None), None),
            (&all, record(Introspected, Some("a@b"), None), Some("t")),
            // Letters of other scripts are letters of another address.
            (&by_address, record(OfToken, Some("а@b"), None), None),
            (&bindings(&[(Owner, "k@b", "o")]), record(OfToken, Some("\u{212a}@b"), None), None),
            // A SHA-256 is compared whole.
            (&bindings(&[(Token, &whole, "t")]), record(OfToken, None, None), Some("t")),
            (&bindings(&[(Token, &other, "t")]), record(OfToken, None, None), None),
            (&bindings(&[(Token, &id, "t")]), record(OfPerson, None, None), None),
        ] {
            let found = bindings.find(&record).map(|(.., value)| *value);
            assert_eq!(found, expect, "{record:?}");
        }
    }
}
