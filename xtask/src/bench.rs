//! `cargo xtask bench`: measures, shows progress, and writes the results.

mod options;
mod output;
mod progress;

use std::sync::{Arc, atomic::AtomicBool};

use anyhow::Result;
use keyswap_tests::bench::{self, SET_UPS, Watch};

pub(crate) use options::Options;
use progress::Progress;

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
        None if options.update_docs => output::update_docs(&measured.report),
        None => Ok(()),
    }
}

/// Handles signals: the first ends the run in good order, so that nothing is left behind. A second ends this process at
/// once, and the kernel ends its children.
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
