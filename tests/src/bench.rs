//! The bench: what a request costs in each set-up, all of them in one run, in turns.
//!
//! Every set-up is a proxy of its own, nearly always an Envoy, in front of one upstream, started once; those that are not measured cost nothing,
//! which is looked at. The proxy that is measured has a core for itself; the load, the upstream and all that proxies call
//! share another. What counts is the processor time that the kernel notes for the proxy. A round measures each set-up once,
//! so that a machine that is slow for a while is slow for all; set-ups are compared round by round.
//!
//! Upstreams are reached in plain HTTP, since TLS costs more than all that is compared here, and nobody writes an access
//! log. A set-up that does not do what it is said to do is not measured.

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

use std::{fs, time::Instant};

use anyhow::{Result, ensure};

use crate::{
    figures::{Machine, Report, Table},
    tools::{self, ENVOY_VERSION},
};

pub use kind::Kind;
pub use plan::Plan;
pub use set_ups::{BARE, COMPONENT_SET_UPS, Running, SET_UPS, SetUp};
pub use stage::Stage;
pub use upstream::Upstream;
pub use watch::Watch;

/// The outcome of a run, which may have ended early.
pub struct Measured {
    /// The tables that were finished.
    pub report: Report,
    /// The reason why there are no more.
    pub failure: Option<anyhow::Error>,
}

/// Measures what is planned.
pub fn run(plan: &Plan, watch: &mut Watch<'_>) -> Result<Measured> {
    for name in &plan.set_ups {
        ensure!(SET_UPS.iter().any(|set_up| set_up.name == name), "there is no set-up `{name}`");
    }
    watch.at("building", 0.0)?;
    tools::envoy()?;
    let stage = Stage::open(plan.quick)?;
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
    let processors = fs::read_to_string("/proc/cpuinfo")?;
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    Ok(Machine {
        cores: stage.cores.count(),
        processor: model.map_or("an unnamed processor", |(_, model)| model.trim()).to_owned(),
        envoy: ENVOY_VERSION.to_owned(),
        date: keyswap_core::base::UnixTime(i64::try_from(crate::unix_now())?).to_string()[..10].to_owned(),
        rounds: plan.rounds,
        slice_millis: u64::try_from(plan.slice.as_millis())?,
        quick: plan.quick,
    })
}
