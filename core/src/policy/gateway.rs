//! The gateways of a policy.
//!
//! For the Cloudflare AI Gateway a policy has the account and gateway, the keys, the metadata, and the headers that
//! clients may set. The other gateway is the Vercel AI Gateway.

use super::reader::{Fields, Node};
use crate::provider::{CLAIMS, Claim, MAX_MEMBERS};
use crate::syntax::BaseUrl;

/// The owner of the provider keys that the gateway uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GatewayMode {
    /// The policy's owner: each request carries the provider's key beside the gateway's token.
    ProviderKey,
    /// The gateway, which stores keys and uses them only where the request carries none.
    Byok,
    /// Cloudflare: requests are billed to the account.
    UnifiedBilling,
}

/// The destination of requests that name no provider and have no sign of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unnamed {
    /// OpenAI.
    OpenAi,
    /// The gateway's OpenAI-compatible endpoint.
    Compat,
    /// The gateway by Cloudflare's REST API.
    Rest,
}

/// The gateways of a policy.
#[derive(Clone, Debug, Default)]
pub(super) struct Gateways {
    pub(super) cloudflare: Option<Gateway>,
    pub(super) vercel: Option<Vercel>,
}

/// The Vercel AI Gateway.
#[derive(Clone, Debug)]
pub(super) struct Vercel {
    pub(super) url: BaseUrl,
    pub(super) credential: String,
}

/// The Cloudflare AI Gateway.
#[derive(Clone, Debug)]
pub(crate) struct Gateway {
    pub(crate) url: BaseUrl,
    pinned: Pinned,
    /// The policy's name for the gateway's token.
    pub(crate) credential: String,
    pub(crate) mode: GatewayMode,
    pub(super) unnamed: Unnamed,
    pub(super) universal_endpoint: bool,
    /// The members of `cf-aig-metadata`, by name.
    pub(crate) metadata: Vec<(String, Claim)>,
    /// The names of the gateway's headers that a client may set.
    pub(crate) client_headers: Vec<&'static str>,
    /// The gateway's headers that the policy sets.
    pub(crate) controls: Vec<(&'static str, String)>,
}

/// The identity of the gateway.
#[derive(Clone, Debug)]
enum Pinned {
    /// The path names the gateway.
    Gateway { account: String, gateway: String },
    /// The host names the gateway.
    CustomDomain,
}

impl Gateway {
    /// Returns the prefix of the client's path, which pins account and gateway. An empty slug is the root.
    pub(crate) fn path_prefix(&self, slug: &str) -> String {
        let mut path = self.url.path.clone();
        if let Pinned::Gateway { account, gateway } = &self.pinned {
            path.extend(["/v1/", account, "/", gateway]);
        }
        if !slug.is_empty() {
            path.extend(["/", slug]);
        }
        path
    }

    /// Returns that prefix in Cloudflare's REST API, and the gateway to name there; `None` behind a custom domain.
    pub(crate) fn rest(&self) -> Option<(String, &str)> {
        let Pinned::Gateway { account, gateway } = &self.pinned else { return None };
        Some((format!("/client/v4/accounts/{account}/ai"), gateway))
    }
}

impl Gateways {
    /// Reads `gateway`, which holds one of the gateways.
    #[inline(never)]
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let cloudflare = fields.optional("cloudflare").map(|node| read_cloudflare(&node));
        let vercel = fields.optional("vercel").map(|node| read_vercel(&node));
        fields.finish();
        if cloudflare.is_some() == vercel.is_some() {
            node.fail("expected one gateway: `cloudflare` or `vercel`");
        }
        // A gateway that could not be read is an error, never "no gateway".
        match (cloudflare, vercel) {
            (Some(None), _) | (_, Some(None)) => None,
            (cloudflare, vercel) => Some(Self { cloudflare: cloudflare.flatten(), vercel: vercel.flatten() }),
        }
    }
}

fn read_cloudflare(node: &Node<'_>) -> Option<Gateway> {
    let mut fields = node.fields()?;
    let url = fields.optional("url");
    let has_url = url.is_some();
    let url = match url {
        Some(url) => read_url(&url),
        None => BaseUrl::parse("https://gateway.ai.cloudflare.com").ok(),
    };
    let pinned = read_pinned(&mut fields, has_url);
    let credential = fields.required("credential").and_then(|node| node.name());
    let mode = fields.required("mode").and_then(|node| {
        node.choice(&[
            ("provider_key", GatewayMode::ProviderKey),
            ("byok", GatewayMode::Byok),
            ("unified_billing", GatewayMode::UnifiedBilling),
        ])
    });
    let unnamed = fields.optional("openai").map_or(Some(Unnamed::OpenAi), |node| {
        let choice =
            node.choice(&[("native", Unnamed::OpenAi), ("compat", Unnamed::Compat), ("rest", Unnamed::Rest)]);
        if choice == Some(Unnamed::Rest) && matches!(pinned, Some(Pinned::CustomDomain)) {
            node.fail("the REST API needs `account` and `gateway`");
        }
        choice
    });
    let universal_endpoint = fields.optional("universal_endpoint").map_or(Some(false), |node| node.flag());
    let metadata = fields.optional("metadata").map(|node| read_metadata(&node)).unwrap_or_default();
    let client_headers = match fields.optional("client_headers") {
        Some(node) => read_client_headers(&node),
        None => CLIENT_HEADERS
            .iter()
            .take(DEFAULT_CLIENT_HEADERS)
            .flat_map(|(_, names)| *names)
            .copied()
            .collect(),
    };
    let controls = read_controls(&mut fields, mode);
    fields.finish();
    Some(Gateway {
        url: url?,
        pinned: pinned?,
        credential: credential?,
        mode: mode?,
        unnamed: unnamed?,
        universal_endpoint: universal_endpoint?,
        metadata,
        client_headers,
        controls,
    })
}

