//! `keyswap token import`: the tokens of a policy, by their digests.

use std::path::PathBuf;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use keyswap_core::base::Digest;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::command::connection::target::Target;
use crate::command::policy::report_invalid;
use crate::command::policy_file::PolicyFile;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format};
use crate::registry::{Budget, KnownToken, NewToken, Payer, RateLimit, SetBy, Status};
use crate::text::fit;

/// Import the tokens of a policy into the registry
///
/// Tokens are imported by their digests, so clients keep their tokens. All tokens are imported or none. Tokens and budgets
/// that the registry has already stay unchanged, so an import can be repeated. Groups of models (`model_groups`) stay in
/// the policy.
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap token import policy.yaml --database sqlite://keyswap.db\n  \
     keyswap policy import litellm config.yaml --keys keys.json | keyswap token import - --database sqlite://keyswap.db"
))]
pub(crate) struct Import {
    /// Policy, or a document with its `tokens` only, in YAML or JSON; `-` reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    target: Target,
}

/// An entry of a policy's `tokens`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    sha256: String,
    label: String,
    owner: Option<String>,
    team: Option<String>,
    providers: Vec<String>,
    #[serde(default)]
    models: Vec<String>,
    budget: Option<Budget>,
    expires_at: Option<String>,
    rate_limit: Option<RateLimit>,
    certificate_sha256: Option<String>,
    status: Option<Status>,
}

impl Import {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let file = PolicyFile::read(&self.file)?;
        let document = file.document().map_err(|error| anyhow!("{}: {error}", file.name))?;
        // A whole policy must be valid. A document with tokens only is validated token by token.
        if document.get("version").is_some()
            && let Err(errors) = file.policy()
        {
            return report_invalid(&file.name, &errors, self.target.format);
        }
        let (tokens, budgets): (Vec<_>, Vec<_>) = read(&file.name, &document)?.into_iter().unzip();
        let count = tokens.len();
        let registry = self.target.open_or_make()?;
        // A budget comes before its token, so that none is ever without it. One that the registry has stays.
        for (subject, budget) in budgets.into_iter().flatten() {
            if registry.budget(&subject)?.iter().all(|state| state.set_by != SetBy::Registry) {
                registry.set_budget(&subject, &budget)?;
            }
        }
        let added = registry.import_tokens(tokens)?;
        let known = count - added.len();
        match self.target.format {
            Format::Human => output::print(&format!("{} imported, {known} already present", added.len()))?,
            Format::Json => output::print_json(&json!({"imported": added, "known": known}))?,
        }
        Ok(Exit::Ok)
    }
}

/// A token with its budget, where it has one.
type WithBudget = (KnownToken, Option<(Payer, Budget)>);

/// Reads the tokens of the document. Errors name the place and do not quote its content.
fn read(name: &str, document: &Value) -> anyhow::Result<Vec<WithBudget>> {
    let Some(Value::Array(records)) = document.get("tokens") else {
        bail!("{name} has no list `tokens`");
    };
    let read = |(index, record): (usize, &Value)| {
        let record: Record = fit::read(&format!("tokens[{index}]"), record).map_err(anyhow::Error::msg)?;
        let digest = Digest::from_hex(&record.sha256)
            .with_context(|| format!("tokens[{index}].sha256: expected 64 lower-case hexadecimal digits"))?;
        let new = NewToken {
            label: record.label,
            owner: record.owner,
            team: record.team,
            providers: record.providers,
            models: record.models,
            expires_at: record.expires_at,
            rate_limit: record.rate_limit,
            certificate_sha256: record.certificate_sha256,
        };
        new.validate().with_context(|| format!("tokens[{index}]"))?;
        let budget = record.budget.map(|budget| (Payer::Token(digest), budget));
        Ok((KnownToken { digest, new, status: record.status.unwrap_or(Status::Active) }, budget))
    };
    records.iter().enumerate().map(read).collect::<anyhow::Result<_>>().with_context(|| name.to_owned())
}
