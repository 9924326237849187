//! The dashboard: pages in HTML that work without a script, and better with one.
//!
//! Pages are made on the server; what people typed is text in them, never markup. Nothing is loaded from elsewhere.

mod assets;
mod audit;
mod fields;
mod layout;
mod list;
mod policies;
mod provider;
mod rate_limit;
mod shown_once;
mod sign_in;
mod time;
mod token;
mod tokens;
mod user;
mod users;

use axum::Router;
use axum::middleware;
use axum::routing::{get, post};

pub(super) use self::layout::Failure;
use super::who;
use crate::serve::State;

pub(super) fn router(state: &State) -> Router<State> {
    let signed_in = Router::new()
        .route("/admin", get(tokens::list))
        .route("/admin/tokens", get(tokens::list).post(tokens::create))
        .route("/admin/tokens/{sha256}", get(token::show))
        .route("/admin/tokens/{sha256}/status", post(token::set_status))
        .route("/admin/tokens/{sha256}/expiry", post(token::set_expiry))
        .route("/admin/tokens/{sha256}/rate-limit", post(token::set_rate_limit))
        .route("/admin/tokens/{sha256}/rotate", post(token::rotate))
        .route("/admin/tokens/{sha256}/delete", post(token::delete))
        .route("/admin/users", get(users::list).post(users::create))
        .route("/admin/users/{email}", get(user::show).post(user::change))
        .route("/admin/users/{email}/status", post(user::set_status))
        .route("/admin/users/{email}/delete", post(user::delete))
        .route("/admin/policies", get(policies::list))
        .route("/admin/policies/{name}", get(policies::show))
        .route("/admin/audit", get(audit::list))
        .route("/admin/sign-out", post(sign_in::sign_out))
        .route_layer(middleware::from_fn_with_state(state.clone(), who::require_on_page));
    Router::new()
        .merge(signed_in)
        .route("/admin/sign-in", get(sign_in::form).post(sign_in::sign_in))
        .route("/admin/style.css", get(assets::style))
        .route("/admin/script.js", get(assets::script))
}