/// Reads account and gateway. Only a custom domain does without them.
fn read_pinned(fields: &mut Fields<'_>, has_url: bool) -> Option<Pinned> {
    let (account, gateway) = (fields.optional("account"), fields.optional("gateway"));
    if account.is_none() && gateway.is_none() && has_url {
        return Some(Pinned::CustomDomain);
    }
    let account = account.or_else(|| fields.required("account")).and_then(|node| node.name());
    let gateway = gateway.or_else(|| fields.required("gateway")).and_then(|node| node.name());
    Some(Pinned::Gateway { account: account?, gateway: gateway? })
}

/// Reads the headers that the policy sets beside those for credentials and metadata.
fn read_controls(fields: &mut Fields<'_>, mode: Option<GatewayMode>) -> Vec<(&'static str, String)> {
    let mut controls = Vec::new();
    if let Some(node) = fields.optional("byok_alias") {
        if mode.is_some_and(|mode| mode != GatewayMode::Byok) {
            node.fail("an alias names a key that is stored at the gateway: it needs `mode: byok`");
        }
        controls.extend(node.name().map(|alias| ("cf-aig-byok-alias", alias)));
    }
    if let Some(node) = fields.optional("no_wholesale") {
        if mode == Some(GatewayMode::ProviderKey) {
            node.fail("nothing is billed by Cloudflare with `mode: provider_key`: remove it");
        }
        controls.extend(node.flag().filter(|flag| *flag).map(|_| ("cf-aig-no-wholesale", "true".to_owned())));
    }
    controls
}

/// The gateway's headers that a policy may leave to clients, with their older names: they steer a client's own request.
/// The gateway's other headers choose the key, the account that is billed, or what the cache serves to another caller.
const CLIENT_HEADERS: [(&str, &[&str]); 12] = [
    ("request-timeout", &["cf-aig-request-timeout"]),
    ("max-attempts", &["cf-aig-max-attempts"]),
    ("retry-delay", &["cf-aig-retry-delay"]),
    ("backoff", &["cf-aig-backoff"]),
    ("cache-ttl", &["cf-aig-cache-ttl", "cf-cache-ttl"]),
    ("skip-cache", &["cf-aig-skip-cache", "cf-skip-cache"]),
    ("collect-log", &["cf-aig-collect-log"]),
    ("collect-log-payload", &["cf-aig-collect-log-payload"]),
    ("event-id", &["cf-aig-event-id"]),
    ("otel-trace-id", &["cf-aig-otel-trace-id"]),
    ("otel-parent-span-id", &["cf-aig-otel-parent-span-id"]),
    ("zdr", &["cf-aig-zdr"]),
];

/// The number of them that are left to clients by default, from the first: timeout and retries. The cache is shared by all
/// callers, so one that keeps an answer for long, or has it made anew, does so for the others, too.
const DEFAULT_CLIENT_HEADERS: usize = 4;

fn read_client_headers(node: &Node<'_>) -> Vec<&'static str> {
    let mut headers = Vec::new();
    for item in node.items() {
        match item.choice(&CLIENT_HEADERS) {
            Some([name, ..]) if headers.contains(name) => item.fail("this header stands twice in the list"),
            Some(names) => headers.extend(names),
            None => {}
        }
    }
    headers
}

fn read_vercel(node: &Node<'_>) -> Option<Vercel> {
    let mut fields = node.fields()?;
    let url = match fields.optional("url") {
        Some(url) => read_url(&url),
        None => BaseUrl::parse("https://ai-gateway.vercel.sh/v1").ok(),
    };
    let credential = fields.required("credential").and_then(|node| node.name());
    fields.finish();
    Some(Vercel { url: url?, credential: credential? })
}

pub(super) fn read_url(node: &Node<'_>) -> Option<BaseUrl> {
    BaseUrl::parse(node.text()?).map_err(|message| node.fail(message)).ok()
}

fn read_metadata(node: &Node<'_>) -> Vec<(String, Claim)> {
    let entries = node.entries();
    if entries.len() > MAX_MEMBERS {
        node.fail(format!("the gateway keeps {MAX_MEMBERS} members, and there are {}", entries.len()));
    }
    let read = |(name, value): (&str, Node<'_>)| {
        if name.is_empty() || name.starts_with("cf.") {
            value.fail("names beginning with `cf.` are reserved by the gateway, and none is empty");
        }
        value.choice(&CLAIMS).map(|claim| (name.to_owned(), claim))
    };
    entries.into_iter().filter_map(read).collect()
}
