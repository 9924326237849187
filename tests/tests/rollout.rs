//! Rollouts to data planes in Envoy: candidates that are widened, promoted and rolled back under load, signatures,
//! refused revisions, and shadow mode.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use keyswap_core::base::Digest;
use keyswap_tests::{Desk, Envoy, Load, Request, Standin, Testbed, under_load, until};
use serde_json::{Value, json};

const CALLERS: usize = 40;
/// The name of the published policy.
const NAME: &str = Desk::NAME;

fn token(caller: usize) -> String {
    format!("ptk_caller-{caller}-0123456789abcdef")
}

fn principal(caller: usize) -> String {
    Digest::of(token(caller).as_bytes()).to_hex()[..16].to_owned()
}

/// Returns a policy for all callers. Callers for which `denies` returns true may only call Anthropic.
fn policy(denies: impl Fn(usize) -> bool) -> Value {
    let mut policy = Testbed::policy();
    let token = |caller| {
        let provider = if denies(caller) { "anthropic" } else { "openai" };
        json!({
            "sha256": Digest::of(token(caller).as_bytes()).to_hex(),
            "label": format!("caller {caller}"),
            "providers": [provider],
        })
    };
    policy["tokens"] = (0..CALLERS).map(token).collect();
    policy
}

fn ask(envoy: &Envoy, caller: usize) -> Result<(u16, String)> {
    let response = envoy.send(&Request::get("/v1/models").bearer(&token(caller)))?;
    Ok((response.status, response.header("x-keyswap-reason").unwrap_or_default().to_owned()))
}

/// The requests of all callers in turn, by the policies that are in force.
struct Callers<'a> {
    envoy: &'a Envoy,
    /// The refused callers, since the last query.
    refused: Mutex<BTreeSet<usize>>,
}

impl<'a> Callers<'a> {
    /// The number of threads. Each sends the requests of its share of the callers.
    const THREADS: usize = 2;

    fn new(envoy: &'a Envoy) -> Self {
        Self { envoy, refused: Mutex::default() }
    }

    /// Sends the next request of a thread. The answer must be one that the policies permit.
    fn call(&self, thread: usize, number: usize) -> Result<()> {
        let caller = (thread + Self::THREADS * number) % CALLERS;
        let (status, reason) = ask(self.envoy, caller)?;
        let is_refused = status == 403 && reason == "provider_not_allowed";
        ensure!(status == 200 || is_refused, "{status} {reason}");
        if is_refused {
            self.refused().insert(caller);
        }
        Ok(())
    }

    fn refused(&self) -> MutexGuard<'_, BTreeSet<usize>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until each caller has called twice, and returns the callers that were refused meanwhile.
    fn refused_from_now(&self, load: &Load) -> Result<BTreeSet<usize>> {
        self.refused().clear();
        // The threads take turns by chance, so one may need more time for its half.
        load.passes_each(2 * CALLERS / Self::THREADS)?;
        Ok(self.refused().clone())
    }
}

/// Returns Envoy's count of requests that the stable policy forwarded and the candidate refused.
fn divergences(envoy: &Envoy) -> Result<u64> {
    let name = "keyswap.divergences.stable.allowed.candidate.provider_not_allowed.provider.openai";
    envoy.stat(&format!("wasmcustom.{name}"))
}

#[test]
fn an_operator_widens_a_candidate_under_load_promotes_it_and_takes_it_back() -> Result<()> {
    let desk = Desk::open()?;
    let standin = Standin::start()?;
    let denied: BTreeSet<usize> = (0..CALLERS).filter(|caller| caller % 2 == 1).collect();
    let (stable, next) = (policy(|_| false), policy(|caller| denied.contains(&caller)));
    desk.publish(&stable, &[])?;
    let envoy = desk.data_plane(&standin).start()?;
    let callers = Callers::new(&envoy);
    let call = |thread, number| callers.call(thread, number);
    under_load(Callers::THREADS, call, |load| {
        let refused_from_now = || callers.refused_from_now(load);
        until("the data plane runs the first revision", || {
            Ok(desk.planes()?.iter().any(|plane| plane["revision"] == 1))
        })?;
        ensure!(refused_from_now()?.is_empty(), "the stable policy refuses nobody");
        desk.publish(&next, &["--candidate", "--percent", "0"])?;
        ensure!(refused_from_now()?.is_empty(), "at 0 % nobody is refused");
        until("a difference is counted", || Ok(divergences(&envoy)? > 0))?;
        let mut before = BTreeSet::new();
        for percent in ["10", "50", "100"] {
            desk.sign(&["promote", NAME, "--percent", percent])?;
            let refused = refused_from_now()?;
            ensure!(refused.is_superset(&before), "{percent} %: somebody left: {before:?}, {refused:?}");
            ensure!(refused.is_subset(&denied), "{percent} %: {refused:?}");
            before = refused;
        }
        ensure!(before == denied, "at 100 % the candidate decides for all: {before:?}");
        desk.sign(&["promote", NAME])?;
        ensure!(refused_from_now()? == denied, "it decides alone");
        desk.sign(&["rollback", NAME])?;
        ensure!(refused_from_now()?.is_empty(), "it was taken back");
        Ok(())
    })?;
    let planes = desk.planes()?;
    ensure!(planes.len() == 1 && planes[0]["revision"] == 7, "{planes:?}");
    // The module reports with the name of the machine.
    let is_named = planes[0]["plane"] == "keyswap" || envoy.is_native();
    ensure!(is_named, "not the id of the node: {planes:?}");
    ensure!(planes[0]["problem"].is_null(), "{planes:?}");
    let example = principal(*denied.first().context("somebody is denied")?);
    ensure!(envoy.log().contains(&example), "the log tells whom a difference is about");
    Ok(())
}

