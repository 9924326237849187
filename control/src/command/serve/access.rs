//! The arguments of `keyswap serve` for sign-in by Cloudflare Access.

use clap::Args;

use crate::server::AccessSettings;

/// The settings of sign-in by Cloudflare Access. The issuer, an audience and an administrator are given together or not
/// at all.
#[derive(Args)]
#[command(next_help_heading = "Sign-in by Cloudflare Access")]
pub(super) struct AccessArgs {
    /// Cloudflare Access team that administrators sign in with, such as `https://acme.cloudflareaccess.com`
    #[arg(
        long = "access-issuer",
        env = "KEYSWAP_ACCESS_ISSUER",
        value_name = "URL",
        requires_all = ["audience", "admin"]
    )]
    issuer: Option<String>,
    /// Audience tag of the Access application in front of the registry; repeatable
    #[arg(
        long = "access-audience",
        env = "KEYSWAP_ACCESS_AUDIENCE",
        value_name = "AUD",
        value_delimiter = ',',
        requires = "issuer"
    )]
    audience: Vec<String>,
    /// Email address of an administrator; repeatable
    #[arg(
        long = "access-admin",
        env = "KEYSWAP_ACCESS_ADMIN",
        value_name = "EMAIL",
        value_delimiter = ',',
        requires = "issuer"
    )]
    admin: Vec<String>,
    /// URL of the team's signing keys, if not at the issuer; plain HTTP only for a loopback address
    #[arg(
        long = "access-keys-url",
        env = "KEYSWAP_ACCESS_KEYS_URL",
        value_name = "URL",
        requires = "issuer"
    )]
    keys_url: Option<String>,
}

impl AccessArgs {
    pub(super) fn settings(self) -> Option<AccessSettings> {
        Some(AccessSettings {
            issuer: self.issuer?,
            audiences: self.audience,
            admins: self.admin,
            keys_url: self.keys_url,
        })
    }
}
