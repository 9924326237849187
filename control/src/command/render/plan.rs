//! The parts of a proxy that a filter's configuration requires: upstreams of requests, clusters of callouts, and
//! environment variables.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail, ensure};
use keyswap_core::policy::{self, Configuration, Policy};
use serde_json::{Value, json};

use super::site::{Named, Site};
use crate::command::policy::variables;

/// The input of every rendering.
pub(super) struct Plan {
    /// The filter's configuration.
    pub(super) document: Value,
    pub(super) upstreams: Vec<Named>,
    pub(super) callouts: Vec<Callout>,
    /// The variables that the filter reads.
    pub(super) variables: BTreeSet<String>,
    /// Set where no request has values for the access log.
    pub(super) leaves_values_out: bool,
}

/// A cluster that the filter makes callouts to, and its server.
pub(super) struct Callout {
    pub(super) cluster: String,
    pub(super) site: Site,
    /// The call that the policy has it for, `None` if it has none.
    asked: Option<policy::Callout>,
    /// The objects of the document whose `cluster` names it, explicitly or by default, as JSON pointers (RFC 6901).
    places: Vec<String>,
}

/// The hosts of gateways, with the names of their clusters. A gateway serves many providers, so its cluster is not
/// named after one.
const GATEWAYS: [(&str, &str); 2] =
    [("gateway.ai.cloudflare.com", "cloudflare-ai-gateway"), ("ai-gateway.vercel.sh", "vercel-ai-gateway")];

impl Plan {
    /// Collects the requirements of a configuration. `upstreams`, `clusters` and `variables` are added to them; an
    /// entry of `clusters` overrides the server of the cluster with its name. Conflicting names are an error.
    pub(super) fn of(
        configuration: &Configuration,
        document: Value,
        upstreams: &[Named],
        clusters: &[Named],
        variables: &[String],
    ) -> anyhow::Result<Self> {
        let variables = all_variables(&document, variables);
        let mut plan = Self {
            document,
            upstreams: Vec::new(),
            callouts: Vec::new(),
            variables,
            leaves_values_out: configuration.leaves_values_out(),
        };
        if let Configuration::Bundle(source) = configuration {
            plan.add_callout("", &source.callout())?;
        }
        for (place, policy) in configuration.policies() {
            plan.add_policy(&pointer(place), policy)?;
        }
        for upstream in upstreams {
            plan.upstreams.retain(|other| other.site != upstream.site);
            plan.upstreams.push(upstream.clone());
        }
        for cluster in clusters {
            match plan.callouts.iter_mut().find(|callout| callout.cluster == cluster.name) {
                Some(callout) => callout.go_to(&cluster.site)?,
                None => plan.callouts.push(Callout {
                    cluster: cluster.name.clone(),
                    site: cluster.site.clone(),
                    asked: None,
                    places: Vec::new(),
                }),
            }
        }
        plan.check_names()?;
        Ok(plan)
    }

    /// Renames the clusters in the document.
    pub(super) fn rename_clusters(&mut self, name: impl Fn(&Site) -> String) {
        for callout in &self.callouts {
            for place in &callout.places {
                set_cluster(&mut self.document, place, &name(&callout.site));
            }
        }
    }

    fn add_policy(&mut self, place: &str, policy: &Policy) -> anyhow::Result<()> {
        for (provider, url) in policy.upstream_urls() {
            let site: Site = url.parse()?;
            match self.upstreams.iter_mut().find(|upstream| upstream.site == site) {
                Some(known) if known.name != provider => known.name = shared_name(&site),
                Some(_) => {}
                None => {
                    let gateway = GATEWAYS.iter().find(|(host, _)| *host == site.host);
                    let name = gateway.map_or(provider, |(_, name)| name).to_owned();
                    self.upstreams.push(Named { name, site });
                }
            }
        }
        for callout in policy.callouts() {
            self.add_callout(place, &callout)?;
        }
        Ok(())
    }

