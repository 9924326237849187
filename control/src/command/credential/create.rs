//! `keyswap credential create`: a new credential in a registry, shown once.

use clap::{Args, ValueEnum};
use serde_json::json;

use super::view;
use crate::command::connection::target::Target;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format};
use crate::registry::{NewCredential, Role};

/// Create a credential and print it once
///
/// A name may have two credentials at a time; `keyswap credential rotate` makes the second. Standard output has
/// the credential alone; `--format json` prints `{"credential", "sha256", "record"}`.
#[derive(Args)]
#[command(after_help = exit::help(
    "  KEYSWAP_REGISTRY_TOKEN=$(keyswap credential create istio-prod --database sqlite://keyswap.db)"
))]
pub(crate) struct Create {
    /// Name of the holder, such as the cluster or the service
    name: String,
    /// Right of the credential
    #[arg(long, value_enum, default_value_t = RoleName::DataPlane)]
    role: RoleName,
    #[command(flatten)]
    target: Target,
}

/// The role of a credential on the command line.
#[derive(Clone, Copy, ValueEnum)]
enum RoleName {
    /// All of the data-plane API
    #[value(name = "data_plane")]
    DataPlane,
    /// Token introspection only
    Introspection,
    /// The registry's metrics only
    Metrics,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::DataPlane => Self::DataPlane,
            RoleName::Introspection => Self::Introspection,
            RoleName::Metrics => Self::Metrics,
        }
    }
}

impl Create {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let created = self.target.open_or_make()?.create_credential(&self.name, self.role.into())?;
        show(&created, self.target.format)
    }
}

/// Prints a new credential, which nothing shows again.
pub(super) fn show(
    NewCredential { credential, record }: &NewCredential,
    format: Format,
) -> anyhow::Result<Exit> {
    let credential = credential.expose();
    match format {
        Format::Human => {
            output::note("# The credential is shown only once: store it now.");
            output::print(credential)?;
            output::note(&view::table(std::slice::from_ref(record)).as_paragraphs());
        }
        Format::Json => output::print_json(
            &json!({"credential": credential, "sha256": record.digest.to_hex(), "record": record}),
        )?,
    }
    Ok(Exit::Ok)
}
