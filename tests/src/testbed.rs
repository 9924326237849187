//! Keyswap in front of the providers themselves, with one token that is good for all of them.

use anyhow::{Context as _, Result, ensure};
use keyswap_core::base::Digest;
use serde_json::{Value, json};

use crate::{Envoy, Received, Setup, Standin, Wasmtime, WasmtimeSetup, clients::matrix::Provider};

/// The token that [`Testbed::policy`] has.
pub const TOKEN: &str = "ptk_of-the-testbed-0123456789abcdefghij";

const KEYS: [(&str, &str); 3] = [
    ("OPENAI_API_KEY", "sk-real-openai"),
    ("ANTHROPIC_API_KEY", "sk-real-anthropic"),
    ("GEMINI_API_KEY", "real-gemini-key"),
];

/// A stand-in for the providers, and an Envoy in front of it.
#[derive(Debug)]
pub struct Testbed {
    /// The providers.
    pub standin: Standin,
    /// Keyswap.
    pub envoy: Envoy,
}

impl Testbed {
    /// Starts both.
    pub fn start() -> Result<Self> {
        let standin = Standin::start()?;
        let envoy = Self::setup(&standin).start()?;
        Ok(Self { standin, envoy })
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

    /// What has arrived since the last time. The token must be nowhere in it, neither in a request nor in a byte that
    /// went before or after one; and it is forgotten.
    pub fn take_clean(&self) -> Result<Vec<Received>> {
        let wire = self.standin.wire();
        let received = self.standin.take();
        let on_the_wire = wire.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes());
        ensure!(!on_the_wire, "the token reached the upstream: {received:?}");
        Ok(received)
    }

    /// Like [`Self::take_clean`], of which there must be one or more; returns the last.
    pub fn take_last(&self) -> Result<Received> {
        self.take_clean()?.pop().context("nothing reached the upstream")
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
