//! `keyswap prices update`: a table in LiteLLM's format, as the prices of a policy.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args;
use keyswap_core::policy::Policy;
use keyswap_core::price::Prices;
use serde_json::Value;
use tempfile::NamedTempFile;

use super::catalog::{Catalog, is_covered};
use super::{section, shipped};
use crate::command::policy::report_invalid;
use crate::command::policy_file::PolicyFile;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format};
use crate::command::terminal::{input, written};

const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Endpoints that sell the models of all providers.
const RESELLERS: [&str; 5] = ["cloudflare-rest", "compat", "openrouter", "universal", "vercel"];

/// Write newer prices into a policy
///
/// Reads LiteLLM's `model_prices_and_context_window.json` as it is, and takes the prices of tokens that differ from those
/// that Keyswap is shipped with. Without `--policy`, prints them as the section `prices` of a policy.
///
/// Prices that the policy has and the file has not stay. Models that are no longer served are left out.
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap prices update model_prices_and_context_window.json\n  \
     keyswap prices update model_prices_and_context_window.json --policy policy.yaml"
))]
pub(crate) struct Update {
    /// Table in LiteLLM's format; `-` reads standard input
    #[arg(value_name = "FILE")]
    table: PathBuf,
    /// Policy whose section `prices` is written; only models of its providers are
    #[arg(long, value_name = "FILE", value_parser = written::path())]
    policy: Option<PathBuf>,
    /// Table of the engine to write
    #[arg(long, value_name = "FILE", value_parser = written::path(), hide = true, requires = "dated", conflicts_with = "policy")]
    shipped: Option<PathBuf>,
    /// Day of the prices
    #[arg(long, value_name = "DAY", hide = true, requires = "shipped")]
    dated: Option<String>,
}

impl Update {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let prices = Prices::default();
        let since = self.dated.as_deref().unwrap_or_else(|| prices.date());
        let name = input::name(&self.table);
        let catalog = Catalog::read(&input::read(&self.table, MAX_BYTES)?, since).context(name)?;
        if let Some(path) = &self.shipped {
            let text = shipped::write(&catalog, since)?;
            write(path, &text)?;
            output::note(&format!("{} bytes, {} rows", text.len(), text.lines().count()));
            return Ok(Exit::Ok);
        }
        let Some(path) = &self.policy else {
            let newer = newer(&catalog, &prices, |_| true);
            output::print(section::as_yaml(&newer).trim_end())?;
            note_count(&newer);
            return Ok(Exit::Ok);
        };
        update_policy(path, &catalog)
    }
}

/// Returns the prices that differ from the shipped ones, of the providers that `is_meant` names.
fn newer(catalog: &Catalog, shipped: &Prices, is_meant: impl Fn(&str) -> bool) -> BTreeMap<String, Value> {
    let differs = |(provider, name, price): &(&str, &str, &_)| {
        is_meant(provider) && !is_covered(provider, price, shipped.find(provider, name).as_ref())
    };
    let rows = catalog.iter().filter(|row| differs(row));
    rows.map(|(provider, name, price)| (format!("{provider}/{name}"), section::as_json(price))).collect()
}

fn update_policy(path: &Path, catalog: &Catalog) -> anyhow::Result<Exit> {
    let file = PolicyFile::read(path)?;
    let name = input::name(path);
    let policy = match file.policy() {
        Ok(policy) => policy,
        Err(errors) => return report_invalid(&file.name, &errors, Format::Human),
    };
    let providers: Vec<&str> = policy.provider_names().collect();
    let sells_all = providers.iter().any(|provider| RESELLERS.contains(provider));
    let newer = newer(catalog, &Prices::default(), |provider| sells_all || providers.contains(&provider));
    let mut document = file.document().map_err(|error| anyhow!("{name}: {error}"))?;
    let present = document.get("prices").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut prices: BTreeMap<String, Value> = present.into_iter().collect();
    for (model, price) in &newer {
        prices.insert(model.clone(), price.clone());
    }
    let text = if file.is_json() {
        if let Some(members) = document.as_object_mut() {
            members.insert("prices".to_owned(), prices.into_iter().collect());
        }
        format!("{document:#}\n")
    } else {
        let bytes = input::read(path, MAX_BYTES)?;
        let yaml = String::from_utf8(bytes).map_err(|_| anyhow!("{name} is not UTF-8"))?;
        section::replace(&yaml, &section::as_yaml(&prices))
    };
    let written = PolicyFile::of(path, text.as_bytes()).policy().map(|policy| Policy::sha256(&policy));
    if let Err(errors) = written {
        output::note(&format!("{name} is left as it was: with these prices it would be invalid"));
        return report_invalid(&file.name, &errors, Format::Human);
    }
    write(path, &text)?;
    note_count(&newer);
    Ok(Exit::Ok)
}

fn note_count(newer: &BTreeMap<String, Value>) {
    let count = newer.len();
    let models = if count == 1 { "1 model has a price" } else { &format!("{count} models have prices") };
    output::note(&format!("{models} that the shipped table has not"));
}

/// Replaces the content of a file at once, so that no reader sees half of it. The file keeps its mode and its owner, and a link
/// to it stays.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let replace = || {
        let file = fs::canonicalize(path)?;
        let mut new = NamedTempFile::new_in(file.parent().unwrap_or(Path::new("/")))?;
        new.write_all(text.as_bytes())?;
        keep_owner(new.as_file(), &fs::metadata(&file)?)?;
        new.as_file().sync_all()?;
        new.persist(&file)?;
        anyhow::Ok(())
    };
    replace().with_context(|| format!("cannot write {}", input::name(path)))
}

/// Gives a new file the owner and the mode of the one that it replaces. Giving a file away needs rights that writing one does not.
fn keep_owner(new: &File, old: &Metadata) -> anyhow::Result<()> {
    let made = new.metadata()?;
    if (old.uid(), old.gid()) != (made.uid(), made.gid()) {
        fchown(new, Some(old.uid()), Some(old.gid()))
            .context("the file belongs to another user, who may run this command, or leave --policy out and paste what it prints")?;
    }
    new.set_permissions(old.permissions())?;
    Ok(())
}
