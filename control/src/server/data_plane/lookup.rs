//! `GET /v1/tokens/{sha256}` and `GET /v1/principals/{email}`: the records of tokens and users.
//!
//! The `ETag` is the version, so a cached record is revalidated without sending it again. Each record contains its key,
//! so that a data plane can compare it with its request.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::HeaderMap;
use axum::response::Response;

use super::conditional::conditional;
use super::refused::Refused;
use crate::registry::{TokenRecord, User};
use crate::server::digest::DigestSegment;
use crate::server::extract::Segment;
use crate::server::problem::{Problem, ProblemBody};
use crate::server::state::State;

/// Look up a token
#[utoipa::path(
    get,
    path = "/v1/tokens/{sha256}",
    tag = "lookups",
    params(
        ("sha256" = String, Path, description = "The SHA-256 of the token", pattern = "^[0-9a-f]{64}$"),
            ("If-None-Match" = Option<String>, Header, description = "The ETag of the cached record"),
        ),
        security(("registry_token" = [])),
        responses(
            (status = 200, description = "The record", body = TokenRecord<'static>, headers(("ETag" = String, description = "The version of the record"))),
            (status = 304, description = "The cached record is current"),
            (status = 404, description = "The token is unknown", body = ProblemBody<'static>, content_type = "application/problem+json"),
        Refused,
    )
)]
pub(super) async fn token(
    Extract(state): Extract<State>,
    DigestSegment(digest): DigestSegment,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let token = state.registry().token(&digest).await?;
    Ok(conditional(&headers, token.version, Json(&token.record())))
}

/// Look up a user
#[utoipa::path(
    get,
    path = "/v1/principals/{email}",
    tag = "lookups",
    params(
        ("email" = String, Path, description = "The email address, ignoring case"),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of the cached record"),
    ),
    security(("registry_token" = [])),
    responses(
        (status = 200, description = "The user", body = User, headers(("ETag" = String, description = "The version of the record"))),
        (status = 304, description = "The cached record is current"),
        (status = 404, description = "The user is unknown", body = ProblemBody<'static>, content_type = "application/problem+json"),
        Refused,
    )
)]
pub(super) async fn principal(
    Extract(state): Extract<State>,
    Segment(email): Segment,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let user = state.registry().user(&email).await?;
    Ok(conditional(&headers, user.version, Json(&user)))
}
