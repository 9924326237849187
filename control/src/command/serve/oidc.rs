//! The arguments of `keyswap serve` for sign-in by an `OpenID` provider.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use crate::command::secret_variable;
use crate::command::terminal::input;
use crate::server::OidcSettings;

/// The longest file of rules.
const MAX_ROLES_BYTES: usize = 256 * 1024;

/// The settings of the provider. The issuer, the client's id, the roles and the address of the server are given together or not at
/// all.
#[derive(Args)]
#[command(next_help_heading = "Sign-in by an OpenID provider")]
pub(super) struct OidcArgs {
    /// `OpenID` provider that administrators sign in with, by its issuer such as `https://id.example.com/realms/acme`
    #[arg(
        long = "oidc-issuer",
        env = "KEYSWAP_OIDC_ISSUER",
        value_name = "URL",
        requires_all = ["client_id", "roles", "public_url"]
    )]
    oidc_issuer: Option<String>,
    /// Id of this server at the provider
    #[arg(
        long = "oidc-client-id",
        env = "KEYSWAP_OIDC_CLIENT_ID",
        value_name = "ID",
        requires = "oidc_issuer"
    )]
    client_id: Option<String>,
    /// File with the secret of this server at the provider; without it the server is a public client
    #[arg(
        long = "oidc-client-secret-file",
        env = "KEYSWAP_OIDC_CLIENT_SECRET_FILE",
        value_name = "FILE",
        requires = "oidc_issuer"
    )]
    client_secret_file: Option<PathBuf>,
    /// File with the rules that give roles to people by their claims, in YAML or JSON
    #[arg(long = "oidc-roles", env = "KEYSWAP_OIDC_ROLES", value_name = "FILE", requires = "oidc_issuer")]
    roles: Option<PathBuf>,
    /// Scope to ask for beside `openid`; repeatable
    #[arg(
        long = "oidc-scope",
        env = "KEYSWAP_OIDC_SCOPE",
        value_name = "SCOPE",
        value_delimiter = ',',
        default_value = "email"
    )]
    scopes: Vec<String>,
    /// URL of the provider's signing keys, if not at the issuer's host; plain HTTP only for a loopback address
    #[arg(
        long = "oidc-keys-url",
        env = "KEYSWAP_OIDC_KEYS_URL",
        value_name = "URL",
        requires = "oidc_issuer"
    )]
    oidc_keys_url: Option<String>,
    /// Address at which administrators reach this server; the provider sends them back there
    #[arg(long = "public-url", env = "KEYSWAP_PUBLIC_URL", value_name = "URL")]
    pub(super) public_url: Option<String>,
}

impl OidcArgs {
    /// Returns the settings, `None` if there is no provider.
    pub(super) fn settings(self) -> anyhow::Result<Option<OidcSettings>> {
        let (Some(issuer), Some(client_id), Some(roles), Some(public_url)) =
            (self.oidc_issuer, self.client_id, self.roles, self.public_url)
        else {
            return Ok(None);
        };
        let secret =
            |path: PathBuf| secret_variable::OIDC_CLIENT_SECRET.read_file("--oidc-client-secret-file", &path);
        Ok(Some(OidcSettings {
            issuer,
            client_id,
            client_secret: self.client_secret_file.map(secret).transpose()?,
            roles: input::read(&roles, MAX_ROLES_BYTES).context("`--oidc-roles`")?,
            scopes: self.scopes,
            keys_url: self.oidc_keys_url,
            public_url,
        }))
    }
}
