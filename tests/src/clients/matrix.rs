//! The clients that must work end to end: library, base URL, and the provider and target of their requests.
//!
//! The tests run each row, and the table of clients in the documentation is generated from the rows.

use anyhow::Result;

use super::{
    call::Mode,
    library::{Language, Library},
};

pub(super) const PYTHON_OPENAI: Library = Library::python("openai", "openai_client", "requirements.txt");
pub(super) const PYTHON_ANTHROPIC: Library =
    Library::python("anthropic", "anthropic_client", "requirements.txt");
pub(super) const PYTHON_ANTHROPIC_X_API_KEY: Library =
    Library::python("anthropic", "anthropic_client", "requirements-x-api-key.txt");
pub(super) const NODE_OPENAI: Library = Library::node("openai", "openai_client");
pub(super) const NODE_ANTHROPIC: Library = Library::node("@anthropic-ai/sdk", "anthropic_client");
pub(super) const NODE_ANTHROPIC_X_API_KEY: Library = Library::node("anthropic-x-api-key", "anthropic_client");
/// google-genai.
pub const PYTHON_GOOGLE: Library = Library::python("google-genai", "google_genai_client", "requirements.txt");
/// `@google/genai`.
pub const NODE_GOOGLE: Library = Library::node("@google/genai", "google_genai_client");
/// openai, with a program that keeps objects.
pub const PYTHON_OPENAI_OBJECTS: Library =
    Library::python("openai", "openai_objects_client", "requirements.txt");
/// anthropic, with a program that keeps objects.
pub const PYTHON_ANTHROPIC_OBJECTS: Library =
    Library::python("anthropic", "anthropic_objects_client", "requirements.txt");
/// google-genai, with a program that keeps objects.
pub const PYTHON_GOOGLE_OBJECTS: Library =
    Library::python("google-genai", "google_genai_objects_client", "requirements.txt");
/// openai for Node, with a program that keeps objects.
pub const NODE_OPENAI_OBJECTS: Library = Library::node("openai", "openai_objects_client");
/// `@anthropic-ai/sdk`, with a program that keeps objects.
pub const NODE_ANTHROPIC_OBJECTS: Library = Library::node("@anthropic-ai/sdk", "anthropic_objects_client");
/// `@google/genai`, with a program that keeps objects.
pub const NODE_GOOGLE_OBJECTS: Library = Library::node("@google/genai", "google_genai_objects_client");
/// `ws`.
pub const WS: Library = Library::node("ws", "websocket_client");

const OLDER: &str = "requirements-older-sdks.txt";

/// A provider of the stand-in and of the tests' policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// `OpenAI`.
    OpenAi,
    /// Anthropic.
    Anthropic,
    /// Gemini.
    Gemini,
    /// Gemini in the dialect of `OpenAI`.
    GeminiOpenAi,
}

/// A row of the matrix.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The library.
    pub library: Library,
    /// The package that the library is a plugin of. `None` if it is not a plugin.
    pub with: Option<Library>,
    /// The path of the base URL, after the root of the proxy.
    pub base_path: &'static str,
    /// The mode of a call without a stream.
    pub mode: Mode,
    /// The provider that answers.
    pub provider: Provider,
    /// The target at the provider.
    pub target: &'static str,
    /// The target of a stream.
    pub stream_target: &'static str,
}

const fn row(library: Library, base_path: &'static str, provider: Provider, target: &'static str) -> Row {
    Row { library, with: None, base_path, mode: Mode::Chat, provider, target, stream_target: target }
}

const fn openai(library: Library) -> Row {
    row(library, "/v1", Provider::OpenAi, "/v1/chat/completions")
}

const fn anthropic(library: Library) -> Row {
    row(library, "", Provider::Anthropic, "/v1/messages")
}

