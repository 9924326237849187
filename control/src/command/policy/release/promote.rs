//! `keyswap policy promote`: a greater share for a candidate, or its promotion to the stable policy.

use clap::Args;

use super::next_revision::Release;
use crate::command::terminal::exit::{self, Exit};

/// Promote the candidate to the policy in force, or change its share
///
/// Shows the changes and asks before it signs. With `--percent` it stays a candidate, with another share of principals. Raising the share only adds principals.
#[derive(Args)]
#[command(
    override_usage = "keyswap policy promote <NAME> --key <FILE> [OPTIONS]",
    after_help = exit::help(
        "  keyswap policy promote prod --percent 10 --key policy.key\n  keyswap policy promote prod --key policy.key"
    )
)]
pub(crate) struct Promote {
    #[command(flatten)]
    release: Release,
    /// New share of principals that the candidate decides for, from 0 to 100
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    percent: Option<u8>,
}

impl Promote {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let opened = self.release.signer.open()?;
        let newest = opened.newest()?.document.clone();
        let document = match self.percent {
            Some(percent) => newest.with_percent(percent)?,
            None => newest.promoted()?,
        };
        self.release.publish(&opened, document, None)
    }
}
