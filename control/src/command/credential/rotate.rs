//! `keyswap credential rotate`: a second credential for a holder that has one, shown once.

use clap::Args;

use super::create::show;
use crate::command::connection::target::Target;
use crate::command::terminal::exit::{self, Exit};
use crate::registry::RegistryError;

/// Create the successor of a credential and print it once; both are accepted until the older one is revoked
///
/// Give the successor to the holder. When `keyswap credential list` shows that the older one is no longer in use, revoke it
/// with `keyswap credential revoke NAME --older`.
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap credential rotate istio-prod --database sqlite://keyswap.db > registry-token"
))]
pub(crate) struct Rotate {
    /// Name of the holder
    name: String,
    #[command(flatten)]
    target: Target,
}

impl Rotate {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let registry = self.target.open()?;
        let present = registry.credentials()?.into_iter().find(|credential| credential.name == self.name);
        let role = present.ok_or(RegistryError::UnknownCredential)?.role;
        show(&registry.create_credential(&self.name, role)?, self.target.format)
    }
}
