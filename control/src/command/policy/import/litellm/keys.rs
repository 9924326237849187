//! The virtual keys of a LiteLLM proxy, from its API or its database, identified by their SHA-256.
//!
//! A key permits what it permitted, or less: whatever else restricted it, or is not known, imports it as disabled.

use std::collections::BTreeSet;

use anyhow::bail;
use keyswap_core::base::{Digest, UnixTime};
use keyswap_core::syntax::{is_email, is_plain_name};
use serde_json::Value;

use super::limits::{Limited, Limits, UNCOUNTED};
use super::models::Models;
use super::owners::{Owners, Scope, is_false, note_pages};
use crate::command::policy::import::draft::{Draft, is_empty};
use crate::command::policy::import::list::texts;
use crate::command::policy::import::token::Token;

/// The members of a key that the import reads.
const READ: [&str; 18] = [
    "token",
    "key_alias",
    "models",
    "aliases",
    "team_id",
    "team_models",
    "team_blocked",
    "user_id",
    "user_models",
    "user",
    "user_email",
    "expires",
    "rpm_limit",
    "max_budget",
    "budget_duration",
    "tpm_limit",
    "blocked",
    "key_type",
];
/// The members of a key that permit and restrict nothing: its history, and names of what it belongs to.
const DESCRIBING: [&str; 28] = [
    "key_name",
    "api_key",
    "spend",
    "model_spend",
    "team_spend",
    "team_member_spend",
    "user_spend",
    "created_at",
    "created_by",
    "created_by_user",
    "updated_at",
    "updated_by",
    "settings_updated_at",
    "last_active",
    "last_refreshed_at",
    "last_rotation_at",
    "key_rotation_at",
    "rotation_count",
    "team_alias",
    "organization_alias",
    "project_alias",
    "soft_budget_cooldown",
    "budget_reset_at",
    "user_role",
    "request_route",
    "is_session_token",
    "total_spend",
    "team_member",
];
/// The members of a key that a policy does not have and that restrict it in nothing, beside limits.
const UNSUPPORTED: [&str; 10] = [
    "metadata",
    "tags",
    "team_metadata",
    "team_model_aliases",
    "auto_rotate",
    "rotation_interval",
    "router_settings",
    "organization_metadata",
    "budget_fallbacks",
    "soft_budget",
];
/// The members of `metadata`, of a key or of its team, by which LiteLLM restricts a key.
const RESTRICTING: [&str; 10] = [
    "guardrails",
    "policies",
    "prompts",
    "enforced_params",
    "enforced_batch_output_expires_after",
    "enforced_file_expires_after",
    "allowed_vector_store_indexes",
    "allowed_passthrough_routes",
    "denied_passthrough_routes",
    "end_user_budget_id",
];
/// The members of a team by which LiteLLM restricts its keys, beside models and limits.
const RESTRICTING_TEAM: [&str; 3] = ["policies", "object_permission_id", "allowed_routes"];

/// Adds the keys of an export to a draft.
pub(super) struct Keys<'m> {
    pub(super) models: &'m Models,
    pub(super) teams: Owners,
    pub(super) users: Owners,
    /// Set to permit a key whose models no list says all models of their providers.
    pub(super) widen: bool,
    /// The names of settings without which a key is imported, although they restrict it.
    pub(super) without: BTreeSet<String>,
    /// The settings of the proxy that restrict every key.
    pub(super) of_all: Vec<&'static str>,
    /// Set where the policy has a registry, which keeps budgets.
    pub(super) has_registry: bool,
}

