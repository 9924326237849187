//! Facts of providers that their names, addresses and slots tell.

use super::broker;
use super::class::Endpoints;
use super::endpoints;
use super::table::{ANTHROPIC, BUILT_IN, Dialect, ELEVENLABS, EndpointKind, GEMINI, OPENAI};
use crate::request::Slot;
use crate::syntax::BaseUrl;

/// Providers whose streams tell their usage unasked, or that may refuse `stream_options`.
const TELL_USAGE: [&str; 5] = ["mistral", "perplexity-ai", "cohere", "openrouter", ANTHROPIC];

/// Returns whether a provider's streams in OpenAI's form tell their usage only if asked.
pub(crate) fn tells_usage_if_asked(id: &str) -> bool {
    !TELL_USAGE.contains(&id)
}

/// Returns the host of a built-in provider's API; `None` where each customer has another, or none exists.
#[must_use]
pub fn own_host(id: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|row| row.id == id)?.host
}

/// Returns whether a provider of this name is an endpoint of a gateway, so that only policies with the gateway have it.
pub fn is_of_gateway(name: &str) -> bool {
    BUILT_IN.iter().any(|row| row.id == name && row.endpoint != EndpointKind::Provider)
}

/// Returns the endpoints of a provider that a policy adds without any: those of Amazon Bedrock at the host of its runtime, else
/// those of the built-in API that has this dialect.
pub(crate) fn endpoints_of(dialect: Dialect, url: Option<&BaseUrl>) -> Endpoints {
    let is_bedrock = |url: &BaseUrl| {
        let host = url.authority.strip_suffix(".cn").unwrap_or(&url.authority);
        url.path.is_empty() && host.starts_with("bedrock-runtime") && host.ends_with(".amazonaws.com")
    };
    match dialect {
        _ if url.is_some_and(is_bedrock) => Endpoints::BuiltIn(&endpoints::BEDROCK, None),
        Dialect::OpenAi => Endpoints::BuiltIn(&endpoints::OPENAI, Some(&broker::OPENAI)),
        Dialect::Anthropic => Endpoints::BuiltIn(&endpoints::ANTHROPIC, None),
        Dialect::Google => Endpoints::BuiltIn(&endpoints::GEMINI, None),
    }
}

/// Returns the provider whose SDKs use a slot. The slot decides only where neither segment, path nor header does.
pub(crate) const fn of_slot(slot: Slot) -> &'static str {
    match slot {
        Slot::XApiKey => ANTHROPIC,
        Slot::XGoogApiKey | Slot::QueryKey | Slot::UploadId => GEMINI,
        Slot::XiApiKey => ELEVENLABS,
        _ => OPENAI,
    }
}
