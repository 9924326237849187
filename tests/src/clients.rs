//! The SDKs as developers use them: unmodified packages, locked, each call in a process of its own.
//!
//! A call runs a script of `tests/clients`, which prints one [`Event`] a line as it happens. The scripts hold no
//! expectations; those are the tests'. Of the caller's environment, an SDK sees nothing that would configure it.

mod library;
pub mod matrix;
mod running;

use std::fmt;

use anyhow::Result;

pub(crate) use library::isolated;
pub use library::{Language, Library};
pub use running::{Event, Failure, Running};

/// One SDK in one language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The language it is written in and for.
    pub language: Language,
    /// The SDK.
    pub sdk: Sdk,
}

/// The SDKs, in the releases that the lock files name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sdk {
    /// `openai`: its key is a bearer token.
    OpenAi,
    /// `anthropic`, `@anthropic-ai/sdk`: its key is a bearer token.
    Anthropic,
    /// The last release of the same (Python 1, Node 0) that sends its key as `x-api-key`.
    AnthropicXApiKey,
}

/// What a client does with its SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A chat completion, or a message.
    Chat,
    /// The same as a stream.
    Stream,
    /// A call of the responses API (`OpenAI` only).
    Responses,
    /// The same as a stream.
    ResponsesStream,
    /// The list of models.
    Models,
    /// A message with the token as the SDK's auth token, not its API key (Anthropic only).
    AuthToken,
    /// The upload of a file (google-genai only).
    Upload,
    /// A WebSocket with the token in a subprotocol, as browsers send it.
    Subprotocol,
    /// A WebSocket with the token as a bearer token.
    Header,
    /// A WebSocket with the token as `?key=`.
    Query,
}

/// A call: a mode, and what a developer would configure.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// What to do.
    pub mode: Mode,
    /// The base URL, without a slash at its end. For a [`Client`] it is the root of the proxy.
    pub base_url: &'a str,
    /// What goes where the API key goes.
    pub token: &'a str,
    /// Further headers, and with `None` headers that the SDK is told to leave out.
    pub headers: &'a [(&'a str, Option<&'a str>)],
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

    /// Starts a call; its events are read one by one. To the base URL is added what the SDK's users add.
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

impl Mode {
    const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Stream => "stream",
            Self::Responses => "responses",
            Self::ResponsesStream => "responses-stream",
            Self::Models => "models",
            Self::AuthToken => "auth-token",
            Self::Upload => "upload",
            Self::Subprotocol => "subprotocol",
            Self::Header => "header",
            Self::Query => "query",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
