//! Routes of the administration. A route takes only handlers that need a permit, and lets only requests with that right in.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts as _, Request, State as Extract};
use axum::handler::Handler;
use axum::http::Method;
use axum::response::Response;
use axum::routing::{MethodFilter, on};

use super::operation::{Op, Operation};
use super::permit::Permit;
use super::person::VIEWER;
use super::state::AdminState;
use super::who::who;
use crate::server::admin::client::Client;
use crate::server::problem::Problem;

/// The arguments of a handler that needs a permit.
pub(in crate::server::admin) trait Judged {
    /// The operation of the permit.
    type Operation: Op;
}

macro_rules! judged {
    ($($rest:ident)*) => {
        impl<M, O: Op, $($rest),*> Judged for (M, Permit<O>, $($rest,)*) {
            type Operation = O;
        }
    };
}

judged!();
judged!(A);
judged!(A B);
judged!(A B C);

/// The manner in which routes answer requests that they do not let in.
#[derive(Clone, Copy)]
pub(in crate::server::admin) struct Manner {
    /// The answer with a problem.
    pub(in crate::server::admin) refuse: fn(Problem) -> Response,
    /// The answer to a request that is not signed in.
    pub(in crate::server::admin) absent: fn() -> Response,
    /// Set if programs may send API keys.
    pub(in crate::server::admin) takes_keys: bool,
}

/// A route.
#[derive(Clone, Debug)]
pub(in crate::server::admin) struct Row {
    pub(in crate::server::admin) method: Method,
    pub(in crate::server::admin) path: &'static str,
    pub(in crate::server::admin) operation: Operation,
}

/// Routes, and a list of them.
pub(in crate::server::admin) struct Routes {
    router: Router<AdminState>,
    rows: Vec<Row>,
    manner: Manner,
}

impl Routes {
    pub(in crate::server::admin) fn new(manner: Manner) -> Self {
        Self { router: Router::new(), rows: Vec::new(), manner }
    }

    pub(in crate::server::admin) fn get<T: Judged + 'static>(
        self,
        path: &'static str,
        handler: impl Handler<T, AdminState>,
    ) -> Self {
        self.add(Method::GET, path, None, handler)
    }

    pub(in crate::server::admin) fn post<T: Judged + 'static>(
        self,
        path: &'static str,
        handler: impl Handler<T, AdminState>,
    ) -> Self {
        self.add(Method::POST, path, None, handler)
    }

    /// Adds a route, for bodies of at most `limit` bytes if there is a limit.
    pub(in crate::server::admin) fn add<T: Judged + 'static>(
        mut self,
        method: Method,
        path: &'static str,
        limit: Option<usize>,
        handler: impl Handler<T, AdminState>,
    ) -> Self {
        let manner = self.manner;
        let guarded = move |Extract(state): Extract<AdminState>, request: Request| {
            pass::<T, _>(state, manner, request, handler.clone())
        };
        let mut route = on(filter(&method), guarded);
        if let Some(limit) = limit {
            route = route.route_layer(DefaultBodyLimit::max(limit));
        }
        self.router = self.router.route(path, route);
        self.rows.push(Row { method, path, operation: T::Operation::OPERATION });
        self
    }

    pub(in crate::server::admin) fn into_router(self) -> Router<AdminState> {
        self.router
    }

    pub(in crate::server::admin) fn into_rows(self) -> Vec<Row> {
        self.rows
    }
}

fn filter(method: &Method) -> MethodFilter {
    match *method {
        Method::POST => MethodFilter::POST,
        Method::PUT => MethodFilter::PUT,
        Method::PATCH => MethodFilter::PATCH,
        Method::DELETE => MethodFilter::DELETE,
        _ => MethodFilter::GET,
    }
}

/// Calls a handler with its permit, or answers in the manner of the route.
async fn pass<T: Judged, H: Handler<T, AdminState>>(
    state: AdminState,
    manner: Manner,
    request: Request,
    handler: H,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(client) = Client::from_request_parts(&mut parts, &state).await;
    let person = match who(&state, &parts.headers, &client, manner.takes_keys).await {
        Ok(Some(person)) => Arc::new(person),
        Ok(None) => return (manner.absent)(),
        Err(problem) => return (manner.refuse)(problem),
    };
    match Permit::<T::Operation>::of(&state, &person) {
        Ok(permit) => {
            parts.extensions.insert(permit);
            VIEWER.scope(person, handler.call(Request::from_parts(parts, body), state)).await
        }
        // The page of a problem has a head, too.
        Err(problem) => VIEWER.scope(person, async move { (manner.refuse)(problem) }).await,
    }
}
