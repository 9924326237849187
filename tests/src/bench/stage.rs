//! The parts that the set-ups share: one upstream, one caller with a token and an identity, one set of real
//! credentials.

use std::{
    cell::OnceCell,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use keyswap_core::base::Digest;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    cores::{self, Cores},
    load::Loader,
    plan::Plan,
    upstream::Upstream,
};
use crate::{
    Bootstrap, Issuer, Registry, SigningKey, build,
    builds::{Build, EMPTY_FILTER, FILTER, KEYSWAP, MODULE, RELEASED_MODULE},
    tools, unix_now, with,
};

/// The upstream credentials, by the names of their variables.
pub(super) const OPENAI_API_KEY: &str = "sk-proj-bench-0123456789abcdefghijklmnopqrstuvwxyz";
pub(super) const CF_AIG_TOKEN: &str = "bench-gateway-0123456789abcdefghijklmnopqr";
/// The email address of the caller.
pub(super) const EMAIL: &str = "alice@example.com";
pub(super) const LABEL: &str = "alice-laptop";
pub(super) const ISSUER: &str = "https://id.example.com";
pub(super) const AUDIENCE: &str = "keyswap-bench";
/// The largest rate limit of a policy.
pub(super) const LIMIT: u32 = 1_000_000;
/// A number of JWTs that defeats Keyswap's cache: it holds 4096 and evicts the oldest first.
const COLD: usize = 6000;
/// The request of the OpenAI SDK, with `{token}` for the credential.
const REQUEST: &str = include_str!("../../bench/request.http");
/// The number of tokens in the largest document that the command accepts.
const MOST_TOKENS_OF_A_DOCUMENT: usize = 25_000;

/// The parts that the set-ups share.
pub struct Stage {
    pub(super) cores: Cores,
    pub(super) loader: Loader,
    /// The upstream of all set-ups.
    pub upstream: Upstream,
    /// The module of the empty filter.
    pub(super) empty_filter: PathBuf,
    /// The filter of a former release.
    pub(super) former: Option<PathBuf>,
    key: OnceCell<SigningKey>,
    is_quick: bool,
    command: OnceCell<PathBuf>,
    registry: OnceCell<(Registry, String)>,
    issuer: OnceCell<Issuer>,
    cold: OnceCell<Vec<String>>,
}

impl Stage {
    /// Prepares the parts that every run needs. In a quick run the command and the dynamic module are the tests'
    /// builds, which are not optimised.
    pub fn open(plan: &Plan) -> Result<Self> {
        cores::allow_many_sockets()?;
        let cores = Cores::of_this_machine()?;
        // Built before this thread is pinned, with all cores.
        FILTER.path()?;
        let empty_filter = EMPTY_FILTER.path()?;
        cores.keep_to_others()?;
        let loader = Loader::start(&cores)?;
        let upstream = Upstream::start(&loader)?;
        Ok(Self {
            cores,
            loader,
            upstream,
            empty_filter,
            former: plan.former.clone(),
            key: OnceCell::new(),
            is_quick: plan.quick,
            command: OnceCell::new(),
            registry: OnceCell::new(),
            issuer: OnceCell::new(),
            cold: OnceCell::new(),
        })
    }

    fn command(&self) -> Result<&PathBuf> {
        made_once(&self.command, || {
            if self.is_quick {
                return KEYSWAP.path();
            }
            self.cores
                .anywhere(|| build(&["--package", "keyswap", "--bin", "keyswap", "--profile", "optimised"]))
        })
    }

