//! `keyswap token import`: the tokens of a policy, by their digests.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use keyswap_core::base::Digest;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::command::connection::target::Target;
use crate::command::policy_file::PolicyFile;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format, visible};
use crate::registry::{KnownToken, NewToken, RateLimit, Status};
use crate::text::object::Object;

/// Import the tokens of a policy into the registry
///
/// Tokens are imported by their digests, so clients keep their tokens. All tokens are imported or none. Tokens that the
/// registry has already stay unchanged, so an import can be repeated.
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
    expires_at: Option<String>,
    rate_limit: Option<RateLimit>,
    status: Option<Status>,
}

impl Import {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let tokens = read(&PolicyFile::read(&self.file)?)?;
        let count = tokens.len();
        let added = self.target.open_or_make()?.import_tokens(tokens)?;
        let known = count - added.len();
        match self.target.format {
            Format::Human => output::print(&format!("{} imported, {known} already present", added.len()))?,
            Format::Json => output::print_json(&json!({"imported": added, "known": known}))?,
        }
        Ok(Exit::Ok)
    }
}

/// Reads the tokens of the document. Errors name the place and do not quote its content.
fn read(file: &PolicyFile) -> anyhow::Result<Vec<KnownToken>> {
    // A whole policy must be valid. A document with tokens only is validated token by token.
    let document = file.document().map_err(|error| anyhow::anyhow!("{}: {error}", file.name))?;
    if document.get("version").is_some()
        && let Err(errors) = file.policy()
    {
        let lines: Vec<String> = errors.0.iter().map(|error| visible(&error.to_string())).collect();
        bail!("{}", lines.join("\n"));
    }
    let Some(Value::Array(records)) = document.get("tokens") else {
        bail!("{} has no list `tokens`", file.name);
    };
    let read = |(index, record): (usize, &Value)| {
        let Object(record): Object<Record> = Object::deserialize(record)
            .ok()
            .with_context(|| format!("tokens[{index}] is not the record of a token"))?;
        let digest = Digest::from_hex(&record.sha256)
            .with_context(|| format!("tokens[{index}].sha256: expected 64 lower-case hexadecimal digits"))?;
        let new = NewToken {
            label: record.label,
            owner: record.owner,
            team: record.team,
            providers: record.providers,
            expires_at: record.expires_at,
            rate_limit: record.rate_limit,
            ..NewToken::default()
        };
        new.validate().with_context(|| format!("tokens[{index}]"))?;
        Ok(KnownToken { digest, new, status: record.status.unwrap_or(Status::Active) })
    };
    records.iter().enumerate().map(read).collect()
}