    fn add_callout(&mut self, place: &str, found: &policy::Callout) -> anyhow::Result<()> {
        let site: Site = found.site.parse()?;
        let place = format!("{place}{}", found.place);
        match self.callouts.iter_mut().find(|callout| callout.cluster == found.cluster) {
            Some(known) if known.site == site => known.places.push(place),
            Some(known) => bail!(
                "the cluster `{}` has two servers, {} and {}: set another `cluster` for one of them",
                found.cluster,
                known.site,
                site
            ),
            None => {
                let (asked, places) = (Some(found.clone()), vec![place]);
                self.callouts.push(Callout { cluster: found.cluster.clone(), site, asked, places });
            }
        }
        Ok(())
    }

    /// Checks that all names are distinct: upstreams and callouts are clusters of one Envoy.
    fn check_names(&self) -> anyhow::Result<()> {
        let mut names = BTreeSet::new();
        let upstreams = self.upstreams.iter().map(|upstream| &upstream.name);
        for name in upstreams.chain(self.callouts.iter().map(|callout| &callout.cluster)) {
            ensure!(
                names.insert(name),
                "two clusters are named `{name}`: rename one with `--upstream NAME=URL` or its `cluster`"
            );
        }
        Ok(())
    }
}

impl Callout {
    /// Returns true if the server is the registry, of tokens or of signed policies.
    pub(super) fn is_registry(&self) -> bool {
        self.places.iter().any(|place| place.is_empty() || place.ends_with("/registry"))
    }

    /// Replaces the server. Envoy's cluster decides on TLS, not the policy's URL: one without TLS needs the policy's
    /// consent.
    fn go_to(&mut self, site: &Site) -> anyhow::Result<()> {
        let consents = |asked: &policy::Callout| asked.may_go_to(site.is_tls, &site.host);
        ensure!(
            self.asked.as_ref().is_none_or(consents),
            "the policy asks the cluster `{}` over TLS: give it a server with `https://`, or trust its network in the \
             policy, with an `http://` URL and `plaintext: trusted_network`",
            self.cluster
        );
        self.site.clone_from(site);
        Ok(())
    }
}

/// Converts a place such as `a.b` to a JSON pointer (RFC 6901).
fn pointer(place: &str) -> String {
    place.split('.').filter(|part| !part.is_empty()).flat_map(|part| ["/", part]).collect()
}

/// Returns the variables that the configuration reads, with those in `more`.
fn all_variables(document: &Value, more: &[String]) -> BTreeSet<String> {
    let mut all = variables(document.to_string().as_bytes());
    all.extend(more.iter().cloned());
    all
}

fn shared_name(site: &Site) -> String {
    let gateway = GATEWAYS.iter().find(|(host, _)| *host == site.host);
    gateway.map_or_else(|| site.authority.clone(), |(_, name)| (*name).to_owned())
}

/// Sets `cluster` in the object at `place`, which is created if absent: an issuer needs no `jwks`.
fn set_cluster(document: &mut Value, place: &str, cluster: &str) {
    if document.pointer(place).is_none()
        && let Some((parent, name)) = place.rsplit_once('/')
        && let Some(parent) = document.pointer_mut(parent).and_then(Value::as_object_mut)
    {
        parent.insert(name.to_owned(), json!({}));
    }
    if let Some(holder) = document.pointer_mut(place).and_then(Value::as_object_mut) {
        holder.insert("cluster".to_owned(), cluster.into());
    }
}

impl std::str::FromStr for Named {
    type Err = anyhow::Error;

    /// Parses `NAME=URL`.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (name, url) = text.split_once('=').context("expected `NAME=URL`")?;
        let is_name = (1..=63).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        ensure!(is_name, "expected a name of letters, digits, `-`, `_` and `.`");
        Ok(Self { name: name.to_owned(), site: url.parse()? })
    }
}
