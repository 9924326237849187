//! `cargo xtask bench`: measures, shows progress, and writes the results.

mod output;
mod progress;

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use anyhow::{Result, ensure};
use keyswap_tests::bench::{self, Kind, Plan, SET_UPS, Watch};

use progress::Progress;

/// What `cargo xtask bench` takes.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How often each set-up is measured. Many short rounds tell more than few long ones: the machine is alike within each.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long each time, in milliseconds.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(20..))]
    slice: u32,
    /// At how many requests a second latencies are measured [default: half of what Keyswap can do].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Compare these set-ups only, with Envoy alone; `--list` tells their names. Implies `--table set-ups`.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    set_up: Vec<String>,
    /// Measure these tables only: set-ups, component, tokens, workers, bodies, streams, memory.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    table: Vec<Kind>,
    /// Only make sure that everything works, in one short round: the figures say nothing.
    #[arg(long)]
    quick: bool,
    /// Write every sample to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the tables to this file, as Markdown.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Put the figures of a whole run into the repository and its README.
    #[arg(long)]
    update_readme: bool,
    /// Print the names of the set-ups and end.
    #[arg(long)]
    list: bool,
}

/// How long a slice of a quick run is.
const QUICK: Duration = Duration::from_millis(50);

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.list {
        for set_up in &SET_UPS {
            println!("{:<26}{}", set_up.name, set_up.title);
        }
        return Ok(());
    }
    let plan = options.plan()?;
    let stop = Arc::<AtomicBool>::default();
    end_on_signal(&stop)?;
    let mut progress = Progress::default();
    let mut tell = |what: &str, done: f64| progress.tell(what, done);
    let measured = bench::run(&plan, &mut Watch::new(&mut tell, &stop))?;
    progress.end();
    output::write(options, &measured.report)?;
    match measured.failure {
        Some(failure) => Err(failure),
        None if options.update_readme => output::update_readme(&measured.report),
        None => Ok(()),
    }
}

impl Options {
    fn plan(&self) -> Result<Plan> {
        let tables = match (self.table.as_slice(), self.set_up.as_slice()) {
            ([], []) => Kind::ALL.to_vec(),
            ([], _) => vec![Kind::SetUps],
            (tables, _) => tables.to_vec(),
        };
        let is_whole = self.set_up.is_empty() && tables == Kind::ALL && !self.quick;
        ensure!(!self.update_readme || is_whole, "the README shows whole runs only");
        Ok(Plan {
            rounds: if self.quick { 1 } else { usize::try_from(self.rounds)? },
            slice: if self.quick { QUICK } else { Duration::from_millis(self.slice.into()) },
            rate: self.rate,
            set_ups: self.set_up.clone(),
            tables,
            quick: self.quick,
        })
    }
}

/// The first signal has the run end in good order, so that nothing is left behind; a second ends this process at once,
/// and the kernel ends what it started.
fn end_on_signal(stop: &Arc<AtomicBool>) -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let stop = Arc::clone(stop);
    let mut signals = runtime.block_on(async {
        anyhow::Ok([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ])
    })?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            loop {
                let [interrupt, terminate, hangup] = &mut signals;
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
                if stop.swap(true, std::sync::atomic::Ordering::SeqCst) {
                    std::process::exit(130);
                }
            }
        });
    });
    Ok(())
}
