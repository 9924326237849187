//! A call: a use of an SDK, with its settings.

/// A use of an SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A chat completion, or a message.
    Chat,
    /// A chat completion or a message, as a stream.
    Stream,
    /// A call of the responses API (`OpenAI` only).
    Responses,
    /// A call of the responses API, as a stream.
    ResponsesStream,
    /// The list of models.
    Models,
    /// A message with the token as the SDK's auth token in place of its API key (Anthropic only).
    AuthToken,
    /// The upload of a file (google-genai only).
    Upload,
    /// Objects of every kind that the SDK makes, looked at and listed.
    Keep,
    /// Attempts on the objects whose ids follow the mode on the command line.
    Seek,
    /// The objects of the caller, as the SDK pages through its lists.
    List,
    /// A WebSocket with the token in a subprotocol, like browsers.
    Subprotocol,
    /// A WebSocket with the token as a bearer token.
    Header,
    /// A WebSocket with the token as `?key=`.
    Query,
}

/// A call: a mode, and the settings of the SDK.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The use of the SDK.
    pub mode: Mode,
    /// The base URL, without a trailing slash. For a [`Client`](super::Client) it is the root of the proxy.
    pub base_url: &'a str,
    /// The token, in place of the API key.
    pub token: &'a str,
    /// Additional headers. `None` removes a header of the SDK.
    pub headers: &'a [(&'a str, Option<&'a str>)],
}

impl Mode {
    /// Returns the name of the mode on the scripts' command line.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Stream => "stream",
            Self::Responses => "responses",
            Self::ResponsesStream => "responses-stream",
            Self::Models => "models",
            Self::AuthToken => "auth-token",
            Self::Upload => "upload",
            Self::Keep => "keep",
            Self::Seek => "seek",
            Self::List => "list",
            Self::Subprotocol => "subprotocol",
            Self::Header => "header",
            Self::Query => "query",
        }
    }
}
