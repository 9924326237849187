//! What is measured: one table for each question.

mod bodies;
mod component;
mod memory;
mod set_ups;
mod streams;
mod tokens;
mod workers;

use anyhow::{Context as _, Result};

use super::{BARE, Plan, SET_UPS, SetUp, Stage, Watch};
use crate::figures::{Row, Table};

/// The tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What a request costs in each set-up.
    SetUps,
    /// The same of the component.
    Component,
    /// Whether it matters how many tokens there are.
    Tokens,
    /// One worker, or two.
    Workers,
    /// Small bodies and large ones.
    Bodies,
    /// Many event streams at once.
    Streams,
    /// Memory over many requests and many tokens.
    Memory,
}

impl Kind {
    /// All of them, in the order in which they are measured.
    pub const ALL: [Self; 7] = [
        Self::SetUps,
        Self::Component,
        Self::Tokens,
        Self::Workers,
        Self::Bodies,
        Self::Streams,
        Self::Memory,
    ];

    /// Its name on the command line and in results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SetUps => "set-ups",
            Self::Component => "component",
            Self::Tokens => "tokens",
            Self::Workers => "workers",
            Self::Bodies => "bodies",
            Self::Streams => "streams",
            Self::Memory => "memory",
        }
    }

    /// How much of a whole run it is, about: minutes of ten rounds of a second.
    pub(super) const fn size(self) -> f64 {
        match self {
            Self::SetUps => 6.0,
            Self::Tokens | Self::Memory => 3.0,
            Self::Bodies => 2.5,
            Self::Component => 0.7,
            Self::Workers | Self::Streams => 1.5,
        }
    }

    pub(super) fn measure(self, stage: &Stage, plan: &Plan, watch: &mut Watch<'_>) -> Result<Table> {
        match self {
            Self::SetUps => set_ups::measure(stage, plan, watch),
            Self::Component => component::measure(stage, plan, watch),
            Self::Tokens => tokens::measure(stage, plan, watch),
            Self::Workers => workers::measure(stage, plan, watch),
            Self::Bodies => bodies::measure(stage, plan, watch),
            Self::Streams => streams::measure(stage, plan, watch),
            Self::Memory => memory::measure(stage, plan, watch),
        }
    }

    fn table(self, rows: Vec<Row>) -> Table {
        Table { name: self.name().to_owned(), seconds: 0, rate: None, idle_percent: None, rows }
    }
}

/// The three that tables of growth compare: Envoy alone, a filter that does nothing, Keyswap with a token.
const COMPARED: [&str; 3] = [BARE, "empty-filter", KEYSWAP];
const KEYSWAP: &str = "keyswap-token";

fn set_up(name: &str) -> Result<&'static SetUp> {
    SET_UPS.iter().find(|set_up| set_up.name == name).with_context(|| format!("there is no set-up `{name}`"))
}
