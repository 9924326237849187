//! Tokens that a source outside declares: the registry has what the source has.
//!
//! One process at a time applies a source, and only while it holds the source: a second process with an older view would bring
//! revoked tokens back. A token of the source that is not declared is disabled, and enabled when it is declared again. A token
//! that a person has disabled stays so. A token that is in the registry by other means is refused: a declaration must not take
//! it over.

use std::collections::BTreeMap;
use std::time::Duration;

use keyswap_core::base::{Digest, UnixTime};
use serde_json::json;

use super::handle::{Registry, Result};
use super::record::actor::Actor;
use super::record::budget::Payer;
use super::record::change::Subject;
use super::record::clock::now;
use super::record::draft::{NewToken, Source, ValidToken};
use super::record::error::{Kind, RegistryError};
use super::record::model::{Status, Token};
use super::record::secret_text::SecretText;
use super::store::write::Write;
use super::tokens::{described_with, differences, insert, status_action, update};

/// A token as its source declares it. It does not contain the token.
#[derive(Clone, Debug)]
pub struct DeclaredToken {
    /// The name of the declaration at its source, for messages.
    pub name: String,
    /// The SHA-256 of the token.
    pub digest: Digest,
    /// The record. `None` if the declaration has faults: a present token then stays as it is, if it is within bounds.
    pub new: Option<NewToken>,
}

/// All tokens of a source.
#[derive(Debug)]
pub struct Declaration<'d> {
    /// The source, such as `kubernetes:NAMESPACE`.
    pub source: &'d str,
    /// The process that holds the source.
    pub holder: &'d str,
    /// The tokens.
    pub tokens: Vec<DeclaredToken>,
    /// The most tokens that are added or changed. Revocations are not bounded.
    pub most: usize,
}

/// The most withdrawn tokens of a source that are kept: as many as a namespace may declare, so that all come back after an answer
/// without any. The source could make any number of them.
const MAX_WITHDRAWN: usize = 2000;

/// The outcome of a declaration.
#[derive(Debug, Default)]
pub struct Applied {
    /// The number of tokens that were added, changed or enabled.
    pub changed: usize,
    /// The number of tokens that were disabled, since they are not declared any more.
    pub withdrawn: usize,
    /// True if some tokens are still to be added or changed: there were more than the most.
    pub is_partial: bool,
    /// The declarations that were refused, by their names.
    pub refused: Vec<(String, RegistryError)>,
}

impl DeclaredToken {
    /// Takes the digest of a token. A text that cannot be a token is an error.
    pub fn new(name: String, token: SecretText, new: Option<NewToken>) -> Result<Self> {
        let (_, digest, _) = Source::Custom(token).take()?;
        Ok(Self { name, digest, new })
    }
}

impl Registry {
    /// Makes this process the holder of a source for a time, if no other process is. Returns false if another one is.
    pub async fn hold_source(&self, source: &str, holder: &str, span: Duration) -> Result<bool> {
        let now = now();
        let until = UnixTime(now.0.saturating_add(i64::try_from(span.as_secs()).unwrap_or(i64::MAX)));
        self.0.hold_source(source, holder, now, until).await
    }

    /// Gives a source back, so that another process can hold it at once.
    pub async fn release_source(&self, source: &str, holder: &str) -> Result<()> {
        self.0.release_source(source, holder).await
    }

    /// Returns the sources that have active tokens.
    pub async fn sources(&self) -> Result<Vec<String>> {
        self.0.sources().await
    }

    /// Makes the tokens of a source those that it declares, in one transaction. `admits` returns true for a token that is within
    /// the bounds of the source. Returns `None`, without a change, if the process does not hold the source.
    pub async fn declare(
        &self,
        declaration: Declaration<'_>,
        admits: &(dyn Fn(&Token) -> bool + Sync),
        actor: &Actor,
    ) -> Result<Option<Applied>> {
        let Declaration { source, holder, tokens, most } = declaration;
        let mut write = self.0.write().await?;
        if !write.holds_source(source, holder, now()).await? {
            return Ok(None);
        }
        let present = write.tokens_of_source(source).await?;
        let mut present: BTreeMap<String, Token> =
            present.into_iter().map(|token| (token.digest.to_hex(), token)).collect();
        let mut applied = Applied::default();
        let mut withdrawn = Vec::new();
        for DeclaredToken { name, digest, new } in tokens {
            let token = present.remove(&digest.to_hex());
            if applied.changed >= most {
                applied.is_partial = true;
                withdrawn.extend(token.filter(|token| !admits(token)));
                continue;
            }
            match judge(&mut write, (digest, new, token.as_ref()), source, admits, actor).await? {
                Outcome::Same => {}
                Outcome::Changed => applied.changed += 1,
                Outcome::Beyond => withdrawn.extend(token),
                Outcome::Refused(error) => {
                    withdrawn.extend(token);
                    applied.refused.push((name, error));
                }
            }
        }
        withdrawn.extend(present.into_values());
        let mut gone: Vec<(UnixTime, Digest)> =
            withdrawn.iter().filter_map(|token| Some((token.withdrawn_at?, token.digest))).collect();
        for token in withdrawn {
            applied.withdrawn += usize::from(withdraw(&mut write, token, actor).await?);
        }
        gone.sort_by_key(|(at, _)| std::cmp::Reverse(at.0));
        let forgotten = gone.get(MAX_WITHDRAWN..).unwrap_or_default();
        for (_, digest) in forgotten {
            forget(&mut write, digest, actor).await?;
        }
        if applied.changed + applied.withdrawn + forgotten.len() > 0 {
            write.commit().await?;
        }
        Ok(Some(applied))
    }

