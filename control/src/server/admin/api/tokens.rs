//! `/admin/api/tokens`: proxy tokens. Only the answer that creates a token contains it.

use axum::Json as Answer;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::parameters::{Wanted, nullable};
use crate::registry::{KnownToken, NewToken, Page, RateLimit, SecretText, Source, Status, Token, TokenPatch};
use crate::server::admin::gate::{Permit, op};
use crate::server::admin::grace::grace;
use crate::server::digest::{self, DigestSegment};
use crate::server::extract::{Json, Parameters};
use crate::server::problem::Problem;
use crate::text::object::Object;

/// A new token: generated, unless `token` or `sha256` is given.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    #[serde(default)]
    label: String,
    owner: Option<String>,
    team: Option<String>,
    #[serde(default)]
    providers: Vec<String>,
    #[serde(default)]
    models: Vec<String>,
    expires_at: Option<String>,
    rate_limit: Option<RateLimit>,
    certificate_sha256: Option<String>,
    token: Option<String>,
    sha256: Option<String>,
}

/// A change of a token. An absent field leaves the token's field unchanged.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "there are three cases")]
pub(super) struct Change {
    /// The version that the change is based on.
    version: Option<i64>,
    label: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    owner: Option<Option<String>>,
    providers: Option<Vec<String>>,
    models: Option<Vec<String>>,
    #[serde(default, deserialize_with = "nullable")]
    team: Option<Option<String>>,
    status: Option<Status>,
    #[serde(default, deserialize_with = "nullable")]
    expires_at: Option<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    rate_limit: Option<Option<RateLimit>>,
}

/// Tokens to import, in the form of a policy's `tokens`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Import {
    tokens: Vec<Object<Known>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    sha256: String,
    label: String,
    owner: Option<String>,
    team: Option<String>,
    providers: Vec<String>,
    #[serde(default)]
    models: Vec<String>,
    expires_at: Option<String>,
    rate_limit: Option<RateLimit>,
    certificate_sha256: Option<String>,
    status: Status,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotate {
    grace: Option<String>,
}

pub(super) async fn list(
    permit: Permit<op::ListTokens>,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Answer<Page<Token>>, Problem> {
    Ok(Answer(permit.tokens(&wanted.try_into()?).await?))
}

pub(super) async fn create(
    permit: Permit<op::CreateToken>,
    Json(new): Json<New>,
) -> Result<(StatusCode, Answer<Value>), Problem> {
    let New {
        label,
        owner,
        team,
        providers,
        models,
        expires_at,
        rate_limit,
        certificate_sha256,
        token,
        sha256,
    } = new;
    let source = match (token.map(SecretText::new), sha256) {
        (None, None) => Source::Mint,
        (Some(token), None) => Source::Custom(token),
        (None, Some(sha256)) => Source::Digest(digest::parse(&sha256)?),
        (Some(_), Some(_)) => {
            let detail = "`token` and `sha256` exclude each other";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail));
        }
    };
    let new = NewToken { label, owner, team, providers, models, expires_at, rate_limit, certificate_sha256 };
    let created = permit.create_token(source, new).await?;
    let token = created.token.as_ref().map(SecretText::expose);
    Ok((StatusCode::CREATED, Answer(json!({"token": token, "record": created.record}))))
}

pub(super) async fn show(
    permit: Permit<op::ShowToken>,
    DigestSegment(digest): DigestSegment,
) -> Result<Answer<Token>, Problem> {
    Ok(Answer(permit.token(&digest).await?))
}

pub(super) async fn change(
    permit: Permit<op::ChangeToken>,
    DigestSegment(digest): DigestSegment,
    Json(change): Json<Change>,
) -> Result<Answer<Token>, Problem> {
    let Change { version, label, owner, providers, models, team, status, expires_at, rate_limit } = change;
    let patch = TokenPatch { version, label, owner, providers, models, team, status, expires_at, rate_limit };
    Ok(Answer(permit.update_token(&digest, patch).await?))
}

/// Imports tokens, all of them or none. Answers with the tokens that are new to the registry.
pub(super) async fn import(
    permit: Permit<op::ImportTokens>,
    Json(import): Json<Import>,
) -> Result<Answer<Value>, Problem> {
    let read = |Object(known): Object<Known>| {
        let Known {
            sha256,
            label,
            owner,
            team,
            providers,
            models,
            expires_at,
            rate_limit,
            certificate_sha256,
            status,
        } = known;
        let new =
            NewToken { label, owner, team, providers, models, expires_at, rate_limit, certificate_sha256 };
        Ok(KnownToken { digest: digest::parse(&sha256)?, new, status })
    };
    let tokens = import.tokens.into_iter().map(read).collect::<Result<_, Problem>>()?;
    Ok(Answer(json!({"imported": permit.import_tokens(tokens).await?})))
}

pub(super) async fn rotate(
    permit: Permit<op::RotateToken>,
    DigestSegment(digest): DigestSegment,
    Json(rotate): Json<Rotate>,
) -> Result<Answer<Value>, Problem> {
    let grace = grace(rotate.grace.as_deref().unwrap_or("24h"))?;
    let rotation = permit.rotate_token(&digest, Source::Mint, grace).await?;
    let created = rotation.successor;
    let token = created.token.as_ref().map(SecretText::expose);
    Ok(Answer(json!({"token": token, "record": created.record, "retiring": rotation.retiring})))
}

pub(super) async fn delete(
    permit: Permit<op::DeleteToken>,
    DigestSegment(digest): DigestSegment,
) -> Result<StatusCode, Problem> {
    permit.delete_token(&digest).await?;
    Ok(StatusCode::NO_CONTENT)
}
