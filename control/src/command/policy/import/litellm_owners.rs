//! The teams and users of a LiteLLM proxy, whose models bound those of their keys.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::draft::{Draft, is_empty};
use super::list::{list, texts};
use super::litellm_models::{Models, aliases};
use super::litellm_rights::Rights;

/// Names by which a list of models is every model of the proxy.
const EVERYTHING: [&str; 2] = ["all-proxy-models", "*"];
/// The word in a key's list for the models of its team.
const OF_TEAM: &str = "all-team-models";
/// The word in a list of models for none.
const NOTHING: &str = "no-default-models";

/// Teams or users by their id.
#[derive(Default)]
pub(super) struct Owners(BTreeMap<String, Value>);

/// The models that a key may use, and the reasons for which an operator must look at it first.
pub(super) struct Scope {
    pub(super) rights: Rights,
    /// The access groups that its own list names.
    pub(super) groups: BTreeSet<String>,
    pub(super) faults: Vec<String>,
    pub(super) notes: Vec<String>,
}

impl Owners {
    /// Reads the answers of `/team/list` or `/user/list`, of `/team/info` or `/user/info`, or rows of the database. `kind` is
    /// `team` or `user`.
    pub(super) fn read(documents: &[Value], kind: &str, draft: &mut Draft) -> Self {
        let (plural, id, info) = (format!("{kind}s"), format!("{kind}_id"), format!("{kind}_info"));
        note_pages(documents, &plural, draft);
        let mut owners = BTreeMap::new();
        for document in documents {
            let items = document.as_array().or_else(|| document.get(&plural)?.as_array());
            for item in items.map_or(std::slice::from_ref(document), Vec::as_slice) {
                let item = item.get(&info).unwrap_or(item);
                match item.get(&id).and_then(Value::as_str) {
                    Some(id) => _ = owners.insert(id.to_owned(), item.clone()),
                    None => draft.note(&plural, format!("an entry without `{id}`: left out")),
                }
            }
        }
        Self(owners)
    }
}

impl Scope {
    /// Returns the scope of a key: its own models, within those of its team, or of its user where it has no team.
    pub(super) fn of(key: &Value, models: &Models, teams: &Owners, users: &Owners) -> Self {
        let id = |name: &str| key.get(name).and_then(Value::as_str).filter(|id| !id.is_empty());
        let (team, user) = (id("team_id"), id("user_id"));
        let mut scope =
            Self { rights: models.all(team), groups: BTreeSet::new(), faults: Vec::new(), notes: Vec::new() };
        for name in
            ["team_id", "user_id"].into_iter().filter(|name| key.get(*name).is_some_and(|it| !is_empty(it)))
        {
            if id(name).is_none() {
                scope.faults.push(format!("`{name}` cannot be read"));
            }
        }
        let aliases = aliases(key.get("aliases"));
        let own = scope.names(key.get("models"), "its list of models");
        let own: Vec<&str> =
            own.into_iter().map(|name| aliases.get(name).map_or(name, String::as_str)).collect();
        let is_of_team = own.contains(&OF_TEAM);
        scope.narrow(&own, models, team);
        let groups = own.iter().filter(|name| !models.of_group(name).is_empty());
        scope.groups = groups.map(|name| (*name).to_owned()).collect();
        match (team, user) {
            (Some(team), _) => scope.within("team", team, key, "team_models", teams, models),
            (None, _) if is_of_team => scope.faults.push(format!("`{OF_TEAM}`, and it has no team")),
            (None, Some(user)) => scope.within("user", user, key, "user_models", users, models),
            (None, None) => {}
        }
        if scope.rights.is_empty() {
            scope.faults.push("none of its models is of a provider here; set `providers` first".to_owned());
            scope.rights = models.all(None);
        }
        scope
    }

    /// Narrows the scope to that of the key's team or user, as the export has it. `beside` is the member of a key with the
    /// models of its owner.
    fn within(&mut self, kind: &str, id: &str, key: &Value, beside: &str, known: &Owners, models: &Models) {
        let team = (kind == "team").then_some(id);
        let expanded = key.get(kind).filter(|it| it.get("models").is_some());
        if let Some(owner) = known.0.get(id).or(expanded) {
            if owner.get("blocked").is_some_and(|it| !is_false(it)) {
                self.faults.push(format!("its {kind} `{id}` is blocked"));
            }
            if owner.get("organization_id").is_some_and(|it| !it.is_null()) {
                self.faults.push(format!("the organization of its {kind} `{id}` may restrict it"));
            }
            let names = self.names(owner.get("models"), &format!("the list of models of its {kind}"));
            return self.narrow(&names, models, team);
        }
        // An empty list is what an export has that did not look: only one with names tells.
        match key.get(beside).filter(|it| it.as_array().is_some_and(|names| !names.is_empty())) {
            Some(names) => {
                let names = self.names(Some(names), &format!("the list of models of its {kind}"));
                self.narrow(&names, models, team);
            }
            None => self.faults.push(format!("its {kind} `{id}` may restrict it; add `--{kind}s`")),
        }
    }

    /// Reads a list of models. An unreadable one is a fault.
    fn names<'v>(&mut self, value: Option<&'v Value>, what: &str) -> Vec<&'v str> {
        let names = value.and_then(texts);
        if names.is_none() {
            self.faults.push(format!("{what} is missing or cannot be read"));
        }
        names.unwrap_or_default()
    }

    fn narrow(&mut self, names: &[&str], models: &Models, team: Option<&str>) {
        if names.contains(&NOTHING) {
            self.faults.push("it may use no model".to_owned());
        }
        let names: Vec<&str> =
            names.iter().copied().filter(|name| ![OF_TEAM, NOTHING].contains(name)).collect();
        if names.is_empty() || names.iter().any(|name| EVERYTHING.contains(name)) {
            return;
        }
        let mut rights = Rights::default();
        for name in &names {
            match models.of(name, team) {
                Some(of_name) => rights.extend(of_name),
                None => self.notes.push(format!("the model `{name}` has no provider here")),
            }
        }
        match self.rights.within(&rights) {
            Some(both) => self.rights = both,
            None => self.faults.push("patterns of its lists of models overlap".to_owned()),
        }
    }
}

/// Returns whether a flag is not set, in JSON or as a database prints it.
pub(super) fn is_false(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(is_set) => !is_set,
        Value::String(text) => matches!(text.as_str(), "" | "f" | "false"),
        _ => false,
    }
}

/// Notes that an export is only a part: LiteLLM answers in pages.
pub(super) fn note_pages(documents: &[Value], list_name: &str, draft: &mut Draft) {
    let number = |document: &Value, name: &str| document.get(name).and_then(Value::as_u64);
    let most = |name: &str| documents.iter().filter_map(|document| number(document, name)).max();
    let pages: BTreeSet<Option<u64>> = documents
        .iter()
        .filter(|document| number(document, "total_pages").is_some())
        .map(|document| number(document, "current_page").or_else(|| number(document, "page")))
        .collect();
    let items: usize = documents.iter().map(|document| list(document, list_name).count()).sum();
    let total = most("total_count").or_else(|| most("total"));
    let all_pages = most("total_pages").unwrap_or(0);
    if (pages.len() as u64) < all_pages || total.is_some_and(|total| (items as u64) < total) {
        let total = total.map_or_else(String::new, |total| format!(" of {total}"));
        draft.note(
            list_name,
            format!(
                "the export has {items}{total} entries ({} of {all_pages} pages): the others are left out; export all pages",
                pages.len()
            ),
        );
    }
}
