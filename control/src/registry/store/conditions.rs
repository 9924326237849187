//! The conditions of a statement, with the values of its parameters.
//!
//! A statement has the conditions that its question has, and no others: a condition that holds for every row, such as `$1 = '' OR …`, keeps
//! the database from its indexes.

use sqlx::any::AnyArguments;
use sqlx::{Arguments as _, Error};

use crate::registry::record::error::RegistryError;
use crate::registry::record::reach::Reach;

/// The value of a parameter.
#[derive(Clone, Debug)]
enum Value {
    Text(String),
    Number(i64),
}

/// Conditions that all hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    sql: Vec<String>,
    values: Vec<Value>,
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl Conditions {
    /// Adds a value. Returns its parameter, such as `$1`.
    pub(super) fn number(&mut self, value: i64) -> String {
        self.parameter(value.into())
    }

    /// Adds a condition on a number, which `?` stands for.
    pub(super) fn with_number(&mut self, condition: &str, value: i64) {
        self.with(condition, value.into());
    }

    /// Adds a condition on a text, which `?` stands for. Without a text there is no condition.
    pub(super) fn with_text(&mut self, condition: &str, value: Option<String>) {
        if let Some(value) = value {
            self.with(condition, value.into());
        }
    }

    /// Adds a condition without a value.
    pub(super) fn with_sql(&mut self, condition: &str) {
        self.sql.push(condition.to_owned());
    }

    /// Adds the condition that a row is in a part of the registry. `team` and `owner` are expressions with the team of the row, and its owner
    /// in lower case.
    pub(super) fn within(&mut self, reach: &Reach, team: &str, owner: &str) {
        match reach {
            Reach::All => {}
            Reach::Teams(teams) if teams.is_empty() => self.with_sql("1 = 0"),
            Reach::Teams(teams) => {
                let places: Vec<String> =
                    teams.iter().map(|team| self.parameter(team.clone().into())).collect();
                self.sql.push(format!("{team} IN ({})", places.join(", ")));
            }
            Reach::Person(email) => self.with(&format!("{owner} = ?"), email.clone().into()),
        }
    }

    /// Returns the conditions as SQL.
    pub(super) fn sql(&self) -> String {
        if self.sql.is_empty() { "1 = 1".to_owned() } else { self.sql.join(" AND ") }
    }

    /// Returns the values in the order of their parameters.
    pub(super) fn arguments(&self) -> Result<AnyArguments, RegistryError> {
        let mut arguments = AnyArguments::default();
        for value in &self.values {
            match value {
                Value::Text(text) => arguments.add(text.clone()),
                Value::Number(number) => arguments.add(*number),
            }
            .map_err(Error::Encode)?;
        }
        Ok(arguments)
    }

    fn with(&mut self, condition: &str, value: Value) {
        let parameter = self.parameter(value);
        self.sql.push(condition.replacen('?', &parameter, 1));
    }

    fn parameter(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_registry_is_a_condition_and_all_of_it_is_none() {
        let teams = |names: &[&str]| Reach::Teams(names.iter().map(|name| (*name).to_owned()).collect());
        for (reach, expect) in [
            (Reach::All, "1 = 1"),
            (teams(&[]), "1 = 0"),
            (teams(&["red", "blue"]), "team IN ($1, $2)"),
            (Reach::Person("a@b.c".to_owned()), "lower(owner) = $1"),
        ] {
            let mut conditions = Conditions::default();
            conditions.within(&reach, "team", "lower(owner)");
            assert_eq!(conditions.sql(), expect, "{reach:?}");
        }
    }

    #[test]
    fn a_text_that_is_not_asked_for_is_no_condition() {
        let mut conditions = Conditions::default();
        conditions.with_text("owner = ?", None);
        conditions.with_number("hour >= ?", 1);
        conditions.with_text("action LIKE ? ESCAPE '!'", Some("a".to_owned()));
        assert_eq!(conditions.sql(), "hour >= $1 AND action LIKE $2 ESCAPE '!'");
        assert_eq!(conditions.number(2), "$3");
    }
}
