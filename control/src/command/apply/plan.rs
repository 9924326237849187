//! The difference between a file and a registry.

use std::collections::BTreeSet;

use anyhow::{bail, ensure};
use serde_json::Value;

use super::document::Entry;
use crate::command::terminal::output::visible;
use crate::registry::{NewToken, Status, Token, TokenPatch};

/// The changes that make a registry have what a file has.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) create: Vec<Entry>,
    pub(super) update: Vec<Update>,
    /// The tokens to disable, which the file does not have.
    pub(super) disable: Vec<Token>,
    pub(super) unchanged: usize,
    /// The labels of tokens that are disabled, and that the file leaves so.
    pub(super) still_disabled: Vec<String>,
}

/// A change of a token.
#[derive(Debug)]
pub(super) struct Update {
    pub(super) token: Token,
    pub(super) patch: TokenPatch,
    pub(super) fields: Vec<Field>,
}

/// A field that differs.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) from: Value,
    pub(super) to: Value,
}

impl Plan {
    /// Compares the entries with all tokens of a registry. With `prune`, tokens whose labels begin with it, and are not in
    /// the file, are to be disabled; all labels of the file must begin with it then.
    pub(super) fn new(entries: Vec<Entry>, tokens: &[Token], prune: Option<&str>) -> anyhow::Result<Self> {
        let mut plan = Self::default();
        let labels: BTreeSet<String> = entries.iter().map(|entry| entry.record.label.clone()).collect();
        let mut named = BTreeSet::new();
        for (index, entry) in entries.into_iter().enumerate() {
            let Some(token) = find(index, &entry, tokens)? else {
                plan.create.push(entry);
                continue;
            };
            let is_first = named.insert(token.digest.to_hex());
            ensure!(is_first, "tokens[{index}] names a token that stands in the file already");
            ensure!(
                entry.record.certificate_sha256 == record(token).certificate_sha256,
                "tokens[{index}].certificate_sha256: a token stays bound to the certificate that it was made for: create a new token"
            );
            plan.compare(&entry, token);
        }
        if let Some(prefix) = prune {
            if let Some(label) = labels.iter().find(|label| !label.starts_with(prefix)) {
                bail!("the label `{}` does not begin with the prefix of `--prune`", visible(label));
            }
            // A token that was rotated has the label of its successor, and works until its grace period ends.
            let is_gone = |token: &&Token| {
                token.status == Status::Active
                    && token.label.starts_with(prefix)
                    && !labels.contains(&token.label)
                    && !named.contains(&token.digest.to_hex())
            };
            plan.disable = tokens.iter().filter(is_gone).cloned().collect();
        }
        Ok(plan)
    }

    /// Returns true if the registry has what the file has.
    pub(super) fn is_empty(&self) -> bool {
        self.create.is_empty() && self.update.is_empty() && self.disable.is_empty()
    }

    /// Returns the number of tokens that are to be minted.
    pub(super) fn minted(&self) -> usize {
        self.create.iter().filter(|entry| entry.digest.is_none()).count()
    }

    fn compare(&mut self, entry: &Entry, token: &Token) {
        let (present, wanted) = (value(&record(token)), value(&entry.record));
        let mut fields = Vec::new();
        for (name, to) in &wanted {
            let from = present.get(name).unwrap_or(&Value::Null);
            // The expiry of a token that was rotated is not the file's: its grace period ends it.
            let is_ending = name == "expires_at" && token.successor.is_some();
            if from != to && !is_ending {
                fields.push(Field { name: name.clone(), from: from.clone(), to: to.clone() });
            }
        }
        let status = entry.status.filter(|status| *status != token.status);
        if let Some(status) = status {
            let [from, to] = [token.status, status].map(|status| Value::from(status.name()));
            fields.push(Field { name: "status".to_owned(), from, to });
        }
        if token.status == Status::Disabled && entry.status.is_none() {
            self.still_disabled.push(token.label.clone());
        }
        if fields.is_empty() {
            self.unchanged += 1;
            return;
        }
        let patch = patch(entry, &fields, token.version);
        self.update.push(Update { token: token.clone(), patch, fields });
    }
}

/// Returns the token that an entry names: by its digest, or by its label. A label does not name a token that was rotated,
/// since its successor has the same.
///
/// People with fewer rights choose labels, too. So a label names no token with an owner or a team that the entry does not have.
fn find<'t>(index: usize, entry: &Entry, tokens: &'t [Token]) -> anyhow::Result<Option<&'t Token>> {
    if let Some(digest) = &entry.digest {
        return Ok(tokens.iter().find(|token| token.digest == *digest));
    }
    let record = &entry.record;
    let has_label = |token: &&Token| token.label == record.label && token.successor.is_none();
    let is_other = |present: &Option<String>, wanted: &Option<String>| present.is_some() && present != wanted;
    let is_foreign =
        |token: &&Token| is_other(&token.owner, &record.owner) || is_other(&token.team, &record.team);
    let (foreign, own): (Vec<&Token>, Vec<&Token>) = tokens.iter().filter(has_label).partition(is_foreign);
    match (own.as_slice(), foreign.as_slice()) {
        ([], []) => Ok(None),
        ([token], _) => Ok(Some(token)),
        ([], _) => bail!(
            "tokens[{index}]: a token of the registry has its label and another owner or team, so it may be somebody else's: \
             name it by `sha256`, or choose another label"
        ),
        _ => bail!(
            "tokens[{index}]: several tokens of the registry have its label: name one of them by `sha256`"
        ),
    }
}

/// Returns the record of a token in the form of a new one.
fn record(token: &Token) -> NewToken {
    NewToken {
        label: token.label.clone(),
        owner: token.owner.clone(),
        team: token.team.clone(),
        providers: token.providers.clone(),
        models: token.models.clone(),
        expires_at: token.own_expiry.map(|at| at.to_string()),
        rate_limit: token.rate_limit,
        certificate_sha256: token.certificate.map(|digest| digest.to_hex()),
    }
}

fn value(record: &NewToken) -> serde_json::Map<String, Value> {
    match serde_json::to_value(record) {
        Ok(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    }
}

/// Returns the patch that sets these fields, based on a version.
fn patch(entry: &Entry, fields: &[Field], version: i64) -> TokenPatch {
    let record = &entry.record;
    let mut patch = TokenPatch { version: Some(version), ..TokenPatch::default() };
    for field in fields {
        match field.name.as_str() {
            "label" => patch.label = Some(record.label.clone()),
            "owner" => patch.owner = Some(record.owner.clone()),
            "team" => patch.team = Some(record.team.clone()),
            "providers" => patch.providers = Some(record.providers.clone()),
            "models" => patch.models = Some(record.models.clone()),
            "expires_at" => patch.expires_at = Some(record.expires_at.clone()),
            "rate_limit" => patch.rate_limit = Some(record.rate_limit),
            _ => patch.status = entry.status,
        }
    }
    patch
}
