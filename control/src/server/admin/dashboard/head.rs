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
}

/// Passes a request on, with the environment for its page.
pub(super) async fn provide(Extract(state): Extract<AdminState>, request: Request, next: Next) -> Response {
    ENVIRONMENT.scope(state.options().environment.clone(), next.run(request)).await
}

/// Returns the release and the environment.
pub(super) fn marks() -> Markup {
    let environment = ENVIRONMENT.try_with(Clone::clone).ok().flatten();
    html! {
        span .release { "Release " (env!("CARGO_PKG_VERSION")) }
        @if let Some(name) = environment { strong .environment { (name) } }
    }
}
