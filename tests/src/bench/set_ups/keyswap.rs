//! Keyswap, with valid and invalid tokens of a registry and JWTs of an issuer.

use std::{rc::Rc, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{
    host::Host,
    parts::start,
    proof::{Job, forwards, refuses},
    running::Running,
};
use crate::{
    Envoy, Registry, Setup,
    bench::{
        load::Requests,
        stage::{AUDIENCE, CF_AIG_TOKEN, ISSUER, LIMIT, OPENAI_API_KEY, Stage, numbered_token, records},
    },
    until, with,
};

/// The filter's counter of lookups, by the source of the answer.
const LOOKUPS: &str = "wasmcustom.keyswap.lookups.from";
/// The filter's counter of calls to the registry for a token.
const FETCHES: &str = "wasmcustom.keyswap.fetches.kind.token.outcome";

/// A change of a set-up of Envoy: none, or the dynamic module in the place of the filter.
type Change = fn(&Stage, Setup) -> Result<Setup>;

const FILTER: Change = |_, setup| Ok(setup);
const MODULE: Change = |stage, setup| Ok(setup.native_of(stage.module()?));

pub(super) fn token(stage: &Stage, workers: u32) -> Result<Running> {
    token_in(stage, workers, FILTER)
}

pub(super) fn module_token(stage: &Stage, workers: u32) -> Result<Running> {
    token_in(stage, workers, MODULE)
}

fn token_in(stage: &Stage, workers: u32, change: Change) -> Result<Running> {
    let (registry, token) = stage.registry()?;
    let requests = Requests::new([Stage::request(token)], 200);
    changed(stage, workers, registry, (&Stage::policy(registry)?, change), requests)
}

/// Starts Keyswap as it is by default: bodies are read for the objects that they name.
pub(super) fn objects(stage: &Stage, workers: u32) -> Result<Running> {
    let (registry, token) = stage.registry()?;
    let policy = with(&Stage::policy(registry)?, &json!({"objects": null}));
    keyswap(stage, workers, registry, &policy, [token.to_owned()])
}

pub(super) fn models(stage: &Stage, workers: u32) -> Result<Running> {
    ruled(stage, workers, &json!({}))
}

pub(super) fn metered(stage: &Stage, workers: u32) -> Result<Running> {
    ruled(stage, workers, &json!({"metering": {}}))
}

/// Starts Keyswap with a token that is restricted to models. A request for another one is refused.
fn ruled(stage: &Stage, workers: u32, more: &Value) -> Result<Running> {
    let (registry, _) = stage.registry()?;
    let (mut policy, token) = (with(&Stage::policy(registry)?, more), numbered_token(0));
    policy["tokens"] = records(std::iter::once(0)).into();
    policy["tokens"][0]["models"] = json!(["gpt-5*"]);
    let envoy = envoy(stage, workers, registry, &policy)?;
    let (own, first) = (Rc::clone(&envoy), Stage::request(&token));
    let requests = Requests::new([first.clone()], 200);
    let proof = move |stage: &Stage| {
        is_counted(stage, &own, first.as_bytes(), 1)?;
        let other = first.replace("gpt-5-mini", "gpt-4-mini");
        let other = Host::open(&*own, other.as_bytes())?.finish()?;
        ensure!(other.verdict() == "403 model_not_allowed", "another model: {}", other.verdict());
        Ok(())
    };
    Ok(Running::new(envoy, requests, proof))
}

/// Starts the filter of a former release. Its metrics and its answers may differ, so only its work is checked.
pub(super) fn former_token(stage: &Stage, workers: u32) -> Result<Running> {
    let (registry, token) = stage.registry()?;
    let filter = stage.former.as_deref().context("there is no filter of a former release: see `--former`")?;
    // It knows no objects, and with `shared` this release does nothing for them either.
    let policy = with(&Stage::policy(registry)?, &json!({"objects": null}));
    let setup = Envoy::with(&policy).filter(filter);
    let envoy = Rc::new(start(stage, workers, with_environment(setup, registry))?);
    let (own, first) = (Rc::clone(&envoy), Stage::request(token));
    let requests = Requests::new([first.clone()], 200);
    let proof = move |stage: &Stage| {
        forwards(stage, &*own, first.as_bytes(), Job::Metadata)?;
        refuses(stage, &*own, Stage::request("ptk_nobody-0123456789abcdefghijkl").as_bytes())
    };
    Ok(Running::new(envoy, requests, proof))
}

/// Starts Keyswap with this registry, policy and tokens, which the registry or the policy knows.
pub(in crate::bench) fn keyswap(
    stage: &Stage,
    workers: u32,
    registry: &Registry,
    policy: &Value,
    tokens: impl IntoIterator<Item = String>,
) -> Result<Running> {
    let requests = tokens.into_iter().map(|token| Stage::request(&token));
    keyswap_with(stage, workers, registry, policy, Requests::new(requests, 200))
}

/// Starts Keyswap with these requests. The first has the form of the SDK's requests.
pub(in crate::bench) fn keyswap_with(
    stage: &Stage,
    workers: u32,
    registry: &Registry,
    policy: &Value,
    requests: Arc<Requests>,
) -> Result<Running> {
    changed(stage, workers, registry, (policy, FILTER), requests)
}

fn changed(
    stage: &Stage,
    workers: u32,
    registry: &Registry,
    (policy, change): (&Value, Change),
    requests: Arc<Requests>,
) -> Result<Running> {
    let envoy = start(stage, workers, change(stage, with_environment(Envoy::with(policy), registry))?)
        .map(Rc::new)?;
    let (own, first) = (Rc::clone(&envoy), requests.first().to_vec());
    let from_registry = policy.get("tokens").is_none();
    let proof = move |stage: &Stage| {
        // One request more than workers, so that one worker judges twice.
        is_counted(stage, &own, &first, workers + 1)?;
        refuses(stage, &*own, Stage::request("ptk_nobody-0123456789abcdefghijkl").as_bytes())?;
        until("a lookup is answered from memory", || {
            let warm = own.stat(&format!("{LOOKUPS}.worker"))? + own.stat(&format!("{LOOKUPS}.process"))?;
            Ok(warm > 0 || !from_registry)
        })
        .map(drop)
    };
    Ok(Running::new(envoy, requests, proof))
}

pub(super) fn jwt(stage: &Stage, workers: u32) -> Result<Running> {
    with_issuer(stage, workers, FILTER, Requests::new([Stage::request(&stage.jwt()?)], 200))
}

pub(super) fn module_jwt(stage: &Stage, workers: u32) -> Result<Running> {
    with_issuer(stage, workers, MODULE, Requests::new([Stage::request(&stage.jwt()?)], 200))
}

pub(super) fn jwt_cold(stage: &Stage, workers: u32) -> Result<Running> {
    let requests = stage.cold_jwts()?.iter().map(|jwt| Stage::request(jwt));
    with_issuer(stage, workers, FILTER, Requests::new(requests, 200))
}

pub(super) fn module_jwt_cold(stage: &Stage, workers: u32) -> Result<Running> {
    let requests = stage.cold_jwts()?.iter().map(|jwt| Stage::request(jwt));
    with_issuer(stage, workers, MODULE, Requests::new(requests, 200))
}

fn with_issuer(stage: &Stage, workers: u32, change: Change, requests: Arc<Requests>) -> Result<Running> {
    let (registry, _) = stage.registry()?;
    let issuer = stage.issuer()?;
    let mut policy = Stage::policy(registry)?;
    policy["issuers"] = json!([{
        "name": "id", "preset": "oidc", "issuer": ISSUER, "audiences": [AUDIENCE], "principals": "any",
        "jwks": {"url": format!("{ISSUER}/jwks"), "cluster": "issuer"},
    }]);
    let setup = Envoy::with(&policy).cluster("issuer", issuer.server().address());
    let envoy = Rc::new(start(stage, workers, change(stage, with_environment(setup, registry))?)?);
    let (own, first) = (Rc::clone(&envoy), requests.first().to_vec());
    let forged = Stage::request(&stage.forged_jwt()?);
    let proof = move |stage: &Stage| {
        is_counted(stage, &own, &first, 2)?;
        refuses(stage, &*own, forged.as_bytes())
    };
    Ok(Running::new(envoy, requests, proof))
}

pub(super) fn refused_unknown(stage: &Stage, workers: u32) -> Result<Running> {
    refusing(stage, workers, "ptk_nobody-0123456789abcdefghijkl")
}

pub(super) fn refused_malformed(stage: &Stage, workers: u32) -> Result<Running> {
    refusing(stage, workers, "short")
}

/// Starts Keyswap for requests with a refused token. The registry is asked for it rarely or never.
fn refusing(stage: &Stage, workers: u32, token: &str) -> Result<Running> {
    let (registry, good) = stage.registry()?;
    let envoy = envoy(stage, workers, registry, &Stage::policy(registry)?)?;
    let (own, request) = (Rc::clone(&envoy), Stage::request(token));
    let good = Stage::request(good);
    let can_be = token.len() > 12;
    let proof = move |stage: &Stage| {
        forwards(stage, &*own, good.as_bytes(), Job::Metadata)?;
        let asked = || own.stat(&format!("{FETCHES}.not_found"));
        let before = asked()?;
        for _ in 0..10 {
            refuses(stage, &*own, request.as_bytes())?;
        }
        let after = asked()?;
        ensure!(after - before <= 1, "for ten requests the registry was asked {} times", after - before);
        ensure!((after > 0) == can_be, "the registry was asked {after} times in all");
        Ok(())
    };
    Ok(Running::new(envoy, Requests::new([Stage::request(token)], 401), proof))
}

fn envoy(stage: &Stage, workers: u32, registry: &Registry, policy: &Value) -> Result<Rc<Envoy>> {
    start(stage, workers, with_environment(Envoy::with(policy), registry)).map(Rc::new)
}

fn with_environment(setup: Setup, registry: &Registry) -> Setup {
    setup
        .env("OPENAI_API_KEY", OPENAI_API_KEY)
        .env("CF_AIG_TOKEN", CF_AIG_TOKEN)
        .env("KEYSWAP_REGISTRY_TOKEN", registry.registry_token())
        .registry(registry.address())
}

/// Ensures that requests are forwarded correctly and are taken from a budget.
fn is_counted(stage: &Stage, envoy: &Envoy, request: &[u8], times: u32) -> Result<()> {
    for _ in 0..times {
        let answer = forwards(stage, envoy, request, Job::Metadata)?;
        let left = answer.header("ratelimit").and_then(|text| text.split(['=', ';']).nth(2)?.parse().ok());
        let left: u32 = left.context("the answer does not say what is left of the budget")?;
        ensure!(left < LIMIT, "nothing was taken of the budget");
    }
    Ok(())
}
