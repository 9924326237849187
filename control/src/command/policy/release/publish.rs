//! `keyswap policy publish`: a new policy for data planes, or a candidate beside the policy in force.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use keyswap_core::services::MAX_REVISION;

use super::document::{Fallback, Trial};
use super::next_revision::{Release, read};
use crate::command::rate;
use crate::command::terminal::exit::{self, Exit};

/// Sign and publish a policy, or a candidate to compare with the policy in force
///
/// Data planes with `keyswap-bundle/v1` fetch the policy within seconds and verify its signature. They keep their
/// current policy if the new one is not valid. With `--candidate` the policy in force stays: the candidate decides for
/// a share of principals, and both policies are compared. The metric `keyswap_divergences` counts the requests that
/// they decide differently. Without `--candidate` the trial of a present candidate ends.
///
/// Shows the changes from the newest revision and asks before it signs. The first revision of a name is signed at once.
#[derive(Args)]
#[command(
    override_usage = "keyswap policy publish <NAME> <FILE> --key <FILE> [OPTIONS]",
    after_help = exit::help(
        "  keyswap policy publish prod policy.yaml --key policy.key --server https://keyswap.example.com\n  \
         keyswap policy publish prod next.yaml --candidate --percent 0 --key policy.key --yes --wait 1m"
    )
)]
pub(crate) struct Publish {
    #[command(flatten)]
    release: Release,
    /// Policy to publish, in YAML or JSON; `-` reads standard input
    #[arg(value_name = "FILE")]
    policy: PathBuf,
    /// Publish it as a candidate beside the policy in force, replacing the present candidate
    #[arg(long)]
    candidate: bool,
    /// Share of principals that the candidate decides for, from 0 to 100
    #[arg(long, value_name = "PERCENT", requires = "candidate", default_value_t = 0,
          value_parser = clap::value_parser!(u8).range(0..=100))]
    percent: u8,
    /// Share of requests that both policies judge, to compare them, from 0 to 100 (default: 100)
    #[arg(long, value_name = "PERCENT", requires = "candidate", value_parser = clap::value_parser!(u8).range(0..=100))]
    compare: Option<u8>,
    /// Number of different callers in a period, such as `5/5m`: when the candidate alone has refused requests of so many, it
    /// decides for none
    ///
    /// The policy in force then decides for all callers of that data plane, and the candidate is only compared. Another
    /// candidate or another share begins anew.
    #[arg(long, value_name = "CALLERS/TIME", requires = "candidate", value_parser = rate::parse_fallback)]
    fall_back: Option<(u32, u32)>,
    /// Revision number to use in place of the next; must be greater than all earlier numbers, in data planes also
    ///
    /// At most 1000000 greater than the newest. For a registry that was restored from a backup: data planes refuse revisions that are older than their own.
    #[arg(long, value_name = "NUMBER", conflicts_with = "candidate",
          value_parser = clap::value_parser!(u64).range(1..=MAX_REVISION))]
    revision: Option<u64>,
    /// Discard newer revisions in the registry that none of the keys has signed
    ///
    /// For a registry that another party has written to. Revisions that a registered key has signed stay.
    #[arg(long, conflicts_with = "candidate")]
    discard_unsigned: bool,
}

impl Publish {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let policy = match read(&self.policy, self.release.signer.target.format)? {
            Ok(policy) => policy,
            Err(exit) => return Ok(exit),
        };
        let opened = self.release.signer.open()?;
        if self.candidate {
            if policy.candidate.is_some() {
                bail!("a rollout cannot be a candidate: publish it without `--candidate`, or pass a policy");
            }
            let document = opened.newest()?.document.clone().with_candidate(Trial {
                policy: policy.stable,
                percent: self.percent,
                compare: self.compare,
                fallback: self.fall_back.map(Fallback::from),
            });
            return self.release.publish(&opened, document, None);
        }
        if !self.discard_unsigned {
            opened.require_signed()?;
        }
        self.release.publish(&opened, policy, self.revision)
    }
}
