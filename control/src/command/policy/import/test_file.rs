//! A file of cases for `keyswap policy test`: the calls that each imported token may make, and calls that it may not.
//!
//! The expected outcomes follow from the policy's text. A call of an API that needs more than a case can say, such as one
//! whose model has no price, does not hold: it is left out and told. No case holds a key: it names its token by the label,
//! or by the SHA-256 where another token has the label, too.

use std::collections::BTreeSet;

use anyhow::anyhow;
use keyswap_cases::{CaseHost, Suite};
use keyswap_core::base::{Moment, UnixTime};
use keyswap_core::host::Capabilities;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::calls::{self, Call};
use super::list::{list, matches, texts};
use crate::command::policy::time::time;

/// The model of a call that no list permits.
const OTHER_MODEL: &str = "a-model-of-no-list";

/// The text of a file of cases.
pub(super) struct TestFile {
    pub(super) text: String,
    pub(super) cases: usize,
    /// The permitted calls without a case.
    pub(super) missing: Vec<String>,
}

/// A case, as it is written.
#[derive(Serialize)]
struct Case {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    request: Request,
    body: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    forward: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
    /// The call, for a report that has no case for it.
    #[serde(skip)]
    call: String,
}

#[derive(Serialize)]
struct Request {
    method: &'static str,
    target: String,
    headers: Value,
}

/// A token of the policy, as far as the cases need it.
struct Subject<'p> {
    policy: &'p Value,
    token: &'p Value,
    label: &'p str,
    /// The value of `authorization`.
    header: String,
    /// The providers of its scope.
    scope: Vec<&'p str>,
    /// Those of them whose API is known.
    providers: Vec<Call<'p>>,
    models: Option<Vec<String>>,
}

/// Returns the file for a policy.
///
/// # Errors
/// A policy that the engine does not take, or a clock that has no time.
pub(super) fn of(policy: &Value) -> anyhow::Result<TestFile> {
    let now = time(None)?.unix();
    let mut cases = Vec::new();
    for token in list(policy, "tokens") {
        let subject = Subject::of(policy, token);
        subject.add(now, &mut cases);
    }
    let mut missing = Vec::new();
    // A case that is left out spends nothing of a limit any more, so the others are judged again.
    while let Some(failed) = failed(policy, now, &cases)? {
        let mut index = 0_usize;
        cases.retain(|case| {
            let holds = !failed.contains(&index);
            index = index.saturating_add(1);
            if !holds {
                missing.push(case.call.clone());
            }
            holds
        });
    }
    let text = serde_saphyr::to_string(&json!({"at": now.to_string()}))?;
    let cases_text = serde_saphyr::to_string(&Document { cases: &cases })?;
    Ok(TestFile {
        text: format!(
            "# Calls of the imported tokens. Run them: keyswap policy test POLICY FILE\n{}\n{}\n",
            text.trim_end(),
            cases_text.trim_end()
        ),
        cases: cases.len(),
        missing,
    })
}

#[derive(Serialize)]
struct Document<'c> {
    cases: &'c [Case],
}

/// Returns the indices of the cases that do not hold; `None` where all do.
fn failed(policy: &Value, now: UnixTime, cases: &[Case]) -> anyhow::Result<Option<BTreeSet<usize>>> {
    let suite = Suite::read(json!({"at": now.to_string(), "cases": cases}))
        .map_err(|errors| anyhow!("the cases cannot be read:\n{errors}"))?;
    let host = CaseHost::new(&suite, Some(policy), Capabilities::MODULE)
        .map_err(|errors| anyhow!("the cases cannot be judged:\n{errors}"))?;
    let judged = suite.cases.iter().enumerate().filter(|(_, case)| {
        let at = suite.time_of(case).unwrap_or(Moment::from(now));
        !case.compare(&host.judge(case, at)).is_empty()
    });
    let failed: BTreeSet<usize> = judged.map(|(index, _)| index).collect();
    Ok(if failed.is_empty() { None } else { Some(failed) })
}

impl<'p> Subject<'p> {
    fn of(policy: &'p Value, token: &'p Value) -> Self {
        let text = |name: &str| token.get(name).and_then(Value::as_str).unwrap_or_default();
        let label = text("label");
        let has_label =
            |other: &&Value| other.get("label").and_then(Value::as_str).is_some_and(|it| it.trim() == label);
        let is_clear = list(policy, "tokens").filter(has_label).count() == 1 && !label.contains(['{', '}']);
        let name = if is_clear { label } else { text("sha256") };
        let scope = token.get("providers").and_then(texts).unwrap_or_default();
        let models = token.get("models").and_then(texts);
        Self {
            policy,
            token,
            label,
            header: format!("Bearer {{{{token:{name}}}}}"),
            providers: scope.iter().filter_map(|provider| calls::of(policy, provider)).collect(),
            scope,
            models: models
                .map(|entries| entries.into_iter().flat_map(|entry| expanded(policy, entry)).collect()),
        }
    }

