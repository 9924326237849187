//! The argument that selects a token, without the token itself on the command line.

use std::fmt::Write as _;

use anyhow::bail;
use clap::Args;
use keyswap_core::base::Digest;

use super::{stdin, view};
use crate::command::connection::operations::{Operations, collect};
use crate::command::terminal::output::visible;
use crate::registry::{Listing, RegistryError, Token};

/// The fewest digits of a SHA-256 that select a token.
const MIN_DIGITS: usize = 8;

/// The most matches that an error lists.
const MAX_LISTED: usize = 10;

/// The argument that selects the token of a subcommand.
#[derive(Args)]
pub(in crate::command) struct Selector {
    /// Label of the token, the beginning of its label, or the first 8 or more digits of its SHA-256
    ///
    /// `-` reads the token itself from standard input. It is not accepted as an argument, which other users could read.
    #[arg(value_name = "TOKEN")]
    token: String,
}

impl Selector {
    pub(in crate::command) fn of(token: &str) -> Self {
        Self { token: token.to_owned() }
    }

    /// Returns the selected token. No match, or more than one, is an error. Errors do not quote the argument: it may be
    /// a token.
    pub(in crate::command) fn find(&self, registry: &dyn Operations) -> anyhow::Result<Token> {
        if self.token == "-" {
            let token = stdin::read_token()?;
            let digest = Digest::of(token.expose().as_bytes());
            return registry.token(&digest);
        }
        if self.token.starts_with("ptk_") {
            bail!(
                "other users can read a process's arguments: pass the token on standard input, and `-` here"
            );
        }
        if self.token.trim().is_empty() {
            bail!("no token given: pass its label or digits of its SHA-256");
        }
        if let Some(digest) = Digest::from_hex(&self.token.to_ascii_lowercase()) {
            return registry.token(&digest);
        }
        let mut candidates = self.candidates(registry)?;
        // A token whose whole label matches is preferred to longer labels, and not to one with these digits: others choose labels, too.
        let is_whole = |token: &Token| token.label == self.token;
        if candidates.iter().any(is_whole) {
            candidates.retain(|token| is_whole(token) || self.has_digits(token));
        }
        match (candidates.pop(), candidates.len()) {
            (None, _) => Err(RegistryError::UnknownToken.into()),
            (Some(token), 0) => Ok(token),
            (Some(last), _) => {
                candidates.push(last);
                Err(anyhow::Error::msg(ambiguous(&candidates)))
            }
        }
    }

    fn candidates(&self, registry: &dyn Operations) -> anyhow::Result<Vec<Token>> {
        let listing = Listing { search: Some(self.token.clone()), ..Listing::default() };
        let page = collect(listing, usize::MAX, |listing| registry.tokens(listing))?;
        Ok(page.items.into_iter().filter(|token| self.matches(token)).collect())
    }

    fn matches(&self, token: &Token) -> bool {
        self.has_digits(token) || token.label.starts_with(&self.token)
    }

    fn has_digits(&self, token: &Token) -> bool {
        let digits = self.token.to_ascii_lowercase();
        digits.len() >= MIN_DIGITS && token.digest.to_hex().starts_with(&digits)
    }
}

fn ambiguous(matches: &[Token]) -> String {
    let mut text = format!("{} tokens match: select one by digits of its SHA-256", matches.len());
    for token in matches.iter().take(MAX_LISTED) {
        let _ = write!(text, "\n{}  {}  {}", token.id(), view::status(token), visible(&token.label));
    }
    if matches.len() > MAX_LISTED {
        let _ = write!(text, "\nand {} more", matches.len() - MAX_LISTED);
    }
    text
}
