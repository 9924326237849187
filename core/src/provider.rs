//! Providers as data: what an SDK of theirs looks like on the wire, and where their API lives.
//!
//! The table holds the ones that are built in; a policy overrides them or adds others. Nothing here is a secret.

use crate::slot::Slot;
use crate::url::BaseUrl;

/// Whose error bodies a caller's SDK understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `{"error": {"message", "type", "param", "code"}}`
    OpenAi,
    /// `{"type": "error", "error": {"type", "message", "details": {"error_code"}}}`
    Anthropic,
    /// `{"error": {"code", "message", "status"}}`
    Google,
}

/// Where a provider expects its credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AuthStyle {
    /// `Authorization: Bearer <key>`
    Bearer,
    /// `<name>: <key>`; the name is in lower case.
    Header(String),
}

/// One provider, as the policy has it.
#[derive(Clone, Debug)]
pub(crate) struct Provider {
    /// Its name in scopes and credentials.
    pub(crate) id: String,
    /// Its segment at the Cloudflare AI Gateway, and the first segment by which a client may name it.
    pub(crate) slug: String,
    pub(crate) dialect: Dialect,
    pub(crate) auth: AuthStyle,
    /// Where its API lives without a gateway.
    pub(crate) url: BaseUrl,
    /// The policy's name for its upstream credential.
    pub(crate) credential: String,
    /// Whether requests go through the gateway. `false` where there is none.
    pub(crate) via_gateway: bool,
}

/// The provider of requests that say nothing else.
pub(crate) const OPENAI: &str = "openai";
pub(crate) const ANTHROPIC: &str = "anthropic";
pub(crate) const GEMINI: &str = "gemini";

/// A row of the built-in table.
pub(crate) struct BuiltIn {
    pub(crate) id: &'static str,
    pub(crate) slug: &'static str,
    pub(crate) dialect: Dialect,
    /// The header that carries the key; `None` is `Authorization: Bearer`.
    pub(crate) header: Option<&'static str>,
    pub(crate) authority: &'static str,
}

/// Adding a provider that everybody needs is a row here and a case in `tests/cases`.
pub(crate) const BUILT_IN: [BuiltIn; 3] = [
    BuiltIn {
        id: OPENAI,
        slug: "openai",
        dialect: Dialect::OpenAi,
        header: None,
        authority: "api.openai.com",
    },
    BuiltIn {
        id: ANTHROPIC,
        slug: "anthropic",
        dialect: Dialect::Anthropic,
        header: Some("x-api-key"),
        authority: "api.anthropic.com",
    },
    BuiltIn {
        id: GEMINI,
        slug: "google-ai-studio",
        dialect: Dialect::Google,
        header: Some("x-goog-api-key"),
        authority: "generativelanguage.googleapis.com",
    },
];

/// Which provider's SDK uses a slot; it decides only where neither a segment nor the path does.
pub(crate) const fn of_slot(slot: Slot) -> &'static str {
    match slot {
        Slot::XApiKey => ANTHROPIC,
        Slot::XGoogApiKey | Slot::QueryKey => GEMINI,
        Slot::ApiKey | Slot::Authorization | Slot::Subprotocol => OPENAI,
    }
}
