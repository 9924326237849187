//! `keyswap policy import ai-gateway`: the routes, backends and client keys of an Envoy AI Gateway.
//!
//! A client's key may do what the routes permit at which a SecurityPolicy of Envoy Gateway accepts it. What else is in
//! effect there may restrict the key as well, so the key is disabled.

use std::path::PathBuf;

use anyhow::{bail, ensure};
use clap::Args;
use serde_json::Value;

use super::backends;
use super::routes::{self, AiRoute};
use crate::command::policy::import::api_key::{self, Found, Secrets};
use crate::command::policy::import::documents;
use crate::command::policy::import::draft::Draft;
use crate::command::policy::import::objects::Objects;
use crate::command::policy::import::outputs::Outputs;
use crate::command::policy::import::rights::Rights;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::input;

/// Kinds that are read.
const READ: [&str; 8] = [
    "AIGatewayRoute",
    "AIServiceBackend",
    "Backend",
    "BackendSecurityPolicy",
    "BackendTLSPolicy",
    "ReferenceGrant",
    "Secret",
    "SecurityPolicy",
];

/// Create a policy from the resources of an Envoy AI Gateway
///
/// Reads manifests, or what `kubectl get -o yaml` prints: AIGatewayRoutes with their AIServiceBackends, Backends and
/// BackendSecurityPolicies become providers and credentials. The keys of SecurityPolicies (`apiKeyAuth`) become tokens for
/// the providers and models of the routes that they protect.
///
/// A key may do no more than before: where another policy, or a setting that policies of Keyswap do not have, may restrict
/// it, it is imported as disabled, with the reason. Each object and setting that has no counterpart has a line on standard
/// error.
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap policy import ai-gateway manifests.yaml > policy.yaml\n  \
     keyswap policy import ai-gateway routes.yaml secrets.yaml --tests policy.tests.yaml > policy.yaml"
))]
pub(crate) struct AiGateway {
    /// Manifests, in YAML or JSON; `-` reads standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    outputs: Outputs,
}

impl AiGateway {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let mut documents: Vec<Value> = Vec::new();
        for file in &self.files {
            let read = documents::read(file)?;
            ensure!(
                Objects::of(&read).iter().next().is_some(),
                "{} has no object of Kubernetes: expected manifests, or what `kubectl get -o yaml` prints",
                input::name(file)
            );
            documents.extend(read);
        }
        let objects = Objects::of(&documents);
        let mut draft = Draft::default();
        let backends = backends::read(&objects, &mut draft);
        if backends.is_empty() {
            bail!("no AIServiceBackend with a supported provider{}", draft.see_lines());
        }
        let routes = routes::read(&objects, &backends, &mut draft);
        for object in objects.iter().filter(|object| !READ.contains(&object.kind)) {
            draft.note(&object.place(), "not imported");
        }
        let mut secrets = Secrets::for_routes();
        for object in objects.iter().filter(|object| matches!(object.kind, "SecurityPolicy" | "Secret")) {
            let is_key = object.kind == "Secret" && backends::names_secret(&objects, object);
            if !is_key {
                secrets.add(object.value, &mut draft);
            }
        }
        let mut found = Vec::new();
        secrets.take(&mut found, &mut draft);
        for key in &found {
            add(key, &routes, &mut draft);
        }
        draft.finish("Envoy AI Gateway", &self.outputs)
    }
}

/// Adds the token of a key, for the routes of its SecurityPolicies.
fn add(found: &Found, routes: &[AiRoute], draft: &mut Draft) {
    let place = format!("{} ({})", found.place, found.client);
    let routes: Vec<&AiRoute> = routes
        .iter()
        .filter(|route| route.policies.iter().any(|policy| found.policies.contains(policy)))
        .collect();
    let mut rights = Rights::default();
    for route in &routes {
        rights.extend(route.rights.clone());
    }
    if rights.is_empty() {
        return draft.leave_out(&place, "its SecurityPolicy is in effect on no route to a provider");
    }
    let mut token = match api_key::token(&found.key, &found.client, rights.providers()) {
        Ok(token) => token,
        Err(reason) => return draft.leave_out(&place, reason),
    };
    found.faults.iter().for_each(|fault| token.disable(fault));
    routes.iter().flat_map(|route| &route.faults).for_each(|fault| token.disable(fault));
    match rights.list(&draft.relayed()) {
        Ok(models) => token.models = models.map(|models| models.into_iter().collect()),
        Err(reason) => token.disable(format!("{reason}: set `providers` and `models` by hand")),
    }
    draft.add(&found.place, token);
}
