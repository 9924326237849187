//! The start of a run of either kind.

use anyhow::Context as _;

use super::options::Up;
use super::signals::Signals;
use super::{demo, folder, proxy};
use crate::command::log;
use crate::command::terminal::exit::Exit;

impl Up {
    /// Runs Keyswap until a signal ends it.
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        folder::keep_files_private();
        // The check comes first, so that its error comes at once.
        self.check_ports()?;
        let filter = if self.policy.is_some() { "info" } else { "warn" };
        log::start(self.log.as_deref().unwrap_or(filter), self.log_format)?;
        // The future runs on this thread, which starts all children: they end with the thread that started them.
        let runtime = tokio::runtime::Runtime::new().context("cannot start")?;
        runtime.block_on(async {
            let mut signals = Signals::new()?;
            match &self.policy {
                Some(path) => proxy::run(&self, path, &mut signals).await,
                None => demo::run(&self, &mut signals).await,
            }
        })
    }
}
