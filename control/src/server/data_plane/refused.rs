//! Refusals of requests from data planes, for the `OpenAPI` document.

use utoipa::IntoResponses;

use crate::server::problem::ProblemBody;

/// The refusals of any request.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it describes what a `Problem` becomes, and is never made")]
pub(super) enum Refused {
    /// The request is malformed
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(ProblemBody<'static>),
    /// The credential is missing or wrong
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(ProblemBody<'static>),
    /// The credential's role does not permit this, or the client has no certificate
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(ProblemBody<'static>),
    /// The registry is unavailable
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemBody<'static>),
}

/// The refusals of a request with a body.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it describes what a `Problem` becomes, and is never made")]
pub(super) enum BodyRefused {
    /// The body did not arrive in time
    #[response(status = 408, content_type = "application/problem+json")]
    TooSlow(ProblemBody<'static>),
    /// The body is too large
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(ProblemBody<'static>),
    /// The body has another media type
    #[response(status = 415, content_type = "application/problem+json")]
    OtherType(ProblemBody<'static>),
}

/// The refusal of a request with a JSON body that does not fit the schema.
#[derive(IntoResponses)]
#[response(
    status = 422,
    description = "The body does not match the schema",
    content_type = "application/problem+json"
)]
#[expect(dead_code, reason = "it describes what a `Problem` becomes, and is never made")]
pub(super) struct Misfit(ProblemBody<'static>);
