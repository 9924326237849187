//! `keyswap object adopt`: gives objects that have no holder to one.

use std::path::Path;

use anyhow::{Context as _, ensure};
use clap::Args;
use serde_json::json;

use super::{holder, view};
use crate::command::connection::target::Target;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::input;
use crate::command::terminal::output::{self, Format};
use crate::registry::{Adopted, ObjectKey};

/// The largest input of ids: more than an account has files.
const MAX_INPUT_BYTES: usize = 64 * 1024 * 1024;

/// The ids of one request.
const MAX_IDS: usize = 200;

/// Give objects that were made before Keyswap, or without it, to a holder
///
/// Objects that have a holder keep it, so an adoption can be repeated. `object transfer` gives them to another one.
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap object adopt openai file-abc123 file-def456 --kind file --for token:ci --database sqlite://keyswap.db\n  \
     jq -r '.data[].id' files.json | keyswap object adopt openai --stdin --for person:alice@example.com"
))]
pub(crate) struct Adopt {
    /// Provider, by its name in the policy
    provider: String,
    /// Ids of the objects at the provider
    #[arg(value_name = "ID", required_unless_present = "stdin", conflicts_with = "stdin")]
    ids: Vec<String>,
    /// New holder: `token:TOKEN` or `person:EMAIL`
    ///
    /// TOKEN is a label, the beginning of a label, or digits of a SHA-256, as in `token show`. All 64 digits also name a
    /// principal that the registry does not know, such as a token of a policy.
    #[arg(long = "for", value_name = "HOLDER")]
    holder: String,
    /// Kind of the objects, such as `file`, for people only (default: `object`)
    #[arg(long, value_name = "NAME")]
    kind: Option<String>,
    /// Read the ids from standard input, one a line
    #[arg(long)]
    stdin: bool,
    #[command(flatten)]
    target: Target,
}

impl Adopt {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        ensure!(
            !(self.stdin && self.holder == "token:-"),
            "standard input has either the ids or the token: select the token by its label"
        );
        let ids = if self.stdin { read_ids()? } else { self.ids };
        let keys: Vec<ObjectKey> =
            ids.iter().map(|id| ObjectKey::new(&self.provider, id)).collect::<Result<_, _>>()?;
        let registry = self.target.open_or_make()?;
        let holder = holder::find(&self.holder, &*registry)?;
        let mut all = Adopted { adopted: Vec::new(), held: Vec::new() };
        for keys in keys.chunks(MAX_IDS) {
            let part = registry.adopt_objects(keys, self.kind.as_deref(), &holder)?;
            all.adopted.extend(part.adopted);
            all.held.extend(part.held);
        }
        match self.target.format {
            Format::Json => output::print_json(&json!({"adopted": all.adopted, "held": all.held}))?,
            Format::Human => {
                output::print(&format!(
                    "{} adopted, {} have a holder already",
                    all.adopted.len(),
                    all.held.len()
                ))?;
                if !all.held.is_empty() {
                    output::note(&view::table(&all.held).to_text());
                }
            }
        }
        Ok(Exit::Ok)
    }
}

/// Reads ids from standard input. Empty lines are skipped.
fn read_ids() -> anyhow::Result<Vec<String>> {
    let bytes = input::read(Path::new("-"), MAX_INPUT_BYTES)?;
    let text = String::from_utf8(bytes).ok().context("standard input is not UTF-8")?;
    let ids: Vec<String> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    ensure!(!ids.is_empty(), "no ids on standard input");
    Ok(ids)
}
