//! Auth slots: the places where SDKs put their API key, and so where callers put their proxy token.

use std::fmt;

/// A place in a request that carries a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// `x-api-key`: Anthropic's SDKs.
    XApiKey,
    /// `x-goog-api-key`: Google's SDKs.
    XGoogApiKey,
    /// `api-key`: OpenAI's SDKs in their Azure form.
    ApiKey,
    /// `Authorization: Bearer`: OpenAI's SDKs, and most others.
    Authorization,
    /// The query parameter `key`: Google's REST examples.
    QueryKey,
    /// The WebSocket subprotocol `openai-insecure-api-key.…`: browsers.
    Subprotocol,
    /// The sealed id of an upload, in an address that an answer told. SDKs send nothing else there. It is no slot of a
    /// policy, and counts where all of those are empty.
    UploadId,
}

impl Slot {
    /// Every slot of a policy, in the order in which they are judged unless the policy says otherwise.
    pub const ALL: [Self; 6] = [
        Self::XApiKey,
        Self::XGoogApiKey,
        Self::ApiKey,
        Self::Authorization,
        Self::QueryKey,
        Self::Subprotocol,
    ];

    /// Returns the slot's name in a policy.
    pub const fn name(self) -> &'static str {
        match self {
            Self::XApiKey => "x-api-key",
            Self::XGoogApiKey => "x-goog-api-key",
            Self::ApiKey => "api-key",
            Self::Authorization => "authorization",
            Self::QueryKey => "query:key",
            Self::Subprotocol => "subprotocol",
            Self::UploadId => "query:upload_id",
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
