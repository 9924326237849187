//! `/admin/api/tokens`: proxy tokens. Only the answer that creates a token contains it.

use axum::Json as Answer;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::Shown;
use super::parameters::{Wanted, nullable};
use crate::registry::{
    KnownToken, NewToken, Page, RateLimit, RateLimitText, SecretText, Source, Status, Token, TokenPatch,
};
use crate::server::admin::gate::{Permit, op};
use crate::server::admin::grace::grace;
use crate::server::digest::{self, DigestSegment};
use crate::server::extract::{Json, Parameters};
use crate::server::problem::Problem;
use crate::text::object::Object;

/// A new token: generated, unless `token` or `sha256` is given.
#[derive(Deserialize, ToSchema)]
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
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    #[schema(value_type = Option<RateLimitText>)]
    rate_limit: Option<RateLimit>,
    /// The SHA-256 of the client certificate that the token is bound to (RFC 8705)
    certificate_sha256: Option<String>,
    /// The token itself, in place of a generated one
    token: Option<String>,
    /// The SHA-256 of a token that the registry does not get to know
    sha256: Option<String>,
}

/// A change of a token. An absent field leaves the token's field unchanged.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "there are three cases")]
pub(super) struct Change {
    /// The version that the change is based on.
    version: Option<i64>,
    label: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    owner: Option<Option<String>>,
    providers: Option<Vec<String>>,
    models: Option<Vec<String>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    team: Option<Option<String>>,
    status: Option<Status>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<RateLimitText>)]
    rate_limit: Option<Option<RateLimit>>,
}

/// Tokens to import, in the form of a policy's `tokens`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Import {
    #[schema(value_type = Vec<Known>)]
    tokens: Vec<Object<Known>>,
}

/// A token that is known by its digest.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KnownToken)]
struct Known {
    sha256: String,
    label: String,
    owner: Option<String>,
    team: Option<String>,
    providers: Vec<String>,
    #[serde(default)]
    models: Vec<String>,
    expires_at: Option<String>,
    #[schema(value_type = Option<RateLimitText>)]
    rate_limit: Option<RateLimit>,
    certificate_sha256: Option<String>,
    status: Status,
}

/// A rotation.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotate {
    /// The time for which both tokens work, such as `30m` or `7d`; `24h` if absent
    grace: Option<String>,
}

/// A new token, which only this answer has.
#[derive(Serialize, ToSchema)]
pub(super) struct Created {
    /// The token, `null` if it was named by its digest
    #[schema(value_type = Option<String>)]
    token: Option<Shown>,
    record: Token,
}

/// A new token, which only this answer has, and the one that it replaces.
#[derive(Serialize, ToSchema)]
pub(super) struct Rotated {
    #[schema(value_type = Option<String>)]
    token: Option<Shown>,
    record: Token,
    retiring: Token,
}

/// The tokens that are new to the registry.
#[derive(Serialize, ToSchema)]
pub(super) struct Imported {
    imported: Vec<Token>,
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
) -> Result<(StatusCode, Answer<Created>), Problem> {
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
    let created = Created { token: created.token.map(Shown), record: created.record };
    Ok((StatusCode::CREATED, Answer(created)))
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
) -> Result<Answer<Imported>, Problem> {
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
    Ok(Answer(Imported { imported: permit.import_tokens(tokens).await? }))
}

pub(super) async fn rotate(
    permit: Permit<op::RotateToken>,
    DigestSegment(digest): DigestSegment,
    Json(rotate): Json<Rotate>,
) -> Result<Answer<Rotated>, Problem> {
    let grace = grace(rotate.grace.as_deref().unwrap_or("24h"))?;
    let rotation = permit.rotate_token(&digest, Source::Mint, grace).await?;
    let created = rotation.successor;
    let (token, record) = (created.token.map(Shown), created.record);
    Ok(Answer(Rotated { token, record, retiring: rotation.retiring }))
}

pub(super) async fn delete(
    permit: Permit<op::DeleteToken>,
    DigestSegment(digest): DigestSegment,
) -> Result<StatusCode, Problem> {
    permit.delete_token(&digest).await?;
    Ok(StatusCode::NO_CONTENT)
}
