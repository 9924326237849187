//! The routes of the API for data planes.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{changes, introspect, leases, limits, lookup, objects, openapi, policies, usage};
use crate::server::bearer;
use crate::server::state::State;

/// The largest body of a report: 500 rows.
const MAX_REPORT_BYTES: usize = 1024 * 1024;

pub(in crate::server) fn router(state: &State) -> Router<State> {
    let reports =
        OpenApiRouter::new().routes(routes!(usage::usage)).layer(DefaultBodyLimit::max(MAX_REPORT_BYTES));
    let of_data_planes = OpenApiRouter::new()
        .merge(reports)
        .routes(routes!(lookup::token))
        .routes(routes!(lookup::principal))
        .routes(routes!(changes::changes))
        .routes(routes!(limits::limits))
        .routes(routes!(leases::leases))
        .routes(routes!(objects::find))
        .routes(routes!(objects::claim))
        .routes(routes!(objects::remove))
        .routes(routes!(policies::policy))
        .route_layer(middleware::from_fn_with_state(state.clone(), bearer::require_data_plane));
    let of_all = OpenApiRouter::new()
        .routes(routes!(introspect::introspect))
        .route_layer(middleware::from_fn_with_state(state.clone(), bearer::require_any));
    let (router, api) = OpenApiRouter::with_openapi(openapi::document())
        .merge(of_data_planes)
        .merge(of_all)
        .split_for_parts();
    router.merge(openapi::router(&api))
}
