//! `GET /v1/policies/{name}`: the newest signed policy of a name. The query has the data plane's report on itself.
//!
//! The `ETag` is the revision. Data planes verify the signature with the keys of their own configuration.

use axum::extract::State as Extract;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use keyswap_core::base::Digest;
use serde::{Deserialize, Deserializer};

use super::conditional::{conditional, has_version};
use super::refused::Refused;
use crate::registry::Report;
use crate::server::digest::read_digest;
use crate::server::extract::{Parameters, Segment};
use crate::server::problem::{Problem, ProblemBody};
use crate::server::state::State;

/// The report of a data plane on itself.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PlaneReport {
    /// The name of the data plane; without it the report is not stored
    plane: Option<String>,
    /// The revision that the data plane runs
    #[param(minimum = 1)]
    running: Option<i64>,
    /// The SHA-256 of the bundle that the data plane refuses
    #[serde(default, deserialize_with = "some_digest")]
    #[param(value_type = Option<String>, pattern = "^[0-9a-f]{64}$")]
    refused: Option<Digest>,
    /// The code of the problem with the refused bundle
    problem: Option<String>,
    /// The problem in words
    detail: Option<String>,
}

/// Fetch the newest signed policy of a name
#[utoipa::path(
    get,
    path = "/v1/policies/{name}",
    tag = "policies",
    params(
        ("name" = String, Path, description = "The name of the policy"),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of the cached revision"),
        PlaneReport,
    ),
    security(("registry_token" = [])),
    responses(
        (status = 200, description = "The policy as a compact JWS (RFC 7515); with several signatures as `application/jose+json`, in the general syntax", body = String, content_type = "application/jose", headers(("ETag" = String, description = "The revision"))),
        (status = 304, description = "The cached revision is the newest"),
        (status = 404, description = "The policy is unknown", body = ProblemBody<'static>, content_type = "application/problem+json"),
        Refused,
    )
)]
pub(super) async fn policy(
    Extract(state): Extract<State>,
    Segment(name): Segment,
    Parameters(report): Parameters<PlaneReport>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let registry = state.registry();
    let newest = registry.newest_revision(&name).await?;
    if let PlaneReport { plane: Some(plane), running, refused, problem, detail } = report {
        registry.report(&name, Report { plane, running, refused, problem, detail }).await?;
    }
    if has_version(&headers, newest) {
        return Ok(conditional(&headers, newest, ()));
    }
    let (revision, bundle) = registry.bundle(&name, None).await?;
    let media_type = if bundle.starts_with('{') { "application/jose+json" } else { "application/jose" };
    let body = ([(header::CONTENT_TYPE, media_type)], bundle).into_response();
    Ok(conditional(&headers, revision, body))
}

fn some_digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Digest>, D::Error> {
    read_digest(deserializer).map(Some)
}
