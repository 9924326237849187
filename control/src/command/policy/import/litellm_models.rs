//! The models of a LiteLLM proxy by the names that keys have for them, with their providers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::draft::{Draft, is_empty};
use super::list::{list, matches};
use super::litellm_deployment::{self as deployment, Deployment};
use super::litellm_hosts::Hosts;

/// A deployment: its names, its access groups, the team that alone may use it, and the name of its provider in the policy.
struct Model {
    names: Vec<String>,
    groups: Vec<String>,
    team: Option<String>,
    provider: String,
}

/// The models of the proxy.
pub(super) struct Models {
    models: Vec<Model>,
    /// Other names of models.
    aliases: BTreeMap<String, String>,
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
            let Deployment { names, groups, team, host, key } = deployment;
            if let Some(provider) = hosts.add(&host, key, &place, draft) {
                models.push(Model { names, groups, team, provider });
            }
        }
        hosts.write(draft);
        note_credentials(config, draft);
        Self { models, aliases: aliases(config.pointer("/router_settings/model_group_alias")) }
    }

    /// Returns the providers of all models that a key of this team may use.
    pub(super) fn all(&self, team: Option<&str>) -> BTreeSet<String> {
        providers(self.of_team(team))
    }

    /// Returns the providers of a model as a key names it: by a name, an alias, an access group or a pattern. `None` where
    /// the proxy has no such model.
    pub(super) fn of(&self, name: &str, team: Option<&str>) -> Option<BTreeSet<String>> {
        let name = self.aliases.get(name).map_or(name, String::as_str);
        let found = |is_meant: &dyn Fn(&Model) -> bool| {
            let providers = providers(self.of_team(team).filter(|model| is_meant(model)));
            Some(providers).filter(|providers| !providers.is_empty())
        };
        found(&|it| it.names.iter().any(|own| own == name))
            .or_else(|| found(&|it| it.groups.iter().any(|group| group == name)))
            .or_else(|| found(&|it| name.contains('*') && it.names.iter().any(|own| matches(name, own))))
            .or_else(|| {
                // As in LiteLLM, the longest of the proxy's patterns decides.
                let patterns = self.of_team(team).flat_map(|model| &model.names);
                let pattern = patterns
                    .filter(|own| own.contains('*') && matches(own, name))
                    .max_by_key(|own| own.len())?;
                found(&|it| it.names.contains(pattern))
            })
            .or_else(|| {
                let id = deployment::provider_of(name)?;
                self.all(team).contains(id).then(|| BTreeSet::from([id.to_owned()]))
            })
    }

    fn of_team<'m>(&'m self, team: Option<&'m str>) -> impl Iterator<Item = &'m Model> {
        let may = move |model: &&Model| model.team.as_deref().is_none_or(|only| team == Some(only));
        self.models.iter().filter(may)
    }
}

fn providers<'m>(models: impl Iterator<Item = &'m Model>) -> BTreeSet<String> {
    models.map(|model| model.provider.clone()).collect()
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
