//! The hosts that a data plane with a policy connects to, and no others.

use std::collections::BTreeSet;

use super::bundle::BundleSource;
use super::credentials::Source;
use super::document::Policy;
use crate::identity::jwt::{Issuer, KeySource};
use crate::provider::{EndpointKind, Provider};
use crate::syntax::{BaseUrl, is_exposed};

/// A server that the data plane asks on its own account: the registry, an issuer's keys, a source of credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callout {
    /// The place of `cluster` in the document, as a JSON pointer (RFC 6901) to the object that has it or could have it.
    pub place: String,
    /// The Envoy cluster of the server; other hosts connect to `site`.
    pub cluster: String,
    /// Scheme and authority.
    pub site: String,
    /// Set if the policy trusts the network between, so that the calls may go without TLS.
    pub is_network_trusted: bool,
}

impl Callout {
    /// Returns true if the policy lets the calls go to this server instead: with TLS, within the machine, or over a
    /// network that it trusts.
    pub fn may_go_to(&self, https: bool, host: &str) -> bool {
        self.is_network_trusted || !is_exposed(https, host)
    }
}

impl BundleSource {
    /// Returns the registry that has the policies.
    pub fn callout(&self) -> Callout {
        Callout {
            place: String::new(),
            cluster: self.cluster.clone(),
            site: self.url.site(),
            is_network_trusted: self.url.is_exposed(),
        }
    }
}

impl Policy {
    /// Returns every server that is asked beside the upstreams.
    pub fn callouts(&self) -> Vec<Callout> {
        let registry = self.registry.iter().map(|registry| Callout {
            place: "/registry".to_owned(),
            cluster: registry.cluster.clone(),
            site: registry.url.site(),
            is_network_trusted: registry.url.is_exposed(),
        });
        let issuers =
            self.issuers.iter().enumerate().filter_map(|(index, issuer)| match Issuer::keys(issuer) {
                KeySource::Inline(_) => None,
                KeySource::Jwks(keys) | KeySource::Discovery(keys) => Some(Callout {
                    place: format!("/issuers/{index}/jwks"),
                    cluster: keys.cluster.clone(),
                    site: keys.endpoint.site(),
                    is_network_trusted: keys.endpoint.is_exposed(),
                }),
            });
        let sources = self.credentials.chains().flat_map(|(name, chain)| {
            chain.iter().enumerate().filter_map(move |(index, source)| match source {
                Source::Http(source) => Some(Callout {
                    place: format!("/credentials/{name}/{index}/http"),
                    cluster: source.cluster.clone(),
                    site: source.endpoint.site(),
                    is_network_trusted: source.endpoint.is_exposed(),
                }),
                _ => None,
            })
        });
        registry.chain(issuers).chain(sources).collect()
    }

    /// Returns the URL below which requests for a provider go; `None` where that is not known.
    pub(crate) fn base_url<'p>(&'p self, provider: &'p Provider) -> Option<&'p BaseUrl> {
        let is_behind = provider.via_gateway && provider.builtin.endpoint != EndpointKind::Rest;
        match self.gateway.as_ref().filter(|_| is_behind) {
            Some(gateway) => Some(&gateway.url),
            None => provider.url.as_ref(),
        }
    }

    /// Returns the providers that a request can be forwarded to, each with the URL below which its requests go: the
    /// gateway's, or its own.
    pub fn upstream_urls(&self) -> impl Iterator<Item = (&str, String)> {
        self.enabled_providers().filter_map(|provider| {
            let url = self.base_url(provider)?;
            Some((provider.id.as_str(), format!("{}{}", url.site(), url.path)))
        })
    }

    /// Returns scheme and authority of every host that is connected to: upstreams, the registry, issuers, sources of
    /// credentials.
    ///
    /// Discovery adds no host: keys are fetched only from the host of their discovery document.
    pub fn outbound_hosts(&self) -> BTreeSet<String> {
        let upstreams = self.enabled_providers().filter_map(|provider| self.base_url(provider));
        let callouts = self.callouts().into_iter().map(|callout| callout.site);
        upstreams.map(BaseUrl::site).chain(callouts).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn hosts(policy: &Value) -> Vec<String> {
        Policy::from_json(policy.to_string().as_bytes()).unwrap().outbound_hosts().into_iter().collect()
    }

    #[test]
    fn every_host_that_a_policy_leads_to_is_told() {
        let issuer = |name: &str, more: &Value| {
            let mut issuer = json!({
                "name": name, "preset": "oidc", "issuer": format!("https://{name}.example"), "audiences": ["a"],
                "principals": "any",
            });
            issuer["jwks"] = more.clone();
            issuer
        };
        let mut policy = json!({
            "version": "keyswap/v1",
            "registry": {"url": "http://registry.internal:7070/base", "plaintext": "trusted_network", "credential": {"env": "R"}},
            "issuers": [
                issuer("discovered", &json!({"timeout": "1s"})),
                issuer("elsewhere", &json!({"url": "https://keys.example:8443/jwks"})),
            ],
            "credentials": {
                "openai": [{"env": "A"}, {"http": {"url": "http://agent:80/token", "plaintext": "trusted_network", "max_age": "1m"}}],
                "groq": [{"env": "B"}],
            },
        });
        let others = [
            "http://agent",
            "http://registry.internal:7070",
            "https://discovered.example",
            "https://keys.example:8443",
        ];
        let direct = ["https://api.groq.com", "https://api.openai.com"];
        assert_eq!(hosts(&policy), [&others[..2], &direct[..], &others[2..]].concat());

        let read = Policy::from_json(policy.to_string().as_bytes()).unwrap();
        let places: Vec<(String, String)> =
            read.callouts().into_iter().map(|callout| (callout.place, callout.cluster)).collect();
        let expect = [
            ("/registry", "registry.internal"),
            ("/issuers/0/jwks", "discovered.example"),
            ("/issuers/1/jwks", "keys.example"),
            ("/credentials/openai/1/http", "agent"),
        ];
        assert_eq!(places, expect.map(|(place, cluster)| (place.to_owned(), cluster.to_owned())));

        policy["credentials"]["cf"] = json!([{"env": "C"}]);
        policy["providers"] = json!({"cloudflare-rest": {}, "groq": {"via": "direct"}});
        policy["gateway"] = json!({"cloudflare": {
            "account": "a", "gateway": "g", "credential": "cf", "mode": "provider_key",
        }});
        let gateway = ["https://api.cloudflare.com", "https://api.groq.com"];
        let expect =
            [&others[..2], &gateway[..], &others[2..3], &["https://gateway.ai.cloudflare.com"], &others[3..]];
        assert_eq!(hosts(&policy), expect.concat());
    }

    #[test]
    fn an_upstream_is_told_by_the_url_below_which_its_requests_go() {
        let policy = json!({
            "version": "keyswap/v1",
            "credentials": {"groq": [{"env": "B"}], "own": [{"env": "C"}]},
            "providers": {"own": {"url": "http://llm.internal:8000/v2"}},
        });
        let policy = Policy::from_json(policy.to_string().as_bytes()).unwrap();
        let urls: Vec<(&str, String)> = policy.upstream_urls().collect();
        let expect = [
            ("groq", "https://api.groq.com/openai/v1".to_owned()),
            ("own", "http://llm.internal:8000/v2".to_owned()),
        ];
        assert_eq!(urls, expect);
    }
}
