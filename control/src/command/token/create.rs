//! `keyswap token create`: a new proxy token, shown once, and its record: in a registry, or for a policy.

use clap::Args;
use keyswap_core::base::Digest;
use serde_json::json;

use super::{stdin, view};
use crate::command::connection::target::Target;
use crate::command::rate;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format};
use crate::registry::policy_token::{Draft, PolicyToken};
use crate::registry::{NewToken, RateLimit, SecretText, Source};

/// Mint a proxy token
///
/// The token is printed once and kept nowhere; it is known by its SHA-256. With `--database` or `--server` its record goes into the
/// registry. Without, standard error gets the record to paste under `tokens:` in a policy; the words around it are
/// YAML comments. Standard output gets the token alone, so that it can be piped or captured. `--format json` prints
/// all on standard output: `{"token", "sha256", "record"}`.
#[derive(Args)]
#[command(
    override_usage = "keyswap token create --label <LABEL> --provider <NAME>... [OPTIONS]",
    after_help = exit::help(
        "  keyswap token create --label alice-laptop --provider openai --provider anthropic\n  \
         TOKEN=$(keyswap token create --label ci --provider openai --database sqlite://keyswap.db)"
    )
)]
pub(crate) struct Create {
    /// What people call the token: 1 to 64 characters
    #[arg(long)]
    label: Option<String>,
    /// A provider that the token is for, by its name in the policy; repeat it, or separate names by commas
    #[arg(long = "provider", value_name = "NAME", value_delimiter = ',')]
    providers: Vec<String>,
    /// The email address of the person who answers for the token
    #[arg(long, value_name = "EMAIL")]
    owner: Option<String>,
    /// When the token ends, such as `2027-06-30T00:00:00Z`; without it the token does not expire
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    /// A model that the token is for, in a registry; all unless some are named
    #[arg(long = "model", value_name = "NAME", value_delimiter = ',')]
    models: Vec<String>,
    /// How often the token may be used, in a registry: requests and a time, such as `60/1m`
    #[arg(long, value_name = "REQUESTS/TIME", value_parser = rate::parse)]
    rate_limit: Option<RateLimit>,
    /// Read the token from standard input, and mint none: 12 characters or more
    #[arg(long)]
    stdin: bool,
    #[command(flatten)]
    target: Target,
}

impl Create {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        // What is wrong is told in full, and before standard input is read.
        let draft = self.record(Digest::of(b""))?;
        if self.target.is_named()? { self.keep(draft) } else { self.mint() }
    }

    fn record(&self, digest: Digest) -> anyhow::Result<PolicyToken> {
        let draft = Draft {
            label: self.label.clone().unwrap_or_default(),
            owner: self.owner.clone(),
            providers: self.providers.clone(),
            expires_at: self.expires_at.clone(),
        };
        Ok(PolicyToken::new(digest, draft)?)
    }

    /// Puts the token into the registry.
    fn keep(self, draft: PolicyToken) -> anyhow::Result<Exit> {
        let new = NewToken {
            label: draft.label,
            owner: draft.owner,
            providers: draft.providers,
            models: self.models,
            expires_at: draft.expires_at,
            rate_limit: self.rate_limit,
        };
        let source = if self.stdin { Source::Custom(stdin::read_token()?) } else { Source::Mint };
        let created = self.target.open_or_make()?.create_token(source, new)?;
        let token = created.token.as_ref().map(SecretText::expose).unwrap_or_default();
        let record = &created.record;
        match self.target.format {
            Format::Human => print_human(token, "# It is in the registry:", &view::details(record))?,
            Format::Json => output::print_json(
                &json!({"token": token, "sha256": record.digest.to_hex(), "record": record}),
            )?,
        }
        Ok(Exit::Ok)
    }

    /// Mints a token for a policy.
    fn mint(self) -> anyhow::Result<Exit> {
        anyhow::ensure!(
            self.models.is_empty() && self.rate_limit.is_none() && !self.stdin,
            "`--model`, `--rate-limit` and `--stdin` need a registry: name it with `--database` or `--server`"
        );
        let token = SecretText::mint()?;
        let token = token.expose();
        let record = self.record(Digest::of(token.as_bytes()))?;
        match self.target.format {
            Format::Human => {
                print_human(
                    token,
                    "# Its record, to paste under `tokens:` in a policy:",
                    &record.to_yaml()?,
                )?;
            }
            Format::Json => {
                output::print_json(&json!({"token": token, "sha256": record.sha256, "record": record}))?;
            }
        }
        Ok(Exit::Ok)
    }
}

fn print_human(token: &str, words: &str, record: &str) -> anyhow::Result<()> {
    output::note("# The token is shown once and never again: keep it now.");
    output::print(token)?;
    output::note(words);
    output::note(record);
    Ok(())
}
