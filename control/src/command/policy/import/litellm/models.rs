//! The models of a LiteLLM proxy by the names that keys have for them, with their providers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::deployment::{self, Deployment};
use super::lists::{List, have_common};
use crate::command::policy::import::draft::{Draft, is_empty};
use crate::command::policy::import::hosts::Hosts;
use crate::command::policy::import::list::list;
use crate::command::policy::import::rights::{ALL, Rights};

/// A deployment: its names, its access groups, the team that alone may use it, the name of its provider in the policy, and
/// that of the model there.
pub(super) struct Deployed {
    pub(super) names: Vec<String>,
    pub(super) groups: Vec<String>,
    team: Option<String>,
    pub(super) provider: String,
    pub(super) name: String,
    /// Set where LiteLLM passes requests with any model through to the provider, with the same key.
    pub(super) is_passed: bool,
}

/// The models of the proxy.
pub(super) struct Models {
    deployed: Vec<Deployed>,
    /// Other names of models, which callers of any key may send.
    pub(super) aliases: BTreeMap<String, String>,
    /// Other names of models, which the router follows after the aliases of a key.
    pub(super) routed: BTreeMap<String, String>,
    /// The providers that the policy gives another address.
    relayed: BTreeSet<String>,
}

impl Models {
    /// Reads `model_list` and adds its providers and credentials to the draft.
    pub(super) fn read(config: &Value, draft: &mut Draft) -> Self {
        let mut deployments: Vec<(String, Deployment)> = Vec::new();
        for (index, entry) in list(config, "model_list").enumerate() {
            let place = format!("model_list[{index}]");
            if let Some(read) = deployment::read(entry, config, &place, draft) {
                deployments.push((place, read));
            }
        }
        let mut hosts = Hosts::name(deployments.iter().map(|(_, deployment)| deployment.host.clone()));
        let mut models = Vec::new();
        for (place, deployment) in deployments {
            let Deployment { names, groups, team, model, host, key, is_passed } = deployment;
            if let Some(provider) = hosts.add(&host, key, &place, draft) {
                models.push(Deployed { names, groups, team, provider, name: model, is_passed });
            }
        }
        hosts.write(draft);
        note_credentials(config, draft);
        Self {
            deployed: models,
            aliases: aliases(config.pointer("/litellm_settings/model_alias_map")),
            routed: aliases(config.pointer("/router_settings/model_group_alias")),
            relayed: draft.relayed(),
        }
    }

    /// Returns all models of the providers of the models that a key of this team may use.
    pub(super) fn all(&self, team: Option<&str>) -> Rights {
        let mut rights = Rights::default();
        self.of_team(team).for_each(|model| rights.add(&model.provider, ALL));
        rights
    }

    /// Returns the providers that the policy gives another address.
    pub(super) fn relayed(&self) -> &BTreeSet<String> {
        &self.relayed
    }

    /// Returns the models of an access group that a key of any team may use; none where a model has that name.
    pub(super) fn of_group(&self, name: &str) -> Rights {
        let is_model = self.deployed.iter().any(|model| model.names.iter().any(|own| own == name));
        let of_group =
            self.of_team(None).filter(|it| !is_model && it.groups.iter().any(|group| group == name));
        rights(of_group)
    }

    /// Returns whether a name of a list is that of a model, an alias or an access group, or a pattern of some.
    pub(super) fn knows(&self, name: &str, team: Option<&str>) -> bool {
        self.aliases.contains_key(name)
            || self.routed.contains_key(name)
            || self.of_team(team).any(|model| {
                let is_group = model.groups.iter().any(|group| group == name);
                let list = List::new(&[name], false, false);
                is_group || model.names.iter().any(|own| list.permits(own, &[]) || have_common(own, name))
            })
    }

    pub(super) fn of_team<'m>(&'m self, team: Option<&'m str>) -> impl Iterator<Item = &'m Deployed> {
        let may = move |model: &&Deployed| model.team.as_deref().is_none_or(|only| team == Some(only));
        self.deployed.iter().filter(may)
    }
}

fn rights<'m>(models: impl Iterator<Item = &'m Deployed>) -> Rights {
    let mut rights = Rights::default();
    models.for_each(|model| rights.add(&model.provider, &model.name));
    rights
}

/// Reads aliases of models: texts, or objects that have the model beside other settings.
pub(super) fn aliases(value: Option<&Value>) -> BTreeMap<String, String> {
    let members = value.and_then(Value::as_object).into_iter().flatten();
    let name = |value: &Value| Some(value.as_str().or_else(|| value.get("model")?.as_str())?.to_owned());
    members.filter_map(|(alias, value)| Some((alias.clone(), name(value)?))).collect()
}

/// Notes the parts of `credential_list` that no deployment takes.
fn note_credentials(config: &Value, draft: &mut Draft) {
    let named = |entry: &Value| entry.pointer("/litellm_params/litellm_credential_name").cloned();
    let named: Vec<Value> = list(config, "model_list").filter_map(named).collect();
    for (index, credential) in list(config, "credential_list").enumerate() {
        let place = format!("credential_list[{index}]");
        let name = credential.get("credential_name").unwrap_or(&Value::Null);
        if is_empty(name) || !named.contains(name) {
            draft.note(&place, "not imported: no model refers to the credential");
        }
        let values = credential.get("credential_values").unwrap_or(&Value::Null);
        draft.note_rest(&format!("{place}.credential_values"), values, &["api_key", "api_base", "base_url"]);
    }
}
