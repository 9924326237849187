//! `keyswap session token`: prints a JWT of this device's session, for the helpers of coding agents.
//!
//! Standard output has the token and nothing else. Concurrent calls are served one after another.

use anyhow::{Context as _, bail};
use clap::Args;

use super::kept::{Kept, KeptArgs, now};
use crate::command::connection::remote::OAuth;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output;

/// Print a token that is valid now: for the key helper of a coding agent
///
/// The token is refreshed when half of its lifetime is over. Nothing else is printed to standard output.
#[derive(Args)]
#[command(after_help = exit::help("  keyswap session token"))]
pub(crate) struct Token {
    #[command(flatten)]
    kept: KeptArgs,
}

impl Token {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let file = self.kept.lock()?;
        let kept = file.read()?.context("not signed in: run `keyswap login --server URL`")?;
        let now = now();
        if now < kept.refresh_at {
            output::print(&kept.access_token)?;
            return Ok(Exit::Ok);
        }
        let fields = [("grant_type", "refresh_token"), ("refresh_token", kept.refresh_token.as_str())];
        match OAuth::at(&kept.server)?.post("token", &fields) {
            Ok(Ok(body)) => {
                let next = Kept::read(kept.server, &body)?;
                // The token is printed even if it cannot be kept: the one in the file is of no use any more.
                let written = file.write(&next);
                output::print(&next.access_token)?;
                written?;
            }
            Ok(Err(refused)) if refused.error == "invalid_grant" => {
                file.remove()?;
                bail!("the session has ended: run `keyswap login --server {}`", kept.server);
            }
            Ok(Err(refused)) if now >= kept.expires_at => {
                bail!("{} gave no token: {}", kept.server, output::visible(&refused.error));
            }
            Err(error) if now >= kept.expires_at => return Err(error),
            // The present token is valid still.
            Ok(Err(_)) | Err(_) => output::print(&kept.access_token)?,
        }
        Ok(Exit::Ok)
    }
}
