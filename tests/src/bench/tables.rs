//! The measurements, one for each kind of table.

mod bodies;
mod compared;
mod component;
mod memory;
mod set_ups;
mod streams;
mod tokens;
mod whole;
mod workers;

use anyhow::Result;

use super::{kind::Kind, plan::Plan, set_ups::GATEWAY_SET_UPS, stage::Stage, watch::Watch};
use crate::figures::Table;

/// The factor by which slices of other gateways are longer: they answer few requests a second.
const SLOW: u32 = 4;

/// Measures the table of this kind.
pub(super) fn measure(kind: Kind, stage: &Stage, plan: &Plan, watch: &mut Watch<'_>) -> Result<Table> {
    match kind {
        Kind::SetUps => set_ups::measure(stage, plan, watch),
        Kind::Component => component::measure(stage, plan, watch),
        Kind::Gateways => whole::measure(kind, &GATEWAY_SET_UPS, plan.slice * SLOW, stage, plan, watch),
        Kind::Tokens => tokens::measure(stage, plan, watch),
        Kind::Workers => workers::measure(stage, plan, watch),
        Kind::Bodies => bodies::measure(stage, plan, watch),
        Kind::Streams => streams::measure(stage, plan, watch),
        Kind::Memory => memory::measure(stage, plan, watch),
    }
}
