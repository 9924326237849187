//! The argument that names the subject of a budget.

use clap::Args;
use keyswap_core::base::Digest;

use crate::command::connection::operations::Operations;
use crate::command::token::Selector;
use crate::registry::Payer;

/// The argument that names the subject.
#[derive(Args)]
pub(super) struct Subject {
    /// Subject of the budget: `token:TOKEN`, `owner:EMAIL` or `team:NAME`
    ///
    /// TOKEN is a label, the beginning of a label, or digits of a SHA-256, as in `token show`; `token:-` reads the token
    /// itself from standard input. All 64 digits also name a principal that the registry does not know, such as a token
    /// of a policy or a person.
    subject: String,
}

impl Subject {
    pub(super) fn find(&self, registry: &dyn Operations) -> anyhow::Result<Payer> {
        match self.subject.strip_prefix("token:") {
            Some(token) => Ok(Payer::Token(principal(token, registry)?)),
            None => Ok(Payer::parse(&self.subject)?),
        }
    }
}

/// Returns the digest of a principal, by all of its digits or as a token of the registry.
pub(in crate::command) fn principal(token: &str, registry: &dyn Operations) -> anyhow::Result<Digest> {
    match Digest::from_hex(&token.to_ascii_lowercase()) {
        Some(digest) => Ok(digest),
        None => Ok(Selector::of(token).find(registry)?.digest),
    }
}
