//! Upstreams: for each enabled provider the one host its requests go to, with the secrets bound to that host.
//!
//! Host and secrets stand in one value, built once from the policy; nothing of a request chooses between them. So
//! a credential cannot reach another host than the policy bound it to, whatever a path, query or `Host` says.

use crate::policy::{Gateway, GatewayMode, Policy, PolicyErrors};
use crate::provider::{AuthStyle, Dialect, Provider};
use crate::secret::{Environment, Secret};

/// A header that carries an upstream secret.
#[derive(Debug)]
pub(crate) struct AuthHeader {
    pub(crate) name: String,
    pub(crate) value: Secret,
}

/// Where requests for one provider go, and with what.
#[derive(Debug)]
pub(crate) struct Upstream {
    /// The name of the provider.
    pub(crate) provider: String,
    /// The one authority that gets the secrets below.
    pub(crate) authority: String,
    /// What stands in front of the client's path: empty, or `/…` without a slash at the end.
    pub(crate) path_prefix: String,
    /// The provider's own credential, in its native slot; `None` where the gateway supplies it.
    pub(crate) auth: Option<AuthHeader>,
    /// The same credential where requests in the OpenAI dialect carry it: as Bearer, unless that dialect is the
    /// provider's own.
    pub(crate) openai_auth: Option<AuthHeader>,
    /// `cf-aig-authorization`: present only where `authority` is the gateway's.
    pub(crate) gateway_auth: Option<AuthHeader>,
}

/// Builds the upstream of every enabled provider. Errors name the variable, never its value.
pub(crate) fn build_all(
    policy: &Policy,
    environment: &dyn Environment,
) -> Result<Vec<Upstream>, PolicyErrors> {
    let secrets = policy.credentials.resolve(environment)?;
    let upstreams = policy.enabled_providers().map(|provider| {
        let gateway = policy.gateway.as_ref().filter(|_| provider.via_gateway);
        let key = match gateway {
            Some(Gateway { mode: GatewayMode::Byok | GatewayMode::UnifiedBilling, .. }) => None,
            _ => secrets.get(provider.credential.as_str()),
        };
        let gateway_key = gateway.and_then(|gateway| secrets.get(gateway.credential.as_str()));
        build(provider, gateway, key, gateway_key)
    });
    Ok(upstreams.collect())
}

fn build(
    provider: &Provider,
    gateway: Option<&Gateway>,
    key: Option<&Secret>,
    gateway_key: Option<&Secret>,
) -> Upstream {
    let (authority, path_prefix) = match gateway {
        Some(gateway) => (gateway.url.authority.clone(), gateway.path_prefix(&provider.slug)),
        None => (provider.url.authority.clone(), provider.url.path.clone()),
    };
    let openai_style = if provider.dialect == Dialect::OpenAi { &provider.auth } else { &AuthStyle::Bearer };
    Upstream {
        provider: provider.id.clone(),
        authority,
        path_prefix,
        auth: key.map(|key| auth(&provider.auth, key)),
        openai_auth: key.map(|key| auth(openai_style, key)),
        gateway_auth: gateway_key.map(|key| bearer("cf-aig-authorization", key)),
    }
}

fn auth(style: &AuthStyle, key: &Secret) -> AuthHeader {
    match style {
        AuthStyle::Bearer => bearer("authorization", key),
        AuthStyle::Header(name) => AuthHeader { name: name.clone(), value: key.clone() },
    }
}

fn bearer(name: &str, key: &Secret) -> AuthHeader {
    AuthHeader { name: name.to_owned(), value: key.with_scheme("Bearer") }
}
