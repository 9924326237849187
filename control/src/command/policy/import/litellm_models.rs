//! The models of a LiteLLM proxy by the names that keys have for them, with their providers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::draft::{Draft, is_empty};
use super::list::{list, matches};
use super::litellm_deployment::{self as deployment, Deployment};
use super::litellm_hosts::Hosts;
use super::litellm_rights::{ALL, Rights};

/// A deployment: its names, its access groups, the team that alone may use it, the name of its provider in the policy, and
/// that of the model there.
struct Deployed {
    names: Vec<String>,
    groups: Vec<String>,
    team: Option<String>,
    provider: String,
    name: String,
}

/// The models of the proxy.
pub(super) struct Models {
    deployed: Vec<Deployed>,
    /// Other names of models.
    aliases: BTreeMap<String, String>,
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
            let Deployment { names, groups, team, model, host, key } = deployment;
            if let Some(provider) = hosts.add(&host, key, &place, draft) {
                models.push(Deployed { names, groups, team, provider, name: model });
            }
        }
        hosts.write(draft);
        note_credentials(config, draft);
        Self {
            deployed: models,
            aliases: aliases(config.pointer("/router_settings/model_group_alias")),
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

    /// Returns the models that a key means by a name, an alias, an access group or a pattern. `None` where the proxy has no
    /// such model.
    pub(super) fn of(&self, name: &str, team: Option<&str>) -> Option<Rights> {
        let name = self.aliases.get(name).map_or(name, String::as_str);
        let found = |is_meant: &dyn Fn(&Deployed) -> bool| {
            Some(rights(self.of_team(team).filter(|model| is_meant(model)))).filter(|all| !all.is_empty())
        };
        found(&|it| it.names.iter().any(|own| own == name))
            .or_else(|| found(&|it| it.groups.iter().any(|group| group == name)))
            .or_else(|| found(&|it| name.contains('*') && it.names.iter().any(|own| matches(name, own))))
            .or_else(|| self.of_pattern(name, team))
            .or_else(|| {
                let (id, model) = deployment::provider_of(name)?;
                let mut rights = Rights::default();
                rights.add(id, model);
                self.all(team).has_provider(id).then_some(rights)
            })
    }

    /// Returns the models that a name means by the proxy's patterns. As in LiteLLM, the longest one decides, and the text
    /// in the place of its `*` stands in the provider's name of the model, too.
    fn of_pattern(&self, name: &str, team: Option<&str>) -> Option<Rights> {
        let patterns = self.of_team(team).flat_map(|model| &model.names);
        let pattern =
            patterns.filter(|own| own.contains('*') && matches(own, name)).max_by_key(|own| own.len())?;
        let text = pattern.split_once('*').and_then(|(before, after)| {
            name.strip_prefix(before)?.strip_suffix(after).filter(|_| !after.contains('*'))
        });
        let mut rights = Rights::default();
        for model in self.of_team(team).filter(|it| it.names.contains(pattern)) {
            match text {
                Some(text) if model.name.matches('*').count() == 1 => {
                    rights.add(&model.provider, &model.name.replace('*', text));
                }
                // Where the text goes is not clear, so nothing is said but the provider's pattern.
                _ => rights.add(&model.provider, &model.name),
            }
        }
        Some(rights)
    }

    fn of_team<'m>(&'m self, team: Option<&'m str>) -> impl Iterator<Item = &'m Deployed> {
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
