//! `keyswap policy publish`: another policy for the data planes, or a candidate beside the one they have.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use super::document::{Fallback, Trial};
use super::next_revision::{Release, read};
use crate::command::rate;
use crate::command::terminal::exit::{self, Exit};
use crate::registry::RateLimit;

/// Sign a policy and put it in force, or try it beside the one that is
///
/// Data planes with `keyswap-bundle/v1` fetch it within seconds, check the signature, and keep what they have if it does
/// not hold. With `--candidate` the policy in force stays; the candidate decides for a share of principals, and both are
/// compared, so that metrics tell whom the change would break: `keyswap_divergences`.
#[derive(Args)]
#[command(
    override_usage = "keyswap policy publish <NAME> <FILE> --key <FILE> [OPTIONS]",
    after_help = exit::help(
        "  keyswap policy publish prod policy.yaml --key policy.key --server https://keyswap.example.com\n  \
         keyswap policy publish prod next.yaml --candidate --percent 0 --key policy.key --wait 1m"
    )
)]
pub(crate) struct Publish {
    #[command(flatten)]
    release: Release,
    /// The policy, in YAML or JSON; `-` is standard input
    #[arg(value_name = "FILE")]
    policy: PathBuf,
    /// Try it beside the policy in force, in place of a candidate that is tried already
    #[arg(long)]
    candidate: bool,
    /// The share of principals for which the candidate decides, from 0 to 100
    #[arg(long, value_name = "PERCENT", requires = "candidate", default_value_t = 0,
          value_parser = clap::value_parser!(u8).range(0..=100))]
    percent: u8,
    /// The share of requests that both decide, to compare them: 100 unless this says less
    #[arg(long, value_name = "PERCENT", requires = "candidate", value_parser = clap::value_parser!(u8).range(0..=100))]
    compare: Option<u8>,
    /// So many requests that only the candidate refuses, in such a time, take it back until the next revision: `20/5m`
    #[arg(long, value_name = "REFUSALS/TIME", requires = "candidate", value_parser = rate::parse)]
    fall_back: Option<RateLimit>,
    /// Another number than the next; it must be greater than all there were, in data planes also
    ///
    /// For a registry that was put back to an earlier state: data planes refuse what is older than what they have.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..=i64::MAX as u64))]
    revision: Option<u64>,
}

impl Publish {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let policy = match read(&self.policy, self.release.target.format)? {
            Ok(policy) => policy,
            Err(exit) => return Ok(exit),
        };
        let opened = self.release.open()?;
        let document = if self.candidate {
            if policy.candidate.is_some() {
                bail!("a rollout cannot be a candidate: publish it as it is, or name a policy");
            }
            opened.newest()?.with_candidate(Trial {
                policy: policy.stable,
                percent: self.percent,
                compare: self.compare,
                fallback: self.fall_back.map(Fallback::from),
            })
        } else {
            policy
        };
        self.release.publish(&opened, document, self.revision)
    }
}
