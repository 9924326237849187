//! `keyswap token create`: a new proxy token, shown once, and the record by which a policy knows it.

use clap::Args;
use keyswap_core::TokenDigest;
use serde_json::json;

use crate::exit::{self, Exit};
use crate::output::{self, Format};
use crate::registry::SecretText;
use crate::token_record::{Draft, TokenRecord};

/// Mint a proxy token
///
/// The token is printed once and kept nowhere; a policy knows it by its SHA-256. Standard output gets the token
/// alone, so that it can be piped or captured. Standard error gets the record to paste under `tokens:` in a
/// policy; the words around it are YAML comments. `--format json` prints both on standard output:
/// `{"token", "sha256", "record"}`.
#[derive(Args)]
#[command(
    override_usage = "keyswap token create --label <LABEL> --provider <NAME>... [OPTIONS]",
    after_help = exit::help(
        "  keyswap token create --label alice-laptop --provider openai --provider anthropic\n  \
         TOKEN=$(keyswap token create --label ci --provider openai --expires-at 2027-06-30T00:00:00Z)"
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
    /// The form of the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Create {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let token = SecretText::mint()?;
        let token = token.expose();
        let record = TokenRecord::new(
            TokenDigest::of(token.as_bytes()),
            Draft {
                label: self.label.unwrap_or_default(),
                owner: self.owner,
                providers: self.providers,
                expires_at: self.expires_at,
            },
        )?;
        match self.format {
            Format::Human => print_human(token, &record)?,
            Format::Json => {
                output::print_json(&json!({"token": token, "sha256": record.sha256, "record": record}))?;
            }
        }
        Ok(Exit::Ok)
    }
}

fn print_human(token: &str, record: &TokenRecord) -> anyhow::Result<()> {
    let record = record.to_yaml()?;
    output::note("# The token is shown once and never again: keep it now.");
    output::print(token)?;
    output::note("# Its record, to paste under `tokens:` in a policy:");
    output::note(&record);
    Ok(())
}
