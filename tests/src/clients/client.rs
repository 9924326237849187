//! A client: an SDK of a provider, in one language.

use std::fmt;

use anyhow::Result;

use super::{
    call::Call,
    library::{Language, Library},
    matrix,
    running::{Event, Running},
};

/// One SDK in one language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The language of the SDK.
    pub language: Language,
    /// The SDK.
    pub sdk: Sdk,
}

/// The SDKs, in the releases of the lock files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sdk {
    /// `openai`, which sends its key as a bearer token.
    OpenAi,
    /// `anthropic` and `@anthropic-ai/sdk`, which send their key as a bearer token.
    Anthropic,
    /// The last release of Anthropic's SDK (Python 1, Node 0) that sends its key as `x-api-key`.
    AnthropicXApiKey,
}

impl Client {
    /// Every client.
    pub const ALL: [Self; 6] = [
        Self { language: Language::Python, sdk: Sdk::OpenAi },
        Self { language: Language::Python, sdk: Sdk::Anthropic },
        Self { language: Language::Python, sdk: Sdk::AnthropicXApiKey },
        Self { language: Language::Node, sdk: Sdk::OpenAi },
        Self { language: Language::Node, sdk: Sdk::Anthropic },
        Self { language: Language::Node, sdk: Sdk::AnthropicXApiKey },
    ];

    /// Makes a call and waits for its end.
    pub fn run(self, call: &Call<'_>) -> Result<Vec<Event>> {
        self.start(call)?.finish()
    }

    /// Starts a call, whose events are read one by one. The SDK's usual path is appended to the base URL.
    pub fn start(self, call: &Call<'_>) -> Result<Running> {
        let base_url = format!("{}{}", call.base_url, if self.sdk == Sdk::OpenAi { "/v1" } else { "" });
        self.library().start(&Call { base_url: &base_url, ..*call })
    }

    fn library(self) -> Library {
        match (self.language, self.sdk) {
            (Language::Python, Sdk::OpenAi) => matrix::PYTHON_OPENAI,
            (Language::Python, Sdk::Anthropic) => matrix::PYTHON_ANTHROPIC,
            (Language::Python, Sdk::AnthropicXApiKey) => matrix::PYTHON_ANTHROPIC_X_API_KEY,
            (Language::Node, Sdk::OpenAi) => matrix::NODE_OPENAI,
            (Language::Node, Sdk::Anthropic) => matrix::NODE_ANTHROPIC,
            (Language::Node, Sdk::AnthropicXApiKey) => matrix::NODE_ANTHROPIC_X_API_KEY,
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sdk = match self.sdk {
            Sdk::OpenAi => "OpenAI SDK",
            Sdk::Anthropic => "Anthropic SDK",
            Sdk::AnthropicXApiKey => "Anthropic SDK that sends `x-api-key`",
        };
        write!(f, "{:?} {sdk}", self.language)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::call::Mode;

    #[test]
    fn a_script_that_fails_shows_its_traceback() {
        for language in [Language::Python, Language::Node] {
            let client = Client { language, sdk: Sdk::OpenAi };
            // The OpenAI SDK has no such mode.
            let call =
                Call { mode: Mode::AuthToken, base_url: "http://127.0.0.1:1", token: "token", headers: &[] };
            let error = client.run(&call).unwrap_err().to_string();
            assert!(error.contains("openai_client."), "{error}");
        }
    }
}
