//! Operations on tokens. Each change is one transaction, together with its entry in the audit log.

use std::time::Duration;

use keyswap_core::base::{Digest, UnixTime};
use serde_json::{Value, json};

use super::handle::{Registry, Result};
use super::record::actor::Actor;
use super::record::budget::Payer;
use super::record::change::Subject;
use super::record::clock::now;
use super::record::draft::{KnownToken, NewToken, Source, TokenPatch, ValidToken, check_expiry, check_team};
use super::record::error::RegistryError;
use super::record::model::{Listing, Page, Status, Token};
use super::record::reach::Reach;
use super::record::secret_text::SecretText;
use super::rights::check_patch;
use super::store::write::Write;

/// The longest grace period, in which a token and its successor both work: one year.
pub const MAX_GRACE: Duration = Duration::from_hours(366 * 24);

/// A token that was added to the registry.
#[derive(Debug)]
pub struct Created {
    /// The token itself, `None` if only its digest is known. The registry does not store the token.
    pub token: Option<SecretText>,
    /// The record of the token.
    pub record: Token,
}

/// The result of a rotation.
#[derive(Debug)]
pub struct Rotation {
    /// The new token.
    pub successor: Created,
    /// The old token, which works until the grace period is over.
    pub retiring: Token,
}

impl Registry {
    /// Adds a token to the registry.
    pub async fn create_token(&self, source: Source, new: NewToken, actor: &Actor) -> Result<Created> {
        let mut write = self.0.write().await?;
        let valid = write.token_by(actor, &source, new).await?.check()?;
        let is_named = matches!(source, Source::Digest(_));
        let (token, digest, last4) = source.take()?;
        write.check_new(&digest, is_named).await?;
        let record = insert(&mut write, digest, last4, valid, Status::Active, digest, None).await?;
        write.audit(actor, "token.create", &digest.to_hex(), &described(&record)).await?;
        write.commit().await?;
        Ok(Created { token, record })
    }

    /// Adds tokens by their digests, as in a policy: all of them or none. Tokens that exist stay unchanged. Returns the
    /// added tokens.
    pub async fn import_tokens(&self, tokens: Vec<KnownToken>, actor: &Actor) -> Result<Vec<Token>> {
        let mut write = self.0.write().await?;
        let mut added = Vec::new();
        for KnownToken { digest, new, status } in tokens {
            match write.check_new(&digest, true).await {
                Err(RegistryError::DuplicateToken) => continue,
                checked => checked?,
            }
            let record =
                insert(&mut write, digest, String::new(), new.check()?, status, digest, None).await?;
            let detail = described_with(&record, "status", json!(status));
            write.audit(actor, "token.import", &digest.to_hex(), &detail).await?;
            added.push(record);
        }
        write.commit().await?;
        Ok(added)
    }

    /// Returns the record of a token.
    pub async fn token(&self, digest: &Digest) -> Result<Token> {
        self.0.token(digest).await
    }

    /// Returns a part of the list of tokens.
    pub async fn tokens(&self, listing: &Listing) -> Result<Page<Token>> {
        self.0.token_page(listing, now()).await
    }

    /// Returns the number of tokens that expire within `seconds`. Disabled tokens and those with a successor do not count.
    pub async fn expiring_tokens(&self, now: UnixTime, seconds: i64) -> Result<i64> {
        self.0.expiring_tokens(now, UnixTime(now.0.saturating_add(seconds))).await
    }

    /// Disables or enables a token.
    pub async fn set_token_status(&self, digest: &Digest, status: Status, actor: &Actor) -> Result<Token> {
        let patch = TokenPatch { status: Some(status), ..TokenPatch::default() };
        self.update_token(digest, patch, actor).await
    }

    /// Moves a token to a team, or for an empty text to none.
    pub async fn set_token_team(&self, digest: &Digest, team: &str, actor: &Actor) -> Result<Token> {
        let patch = TokenPatch { team: Some(Some(team.to_owned())), ..TokenPatch::default() };
        self.update_token(digest, patch, actor).await
    }

    /// Sets the expiry of a token: a time with an offset (RFC 3339), or no expiry for `None`.
    pub async fn set_token_expiry(
        &self,
        digest: &Digest,
        expires_at: Option<&str>,
        actor: &Actor,
    ) -> Result<Token> {
        let patch = TokenPatch { expires_at: Some(expires_at.map(str::to_owned)), ..TokenPatch::default() };
        self.update_token(digest, patch, actor).await
    }

