//! Envoy alone, an empty filter, and Envoy's own filters.

use std::{rc::Rc, sync::Arc};

use anyhow::{Result, ensure};

use super::{
    parts::{
        API_KEY_AUTH, AS_IT_IS, EMPTY_FILTER, GATEWAY, HEADER_MUTATION, JWT_AUTHN, LOCAL_RATELIMIT, LUA,
        REFUSING, envoy,
    },
    proof::{Job, counts, forwards, refuses},
    running::Running,
};
use crate::{
    Envoy,
    bench::{
        load::Requests,
        stage::{AUDIENCE, CF_AIG_TOKEN, EMAIL, ISSUER, LABEL, OPENAI_API_KEY, Stage},
    },
};

/// The token of set-ups that need no registry.
pub(super) const TOKEN: &str = "ptk_bench0123456789abcdefghijklmnopq";

pub(super) fn bare(stage: &Stage, workers: u32) -> Result<Running> {
    let envoy = envoy(stage, workers, &[AS_IT_IS], &[])?;
    let requests = Requests::new([Stage::request(TOKEN)], 200);
    let proof = passes(&envoy, &requests);
    Ok(Running::new(envoy, requests, proof))
}

pub(super) fn empty_filter(stage: &Stage, workers: u32) -> Result<Running> {
    let values = [("EMPTY_FILTER", stage.empty_filter.to_str().unwrap_or_default())];
    let envoy = envoy(stage, workers, &[AS_IT_IS, EMPTY_FILTER], &values)?;
    let requests = Requests::new([Stage::request(TOKEN)], 200);
    let (passes, own) = (passes(&envoy, &requests), Rc::clone(&envoy));
    let proof = move |stage: &Stage| {
        // The main thread and each worker have an instance.
        counts(&own, "wasm.envoy.wasm.runtime.v8.active", 2..)?;
        passes(stage)
    };
    Ok(Running::new(envoy, requests, proof))
}

/// Starts an Envoy that refuses every request by itself.
pub(super) fn refusing(stage: &Stage, workers: u32) -> Result<Running> {
    let envoy = envoy(stage, workers, &[REFUSING], &[])?;
    let requests = Requests::new([Stage::request(TOKEN)], 401);
    let (own, first) = (Rc::clone(&envoy), requests.first().to_vec());
    let proof = move |stage: &Stage| refuses(stage, &*own, &first);
    Ok(Running::new(envoy, requests, proof))
}

/// Returns the proof that requests are forwarded unchanged.
fn passes(envoy: &Rc<Envoy>, requests: &Arc<Requests>) -> impl Fn(&Stage) -> Result<()> + 'static {
    let (envoy, requests) = (Rc::clone(envoy), Arc::clone(requests));
    move |stage| forwards(stage, &*envoy, requests.first(), Job::Nothing).map(drop)
}

pub(super) fn jwt_authn(stage: &Stage, workers: u32) -> Result<Running> {
    jwt_authn_with(
        stage,
        workers,
        "{jwt_cache_size: 10000}",
        Requests::new([Stage::request(&stage.jwt()?)], 200),
    )
}

pub(super) fn jwt_authn_cold(stage: &Stage, workers: u32) -> Result<Running> {
    let requests = stage.cold_jwts()?.iter().map(|jwt| Stage::request(jwt));
    jwt_authn_with(stage, workers, "null", Requests::new(requests, 200))
}

fn jwt_authn_with(stage: &Stage, workers: u32, cache: &str, requests: Arc<Requests>) -> Result<Running> {
    let key_set = stage.key_set()?;
    let values = [
        ("ISSUER", ISSUER),
        ("AUDIENCE", AUDIENCE),
        ("JWKS", &key_set),
        ("JWT_CACHE", cache),
        ("OPENAI_API_KEY", OPENAI_API_KEY),
        ("CF_AIG_TOKEN", CF_AIG_TOKEN),
    ];
    let parts = [GATEWAY, JWT_AUTHN, LOCAL_RATELIMIT, HEADER_MUTATION];
    let envoy = envoy(stage, workers, &parts, &values)?;
    let (own, first, caches) = (Rc::clone(&envoy), requests.first().to_vec(), cache != "null");
    let forged = Stage::request(&stage.forged_jwt()?);
    let proof = move |stage: &Stage| {
        forwards(stage, &*own, &first, Job::Credentials)?;
        forwards(stage, &*own, &first, Job::Credentials)?;
        refuses(stage, &*own, forged.as_bytes())?;
        counts(&own, "http.keyswap.jwt_authn.allowed", 2..)?;
        counts(&own, "http.keyswap.jwt_authn.denied", 1..)?;
        let hits = own.stat("http.keyswap.jwt_authn.jwt_cache_hit")?;
        ensure!((hits > 0) == caches, "its cache was hit {hits} times");
        counts(&own, "bench.http_local_rate_limit.ok", 2..)
    };
    Ok(Running::new(envoy, requests, proof))
}

pub(super) fn api_key_auth(stage: &Stage, workers: u32) -> Result<Running> {
    let values = [("TOKEN", TOKEN), ("OPENAI_API_KEY", OPENAI_API_KEY), ("CF_AIG_TOKEN", CF_AIG_TOKEN)];
    let parts = [GATEWAY, API_KEY_AUTH, LOCAL_RATELIMIT, HEADER_MUTATION];
    let envoy = envoy(stage, workers, &parts, &values)?;
    let own = Rc::clone(&envoy);
    let proof = move |stage: &Stage| {
        judges(stage, &own, Job::Credentials)?;
        counts(&own, "http.keyswap.api_key_auth.allowed", 1..)?;
        counts(&own, "bench.http_local_rate_limit.ok", 1..)
    };
    Ok(Running::new(envoy, Requests::new([Stage::request(TOKEN)], 200), proof))
}

pub(super) fn lua(stage: &Stage, workers: u32) -> Result<Running> {
    let values = [
        ("TOKEN", TOKEN),
        ("EMAIL", EMAIL),
        ("LABEL", LABEL),
        ("OPENAI_API_KEY", OPENAI_API_KEY),
        ("CF_AIG_TOKEN", CF_AIG_TOKEN),
    ];
    let envoy = envoy(stage, workers, &[AS_IT_IS, LUA], &values)?;
    let own = Rc::clone(&envoy);
    let proof = move |stage: &Stage| judges(stage, &own, Job::Metadata);
    Ok(Running::new(envoy, Requests::new([Stage::request(TOKEN)], 200), proof))
}

/// Ensures that the right token is forwarded and another one refused.
pub(super) fn judges(stage: &Stage, envoy: &Envoy, job: Job) -> Result<()> {
    forwards(stage, envoy, Stage::request(TOKEN).as_bytes(), job)?;
    refuses(stage, envoy, Stage::request("ptk_nobody").as_bytes())
}

/// Returns the value of `authorization` with [`TOKEN`].
pub(super) fn authorization() -> String {
    format!("Bearer {TOKEN}")
}

/// Returns requests with [`TOKEN`].
pub(super) fn requests() -> Arc<Requests> {
    Requests::new([Stage::request(TOKEN)], 200)
}
