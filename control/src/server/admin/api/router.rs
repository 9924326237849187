//! The routes of the administration API.

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use keyswap_core::identity::jwt::MAX_SET_BYTES;
use keyswap_core::services::MAX_BUNDLE_BYTES;

use super::described::ApiRoutes;
use super::{
    api_keys, audit, audit_export, budgets, credentials, objects, offboard, openapi, policies, session,
    sessions, tokens, usage, users,
};
use crate::server::admin::gate::{AdminState, Manner};
use crate::server::problem::Problem;

/// The largest body of an import: the tokens of the largest policy.
const MAX_IMPORT_BYTES: usize = 8 * 1024 * 1024;

/// The largest body of an adoption: 200 ids.
const MAX_ADOPTION_BYTES: usize = 512 * 1024;

/// The largest body with a signed policy, and the keys that may sign. Data planes refuse longer bundles.
const MAX_BUNDLE_BODY_BYTES: usize = MAX_BUNDLE_BYTES + MAX_SET_BYTES + 1024;

/// The manner of the API.
const MANNER: Manner = Manner { refuse: Problem::into_response, absent, takes_keys: true };

fn absent() -> Response {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "sign in first, or send an API key")
        .into_response()
}

/// Returns the routes for signed-in persons and programs.
// Long: one row for each route.
pub(in crate::server::admin) fn routes() -> ApiRoutes {
    ApiRoutes::new(MANNER)
        .get("/admin/api/tokens", tokens::list)
        .post("/admin/api/tokens", tokens::create)
        .post_within(MAX_IMPORT_BYTES, "/admin/api/tokens/import", tokens::import)
        .get("/admin/api/tokens/{sha256}", tokens::show)
        .patch("/admin/api/tokens/{sha256}", tokens::change)
        .delete("/admin/api/tokens/{sha256}", tokens::delete)
        .post("/admin/api/tokens/{sha256}/rotate", tokens::rotate)
        .get("/admin/api/users", users::list)
        .post("/admin/api/users", users::create)
        .get("/admin/api/users/{email}", users::show)
        .patch("/admin/api/users/{email}", users::change)
        .delete("/admin/api/users/{email}", users::delete)
        .get("/admin/api/users/{email}/sessions", sessions::list)
        .delete("/admin/api/sessions/{sid}", sessions::end)
        .get("/admin/api/credentials", credentials::list)
        .post("/admin/api/credentials", credentials::create)
        .delete("/admin/api/credentials/{sha256}", credentials::revoke)
        .get("/admin/api/api-keys", api_keys::list)
        .post("/admin/api/api-keys", api_keys::create)
        .delete("/admin/api/api-keys/{sha256}", api_keys::revoke)
        .get("/admin/api/policies", policies::list)
        .post_within(MAX_BUNDLE_BODY_BYTES, "/admin/api/policies", policies::publish)
        .get("/admin/api/policies/{name}", policies::show)
        .get("/admin/api/policies/{name}/proposal", policies::proposal)
        .post_within(MAX_BUNDLE_BODY_BYTES, "/admin/api/policies/{name}/proposal", policies::sign)
        .put_within(MAX_BUNDLE_BODY_BYTES, "/admin/api/policies/{name}/signers", policies::trust)
        .get("/admin/api/policies/{name}/revisions/{revision}", policies::bundle)
        .get("/admin/api/budgets", budgets::list)
        .get("/admin/api/budgets/{subject}", budgets::show)
        .put("/admin/api/budgets/{subject}", budgets::set)
        .delete("/admin/api/budgets/{subject}", budgets::delete)
        .get("/admin/api/objects", objects::list)
        .post_within(MAX_ADOPTION_BYTES, "/admin/api/objects/adopt", objects::adopt)
        .post("/admin/api/objects/transfer", objects::transfer_all)
        .get("/admin/api/objects/{sha256}", objects::show)
        .delete("/admin/api/objects/{sha256}", objects::forget)
        .post("/admin/api/objects/{sha256}/transfer", objects::transfer)
        .get("/admin/api/usage", usage::summary)
        .get("/admin/api/usage/details", usage::details)
        .get("/admin/api/audit", audit::list)
        .get("/admin/api/audit/export", audit_export::export)
        .get("/admin/api/owners/{email}", offboard::show)
        .post("/admin/api/owners/{email}/offboard", offboard::offboard)
        .get("/admin/api/me", api_keys::me)
        .delete("/admin/session", session::sign_out)
}

/// Returns the routes for all: the sign-in and the document of the API.
pub(in crate::server::admin) fn open() -> Router<AdminState> {
    let document = openapi::answer(routes());
    Router::new()
        .route("/admin/session", post(session::sign_in))
        .route("/admin/api/openapi.json", get(async move || document))
}