    /// Applies a patch, all of it or nothing. A patch without a difference makes no entry in the audit log.
    pub async fn update_token(&self, digest: &Digest, patch: TokenPatch, actor: &Actor) -> Result<Token> {
        let team = patch.team.as_ref().map(|team| check_team(team.as_deref())).transpose()?;
        let expiry = patch.expires_at.as_ref().map(|expiry| check_expiry(expiry.as_deref())).transpose()?;
        let mut write = self.0.write().await?;
        let before = write.token_of(digest, actor).await?;
        check_patch(&patch, actor)?;
        if let Some(owner) = &patch.owner {
            write.check_owner(owner.as_deref(), before.owner.as_deref(), actor).await?;
        }
        check_source(&before, &patch)?;
        if patch.version.is_some_and(|version| version != before.version) {
            return Err(RegistryError::ChangedMeanwhile);
        }
        let mut token = patched(&before, patch)?;
        token.team = team.unwrap_or(token.team);
        token.own_expiry = expiry.unwrap_or(token.own_expiry);
        if token == before {
            return Ok(token);
        }
        update(&mut write, &mut token).await?;
        for (action, detail) in differences(&before, &token) {
            write.audit(actor, action, &digest.to_hex(), &detail).await?;
        }
        write.commit().await?;
        Ok(token)
    }

    /// Creates a successor with the same rights. The old token works until `grace` is over, at most [`MAX_GRACE`]. A person rotates
    /// only what the person could create now.
    pub async fn rotate_token(
        &self,
        digest: &Digest,
        source: Source,
        grace: Duration,
        actor: &Actor,
    ) -> Result<Rotation> {
        let grace = i64::try_from(grace.min(MAX_GRACE).as_secs()).unwrap_or_default();
        let (token, successor, last4) = source.take()?;
        let mut write = self.0.write().await?;
        let now = now();
        let mut retiring = write.token_of(digest, actor).await?;
        may_rotate(&retiring, now)?;
        let heir = write.heir_by(actor, &retiring).await?;
        write.check_new(&successor, false).await?;
        // Both hold the objects of their line, and spend one budget: a rotation moves nothing.
        let holder = retiring.holder;
        let record = insert(&mut write, successor, last4, heir, Status::Active, holder, None).await?;
        retiring.successor = Some(successor);
        retiring.retires_at = Some(UnixTime(now.0.saturating_add(grace)));
        update(&mut write, &mut retiring).await?;
        let detail = json!({
            "label": retiring.label,
            "successor": successor.to_hex(),
            "retires_at": shown(retiring.retires_at),
        });
        write.audit(actor, "token.rotate", &digest.to_hex(), &detail).await?;
        let detail = described_with(&record, "predecessor", digest.to_hex().into());
        write.audit(actor, "token.create", &successor.to_hex(), &detail).await?;
        write.copy_budget(digest, &successor, actor).await?;
        write.commit().await?;
        Ok(Rotation { successor: Created { token, record }, retiring })
    }

    /// Deletes a token permanently.
    pub async fn delete_token(&self, digest: &Digest, actor: &Actor) -> Result<()> {
        let mut write = self.0.write().await?;
        let token = write.token_of(digest, actor).await?;
        // A token that its source declares comes back enabled, so whoever cannot enable all tokens must not delete it.
        if token.source.is_some() && (token.status == Status::Active || *actor.reach() != Reach::All) {
            return Err(RegistryError::DeclaredToken);
        }
        write.delete_token(digest).await?;
        write.delete_budget(&Payer::Token(*digest)).await?;
        write.change(Subject::Token, &digest.to_hex()).await?;
        write.audit(actor, "token.delete", &digest.to_hex(), &described(&token)).await?;
        write.commit().await
    }
}

/// Returns the patched token, without a new team or expiry. Only fields of the patch are validated, so that a token can be disabled whatever its other
/// fields are.
fn patched(before: &Token, patch: TokenPatch) -> Result<Token> {
    let mut token = before.clone();
    if patch.label.is_some() || patch.owner.is_some() || patch.providers.is_some() || patch.models.is_some() {
        let valid = NewToken {
            label: patch.label.unwrap_or_else(|| before.label.clone()),
            owner: patch.owner.unwrap_or_else(|| before.owner.clone()),
            providers: patch.providers.unwrap_or_else(|| before.providers.clone()),
            models: patch.models.unwrap_or_else(|| before.models.clone()),
            ..NewToken::default()
        }
        .check()?;
        (token.label, token.owner) = (valid.label, valid.owner);
        (token.providers, token.models) = (valid.providers, valid.models);
    }
    if let Some(status) = patch.status {
        token.status = status;
        // A person's word counts for longer than the source's.
        token.withdrawn_at = None;
    }
    token.rate_limit = patch.rate_limit.unwrap_or(before.rate_limit);
    Ok(token)
}