impl Keys<'_> {
    /// Adds every key in the documents to the draft. A setting of `without` that restricts none of them is an error.
    pub(super) fn read(&self, documents: &[Value], draft: &mut Draft) -> anyhow::Result<()> {
        note_pages(documents, "keys", draft);
        for document in documents {
            match document {
                Value::Array(items) => self.add_all(items, "keys", draft),
                Value::Object(members) => match (members.get("keys"), members.get("info")) {
                    (Some(Value::Array(items)), _) => self.add_all(items, "keys", draft),
                    // `GET /key/info` returns the key beside `info`.
                    (_, Some(info)) => self.add(info, members.get("key"), "keys", draft),
                    _ => self.add(document, None, "keys", draft),
                },
                _ => draft.leave_out("keys", "neither a key nor a list of keys"),
            }
        }
        match self.without.difference(&draft.lost).next() {
            Some(name) => bail!(
                "no key is restricted by `{name}`: take `--without {name}` out, or correct its spelling"
            ),
            None => Ok(()),
        }
    }

    fn add_all(&self, items: &[Value], path: &str, draft: &mut Draft) {
        for (index, item) in items.iter().enumerate() {
            self.add(item, None, &format!("{path}[{index}]"), draft);
        }
    }

    /// Restricts a token to the models of a scope: by the groups that the key names, and by the names of all other models.
    fn restrict(&self, scope: &Scope<'_>, token: &mut Token, draft: &mut Draft) {
        let relayed = self.models.relayed();
        let mut entries = match scope.rights.list(relayed) {
            Ok(None) => return,
            Ok(Some(entries)) => entries,
            Err(reason) if self.widen => {
                return token.note(format!("permitted all models of its providers: {reason}"));
            }
            Err(reason) => {
                return token
                    .disable(format!("{reason}; `--widen-models` permits all models of its providers"));
            }
        };
        let mut list = Vec::new();
        for name in scope.groups.iter().filter(|name| is_plain_name(name)) {
            let of_group = self.models.of_group(name).list(relayed);
            if let Ok(Some(of_group)) = of_group
                && of_group.is_subset(&entries)
            {
                list.push(format!("group:{name}"));
                draft.model_groups.insert(name.clone(), of_group);
            }
        }
        let in_groups = |entry: &String| {
            let names = list.iter().filter_map(|group| group.strip_prefix("group:"));
            names.filter_map(|name| draft.model_groups.get(name)).any(|group| group.contains(entry))
        };
        entries.retain(|entry| !in_groups(entry));
        list.extend(entries);
        token.models = Some(list);
    }

    /// Reads the limits of a key and of its owners.
    fn limit(&self, key: &Value, scope: &Scope<'_>, token: &mut Token, draft: &mut Draft) {
        let mut limits = Limits::default();
        let table = |record: Option<&'_ Value>| record.and_then(|it| it.get("litellm_budget_table").cloned());
        let (of_key, of_member) = (table(Some(key)), table(scope.member));
        let records = [
            ("", Some(key), false),
            ("its budget table's ", of_key.as_ref(), false),
            ("its team's ", scope.team, true),
            ("its membership's ", of_member.as_ref(), true),
            ("its user's ", scope.user, true),
        ];
        for (whose, record, is_shared) in records {
            if let Some(record) = record.filter(|it| it.is_object()) {
                limits.read(&Limited { whose, record, is_shared });
            }
        }
        limits.refused.iter().for_each(|reason| token.disable(reason));
        for reason in limits.write(token, self.has_registry) {
            if self.is_without("max_budget", draft) {
                token.note(reason);
            } else {
                token.disable(format!("{reason}; `--without max_budget` imports the key without it"));
            }
        }
        let (team, user) =
            (key.get("team_id").and_then(Value::as_str), key.get("user_id").and_then(Value::as_str));
        if let (Some(_), Some(user), None) = (team, user.filter(|user| !user.is_empty()), scope.user) {
            token.note(format!("limits of its user `{user}` are not in the input; add `--users`"));
        }
        let of_team =
            |name: &&&str| scope.team.is_some_and(|team| team.get(**name).is_some_and(|it| !is_empty(it)));
        let of_metadata = |name: &&&str| {
            scope.team.is_some_and(|team| {
                team.pointer(&format!("/metadata/{name}")).is_some_and(|it| !is_empty(it))
            })
        };
        let mut names: Vec<String> = limits.uncounted.into_iter().collect();
        names.extend(RESTRICTING_TEAM.iter().filter(of_team).map(|name| format!("team.{name}")));
        names.extend(RESTRICTING.iter().filter(of_metadata).map(|name| format!("team.metadata.{name}")));
        names.extend(restricting(key));
        let (without, names): (Vec<String>, Vec<String>) =
            names.into_iter().partition(|name| self.is_without(name, draft));
        let quoted =
            |names: Vec<String>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let mut unsupported: Vec<String> = unsupported(key);
        unsupported.extend(without);
        if !unsupported.is_empty() {
            token.note(format!("not imported: {}", quoted(unsupported)));
        }
        if !names.is_empty() {
            token.disable(format!("not supported, and may restrict it: {}", quoted(names)));
        }
        for name in &self.of_all {
            if !self.is_without(name, draft) {
                token.disable(format!("`{name}` of the configuration restricts every key"));
            }
        }
    }

    /// Returns whether a setting that restricts a key may be lost.
    fn is_without(&self, name: &str, draft: &mut Draft) -> bool {
        let is_without = self.without.contains(name);
        if is_without {
            draft.lost.insert(name.to_owned());
        }
        is_without
    }

    fn add(&self, key: &Value, beside: Option<&Value>, path: &str, draft: &mut Draft) {
        let text = |name: &str| key.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        if key.is_string() {
            draft.count_left_out("a hash without its record");
            return draft
                .note(path, "a hash without its record: left out; list keys with `return_full_object=true`");
        }
        let alias = text("key_alias").unwrap_or_default();
        let Some(digest) = text("token").or_else(|| beside?.as_str()).map(digest) else {
            return draft.leave_out(&format!("{path} ({alias})"), "no `token`");
        };
        let scope = Scope::of(key, self.models, &self.teams, &self.users);
        let mut token = Token::new(&digest, alias, scope.rights.providers());
        let email = key.pointer("/user/user_email").and_then(Value::as_str);
        let owner = [text("user_email"), email, text("user_id")];
        token.owner = owner.into_iter().flatten().find(|it| is_email(it)).map(str::to_owned);
        token.team = text("team_id").filter(|it| is_plain_name(it)).map(str::to_owned);
        if let (Some(team), None) = (text("team_id"), &token.team) {
            token.note(format!("the team `{team}` is not imported: a name has letters, digits, `-` and `_`"));
        }
        if key.get("aliases").is_some_and(|it| !is_empty(it)) || scope.has_team_aliases {
            token.note("its aliases are not imported: callers send the names that the providers have");
        }
        scope.notes.iter().for_each(|note| token.note(note));
        scope.faults.iter().for_each(|fault| token.disable(fault));
        self.restrict(&scope, &mut token, draft);
        read_state(key, &mut token);
        self.limit(key, &scope, &mut token, draft);
        draft.add(path, token);
    }
}

