//! Names of models: their spellings, and the provider that a name begins with.

use percent_encoding::percent_decode;

use super::class::{Endpoint, stores_model};
use super::limits::OutputLimits;
use super::table::{BUILT_IN, EndpointKind, Provider};
use crate::base::bytes::has_end;
use crate::identity::Spellings;
use crate::request::Header;
use crate::syntax::query;

/// Names by which gateways and catalogues know providers, beside our own.
const ALIASES: [(&str, &str); 10] = [
    ("google", "gemini"),
    ("vertex", "google-vertex-ai"),
    ("vertex-ai", "google-vertex-ai"),
    ("azure", "azure-openai"),
    ("xai", "grok"),
    ("x-ai", "grok"),
    ("mistralai", "mistral"),
    ("perplexity", "perplexity-ai"),
    ("@cf", "workers-ai"),
    ("@hf", "workers-ai"),
];

/// Providers that only gateways have, by the names that models begin with there.
const OF_GATEWAYS: [&str; 20] = [
    "alibaba",
    "amazon",
    "arcee-ai",
    "bedrock",
    "bfl",
    "bytedance",
    "inception",
    "klingai",
    "kwaipilot",
    "meituan",
    "meta",
    "minimax",
    "moonshotai",
    "morph",
    "nvidia",
    "prime-intellect",
    "recraft",
    "voyage",
    "xiaomi",
    "zai",
];

/// Returns whether a model at a gateway may begin with the name of this provider.
pub(crate) fn is_named_by_models(provider: &str) -> bool {
    OF_GATEWAYS.contains(&provider)
        || BUILT_IN.iter().any(|row| row.id == provider && row.endpoint == EndpointKind::Provider)
}

/// The resource names of Google's and Fireworks' models: what stands behind is the model.
const RESOURCE: &str = "models/";

/// Parameters of a query that name a model.
const PARAMETERS: [&str; 4] = ["model", "model_id", "modelId", "deployment"];

/// The ends of names of headers that name a model, and whether it is the one that computes: `ai-language-model-id`, and
/// `x-ms-oai-image-generation-deployment`, `azureml-model-deployment`, which name one more.
const HEADER_ENDS: [(&[u8], bool); 5] = [
    (b"model-id", true),
    (b"-deployment-id", false),
    (b"-deployment", false),
    (b"-model", false),
    (b"-model-name", false),
];

/// Returns the spellings of a model: as it came, without what stands in front of its own name, and, for denial, without
/// the variant behind it.
pub(crate) fn spellings<'m>(model: &'m str, providers: &[(String, String)]) -> Spellings<'m> {
    let mut allowed = vec![model];
    let mut rest = model;
    // Each round leaves out one segment at least.
    while let Some(shorter) = without_front(rest, providers) {
        allowed.push(shorter);
        rest = shorter;
    }
    let mut denied = allowed.clone();
    // `gpt-5:online`, `claude-opus-4-1@20250805`: the same model in other clothes.
    denied.extend(allowed.iter().filter_map(|model| {
        let end = model.get(1..)?.find([':', '@'])?.checked_add(1)?;
        model.get(..end)
    }));
    Spellings { allowed, denied }
}

/// Returns a model without a provider's name or a resource name in front.
fn without_front<'m>(model: &'m str, providers: &[(String, String)]) -> Option<&'m str> {
    let in_resource = model
        .rfind(RESOURCE)
        .filter(|at| *at == 0 || model.as_bytes().get(at.wrapping_sub(1)) == Some(&b'/'));
    if let Some(at) = in_resource {
        return model.get(at.checked_add(RESOURCE.len())?..).filter(|rest| !rest.is_empty());
    }
    let (first, rest) = model.split_once('/')?;
    (!rest.is_empty() && id_of(first, providers).is_some()).then_some(rest)
}

/// Returns the id of the provider that a name begins with.
pub(crate) fn provider_of<'p>(model: &str, providers: &'p [(String, String)]) -> Option<&'p str> {
    id_of(model.split_once('/')?.0, providers)
}

/// Returns the id of the provider that has a name, in the policy or without one.
pub(crate) fn id_of<'p>(name: &str, providers: &'p [(String, String)]) -> Option<&'p str> {
    let is_it = |known: &str| known.eq_ignore_ascii_case(name);
    let own = providers.iter().find(|(known, _)| is_it(known)).map(|(_, id)| id.as_str());
    let built_in = || BUILT_IN.iter().find(|row| is_it(row.id) || is_it(row.slug)).map(|row| row.id);
    let alias = || ALIASES.iter().find(|(known, _)| is_it(known)).map(|(_, id)| *id);
    let of_gateway = || OF_GATEWAYS.into_iter().find(|known| is_it(known));
    // The universal endpoint has no name in front of its paths.
    if name.is_empty() { None } else { own.or_else(built_in).or_else(alias).or_else(of_gateway) }
}

/// Returns the ids of the providers that are built in.
pub(crate) fn provider_ids() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|row| row.id)
}

/// Returns the names of providers that a policy adds, each with the provider's id.
pub(crate) fn added_names(providers: &[Provider]) -> Vec<(String, String)> {
    let added = providers.iter().filter(|provider| provider.builtin.id.is_empty());
    added.flat_map(|it| [(it.id.clone(), it.id.clone()), (it.slug.clone(), it.id.clone())]).collect()
}

