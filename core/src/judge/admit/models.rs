//! The rule on models for one request: the models that its caller may use, and, at an endpoint where the model names the
//! provider, the providers.

use std::rc::Rc;
use std::sync::Arc;

use crate::answer::CheckError;
use crate::identity::{CallerRecord, Class, GROUP, ModelGroups, Models};
use crate::provider::model::{provider_of, spellings};
use crate::provider::{EndpointKind, Endpoints, POST, Provider, model};
use crate::syntax::RequestPath;

/// The most entries that a refusal names.
const MAX_TOLD: usize = 20;

/// The names that a policy has for models and for providers of models.
pub(crate) struct ModelNames {
    groups: Arc<ModelGroups>,
    /// The names of providers that the policy adds, each with the provider's id.
    providers: Vec<(String, String)>,
    /// The endpoints of each provider by its id, where the policy opens the universal endpoint.
    endpoints: Vec<(String, Endpoints)>,
}

impl ModelNames {
    pub(crate) fn new(groups: &Arc<ModelGroups>, providers: &[Provider]) -> Self {
        let is_universal = |it: &Provider| it.builtin.endpoint == EndpointKind::Root;
        let with_endpoints = if providers.iter().any(is_universal) { providers } else { &[] };
        let endpoints = with_endpoints.iter().map(|it| (it.id.clone(), it.endpoints.clone())).collect();
        Self { groups: Arc::clone(groups), providers: model::added_names(providers), endpoints }
    }

    /// Returns models in words, for a caller that asked for another.
    pub(crate) fn words(&self, models: &Models) -> String {
        let mut entries = models.lists().iter().flatten();
        let told: Vec<String> =
            entries.by_ref().take(MAX_TOLD).map(|entry| self.entry_in_words(entry)).collect();
        let more = if entries.next().is_some() { ", …" } else { "" };
        format!("its models are {}{more}", told.join(", "))
    }

    fn entry_in_words(&self, entry: &str) -> String {
        let (not, name) = entry.strip_prefix('!').map_or(("", entry), |name| ("not ", name));
        match name.strip_prefix(GROUP).and_then(|name| self.groups.0.get(name)) {
            Some(models) => {
                let models: Vec<&str> = models.iter().take(MAX_TOLD).map(String::as_str).collect();
                format!("{not}`{name}` ({})", models.join(", "))
            }
            None => format!("{not}`{name}`"),
        }
    }
}

/// The rule on the models of one caller at one upstream.
#[derive(Clone)]
#[allow(clippy::struct_excessive_bools, reason = "facts that have nothing to do with each other")]
pub(crate) struct ModelRule {
    record: Arc<CallerRecord>,
    names: Rc<ModelNames>,
    /// Set where the caller is restricted to models.
    judges_models: bool,
    /// Set where the model names the provider.
    judges_providers: bool,
    /// Set where the body holds whole requests, whose models may stand in their paths.
    is_universal: bool,
    /// Set where models of Cloudflare's own namespaces are the endpoint's.
    is_cloudflare: bool,
}

impl ModelRule {
    /// Returns the rule; `None` where every model may be used, and names no provider.
    pub(crate) fn of(record: &Arc<CallerRecord>, kind: EndpointKind, names: &Rc<ModelNames>) -> Option<Self> {
        let judges_models = !record.models.is_all();
        let judges_providers = kind != EndpointKind::Provider;
        let has_rule = judges_models || judges_providers;
        has_rule.then(|| Self {
            record: Arc::clone(record),
            names: Rc::clone(names),
            judges_models,
            judges_providers,
            is_universal: kind == EndpointKind::Root,
            is_cloudflare: kind == EndpointKind::Rest,
        })
    }

