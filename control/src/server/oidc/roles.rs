//! The rules that give roles to the people of a provider.
//!
//! The first rule that fits gives the role. Further rules for team owners that fit add their teams. A person that no rule fits has no
//! role. A rule for everyone gives self-service and no more.

use std::collections::BTreeSet;

use anyhow::{Context as _, anyhow, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::registry::{AdminRole, RoleName};
use crate::text::yaml;

/// The most rules of a document.
const MAX_RULES: usize = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    roles: Vec<Rule>,
}

/// A rule: its condition, and the role that it gives.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// A claim by its name, or by its JSON pointer (RFC 6901), which begins with a slash.
    claim: Option<String>,
    /// The text that the claim is, or that its list has.
    value: Option<String>,
    /// A verified email address.
    email: Option<String>,
    role: RoleName,
    #[serde(default)]
    teams: Vec<String>,
}

/// The rules, in their order.
#[derive(Clone, Debug)]
pub(super) struct Roles(Vec<Rule>);

impl Roles {
    /// Reads a document in YAML or JSON.
    pub(super) fn read(document: &[u8]) -> anyhow::Result<Self> {
        let value = yaml::parse(document).map_err(|error| anyhow!("{error}"))?;
        let Document { roles } = serde_path_to_error::deserialize(value)
            .map_err(|error| anyhow!("`{}` is invalid: {}", error.path(), error.inner()))?;
        ensure!(!roles.is_empty() && roles.len() <= MAX_RULES, "`roles` needs 1 to {MAX_RULES} rules");
        for (place, rule) in roles.iter().enumerate() {
            rule.check().with_context(|| format!("`roles[{place}]` is invalid"))?;
        }
        Ok(Self(roles))
    }

    /// Returns the role of a person with these claims, `None` if no rule fits. `email` is the address that the provider has verified.
    pub(super) fn of(&self, claims: &Value, email: Option<&str>) -> Option<AdminRole> {
        let mut fitting = self.0.iter().filter(|rule| rule.fits(claims, email));
        let first = fitting.next()?;
        match first.role {
            RoleName::Admin => Some(AdminRole::Admin),
            RoleName::Auditor => Some(AdminRole::Auditor),
            RoleName::SelfService => AdminRole::new(RoleName::SelfService, &[], email).ok(),
            RoleName::TeamOwner => {
                let others = fitting.filter(|rule| rule.role == RoleName::TeamOwner);
                let teams: BTreeSet<&String> =
                    std::iter::once(first).chain(others).flat_map(|rule| &rule.teams).collect();
                let teams: Vec<String> = teams.into_iter().cloned().collect();
                AdminRole::new(RoleName::TeamOwner, &teams, None).ok()
            }
        }
    }
}

impl Rule {
    fn check(&self) -> anyhow::Result<()> {
        ensure!(self.claim.is_some() == self.value.is_some(), "`claim` and `value` belong together");
        ensure!(self.claim.is_none() || self.email.is_none(), "`claim` and `email` exclude each other");
        let is_for_everyone = self.claim.is_none() && self.email.is_none();
        ensure!(
            !is_for_everyone || self.role == RoleName::SelfService,
            "a rule for everyone gives `self_service` only: name a `claim` and its `value`, or an `email`"
        );
        let is_word = |text: &Option<String>| text.as_ref().is_none_or(|text| !text.trim().is_empty());
        ensure!(is_word(&self.claim) && is_word(&self.value), "a condition is empty");
        ensure!(
            self.email.as_ref().is_none_or(|email| email.is_ascii() && email.contains('@')),
            "`email` is no address"
        );
        // The address of a person comes with the person.
        let email = (self.role == RoleName::SelfService).then_some("a@b");
        AdminRole::new(self.role, &self.teams, email)?;
        Ok(())
    }

