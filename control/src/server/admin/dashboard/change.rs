//! Changes that administrators make with forms.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::response::Response;

use super::fields::Fields;
use super::layout::PageError;
use crate::registry::{Actor, RegistryError};
use crate::server::problem::Problem;
use crate::server::state::State;

/// A submitted form, with the subject from the path.
pub(super) struct Change<Subject> {
    pub(super) state: State,
    /// The administrator that sent the form.
    pub(super) actor: Actor,
    pub(super) subject: Subject,
    pub(super) fields: Fields,
}

impl<Subject> FromRequest<State> for Change<Subject>
where
    Subject: FromRequestParts<State, Rejection = Problem> + Send,
{
    type Rejection = PageError;

    async fn from_request(request: Request, state: &State) -> Result<Self, PageError> {
        let (mut parts, body) = request.into_parts();
        // The guard of the pages sets it.
        let actor = parts.extensions.get::<Actor>().cloned();
        let actor =
            actor.ok_or_else(|| Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "sign in first"))?;
        let subject = Subject::from_request_parts(&mut parts, state).await?;
        let fields = Fields::from_request(Request::from_parts(parts, body), state).await?;
        Ok(Self { state: state.clone(), actor, subject, fields })
    }
}

/// Answers a form with `done` on success, else with `again`, the form's page with the problem.
pub(super) async fn form_page<T>(
    result: Result<T, RegistryError>,
    done: impl FnOnce(T) -> Response,
    again: impl AsyncFnOnce(Problem) -> Result<Response, PageError>,
) -> Result<Response, PageError> {
    match result {
        Ok(value) => Ok(done(value)),
        Err(error) => again(error.into()).await,
    }
}
