//! The units that a budget counts in, and an amount in each of them.

use crate::price::Nano;

/// The unit of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Money, in nano-dollars.
    Usd,
    /// Input and output tokens.
    Tokens,
}

impl Unit {
    /// Every unit, with its name in policies and in the registry's answers.
    pub const ALL: [(&'static str, Self); 2] = [("usd", Self::Usd), ("tokens", Self::Tokens)];

    /// Returns the name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Usd => "usd",
            Self::Tokens => "tokens",
        }
    }
}

/// The amount that a request takes from a budget, whatever the unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// The cost; `None` for a model without a price.
    pub cost: Option<Nano>,
    /// The tokens.
    pub tokens: u64,
}

impl Amount {
    /// The amount of no request.
    pub(crate) const NOTHING: Self = Self { cost: Some(Nano(0)), tokens: 0 };

    /// Returns the larger of two amounts, in each unit.
    pub(crate) fn or_more(self, other: Self) -> Self {
        Self { cost: self.cost.max(other.cost), tokens: self.tokens.max(other.tokens) }
    }

    /// Returns the sum of two amounts. A cost that is not known adds nothing.
    pub(crate) fn plus(self, other: &Self) -> Self {
        let cost = self.cost.unwrap_or_default().saturating_add(other.cost.unwrap_or_default());
        Self { cost: Some(cost), tokens: self.tokens.saturating_add(other.tokens) }
    }

    /// Takes an amount back out of a sum.
    pub(crate) fn minus(self, other: &Self) -> Self {
        let cost = self.cost.unwrap_or_default().0.saturating_sub(other.cost.unwrap_or_default().0);
        Self { cost: Some(Nano(cost)), tokens: self.tokens.saturating_sub(other.tokens) }
    }

    /// Returns the amount in a unit; `None` where it is not known.
    pub(crate) fn of(&self, unit: Unit) -> Option<u64> {
        match unit {
            Unit::Usd => self.cost.map(|cost| cost.0),
            Unit::Tokens => Some(self.tokens),
        }
    }
}
