//! The registry that a command works on.

use anyhow::{Context as _, bail};
use clap::Args;
use tokio::runtime::Runtime;

use crate::output::{Format, visible};
use crate::registry::{self, Actor, DatabaseUrl, Listing, Page, Registry};

/// Which registry, and the form of the output.
#[derive(Args)]
pub(super) struct Target {
    /// Where the registry is kept: `sqlite://FILE` or `postgres://…`
    ///
    /// Others can read the arguments of a process: give an address with a password in the environment.
    #[arg(long, env = "KEYSWAP_DATABASE", hide_env_values = true, value_name = "URL")]
    database: Option<String>,
    /// The form of the output
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

/// A registry that is open.
pub(super) struct Session {
    runtime: Runtime,
    pub(super) registry: Registry,
    /// Who the audit log says it was.
    pub(super) actor: Actor,
}

impl Target {
    /// Whether a registry is named.
    pub(super) fn is_named(&self) -> bool {
        self.database.is_some()
    }

    /// Opens the registry, which is made if it is a file that is not there yet.
    pub(super) fn open_or_make(&self) -> anyhow::Result<Session> {
        Session::open(&self.url()?)
    }

    /// Opens the registry. A file that is not there is an error: it is a slip of the pen, and not an empty registry.
    pub(super) fn open(&self) -> anyhow::Result<Session> {
        let url = self.url()?;
        if let DatabaseUrl::Sqlite(path) = &url
            && !path.exists()
        {
            let path = visible(&path.display().to_string());
            bail!("there is no database `{path}`: `keyswap serve` and `keyswap token create` make one");
        }
        Session::open(&url)
    }

    fn url(&self) -> anyhow::Result<DatabaseUrl> {
        let url = self
            .database
            .as_deref()
            .context("which registry? Name it with `--database`, or in `KEYSWAP_DATABASE`")?;
        Ok(url.parse()?)
    }
}

impl Session {
    fn open(url: &DatabaseUrl) -> anyhow::Result<Self> {
        let runtime = Runtime::new().context("cannot start")?;
        let registry = runtime.block_on(Registry::open(url))?;
        Ok(Self { runtime, registry, actor: Actor::new("command line") })
    }

    /// Waits for what was asked of the registry.
    pub(super) fn wait<T>(&self, answer: impl Future<Output = registry::Result<T>>) -> anyhow::Result<T> {
        Ok(self.runtime.block_on(answer)?)
    }

    /// The items that `next_page` gives, `most` at most.
    pub(super) fn collect<T, F: Future<Output = registry::Result<Page<T>>>>(
        &self,
        mut listing: Listing,
        most: usize,
        next_page: impl Fn(Listing) -> F,
    ) -> anyhow::Result<Page<T>> {
        let mut all = Page { items: Vec::new(), next: None, total: 0 };
        loop {
            let missing = most.saturating_sub(all.items.len());
            listing.limit = Some(u32::try_from(missing).unwrap_or(u32::MAX));
            let page = self.wait(next_page(listing.clone()))?;
            all.items.extend(page.items);
            (all.next, all.total) = (page.next, page.total);
            if all.next.is_none() || all.items.len() >= most {
                return Ok(all);
            }
            listing.after = all.next;
        }
    }
}
