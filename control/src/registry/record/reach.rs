//! The part of the registry that an actor sees and changes.

use std::collections::BTreeSet;

/// The separator of teams in a parameter of a statement. No name has a control character.
const SEPARATOR: char = '\n';

/// A part of the registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// All of it.
    #[default]
    All,
    /// The things of these teams.
    Teams(BTreeSet<String>),
    /// The things that a person owns, by the email address in lower case.
    Person(String),
}

impl Reach {
    /// Returns true if a thing of this owner and this team is in the part.
    pub fn has(&self, owner: Option<&str>, team: Option<&str>) -> bool {
        match self {
            Self::All => true,
            Self::Teams(teams) => team.is_some_and(|team| teams.contains(team)),
            Self::Person(email) => owner.is_some_and(|owner| owner.eq_ignore_ascii_case(email)),
        }
    }

    /// Returns the teams as a parameter of [`payer_within`](crate::registry::store::reach::payer_within): each between separators, an empty
    /// text for any.
    pub(in crate::registry) fn teams(&self) -> String {
        let Self::Teams(teams) = self else { return String::new() };
        teams.iter().fold(SEPARATOR.to_string(), |text, team| text + team + "\n")
    }

    /// Returns the owner as a parameter of a statement, an empty text for any.
    pub(in crate::registry) fn owner(&self) -> &str {
        if let Self::Person(email) = self { email } else { "" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_without_teams_is_nothing_and_not_all() {
        let none = Reach::Teams(BTreeSet::new());
        assert!(!none.has(Some("a@b"), Some("red")) && !none.has(None, None));
        assert_eq!(none.teams(), "\n");
        assert_eq!(Reach::All.teams(), "");
        let both = Reach::Teams(["red".to_owned(), "blue".to_owned()].into());
        assert_eq!(both.teams(), "\nblue\nred\n");
        assert!(both.has(None, Some("red")) && !both.has(Some("red"), Some("Red")) && !both.has(None, None));
    }

    #[test]
    fn an_address_has_no_case() {
        let person = Reach::Person("alice@acme.example".to_owned());
        assert!(person.has(Some("Alice@Acme.example"), None));
        assert!(!person.has(None, Some("alice@acme.example")) && !person.has(Some("bob@acme.example"), None));
    }
}
