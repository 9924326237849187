//! The arguments of `keyswap serve` for sign-in of devices.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Args;

use crate::command::rate;
use crate::command::terminal::input;
use crate::server::{SessionIssuer, SessionSettings};
use crate::signing::{MAX_KEY_BYTES, SigningKey};

/// The settings of sessions on devices. Without a key there are none.
#[derive(Args)]
#[command(next_help_heading = "Sign-in of devices")]
pub(super) struct SessionArgs {
    /// File with a private key that signs the JWTs of sessions, as `policy keygen` writes it; repeatable
    ///
    /// The first key signs. The public keys of all are published, so that a key can be replaced. Use another key than for policies
    /// and records.
    #[arg(
        long = "session-key",
        env = "KEYSWAP_SESSION_KEY",
        value_name = "FILE",
        value_delimiter = ',',
        requires = "public_url"
    )]
    session_key: Vec<PathBuf>,
    /// Audience of the JWTs of sessions, which policies name
    #[arg(
        long = "session-audience",
        env = "KEYSWAP_SESSION_AUDIENCE",
        value_name = "AUD",
        default_value = "keyswap"
    )]
    session_audience: String,
    /// Lifetime of a JWT of a session, from `1m` to `1h`
    #[arg(
        long = "session-jwt-lifetime",
        env = "KEYSWAP_SESSION_JWT_LIFETIME",
        value_name = "TIME",
        default_value = "15m",
        value_parser = rate::parse_timeout
    )]
    jwt_lifetime: Duration,
}

impl SessionArgs {
    /// Returns the issuer of sessions, `None` without a key. `public_url` is the address of the server, `has_people` is set if people
    /// sign in under their own names.
    pub(super) fn issuer(
        self,
        public_url: Option<&str>,
        has_people: bool,
    ) -> anyhow::Result<Option<SessionIssuer>> {
        if self.session_key.is_empty() {
            return Ok(None);
        }
        ensure!(
            has_people,
            "people sign devices in under their own names: give `--oidc-issuer` or `--access-issuer`, too"
        );
        let key = |path: &PathBuf| {
            SigningKey::read(&input::read(path, MAX_KEY_BYTES)?)
                .with_context(|| format!("cannot sign sessions with {}", input::name(path)))
        };
        let settings = SessionSettings {
            public_url: public_url.context("`--session-key` needs `--public-url`")?.to_owned(),
            keys: self.session_key.iter().map(key).collect::<anyhow::Result<_>>()?,
            audience: self.session_audience,
            jwt_lifetime: self.jwt_lifetime,
        };
        SessionIssuer::new(settings).map(Some)
    }
}