#[test]
fn what_is_not_signed_or_does_not_hold_changes_nothing_and_is_told_to_the_registry() -> Result<()> {
    let desk = Desk::open()?;
    let standin = Standin::start()?;
    desk.publish(&policy(|_| false), &[])?;
    let envoy = desk.data_plane(&standin).start()?;
    until("the first policy is there", || Ok(ask(&envoy, 1)?.0 == 200))?;
    let file = desk.path("next.json");
    // A bundle signed with a key that the registry knows and the data plane does not, and a policy whose secret is
    // missing.
    let other = desk.keygen("other.key")?;
    let keys = desk.path("keys.json");
    let both = json!({"keys": [desk.keys["keys"][0], other["keys"][0]]});
    std::fs::write(&keys, both.to_string())?;
    let keys = keys.to_string_lossy().into_owned();
    desk.run(&["policy", "trust", NAME, "--keys", &keys, "--database", desk.registry.database()])?;
    let mut lacking = policy(|_| true);
    lacking["credentials"]["openai"] = json!([{"env": "SET_NOWHERE"}]);
    let publish = |key: &str, more: &[&str]| {
        let (file, key) = (file.to_string_lossy(), desk.path(key));
        let key = key.to_string_lossy();
        desk.run(
            &[&["policy", "publish", NAME, &file, "--yes", "--keys", &keys, "--key", &key], more].concat(),
        )
    };
    for (key, policy, problem) in
        [("other.key", policy(|_| true), "bad_signature"), ("policy.key", lacking, "bad_policy")]
    {
        std::fs::write(&file, policy.to_string())?;
        publish(key, &[])?;
        until("the data plane tells what is wrong", || {
            let planes = desk.planes()?;
            ensure!(ask(&envoy, 1)? == (200, String::new()), "the old policy goes on");
            Ok(planes.iter().any(|plane| plane["problem"] == problem && plane["revision"] == 1))
        })
        .with_context(|| problem.to_owned())?;
    }
    let newest = desk.planes()?;
    ensure!(newest[0]["refused"] == 3, "{newest:?}");
    ensure!(newest[0]["detail"].as_str().is_some_and(|detail| detail.contains("SET_NOWHERE")), "{newest:?}");
    // `--wait` reports the reason.
    let waits = publish("policy.key", &["--wait", "30s"]);
    let refused = format!("{:#}", waits.err().context("it cannot succeed")?);
    ensure!(refused.contains("refuses it") && refused.contains("SET_NOWHERE"), "{refused}");
    // A rollback is still possible.
    desk.sign(&["rollback", NAME, "--to", "1"])?;
    ensure!(ask(&envoy, 1)?.0 == 200);
    Ok(())
}

/// Returns the files of a registry's database, including its log.
fn database_files(desk: &Desk) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let file = PathBuf::from(desk.registry.database().trim_start_matches("sqlite://"));
    let name = file.file_name().and_then(|name| name.to_str()).context("the database is a file")?;
    let mut files = Vec::new();
    for entry in std::fs::read_dir(file.parent().context("the database is in a folder")?)? {
        let path = entry?.path();
        if path.file_name().and_then(|other| other.to_str()).is_some_and(|other| other.starts_with(name)) {
            files.push((path.clone(), std::fs::read(path)?));
        }
    }
    Ok(files)
}