    fn fits(&self, claims: &Value, email: Option<&str>) -> bool {
        // Self-service is for a person with an address.
        let has_address = self.role != RoleName::SelfService || email.is_some();
        let has_claim = match (&self.claim, &self.value) {
            (Some(claim), Some(value)) => find(claims, claim).is_some_and(|found| says(found, value)),
            _ => true,
        };
        let is_person =
            self.email.as_ref().is_none_or(|own| email.is_some_and(|email| email.eq_ignore_ascii_case(own)));
        has_address && has_claim && is_person
    }
}

fn find<'c>(claims: &'c Value, claim: &str) -> Option<&'c Value> {
    if claim.starts_with('/') { claims.pointer(claim) } else { claims.get(claim) }
}

fn says(found: &Value, value: &str) -> bool {
    match found {
        Value::String(text) => text == value,
        Value::Array(items) => items.iter().any(|item| item == value),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const RULES: &str = "
roles:
  - {claim: groups, value: keyswap-admins, role: admin}
  - {email: carol@acme.example, role: admin}
  - {claim: /realm_access/roles, value: audit, role: auditor}
  - {claim: groups, value: red-leads, role: team_owner, teams: [red]}
  - {claim: groups, value: blue-leads, role: team_owner, teams: [blue, green]}
  - {role: self_service}
";

    #[test]
    fn the_first_rule_that_fits_gives_the_role_and_teams_add_up() {
        let roles = Roles::read(RULES.as_bytes()).unwrap();
        let alice = Some("alice@acme.example");
        for (claims, email, expect) in [
            (json!({"groups": ["x", "keyswap-admins"]}), None, Some("admin")),
            (json!({"groups": "keyswap-admins"}), None, Some("admin")),
            (json!({"groups": ["keyswap-admins-2"]}), alice, Some("self-service of alice@acme.example")),
            (json!({"groups": {"keyswap-admins": true}}), None, None),
            (json!({}), Some("Carol@acme.example"), Some("admin")),
            // An address that is not verified is none.
            (json!({"email": "carol@acme.example"}), None, None),
            (json!({"realm_access": {"roles": ["audit"]}, "groups": ["red-leads"]}), alice, Some("auditor")),
            (json!({"groups": ["red-leads"]}), alice, Some("team owner of red")),
            (json!({"groups": ["blue-leads", "red-leads"]}), None, Some("team owner of blue, green, red")),
        ] {
            let found = roles.of(&claims, email).map(|role| role.to_string());
            assert_eq!(found.as_deref(), expect, "{claims}");
        }
    }

    #[test]
    fn the_example_of_the_book_is_one() {
        let book = include_str!("../../../../docs/operate/sign-in.md");
        let example = book.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
        let roles = Roles::read(example.as_bytes()).unwrap();
        let lead = json!({"realm_access": {"roles": ["red-leads"]}});
        assert_eq!(roles.of(&lead, None).unwrap().to_string(), "team owner of red");
    }

    #[test]
    fn a_document_that_could_give_too_much_is_refused() {
        for (rule, words) in [
            ("{role: admin}", "a rule for everyone"),
            ("{role: auditor}", "a rule for everyone"),
            ("{claim: groups, role: admin}", "belong together"),
            ("{value: a, role: admin}", "belong together"),
            ("{claim: groups, value: a, email: a@b, role: admin}", "exclude each other"),
            ("{claim: groups, value: '', role: admin}", "a condition is empty"),
            ("{email: alice, role: admin}", "no address"),
            ("{claim: groups, value: a, role: team_owner}", "needs 1 to 64"),
            ("{claim: groups, value: a, role: admin, teams: [red]}", "only the role"),
            ("{claim: groups, value: a, role: root}", "unknown variant"),
            ("{claim: groups, is: a, role: admin}", "unknown field"),
        ] {
            let error = Roles::read(format!("roles: [{rule}]").as_bytes()).unwrap_err();
            assert!(format!("{error:#}").contains(words), "{rule}: {error:#}");
        }
        for document in ["", "roles: []", "{}", "[]"] {
            assert!(Roles::read(document.as_bytes()).is_err(), "{document}");
        }
    }
}
