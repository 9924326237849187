//! Upstreams: for each enabled provider the one host its requests go to, with the credentials bound to that host.
//!
//! Host and credentials stand in one value, built once from the policy; nothing of a request chooses between them. So
//! a credential cannot reach another host than the policy bound it to, whatever a path, query or `Host` says.

use super::credentials::Credentials;
use super::pool::{Member, Pool};
use super::provider_keys::ProviderKeys;
use crate::policy::{Gateway, Policy};
use crate::provider::objects::{Objects, ObjectsMode};
use crate::provider::{
    AuthStyle, Dialect, EndpointKind, KeyPool, PathMapping, Provider, QueryKey, RealtimePath, objects_of,
    tells_usage_if_asked,
};
use crate::secret::{BEARER, Form, TOKEN};
use crate::syntax::BaseUrl;

/// A header that carries a credential.
#[derive(Clone, Debug)]
pub(crate) struct AuthHeader {
    pub(crate) name: String,
    pub(crate) form: Form,
}

/// The destination of requests for one provider, with its credentials.
#[derive(Debug)]
pub(crate) struct Upstream {
    /// The name of the provider.
    pub(crate) provider: String,
    /// The place among all upstreams of the policy.
    pub(crate) number: u32,
    /// The one authority that gets the credentials below.
    pub(crate) authority: String,
    /// Set where the authority is reached by TLS.
    pub(crate) https: bool,
    /// Set where its streams tell their usage only if asked.
    pub(crate) tells_usage_if_asked: bool,
    /// The kind of its endpoint.
    pub(crate) kind: EndpointKind,
    /// The callers who share objects there.
    pub(crate) objects: ObjectsMode,
    /// The objects of its API, where they are known and judged.
    pub(crate) object_table: Option<&'static Objects>,
    /// The mapping of the client's path to a path there.
    pub(crate) mapping: PathMapping,
    /// The provider's own credentials; `None` where the gateway supplies them.
    pub(crate) keys: Option<ProviderKeys>,
    /// The header for the provider's key.
    pub(crate) auth: AuthHeader,
    /// The header for the same key in requests in the OpenAI dialect: Bearer, unless that dialect is the provider's
    /// own.
    pub(crate) openai_auth: AuthHeader,
    /// The gateway's token, in `cf-aig-authorization`: present only where `authority` is the gateway's.
    pub(crate) gateway_key: Option<Pool>,
    /// The other headers that the Cloudflare AI Gateway gets; `None` where requests do not go there.
    pub(crate) controls: Option<Vec<(&'static str, String)>>,
}

/// Builds the upstream of every enabled provider.
pub(crate) fn build_all(policy: &Policy, credentials: &Credentials) -> Vec<Upstream> {
    let upstreams = policy.enabled_providers().filter_map(|provider| {
        let keys = policy.needs_key(provider).then(|| provider_keys(&provider.keys, credentials));
        match policy.gateway.as_ref().filter(|_| provider.via_gateway) {
            Some(gateway) if provider.builtin.endpoint == EndpointKind::Rest => {
                through_rest_api(provider, gateway, keys)
            }
            Some(gateway) => Some(through(provider, gateway, keys, credentials)),
            None => direct(provider, keys),
        }
    });
    let mut upstreams: Vec<Upstream> = upstreams.collect();
    upstreams.iter_mut().zip(0..).for_each(|(upstream, number)| upstream.number = number);
    upstreams
}

/// Returns a provider's credentials. The policy was checked, so it has every credential that its providers name.
fn provider_keys(keys: &KeyPool, credentials: &Credentials) -> ProviderKeys {
    let member = |(name, weight): &(String, u32)| {
        credentials.id(name).map(|credential| Member { credential, weight: *weight })
    };
    let pool = Pool::new(keys.members.iter().filter_map(member).collect(), keys.cooldown);
    // A caller that is bound to a credential that is not there has none: it gets no other.
    let none = || Pool::new(Vec::new(), keys.cooldown);
    ProviderKeys::new(pool, keys.bindings.map(|name| credentials.id(name).map_or_else(none, Pool::one)))
}

/// Returns the upstream at the provider's own host.
fn direct(provider: &Provider, keys: Option<ProviderKeys>) -> Option<Upstream> {
    let url = provider.url.as_ref()?;
    let live = provider.builtin.realtime.as_ref().map(|realtime| RealtimePath {
        native: realtime.native,
        path: None,
        key: realtime.key.map(|(_, name)| QueryKey(name)),
    });
    let mapping = PathMapping::at_host(provider, &url.path, live);
    Some(carrying(provider, keys, url, mapping))
}

/// Returns the upstream at the Cloudflare AI Gateway.
fn through(
    provider: &Provider,
    gateway: &Gateway,
    keys: Option<ProviderKeys>,
    credentials: &Credentials,
) -> Upstream {
    let live = provider.builtin.realtime.as_ref().map(|realtime| RealtimePath {
        native: realtime.native,
        path: Some(gateway.path_prefix(realtime.slug)),
        key: realtime.key.map(|(name, _)| QueryKey(name)),
    });
    let mapping = PathMapping::at_gateway(provider, gateway.path_prefix(&provider.slug), live);
    Upstream {
        gateway_key: credentials.id(&gateway.credential).map(Pool::one),
        controls: Some(gateway.controls.clone()),
        ..carrying(provider, keys, &gateway.url, mapping)
    }
}

/// Returns the upstream at Cloudflare's REST API, where the gateway's token is the credential.
fn through_rest_api(provider: &Provider, gateway: &Gateway, keys: Option<ProviderKeys>) -> Option<Upstream> {
    let url = provider.url.as_ref()?;
    let (path, name) = gateway.rest()?;
    let mut controls = gateway.controls.clone();
    controls.push(("cf-aig-gateway-id", name.to_owned()));
    let mapping = PathMapping::at_gateway(provider, url.path.clone() + &path, None);
    Some(Upstream { controls: Some(controls), ..carrying(provider, keys, url, mapping) })
}

/// Returns an upstream at `url` that gets the provider's keys and nothing else.
fn carrying(
    provider: &Provider,
    keys: Option<ProviderKeys>,
    url: &BaseUrl,
    mapping: PathMapping,
) -> Upstream {
    let bearer = AuthStyle::Authorization(BEARER);
    let openai_style = if provider.dialect == Dialect::OpenAi { &provider.auth } else { &bearer };
    Upstream {
        provider: provider.id.clone(),
        number: 0,
        authority: url.authority.clone(),
        https: url.https,
        tells_usage_if_asked: tells_usage_if_asked(&provider.id),
        kind: provider.builtin.endpoint,
        objects: provider.objects,
        object_table: objects_of(&provider.endpoints).filter(|_| provider.objects != ObjectsMode::Shared),
        mapping,
        keys,
        auth: AuthHeader::of(&provider.auth),
        openai_auth: AuthHeader::of(openai_style),
        gateway_key: None,
        controls: None,
    }
}

impl AuthHeader {
    fn of(style: &AuthStyle) -> Self {
        match style {
            AuthStyle::Authorization(TOKEN) => Self { name: "authorization".to_owned(), form: Form::Token },
            AuthStyle::Authorization(_) => Self { name: "authorization".to_owned(), form: Form::Bearer },
            AuthStyle::Header(name) => Self { name: name.clone(), form: Form::Plain },
        }
    }
}