pub(super) async fn insert(
    write: &mut Write,
    digest: Digest,
    last4: String,
    valid: ValidToken,
    status: Status,
    holder: Digest,
    source: Option<&str>,
) -> Result<Token> {
    let token = Token {
        version: write.change(Subject::Token, &digest.to_hex()).await?,
        digest,
        label: valid.label,
        owner: valid.owner,
        team: valid.team,
        last4,
        providers: valid.providers,
        models: valid.models,
        status,
        created_at: now(),
        own_expiry: valid.expires_at,
        rate_limit: valid.rate_limit,
        certificate: valid.certificate,
        successor: None,
        retires_at: None,
        holder,
        last_used: None,
        source: source.map(str::to_owned),
        withdrawn_at: None,
    };
    write.insert_token(&token).await?;
    Ok(token)
}

pub(super) async fn update(write: &mut Write, token: &mut Token) -> Result<()> {
    token.version = write.change(Subject::Token, &token.digest.to_hex()).await?;
    write.update_token(token).await
}

/// Returns the audit log's entries for a change: action and details, one entry for each changed field.
pub(super) fn differences(before: &Token, after: &Token) -> Vec<(&'static str, Value)> {
    let mut lines = Vec::new();
    for action in SET_ACTIONS {
        let (from, to) = (field(before, action), field(after, action));
        if from != to {
            lines.push((action, json!({"label": after.label, "from": from, "to": to})));
        }
    }
    let is_taken_over = before.withdrawn_at.is_some() && after.withdrawn_at.is_none();
    if before.status != after.status || is_taken_over {
        lines.push((status_action(after.status), json!({"label": after.label})));
    }
    lines
}

/// Returns the action that gives a token a status.
pub(super) fn status_action(status: Status) -> &'static str {
    match status {
        Status::Active => "token.enable",
        Status::Disabled => "token.disable",
    }
}

/// The actions that set one field of a token.
const SET_ACTIONS: [&str; 7] = [
    "token.set_label",
    "token.set_owner",
    "token.set_team",
    "token.set_providers",
    "token.set_models",
    "token.set_expiry",
    "token.set_rate_limit",
];

/// Returns the field that an action sets, in the form of the audit log. `Null` for other actions.
pub(super) fn field(token: &Token, action: &str) -> Value {
    match action {
        "token.set_label" => json!(token.label),
        "token.set_owner" => json!(token.owner),
        "token.set_team" => json!(token.team),
        "token.set_providers" => json!(token.providers),
        "token.set_models" => json!(token.models),
        "token.set_expiry" => json!(shown(token.own_expiry)),
        "token.set_rate_limit" => json!(token.rate_limit),
        _ => Value::Null,
    }
}

/// Checks a change of a token that a source declares: it can be disabled, and enabled while the source declares it.
fn check_source(token: &Token, patch: &TokenPatch) -> Result<()> {
    let is_withdrawn = token.withdrawn_at.is_some() && patch.status == Some(Status::Active);
    let rest = TokenPatch { version: None, status: None, ..patch.clone() };
    let is_free = token.source.is_none() || (rest == TokenPatch::default() && !is_withdrawn);
    is_free.then_some(()).ok_or(RegistryError::DeclaredToken)
}

/// Checks that a token may be rotated. A disabled or expired token gets no successor, which would be accepted.
fn may_rotate(token: &Token, now: UnixTime) -> Result<()> {
    if token.source.is_some() {
        Err(RegistryError::DeclaredToken)
    } else if token.successor.is_some() {
        Err(RegistryError::AlreadyRotated)
    } else if token.status == Status::Disabled {
        Err(RegistryError::TokenDisabled)
    } else if !token.is_active(now) {
        Err(RegistryError::TokenExpired)
    } else {
        Ok(())
    }
}

/// Returns a token for the audit log, with one more member.
pub(super) fn described_with(token: &Token, name: &str, value: Value) -> Value {
    let mut described = described(token);
    if let Some(members) = described.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
    described
}

pub(super) fn described(token: &Token) -> Value {
    let mut described = json!({
        "label": token.label,
        "owner": token.owner,
        "team": token.team,
        "providers": token.providers,
        "models": token.models,
        "expires_at": shown(token.own_expiry),
        "rate_limit": token.rate_limit,
    });
    if let (Some(certificate), Some(members)) = (token.certificate, described.as_object_mut()) {
        members.insert("certificate_sha256".to_owned(), certificate.to_hex().into());
    }
    described
}

fn shown(at: Option<UnixTime>) -> Option<String> {
    at.map(|at| at.to_string())
}
