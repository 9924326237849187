//! Descriptions of handlers, from their signatures: parameters, the body that they take, and their answers.
//!
//! A route of the API takes only handlers whose arguments and answers describe themselves. So the document of the API has a schema
//! for each body, and it is that of the type which reads or writes the body.

use axum::Json as Answer;
use axum::extract::State as Extract;
use axum::handler::Handler;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use utoipa::openapi::RefOr;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::Schema;
use utoipa::{IntoParams, ToSchema};

use super::audit_export::Export;
use crate::server::admin::client::Client;
use crate::server::admin::gate::{AdminState, Judged, Manner, Permit, Routes, Row};
use crate::server::digest::DigestSegment;
use crate::server::extract::{Json, Parameters, Segment};
use crate::server::problem::Problem;

/// The schema of a body, with the name of its type.
pub(super) type Body = (String, RefOr<Schema>);

/// The description of a handler.
#[derive(Default)]
pub(super) struct Description {
    pub(super) parameters: Vec<Parameter>,
    /// The body that the handler takes, `None` if it takes none.
    pub(super) takes: Option<Body>,
    /// The status of a success, as `OpenAPI` writes it.
    pub(super) status: &'static str,
    /// The bodies of a success, each with its media type.
    pub(super) gives: Vec<(&'static str, Body)>,
    /// The schemas to which those of the bodies refer.
    pub(super) schemas: Vec<Body>,
}

impl Description {
    fn body<T: ToSchema>(&mut self) -> Body {
        T::schemas(&mut self.schemas);
        (T::name().into_owned(), T::schema())
    }
}

/// An argument of a handler.
pub(super) trait Argument {
    /// Adds what the client sends for the argument. The path describes its own parts.
    fn describe(_: &mut Description) {}
}

impl Argument for Client {}
impl Argument for HeaderMap {}
impl Argument for DigestSegment {}
impl Argument for Extract<AdminState> {}
impl<T> Argument for Segment<T> {}

impl<T: ToSchema> Argument for Json<T> {
    fn describe(description: &mut Description) {
        description.takes = Some(description.body::<T>());
    }
}

impl<T: IntoParams> Argument for Parameters<T> {
    fn describe(description: &mut Description) {
        description.parameters.extend(T::into_params(|| Some(ParameterIn::Query)));
    }
}

/// The answer of a handler that succeeds.
pub(super) trait Answered {
    fn describe(description: &mut Description);
}

/// The media type of most answers.
const JSON: &str = "application/json";

impl<T: ToSchema> Answered for Answer<T> {
    fn describe(description: &mut Description) {
        description.status = "200";
        let body = description.body::<T>();
        description.gives.push((JSON, body));
    }
}

// The handler picks the status.
impl<T: ToSchema> Answered for (StatusCode, Answer<T>) {
    fn describe(description: &mut Description) {
        Answer::<T>::describe(description);
        description.status = "2XX";
    }
}

impl Answered for StatusCode {
    fn describe(description: &mut Description) {
        description.status = "204";
    }
}

impl Answered for (StatusCode, [(HeaderName, HeaderValue); 1]) {
    fn describe(description: &mut Description) {
        StatusCode::describe(description);
    }
}

impl Answered for Export {
    fn describe(description: &mut Description) {
        description.status = "200";
        for media_type in Self::media_types() {
            let body = description.body::<String>();
            description.gives.push((media_type, body));
        }
    }
}

/// A handler that its signature describes.
pub(super) trait Described<T> {
    fn description() -> Description;
}

macro_rules! described {
    ($($argument:ident)*) => {
        impl<F, R, G, M, O, $($argument),*> Described<(M, Permit<O>, $($argument,)*)> for F
        where
            F: Fn(Permit<O>, $($argument),*) -> R,
            R: Future<Output = Result<G, Problem>>,
            G: Answered,
            $($argument: Argument,)*
        {
            fn description() -> Description {
                let mut description = Description::default();
                $($argument::describe(&mut description);)*
                G::describe(&mut description);
                description
            }
        }
    };
}

described!();
described!(A);
described!(A B);

/// Routes, each with a description.
pub(in crate::server::admin) struct ApiRoutes {
    routes: Routes,
    descriptions: Vec<Description>,
}

impl ApiRoutes {
    pub(super) fn new(manner: Manner) -> Self {
        Self { routes: Routes::new(manner), descriptions: Vec::new() }
    }

    pub(super) fn get<T: Judged + 'static, H: Handler<T, AdminState> + Described<T>>(
        self,
        path: &'static str,
        handler: H,
    ) -> Self {
        self.add(Method::GET, path, None, handler)
    }

    pub(super) fn post<T: Judged + 'static, H: Handler<T, AdminState> + Described<T>>(
        self,
        path: &'static str,
        handler: H,
    ) -> Self {
        self.add(Method::POST, path, None, handler)
    }

    /// Adds a route for bodies of at most `limit` bytes.
    pub(super) fn post_within<T: Judged + 'static, H: Handler<T, AdminState> + Described<T>>(
        self,
        limit: usize,
        path: &'static str,
        handler: H,
    ) -> Self {
        self.add(Method::POST, path, Some(limit), handler)
    }

    pub(super) fn put<T: Judged + 'static, H: Handler<T, AdminState> + Described<T>>(
        self,
        path: &'static str,
        handler: H,
    ) -> Self {
        self.add(Method::PUT, path, None, handler)
    }

    /// Adds a route for bodies of at most `limit` bytes.
    pub(super) fn put_within<T: Judged + 'static, H: Handler<T, AdminState> + Described<T>>(
        self,
        limit: usize,
        path: &'static str,
        handler: H,
    ) -> Self {
        self.add(Method::PUT, path, Some(limit), handler)
    }

    pub(super) fn patch<T: Judged + 'static, H: Handler<T, AdminState> + Described<T>>(
        self,
        path: &'static str,
        handler: H,
    ) -> Self {
        self.add(Method::PATCH, path, None, handler)
    }

    pub(super) fn delete<T: Judged + 'static, H: Handler<T, AdminState> + Described<T>>(
        self,
        path: &'static str,
        handler: H,
    ) -> Self {
        self.add(Method::DELETE, path, None, handler)
    }

    fn add<T: Judged + 'static, H: Handler<T, AdminState> + Described<T>>(
        mut self,
        method: Method,
        path: &'static str,
        limit: Option<usize>,
        handler: H,
    ) -> Self {
        self.routes = self.routes.add(method, path, limit, handler);
        self.descriptions.push(H::description());
        self
    }

    /// Returns the routes without their descriptions.
    pub(in crate::server::admin) fn into_routes(self) -> Routes {
        self.routes
    }

    /// Returns the descriptions, each with its route.
    pub(super) fn into_descriptions(self) -> impl Iterator<Item = (Row, Description)> {
        self.routes.into_rows().into_iter().zip(self.descriptions)
    }
}
