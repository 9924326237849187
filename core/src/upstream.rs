//! Upstreams: for each enabled provider the one host its requests go to, with the secrets bound to that host.
//!
//! Host and secrets stand in one value, built once from the policy; nothing of a request chooses between them. So
//! a credential cannot reach another host than the policy bound it to, whatever a path, query or `Host` says.

use crate::policy::{Gateway, Policy, PolicyErrors};
use crate::provider::{AuthStyle, BEARER, Dialect, Place, Provider};
use crate::secret::{Environment, Secret};
use crate::target::{Below, Live, QueryKey};

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
    /// How the client's path continues there.
    pub(crate) below: Below,
    /// The provider's own credential, in its native slot; `None` where the gateway supplies it.
    pub(crate) auth: Option<AuthHeader>,
    /// The same credential where requests in the OpenAI dialect carry it: as Bearer, unless that dialect is the
    /// provider's own.
    pub(crate) openai_auth: Option<AuthHeader>,
    /// `cf-aig-authorization`: present only where `authority` is the gateway's.
    pub(crate) gateway_auth: Option<AuthHeader>,
    /// What else the Cloudflare AI Gateway is told; `None` where requests do not go there.
    pub(crate) controls: Option<Vec<(&'static str, String)>>,
}

/// Builds the upstream of every enabled provider. Errors name the variable, never its value.
pub(crate) fn build_all(
    policy: &Policy,
    environment: &dyn Environment,
) -> Result<Vec<Upstream>, PolicyErrors> {
    let secrets = policy.credentials.resolve(environment)?;
    let upstreams = policy.enabled_providers().filter_map(|provider| {
        let gateway = policy.gateway.as_ref().filter(|_| provider.via_gateway);
        let key = secrets.get(provider.credential.as_str()).filter(|_| policy.needs_key(provider));
        let gateway_key = gateway.and_then(|gateway| secrets.get(gateway.credential.as_str()));
        match gateway {
            Some(gateway) if provider.row.place == Place::Rest => rest(provider, gateway, key),
            Some(gateway) => Some(through(provider, gateway, key, gateway_key)),
            None => direct(provider, key),
        }
    });
    Ok(upstreams.collect())
}

/// Straight to the provider's own host.
fn direct(provider: &Provider, key: Option<&Secret>) -> Option<Upstream> {
    let url = provider.url.as_ref()?;
    let live = provider.row.realtime.as_ref().map(|realtime| Live {
        native: realtime.native,
        path: None,
        key: realtime.key.map(|(_, name)| QueryKey::new(name, key)),
    });
    let below = Below::new(provider, url.path.clone(), live);
    Some(Upstream { below, ..carrying(provider, key, url.authority.clone()) })
}

/// Through the Cloudflare AI Gateway.
fn through(
    provider: &Provider,
    gateway: &Gateway,
    key: Option<&Secret>,
    gateway_key: Option<&Secret>,
) -> Upstream {
    let live = provider.row.realtime.as_ref().map(|realtime| Live {
        native: realtime.native,
        path: Some(gateway.path_prefix(realtime.slug)),
        key: realtime.key.map(|(name, _)| QueryKey::new(name, key)),
    });
    let pinned = provider.path.as_deref().unwrap_or_default();
    let prefix = gateway.path_prefix(&provider.slug) + pinned;
    Upstream {
        below: Below::new(provider, prefix, live),
        gateway_auth: gateway_key.map(|key| authorization("cf-aig-authorization", BEARER, key)),
        controls: Some(gateway.controls.clone()),
        ..carrying(provider, key, gateway.url.authority.clone())
    }
}

/// To the gateway by Cloudflare's REST API, where the gateway's token is the credential.
fn rest(provider: &Provider, gateway: &Gateway, key: Option<&Secret>) -> Option<Upstream> {
    let (prefix, name) = gateway.rest()?;
    let mut controls = gateway.controls.clone();
    controls.push(("cf-aig-gateway-id", name.to_owned()));
    Some(Upstream {
        below: Below::new(provider, prefix, None),
        controls: Some(controls),
        ..carrying(provider, key, Gateway::REST_AUTHORITY.to_owned())
    })
}

/// An upstream at `authority` that gets the provider's key, with nothing else said.
fn carrying(provider: &Provider, key: Option<&Secret>, authority: String) -> Upstream {
    let bearer = AuthStyle::Authorization(BEARER);
    let openai_style = if provider.dialect == Dialect::OpenAi { &provider.auth } else { &bearer };
    Upstream {
        provider: provider.id.clone(),
        authority,
        below: Below::default(),
        auth: key.map(|key| auth(&provider.auth, key)),
        openai_auth: key.map(|key| auth(openai_style, key)),
        gateway_auth: None,
        controls: None,
    }
}

fn auth(style: &AuthStyle, key: &Secret) -> AuthHeader {
    match style {
        AuthStyle::Authorization(scheme) => authorization("authorization", scheme, key),
        AuthStyle::Header(name) => AuthHeader { name: name.clone(), value: key.clone() },
    }
}

fn authorization(name: &str, scheme: &str, key: &Secret) -> AuthHeader {
    AuthHeader { name: name.to_owned(), value: key.with_scheme(scheme) }
}
