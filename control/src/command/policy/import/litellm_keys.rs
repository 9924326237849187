//! The virtual keys of a LiteLLM proxy, from its API or its database, identified by their SHA-256.
//!
//! A key permits what it permitted, or less: whatever else restricted it, or is not known, imports it as disabled.

use keyswap_core::base::{Digest, UnixTime};
use keyswap_core::limit::{CallerLimit, MAX_BUDGET_USD, Period};
use keyswap_core::price::Nano;
use keyswap_core::syntax::{is_email, is_plain_name};
use serde_json::{Map, Value, json};

use super::draft::{Draft, is_empty};
use super::list::texts;
use super::litellm_models::Models;
use super::litellm_owners::{Owners, Scope, is_false, note_pages};
use super::token::Token;

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
const DESCRIBING: [&str; 26] = [
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
];
/// The members of a key that a policy does not have and that restrict it in nothing, beside limits.
const UNSUPPORTED: [&str; 8] = [
    "metadata",
    "tags",
    "team_metadata",
    "team_model_aliases",
    "auto_rotate",
    "rotation_interval",
    "router_settings",
    "organization_metadata",
];
/// The members of `metadata` by which LiteLLM restricts a key.
const RESTRICTING: [&str; 5] = [
    "guardrails",
    "policies",
    "enforced_params",
    "allowed_vector_store_indexes",
    "allowed_passthrough_routes",
];

/// Adds the keys of an export to a draft.
pub(super) struct Keys<'m> {
    pub(super) models: &'m Models,
    pub(super) teams: Owners,
    pub(super) users: Owners,
    /// Set to permit a key that is restricted to models all models of their providers.
    pub(super) widen: bool,
    /// Set where the policy has a registry, which keeps budgets.
    pub(super) has_registry: bool,
}

