//! `keyswap object list`: the objects of a registry.

use clap::Args;
use serde_json::json;

use super::{holder, view};
use crate::command::connection::target::Target;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format};
use crate::registry::{ObjectListing, Page};

/// List objects and their holders, newest first
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap object list --provider openai --kind file --database sqlite://keyswap.db\n  \
     keyswap object list --holder token:ci --format json --database sqlite://keyswap.db\n  \
     keyswap object list --left --server https://keyswap.example.com"
))]
pub(crate) struct List {
    /// Show only objects of this provider
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Show only objects of this kind, such as `file`
    #[arg(long, value_name = "NAME")]
    kind: Option<String>,
    /// Show only objects of this holder: `token:TOKEN` or `person:EMAIL`
    #[arg(long, value_name = "HOLDER")]
    holder: Option<String>,
    /// Show only objects whose holder has this owner
    #[arg(long, value_name = "EMAIL")]
    owner: Option<String>,
    /// Show only objects whose holder is in this team
    #[arg(long, value_name = "NAME")]
    team: Option<String>,
    /// Show only objects whose holder is deleted, disabled, expired, or not in the registry
    #[arg(long)]
    left: bool,
    /// Maximum number of objects to show
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    target: Target,
}

impl List {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let registry = self.target.open()?;
        let holder = self.holder.as_deref().map(|text| holder::find(text, &*registry)).transpose()?;
        let mut listing = ObjectListing {
            provider: self.provider,
            kind: self.kind,
            holder,
            owner: self.owner,
            team: self.team,
            left: self.left,
            ..ObjectListing::default()
        };
        let most = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let mut all = Page { items: Vec::new(), next: None, total: 0 };
        loop {
            let missing = most.saturating_sub(all.items.len());
            listing.limit = Some(u32::try_from(missing).unwrap_or(u32::MAX));
            let page = registry.objects(&listing)?;
            let is_over = page.next.is_none() || page.items.is_empty();
            all.items.extend(page.items);
            all.total = page.total;
            if is_over || all.items.len() >= most {
                break;
            }
            listing.after = page.next;
        }
        all.items.truncate(most);
        match self.target.format {
            Format::Json => output::print_json(&json!({"items": all.items, "total": all.total}))?,
            Format::Human => {
                if !all.items.is_empty() {
                    output::print(&view::table(&all.items).to_text())?;
                }
                output::note(&format!("{} of {} shown", all.items.len(), all.total));
            }
        }
        Ok(Exit::Ok)
    }
}
