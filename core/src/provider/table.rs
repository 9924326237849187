//! Providers as data: the wire format of their SDKs, and the address of their API.
//!
//! The table holds the built-in providers; a policy overrides them or adds others. Nothing here is a secret.

use std::time::Duration;

use super::bindings::Bindings;
use super::broker::{self, Brokered};
use super::class::{Endpoints, Rows};
use super::endpoints;
use super::objects::ObjectsMode;
use crate::secret::{BEARER, TOKEN};
use crate::syntax::BaseUrl;

/// The shape of error bodies that a caller's SDK understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `{"error": {"message", "type", "param", "code"}}`
    OpenAi,
    /// `{"type": "error", "error": {"type", "message", "details": {"error_code"}}}`
    Anthropic,
    /// `{"error": {"code", "message", "status"}}`
    Google,
}

/// The place in which a provider expects its credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AuthStyle {
    /// `Authorization: <scheme> <key>`
    Authorization(&'static str),
    /// `<name>: <key>`; the name is in lower case.
    Header(String),
}

/// The kind of endpoint that a provider's requests are for: an API, or an endpoint of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndpointKind {
    /// A provider's own API, at its slug of the Cloudflare AI Gateway or at its own host.
    Provider,
    /// The gateway's OpenAI-compatible endpoint. The model in the body names the provider.
    Compat,
    /// The gateway's universal endpoint. Its body holds whole requests, with providers and credentials.
    Root,
    /// The gateway by Cloudflare's REST API. The model in the body names the provider.
    Rest,
    /// The Vercel AI Gateway. The model in the body names the provider.
    Vercel,
}

/// The condition under which the Cloudflare AI Gateway gets a credential for the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyPolicy {
    /// The gateway's mode decides.
    OfMode,
    /// Always, whatever the mode: the gateway stores none.
    Always,
    /// Never: there is no place for one.
    Never,
}

/// A realtime API over WebSocket, which the Cloudflare AI Gateway has at another place than the rest.
#[derive(Debug)]
pub(crate) struct Realtime {
    /// The API's segment at the gateway, with nothing below.
    pub(crate) slug: &'static str,
    /// The API's paths at the provider's own host.
    pub(crate) native: &'static [&'static str],
    /// The parameters of the query with the key, at the gateway and at the provider's own host; `None` for a header.
    pub(crate) key: Option<(&'static str, &'static str)>,
}

/// One provider, as the policy has it.
#[derive(Clone, Debug)]
pub(crate) struct Provider {
    /// The provider's name in scopes and credentials.
    pub(crate) id: String,
    /// The provider's segment at the Cloudflare AI Gateway, and the first segment by which a client may name it.
    pub(crate) slug: String,
    pub(crate) dialect: Dialect,
    pub(crate) auth: AuthStyle,
    /// The address of its API without the gateway, where that is known.
    pub(crate) url: Option<BaseUrl>,
    /// The prefix of its paths at its own host, and not at the gateway.
    pub(crate) native_prefix: String,
    /// The prefix of the client's path below the slug.
    pub(crate) path: Option<String>,
    /// The upstream credentials that its requests carry.
    pub(crate) keys: KeyPool,
    /// Set where requests go through the Cloudflare AI Gateway.
    pub(crate) via_gateway: bool,
    /// The providers in whose place it gets requests that do not name them by a segment.
    pub(crate) stands_for: &'static [&'static str],
    /// The endpoints of its API, by class.
    pub(crate) endpoints: Endpoints,
    /// The callers who share its objects.
    pub(crate) objects: ObjectsMode,
    /// Facts that no policy changes.
    pub(crate) builtin: &'static BuiltIn,
}

/// The credentials of one provider. A caller that is bound has one of its own; requests of another principal carry the
/// same member of the pool while it works.
#[derive(Clone, Debug)]
pub(crate) struct KeyPool {
    /// The policy's names for those of the pool, each with the share of principals that it serves. Without any, only
    /// callers that are bound may use the provider.
    pub(crate) members: Vec<(String, u32)>,
    /// The cooldown of a credential that the upstream refused.
    pub(crate) cooldown: Duration,
    /// The callers that have a credential of their own.
    pub(crate) bindings: Bindings<String>,
}