    /// Checks that the models of a request can be found.
    pub(super) fn check_endpoint(&self) -> Result<(), CheckError<'static>> {
        let is_found = !(self.judges_models && self.is_universal);
        is_found.then_some(()).ok_or(CheckError::ModelMissing)
    }

    /// Returns whether the caller is restricted to models.
    pub(crate) fn restricts(&self) -> bool {
        self.judges_models
    }

    /// Returns whether the model names the provider.
    pub(crate) fn names_providers(&self) -> bool {
        self.judges_providers
    }

    /// Returns whether two rules decide alike, whatever the model.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let traits =
            |rule: &Self| (rule.judges_models, rule.judges_providers, rule.is_universal, rule.is_cloudflare);
        traits(self) == traits(other)
            && self.record.models == other.record.models
            && (!self.judges_providers || self.record.scope == other.record.scope)
            && self.names.groups == other.names.groups
            && self.names.providers == other.names.providers
    }

    /// Returns the names and globs that decide, those of groups among them, allowed or taken away.
    pub(crate) fn entries(&self) -> Vec<&str> {
        let entries = self.record.models.lists().iter().flatten();
        let entries = entries.map(|entry| entry.strip_prefix('!').unwrap_or(entry));
        let members =
            |entry: &'_ str| entry.strip_prefix(GROUP).and_then(|name| self.names.groups.0.get(name));
        let mut found = Vec::new();
        for entry in entries {
            match members(entry) {
                Some(members) => found.extend(members.iter().map(String::as_str)),
                None => found.push(entry),
            }
        }
        found
    }

    /// Checks a model that the request names.
    pub(crate) fn check_model(&self, model: &str) -> Result<(), CheckError<'static>> {
        let is_own = self.is_cloudflare && model.starts_with('@');
        if self.judges_providers && !self.is_universal && !is_own {
            let provider = provider_of(model, &self.names.providers);
            self.check_scope(provider)?;
        }
        self.check_shown(model)
    }

    /// Checks a model that is only shown.
    pub(crate) fn check_shown(&self, model: &str) -> Result<(), CheckError<'static>> {
        let spellings = spellings(model, &self.names.providers);
        let is_allowed = !self.judges_models || self.record.models.allow(&self.names.groups, &spellings);
        is_allowed.then_some(()).ok_or(CheckError::ModelNotAllowed)
    }

    /// Checks a provider that the request names.
    pub(crate) fn check_provider(&self, name: &str) -> Result<(), CheckError<'static>> {
        if !self.judges_providers {
            return Ok(());
        }
        self.check_scope(model::id_of(name, &self.names.providers))
    }

    /// Returns whether the body holds whole requests.
    pub(crate) fn is_universal(&self) -> bool {
        self.is_universal
    }

    /// Checks the endpoint of a request that the body holds, at a provider that is in scope. Only inference is open there: no
    /// other class is judged in such a body. Returns the model that the endpoint names.
    pub(crate) fn check_part(
        &self,
        provider: &str,
        endpoint: &str,
    ) -> Result<Option<String>, CheckError<'static>> {
        let id = model::id_of(provider, &self.names.providers);
        let own = self.names.endpoints.iter().find(|(own, _)| Some(own.as_str()) == id);
        let path = format!("/{}", endpoint.trim_start_matches('/'));
        let path = RequestPath::parse(path.as_bytes()).map_err(|_| CheckError::Endpoint)?;
        match own.and_then(|(_, endpoints)| endpoints.find_inside(POST, path.path)) {
            Some(found) if found.class == Class::Inference => Ok(found.model().map(model::decoded)),
            None => Err(CheckError::Endpoint),
            Some(found) => Err(CheckError::ClassOutOfScope(found.class)),
        }
    }

    /// Checks that inference is open to the caller at a provider; `None` is one that is not known.
    fn check_scope(&self, provider: Option<&str>) -> Result<(), CheckError<'static>> {
        let is_open = |provider| self.record.scope.classes(provider).has(Class::Inference);
        provider.is_some_and(is_open).then_some(()).ok_or(CheckError::ModelOutOfScope)
    }

    /// Returns the models that the caller may use, in words.
    pub(crate) fn words(&self) -> String {
        self.names.words(&self.record.models)
    }
}
