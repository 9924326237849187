//! `GET /v1/openapi.json`: the `OpenAPI` document of this API, generated from the handlers. It needs no credential.

use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::routing::get;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};

use crate::server::state::State;

/// Returns the document without its paths, which the router adds.
pub(super) fn document() -> OpenApi {
    #[derive(utoipa::OpenApi)]
    #[openapi(info(
        title = "Keyswap registry, data-plane API",
        description = "Lookups, changes, rate limits, leases of budgets, holders of objects and signed policies for data planes, and their reports of usage."
    ))]
    struct Document;

    let mut document = <Document as utoipa::OpenApi>::openapi();
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    document.components.get_or_insert_default().add_security_scheme("registry_token", bearer);
    document
}

/// Returns the route of the document, which is constant while the server runs.
pub(super) fn router(api: &OpenApi) -> Router<State> {
    // Shared by all answers: anyone may ask for many at a time, and not take them.
    let text = Bytes::from(serde_json::to_string(api).unwrap_or_default());
    let answer = ([(header::CONTENT_TYPE, "application/json")], text);
    Router::new().route("/v1/openapi.json", get(async move || answer))
}
