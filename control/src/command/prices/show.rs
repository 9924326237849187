//! `keyswap prices show`: the price of a model, and the place it comes from.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use keyswap_core::policy::Policy;
use keyswap_core::price::{Found, Nano, Origin, Part, Prices, Table as Shipped};
use serde_json::{Value, json};

use super::section;
use crate::command::policy::report_invalid;
use crate::command::policy_file::PolicyFile;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format, visible};
use crate::command::terminal::table::{NONE, Table};

/// Show the prices of models
///
/// Prints US dollars per million tokens, and where each price comes from: the policy, or the table that Keyswap is shipped
/// with. A model without a price ends the command with code 1.
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap prices show gpt-5\n  keyswap prices show openai/gpt-5 --policy policy.yaml --format json"
))]
pub(crate) struct Show {
    /// Model, or provider and model; without a provider, each that has a price for it
    #[arg(value_name = "MODEL", required = true)]
    models: Vec<String>,
    /// Policy with prices of its own; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Show {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let file = self.policy.as_deref().map(PolicyFile::read).transpose()?;
        let policy = match file.as_ref().map(|file| (file, file.policy())) {
            None => None,
            Some((_, Ok(policy))) => Some(policy),
            Some((file, Err(errors))) => return report_invalid(&file.name, &errors, self.format),
        };
        let shipped = Prices::default();
        let prices = policy.as_ref().map_or(&shipped, Policy::prices);
        let table = Shipped::shipped();
        let mut providers: BTreeSet<&str> = table.rows().map(|(provider, _)| provider).collect();
        providers.extend(policy.iter().flat_map(Policy::provider_names));
        let mut rows = Vec::new();
        let mut unpriced = Vec::new();
        for model in &self.models {
            let found = find(prices, &providers, model);
            if found.is_empty() {
                unpriced.push(model);
            }
            rows.extend(found.into_iter().map(|(provider, found)| (model, provider, found)));
        }
        match self.format {
            Format::Human if rows.is_empty() => {}
            Format::Human => output::print(&as_table(&rows, prices.date()).to_text())?,
            Format::Json => {
                let rows: Vec<Value> = rows
                    .iter()
                    .map(|(model, provider, found)| as_json(model, provider, found, prices.date()))
                    .collect();
                output::print_json(&rows)?;
            }
        }
        for model in &unpriced {
            output::note(&format!("`{}` has no price: a budget of money refuses it", visible(model)));
        }
        Ok(if unpriced.is_empty() { Exit::Ok } else { Exit::Failure })
    }
}

/// Returns the prices of a model, each with the provider that has it.
fn find<'p>(prices: &'p Prices, providers: &BTreeSet<&'p str>, model: &'p str) -> Vec<(&'p str, Found<'p>)> {
    if let Some((provider, name)) = model.split_once('/')
        && let Some(provider) = providers.get(provider)
    {
        return prices.find(provider, name).map(|found| (*provider, found)).into_iter().collect();
    }
    let mut found: Vec<(&str, Found<'_>)> =
        providers.iter().filter_map(|provider| Some((*provider, prices.find(provider, model)?))).collect();
    // A price of the policy that names no provider holds at each of them.
    if let Some(of_policy) = prices.find("", model)
        && found.iter().all(|(_, other)| *other == of_policy)
    {
        found = vec![(NONE, of_policy)];
    }
    found
}

fn as_table(rows: &[(&String, &str, Found<'_>)], date: &str) -> Table {
    let mut table = Table::new(&[
        "model",
        "provider",
        "input",
        "cached",
        "cache write",
        "output",
        "max output",
        "sheets",
        "from",
    ]);
    for (model, provider, found) in rows {
        let rate = |part| Nano(found.price.rate(part, None, 0)).to_string();
        let max_output =
            found.price.max_output().map_or_else(|| NONE.to_owned(), |number| number.to_string());
        table.add([
            (*model).clone(),
            (*provider).to_owned(),
            rate(Part::Input),
            rate(Part::Cached),
            rate(Part::CacheWrite),
            rate(Part::Output),
            max_output,
            found.price.sheets().len().to_string(),
            origin(found, date),
        ]);
    }
    table
}

fn origin(found: &Found<'_>, date: &str) -> String {
    match found.origin {
        Origin::Policy => format!("the policy, `{}`", found.name),
        Origin::Shipped(provider) => format!("the table of {date}, `{provider}/{}`", found.name),
    }
}

fn as_json(model: &str, provider: &str, found: &Found<'_>, date: &str) -> Value {
    let (from, row) = match found.origin {
        Origin::Policy => ("policy", found.name.to_owned()),
        Origin::Shipped(own) => ("shipped", format!("{own}/{}", found.name)),
    };
    let date = (from == "shipped").then_some(date);
    let provider = (provider != NONE).then_some(provider);
    json!({
        "model": model, "provider": provider, "from": from, "row": row, "date": date, "price": section::as_json(&found.price),
    })
}