    /// Adds to the audit log that a declaration was refused. `reason` holds nothing of the declaration.
    pub async fn note_refused(&self, source: &str, name: &str, reason: &str, actor: &Actor) -> Result<()> {
        let mut write = self.0.write().await?;
        let detail = json!({"source": source, "reason": reason});
        write.audit(actor, "token.refuse", name, &detail).await?;
        write.commit().await
    }
}

/// The outcome of one declaration.
enum Outcome {
    Same,
    Changed,
    /// The declaration has faults, and the present token is beyond the bounds.
    Beyond,
    /// The declaration is refused, and a present token is to be withdrawn.
    Refused(RegistryError),
}

/// Carries out one declaration: a digest, its record, and its present token.
async fn judge(
    write: &mut Write,
    (digest, new, present): (Digest, Option<NewToken>, Option<&Token>),
    source: &str,
    admits: &(dyn Fn(&Token) -> bool + Sync),
    actor: &Actor,
) -> Result<Outcome> {
    let Some(new) = new else {
        let is_beyond = present.is_some_and(|token| !admits(token));
        return Ok(if is_beyond { Outcome::Beyond } else { Outcome::Same });
    };
    let changed = match (admit(write, new).await, present) {
        (Err(error), _) => Err(error),
        (Ok(valid), Some(token)) => set(write, token, valid, actor).await,
        (Ok(valid), None) => add(write, digest, valid, source, actor).await,
    };
    match changed {
        Ok(true) => Ok(Outcome::Changed),
        Ok(false) => Ok(Outcome::Same),
        Err(error) if error.kind() == Kind::Unavailable => Err(error),
        Err(error) => Ok(Outcome::Refused(error)),
    }
}

/// Validates a record. The owner must not be a disabled user: the user's tokens were disabled together.
async fn admit(write: &mut Write, new: NewToken) -> Result<ValidToken> {
    let valid = new.check()?;
    if let Some(owner) = &valid.owner {
        match write.user(&owner.to_lowercase()).await {
            Ok(user) if user.status == Status::Disabled => return Err(RegistryError::OwnerDisabled),
            Ok(_) | Err(RegistryError::UnknownUser) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(valid)
}

/// Adds a token. A token that the registry has by other means is an error, and so is one that it knows as a principal.
async fn add(
    write: &mut Write,
    digest: Digest,
    valid: ValidToken,
    source: &str,
    actor: &Actor,
) -> Result<bool> {
    write.check_new(&digest, false).await?;
    let record = insert(write, digest, String::new(), valid, Status::Active, digest, Some(source)).await?;
    let detail = described_with(&record, "source", json!(source));
    write.audit(actor, "token.create", &digest.to_hex(), &detail).await?;
    Ok(true)
}

/// Gives a token its record, and enables it if its source had withdrawn it.
async fn set(write: &mut Write, before: &Token, valid: ValidToken, actor: &Actor) -> Result<bool> {
    let mut token = Token {
        label: valid.label,
        owner: valid.owner,
        team: valid.team,
        providers: valid.providers,
        models: valid.models,
        own_expiry: valid.expires_at,
        rate_limit: valid.rate_limit,
        withdrawn_at: None,
        ..before.clone()
    };
    if before.withdrawn_at.is_some() {
        token.status = Status::Active;
    }
    if token == *before {
        return Ok(false);
    }
    update(write, &mut token).await?;
    for (action, detail) in differences(before, &token) {
        write.audit(actor, action, &token.digest.to_hex(), &detail).await?;
    }
    Ok(true)
}

/// Deletes a withdrawn token.
async fn forget(write: &mut Write, digest: &Digest, actor: &Actor) -> Result<()> {
    write.delete_token(digest).await?;
    write.delete_budget(&Payer::Token(*digest)).await?;
    write.change(Subject::Token, &digest.to_hex()).await?;
    write.audit(actor, "token.delete", &digest.to_hex(), &json!({"because": "withdrawn"})).await
}

/// Disables a token that is not declared any more. Returns false for a token that is disabled already.
async fn withdraw(write: &mut Write, mut token: Token, actor: &Actor) -> Result<bool> {
    if token.status == Status::Disabled {
        return Ok(false);
    }
    (token.status, token.withdrawn_at) = (Status::Disabled, Some(now()));
    update(write, &mut token).await?;
    let detail = json!({"label": token.label, "because": "withdrawn"});
    write.audit(actor, status_action(Status::Disabled), &token.digest.to_hex(), &detail).await?;
    Ok(true)
}