impl KeyPool {
    const COOLDOWN: Duration = Duration::from_mins(1);

    /// Returns a pool of one credential for all principals.
    pub(crate) fn of(name: impl Into<String>) -> Self {
        Self::with(vec![(name.into(), 1)], None)
    }

    pub(crate) fn with(members: Vec<(String, u32)>, cooldown: Option<Duration>) -> Self {
        Self { members, cooldown: cooldown.unwrap_or(Self::COOLDOWN), bindings: Bindings::default() }
    }

    /// Returns the names of all credentials.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let bound = self.bindings.iter().map(|(.., name)| name.as_str());
        self.members.iter().map(|(name, _)| name.as_str()).chain(bound)
    }
}

/// The provider of requests that have no sign of another.
pub(crate) const OPENAI: &str = "openai";
pub(crate) const ANTHROPIC: &str = "anthropic";
pub(crate) const GEMINI: &str = "gemini";
pub(crate) const VERTEX: &str = "google-vertex-ai";
pub(crate) const AZURE: &str = "azure-openai";
pub(super) const ELEVENLABS: &str = "elevenlabs";
pub(super) const DEEPGRAM: &str = "deepgram";

/// A row of the built-in table.
#[derive(Debug)]
pub(crate) struct BuiltIn {
    pub(crate) id: &'static str,
    /// The segment; empty for the gateway's root.
    pub(crate) slug: &'static str,
    /// Other first segments by which a client may name it, where no provider of the policy has them.
    pub(crate) aliases: &'static [&'static str],
    pub(crate) dialect: Dialect,
    /// The header that carries the key; `None` is `Authorization`.
    header: Option<&'static str>,
    /// The scheme of `Authorization`.
    scheme: &'static str,
    /// The host of its API. `None` where each customer has another, or none exists.
    pub(super) host: Option<&'static str>,
    /// The prefix of its paths at that host, and not at the gateway.
    pub(crate) native_prefix: &'static str,
    /// The version in front of its paths at that host, for a client that leaves it out. `None` where some paths have another
    /// or none.
    pub(crate) version: Option<&'static str>,
    pub(crate) endpoint: EndpointKind,
    pub(crate) key: KeyPolicy,
    /// Set where Cloudflare bills for the provider.
    pub(crate) unified_billing: bool,
    /// Set where the path chooses the host that gets the key, so that a policy must pin its beginning.
    pub(crate) host_in_path: bool,
    /// The endpoints of its API, by class.
    endpoints: &'static [Rows],
    /// Those of them whose answers are brokered.
    pub(super) brokered: Option<&'static Brokered>,
    pub(crate) realtime: Option<Realtime>,
}

/// Most providers: Bearer, a host, the same paths there and at the gateway.
const PLAIN: BuiltIn = BuiltIn {
    id: "",
    slug: "",
    aliases: &[],
    dialect: Dialect::OpenAi,
    header: None,
    scheme: BEARER,
    host: None,
    native_prefix: "",
    version: None,
    endpoint: EndpointKind::Provider,
    key: KeyPolicy::OfMode,
    unified_billing: false,
    host_in_path: false,
    endpoints: &[],
    brokered: None,
    realtime: None,
};

const fn plain(slug: &'static str, host: &'static str, endpoints: &'static [Rows]) -> BuiltIn {
    BuiltIn { id: slug, slug, host: Some(host), endpoints, ..PLAIN }
}

/// Like [`plain`], with `/v1` in front of every path.
const fn v1(slug: &'static str, host: &'static str, endpoints: &'static [Rows]) -> BuiltIn {
    BuiltIn { version: Some("/v1"), ..plain(slug, host, endpoints) }
}

