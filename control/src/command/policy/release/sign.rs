//! `keyswap policy sign`: another signature for the revision that waits for signatures.

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use keyswap_core::identity::jwt::JwsSignatures;
use keyswap_core::services::{BUNDLE_TYPE, MAX_BUNDLE_BYTES};

use super::changes::{Read, changes};
use super::signatures::unsigned;
use super::signer::{Opened, Signer};
use super::verified::Verified;
use crate::command::terminal::confirm::confirm;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, visible};

/// Add your signature to the proposed revision of a policy
///
/// Where several keys must sign, `publish`, `promote` and `rollback` leave a proposal. This verifies who signed the
/// proposal, shows its changes, and asks before it signs. The last signature that is required publishes the revision.
#[derive(Args)]
#[command(
    override_usage = "keyswap policy sign <NAME> --key <FILE> --keys <FILE> [OPTIONS]",
    after_help = exit::help(
        "  keyswap policy sign prod --key second.key --keys team-keys.json --server https://keyswap.example.com\n  \
         keyswap policy sign prod --key second.key --keys team-keys.json --yes --wait 1m"
    )
)]
pub(crate) struct Sign {
    #[command(flatten)]
    signer: Signer,
}

impl Sign {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let name = visible(&self.signer.name);
        let opened = self.signer.open()?;
        let text = opened.registry.proposal(&self.signer.name)?;
        let proposal = Verified::of(&text, &self.signer.name, opened.keys.any())?.with_context(|| {
            format!(
                "none of your keys has signed the proposed revision of `{name}`: pass the public keys of the other \
                 signers with `--keys`"
            )
        })?;
        let own = serde_json::to_value(opened.key.public())?;
        if proposal.signed_by.iter().any(|kid| own.get("kid").is_some_and(|own| own == kid)) {
            bail!("this key has signed revision {} of `{name}` already", proposal.revision);
        }
        ensure!(
            proposal.follows == opened.newest.as_ref().map(Verified::as_base),
            "the proposed revision {} of `{name}` does not follow the newest one: publish anew",
            proposal.revision
        );
        self.show(&opened, &proposal)?;
        confirm("Sign this?", self.signer.yes)?;
        let jws = JwsSignatures::parse(text.trim_ascii_end().as_bytes(), MAX_BUNDLE_BYTES);
        let jws = jws.context("the proposal cannot be read")?;
        let signature = opened.key.sign_encoded(BUNDLE_TYPE, jws.payload())?;
        let signed = opened.registry.sign(&self.signer.name, &signature)?;
        self.signer.report(&opened, &signed, &proposal.document.summary())?;
        Ok(Exit::Ok)
    }

    fn show(&self, opened: &Opened, proposal: &Verified) -> anyhow::Result<()> {
        let after = Read { document: &proposal.document, policy: &proposal.policy };
        let shown = if let Some(newest) = &opened.newest {
            let before = Read { document: &newest.document, policy: &newest.policy };
            format!("from revision {}:\n{}", newest.revision, changes(before, after))
        } else {
            let document = serde_saphyr::to_string(&proposal.document.clone().into_value())?;
            format!("the first policy:\n{}", visible_lines(document.trim_end()))
        };
        if !opened.unsigned.is_empty() {
            let words = unsigned(&self.signer.name, &opened.unsigned, opened.keys.required());
            output::note(&format!("{words}: the proposal discards this"));
        }
        let expiry = proposal.expires_at.map(|at| format!(", expires at {at}")).unwrap_or_default();
        output::note(&format!(
            "{}: revision {}, signed by {} at {}{expiry}: {shown}",
            visible(&self.signer.name),
            proposal.revision,
            visible(&proposal.signed_by.join(", ")),
            visible(&proposal.created_at)
        ));
        Ok(())
    }
}

fn visible_lines(text: &str) -> String {
    text.lines().map(visible).collect::<Vec<_>>().join("\n")
}
