//! A soak: mixed traffic through two Envoys, with a fault of a service every few seconds.
//!
//! It lasts as long as the faults once each, or for the seconds of `KEYSWAP_SOAK_SECONDS`: `cargo xtask soak`. What was used
//! before a fault goes on in it, nothing is allowed that should not be, and memory and descriptors do not grow.

use std::{
    collections::BTreeMap,
    env, fs,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{
    Envoy, Issuer, Registry, Request, Script, SigningKey, Standin, Testbed, unix_now, until, with,
};
use serde_json::{Value, json};

use crate::postgres::Postgres;

const ISSUER: &str = "https://id.soak.example/realms/a";
const REAL: &str = "sk-real-openai";
/// The time from one fault to the next, and the part of it in which the fault lasts.
const ROUND: Duration = Duration::from_secs(10);
const FAULTY: Duration = Duration::from_secs(4);
/// The pause between two requests of a kind.
const PACE: Duration = Duration::from_millis(10);
/// The least share of requests that pass whose token or key set was used before.
const AVAILABILITY: f64 = 0.9999;
/// The growth of memory and of descriptors that is none: buffers of what is on its way.
const SPARE_MEMORY: u64 = 24 << 20;
const SPARE_DESCRIPTORS: u64 = 64;
/// The time after which a revoked token is refused, whatever fails: the TTL of records.
const REVOKED_WITHIN: Duration = Duration::from_secs(62);

/// The kinds of traffic: the name, whether it must pass, and the statuses that a refusal may have.
const KINDS: [(&str, bool, &[u16]); 8] = [
    ("tokens", true, &[]),
    ("JWTs", true, &[]),
    ("streams", true, &[]),
    ("WebSockets", true, &[]),
    ("uploads", true, &[]),
    ("refusals", false, &[401, 403, 404]),
    ("unknown tokens", false, &[401, 503]),
    ("unknown keys", false, &[401, 503]),
];

/// The faults, in turn.
const FAULTS: [&str; 6] = [
    "the registry is killed",
    "the issuer hangs",
    "the issuer answers no keys",
    "the registry ends in good order",
    "the issuer closes connections",
    // The last: a new worker has no keys of its own before the next fault.
    "an Envoy gets another policy",
];

/// The counts of one kind of traffic.
#[derive(Default)]
struct Counts {
    passed: AtomicUsize,
    refused: AtomicUsize,
    wrong: AtomicUsize,
}

struct Soak {
    envoys: Vec<Envoy>,
    standin: Standin,
    issuer: Issuer,
    key: SigningKey,
    token: String,
    counts: [Counts; KINDS.len()],
    /// The first answers that should not have been.
    wrongs: Mutex<Vec<String>>,
    /// The last fault, and the moment at which it began.
    last_fault: Mutex<(&'static str, Instant)>,
    is_over: AtomicBool,
}

fn policy(per: u32) -> Value {
    let issuers = json!([{
        "name": "id", "preset": "oidc", "issuer": ISSUER, "audiences": ["keyswap"], "principals": "any",
        "providers": ["openai"],
    }]);
    let limit = json!({"requests": 1_000_000, "per": format!("{per}s")});
    with(&Testbed::registry_policy(), &json!({"issuers": issuers, "rate_limit": limit, "objects": "shared"}))
}

impl Soak {
    fn start(registry: &Registry, workers: u32) -> Result<Self> {
        let (standin, key) = (Standin::start()?, SigningKey::p256("k")?);
        let issuer = Issuer::start(ISSUER, &[&key])?;
        let setup = || {
            Envoy::with(&policy(60))
                .env("OPENAI_API_KEY", REAL)
                .env("KEYSWAP_REGISTRY_TOKEN", registry.registry_token())
                .registry(registry.address())
                .cluster(issuer.host(), issuer.server().address())
                .upstream(&standin)
                .concurrency(workers)
                .without_access_log()
                .reloadable()
        };
        let envoys = vec![setup().start()?, setup().native().start()?];
        let token = token_of(registry, "soak")?;
        let counts = std::array::from_fn(|_| Counts::default());
        let (wrongs, last_fault) = (Mutex::default(), Mutex::new(("none", Instant::now())));
        Ok(Self { envoys, standin, issuer, key, token, counts, wrongs, last_fault, is_over: false.into() })
    }

    /// Sends a request of a kind. Returns the status, 0 where the answer was not whole, and the verdict.
    fn ask(&self, kind: usize, envoy: &Envoy, number: usize) -> Result<(u16, String)> {
        let chat = |stream: bool| {
            Request::post("/v1/chat/completions", &json!({"model": "m", "stream": stream, "messages": []}))
        };
        let without_verdict = |status| Ok((status, String::new()));
        let status = |request: &Request| match envoy.send(request) {
            Ok(answer) => Ok((answer.status, answer.verdict())),
            Err(_) => without_verdict(0),
        };
        match kind {
            0 => status(&Request::get("/v1/models").bearer(&self.token)),
            1 => status(&chat(false).bearer(&jwt(&self.key)?)),
            2 => {
                let answer =
                    envoy.open(&chat(true).bearer(&self.token)).and_then(keyswap_tests::Answer::finish);
                let is_whole = |text: &str| text.contains("[DONE]");
                without_verdict(
                    answer
                        .map_or(0, |it| if it.status != 200 || is_whole(&it.text()) { it.status } else { 0 }),
                )
            }
            3 => {
                let upgrade = format!(
                    "GET /v1/realtime?model=m HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {}\r\nconnection: upgrade\r\n\
                     upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                    self.token
                );
                let status = envoy.open_raw(upgrade.as_bytes()).map_or(0, |answer| answer.status());
                without_verdict(if status == 101 { 200 } else { status })
            }
            4 => {
                let body = format!(r#"{{"model":"m","messages":[],"user":"{}"}}"#, "x".repeat(60_000));
                let upload =
                    Request::new("POST", "/v1/chat/completions").header("content-type", "application/json");
                status(&upload.bearer(&self.token).body(body))
            }
            5 if number.is_multiple_of(2) => status(&Request::get("/v1/models")),
            5 => status(&Request::get("/anthropic/v1/models").header("x-api-key", &self.token)),
            6 => status(&chat(false).bearer(&format!("ptk_unknown-{number}-0123456789abcdef0123456789"))),
            _ => status(&chat(false).bearer(&jwt(&self.key.renamed(&format!("k{number}")))?)),
        }
    }

    /// Sends requests of a kind through both Envoys in turn until the soak is over.
    fn run(&self, kind: usize) -> Result<()> {
        let (name, passes, refusals) = KINDS[kind];
        for number in 0.. {
            if self.is_over.load(Ordering::SeqCst) {
                break;
            }
            let envoy = number % self.envoys.len();
            let (status, verdict) = self.ask(kind, &self.envoys[envoy], number)?;
            let counts = &self.counts[kind];
            let counter = match (status, passes) {
                (200, true) => &counts.passed,
                (status, false) if refusals.contains(&status) => &counts.refused,
                _ => &counts.wrong,
            };
            counter.fetch_add(1, Ordering::SeqCst);
            // Its pace: the stand-in records all of it.
            thread::sleep(PACE);
            if std::ptr::eq(counter, &raw const counts.wrong) {
                let (fault, begun) = *self.last_fault.lock().unwrap_or_else(PoisonError::into_inner);
                let since = begun.elapsed().as_millis();
                self.note(format!("{name}, Envoy {envoy}: {status} {verdict}, {since} ms after {fault}"));
            }
        }
        Ok(())
    }

    fn note(&self, wrong: String) {
        let mut wrongs = self.wrongs.lock().unwrap_or_else(PoisonError::into_inner);
        if wrongs.len() < 50 {
            wrongs.push(wrong);
        }
    }

    /// Begins a fault, and returns what ends it.
    fn break_down(&self, fault: &str, round: usize, registry: &mut Registry) -> Result<()> {
        let answer = |script: Script| self.issuer.server().now(move |_| script.clone());
        match fault {
            "the registry is killed" => registry.kill(),
            "the registry ends in good order" => registry.stop()?,
            "the issuer hangs" => answer(Script::Hang),
            "the issuer answers no keys" => answer(Script::answer(200, r#"{"keys":[]}"#)),
            "the issuer closes connections" => answer(Script::Close),
            _ => self.envoys[round % self.envoys.len()].reload(&policy(60 + u32::try_from(round)? % 7))?,
        }
        Ok(())
    }

    fn mend(&self, fault: &str, registry: &mut Registry) -> Result<()> {
        if fault.contains("registry") {
            registry.restart()?;
        }
        self.issuer.publish(&[&self.key]);
        Ok(())
    }

    /// Waits until all that must pass does: a fault does not meet what another one has left.
    fn passes(&self) -> Result<()> {
        for (kind, (name, ..)) in KINDS.iter().enumerate().filter(|(_, (_, passes, _))| *passes) {
            for envoy in &self.envoys {
                until(name, || Ok(self.ask(kind, envoy, 0)?.0 == 200))?;
            }
        }
        Ok(())
    }

    /// Takes what has reached the upstream. None of it has a token of ours, nor another credential than the real one.
    fn ensure_clean(&self) -> Result<usize> {
        let received = self.standin.take_without(&[&self.token, "ptk_", "eyJ"])?;
        for request in &received {
            ensure!(request.credentials() == [format!("authorization: Bearer {REAL}")], "{request:?}");
        }
        Ok(received.len())
    }

    fn availability(&self) -> f64 {
        let sum = |count: fn(&Counts) -> &AtomicUsize| {
            let must_pass = self.counts.iter().zip(KINDS).filter(|(_, (_, passes, _))| *passes);
            must_pass.map(|(counts, _)| count(counts).load(Ordering::SeqCst)).sum::<usize>()
        };
        let (passed, failed) = (sum(|counts| &counts.passed), sum(|counts| &counts.wrong));
        #[expect(clippy::cast_precision_loss, reason = "counts of requests are small")]
        let share = passed as f64 / (passed + failed).max(1) as f64;
        share
    }
}

fn token_of(registry: &Registry, label: &str) -> Result<String> {
    let created = registry.create_token(&json!({"label": label, "providers": ["openai"]}))?;
    Ok(created["token"].as_str().context("no token")?.to_owned())
}

/// The resources of the Envoys over time: memory in bytes and descriptors, of each.
#[derive(Default)]
struct Resources(Vec<Vec<[u64; 2]>>);

impl Resources {
    fn take(&mut self, envoys: &[Envoy]) -> Result<()> {
        let of = |envoy: &Envoy| Ok([envoy.memory()?, envoy.meter().descriptors()?]);
        self.0.push(envoys.iter().map(of).collect::<Result<_>>()?);
        Ok(())
    }

    /// Returns the least of the second quarter and of the last one, of an Envoy: what remains when all else comes and goes.
    fn levels(&self, envoy: usize, which: usize) -> (u64, u64) {
        let quarter = self.0.len() / 4;
        let least =
            |range: &[Vec<[u64; 2]>]| range.iter().map(|sample| sample[envoy][which]).min().unwrap_or(0);
        (least(&self.0[quarter..(2 * quarter).max(quarter + 1)]), least(&self.0[3 * quarter..]))
    }
}

/// Goes through the faults until the time is over. Returns the number of each.
fn go_through_faults(
    soak: &Soak,
    registry: &mut Registry,
    seconds: u64,
    resources: &mut Resources,
) -> Result<BTreeMap<&'static str, usize>> {
    let (begun, mut happened) = (Instant::now(), BTreeMap::new());
    // Each worker needs keys and absences of its own before a fault.
    until("each worker has served", || Ok(seconds == 0 || begun.elapsed() >= ROUND))?;
    // The revoked token, and the time since which it must be refused everywhere.
    let mut revoked: Vec<(String, Instant)> = Vec::new();
    for (round, fault) in FAULTS.into_iter().cycle().enumerate() {
        let is_enough = round >= FAULTS.len() && begun.elapsed() >= Duration::from_secs(seconds);
        if is_enough || soak.is_over.load(Ordering::SeqCst) {
            break;
        }
        let token = token_of(registry, "revoked")?;
        for envoy in &soak.envoys {
            ensure!(models(&token, envoy)? == 200, "a new token is not known");
        }
        let sha256 = keyswap_core::base::Digest::of(token.as_bytes()).to_hex();
        registry.admin("PATCH", &format!("/tokens/{sha256}"), &json!({"status": "disabled"}))?;
        revoked.push((token, Instant::now() + REVOKED_WITHIN));
        let due = Instant::now();
        *soak.last_fault.lock().unwrap_or_else(PoisonError::into_inner) = (fault, due);
        soak.break_down(fault, round, registry)?;
        *happened.entry(fault).or_default() += 1;
        let (lasts, pause) = if seconds > 0 { (FAULTY, ROUND) } else { (Duration::ZERO, Duration::ZERO) };
        until("the fault lasts", || Ok(due.elapsed() >= lasts))?;
        soak.mend(fault, registry)?;
        soak.passes()?;
        until("the round is over", || Ok(due.elapsed() >= pause))?;
        for (token, _) in revoked.iter().filter(|(_, since)| Instant::now() > *since) {
            for envoy in &soak.envoys {
                ensure!(models(token, envoy)? == 401, "a revoked token is let in");
            }
        }
        soak.ensure_clean()?;
        resources.take(&soak.envoys)?;
    }
    Ok(happened)
}

fn jwt(key: &SigningKey) -> Result<String> {
    key.sign(&json!({
        "iss": ISSUER, "aud": "keyswap", "sub": "ada", "email": "ada@example.com", "email_verified": true,
        "exp": unix_now() + 300,
    }))
}

fn models(token: &str, envoy: &Envoy) -> Result<u16> {
    Ok(envoy.send(&Request::get("/v1/models").bearer(token))?.status)
}

#[test]
fn what_is_known_goes_on_under_faults_and_nothing_is_allowed_that_should_not_be() -> Result<()> {
    let seconds = env::var("KEYSWAP_SOAK_SECONDS").map_or(Ok(0), |text| text.parse::<u64>())?;
    let postgres = Postgres::start();
    let mut registry = Registry::setup().database(&postgres.url()).start()?;
    // In a short soak a second worker would meet a fault before it has keys and records of its own.
    let soak = Soak::start(&registry, if seconds > 0 { 2 } else { 1 })?;
    soak.passes()?;
    let (begun, mut resources) = (Instant::now(), Resources::default());
    let happened = thread::scope(|scope| {
        let running: Vec<_> = (0..KINDS.len())
            .map(|kind| {
                scope.spawn({
                    let soak = &soak;
                    move || soak.run(kind)
                })
            })
            .collect();
        let happened = go_through_faults(&soak, &mut registry, seconds, &mut resources);
        soak.is_over.store(true, Ordering::SeqCst);
        for each in running {
            each.join().unwrap_or_else(|_| anyhow::bail!("a panic"))?;
        }
        happened
    })?;
    soak.ensure_clean()?;
    let wrongs = soak.wrongs.lock().unwrap_or_else(PoisonError::into_inner);
    report(&soak, begun.elapsed(), &happened, &resources)?;
    let of_refused = KINDS.iter().zip(&soak.counts).filter(|((_, passes, _), _)| !passes);
    let wrong: usize = of_refused.map(|(_, counts)| counts.wrong.load(Ordering::SeqCst)).sum();
    ensure!(wrong == 0, "something was allowed or failed that should have been refused: {wrongs:?}");
    ensure!(
        soak.availability() >= AVAILABILITY,
        "{} of what is known passed: {wrongs:?}",
        soak.availability()
    );
    for envoy in 0..soak.envoys.len() {
        for (which, spare) in [SPARE_MEMORY, SPARE_DESCRIPTORS].into_iter().enumerate() {
            let (before, after) = resources.levels(envoy, which);
            ensure!(after <= before + spare, "Envoy {envoy} grows: from {before} to {after}");
        }
    }
    Ok(())
}

/// Writes what was seen, where a file is named for it.
fn report(soak: &Soak, took: Duration, faults: &BTreeMap<&str, usize>, resources: &Resources) -> Result<()> {
    let kinds = KINDS.iter().zip(&soak.counts).map(|((name, ..), counts)| {
        let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
        let [passed, refused, wrong] = [&counts.passed, &counts.refused, &counts.wrong].map(count);
        ((*name).to_owned(), json!({"passed": passed, "refused": refused, "wrong": wrong}))
    });
    let levels =
        |which| (0..soak.envoys.len()).map(|envoy| resources.levels(envoy, which)).collect::<Vec<_>>();
    let report = json!({
        "seconds": took.as_secs(), "traffic": kinds.collect::<serde_json::Map<_, _>>(), "availability": soak.availability(),
        "faults": faults, "memory": levels(0), "descriptors": levels(1),
    });
    match env::var_os("KEYSWAP_SOAK_REPORT") {
        Some(file) => {
            fs::write(&file, report.to_string()).with_context(|| file.to_string_lossy().into_owned())
        }
        None => Ok(()),
    }
}
