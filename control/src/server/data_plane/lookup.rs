//! `GET /v1/tokens/{sha256}` and `GET /v1/principals/{email}`: the records of tokens and users.
//!
//! The `ETag` is the version, so a cached record is revalidated without sending it again. Each record contains its key,
//! so that a data plane can compare it with its request.
//!
//! Data planes that pin the registry's keys ask for `application/jose`, and get the answer signed: also that a token is
//! unknown. Such an answer has a time of issue, so it is never a 304.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::json;

use super::conditional::conditional;
use super::refused::Refused;
use super::signed::Signer;
use crate::registry::{Principal, TokenRecord};
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
            (status = 200, description = "The record; signed where the client accepts `application/jose` and the registry has a key for records", content((TokenRecord<'static> = "application/json"), (String = "application/jose")), headers(("ETag" = String, description = "The version of the record"))),
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
    let found = state.registry().token(&digest).await;
    if let Some(signer) = Signer::for_request(&state, &headers) {
        let subject = format!("token:{}", digest.to_hex());
        return signer.answer(&subject, found.map(|token| json!(token.record())));
    }
    let token = found?;
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
        (status = 200, description = "The user; signed where the client accepts `application/jose` and the registry has a key for records", content((Principal = "application/json"), (String = "application/jose")), headers(("ETag" = String, description = "The version of the record"))),
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
    let found = state.registry().user_for_data_planes(&email).await;
    if let Some(signer) = Signer::for_request(&state, &headers) {
        return signer.answer(&format!("user:{email}"), found.map(|principal| json!(principal)));
    }
    let principal = found?;
    Ok(conditional(&headers, principal.user.version, Json(&principal)))
}
