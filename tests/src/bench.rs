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
mod load;
mod set_ups;
mod stage;
mod tables;
mod turns;
mod upstream;
mod wire;

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};

use crate::{
    figures::{Machine, Report, Table},
    tools::{self, ENVOY_VERSION},
};

pub use set_ups::{BARE, COMPONENT_SET_UPS, Running, SET_UPS, SetUp};
pub use stage::Stage;
pub use tables::Kind;
pub use upstream::Upstream;

/// What is to be measured, and how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How often each is measured.
    pub rounds: usize,
    /// How long each time.
    pub slice: Duration,
    /// At how many requests a second latencies are measured; left out, half of what Keyswap could do.
    pub rate: Option<u32>,
    /// The set-ups of the first table; all where there are none.
    pub set_ups: Vec<String>,
    /// The tables.
    pub tables: Vec<Kind>,
    /// Only makes sure that everything works: little of everything, and figures that say nothing.
    pub quick: bool,
}

impl Plan {
    /// What a quick run takes of a number.
    fn scale(&self, number: usize, quick: usize) -> usize {
        if self.quick { quick } else { number }
    }
}

/// Who looks on, and may end it.
pub struct Watch<'w> {
    tell: &'w mut dyn FnMut(&str, f64),
    stop: &'w AtomicBool,
    /// The part of the run that is going on: where it begins, and how much it is of all.
    part: (f64, f64),
}

impl<'w> Watch<'w> {
    /// `tell` is told what is done now, and how much of all is done, from 0 to 1. `stop`, once set, ends the run soon.
    pub fn new(tell: &'w mut dyn FnMut(&str, f64), stop: &'w AtomicBool) -> Self {
        Self { tell, stop, part: (0.0, 1.0) }
    }

    /// Tells what is done next, and how much of the part is done.
    fn at(&mut self, what: &str, done: f64) -> Result<()> {
        ensure!(!self.stop.load(Ordering::SeqCst), "interrupted");
        let (begin, size) = self.part;
        (self.tell)(what, begin + size * done);
        Ok(())
    }
}

/// What was measured, and why that is not all, if it is not.
pub struct Measured {
    /// What was measured: the tables that were finished.
    pub report: Report,
    /// Why there are no more.
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
        watch.part = (begin / all, kind.size() / all);
        begin += kind.size();
        let started = Instant::now();
        match kind.measure(&stage, plan, watch) {
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

impl std::str::FromStr for Kind {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        match Self::ALL.into_iter().find(|kind| kind.name() == name) {
            Some(kind) => Ok(kind),
            None => bail!("the tables are {}", Self::ALL.map(Self::name).join(", ")),
        }
    }
}
