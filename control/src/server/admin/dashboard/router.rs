//! The routes of the pages.

use axum::Router;
use axum::middleware;
use axum::routing::{get, post};

use super::{
    assets, audit, credentials, guard, head, object, objects, offboard, overview, payer, policies,
    shown_once, sign_in, token, tokens, usage, user, users,
};
use crate::server::state::State;

pub(in crate::server::admin) fn router(state: &State) -> Router<State> {
    let signed_in = Router::new()
        .route("/admin", get(overview::show))
        .route("/admin/tokens", get(tokens::list).post(tokens::create))
        .route("/admin/tokens/{sha256}", get(token::show).post(token::set_rights))
        .route("/admin/tokens/{sha256}/new", get(shown_once::show).post(shown_once::forget))
        .route("/admin/tokens/{sha256}/status", post(token::set_status))
        .route("/admin/tokens/{sha256}/expiry", post(token::set_expiry))
        .route("/admin/tokens/{sha256}/rate-limit", post(token::set_rate_limit))
        .route("/admin/tokens/{sha256}/rotate", post(token::rotate))
        .route("/admin/tokens/{sha256}/undo", post(token::undo))
        .route("/admin/tokens/{sha256}/delete", post(token::delete))
        .route("/admin/users", get(users::list).post(users::create))
        .route("/admin/users/{email}", get(user::show).post(user::change))
        .route("/admin/users/{email}/status", post(user::set_status))
        .route("/admin/users/{email}/undo", post(user::undo))
        .route("/admin/users/{email}/delete", post(user::delete))
        .route("/admin/offboard", get(offboard::show).post(offboard::offboard))
        .route("/admin/usage", get(usage::overview))
        .route("/admin/usage.csv", get(usage::download))
        .route("/admin/usage/find", get(payer::find))
        .route("/admin/usage/{subject}", get(payer::show))
        .route("/admin/usage/{subject}/budget", post(payer::set_budget))
        .route("/admin/objects", get(objects::list).post(objects::adopt))
        .route("/admin/objects/transfer", post(objects::transfer_all))
        .route("/admin/objects/{sha256}", get(object::show))
        .route("/admin/objects/{sha256}/transfer", post(object::transfer))
        .route("/admin/objects/{sha256}/forget", post(object::forget))
        .route("/admin/policies", get(policies::list))
        .route("/admin/policies/{name}", get(policies::show))
        .route("/admin/credentials", get(credentials::list))
        .route("/admin/audit", get(audit::list))
        .route("/admin/sign-out", post(sign_in::sign_out))
        .route_layer(middleware::from_fn_with_state(state.clone(), guard::require_on_page));
    Router::new()
        .merge(signed_in)
        .route("/admin/sign-in", get(sign_in::form).post(sign_in::sign_in))
        .route("/admin/style.css", get(assets::style))
        .route("/admin/script.js", get(assets::script))
        .route_layer(middleware::from_fn_with_state(state.clone(), head::provide))
}