/// The models that the head of a request names, and what its endpoint does with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "facts that have nothing to do with each other")]
pub(crate) struct TargetModels {
    /// The models in path, query and headers.
    pub(crate) models: Vec<String>,
    /// Set where one of them is what computes, whatever the body says.
    pub(crate) is_named: bool,
    /// Set where the path names one.
    pub(crate) is_in_path: bool,
    /// Set where path, query or header is certain to choose the model: else the body may name another.
    pub(crate) is_settled: bool,
    /// Set where the endpoint computes with a model that a stored object names, unless the body names another.
    pub(crate) is_stored: bool,
    /// Set where the endpoint takes `stream_options`.
    pub(crate) is_chat: bool,
    /// Set where the endpoint takes sound as it is.
    pub(crate) takes_bytes: bool,
    /// Set where the endpoint only counts tokens.
    pub(crate) counts_tokens: bool,
    /// The members of a body by which the endpoint takes the most tokens of its answer.
    pub(crate) limits: OutputLimits,
}

/// Endpoints that take the model in the query, and sound in the body. A WebSocket is opened without a body, so each may take it there.
const QUERY_ENDPOINTS: [&[u8]; 3] = [b"/listen", b"/speak", b"/read"];

impl TargetModels {
    /// Finds the models of an endpoint, whose path has no version in front.
    pub(crate) fn of(
        endpoint: &Endpoint<'_>,
        path: &[u8],
        query: Option<&[u8]>,
        is_upgrade: bool,
        headers: &[Header<'_>],
    ) -> Self {
        let in_path = endpoint.model().map(decoded);
        let in_query: Vec<String> = query.into_iter().flat_map(in_query).collect();
        let (mut in_headers, mut has_id) = (Vec::new(), false);
        for header in headers {
            if let Some(is_id) = names_model(header.name) {
                has_id |= is_id;
                in_headers.extend(models_of(header.value));
            }
        }
        let takes_bytes = QUERY_ENDPOINTS.iter().any(|it| path.eq_ignore_ascii_case(it));
        // A session of the responses API names its model in each message.
        let takes_query = (is_upgrade && !has_end(path, b"/responses")) || takes_bytes;
        Self {
            is_named: in_path.is_some()
                || (takes_query && !in_query.is_empty())
                || (takes_header(path) && has_id),
            is_in_path: in_path.is_some(),
            is_settled: in_path.is_some()
                || (!in_query.is_empty() && (takes_bytes || is_realtime(path)))
                || (takes_header(path) && has_id),
            models: in_path.into_iter().chain(in_query).chain(in_headers).collect(),
            is_stored: stores_model(path),
            takes_bytes,
            counts_tokens: endpoint.counts_tokens(),
            limits: OutputLimits::at(path),
            is_chat: has_end(path, b"/completions"),
        }
    }
}

/// Returns whether an endpoint is OpenAI's realtime API, whose model stands in the query.
fn is_realtime(path: &[u8]) -> bool {
    has_end(path, b"/realtime")
}

/// Returns whether an endpoint takes the model in a header: those of Vercel's AI SDK do.
fn takes_header(path: &[u8]) -> bool {
    path.get(..4).is_some_and(|begin| begin.eq_ignore_ascii_case(b"/ai/"))
}

/// Returns whether a header of this name, in any spelling, names the model that computes; `None` where it names none.
fn names_model(name: &[u8]) -> Option<bool> {
    let plain = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    let is_it = |end: &[u8]| {
        let own = name.len().checked_sub(end.len()).and_then(|at| name.get(at..));
        own.is_some_and(|own| own.iter().zip(end).all(|(own, end)| plain(*own) == *end))
    };
    // Most names end otherwise.
    if !matches!(name.last()?.to_ascii_lowercase(), b'd' | b'e' | b'l' | b't') {
        return None;
    }
    // A browser tells the model of its device.
    if name.get(..4).is_some_and(|begin| begin.eq_ignore_ascii_case(b"sec-")) || is_it(b"device-model") {
        return None;
    }
    HEADER_ENDS.iter().find(|(end, _)| is_it(end)).map(|(_, is_id)| *is_id)
}

/// Returns the models of a header. Lines of one name may have been joined by commas (RFC 9110 section 5.3).
fn models_of(value: &[u8]) -> impl Iterator<Item = String> {
    let models = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|model| !model.is_empty());
    models.map(|model| String::from_utf8_lossy(model).into_owned())
}

/// Returns a model that stands in a path or a query, decoded. What is no text has no model's name.
pub(crate) fn decoded(model: &[u8]) -> String {
    String::from_utf8_lossy(&percent_decode(model).collect::<Vec<u8>>()).into_owned()
}

/// Returns the models that a query names.
fn in_query(query: &[u8]) -> impl Iterator<Item = String> {
    let names_model = |name: &[u8]| {
        let name: Vec<u8> = percent_decode(name).collect();
        PARAMETERS.iter().any(|parameter| name.eq_ignore_ascii_case(parameter.as_bytes()))
    };
    let named = query::pairs(query).filter(move |(name, _)| names_model(name));
    named.map(|(_, value)| decoded(value).replace('+', " "))
}