/// The built-in knowledge of a provider that a policy adds: nothing.
pub(crate) static ADDED: BuiltIn = BuiltIn { unified_billing: true, ..PLAIN };

/// The built-in providers. One that many people use is a row here and rows in `tests/providers.yaml`.
pub(crate) static BUILT_IN: [BuiltIn; 26] = [
    BuiltIn {
        unified_billing: true,
        realtime: Some(Realtime { slug: "openai", native: &["/v1/realtime", "/realtime"], key: None }),
        brokered: Some(&broker::OPENAI),
        ..v1(OPENAI, "api.openai.com", &endpoints::OPENAI)
    },
    BuiltIn {
        dialect: Dialect::Anthropic,
        header: Some("x-api-key"),
        unified_billing: true,
        ..v1(ANTHROPIC, "api.anthropic.com", &endpoints::ANTHROPIC)
    },
    BuiltIn {
        id: GEMINI,
        aliases: &[GEMINI],
        dialect: Dialect::Google,
        header: Some("x-goog-api-key"),
        unified_billing: true,
        realtime: Some(Realtime {
            slug: "google",
            native: &GEMINI_LIVE,
            // The one place where an upstream secret stands in a URL.
            key: Some(("api_key", "key")),
        }),
        ..plain("google-ai-studio", "generativelanguage.googleapis.com", &endpoints::GEMINI)
    },
    BuiltIn {
        aliases: &["vertex-ai"],
        dialect: Dialect::Google,
        unified_billing: true,
        ..v1(VERTEX, "aiplatform.googleapis.com", &endpoints::VERTEX)
    },
    BuiltIn {
        id: AZURE,
        slug: AZURE,
        aliases: &["azure"],
        header: Some("api-key"),
        native_prefix: "/openai/deployments",
        host_in_path: true,
        endpoints: &endpoints::AZURE,
        brokered: Some(&broker::AZURE),
        ..PLAIN
    },
    BuiltIn {
        id: "workers-ai",
        slug: "workers-ai",
        key: KeyPolicy::Always,
        unified_billing: true,
        endpoints: &endpoints::WORKERS_AI,
        ..PLAIN
    },
    BuiltIn {
        native_prefix: "/openai/v1",
        unified_billing: true,
        ..plain("groq", "api.groq.com", &endpoints::GROQ)
    },
    BuiltIn { native_prefix: "/api", ..plain("openrouter", "openrouter.ai", &endpoints::OPENROUTER) },
    BuiltIn {
        aliases: &["xai"],
        unified_billing: true,
        brokered: Some(&broker::GROK),
        ..v1("grok", "api.x.ai", &endpoints::GROK)
    },
    v1("mistral", "api.mistral.ai", &endpoints::MISTRAL),
    plain("deepseek", "api.deepseek.com", &endpoints::DEEPSEEK),
    BuiltIn {
        aliases: &["perplexity"],
        ..plain("perplexity-ai", "api.perplexity.ai", &endpoints::PERPLEXITY)
    },
    plain("cerebras", "api.cerebras.ai", &endpoints::CEREBRAS),
    plain("cohere", "api.cohere.com", &endpoints::COHERE),
    plain("fireworks", "api.fireworks.ai", &endpoints::FIREWORKS),
    plain("huggingface", "router.huggingface.co", &endpoints::HUGGINGFACE),
    plain("replicate", "api.replicate.com", &endpoints::REPLICATE),
    v1("baseten", "inference.baseten.co", &endpoints::BASETEN),
    BuiltIn {
        header: Some("xi-api-key"),
        realtime: Some(Realtime { slug: "elevenlabs", native: &["/v1/convai/conversation"], key: None }),
        ..plain(ELEVENLABS, "api.elevenlabs.io", &endpoints::ELEVENLABS)
    },
    BuiltIn {
        header: Some("x-api-key"),
        brokered: Some(&broker::CARTESIA),
        ..plain("cartesia", "api.cartesia.ai", &endpoints::CARTESIA)
    },
    BuiltIn { header: Some("x-api-key"), ..plain("parallel", "api.parallel.ai", &endpoints::PARALLEL) },
    BuiltIn {
        scheme: TOKEN,
        brokered: Some(&broker::DEEPGRAM),
        ..plain(DEEPGRAM, "api.deepgram.com", &endpoints::DEEPGRAM)
    },
    BuiltIn {
        id: "compat",
        slug: "compat",
        native_prefix: "/v1",
        endpoint: EndpointKind::Compat,
        unified_billing: true,
        endpoints: &endpoints::COMPAT,
        ..PLAIN
    },
    BuiltIn {
        id: "universal",
        endpoint: EndpointKind::Root,
        key: KeyPolicy::Never,
        unified_billing: true,
        endpoints: &endpoints::UNIVERSAL,
        ..PLAIN
    },
    BuiltIn {
        id: "cloudflare-rest",
        slug: "cloudflare-rest",
        host: Some("api.cloudflare.com"),
        endpoint: EndpointKind::Rest,
        key: KeyPolicy::Always,
        unified_billing: true,
        endpoints: &endpoints::REST,
        ..PLAIN
    },
    BuiltIn {
        id: "vercel",
        slug: "vercel",
        endpoint: EndpointKind::Vercel,
        endpoints: &endpoints::VERCEL,
        ..PLAIN
    },
];

