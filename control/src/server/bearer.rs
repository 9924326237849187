//! Credentials of the data-plane API: `Authorization: Bearer …` (RFC 6750), compared in constant time or found by
//! their digest.

use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use keyswap_core::base::Digest;
use subtle::ConstantTimeEq as _;

use super::connections::{Channel, TlsState};
use super::problem::Problem;
use super::state::State;
use crate::registry::{RegistryError, Role};

/// Passes requests with a data plane's credential on.
pub(super) async fn require_data_plane(
    Extract(state): Extract<State>,
    request: Request,
    next: Next,
) -> Response {
    require(&state, &[Role::DataPlane], request, next).await
}

/// Passes requests with a credential that may read metrics on.
pub(super) async fn require_metrics(
    Extract(state): Extract<State>,
    request: Request,
    next: Next,
) -> Response {
    require(&state, &[Role::DataPlane, Role::Metrics], request, next).await
}

/// Passes requests with a credential that may introspect on.
pub(super) async fn require_any(Extract(state): Extract<State>, request: Request, next: Next) -> Response {
    require(&state, &[Role::DataPlane, Role::Introspection], request, next).await
}

/// Passes requests with a credential of one of `roles` on. Requests with another credential get status 403, requests
/// without one get status 401 with a challenge. A client certificate does not replace a credential.
async fn require(state: &State, roles: &[Role], request: Request, next: Next) -> Response {
    let channel = request.extensions().get::<Channel>().copied().unwrap_or_default();
    let tls = state.options().tls.as_ref();
    if tls.is_some_and(TlsState::requires_client_certificate) && !channel.is_certified {
        let detail = "a client certificate is required";
        return Problem::new(StatusCode::FORBIDDEN, "client_certificate_required", detail).into_response();
    }
    let Some(credential) = presented(request.headers()) else {
        return refuse(StatusCode::UNAUTHORIZED, "Bearer realm=\"keyswap\"");
    };
    match role_of(state, credential).await {
        Ok(Some(role)) if roles.contains(&role) => next.run(request).await,
        Ok(Some(_)) => {
            refuse(StatusCode::FORBIDDEN, "Bearer realm=\"keyswap\", error=\"insufficient_scope\"")
        }
        Ok(None) => refuse(StatusCode::UNAUTHORIZED, "Bearer realm=\"keyswap\", error=\"invalid_token\""),
        Err(error) => Problem::from(error).into_response(),
    }
}

/// Returns the role of a credential, `None` if it is unknown. The one from the environment is a data plane's; its uses
/// are counted, so that an administrator sees when the last data plane has one of its own.
async fn role_of(state: &State, credential: &[u8]) -> Result<Option<Role>, RegistryError> {
    let digest = Digest::of(credential);
    if state.registry_token().is_some_and(|expected| is_same(&digest, expected.expose().as_bytes())) {
        state.counters().shared_credential_uses.add(1);
        return Ok(Some(Role::DataPlane));
    }
    state.registry().role_of(&digest).await
}

/// Returns the Bearer credential of a request, `None` if the request has none or several `Authorization` headers.
pub(super) fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    let mut lines = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return None };
    let (scheme, token) = line.as_bytes().split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

/// Compares the digests in constant time, so that the duration reveals neither content nor length.
fn is_same(presented: &Digest, expected: &[u8]) -> bool {
    presented.to_hex().as_bytes().ct_eq(Digest::of(expected).to_hex().as_bytes()).into()
}

fn refuse(status: StatusCode, challenge: &'static str) -> Response {
    let problem = if status == StatusCode::FORBIDDEN {
        Problem::new(status, "insufficient_role", "the credential's role does not permit this")
    } else {
        let detail = "a credential of a data plane is required: `Authorization: Bearer …`";
        Problem::new(status, "unauthorized", detail)
    };
    let mut response = problem.into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response
}