impl Keys<'_> {
    /// Adds every key in the documents to the draft.
    pub(super) fn read(&self, documents: &[Value], draft: &mut Draft) {
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
    }

    fn add_all(&self, items: &[Value], path: &str, draft: &mut Draft) {
        for (index, item) in items.iter().enumerate() {
            self.add(item, None, &format!("{path}[{index}]"), draft);
        }
    }

    /// Restricts a token to the models of a scope: by the groups that the key names, and by the names of all other models.
    fn restrict(&self, scope: &Scope, token: &mut Token, draft: &mut Draft) {
        if self.widen {
            return;
        }
        let relayed = self.models.relayed();
        let mut entries = match scope.rights.list(relayed) {
            Ok(None) => return,
            Ok(Some(entries)) => entries,
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

    /// Reads the budget of a key, where a registry keeps it and a calendar's window is as long.
    fn read_budget(&self, key: &Value, token: &mut Token) {
        let Some(budget) = key.get("max_budget").filter(|it| !it.is_null()) else { return };
        let text = budget.as_str().map_or_else(|| budget.to_string(), str::to_owned);
        let duration = key.get("budget_duration").and_then(Value::as_str);
        let reason = match (Nano::from_usd(&text), duration.and_then(window)) {
            (Some(Nano(0)), _) => return token.disable("its budget is 0"),
            (None, _) if text.starts_with('-') => return token.disable("its budget is below 0"),
            (Some(usd), _) if usd.0 > MAX_BUDGET_USD.saturating_mul(1_000_000_000) => {
                "it is too large".to_owned()
            }
            (Some(usd), Some(per)) if self.has_registry => {
                token.budget = Some(json!({"usd": usd.to_string(), "per": per.name()}));
                return;
            }
            (Some(_), Some(_)) => "a registry keeps budgets; add `--registry`".to_owned(),
            (Some(_), None) => {
                let lasts = duration.map_or_else(|| "for ever".to_owned(), |it| format!("for `{it}`"));
                format!("it lasts {lasts}, and not for an hour, a day, a week or a month")
            }
            (None, _) => "it is no amount of dollars with at most nine decimals".to_owned(),
        };
        token.note(format!("`max_budget` is not imported: {reason}"));
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
        scope.notes.iter().for_each(|note| token.note(note));
        scope.faults.iter().for_each(|fault| token.disable(fault));
        self.restrict(&scope, &mut token, draft);
        read_state(key, &mut token);
        self.read_budget(key, &mut token);
        note_rest(key, &mut token);
        draft.add(path, token);
    }
}

/// Returns the calendar's window that a LiteLLM budget lasts, which begins with the calendar there, too. `None` where no
/// window is as long.
fn window(duration: &str) -> Option<Period> {
    match duration {
        "1h" | "60m" | "3600s" => Some(Period::Hour),
        "1d" | "24h" | "86400s" => Some(Period::Day),
        "7d" | "1w" => Some(Period::Week),
        "30d" | "1mo" => Some(Period::Month),
        _ => None,
    }
}

/// Parses a hash. Any other text is a key in plain text, and is hashed.
fn digest(token: &str) -> Digest {
    Digest::from_hex(&token.to_ascii_lowercase()).unwrap_or_else(|| Digest::of(token.as_bytes()))
}

/// Reads expiry, limit and the reasons for which LiteLLM refuses the key itself.
fn read_state(key: &Value, token: &mut Token) {
    match key.get("expires").filter(|it| !it.is_null()).map(expiry) {
        None => {}
        Some(Some(time)) => token.expires_at = Some(time.to_string()),
        Some(None) => token.disable("`expires` is not a time"),
    }
    read_rate_limit(key, token);
    for (flag, reason) in [("blocked", "it is blocked"), ("team_blocked", "its team is blocked")] {
        if key.get(flag).is_some_and(|it| !is_false(it)) {
            token.disable(reason);
        }
    }
    if key.get("key_type").is_some_and(|it| !is_empty(it) && *it != "llm_api" && *it != "default") {
        token.disable("it is a key for LiteLLM's administration");
    }
    let number = |name: &str| key.get(name).and_then(Value::as_f64);
    if number("spend").zip(number("max_budget")).is_some_and(|(spend, budget)| spend >= budget) {
        token.disable("its budget is used up");
    }
}

/// Returns the expiry in UTC; `None` for an invalid time.
fn expiry(value: &Value) -> Option<UnixTime> {
    let iso = value.as_str()?.trim().replacen(' ', "T", 1);
    // Times in the database are UTC without an offset.
    UnixTime::from_rfc3339(&iso).or_else(|| UnixTime::from_rfc3339(&format!("{iso}Z")))
}

/// Reads the limits in requests and in tokens of a minute.
fn read_rate_limit(key: &Value, token: &mut Token) {
    let number = |name: &str| {
        let value = key.get(name).filter(|it| !it.is_null())?;
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        // 0 is no limit of Keyswap's: a key with it could not be used.
        Some(number.and_then(|number| u32::try_from(number).ok()).unwrap_or(0))
    };
    let (requests, tokens) = (number("rpm_limit"), number("tpm_limit"));
    for (name, requests, tokens) in [("rpm_limit", requests, None), ("tpm_limit", None, tokens)] {
        if requests.or(tokens).is_some() && CallerLimit::new(requests, tokens, 60).is_none() {
            token.disable(format!("`{name}` is not a valid rate limit"));
            return;
        }
    }
    let mut limit = Map::new();
    limit.extend(requests.map(|requests| ("requests".to_owned(), requests.into())));
    limit.extend(tokens.map(|tokens| ("tokens".to_owned(), tokens.into())));
    if !limit.is_empty() {
        limit.insert("per".to_owned(), "60s".into());
        token.rate_limit = Some(limit.into());
    }
}

/// Notes every other setting. One that restricts the key, or that the import does not know, disables it.
fn note_rest(key: &Value, token: &mut Token) {
    let (mut unsupported, mut restricting) = (Vec::new(), Vec::new());
    for (name, value) in key.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        match name.as_str() {
            name if READ.contains(&name) || DESCRIBING.contains(&name) => {}
            "allowed_routes"
                if texts(value).is_some_and(|it| it.iter().all(|it| *it == "llm_api_routes")) => {}
            name if is_limit(name) => match value.as_f64() {
                // Nothing at all may pass such a limit, but a soft one only warns.
                Some(0.0) if !name.contains("soft") => restricting.push(format!("`{name}`")),
                _ if is_empty(value) => {}
                _ => unsupported.push(format!("`{name}`")),
            },
            _ if is_empty(value) => {}
            name if UNSUPPORTED.contains(&name) => unsupported.push(format!("`{name}`")),
            name => restricting.push(format!("`{name}`")),
        }
    }
    let metadata = |name: &&&str| key.pointer(&format!("/metadata/{name}")).is_some_and(|it| !is_empty(it));
    restricting.extend(RESTRICTING.iter().filter(metadata).map(|name| format!("`metadata.{name}`")));
    if !unsupported.is_empty() {
        token.note(format!("not imported: {}", unsupported.join(", ")));
    }
    if !restricting.is_empty() {
        let names = restricting.join(", ");
        token.disable(format!("not supported, and may restrict it: {names}"));
    }
}

/// Returns whether a member limits amounts: of money, tokens, or requests at once.
fn is_limit(name: &str) -> bool {
    ["_limit", "_budget", "_per_model"].iter().any(|end| name.ends_with(end))
        || name.starts_with("budget_")
        || ["max_parallel_requests", "litellm_budget_table"].contains(&name)
}
