//! The test bed: Keyswap in a host, the stand-in behind it, and the issuers that the policy trusts.
//!
//! The default policy has no gateway, and one token for all providers.

use std::ops::Deref;

use anyhow::{Context as _, Result, ensure};
use keyswap_core::base::Digest;
use serde_json::{Value, json};

use crate::{
    Envoy, Issuer, Received, Request, Response, Server, Setup, Standin, Wasmtime, WasmtimeSetup,
    clients::matrix::Provider,
};

/// The token of [`Testbed::policy`].
pub const TOKEN: &str = "ptk_of-the-testbed-0123456789abcdefghij";

const KEYS: [(&str, &str); 3] = [
    ("OPENAI_API_KEY", "sk-real-openai"),
    ("ANTHROPIC_API_KEY", "sk-real-anthropic"),
    ("GEMINI_API_KEY", "real-gemini-key"),
];

/// Keyswap in a host, with its surroundings.
pub struct Testbed<H = Envoy> {
    /// The upstreams.
    pub standin: Standin,
    /// The host that runs Keyswap.
    pub host: H,
    /// The issuers of the policy. They answer until the test bed is dropped.
    pub issuers: Vec<Issuer>,
}

impl<H> Testbed<H> {
    /// Starts a stand-in and a host in front of it.
    pub fn with(start: impl FnOnce(&Standin) -> Result<H>) -> Result<Self> {
        let standin = Standin::start()?;
        let host = start(&standin)?;
        Ok(Self { standin, host, issuers: Vec::new() })
    }

    /// Takes the requests since the last call. [`TOKEN`] must not occur in them.
    pub fn take_clean(&self) -> Result<Vec<Received>> {
        self.standin.take_without(&[TOKEN])
    }

    /// Takes the requests like [`Self::take_clean`], and returns the last. There must be one or more.
    pub fn take_last(&self) -> Result<Received> {
        self.take_clean()?.pop().context("nothing reached the upstream")
    }
}

impl<H: Deref<Target = Server>> Testbed<H> {
    /// Sends a request that must reach the upstream, or be refused without reaching it. `expected` is the
    /// [`Response::verdict`].
    pub fn expect(&self, what: &str, request: &Request, expected: &str) -> Result<Response> {
        let response = self.host.send(request)?;
        let found = response.verdict();
        ensure!(found == expected, "{what}: {found} instead of {expected}: {}", response.text());
        let arrived = self.standin.take().len();
        ensure!(arrived == usize::from(expected == "200"), "{what}: {arrived} requests arrived");
        Ok(response)
    }
}

impl Testbed {
    /// Starts an Envoy with [`Self::policy`].
    pub fn start() -> Result<Self> {
        Self::with(|standin| Self::setup(standin).start())
    }

    /// Starts an Envoy that trusts these issuers, with clusters named after their hosts. `change` is applied last.
    pub fn trusting(
        issuers: Vec<Issuer>,
        policy: &Value,
        change: impl FnOnce(Setup) -> Setup,
    ) -> Result<Self> {
        let bed = Self::with(|standin| {
            let setup = Self::setup_with(policy, standin);
            let reach =
                |setup: Setup, issuer: &Issuer| setup.cluster(issuer.host(), issuer.server().address());
            change(issuers.iter().fold(setup, reach)).start()
        })?;
        Ok(Self { issuers, ..bed })
    }

    /// Returns the set-up of an Envoy in front of `standin`.
    pub fn setup(standin: &Standin) -> Setup {
        Self::setup_with(&Self::policy(), standin)
    }

    /// Returns the set-up of an Envoy in front of `standin`, with another policy for the same credentials.
    pub fn setup_with(policy: &Value, standin: &Standin) -> Setup {
        let setup = Envoy::with(policy).upstream(standin);
        KEYS.into_iter().fold(setup, |setup, (name, value)| setup.env(name, value))
    }

    /// Returns the set-up of a Wasmtime in front of `standin`.
    pub fn wasmtime(standin: &Standin) -> WasmtimeSetup {
        let setup = Wasmtime::with(&Self::policy()).upstream(standin);
        KEYS.into_iter().fold(setup, |setup, (name, value)| setup.env(name, value))
    }

    /// Returns a policy without a gateway, with all providers and one token.
    pub fn policy() -> Value {
        let token = json!({
            "sha256": Digest::of(TOKEN.as_bytes()).to_hex(),
            "label": "alice-laptop",
            "providers": ["openai", "anthropic", "gemini", "gemini:files"],
        });
        json!({
            "version": "keyswap/v1",
            "tokens": [token],
            "credentials": {
                "openai": [{"env": "OPENAI_API_KEY"}],
                "anthropic": [{"env": "ANTHROPIC_API_KEY"}],
                "gemini": [{"env": "GEMINI_API_KEY"}],
            },
        })
    }

    /// Returns the section `registry` of a policy, with the names of the shipped bootstrap.
    pub fn registry() -> Value {
        json!({
            "url": "http://registry.test", "plaintext": "trusted_network", "cluster": "keyswap-registry",
            "credential": {"env": "KEYSWAP_REGISTRY_TOKEN"},
        })
    }

    /// Returns a policy without a gateway, with one provider, for tokens of [`Self::registry`] only.
    pub fn registry_policy() -> Value {
        json!({
            "version": "keyswap/v1",
            "registry": Self::registry(),
            "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
        })
    }
}

impl Provider {
    /// Returns the name in a policy.
    pub fn id(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini | Self::GeminiOpenAi => "gemini",
        }
    }

    /// Returns the expected host of the provider's requests.
    pub fn host(self) -> &'static str {
        match self {
            Self::OpenAi => "api.openai.com",
            Self::Anthropic => "api.anthropic.com",
            Self::Gemini | Self::GeminiOpenAi => "generativelanguage.googleapis.com",
        }
    }

    /// Returns the expected credential of the provider's requests, with its slot.
    pub fn credential(self) -> String {
        let [(_, openai), (_, anthropic), (_, gemini)] = KEYS;
        match self {
            Self::OpenAi => format!("authorization: Bearer {openai}"),
            Self::Anthropic => format!("x-api-key: {anthropic}"),
            Self::Gemini => format!("x-goog-api-key: {gemini}"),
            Self::GeminiOpenAi => format!("authorization: Bearer {gemini}"),
        }
    }

    /// Ensures that a request has the expected host and exactly the expected credential.
    pub fn check(self, request: &Received) -> Result<()> {
        let arrived = (request.sni.as_str(), request.header("host"));
        ensure!(arrived == (self.host(), Some(self.host())), "at the wrong host: {request:?}");
        self.check_credentials(request)
    }

    /// Ensures that a request has exactly the expected credential.
    pub fn check_credentials(self, request: &Received) -> Result<()> {
        ensure!(request.credentials() == [self.credential()], "not the one credential: {request:?}");
        for (name, key) in KEYS {
            let headers = request.headers.iter();
            let holding =
                headers.filter(|(_, value)| value.windows(key.len()).any(|part| part == key.as_bytes()));
            let expected = usize::from(self.credential().ends_with(key));
            ensure!(holding.count() == expected, "{name} is in the wrong headers: {request:?}");
            ensure!(!request.target.contains(key), "{name} is in the URL: {request:?}");
        }
        Ok(())
    }
}