#[test]
fn a_registry_that_is_gone_or_was_put_back_leaves_the_policy_in_force() -> Result<()> {
    let mut desk = Desk::open()?;
    let standin = Standin::start()?;
    let envoy = desk.data_plane(&standin).start()?;
    let (status, reason) = ask(&envoy, 1)?;
    ensure!((status, reason.as_str()) == (503, "policy_unavailable"), "{status} {reason}");
    desk.publish(&policy(|_| false), &[])?;
    until("the first policy is there", || Ok(ask(&envoy, 1)?.0 == 200))?;
    // The present state of the database is restored later.
    desk.registry.stop()?;
    let before = database_files(&desk)?;
    let cut_off = Instant::now();
    while cut_off.elapsed() < Duration::from_secs(3) {
        ensure!(ask(&envoy, 1)?.0 == 200, "without a registry the policy in force goes on");
    }
    desk.registry.restart()?;
    desk.publish(&policy(|caller| caller == 1), &[])?;
    until("the second policy is there", || Ok(ask(&envoy, 1)?.0 == 403))?;
    desk.registry.stop()?;
    for (path, _) in database_files(&desk)? {
        std::fs::remove_file(path)?;
    }
    for (path, bytes) in before {
        std::fs::write(path, bytes)?;
    }
    desk.registry.restart()?;
    until("the data plane tells that this is older", || {
        ensure!(ask(&envoy, 1)?.0 == 403, "nobody goes back by themselves");
        Ok(desk.planes()?.iter().any(|plane| plane["problem"] == "older" && plane["refused"] == 1))
    })?;
    desk.publish(&policy(|_| false), &["--revision", "3"])?;
    until("the third policy is there", || Ok(ask(&envoy, 1)?.0 == 200))?;
    Ok(())
}

#[test]
fn a_policy_in_shadow_mode_only_tells_what_it_would_do() -> Result<()> {
    let standin = Standin::start()?;
    let mut shadow = policy(|caller| caller == 2);
    shadow["mode"] = json!("shadow");
    shadow["shadow"] = json!({"header": true});
    let envoy = Testbed::setup_with(&shadow, &standin).start()?;
    let real = "sk-the-callers-own-key-0123456789";
    let forged = "allowed";
    for (credential, expect) in
        [(token(1), "allowed"), (token(2), "provider_not_allowed"), (real.to_owned(), "token_invalid")]
    {
        let request = Request::get("/v1/models")
            .header("host", "api.openai.com")
            .bearer(&credential)
            .header("x-keyswap-shadow", forged);
        let response = envoy.send(&request)?;
        ensure!(response.status == 200, "{credential}: {response:?}");
        let received = standin.take();
        let [received] = &received[..] else { anyhow::bail!("{received:?}") };
        // The request passes unchanged except for the header with the reason.
        ensure!(received.header("authorization") == Some(&format!("Bearer {credential}")), "{received:?}");
        ensure!(received.header("x-keyswap-shadow") == Some(expect), "{received:?}");
        ensure!(received.path() == "/v1/models", "{received:?}");
    }
    let counted = "keyswap.shadow_decisions.verdict.reply.reason.provider_not_allowed.provider.openai";
    envoy.has_counted("/stats?filter=keyswap", &[&format!("{counted}: 1\n")])?;
    let log = envoy.log();
    ensure!(log.contains("provider_not_allowed") && !log.contains(real), "{log}");
    Ok(())
}

/// The rate of the steady load, in requests a second.
const RATE: u32 = 500;
const LANES: usize = 8;

/// The number of requests that are answered between two reloads, at least.
const BETWEEN: usize = 20;

#[test]
fn fifty_reloads_at_five_hundred_requests_a_second_fail_no_request_and_leave_nothing_behind() -> Result<()> {
    const RELOADS: usize = 50;
    const VMS: &str = "wasm.envoy.wasm.runtime.v8.active";
    const SETTLED: usize = 10;
    let standin = Standin::start()?;
    let version = |number: usize| {
        let mut policy = policy(|caller| caller > 30);
        policy["tokens"][39]["label"] = json!(format!("version {number}"));
        policy
    };
    let setup = Testbed::setup_with(&version(0), &standin).without_access_log().concurrency(2).reloadable();
    let envoy = setup.start()?;
    let mut measured = Vec::new();
    let started = Instant::now();
    // A slow machine may reach less than the rate.
    let steady = |lane: usize, number: usize| -> Result<()> {
        let due = started + Duration::from_secs(1) * u32::try_from(number * LANES + lane)? / RATE;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let (status, reason) = ask(&envoy, lane)?;
        ensure!(status == 200, "{status} {reason}");
        Ok(())
    };
    let sent = under_load(LANES, steady, |load| {
        for number in 1..=RELOADS {
            envoy.reload(&version(number))?;
            load.passes(BETWEEN)?;
            standin.take();
            measured.push((envoy.stat(VMS)?, envoy.memory()?));
        }
        // Draining listeners end after a second.
        until("no listener drains any more", || {
            Ok(envoy.stat("listener_manager.total_filter_chains_draining")? == 0)
        })?;
        measured.push((envoy.stat(VMS)?, envoy.memory()?));
        Ok(load.passed())
    })?;
    let rate = u32::try_from(sent).map(f64::from)? / started.elapsed().as_secs_f64();
    // Shown with `--no-capture`.
    eprintln!("{rate:.0} requests a second; machines and bytes after each reload: {measured:?}");
    let (vms, memory) = measured[SETTLED];
    let (last_vms, last_memory) = measured[RELOADS];
    ensure!(last_vms <= vms, "{vms} machines became {last_vms}: {measured:?}");
    ensure!(last_memory <= memory + memory / 10, "{memory} bytes became {last_memory}: {measured:?}");
    Ok(())
}
