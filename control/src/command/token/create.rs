//! `keyswap token create`: a new proxy token, shown once, and its record in a registry or for a policy.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use clap::Args;
use keyswap_core::base::{Digest, UnixTime};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;

use super::{stdin, view};
use crate::command::connection::target::Target;
use crate::command::rate;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format};
use crate::registry::policy_token::{Draft, PolicyToken};
use crate::registry::{NewToken, RateLimit, SecretText, Source, now};

/// Create a proxy token
///
/// The token is printed once and not stored; its record holds its SHA-256. With `--database` or `--server` the record
/// is added to the registry. Otherwise the record is printed on standard error, as YAML to paste under `tokens:` in a
/// policy. Standard output has the token alone, to be piped or captured. `--format json` prints `{"token", "sha256",
/// "record"}` on standard output.
#[derive(Args)]
#[command(
    override_usage = "keyswap token create --label <LABEL> --provider <NAME>... [OPTIONS]",
    after_help = exit::help(
        "  keyswap token create --label alice-laptop --provider openai --provider anthropic\n  \
         TOKEN=$(keyswap token create --label ci --provider openai --database sqlite://keyswap.db)"
    )
)]
pub(crate) struct Create {
    /// Label of the token: 1 to 64 characters
    #[arg(long)]
    label: Option<String>,
    /// Provider that the token may call, by its name in the policy, or a class of its endpoints such as `openai:files`;
    /// repeatable, or separated by commas
    #[arg(long = "provider", value_name = "NAME", value_delimiter = ',')]
    providers: Vec<String>,
    /// Email address of the token's owner
    #[arg(long, value_name = "EMAIL")]
    owner: Option<String>,
    /// Team of the token, to which a policy may bind a credential: 1 to 64 letters, digits, `-` or `_`
    #[arg(long, value_name = "NAME")]
    team: Option<String>,
    /// Expiry of the token, such as `2027-06-30T00:00:00Z` (default: no expiry)
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    /// Model that the token may use, in a registry (default: all); repeatable, or separated by commas
    #[arg(long = "model", value_name = "NAME", value_delimiter = ',')]
    models: Vec<String>,
    /// Rate limit of the token, in a registry: requests, tokens or both, and a period, such as `60/1m` or `100000t/1m`
    #[arg(long, value_name = "LIMIT/TIME", value_parser = rate::parse)]
    rate_limit: Option<RateLimit>,
    /// Certificate in PEM that the token is bound to: only connections with this client certificate may bring the token
    #[arg(long, value_name = "FILE", conflicts_with = "certificate_sha256")]
    certificate: Option<PathBuf>,
    /// SHA-256 of such a certificate in DER, as 64 hexadecimal digits
    #[arg(long, value_name = "DIGEST")]
    certificate_sha256: Option<String>,
    /// Read the token from standard input, at least 12 characters, in place of a generated one
    #[arg(long)]
    stdin: bool,
    #[command(flatten)]
    target: Target,
}

impl Create {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        // All errors are reported together, before standard input is read.
        let draft = self.record(Digest::of(b""))?;
        let expiry = draft.expires_at.as_deref().and_then(UnixTime::from_rfc3339);
        ensure!(
            expiry.is_none_or(|at| at > now()),
            "`--expires-at` is in the past: no data plane would accept the token"
        );
        if self.target.is_named()? { self.keep(draft) } else { self.mint() }
    }

    fn record(&self, digest: Digest) -> anyhow::Result<PolicyToken> {
        let draft = Draft {
            label: self.label.clone().unwrap_or_default(),
            owner: self.owner.clone(),
            team: self.team.clone(),
            providers: self.providers.clone(),
            expires_at: self.expires_at.clone(),
            certificate: self.bound_to()?,
        };
        Ok(PolicyToken::new(digest, draft)?)
    }

    /// Returns the SHA-256 of the certificate that the token is bound to.
    fn bound_to(&self) -> anyhow::Result<Option<Digest>> {
        if let Some(file) = &self.certificate {
            let certificate = CertificateDer::from_pem_file(file)
                .with_context(|| format!("{} has no certificate in PEM", file.display()))?;
            return Ok(Some(Digest::of(&certificate)));
        }
        let digest = |text: &String| {
            Digest::from_hex(&text.replace(':', "").to_ascii_lowercase())
                .context("`--certificate-sha256` needs 64 hexadecimal digits")
        };
        self.certificate_sha256.as_ref().map(digest).transpose()
    }

    /// Adds the token to the registry and prints it.
    fn keep(self, draft: PolicyToken) -> anyhow::Result<Exit> {
        let new = NewToken {
            label: draft.label,
            owner: draft.owner,
            team: draft.team,
            providers: draft.providers,
            models: self.models,
            expires_at: draft.expires_at,
            rate_limit: self.rate_limit,
            certificate_sha256: draft.certificate_sha256,
        };
        let source = if self.stdin { Source::Custom(stdin::read_token()?) } else { Source::Mint };
        let created = self.target.open_or_make()?.create_token(source, new)?;
        let token = created.token.as_ref().map(SecretText::expose).unwrap_or_default();
        let record = &created.record;
        match self.target.format {
            Format::Human => print_human(token, "# Its record in the registry:", &view::details(record))?,
            Format::Json => output::print_json(
                &json!({"token": token, "sha256": record.digest.to_hex(), "record": record}),
            )?,
        }
        Ok(Exit::Ok)
    }

    /// Creates a token for a policy and prints it with its record.
    fn mint(self) -> anyhow::Result<Exit> {
        ensure!(
            self.models.is_empty() && self.rate_limit.is_none() && !self.stdin,
            "`--model`, `--rate-limit` and `--stdin` need a registry: pass `--database` or `--server`"
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
    output::note("# The token is shown only once: store it now.");
    output::print(token)?;
    output::note(words);
    output::note(record);
    Ok(())
}
