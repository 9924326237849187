//! Roles in the administration of a registry.

use std::collections::BTreeSet;
use std::fmt;

use keyswap_core::syntax::is_email;
use serde::{Deserialize, Serialize};

use super::draft::check_team;
use super::error::RegistryError;
use super::reach::Reach;

/// The most teams of one owner.
const MAX_TEAMS: usize = 64;

/// The name of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoleName {
    /// Everything
    Admin,
    /// Reads everything, changes nothing
    Auditor,
    /// The tokens, users and budgets of teams
    TeamOwner,
    /// A person's own tokens
    SelfService,
}

impl RoleName {
    /// All names.
    pub const ALL: [Self; 4] = [Self::Admin, Self::Auditor, Self::TeamOwner, Self::SelfService];

    /// Returns `admin`, `auditor`, `team_owner` or `self_service`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Auditor => "auditor",
            Self::TeamOwner => "team_owner",
            Self::SelfService => "self_service",
        }
    }

    /// Returns the role with this name, `None` for other texts.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// A role, with the part of the registry that it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum AdminRole {
    /// Everything.
    Admin,
    /// Reads everything, changes nothing.
    Auditor,
    /// The tokens, users and budgets of these teams.
    TeamOwner(BTreeSet<String>),
    /// The own tokens of a person, by the email address in lower case.
    SelfService(String),
}

/// A role, with its teams or its person.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = AdminRole)]
pub(crate) struct Written {
    /// The name of the role
    role: RoleName,
    /// The teams of a `team_owner`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    teams: Vec<String>,
    /// The person of `self_service`, by email address
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
}

impl TryFrom<Written> for AdminRole {
    type Error = RegistryError;

    fn try_from(Written { role, teams, email }: Written) -> Result<Self, RegistryError> {
        Self::new(role, &teams, email.as_deref())
    }
}

impl From<AdminRole> for Written {
    fn from(role: AdminRole) -> Self {
        let name = role.name();
        match role {
            AdminRole::Admin | AdminRole::Auditor => Self { role: name, teams: Vec::new(), email: None },
            AdminRole::TeamOwner(teams) => {
                Self { role: name, teams: teams.into_iter().collect(), email: None }
            }
            AdminRole::SelfService(email) => Self { role: name, teams: Vec::new(), email: Some(email) },
        }
    }
}

impl AdminRole {
    /// Returns a role. An owner has 1 to 64 teams, self-service an email address, which becomes lower case; other roles
    /// have neither.
    pub fn new(name: RoleName, teams: &[String], email: Option<&str>) -> Result<Self, RegistryError> {
        let invalid = |field, expected: &str| RegistryError::Invalid { field, expected: expected.to_owned() };
        if name != RoleName::TeamOwner && !teams.is_empty() {
            return Err(invalid("teams", "only the role `team_owner` has teams"));
        }
        if name != RoleName::SelfService && email.is_some() {
            return Err(invalid("email", "only the role `self_service` has an email address"));
        }
        match name {
            RoleName::Admin => Ok(Self::Admin),
            RoleName::Auditor => Ok(Self::Auditor),
            RoleName::TeamOwner => {
                let no_teams = || invalid("teams", "the role `team_owner` needs 1 to 64 names of teams");
                let read = |team: &String| check_team(Some(team))?.ok_or_else(no_teams);
                let teams = teams.iter().map(read).collect::<Result<BTreeSet<_>, _>>()?;
                if !(1..=MAX_TEAMS).contains(&teams.len()) {
                    return Err(no_teams());
                }
                Ok(Self::TeamOwner(teams))
            }
            RoleName::SelfService => {
                let email = email.map(|email| email.trim().to_ascii_lowercase());
                // Of other letters two may have the same lower case.
                let email = email.filter(|email| email.is_ascii() && is_email(email));
                let expected = "the role `self_service` needs an email address of ASCII characters";
                email.map(Self::SelfService).ok_or_else(|| invalid("email", expected))
            }
        }
    }

    /// Returns the name of the role.
    pub fn name(&self) -> RoleName {
        match self {
            Self::Admin => RoleName::Admin,
            Self::Auditor => RoleName::Auditor,
            Self::TeamOwner(_) => RoleName::TeamOwner,
            Self::SelfService(_) => RoleName::SelfService,
        }
    }

    /// Returns the part of the registry that the role is for.
    pub fn reach(&self) -> Reach {
        match self {
            Self::Admin | Self::Auditor => Reach::All,
            Self::TeamOwner(teams) => Reach::Teams(teams.clone()),
            Self::SelfService(email) => Reach::Person(email.clone()),
        }
    }

    pub(in crate::registry) fn to_json(&self) -> Result<String, RegistryError> {
        serde_json::to_string(self).map_err(|_| RegistryError::Corrupt("role"))
    }

    pub(in crate::registry) fn from_json(text: &str) -> Result<Self, RegistryError> {
        serde_json::from_str(text).map_err(|_| RegistryError::Corrupt("role"))
    }
}

impl fmt::Display for AdminRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admin => f.write_str("admin"),
            Self::Auditor => f.write_str("auditor"),
            Self::TeamOwner(teams) => {
                write!(f, "team owner of {}", teams.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
            }
            Self::SelfService(email) => write!(f, "self-service of {email}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_read_as_it_is_written_and_nothing_else_is_one() {
        for (text, name) in [
            (r#"{"role":"admin"}"#, "admin"),
            (r#"{"role":"auditor"}"#, "auditor"),
            (r#"{"role":"team_owner","teams":["blue","red"]}"#, "team_owner"),
            (r#"{"role":"self_service","email":"alice@acme.example"}"#, "self_service"),
        ] {
            let role = AdminRole::from_json(text).unwrap();
            assert_eq!((role.name().name(), role.to_json().unwrap().as_str()), (name, text));
        }
        for text in [
            "{}",
            r#"{"role":"root"}"#,
            r#"{"role":"team_owner"}"#,
            r#"{"role":"team_owner","teams":[]}"#,
            r#"{"role":"team_owner","teams":["a b"]}"#,
            r#"{"role":"team_owner","teams":[""]}"#,
            r#"{"role":"self_service","email":"alice"}"#,
            r#"{"role":"self_service","email":"\u212aelvin@acme.example"}"#,
            r#"{"role":"admin","teams":["red"]}"#,
        ] {
            assert!(AdminRole::from_json(text).is_err(), "{text}");
        }
    }
}
