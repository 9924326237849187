//! Budgets, with real Envoys, a real registry and a stand-in that counts what it answers.
//!
//! The stand-in takes 20 tokens for each request: 8 of input, 12 of output.

use std::{fs, ops::Deref, path::PathBuf, process::Command, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use keyswap_core::base::Digest;
use keyswap_core::price::Nano;
use keyswap_tests::{
    Envoy, KEYSWAP, Registry, Request, Response, Server, Setup, Slices, Standin, Testbed, Wasmtime,
    WasmtimeSetup, tools, until, until_within, with,
};
use serde_json::{Value, json};

const TOKEN: &str = "ptk_of-the-team-research";
const TEAM: &str = "team:research";
/// The tokens of an answer, and their cost in nano-dollars.
const TOKENS: u64 = 20;
const COST: u64 = 8 * 1000 + 12 * 10_000;
/// The output tokens that a request asks for.
const OUTPUT: u64 = 12;

/// The surroundings of Envoys.
struct Bed {
    standin: Standin,
    registry: Registry,
}

impl Bed {
    fn start() -> Result<Self> {
        Ok(Self { standin: Standin::start()?, registry: Registry::start()? })
    }

    fn envoy(&self, policy: &Value) -> Setup {
        Envoy::with(policy)
            .env("OPENAI_API_KEY", "sk-real")
            .env("KEYSWAP_REGISTRY_TOKEN", self.registry.registry_token())
            .upstream(&self.standin)
            .registry(self.registry.address())
    }

    fn component(&self, policy: &Value) -> WasmtimeSetup {
        Wasmtime::with(policy)
            .env("OPENAI_API_KEY", "sk-real")
            .env("KEYSWAP_REGISTRY_TOKEN", self.registry.registry_token())
            .upstream(&self.standin)
            .registry(self.registry.address())
    }

    /// Returns the state of the team's budget at the registry.
    fn budget(&self) -> Result<Value> {
        let all = self.registry.admin("GET", "/budgets", &Value::Null)?;
        let mut items = all["items"].as_array().into_iter().flatten();
        Ok(items.find(|item| item["subject"] == TEAM).cloned().unwrap_or_default())
    }

    fn spent(&self) -> Result<u64> {
        Ok(self.budget()?["spent"].as_u64().unwrap_or_default())
    }

    /// Returns the sums of the registry's usage.
    fn usage(&self) -> Result<Value> {
        Ok(self.registry.admin("GET", "/usage", &Value::Null)?["total"].clone())
    }

    /// Waits until the registry has this many requests in its book, and returns their sums.
    fn usage_of(&self, requests: u64) -> Result<Value> {
        until("the requests are in the book", || Ok(self.usage()?["requests"] == requests))?;
        self.usage()
    }
}

fn policy(budget: &Value, more: &Value) -> Value {
    let mut policy = json!({
        "version": "keyswap/v1",
        "prices": {"gpt-test": {"input": 1, "output": 10}},
        "budgets": {"team": budget},
        "tokens": [{
            "sha256": Digest::of(TOKEN.as_bytes()).to_hex(), "label": "t", "team": "research", "providers": ["openai"],
        }],
        // A busy machine may take long to write.
        "registry": with(&Testbed::registry(), &json!({"timeout": "5s"})),
        "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
    });
    for (section, members) in more.as_object().into_iter().flatten() {
        for (name, value) in members.as_object().into_iter().flatten() {
            policy[section][name] = value.clone();
        }
    }
    policy
}

fn tokens(amount: u64) -> Value {
    policy(&json!({"tokens": amount, "per": "month"}), &Value::Null)
}

fn body(output: u64, stream: bool) -> Value {
    json!({"model": "gpt-test", "max_tokens": output, "messages": [], "stream": stream})
}

fn chat(output: u64, stream: bool) -> Request {
    Request::post("/v1/chat/completions", &body(output, stream)).bearer(TOKEN)
}

/// Returns the tokens that are reserved for a body.
fn reserved(body: &str, output: u64) -> u64 {
    u64::try_from(body.len()).unwrap_or(u64::MAX).div_ceil(3) + output
}

/// Returns the cost in the registry's sums, in nano-dollars.
fn cost(usage: &Value) -> Result<u64> {
    let usd = usage["usd"].as_str().and_then(Nano::from_usd);
    usd.map(|usd| usd.0).with_context(|| format!("no cost: {usage}"))
}

fn is_spent(response: &Response) -> bool {
    let wait = response.header("retry-after").and_then(|wait| wait.parse::<u64>().ok());
    response.verdict() == "429 budget_exceeded"
        && response.header("x-should-retry") == Some("false")
        && wait.is_some_and(|wait| (1..=31 * 86_400).contains(&wait))
}

/// Sends requests in bursts until none of a burst passes. Returns those that passed.
fn use_up(envoy: &Envoy) -> Result<u64> {
    let mut passed = 0;
    loop {
        let answers = envoy.burst(&vec![chat(OUTPUT, false); 40])?;
        for answer in &answers {
            let verdict = answer.verdict();
            // What others have reserved may come back.
            let expected = ["200", "429 budget_exceeded", "503 budget_unavailable"];
            ensure!(expected.contains(&verdict.as_str()), "{verdict}");
        }
        let count = answers.iter().filter(|answer| answer.status == 200).count();
        if count == 0 {
            return Ok(passed);
        }
        passed += u64::try_from(count)?;
    }
}

/// The record of the token is asked for, and then a slice. The body is there before either answer.
#[test]
fn a_first_request_waits_for_its_record_and_then_for_its_slice() -> Result<()> {
    let bed = Bed::start()?;
    let envoy = bed.envoy(&tokens(1000)).start()?;
    let new = json!({"label": "first", "team": "research", "providers": ["openai"]});
    let made = bed.registry.create_token(&new)?;
    let token = made["token"].as_str().context("no token")?;
    let request = Request::post("/v1/chat/completions", &body(OUTPUT, false)).bearer(token);
    let response = envoy.send(&request)?;
    ensure!(response.status == 200, "{}: {}", response.status, response.text());
    let received = bed.standin.take();
    ensure!(received.len() == 1 && received[0].json() == body(OUTPUT, false), "{received:?}");
    bed.usage_of(1).map(drop)
}

#[test]
fn two_envoys_with_two_workers_never_spend_more_than_a_budget_and_the_book_agrees_to_the_token() -> Result<()>
{
    const BUDGET: u64 = 400 * COST;
    let bed = Bed::start()?;
    let policy = policy(&json!({"usd": "0.0512", "per": "month"}), &Value::Null);
    let envoys = [0; 2].map(|_| bed.envoy(&policy).concurrency(2).start());
    let envoys = envoys.into_iter().collect::<Result<Vec<Envoy>>>()?;
    let passed = thread::scope(|scope| {
        let clients = envoys.iter().flat_map(|envoy| [envoy; 2]);
        let running: Vec<_> = clients.map(|envoy| scope.spawn(|| use_up(envoy))).collect();
        let passed = running.into_iter().map(|it| it.join().unwrap_or_else(|_| anyhow::bail!("a panic")));
        passed.sum::<Result<u64>>()
    })?;
    ensure!(passed * COST <= BUDGET, "{passed} passed");
    // What was reserved by others comes back, but for less than a request at each Envoy.
    let reserve = reserved(&body(OUTPUT, false).to_string(), 0) * 1000 + OUTPUT * 10_000;
    until("the budget is used up", || {
        envoys.iter().try_for_each(|envoy| envoy.send(&chat(OUTPUT, false)).map(drop))?;
        Ok(bed.spent()? + 2 * reserve >= BUDGET)
    })?;
    until("no request passes", || {
        let answers = envoys.iter().map(|envoy| envoy.send(&chat(OUTPUT, false)));
        Ok(answers.collect::<Result<Vec<_>>>()?.iter().all(is_spent))
    })?;
    let arrived = u64::try_from(bed.standin.received().len())?;
    for envoy in &envoys {
        let answers = envoy.burst(&vec![chat(OUTPUT, false); 50])?;
        ensure!(answers.iter().all(is_spent), "a request passed");
    }
    ensure!(u64::try_from(bed.standin.received().len())? == arrived, "a request arrived");
    let usage = bed.usage_of(arrived)?;
    ensure!(usage["input"] == arrived * 8 && usage["output"] == arrived * 12, "{usage}");
    ensure!(
        cost(&usage)? == arrived * COST && usage["unmetered"] == 0 && arrived * COST <= BUDGET,
        "{usage}"
    );
    until("the budget agrees", || Ok(bed.spent()? == arrived * COST))?;
    Ok(())
}

#[test]
fn a_burst_that_needs_more_than_a_slice_passes_whole_where_the_budget_covers_it() -> Result<()> {
    let bed = Bed::start()?;
    let envoy = bed.envoy(&tokens(160 * 30)).concurrency(2).start()?;
    let hold = bed.standin.hold();
    thread::scope(|scope| {
        let running = scope.spawn(|| envoy.burst(&vec![chat(OUTPUT, true); 120]));
        let all = until("all have arrived", || Ok(bed.standin.received().len() == 120));
        drop(hold);
        let answers = running.join().unwrap_or_else(|_| anyhow::bail!("a panic"))?;
        let refused: Vec<String> =
            answers.iter().filter(|answer| answer.status != 200).map(Response::verdict).collect();
        ensure!(refused.is_empty(), "{refused:?}:\n{}", envoy.last_lines());
        all.map(drop)
    })?;
    bed.usage_of(120).map(drop)
}

#[test]
fn the_slice_of_an_envoy_that_was_killed_comes_back() -> Result<()> {
    let bed = Bed::start()?;
    let (lost, other) = (bed.envoy(&tokens(800)).start()?, bed.envoy(&tokens(800)).start()?);
    ensure!(lost.send(&chat(OUTPUT, false))?.status == 200);
    until("the spending was told", || Ok(bed.spent()? == TOKENS))?;
    drop(lost);
    let large = chat(740, false);
    ensure!(is_spent(&other.send(&large)?), "the slice of the killed one is not free yet");
    until_within(Duration::from_secs(90), "the lease ends", || Ok(other.send(&large)?.status == 200))?;
    Ok(())
}

#[test]
fn without_the_registry_a_slice_is_used_up_and_then_the_policy_decides() -> Result<()> {
    for allows in [false, true] {
        let mut bed = Bed::start()?;
        let more = json!({"budgets": {"failure_mode_allow": allows}});
        let policy = policy(&json!({"tokens": 1600, "per": "month"}), &more);
        let envoy = bed.envoy(&policy).start()?;
        ensure!(envoy.send(&chat(OUTPUT, false))?.status == 200);
        bed.registry.kill();
        let answers = (0..20).map(|_| envoy.send(&chat(OUTPUT, false))).collect::<Result<Vec<_>>>()?;
        let passed = answers.iter().take_while(|answer| answer.status == 200).count();
        if allows {
            ensure!(passed == 20, "{passed} passed");
        } else {
            // The slice is 200 tokens, or a little more where it was renewed before the end of the registry.
            ensure!((8..=9).contains(&passed), "{passed} passed");
            for answer in answers.iter().skip(passed) {
                ensure!(answer.verdict() == "503 budget_unavailable", "{answer:?}");
                ensure!(answer.header("retry-after") == Some("1"), "{answer:?}");
            }
        }
        bed.registry.restart()?;
        until("requests pass again", || Ok(envoy.send(&chat(OUTPUT, false))?.status == 200))?;
        let arrived = u64::try_from(bed.standin.received().len())?;
        let usage = bed.usage_of(arrived)?;
        ensure!(usage["input"] == arrived * 8 && usage["output"] == arrived * 12, "{usage}");
        if !allows {
            until("the budget agrees", || Ok(bed.spent()? == arrived * TOKENS))?;
        }
    }
    Ok(())
}

/// Sends a chat in slices. Returns the bytes of the answer.
fn send(envoy: &Envoy, body: &str, slice: usize, is_chunked: bool) -> Result<String> {
    let request = Request::new("POST", "/v1/chat/completions").bearer(TOKEN).body(body);
    envoy.send_sliced(&request, slice, is_chunked)
}

fn large(output: u64, size: usize) -> String {
    let text = "a \\\"model\\\": 1 ".repeat(size / 15);
    format!(
        r#"{{"max_tokens":{output},"messages":[{{"role":"user","content":"{text}"}}],"model":"gpt-test"}}"#
    )
}

fn calls(envoy: &Envoy) -> Result<u64> {
    let stats = envoy.admin("/stats?filter=keyswap.fetches.kind.lease")?;
    let counts = stats.lines().filter_map(|line| line.rsplit_once(": ")?.1.parse::<u64>().ok());
    Ok(counts.sum())
}

#[test]
fn a_request_that_needs_more_than_the_slice_waits_for_a_call_and_arrives_whole() -> Result<()> {
    let bed = Bed::start()?;
    let envoy = bed.envoy(&tokens(100_000_000)).start()?;
    ensure!(envoy.send(&chat(OUTPUT, false))?.status == 200);
    bed.standin.take();
    let kinds = [
        (100, 1000, false),
        (100, 7, true),
        (60_000, 100_000, false),
        (72_000, 100_000, false),
        (79_000, 100_000, false),
        (300_000, 16_384, true),
        (300_000, 400_000, false),
    ];
    for (number, (size, slice, is_chunked)) in (2..).zip(kinds) {
        let context = || format!("{size} bytes in slices of {slice}, chunked: {is_chunked}");
        let body = large(number * 10_000_000, size);
        let before = calls(&envoy)?;
        let mut answer = send(&envoy, &body, slice, is_chunked).with_context(context)?;
        // Behind a part that went on it cannot wait. It may come again, once the call was made.
        until("the slice was leased", || {
            let is_short = answer.contains("x-keyswap-reason: budget_unavailable");
            if is_short {
                answer = send(&envoy, &body, slice, is_chunked)?;
            }
            Ok(!is_short)
        })?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "{}: {answer:.300}", context());
        ensure!(calls(&envoy)? > before, "{}: it did not wait", context());
        let received = bed.standin.take();
        let [request] = received.as_slice() else { anyhow::bail!("{}: {}", context(), received.len()) };
        ensure!(request.body == body.into_bytes(), "{}: it was changed", context());
    }
    let both = format!("{}{}", large(70_000_000, 100), r#"{"model":"gpt-test"}"#);
    for slice in [7, both.len() - 20, both.len()] {
        let answer = send(&envoy, &both, slice, true)?;
        ensure!(answer.starts_with("HTTP/1.1 400") && answer.contains("body_invalid"), "{slice}: {answer}");
        ensure!(bed.standin.take().is_empty(), "{slice}: a request arrived");
    }
    let paid = 1 + u64::try_from(kinds.len())?;
    until("what was refused costs nothing", || Ok(bed.spent()? == paid * TOKENS))?;
    Ok(())
}

/// Returns a host with this policy, and with its budgets: Envoy, or the component.
fn host(bed: &Bed, policy: &Value, is_envoy: bool) -> Result<Box<dyn Deref<Target = Server>>> {
    Ok(if is_envoy { Box::new(bed.envoy(policy).start()?) } else { Box::new(bed.component(policy).start()?) })
}

#[test]
fn a_caller_that_leaves_in_the_middle_of_a_stream_pays_what_the_policy_says() -> Result<()> {
    const MOST: u64 = 50;
    let input = reserved(&body(MOST, true).to_string(), 0);
    for is_envoy in [true, false] {
        for (when_left, least, most) in [
            // One token for each event with text that came.
            (None, input + 1, input + MOST - 1),
            (Some("estimate"), input + 1, input + MOST - 1),
            (Some("reserve"), input + MOST, input + MOST),
            // The usage would have come at the end.
            (Some("seen"), 0, 0),
        ] {
            let context = || format!("{when_left:?}, in Envoy: {is_envoy}");
            let bed = Bed::start()?;
            let metering =
                when_left.map_or(json!({}), |when_left| json!({"metering": {"when_left": when_left}}));
            let host = host(&bed, &policy(&json!({"tokens": 8000, "per": "month"}), &metering), is_envoy)?;
            let hold = bed.standin.hold();
            let mut answer = host.open(&chat(MOST, true))?;
            ensure!(answer.next_event()?.is_some(), context());
            ensure!(answer.next_event()?.is_some(), context());
            drop(answer);
            let usage = bed.usage_of(1).with_context(context)?;
            hold.release();
            ensure!(usage["unmetered"] == 1, "{}: {usage}", context());
            until("the budget is charged", || Ok(bed.spent()? >= least))?;
            let spent = bed.spent()?;
            ensure!((least..=most).contains(&spent), "{}: {spent} instead of {least} to {most}", context());
            // A caller that stays pays the same whatever the policy says of those that leave.
            ensure!(host.send(&chat(OUTPUT, true))?.status == 200, context());
            bed.usage_of(2)?;
            until("the next request is charged", || Ok(bed.spent()? == spent + TOKENS))
                .with_context(context)?;
        }
    }
    Ok(())
}

#[test]
fn an_error_of_the_upstream_costs_nothing_and_a_stream_without_usage_costs_the_most_that_it_can() -> Result<()>
{
    let bed = Bed::start()?;
    let more = json!({"metering": {"ask_usage": false}});
    let policy = policy(&json!({"tokens": 8000, "per": "month"}), &more);
    let envoy = bed.envoy(&policy).start()?;
    bed.standin.refuse(500, json!({"error": {"message": "out of order"}}));
    for number in 1..=3 {
        ensure!(envoy.send(&chat(OUTPUT, number == 2))?.status == 500);
    }
    let usage = bed.usage_of(3)?;
    ensure!(cost(&usage)? == 0 && usage["unmetered"] == 0, "{usage}");
    bed.standin.refuse_if(|_| None);
    ensure!(envoy.send(&chat(OUTPUT, true))?.status == 200);
    let usage = bed.usage_of(4)?;
    ensure!(usage["unmetered"] == 1 && usage["output"] == 0, "{usage}");
    // The stand-in streams an event more than the request allows tokens.
    let expected = reserved(&body(OUTPUT, true).to_string(), OUTPUT + 1);
    until("the budget is charged", || Ok(bed.spent()? == expected))?;
    Ok(())
}

#[test]
fn a_component_tells_what_a_request_took_behind_its_answer() -> Result<()> {
    let bed = Bed::start()?;
    let wasmtime = bed.component(&tokens(40 * TOKENS)).start()?;
    for number in 1..=3 {
        // The instance does nothing more until the next request.
        ensure!(wasmtime.send(&chat(OUTPUT, number == 2))?.status == 200);
        let usage = bed.usage_of(number)?;
        ensure!(usage["input"] == 8 * number && usage["output"] == 12 * number, "{usage}");
        until("the budget is charged", || Ok(bed.spent()? == number * TOKENS))?;
    }
    ensure!(is_spent(&wasmtime.send(&chat(40 * TOKENS, false))?));
    until("what was refused costs nothing", || Ok(bed.spent()? == 3 * TOKENS))?;
    Ok(())
}

#[test]
fn an_instance_of_a_component_leaves_the_rest_of_its_slice_to_the_next_one() -> Result<()> {
    let bed = Bed::start()?;
    let wasmtime = bed.component(&tokens(40 * TOKENS)).instances_for_one_request().start()?;
    for number in 1..=10 {
        ensure!(wasmtime.send(&chat(OUTPUT, false))?.status == 200);
        bed.usage_of(number)?;
        until("the rest came back", || Ok(bed.budget()?["leased"] == 0))?;
    }
    ensure!(bed.spent()? == 10 * TOKENS, "{}", bed.budget()?);
    // Nearly all that is left.
    ensure!(wasmtime.send(&chat(28 * TOKENS, false))?.status == 200);
    Ok(())
}

#[test]
fn a_request_that_waits_behind_its_body_goes_on_without_the_credentials_of_its_trailers() -> Result<()> {
    let bed = Bed::start()?;
    let envoy = bed.envoy(&tokens(100_000_000)).http2_upstreams().start()?;
    ensure!(envoy.send(&chat(OUTPUT, false))?.status == 200);
    bed.standin.take();
    for (number, size) in [(2, 1000), (3, 1_000_000), (4, 16)] {
        let before = calls(&envoy)?;
        let body = large(number * 10_000_000, 100);
        let request = Request::new("POST", "/v1/chat/completions").bearer(TOKEN).body(body.clone());
        let trailers = &[("authorization", TOKEN), ("x-api-key", "of-a-trailer"), ("x-checksum", "7")];
        let mut answer = envoy.send_http2(&request, Slices { size, trailers })?;
        // Behind a part that went on it cannot wait. It may come again, once the call was made.
        until("the slice was leased", || {
            let is_short = answer.verdict() == "503 budget_unavailable";
            if is_short {
                answer = envoy.send_http2(&request, Slices { size, trailers })?;
            }
            Ok(!is_short)
        })?;
        ensure!(answer.status == 200 && calls(&envoy)? > before, "{size}: it did not wait: {answer:?}");
        let received = bed.standin.take();
        let [request] = received.as_slice() else { anyhow::bail!("{size}: {} arrived", received.len()) };
        let names: Vec<&str> = request.trailers.iter().map(|(name, _)| name.as_str()).collect();
        ensure!(names == ["x-checksum"], "{size}: {names:?}");
        ensure!(request.body == body.as_bytes(), "{size}: {} of {} bytes", request.body.len(), body.len());
    }
    Ok(())
}

/// Returns what `keyswap policy diff --requests` says of a log.
fn diff(old: &Value, new: &Value, log: &[Value]) -> Result<Value> {
    let folder = tempfile::tempdir()?;
    let file = |name: &str, text: String| -> Result<PathBuf> {
        let path = folder.path().join(name);
        fs::write(&path, text)?;
        Ok(path)
    };
    let lines = log.iter().map(|line| format!("{line}\n")).collect::<Vec<_>>().concat();
    let output = Command::new(KEYSWAP.path()?)
        .args(["policy", "diff"])
        .args([file("old.json", old.to_string())?, file("new.json", new.to_string())?])
        .arg("--requests")
        .arg(file("access.log", lines)?)
        .args(["--format", "json"])
        .output()?;
    serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn the_log_of_an_envoy_tells_what_another_policy_would_have_refused_and_saved() -> Result<()> {
    let bed = Bed::start()?;
    let old = tokens(1_000_000);
    let envoy = bed.envoy(&old).start()?;
    let unpriced = json!({"model": "without-a-price", "max_tokens": OUTPUT, "messages": []});
    let unpriced = Request::post("/v1/chat/completions", &unpriced).bearer(TOKEN);
    for request in [chat(OUTPUT, false), chat(OUTPUT, false), chat(OUTPUT, false), unpriced] {
        let verdict = envoy.send(&request)?.verdict();
        ensure!(verdict == "200", "{verdict}");
    }
    let log = envoy.access_log(4)?;

    let answer = diff(&old, &tokens(2 * TOKENS), &log)?;
    let refused = &answer["spend"]["refused"];
    ensure!(answer["spend"]["budgets"] == json!({"counted": 4, "uncounted": {}}), "{answer}");
    ensure!(refused["requests"] == 2 && refused["groups"][0]["reason"] == "budget_exceeded", "{answer}");
    let spent = answer["spend"]["before"]["usd"].as_str().and_then(Nano::from_usd);
    ensure!(spent == Some(Nano(3 * COST)) && answer["spend"]["before"]["unknown"] == 1, "{answer}");

    let mut restricted = old.clone();
    restricted["tokens"][0]["models"] = json!(["gpt-other"]);
    let answer = diff(&old, &restricted, &log)?;
    let saved = answer["spend"]["refused"]["usd"].as_str().and_then(Nano::from_usd);
    let groups = &answer["spend"]["refused"]["groups"];
    ensure!(saved == Some(Nano(3 * COST)) && groups[0]["reason"] == "model_not_allowed", "{answer}");
    ensure!(groups[0]["model"] == "gpt-test" && answer["unjudged"] == json!({"model": 1}), "{answer}");

    // The log of a request that its body refused has no model, so what it would have cost is not known.
    let envoy = bed.envoy(&restricted).start()?;
    ensure!(envoy.send(&chat(OUTPUT, false))?.verdict() == "403 model_not_allowed");
    let answer = diff(&restricted, &old, &envoy.access_log(1)?)?;
    ensure!(answer["judged"] == 0 && answer["unjudged"] == json!({"model": 1}), "{answer}");
    Ok(())
}

/// Returns the room for a connection that the rendered `ClientTrafficPolicy` gives, in bytes.
fn limit_in_envoy_gateway() -> Result<u64> {
    let text = fs::read_to_string(tools::project_root().join("envoy/gateway/gateway.yaml"))?;
    let policy = text.split("\n---\n").find(|object| object.contains("\nkind: ClientTrafficPolicy\n"));
    let policy: Value = serde_saphyr::from_str(policy.context("there is no such policy")?)?;
    let limit = policy["spec"]["connection"]["bufferLimit"].as_str().context("a limit")?;
    Ok(limit.strip_suffix("Mi").context("mebibytes")?.parse::<u64>()? << 20)
}

/// Gives callers this room, upstreams that of Envoy Gateway, and routes none.
fn with_room(bootstrap: &mut Value, limit: u64) {
    const OF_UPSTREAMS: u64 = 32 * 1024;
    match bootstrap {
        Value::Object(members) => {
            members.remove("request_body_buffer_limit");
            let of_caller = members.contains_key("filter_chains");
            if let Some(place) = members.get_mut("per_connection_buffer_limit_bytes") {
                *place = if of_caller { limit } else { OF_UPSTREAMS }.into();
            }
            members.values_mut().for_each(|value| with_room(value, limit));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| with_room(item, limit)),
        _ => {}
    }
}

#[test]
fn a_first_body_that_waits_for_the_registry_is_not_too_large_in_envoy_gateway() -> Result<()> {
    let (bed, limit) = (Bed::start()?, limit_in_envoy_gateway()?);
    let ask = |size: usize, limit: u64, change: fn(Setup) -> Setup| -> Result<String> {
        let setup = bed.envoy(&tokens(100_000_000)).tweak(|bootstrap| with_room(bootstrap, limit));
        let envoy = change(setup).start()?;
        // Nothing is known of the budget yet, so that the request waits.
        let body = large(1_000, size);
        let answer = send(&envoy, &body, size + 1000, false)?;
        let received = bed.standin.take();
        let is_whole = matches!(received.as_slice(), [request] if request.body == body.clone().into_bytes());
        let status = answer.split(' ').nth(1).unwrap_or_default();
        Ok(format!("{status} {}", if is_whole { "whole" } else { "nothing" }))
    };
    for (size, limit) in [(60_000, limit), (79_000, limit), (900_000, limit), (900_000, 32 * 1024)] {
        for (host, change) in [("filter", (|setup| setup) as fn(Setup) -> Setup), ("module", Setup::native)] {
            let seen = ask(size, limit, change)?;
            ensure!(seen == "200 whole", "{size} bytes in the {host}, of which {limit} may wait: {seen}");
        }
    }
    Ok(())
}
