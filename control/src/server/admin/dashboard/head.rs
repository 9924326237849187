//! The head of all pages: release and environment, so that no administrator changes the wrong registry.
//!
//! The environment belongs to the server. It reaches the layout beside the arguments, since errors are pages, too.

use axum::extract::{Request, State as Extract};
use axum::middleware::Next;
use axum::response::Response;
use maud::{Markup, html};

use crate::server::admin::gate::AdminState;

tokio::task_local! {
    static ENVIRONMENT: Option<String>;
    static HAS_SESSIONS: bool;
}

/// Passes a request on, with the environment for its page.
pub(super) async fn provide(Extract(state): Extract<AdminState>, request: Request, next: Next) -> Response {
    let options = state.options();
    let page = ENVIRONMENT.scope(options.environment.clone(), next.run(request));
    HAS_SESSIONS.scope(options.sessions.is_some(), page).await
}

/// Returns true if the server signs devices in.
pub(super) fn has_sessions() -> bool {
    HAS_SESSIONS.try_with(|has| *has).unwrap_or_default()
}

/// Returns the release and the environment.
pub(super) fn marks() -> Markup {
    let environment = ENVIRONMENT.try_with(Clone::clone).ok().flatten();
    html! {
        span .release { "Release " (env!("CARGO_PKG_VERSION")) }
        @if let Some(name) = environment { strong .environment { (name) } }
    }
}
