//! Envoy configurations from the parts in `tests/bench`, with replaced names.

use std::rc::Rc;

use anyhow::Result;

use crate::{Envoy, Setup, bench::stage::Stage};

pub(super) const AS_IT_IS: &str = include_str!("../../../bench/bare.yaml");
pub(super) const REFUSING: &str = include_str!("../../../bench/refusing.yaml");
pub(super) const GATEWAY: &str = include_str!("../../../bench/gateway.yaml");
pub(super) const EMPTY_FILTER: &str = include_str!("../../../bench/empty_filter.yaml");
pub(super) const JWT_AUTHN: &str = include_str!("../../../bench/jwt_authn.yaml");
pub(super) const API_KEY_AUTH: &str = include_str!("../../../bench/api_key_auth.yaml");
pub(super) const LOCAL_RATELIMIT: &str = include_str!("../../../bench/local_ratelimit.yaml");
pub(super) const HEADER_MUTATION: &str = include_str!("../../../bench/header_mutation.yaml");
pub(super) const LUA: &str = include_str!("../../../bench/lua.yaml");
pub(super) const EXT_AUTHZ_GRPC: &str = include_str!("../../../bench/ext_authz_grpc.yaml");
pub(super) const EXT_AUTHZ_HTTP: &str = include_str!("../../../bench/ext_authz_http.yaml");

/// Starts an Envoy with these parts, in which `$NAME` is replaced. No set-up has an access log, which costs all the
/// same.
pub(super) fn envoy(
    stage: &Stage,
    workers: u32,
    parts: &[&str],
    values: &[(&str, &str)],
) -> Result<Rc<Envoy>> {
    let fill = |part: &&str| {
        values.iter().fold((*part).to_owned(), |text, (name, value)| text.replace(&format!("${name}"), value))
    };
    let setup =
        parts.iter().map(fill).fold(Envoy::without_keyswap(), |setup, part| setup.overlay_text(&part));
    start(stage, workers, setup).map(Rc::new)
}

/// Starts an Envoy in front of the upstream, on the core for proxies.
pub(super) fn start(stage: &Stage, workers: u32, setup: Setup) -> Result<Envoy> {
    let setup = setup.plain_upstream(stage.upstream.address()).without_access_log().concurrency(workers);
    stage.cores.proxy(workers, || setup.start())
}
