//! The file: the records of tokens, never a token itself. Unknown fields are errors.

use std::collections::BTreeSet;

use anyhow::{Context as _, anyhow, ensure};
use keyswap_core::base::Digest;
use serde::Deserialize;
use serde_json::Value;

use crate::command::policy_file::PolicyFile;
use crate::registry::{NewToken, RateLimit, Status};
use crate::text::fit;

/// A token as it is to be.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The digest that names the token. Without one, the label names the token.
    pub(super) digest: Option<Digest>,
    /// The record, as the registry keeps it.
    pub(super) record: NewToken,
    /// The status, `None` to leave it as it is: a file must not enable a token that an administrator has disabled.
    pub(super) status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    tokens: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    sha256: Option<String>,
    label: String,
    owner: Option<String>,
    team: Option<String>,
    providers: Vec<String>,
    #[serde(default)]
    models: Vec<String>,
    expires_at: Option<String>,
    rate_limit: Option<RateLimit>,
    certificate_sha256: Option<String>,
    status: Option<Status>,
}

/// Reads the entries. Errors name the place and do not quote its content, which may be a secret in the wrong place.
pub(super) fn read(file: &PolicyFile) -> anyhow::Result<Vec<Entry>> {
    let document = file.document().map_err(|error| anyhow!("{}: {error}", file.name))?;
    let Document { tokens } = fit::read("", &document)
        .map_err(|why| anyhow!("{} is not a document with the list `tokens` alone: {why}", file.name))?;
    let entries = tokens.iter().enumerate().map(|(index, record)| entry(index, record));
    let entries = entries.collect::<anyhow::Result<Vec<Entry>>>().with_context(|| file.name.clone())?;
    let (mut labels, mut digests) = (BTreeSet::new(), BTreeSet::new());
    for (index, entry) in entries.iter().enumerate() {
        let is_new = match &entry.digest {
            Some(digest) => digests.insert(digest.to_hex()),
            None => labels.insert(&entry.record.label),
        };
        ensure!(is_new, "{}: tokens[{index}] names a token that stands in the file already", file.name);
    }
    Ok(entries)
}

fn entry(index: usize, record: &Value) -> anyhow::Result<Entry> {
    let record: Record = fit::read(&format!("tokens[{index}]"), record).map_err(anyhow::Error::msg)?;
    let digest = record.sha256.map(|text| {
        Digest::from_hex(&text)
            .with_context(|| format!("tokens[{index}].sha256: expected 64 lower-case hexadecimal digits"))
    });
    let status = record.status;
    let new = NewToken {
        label: record.label,
        owner: record.owner,
        team: record.team,
        providers: record.providers,
        models: record.models,
        expires_at: record.expires_at,
        rate_limit: record.rate_limit,
        certificate_sha256: record.certificate_sha256,
    };
    let record = new.normal().with_context(|| format!("tokens[{index}]"))?;
    ensure!(
        !record.label.starts_with("ptk_"),
        "tokens[{index}].label looks like a token: a file must not hold one"
    );
    Ok(Entry { digest: digest.transpose()?, record, status })
}
