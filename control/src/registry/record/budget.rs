//! Budgets: an amount for each window of a calendar. And the subjects that have one: tokens, owners, teams.

use std::fmt;

use keyswap_core::base::{Digest, UnixTime};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Number;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use super::amount::{self, Unit};
use super::draft::check_team;
use super::error::RegistryError;
use super::window::{Per, Window, Zone};
use crate::text::object::Object;

/// The longest address of an owner.
const MAX_OWNER_BYTES: usize = 254;

/// The holder of a budget.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Payer {
    /// A token, or a person by the digest of its principal.
    Token(Digest),
    /// All tokens of an owner, by email address in lower case.
    Owner(String),
    /// All tokens and people of a team.
    Team(String),
}

impl Payer {
    /// Parses `token:<sha256>`, `owner:<email>` or `team:<name>`. An email address becomes lower case.
    pub fn parse(text: &str) -> Result<Self, RegistryError> {
        let found = match text.split_once(':') {
            Some(("token", hex)) => Digest::from_hex(hex).map(Self::Token),
            Some(("owner", email)) => {
                let email = email.trim().to_lowercase();
                let fits = email.contains('@') && email.len() <= MAX_OWNER_BYTES;
                (fits && email.bytes().all(|byte| byte.is_ascii_graphic())).then_some(Self::Owner(email))
            }
            Some(("team", team)) => check_team(Some(team)).ok().flatten().map(Self::Team),
            _ => None,
        };
        found.ok_or_else(|| RegistryError::Invalid {
            field: "subject",
            expected: "expected `token:SHA256`, `owner:EMAIL` or `team:NAME`".to_owned(),
        })
    }
}

impl fmt::Display for Payer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(digest) => write!(f, "token:{}", digest.to_hex()),
            Self::Owner(email) => write!(f, "owner:{email}"),
            Self::Team(team) => write!(f, "team:{team}"),
        }
    }
}

impl Serialize for Payer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Payer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// An amount for each window of a calendar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Object<BudgetText>", into = "BudgetText")]
pub struct Budget {
    pub(in crate::registry) unit: Unit,
    pub(in crate::registry) amount: i64,
    pub(in crate::registry) per: Per,
    pub(in crate::registry) zone: Zone,
}

impl utoipa::PartialSchema for Budget {
    fn schema() -> RefOr<Schema> {
        BudgetText::schema()
    }
}

impl utoipa::ToSchema for Budget {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        BudgetText::schemas(schemas);
    }
}

impl Budget {
    /// Returns a budget in dollars, such as `10` or `0.25`.
    pub fn of_dollars(usd: &str, per: Per, zone: Zone) -> Result<Self, RegistryError> {
        Ok(Self { unit: Unit::Usd, amount: amount::parse_dollars(usd)?, per, zone })
    }

    /// Returns a budget in input and output tokens.
    pub fn of_tokens(tokens: u64, per: Per, zone: Zone) -> Result<Self, RegistryError> {
        Ok(Self { unit: Unit::Tokens, amount: amount::check_tokens(tokens)?, per, zone })
    }

    /// Returns the window that a moment lies in.
    pub fn window(&self, at: UnixTime) -> Window {
        Window::of(at, self.per, &self.zone)
    }

    /// Returns the unit of the amount.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// Returns the length of the windows.
    pub fn per(&self) -> Per {
        self.per
    }

    /// Returns the time zone of the calendar.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Returns the amount as it is written: exact dollars, or a number of tokens.
    pub fn amount_text(&self) -> String {
        match self.unit {
            Unit::Usd => amount::dollars(self.amount),
            Unit::Tokens => self.amount.to_string(),
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per {} ({})", self.unit.shown(self.amount), self.per.name(), self.zone)
    }
}

/// A budget: `usd` or `tokens` for each calendar window.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Budget)]
pub(crate) struct BudgetText {
    /// Dollars as a decimal with at most 9 decimals, at most 9000000. Either this or `tokens`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = r"^[0-9]{1,7}(\.[0-9]{1,9})?$")]
    usd: Option<Dollars>,
    /// Input and output tokens
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    tokens: Option<u64>,
    /// The length of the windows
    per: Per,
    /// The name of the calendar's time zone; `UTC` if absent
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timezone: Option<String>,
}

/// Dollars as text, or as a JSON number.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Dollars {
    Text(String),
    Number(Number),
}

impl TryFrom<Object<BudgetText>> for Budget {
    type Error = RegistryError;

    fn try_from(Object(text): Object<BudgetText>) -> Result<Self, RegistryError> {
        let zone = text.timezone.as_deref().map(Zone::parse).transpose()?.unwrap_or_default();
        match (text.usd, text.tokens) {
            (Some(Dollars::Text(usd)), None) => Self::of_dollars(&usd, text.per, zone),
            (Some(Dollars::Number(usd)), None) => Self::of_dollars(&usd.to_string(), text.per, zone),
            (None, Some(tokens)) => Self::of_tokens(tokens, text.per, zone),
            _ => Err(RegistryError::Invalid {
                field: "budget",
                expected: "expected either `usd` or `tokens`".to_owned(),
            }),
        }
    }
}

impl From<Budget> for BudgetText {
    fn from(budget: Budget) -> Self {
        let (usd, tokens) = match budget.unit {
            Unit::Usd => (Some(Dollars::Text(amount::dollars(budget.amount))), None),
            Unit::Tokens => (None, u64::try_from(budget.amount).ok()),
        };
        Self { usd, tokens, per: budget.per, timezone: Some(budget.zone.name().to_owned()) }
    }
}

/// The source of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SetBy {
    /// An administrator set the budget in the registry.
    Registry,
    /// Data planes bring the budget from their policy.
    Policy,
}

impl SetBy {
    /// Returns `registry` or `policy`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Policy => "policy",
        }
    }
}

/// The state of a subject's budget in the present window. Numbers are nano-dollars or tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BudgetState {
    /// The subject.
    #[schema(value_type = String)]
    pub subject: Payer,
    /// The budget.
    pub budget: Budget,
    /// The source of the budget.
    pub set_by: SetBy,
    /// The unit of the numbers.
    pub unit: Unit,
    /// The amount of the window.
    pub limit: i64,
    /// The spending that data planes have told.
    pub spent: i64,
    /// The part that data planes hold and have not spent.
    pub leased: i64,
    /// The end of the window.
    #[serde(serialize_with = "super::model::rfc3339", deserialize_with = "super::model::time")]
    #[schema(value_type = String, format = DateTime)]
    pub resets_at: UnixTime,
}

impl BudgetState {
    /// Returns the part that is not spent.
    pub fn left(&self) -> i64 {
        self.limit.saturating_sub(self.spent).max(0)
    }
}