/// Gemini's realtime API, by version.
pub(crate) const GEMINI_LIVE: [&str; 2] = [
    "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent",
    "/ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateContent",
];

impl BuiltIn {
    /// Returns the endpoints of its API.
    pub(crate) const fn endpoints(&self) -> Endpoints {
        Endpoints::BuiltIn(self.endpoints, self.brokered)
    }

    pub(crate) fn auth(&self) -> AuthStyle {
        self.header.map_or(AuthStyle::Authorization(self.scheme), |name| AuthStyle::Header(name.to_owned()))
    }

    /// Returns whether the API takes access tokens as Bearer, beside keys in a header of its own.
    pub(crate) fn takes_bearer(&self) -> bool {
        self.header.is_some() && self.realtime.as_ref().is_none_or(|realtime| realtime.key.is_none())
    }

    /// Returns the address of its API without a gateway; `None` where that is not known.
    pub(crate) fn url(&self) -> Option<BaseUrl> {
        BaseUrl::parse(&format!("https://{}{}", self.host?, self.native_prefix)).ok()
    }
}

impl AuthStyle {
    /// Returns the provider's own header; `None` where it uses `Authorization`.
    pub(crate) fn own_header(&self) -> Option<&str> {
        if let Self::Header(name) = self { Some(name) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Class;
    use crate::provider::pattern::{ANY, read_row};

    #[test]
    fn every_built_in_row_is_written_as_a_row() {
        for builtin in &BUILT_IN {
            assert!(!builtin.endpoints.is_empty(), "{}", builtin.id);
            for row in builtin.endpoints.iter().flat_map(|rows| rows.2) {
                let read = if row.is_empty() { read_row("/") } else { read_row(row) };
                assert_eq!(read, Some(*row), "{}", builtin.id);
            }
        }
    }

    #[test]
    fn what_is_named_for_counting_tokens_is_free() {
        let counts = ["/count", ":count", "/tokenize", "/detokenize", "/input_tokens", ":computetokens"];
        for all in BUILT_IN.iter().map(|builtin| builtin.endpoints).chain([&endpoints::BEDROCK[..]]) {
            let api = Endpoints::BuiltIn(all, None);
            for row in all.iter().filter(|rows| rows.0 == Class::Inference).flat_map(|rows| rows.2) {
                let name = row.rfind(['/', ':']).map(|at| row[at..].to_lowercase()).unwrap_or_default();
                let is_counting = counts.iter().any(|begin| name.starts_with(begin));
                let found = api.find(ANY, row.as_bytes()).unwrap();
                assert_eq!(found.counts_tokens(), is_counting, "{row}");
            }
        }
    }
}
