//! Changes that administrators make with forms.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::response::Response;

use super::fields::Fields;
use super::layout::PageError;
use crate::registry::RegistryError;
use crate::server::admin::client::Client;
use crate::server::admin::gate::{AdminState, Judged, Op, Permit};
use crate::server::problem::Problem;

/// A submitted form, with the subject from the path.
pub(super) struct Change<O, Subject> {
    pub(super) permit: Permit<O>,
    pub(super) subject: Subject,
    pub(super) fields: Fields,
}

impl<M, O: Op, Subject> Judged for (M, Change<O, Subject>) {
    type Operation = O;
}

// The browser, for a cookie of the answer.
impl<M, O: Op, Subject> Judged for (M, Client, HeaderMap, Change<O, Subject>) {
    type Operation = O;
}

impl<O: Op, Subject> FromRequest<AdminState> for Change<O, Subject>
where
    Subject: FromRequestParts<AdminState, Rejection = Problem> + Send,
{
    type Rejection = PageError;

    async fn from_request(request: Request, state: &AdminState) -> Result<Self, PageError> {
        let (mut parts, body) = request.into_parts();
        let permit = Permit::from_request_parts(&mut parts, state).await?;
        let subject = Subject::from_request_parts(&mut parts, state).await?;
        let fields = Fields::from_request(Request::from_parts(parts, body), state).await?;
        Ok(Self { permit, subject, fields })
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
