//! A call: a use of an SDK, and the settings that a developer makes for it.

/// A use of an SDK.
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
    /// The use of the SDK.
    pub mode: Mode,
    /// The base URL, without a slash at its end. For a [`Client`](super::Client) it is the root of the proxy.
    pub base_url: &'a str,
    /// The token, in the place of the API key.
    pub token: &'a str,
    /// Further headers, and with `None` headers that the SDK is told to leave out.
    pub headers: &'a [(&'a str, Option<&'a str>)],
}

impl Mode {
    /// Returns its name on the command line of the programs.
    pub(super) const fn name(self) -> &'static str {
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
