//! The kinds of tables, one for each question.

use anyhow::{Result, bail};

use crate::figures::{Row, Table};

/// A kind of table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The cost of a request in each set-up.
    SetUps,
    /// The cost of a request in the component.
    Component,
    /// The cost of a request in gateways of other projects.
    Gateways,
    /// The cost of a request with few tokens and with many.
    Tokens,
    /// The cost of a request with one worker and with two.
    Workers,
    /// The cost of small bodies and of large ones.
    Bodies,
    /// The cost of many concurrent event streams.
    Streams,
    /// The memory over many requests and many tokens.
    Memory,
}

impl Kind {
    /// All kinds, in the order of measurement.
    pub const ALL: [Self; 8] = [
        Self::SetUps,
        Self::Component,
        Self::Gateways,
        Self::Tokens,
        Self::Workers,
        Self::Bodies,
        Self::Streams,
        Self::Memory,
    ];

    /// Returns the name on the command line and in results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SetUps => "set-ups",
            Self::Component => "component",
            Self::Gateways => "gateways",
            Self::Tokens => "tokens",
            Self::Workers => "workers",
            Self::Bodies => "bodies",
            Self::Streams => "streams",
            Self::Memory => "memory",
        }
    }

    /// Returns the approximate duration in minutes, for ten rounds of one second. It weighs the progress of a run.
    pub(super) const fn size(self) -> f64 {
        match self {
            Self::SetUps => 6.0,
            Self::Tokens | Self::Memory => 3.0,
            Self::Bodies => 2.5,
            Self::Component => 0.7,
            Self::Gateways => 1.2,
            Self::Workers | Self::Streams => 1.5,
        }
    }

    /// Returns the table of these rows.
    pub(super) fn table(self, rows: Vec<Row>) -> Table {
        Table { name: self.name().to_owned(), seconds: 0, rate: None, idle_percent: None, rows }
    }
}

impl std::str::FromStr for Kind {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        match Self::ALL.into_iter().find(|kind| kind.name() == name) {
            Some(kind) => Ok(kind),
            None => bail!("the tables are {}", Self::ALL.map(Self::name).join(", ")),
        }
    }
}
