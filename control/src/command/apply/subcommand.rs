//! `keyswap apply -f FILE`: makes the tokens of a registry what a file says.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use clap::Args;

use super::document::{self, Entry};
use super::plan::{Plan, Update};
use super::show;
use super::tokens_out::TokensOut;
use crate::command::connection::operations::{Operations, collect};
use crate::command::connection::refused::RefusedError;
use crate::command::connection::target::Target;
use crate::command::policy_file::PolicyFile;
use crate::command::terminal::confirm::confirm;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format, visible};
use crate::command::terminal::written;
use crate::registry::{KnownToken, Listing, SecretText, Source, Status, TokenPatch};

/// Make the tokens of a registry what a file says
///
/// The file has the records of tokens under `tokens`, as a policy does, and never a token. An entry names its token by
/// `sha256`, or else by its label. New tokens are minted where an entry has no `sha256`. Fields that are left out are
/// empty, except `status`: a token that was disabled stays so unless the file says `active`. A second run changes nothing.
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap apply -f tokens.yaml --dry-run --database sqlite://keyswap.db\n  \
     keyswap apply -f tokens.yaml --tokens-out new-tokens --prune ci- --yes --server https://keyswap.example.com"
))]
pub(crate) struct Apply {
    /// File in YAML or JSON; `-` reads standard input
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// File to create for the tokens that are minted, a JSON document a line, readable by its owner only
    #[arg(long, value_name = "FILE", value_parser = written::path())]
    tokens_out: Option<PathBuf>,
    /// Disable the tokens whose labels begin with this text and that the file does not have
    ///
    /// All labels of the file must begin with it, so that a file disables no tokens of others.
    #[arg(long, value_name = "PREFIX", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    prune: Option<String>,
    /// Disable tokens without asking for confirmation
    #[arg(long, requires = "prune")]
    yes: bool,
    #[command(flatten)]
    target: Target,
}

impl Apply {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let entries = document::read(&PolicyFile::read(&self.file)?)?;
        let registry = if self.dry_run { self.target.open()? } else { self.target.open_or_make()? };
        let tokens = collect(Listing::default(), usize::MAX, |listing| registry.tokens(listing))?.items;
        let plan = Plan::new(entries, &tokens, self.prune.as_deref())?;
        for label in &plan.still_disabled {
            output::note(&format!(
                "note: {} is disabled, and the file does not say `status: active`",
                visible(label)
            ));
        }
        if self.target.format == Format::Human {
            output::print(&show::text(&plan))?;
        }
        if !self.dry_run {
            self.apply(&*registry, &plan)?;
        }
        if self.target.format == Format::Json {
            output::print_json(&show::json(&plan, !self.dry_run))?;
        }
        Ok(if self.dry_run && !plan.is_empty() { Exit::Differs } else { Exit::Ok })
    }

    /// Makes the changes one after another. Rows that the registry refuses to the sender's role stay as they are and are named
    /// at the end. Another error leaves the rest to the next run.
    fn apply(&self, registry: &dyn Operations, plan: &Plan) -> anyhow::Result<()> {
        let minted = plan.minted();
        ensure!(
            minted == 0 || self.tokens_out.is_some(),
            "{minted} tokens are to be minted: pass `--tokens-out FILE`, which gets them, or name tokens by `sha256`"
        );
        if !plan.disable.is_empty() {
            confirm(&format!("Disable {} tokens?", plan.disable.len()), self.yes)?;
        }
        let mut out = match &self.tokens_out {
            Some(path) if minted > 0 => Some(TokensOut::create(path)?),
            _ => None,
        };
        let mut rows = Rows::default();
        for entry in &plan.create {
            rows.add(&entry.record.label, create(registry, entry, out.as_mut()))?;
        }
        for Update { token, patch, .. } in &plan.update {
            rows.add(&token.label, registry.update_token(&token.digest, patch.clone()).map(drop))?;
        }
        for token in &plan.disable {
            let (version, status) = (Some(token.version), Some(Status::Disabled));
            let patch = TokenPatch { version, status, ..TokenPatch::default() };
            rows.add(&token.label, registry.update_token(&token.digest, patch).map(drop))?;
        }
        rows.check()
    }
}

/// The rows of a run: the number of those that the registry took, and those that it refused.
#[derive(Default)]
struct Rows {
    taken: usize,
    refused: Vec<String>,
}

impl Rows {
    /// Adds a row. Returns an error unless the registry took or refused the row.
    fn add(&mut self, label: &str, done: anyhow::Result<()>) -> anyhow::Result<()> {
        match done {
            Err(error) if error.is::<RefusedError>() => {
                self.refused.push(format!("{}: {error:#}", visible(label)));
            }
            done => {
                done.with_context(|| visible(label))?;
                self.taken += 1;
            }
        }
        Ok(())
    }

    /// Returns an error that names the refused rows, if there are any.
    fn check(self) -> anyhow::Result<()> {
        let Self { taken, refused } = self;
        ensure!(
            refused.is_empty(),
            "the registry refused {} of {} changes, which are not made:\n  {}",
            refused.len(),
            taken + refused.len(),
            refused.join("\n  ")
        );
        Ok(())
    }
}

fn create(registry: &dyn Operations, entry: &Entry, out: Option<&mut TokensOut>) -> anyhow::Result<()> {
    let (new, status) = (entry.record.clone(), entry.status.unwrap_or(Status::Active));
    if let Some(digest) = entry.digest {
        // An import is for administrators only, but adds a disabled token in one step.
        if status == Status::Active {
            registry.create_token(Source::Digest(digest), new)?;
            return Ok(());
        }
        let added = registry.import_tokens(vec![KnownToken { digest, new, status }])?;
        ensure!(!added.is_empty(), "the token was added meanwhile: run the command again");
        return Ok(());
    }
    let token = SecretText::mint()?;
    let out = out.context("there is no file for the token")?;
    out.put(&new.label, &token)?;
    let created = match registry.create_token(Source::Custom(token), new) {
        Err(error) if error.is::<RefusedError>() => {
            out.take_back()?;
            return Err(error);
        }
        created => created.context("the last line of the file with new tokens is not in the registry")?,
    };
    if status == Status::Disabled {
        let patch = TokenPatch { status: Some(status), ..TokenPatch::default() };
        registry.update_token(&created.record.digest, patch)?;
    }
    Ok(())
}