const fn gemini(library: Library) -> Row {
    let row = row(library, "", Provider::Gemini, "/v1beta/models/gemini-3-flash:generateContent");
    Row { stream_target: "/v1beta/models/gemini-3-flash:streamGenerateContent?alt=sse", ..row }
}

const fn gemini_openai(library: Library) -> Row {
    row(library, "/v1beta/openai", Provider::GeminiOpenAi, "/v1beta/openai/chat/completions")
}

const fn ai_sdk(provider: Library, row: Row) -> Row {
    Row { library: provider, with: Some(Library::node("ai", "ai_sdk_client")), ..row }
}

const AI_OPENAI: Library = Library::node("@ai-sdk/openai", "ai_sdk_client");
const AI_ANTHROPIC: Library = Library::node("@ai-sdk/anthropic", "ai_sdk_client");
const AI_GOOGLE: Library = Library::node("@ai-sdk/google", "ai_sdk_client");

/// The rows of the matrix.
pub const ROWS: [Row; 25] = [
    openai(PYTHON_OPENAI),
    openai(Library::python("litellm", "litellm_client", OLDER)),
    openai(Library::python("instructor", "instructor_client", OLDER)),
    openai(Library::python("pydantic-ai-slim", "pydantic_ai_client", "requirements.txt")),
    openai(Library::python("langchain-openai", "langchain_client", "requirements.txt")),
    openai(Library::python("llama-index-llms-openai", "llama_index_client", OLDER)),
    anthropic(PYTHON_ANTHROPIC),
    Row { mode: Mode::AuthToken, ..anthropic(PYTHON_ANTHROPIC) },
    anthropic(Library::python("langchain-anthropic", "langchain_client", "requirements.txt")),
    anthropic(Library::python("llama-index-llms-anthropic", "llama_index_client", OLDER)),
    // The third major release of the library uses the stable version of the API.
    Row {
        target: "/v1/models/gemini-3-flash:generateContent",
        stream_target: "/v1/models/gemini-3-flash:streamGenerateContent?alt=sse",
        ..gemini(PYTHON_GOOGLE)
    },
    gemini(Library::python("langchain-google-genai", "langchain_client", OLDER)),
    gemini(Library::python("llama-index-llms-google-genai", "llama_index_client", OLDER)),
    gemini_openai(PYTHON_OPENAI),
    openai(NODE_OPENAI),
    Row { target: "/v1/responses", stream_target: "/v1/responses", ..ai_sdk(AI_OPENAI, openai(AI_OPENAI)) },
    openai(Library::node("@langchain/openai", "langchain_client")),
    anthropic(NODE_ANTHROPIC),
    Row { mode: Mode::AuthToken, ..anthropic(NODE_ANTHROPIC) },
    ai_sdk(AI_ANTHROPIC, Row { base_path: "/v1", ..anthropic(AI_ANTHROPIC) }),
    anthropic(Library::node("@langchain/anthropic", "langchain_client")),
    gemini(NODE_GOOGLE),
    ai_sdk(AI_GOOGLE, Row { base_path: "/v1beta", ..gemini(AI_GOOGLE) }),
    gemini(Library::node("@langchain/google-genai", "langchain_client")),
    Row {
        with: Some(Library::node("genkit", "genkit_client")),
        ..gemini(Library::node("@genkit-ai/google-genai", "genkit_client"))
    },
];

impl Row {
    /// Returns the library's name and release for a table.
    pub fn described(&self) -> Result<(String, String)> {
        let (name, version) = (format!("`{}`", self.library.package), self.library.version()?);
        if let Some(with) = self.with {
            return Ok((
                format!("`{}` with {name}", with.package),
                format!("{}, {version}", with.version()?),
            ));
        }
        let name = match (self.mode, self.library.language) {
            (Mode::AuthToken, Language::Python) => format!("{name}, `auth_token`"),
            (Mode::AuthToken, Language::Node) => format!("{name}, `authToken`"),
            _ => name,
        };
        Ok((name, version))
    }
}