    /// Adds the cases of the token: a refused one where it is disabled or has expired, else a permitted one for each provider
    /// and model, and a refused one for another provider and another model.
    fn add(&self, now: UnixTime, cases: &mut Vec<Case>) {
        let Some(first) = self.providers.first() else { return };
        let refusal = match self.token.get("status").and_then(Value::as_str) {
            Some(_) => Some(("is disabled", json!({"status": 401, "reason": "token_invalid"}))),
            None => self
                .has_expired(now)
                .then(|| ("has expired", json!({"status": 401, "reason": "token_expired"}))),
        };
        if let Some((state, reply)) = refusal {
            return cases.push(self.refused(
                first,
                format!("{} {state}", self.label),
                self.model_of(first),
                reply,
            ));
        }
        for (call, model) in self.calls() {
            cases.push(self.permitted(call, &model, now, cases.len()));
        }
        if let Some(other) = calls::other(self.policy, &self.scope) {
            let name = format!("{} does not reach {}", self.label, other.provider);
            let reply = json!({"status": 403, "reason": "provider_not_allowed"});
            cases.push(self.refused(&other, name, other.model, reply));
        }
        if self.models.as_ref().is_some_and(|models| !models.iter().any(|entry| matches(entry, OTHER_MODEL)))
        {
            let name = format!("{} does not reach another model at {}", self.label, first.provider);
            let reply = json!({"status": 403, "reason": "model_not_allowed"});
            let at = self.time_of(now, cases.len());
            cases.push(Case { at, ..self.refused(first, name, OTHER_MODEL, reply) });
        }
    }

    /// Returns the permitted calls: each provider with a model, and each model of the token's list at a provider. A model is
    /// called where its name is like those of the provider, else at the first provider.
    fn calls(&self) -> Vec<(&Call<'p>, String)> {
        let Some(models) = &self.models else {
            return self.providers.iter().map(|call| (call, call.model.to_owned())).collect();
        };
        let family = |model: &str| model.split(['-', '.', '/', '*']).next().map(str::to_owned);
        let mut at: Vec<Vec<&String>> = self.providers.iter().map(|_| Vec::new()).collect();
        for entry in models {
            let is_like = |call: &Call<'_>| matches(entry, call.model) || family(entry) == family(call.model);
            let position = self.providers.iter().position(is_like).unwrap_or(0);
            at.get_mut(position).into_iter().for_each(|here| here.push(entry));
        }
        let mut calls = Vec::new();
        for (call, here) in self.providers.iter().zip(&mut at) {
            if here.is_empty() {
                here.extend(models.first());
            }
            calls.extend(here.iter().map(|entry| (call, named(entry, call))));
        }
        calls
    }

    fn model_of<'c>(&'c self, call: &Call<'c>) -> &'c str {
        let models = self.models.as_deref().unwrap_or_default();
        models.iter().find(|entry| !entry.contains('*')).map_or(call.model, String::as_str)
    }

    fn permitted(&self, call: &Call<'_>, model: &str, now: UnixTime, index: usize) -> Case {
        let credential = call.credential(self.policy);
        Case {
            forward: Some(json!({"authority": call.authority})),
            provider: Some(call.provider.to_owned()),
            principal: Some(self.label.to_owned()),
            credential,
            at: self.time_of(now, index),
            ..self.case(call, model, format!("{} reaches {} with {model}", self.label, call.provider))
        }
    }

    fn refused(&self, call: &Call<'_>, name: String, model: &str, reply: Value) -> Case {
        Case { reply: Some(reply), ..self.case(call, model, name) }
    }

    fn case(&self, call: &Call<'_>, model: &str, name: String) -> Case {
        let mut headers = Map::new();
        headers.insert("authorization".to_owned(), self.header.clone().into());
        Case {
            call: format!("{} at {} with {model}", self.label, call.provider),
            name,
            at: None,
            request: Request { method: "POST", target: call.target(model), headers: headers.into() },
            body: call.body(model),
            forward: None,
            reply: None,
            provider: None,
            principal: None,
            credential: None,
        }
    }

    /// Returns the time of a call that counts in the rate limit of the token: one window for each.
    fn time_of(&self, now: UnixTime, index: usize) -> Option<String> {
        let per = self.token.pointer("/rate_limit/per").and_then(Value::as_str)?;
        let seconds: i64 = per.strip_suffix('s')?.parse().ok()?;
        let later = seconds.checked_mul(i64::try_from(index).ok()?)?;
        Some(UnixTime(now.0.checked_add(later)?).to_string())
    }

    fn has_expired(&self, now: UnixTime) -> bool {
        let expires = self.token.get("expires_at").and_then(Value::as_str).and_then(UnixTime::from_rfc3339);
        expires.is_some_and(|expires| expires <= now)
    }
}

/// Returns the name of a model that an entry of a list permits: a pattern has a text in the place of `*`.
fn named(entry: &str, call: &Call<'_>) -> String {
    if matches(entry, call.model) { call.model.to_owned() } else { entry.replace('*', "x") }
}

/// Returns an entry of a list of models, or those of the group that it names.
fn expanded(policy: &Value, entry: &str) -> Vec<String> {
    let group =
        entry.strip_prefix("group:").and_then(|name| policy.get("model_groups")?.get(name)).and_then(texts);
    match group {
        Some(names) => names.into_iter().map(str::to_owned).collect(),
        None => vec![entry.to_owned()],
    }
}
