//! Rate limits: one budget for all workers, exact answers, and failures to count.

use anyhow::{Context as _, Result, ensure};
use keyswap_core::base::Digest;
use keyswap_tests::{Envoy, Request, Response, Setup, Standin};
use serde_json::{Value, json};

fn token(number: usize) -> String {
    format!("ptk_limited-{number:02}")
}

fn setup(standin: &Standin, rate_limit: &Value) -> Setup {
    let tokens: Vec<Value> = (0..20)
        .map(|number| {
            let sha256 = Digest::of(token(number).as_bytes()).to_hex();
            json!({"sha256": sha256, "label": "l", "providers": ["openai"]})
        })
        .collect();
    let policy = json!({
        "version": "keyswap/v1",
        "tokens": tokens,
        "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
        "rate_limit": rate_limit,
    });
    Envoy::with(&policy).env("OPENAI_API_KEY", "sk-real").upstream(standin)
}

fn models(token: &str) -> Request {
    Request::get("/v1/models").bearer(token)
}

fn passed(answers: &[Response]) -> usize {
    answers.iter().filter(|answer| answer.status == 200).count()
}

#[test]
fn of_a_thousand_requests_at_once_two_workers_let_a_hundred_pass_in_every_run() -> Result<()> {
    let standin = Standin::start()?;
    let envoy = setup(&standin, &json!({"requests": 100, "per": "1h"})).concurrency(2).start()?;
    for run in 0..20 {
        let answers = envoy.burst(&vec![models(&token(run)); 1000])?;
        let passed = passed(&answers);
        ensure!((98..=102).contains(&passed), "in run {run} {passed} passed");
        ensure!(answers.iter().all(|answer| matches!(answer.status, 200 | 429 | 503)));
        // A request whose eight attempts to count all lost a race is answered with 503.
        let uncounted = answers.iter().filter(|answer| answer.status == 503).count();
        ensure!(uncounted <= 50, "in run {run} {uncounted} could not be counted");
    }
    Ok(())
}

#[test]
fn the_answer_says_what_is_left_and_exactly_how_long_to_wait() -> Result<()> {
    let standin = Standin::start()?;
    let envoy = setup(&standin, &json!({"requests": 2, "per": "20s"})).start()?;
    let request = models(&token(0));
    let first = envoy.send(&request)?;
    ensure!(first.header("ratelimit-policy") == Some("\"token\";q=2;w=20"), "{first:?}");
    ensure!(first.header("ratelimit") == Some("\"token\";r=1;t=10"), "{first:?}");
    ensure!(envoy.send(&request)?.header("ratelimit").is_some_and(|it| it.starts_with("\"token\";r=0;")));
    let refused = envoy.send(&request)?;
    ensure!(
        refused.status == 429 && refused.header("x-keyswap-reason") == Some("rate_limited"),
        "{refused:?}"
    );
    ensure!(refused.header("ratelimit-policy") == Some("\"token\";q=2;w=20"), "{refused:?}");
    let wait = refused.header("retry-after").context("no retry-after")?.parse::<u64>()?;
    ensure!((1..=10).contains(&wait), "{wait}");
    // The request is accepted after the reported time.
    std::thread::sleep(std::time::Duration::from_secs(wait));
    ensure!(envoy.send(&request)?.status == 200, "refused after the time it was told to wait");
    Ok(())
}

#[test]
fn a_websocket_upgrade_is_one_request_and_the_limit_holds_in_every_slot() -> Result<()> {
    let standin = Standin::start()?;
    let envoy = setup(&standin, &json!({"requests": 3, "per": "1h"})).start()?;
    let token = token(0);
    let spellings = [
        models(&token),
        Request::get("/openai/v1/models").header("x-api-key", &token),
        Request::get(format!("/openai/v1/models?k%65y={token}")),
    ];
    for request in &spellings {
        ensure!(envoy.send(request)?.status == 200);
    }
    for request in &spellings {
        ensure!(envoy.send(request)?.status == 429);
    }
    ensure!(standin.take().len() == 3);
    Ok(())
}