/// Parses a hash. Any other text is a key in plain text, and is hashed.
fn digest(token: &str) -> Digest {
    Digest::from_hex(&token.to_ascii_lowercase()).unwrap_or_else(|| Digest::of(token.as_bytes()))
}

/// Reads expiry and the reasons for which LiteLLM refuses the key itself.
fn read_state(key: &Value, token: &mut Token) {
    match key.get("expires").filter(|it| !it.is_null()).map(expiry) {
        None => {}
        Some(Some(time)) => token.expires_at = Some(time.to_string()),
        Some(None) => token.disable("`expires` is not a time"),
    }
    for (flag, reason) in [("blocked", "it is blocked"), ("team_blocked", "its team is blocked")] {
        if key.get(flag).is_some_and(|it| !is_false(it)) {
            token.disable(reason);
        }
    }
    if key.get("key_type").is_some_and(|it| !is_empty(it) && *it != "llm_api" && *it != "default") {
        token.disable("it is a key for LiteLLM's administration");
    }
    if key.pointer("/user/metadata/scim_active").is_some_and(|it| *it == Value::Bool(false)) {
        token.disable("its user is deactivated");
    }
}

/// Returns the expiry in UTC; `None` for an invalid time.
fn expiry(value: &Value) -> Option<UnixTime> {
    let iso = value.as_str()?.trim().replacen(' ', "T", 1);
    // Times in the database are UTC without an offset.
    UnixTime::from_rfc3339(&iso).or_else(|| UnixTime::from_rfc3339(&format!("{iso}Z")))
}

/// Returns the names of the settings that restrict the key, or that the import does not know.
fn restricting(key: &Value) -> Vec<String> {
    let has_table = key.get("litellm_budget_table").is_some_and(Value::is_object);
    let is_every_route =
        |value: &Value| texts(value).is_some_and(|it| it.iter().all(|it| *it == "llm_api_routes"));
    // Nothing at all passes a limit of 0.
    let is_set = |name: &str, value: &Value| {
        !is_empty(value)
            || (name.ends_with("_limit") || name.ends_with("_budget")) && value.as_f64() == Some(0.0)
    };
    let members = key.as_object().into_iter().flatten();
    let restricts = |name: &str, value: &Value| match name {
        "allowed_routes" => !is_every_route(value),
        "soft_budget" | "litellm_budget_table" => false,
        "budget_id" => !has_table,
        _ => ![&READ[..], &DESCRIBING, &UNSUPPORTED, &UNCOUNTED].iter().any(|known| known.contains(&name)),
    };
    let mut names: Vec<String> = members
        .filter(|(name, value)| is_set(name, value) && restricts(name, value))
        .map(|(name, _)| name.clone())
        .collect();
    let metadata = |name: &&&str| key.pointer(&format!("/metadata/{name}")).is_some_and(|it| !is_empty(it));
    names.extend(RESTRICTING.iter().filter(metadata).map(|name| format!("metadata.{name}")));
    names
}

/// Returns the names of the settings of a key that are not imported and restrict it in nothing.
fn unsupported(key: &Value) -> Vec<String> {
    let is_set = |name: &&&str| key.get(**name).is_some_and(|it| !is_unset(it));
    UNSUPPORTED.iter().filter(is_set).map(|name| (*name).to_owned()).collect()
}

/// Returns whether a setting says nothing, also where all of its members are unset.
fn is_unset(value: &Value) -> bool {
    is_empty(value) || value.as_object().is_some_and(|members| members.values().all(is_empty))
}