    /// Returns the dynamic module.
    pub(super) fn module(&self) -> Result<&'static Build> {
        let module: &Build = if self.is_quick { &MODULE } else { &RELEASED_MODULE };
        self.cores.anywhere(|| module.path())?;
        Ok(module)
    }

    /// Returns the key of the identity provider.
    fn key(&self) -> Result<&SigningKey> {
        made_once(&self.key, || SigningKey::rsa(0, "bench"))
    }

    /// Returns the registry and its token.
    pub(super) fn registry(&self) -> Result<(&Registry, &str)> {
        let make = || {
            let registry = Registry::setup().command(self.command()?).start()?;
            let made =
                registry.create_token(&json!({"label": LABEL, "owner": EMAIL, "providers": ["openai"]}))?;
            let token = made["token"].as_str().context("the registry made no token")?.to_owned();
            Ok((registry, token))
        };
        made_once(&self.registry, make).map(|(registry, token)| (registry, token.as_str()))
    }

    /// Returns the identity provider of [`ISSUER`].
    pub(super) fn issuer(&self) -> Result<&Issuer> {
        made_once(&self.issuer, || Issuer::start(ISSUER, &[self.key()?]))
    }

    /// Returns the key set of the identity provider.
    pub(super) fn key_set(&self) -> Result<String> {
        Ok(String::from_utf8(Issuer::key_set(&[self.key()?]))?)
    }

    /// Returns an identity JWT of the caller.
    pub(super) fn jwt(&self) -> Result<String> {
        self.key()?.sign(&Self::claims())
    }

    /// Returns identity JWTs of different sessions, more than Keyswap caches.
    pub(super) fn cold_jwts(&self) -> Result<&[String]> {
        let key = self.key()?;
        let sign = |number| key.sign(&with(&Self::claims(), &json!({"jti": format!("{number:036}")})));
        let count = if self.is_quick { COLD / 100 } else { COLD };
        made_once(&self.cold, || (0..count).map(sign).collect()).map(Vec::as_slice)
    }

    /// Returns a JWT with the signature of another one.
    pub(super) fn forged_jwt(&self) -> Result<String> {
        let (genuine, other) = (self.jwt()?, self.key()?.sign(&with(&Self::claims(), &json!({"sub": "m"})))?);
        let (text, _) = genuine.rsplit_once('.').context("a JWT has dots")?;
        let (_, signature) = other.rsplit_once('.').context("a JWT has dots")?;
        Ok(format!("{text}.{signature}"))
    }

    fn claims() -> Value {
        json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": "00u1a2b3c4d5e6f7g8h9", "email": EMAIL, "email_verified": true,
            "iat": unix_now() - 10, "nbf": unix_now() - 10, "exp": unix_now() + 86_400,
            "jti": "a6f1c2de-0b7e-4d5c-9a53-3f1f5f0c9b11", "name": "Alice Example",
        })
    }

    /// Returns a request of the caller's SDK with this credential.
    pub(super) fn request(credential: &str) -> String {
        REQUEST.replace("{token}", credential).replace('\n', "\r\n")
    }

    /// Returns the shipped policy without tokens, which come from the registry or from the issuer.
    pub(super) fn policy(registry: &Registry) -> Result<Value> {
        let shipped = Bootstrap::shipped()?.policy()?;
        Ok(with(
            &shipped,
            &json!({
                "tokens": null,
                // No body is read, unless a set-up has rules on it.
                "objects": "shared",
                "credentials": {"openai": [{"env": "OPENAI_API_KEY"}], "cf_aig": [{"env": "CF_AIG_TOKEN"}]},
                "registry": {
                    "url": registry.url(), "cluster": "keyswap-registry",
                    "credential": {"env": "KEYSWAP_REGISTRY_TOKEN"},
                },
                // The limit is large enough to refuse no request, and refills so slowly that no budget is full between
                // two requests. Full budgets are not stored, which would make counting too cheap.
                "rate_limit": {"requests": LIMIT, "per": "600s"},
            }),
        ))
    }

    /// Returns a registry with `count` tokens (see [`numbered_token`]), and the folder of its database.
    pub(super) fn registry_of(&self, count: usize) -> Result<(Registry, TempDir)> {
        let folder = tempfile::tempdir()?;
        let database = format!("sqlite://{}", folder.path().join("registry.db").display());
        let numbers: Vec<usize> = (0..count).collect();
        for part in numbers.chunks(MOST_TOKENS_OF_A_DOCUMENT) {
            let document = folder.path().join("tokens.json");
            fs::write(&document, json!({"tokens": records(part.iter().copied())}).to_string())?;
            self.import(&document, &database)?;
        }
        let registry = Registry::setup().command(self.command()?).database(&database).start()?;
        Ok((registry, folder))
    }

    fn import(&self, document: &Path, database: &str) -> Result<()> {
        let mut import = Command::new(self.command()?);
        import.args(["token", "import"]).arg(document).args(["--database", database]);
        tools::run(&mut import, "it was built a moment ago").map(drop)
    }
}

/// Returns the token of a number.
pub(super) fn numbered_token(number: usize) -> String {
    format!("ptk_{number:032}")
}

/// Returns records of tokens, in the form of a policy's `tokens`.
pub(super) fn records(numbers: impl Iterator<Item = usize>) -> Vec<Value> {
    let record = |number| {
        json!({
            "sha256": Digest::of(numbered_token(number).as_bytes()).to_hex(),
            "label": format!("token {number}"), "owner": EMAIL, "providers": ["openai"],
        })
    };
    numbers.map(record).collect()
}

/// Returns the cell's value, which is made on first use. The standard library's fallible variant is not stable.
fn made_once<T>(cell: &OnceCell<T>, make: impl FnOnce() -> Result<T>) -> Result<&T> {
    if let Some(value) = cell.get() {
        return Ok(value);
    }
    let value = make()?;
    Ok(cell.get_or_init(|| value))
}
