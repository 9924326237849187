//! The bench: the cost of a request in each set-up, measured in turns in one run.
//!
//! Each set-up is a proxy, nearly always an Envoy, in front of the shared upstream. All proxies run for the whole run;
//! the idle ones must use almost no CPU, which is checked. The measured proxy has a core of its own. The load, the
//! upstream and all services that proxies call share another. The measure is the proxy's CPU time, as the kernel counts
//! it. A round measures each set-up once, so a machine that is slow for a while is slow for all. Set-ups are compared
//! round by round.
//!
//! Upstreams use plain HTTP, since TLS costs more than the compared work, and access logs are off. A set-up whose proof
//! fails is not measured.

mod authorization;
mod cores;
mod kind;
mod load;
mod numbers;
mod plan;
mod set_ups;
mod stage;
mod tables;
mod turns;
mod upstream;
mod watch;
mod wire;

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::{
    figures::{Machine, Report, Table, processor},
    hardening::today,
    tools::{self, ENVOY_VERSION},
};

pub use kind::Kind;
pub use plan::Plan;
pub use set_ups::{BARE, COMPONENT_SET_UPS, FORMER, GATEWAY_SET_UPS, Running, SET_UPS, SetUp};
pub use stage::Stage;
pub use upstream::Upstream;
pub use watch::Watch;

/// The outcome of a run, which may have ended early.
pub struct Measured {
    /// The tables that were finished.
    pub report: Report,
    /// The error that ended the run early.
    pub failure: Option<anyhow::Error>,
}

/// Measures the tables of the plan.
pub fn run(plan: &Plan, watch: &mut Watch<'_>) -> Result<Measured> {
    for name in &plan.set_ups {
        ensure!(SET_UPS.iter().any(|set_up| set_up.name == name), "there is no set-up `{name}`");
    }
    watch.at("building", 0.0)?;
    tools::envoy()?;
    let stage = Stage::open(plan)?;
    let all: f64 = plan.tables.iter().map(|table| table.size()).sum();
    let mut report = Report { machine: machine(&stage, plan)?, tables: Vec::new() };
    let mut begin = 0.0;
    for kind in &plan.tables {
        watch.begin_part(begin / all, kind.size() / all);
        begin += kind.size();
        let started = Instant::now();
        match tables::measure(*kind, &stage, plan, watch) {
            Ok(table) => report.tables.push(Table { seconds: started.elapsed().as_secs(), ..table }),
            Err(failure) => return Ok(Measured { report, failure: Some(failure) }),
        }
    }
    Ok(Measured { report, failure: None })
}

fn machine(stage: &Stage, plan: &Plan) -> Result<Machine> {
    Ok(Machine {
        cores: stage.cores.count(),
        processor: processor(),
        envoy: ENVOY_VERSION.to_owned(),
        date: today()?,
        rounds: plan.rounds,
        slice_millis: u64::try_from(plan.slice.as_millis())?,
        quick: plan.quick,
    })
}
