//! The parts of a run: the data plane and the registry, which end together.

use std::time::{Duration, Instant};

use anyhow::bail;

use super::plane::DataPlane;
use super::registry::Serving;
use super::signals::Signals;

/// The time in which a signal may arrive twice.
const SAME_SIGNAL: Duration = Duration::from_millis(250);

/// A data plane and the registry beside it.
pub(super) struct Running {
    pub(super) plane: DataPlane,
    pub(super) registry: Serving,
}

impl Running {
    /// Waits for the end of a part, which nobody asked for, and returns it as an error.
    pub(super) async fn fails(&mut self) -> anyhow::Error {
        tokio::select! {
            error = self.plane.fails() => error,
            error = self.registry.fails() => error,
        }
    }

    /// Ends all parts when the requests in progress have ended, at the latest after `limit`. A signal ends them at once,
    /// which is an error.
    pub(super) async fn end(mut self, signals: &mut Signals, limit: Duration) -> anyhow::Result<()> {
        let drained = async {
            match tokio::time::timeout(limit, self.plane.drain()).await {
                Ok(Ok(())) => {}
                // A supervisor may have ended the proxy at the same time.
                Ok(Err(error)) => tracing::warn!("the proxy has ended before its requests: {error:#}"),
                Err(_) => tracing::warn!("requests in progress were ended after {} s", limit.as_secs()),
            }
            // The data plane tells the registry what it used until its end.
            drop(self.plane);
            self.registry.end().await;
        };
        tokio::select! {
            biased;
            () = again(signals) => bail!("ended at once: requests in progress were ended"),
            () = drained => Ok(()),
        }
    }
}

/// Waits for another signal. A signal that arrives with the first one is the same: a terminal sends Ctrl-C to a program and to
/// its parent, and some parents pass it on.
async fn again(signals: &mut Signals) {
    let first = Instant::now();
    loop {
        signals.next().await;
        if first.elapsed() >= SAME_SIGNAL {
            return;
        }
    }
}
