//! The teams and users of a LiteLLM proxy, whose models bound those of their keys.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::lists::{List, NOTHING, OF_TEAM};
use super::models::{Models, aliases};
use super::reach::Aliases;
use crate::command::policy::import::draft::{Draft, is_empty};
use crate::command::policy::import::list::{list, texts};
use crate::command::policy::import::rights::Rights;

/// Teams or users by their id.
#[derive(Default)]
pub(super) struct Owners(BTreeMap<String, Value>);

/// The models that a key may use, and the reasons for which an operator must look at it first.
pub(super) struct Scope<'v> {
    pub(super) rights: Rights,
    /// The access groups that its own list names.
    pub(super) groups: BTreeSet<String>,
    pub(super) faults: Vec<String>,
    pub(super) notes: Vec<String>,
    /// Set where its team has other names for models.
    pub(super) has_team_aliases: bool,
    /// Its team, its membership there and its user, as the export has them.
    pub(super) team: Option<&'v Value>,
    pub(super) member: Option<&'v Value>,
    pub(super) user: Option<&'v Value>,
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

    /// Returns the record of an owner, of its own export or as a member of the key.
    fn find<'v>(&'v self, id: &str, kind: &str, key: &'v Value) -> Option<&'v Value> {
        self.0.get(id).or_else(|| key.get(kind).filter(|it| it.get("models").is_some()))
    }
}

impl<'v> Scope<'v> {
    /// Returns the scope of a key: its own models, within those of its team and its membership there, or of its user where
    /// it has no team.
    pub(super) fn of(key: &'v Value, models: &Models, teams: &'v Owners, users: &'v Owners) -> Self {
        let id = |name: &str| key.get(name).and_then(Value::as_str).filter(|id| !id.is_empty());
        let (team, user) = (id("team_id"), id("user_id"));
        let mut scope = Self {
            rights: Rights::default(),
            groups: BTreeSet::new(),
            faults: Vec::new(),
            notes: Vec::new(),
            has_team_aliases: false,
            team: team.and_then(|id| teams.find(id, "team", key)),
            member: None,
            user: user.and_then(|id| users.find(id, "user", key)),
        };
        for name in
            ["team_id", "user_id"].into_iter().filter(|name| key.get(*name).is_some_and(|it| !is_empty(it)))
        {
            if id(name).is_none() {
                scope.faults.push(format!("`{name}` cannot be read"));
            }
        }
        let own = scope.names(key.get("models"), "its list of models");
        let is_of_team = own.contains(&OF_TEAM);
        let mut lists = vec![List::new(&own, true, is_of_team && team.is_some())];
        match (team, user) {
            (Some(team), user) => scope.within_team(team, user, key, &mut lists),
            (None, _) if is_of_team => scope.faults.push(format!("`{OF_TEAM}`, and it has no team")),
            (None, Some(user)) => {
                let names = scope.names_of("user", user, scope.user, key, "user_models");
                lists.extend(names.map(|names| List::new(&names, false, false)));
            }
            (None, None) => {}
        }
        scope.note_unknown(&own, models, team);
        let groups = own.iter().filter(|name| !models.of_group(name).is_empty());
        scope.groups = groups.map(|name| (*name).to_owned()).collect();
        let of_team = scope.team.and_then(|team| team.pointer("/litellm_model_table/model_aliases"));
        let aliases = Aliases {
            key: aliases(key.get("aliases")),
            team: aliases(of_team.or_else(|| key.get("team_model_aliases"))),
        };
        scope.has_team_aliases = !aliases.team.is_empty();
        match models.reach(&lists, &aliases, team) {
            Ok(rights) => scope.rights = rights,
            Err(fault) => {
                scope.faults.push(fault);
                scope.rights = models.all(team);
            }
        }
        if scope.rights.is_empty() {
            scope.faults.push("none of its models is of a provider here; set `providers` first".to_owned());
            scope.rights = models.all(None);
        }
        scope
    }

    /// Adds the lists of a key's team, and of its membership there.
    fn within_team(&mut self, team: &str, user: Option<&str>, key: &'v Value, lists: &mut Vec<List<'v>>) {
        let names = self.names_of("team", team, self.team, key, "team_models");
        lists.extend(names.map(|names| List::new(&names, true, false)));
        let (Some(team), Some(user)) = (self.team, user) else { return };
        if team.get("team_memberships").is_none_or(Value::is_null) {
            let has_defaults = ["/default_team_member_models", "/metadata/team_member_budget_id"];
            if has_defaults.iter().any(|path| team.pointer(path).is_some_and(|it| !is_empty(it))) {
                self.faults
                    .push("its membership of the team may restrict it; export `/team/list`".to_owned());
            }
            return;
        }
        let is_its = |it: &&Value| it.get("user_id").and_then(Value::as_str) == Some(user);
        self.member = list(team, "team_memberships").find(is_its);
        let allowed = self.member.and_then(|it| it.pointer("/litellm_budget_table/allowed_models"));
        if let Some(allowed) = allowed.filter(|it| !it.is_null()) {
            let names = self.names(Some(allowed), "the list of models of its membership");
            lists.push(List::new(&names, false, false));
        }
    }

    /// Returns the list of the key's team or user, as the export has it; `None` where it does not tell, which is a fault.
    /// `beside` is the member of a key with that list.
    fn names_of(
        &mut self,
        kind: &str,
        id: &str,
        owner: Option<&'v Value>,
        key: &'v Value,
        beside: &str,
    ) -> Option<Vec<&'v str>> {
        let what = format!("the list of models of its {kind}");
        let names = if let Some(owner) = owner {
            if owner.get("blocked").is_some_and(|it| !is_false(it)) {
                self.faults.push(format!("its {kind} `{id}` is blocked"));
            }
            if owner.get("organization_id").is_some_and(|it| !it.is_null()) {
                self.faults.push(format!("the organization of its {kind} `{id}` may restrict it"));
            }
            self.names(owner.get("models"), &what)
        } else {
            // An empty list is what an export has that did not look: only one with names tells.
            let told = key.get(beside).filter(|it| it.as_array().is_some_and(|names| !names.is_empty()));
            let Some(told) = told else {
                self.faults.push(format!("its {kind} `{id}` may restrict it; add `--{kind}s`"));
                return None;
            };
            self.names(Some(told), &what)
        };
        if names.contains(&NOTHING) {
            self.faults.push("it may use no model".to_owned());
        }
        Some(names)
    }

    /// Reads a list of models. An unreadable one is a fault.
    fn names(&mut self, value: Option<&'v Value>, what: &str) -> Vec<&'v str> {
        let names = value.and_then(texts);
        if names.is_none() {
            self.faults.push(format!("{what} is missing or cannot be read"));
        }
        names.unwrap_or_default()
    }

    /// Notes the names of its list that mean no model.
    fn note_unknown(&mut self, names: &[&str], models: &Models, team: Option<&str>) {
        if names.contains(&NOTHING) {
            self.faults.push("it may use no model".to_owned());
        }
        let is_word = |name: &str| [OF_TEAM, NOTHING, "*", "all-proxy-models"].contains(&name);
        for name in names.iter().filter(|name| !is_word(name) && !models.knows(name, team)) {
            self.notes.push(format!("`{name}` is no model of the configuration that has a provider here"));
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
