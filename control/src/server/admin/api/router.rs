//! The routes of the administration API.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post, put};
use keyswap_core::identity::jwt::MAX_SET_BYTES;
use keyswap_core::services::MAX_BUNDLE_BYTES;

use super::{audit, audit_export, budgets, credentials, objects, offboard, policies, tokens, usage, users};
use crate::server::state::State;

/// The largest body of an import: the tokens of the largest policy.
const MAX_IMPORT_BYTES: usize = 8 * 1024 * 1024;

/// The largest body of an adoption: 200 ids.
const MAX_ADOPTION_BYTES: usize = 512 * 1024;

/// The largest body with a signed policy, and the keys that may sign. Data planes refuse longer bundles.
const MAX_BUNDLE_BODY_BYTES: usize = MAX_BUNDLE_BYTES + MAX_SET_BYTES + 1024;

pub(in crate::server::admin) fn router() -> Router<State> {
    Router::new()
        .route("/tokens", get(tokens::list).post(tokens::create))
        .route("/tokens/import", post(tokens::import).layer(DefaultBodyLimit::max(MAX_IMPORT_BYTES)))
        .route("/tokens/{sha256}", get(tokens::show).patch(tokens::change).delete(tokens::delete))
        .route("/tokens/{sha256}/rotate", post(tokens::rotate))
        .route("/users", get(users::list).post(users::create))
        .route("/users/{email}", get(users::show).patch(users::change).delete(users::delete))
        .route("/credentials", get(credentials::list).post(credentials::create))
        .route("/credentials/{sha256}", delete(credentials::revoke))
        .route(
            "/policies",
            get(policies::list).post(policies::publish).layer(DefaultBodyLimit::max(MAX_BUNDLE_BODY_BYTES)),
        )
        .route("/policies/{name}", get(policies::show))
        .route(
            "/policies/{name}/proposal",
            get(policies::proposal).post(policies::sign).layer(DefaultBodyLimit::max(MAX_BUNDLE_BODY_BYTES)),
        )
        .route(
            "/policies/{name}/signers",
            put(policies::trust).layer(DefaultBodyLimit::max(MAX_BUNDLE_BODY_BYTES)),
        )
        .route("/policies/{name}/revisions/{revision}", get(policies::bundle))
        .route("/budgets", get(budgets::list))
        .route("/budgets/{subject}", get(budgets::show).put(budgets::set).delete(budgets::delete))
        .route("/objects", get(objects::list))
        .route("/objects/adopt", post(objects::adopt).layer(DefaultBodyLimit::max(MAX_ADOPTION_BYTES)))
        .route("/objects/transfer", post(objects::transfer_all))
        .route("/objects/{sha256}", get(objects::show).delete(objects::forget))
        .route("/objects/{sha256}/transfer", post(objects::transfer))
        .route("/usage", get(usage::summary))
        .route("/usage/details", get(usage::details))
        .route("/audit", get(audit::list))
        .route("/audit/export", get(audit_export::export))
        .route("/owners/{email}", get(offboard::show))
        .route("/owners/{email}/offboard", post(offboard::offboard))
}
