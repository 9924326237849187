//! The routes of the pages.

use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use axum::{Router, middleware};

use super::layout::PageError;
use super::{
    api_keys, assets, audit, credentials, head, object, objects, offboard, overview, payer, policies,
    provider_sign_in, sessions, shown_once, sign_in, token, tokens, usage, user, users,
};
use crate::server::admin::gate::{AdminState, Manner, Routes};
use crate::server::oidc::CALLBACK;
use crate::server::problem::Problem;

/// The manner of pages. Requests that are not signed in are redirected to the sign-in.
const MANNER: Manner = Manner { refuse, absent, takes_keys: false };

fn refuse(problem: Problem) -> Response {
    PageError::from(problem).into_response()
}

fn absent() -> Response {
    Redirect::to("/admin/sign-in").into_response()
}

/// Returns all pages.
pub(in crate::server::admin) fn router(state: &AdminState) -> Router<AdminState> {
    let pages = routes().into_router().merge(open());
    pages.route_layer(middleware::from_fn_with_state(state.clone(), head::provide))
}

/// Returns the pages for signed-in people.
pub(in crate::server::admin) fn routes() -> Routes {
    Routes::new(MANNER)
        .get("/admin", overview::show)
        .get("/admin/tokens", tokens::list)
        .post("/admin/tokens", tokens::create)
        .get("/admin/tokens/{sha256}", token::show)
        .post("/admin/tokens/{sha256}", token::set_rights)
        .get("/admin/tokens/{sha256}/new", shown_once::show_token)
        .post("/admin/tokens/{sha256}/new", shown_once::forget_token)
        .post("/admin/tokens/{sha256}/status", token::set_status)
        .post("/admin/tokens/{sha256}/expiry", token::set_expiry)
        .post("/admin/tokens/{sha256}/rate-limit", token::set_rate_limit)
        .post("/admin/tokens/{sha256}/rotate", token::rotate)
        .post("/admin/tokens/{sha256}/undo", token::undo)
        .post("/admin/tokens/{sha256}/delete", token::delete)
        .get("/admin/users", users::list)
        .post("/admin/users", users::create)
        .get("/admin/users/{email}", user::show)
        .post("/admin/users/{email}", user::change)
        .post("/admin/users/{email}/status", user::set_status)
        .post("/admin/users/{email}/undo", user::undo)
        .post("/admin/users/{email}/delete", user::delete)
        .get("/admin/sessions", sessions::show)
        .post("/admin/sessions", sessions::find)
        .post("/admin/sessions/device", sessions::decide)
        .post("/admin/sessions/{sid}/end", sessions::end)
        .get("/admin/offboard", offboard::show)
        .post("/admin/offboard", offboard::offboard)
        .get("/admin/usage", usage::overview)
        .get("/admin/usage.csv", usage::download)
        .get("/admin/usage/find", payer::find)
        .get("/admin/usage/{subject}", payer::show)
        .post("/admin/usage/{subject}/budget", payer::set_budget)
        .get("/admin/objects", objects::list)
        .post("/admin/objects", objects::adopt)
        .post("/admin/objects/transfer", objects::transfer_all)
        .get("/admin/objects/{sha256}", object::show)
        .post("/admin/objects/{sha256}/transfer", object::transfer)
        .post("/admin/objects/{sha256}/forget", object::forget)
        .get("/admin/policies", policies::list)
        .get("/admin/policies/{name}", policies::show)
        .get("/admin/credentials", credentials::list)
        .get("/admin/api-keys", api_keys::list)
        .post("/admin/api-keys", api_keys::create)
        .get("/admin/api-keys/{sha256}/new", shown_once::show_api_key)
        .post("/admin/api-keys/{sha256}/new", shown_once::forget_api_key)
        .post("/admin/api-keys/{sha256}/revoke", api_keys::revoke)
        .get("/admin/audit", audit::list)
        .post("/admin/sign-out", sign_in::sign_out)
}

/// Returns the pages for all.
fn open() -> Router<AdminState> {
    Router::new()
        .route("/admin/sign-in", get(sign_in::form).post(sign_in::sign_in))
        .route("/admin/sign-in/provider", get(provider_sign_in::leave))
        .route(CALLBACK, get(provider_sign_in::come_back))
        .route("/admin/style.css", get(assets::style))
        .route("/admin/script.js", get(assets::script))
}
