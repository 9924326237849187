//! `keyswap policy promote`: a candidate decides for more, and at last for all.

use clap::Args;

use super::next_revision::Release;
use crate::command::terminal::exit::{self, Exit};

/// Let the candidate decide for a greater share, or put it in the place of the policy in force
///
/// With `--percent` it goes on being a candidate. Who was in a smaller share is in the greater one, too.
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
    /// The share of principals for which the candidate decides from now on, from 0 to 100
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    percent: Option<u8>,
}

impl Promote {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let opened = self.release.open()?;
        let newest = opened.newest()?;
        let document = match self.percent {
            Some(percent) => newest.with_percent(percent)?,
            None => newest.promoted()?,
        };
        self.release.publish(&opened, document, None)
    }
}
