//! `keyswap logout`: ends the session of this device.

use anyhow::{Context as _, bail};
use clap::Args;

use super::kept::KeptArgs;
use crate::command::connection::remote::OAuth;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, visible};

/// Sign this device out: its tokens are refused at once
#[derive(Args)]
#[command(after_help = exit::help("  keyswap logout"))]
pub(crate) struct Logout {
    #[command(flatten)]
    kept: KeptArgs,
}

impl Logout {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let file = self.kept.lock()?;
        let kept = file.read()?.context("not signed in")?;
        // While the server cannot be reached the file stays: what is in it is needed to end the session.
        if let Err(refused) = OAuth::at(&kept.server)?.post("revoke", &[("token", &kept.refresh_token)])? {
            bail!("{} did not end the session: {}", kept.server, visible(&refused.error));
        }
        file.remove()?;
        output::note(&format!("signed out at {}", kept.server));
        Ok(Exit::Ok)
    }
}
