//! `keyswap serve`: the registry over HTTP.
//!
//! It decides who may ask and how an answer looks; what is true is the registry's to say. It logs the route, the
//! status and the time of a request, and nothing that a caller sent.

mod access_log;
pub(crate) mod admin;
mod bearer;
mod connections;
mod data_plane;
mod extract;
mod health;
pub mod problem;
mod proxy_url;
pub mod settings;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::output;
use crate::registry::{Registry, SecretText};
pub use admin::access::{Access, AccessSettings};
use problem::Problem;
pub use proxy_url::ProxyUrl;

/// The most bytes in the body of a request.
const BODY_LIMIT: usize = 64 * 1024;

/// How long a shutdown waits for requests that are under way.
const DRAIN: Duration = Duration::from_secs(10);

/// What every handler can reach. Clones share it.
#[derive(Clone)]
pub struct State(Arc<Shared>);

struct Shared {
    registry: Registry,
    registry_token: SecretText,
    admin_password: Option<SecretText>,
    options: Options,
    stopping: watch::Sender<bool>,
}

/// What may be chosen of a server, and is no secret.
#[derive(Clone, Debug)]
pub struct Options {
    /// The proxy's address in the dashboard's examples.
    pub proxy_url: ProxyUrl,
    /// How long a client may take to send the head of a request, and then its body.
    pub patience: Duration,
    /// Who signs in by Cloudflare Access, if anybody may.
    pub access: Option<Access>,
}

impl State {
    /// A server's state, with the credential of the data planes and, where the environment has one, the
    /// administrator's password.
    pub fn new(
        registry: Registry,
        registry_token: SecretText,
        admin_password: Option<SecretText>,
        options: Options,
    ) -> Self {
        Self(Arc::new(Shared {
            registry,
            registry_token,
            admin_password,
            options,
            stopping: watch::Sender::new(false),
        }))
    }

    /// The registry.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// The administrator's password, where the environment has one.
    pub fn admin_password(&self) -> Option<&SecretText> {
        self.0.admin_password.as_ref()
    }

    fn options(&self) -> &Options {
        &self.0.options
    }

    /// Returns when the server is to stop: whoever waits for something answers now.
    async fn stopping(&self) {
        // The sender lives as long as this does, so the wait ends in one way only.
        let _ = self.0.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }
}

/// All routes.
pub fn router(state: State) -> Router {
    Router::new()
        .merge(data_plane::router(&state))
        .merge(admin::router(&state))
        .merge(health::router())
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here"))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "not with this method")
        })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn(access_log::log))
        .with_state(state)
}

/// Sees to it that there is an administrator's password, and prints it if it was made just now. Serves until `stop`,
/// then answers those who wait and lets requests that are under way finish.
pub async fn run(
    listener: TcpListener,
    state: State,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let first = admin::password::prepare(state.registry(), state.admin_password()).await;
    if let Some(password) = first.map_err(std::io::Error::other)? {
        let line = format!("first password: {} (it is not shown again)", password.expose());
        output::print(&line).map_err(std::io::Error::other)?;
    }
    let told = state.clone();
    let stopped = async move {
        stop.await;
        tracing::info!("stopping");
        told.0.stopping.send_replace(true);
    };
    let drained = async {
        state.stopping().await;
        tokio::time::sleep(DRAIN).await;
    };
    let service = router(state.clone());
    tokio::select! {
        () = connections::serve(listener, service, state.options().patience, stopped) => {}
        () = drained => tracing::warn!("some requests did not finish in time"),
    }
    Ok(())
}
