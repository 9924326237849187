//! The test bed: Keyswap in a host, a stand-in for the upstreams behind it, and the issuers that its policy trusts.
//!
//! Where a test has no policy of its own, Keyswap is in front of the providers themselves, with one token that is good
//! for all of them.

use std::ops::Deref;

use anyhow::{Context as _, Result, ensure};
use keyswap_core::base::Digest;
use serde_json::{Value, json};

use crate::{
    Envoy, Issuer, Received, Request, Response, Server, Setup, Standin, Wasmtime, WasmtimeSetup,
    clients::matrix::Provider,
};

/// The token that [`Testbed::policy`] has.
pub const TOKEN: &str = "ptk_of-the-testbed-0123456789abcdefghij";

const KEYS: [(&str, &str); 3] = [
    ("OPENAI_API_KEY", "sk-real-openai"),
    ("ANTHROPIC_API_KEY", "sk-real-anthropic"),
    ("GEMINI_API_KEY", "real-gemini-key"),
];

/// Keyswap in a host, and what is around it.
pub struct Testbed<H = Envoy> {
    /// The upstreams.
    pub standin: Standin,
    /// Keyswap.
    pub host: H,
    /// The issuers of the policy; they answer as long as this lives.
    pub issuers: Vec<Issuer>,
}

impl<H> Testbed<H> {
    /// Starts a stand-in, and a host in front of it.
    pub fn with(start: impl FnOnce(&Standin) -> Result<H>) -> Result<Self> {
        let standin = Standin::start()?;
        let host = start(&standin)?;
        Ok(Self { standin, host, issuers: Vec::new() })
    }

    /// Takes what has arrived since the last time; [`TOKEN`] must be nowhere in it.
    pub fn take_clean(&self) -> Result<Vec<Received>> {
        self.standin.take_without(&[TOKEN])
    }

    /// Like [`Self::take_clean`], of which there must be one or more; returns the last.
    pub fn take_last(&self) -> Result<Received> {
        self.take_clean()?.pop().context("nothing reached the upstream")
    }
}

impl<H: Deref<Target = Server>> Testbed<H> {
    /// Sends a request that must go on and arrive, or be refused for this reason and arrive nowhere; `expected` is a
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

    /// Starts an Envoy that reaches these issuers by the hosts of their names; `change` has the last word.
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

    /// An Envoy that is to be started in front of `standin`.
    pub fn setup(standin: &Standin) -> Setup {
        Self::setup_with(&Self::policy(), standin)
    }

    /// The same with another policy, which may use the same credentials.
    pub fn setup_with(policy: &Value, standin: &Standin) -> Setup {
        let setup = Envoy::with(policy).upstream(standin);
        KEYS.into_iter().fold(setup, |setup, (name, value)| setup.env(name, value))
    }

    /// A Wasmtime that is to be started in front of `standin`.
    pub fn wasmtime(standin: &Standin) -> WasmtimeSetup {
        let setup = Wasmtime::with(&Self::policy()).upstream(standin);
        KEYS.into_iter().fold(setup, |setup, (name, value)| setup.env(name, value))
    }

    /// No gateway, all providers, one token.
    pub fn policy() -> Value {
        let token = json!({
            "sha256": Digest::of(TOKEN.as_bytes()).to_hex(),
            "label": "alice-laptop",
            "providers": ["openai", "anthropic", "gemini"],
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

    /// The section `registry` of a policy, by the names that the shipped bootstrap has.
    pub fn registry() -> Value {
        json!({
            "url": "http://registry.test", "cluster": "keyswap-registry",
            "credential": {"env": "KEYSWAP_REGISTRY_TOKEN"},
        })
    }

    /// No gateway and one provider, for tokens of [`Self::registry`] alone.
    pub fn registry_policy() -> Value {
        json!({
            "version": "keyswap/v1",
            "registry": Self::registry(),
            "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
        })
    }
}

impl Provider {
    /// The host that its requests must arrive at.
    pub fn host(self) -> &'static str {
        match self {
            Self::OpenAi => "api.openai.com",
            Self::Anthropic => "api.anthropic.com",
            Self::Gemini | Self::GeminiOpenAi => "generativelanguage.googleapis.com",
        }
    }

    /// The one credential that must be in its requests, with the slot that it must be in.
    pub fn credential(self) -> String {
        let [(_, openai), (_, anthropic), (_, gemini)] = KEYS;
        match self {
            Self::OpenAi => format!("authorization: Bearer {openai}"),
            Self::Anthropic => format!("x-api-key: {anthropic}"),
            Self::Gemini => format!("x-goog-api-key: {gemini}"),
            Self::GeminiOpenAi => format!("authorization: Bearer {gemini}"),
        }
    }

    /// The request came to the right host with exactly the real credential, in its slot and nowhere else.
    pub fn check(self, request: &Received) -> Result<()> {
        let arrived = (request.sni.as_str(), request.header("host"));
        ensure!(arrived == (self.host(), Some(self.host())), "at the wrong host: {request:?}");
        self.check_credentials(request)
    }

    /// The same, but for the host.
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
