//! `--wait`: waits until the data planes run the published revision.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;

use crate::command::connection::operations::Operations;
use crate::command::rate;
use crate::command::terminal::output::{self, visible};
use crate::registry::{self, Plane, Revision};

/// The age in seconds of a data plane's last request beyond which it is ignored. A data plane asks every few seconds.
const HEARD_WITHIN: i64 = 60;
const PACE: Duration = Duration::from_millis(500);

/// The argument that sets the time to wait for the data planes.
#[derive(Args)]
pub(super) struct Wait {
    /// Time to wait until the data planes that asked in the last minute run it; fails if one refuses it or is late
    #[arg(long = "wait", value_name = "TIME", value_parser = rate::parse_timeout)]
    limit: Option<Duration>,
}

impl Wait {
    pub(super) fn for_planes(&self, registry: &dyn Operations, published: &Revision) -> anyhow::Result<()> {
        let Some(limit) = self.limit else { return Ok(()) };
        let started = Instant::now();
        loop {
            let planes = heard(registry.policy(&published.name)?.planes);
            let behind: Vec<&Plane> =
                planes.iter().filter(|plane| plane.revision < Some(published.revision)).collect();
            if behind.is_empty() {
                output::note(&format!("{} data planes run it", planes.len()));
                return Ok(());
            }
            let refusing = behind.iter().find(|plane| plane.refused == Some(published.revision));
            if let Some(plane) = refusing {
                bail!("published, but the data plane {} refuses it: {}", name(plane), reason(plane));
            }
            if started.elapsed() >= limit {
                let names: Vec<String> = behind.iter().map(|plane| name(plane)).collect();
                bail!("published, but these data planes do not run it yet: {}", names.join(", "));
            }
            thread::sleep(PACE);
        }
    }
}

/// Returns the data planes that asked within [`HEARD_WITHIN`] seconds.
fn heard(planes: Vec<Plane>) -> Vec<Plane> {
    let now = registry::now().0;
    planes.into_iter().filter(|plane| now - plane.seen_at.0 <= HEARD_WITHIN).collect()
}

fn name(plane: &Plane) -> String {
    format!("`{}`", visible(&plane.plane))
}

fn reason(plane: &Plane) -> String {
    visible(plane.detail.as_deref().or(plane.problem.as_deref()).unwrap_or_default())
}
