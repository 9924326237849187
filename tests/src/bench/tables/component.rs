//! The cost of a request in the component on `wasmtime serve`, whose instances serve many requests.

use anyhow::Result;

use super::whole;
use crate::{
    bench::{kind::Kind, plan::Plan, set_ups::COMPONENT_SET_UPS, stage::Stage, watch::Watch},
    figures::Table,
};

pub(super) fn measure(stage: &Stage, plan: &Plan, watch: &mut Watch<'_>) -> Result<Table> {
    watch.at("compiling the components", 0.0)?;
    // Compiling takes memory. Started once before, the measured processes use Wasmtime's cache.
    COMPONENT_SET_UPS.iter().try_for_each(|set_up| set_up.start(stage, 1).map(drop))?;
    whole::measure(Kind::Component, &COMPONENT_SET_UPS, plan.slice, stage, plan, watch)
}
