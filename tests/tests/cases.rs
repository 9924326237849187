//! Runs the case corpus in every host, which must agree with the file and with each other.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use keyswap_core::jwt::PureRust;
use keyswap_core::{
    Capabilities, Decision, Engine, Environment, FetchAnswer, Header, MemoryStore, Moment, Policy, Reason,
    RequestHead, Rewrite, Step, Verdict,
};
use keyswap_tests::cases::{Answered, Case, CaseRequest, Forwarded, Reply, Suite, corpus};
use keyswap_tests::{Envoy, Received, Request, Response, Script, Scripted, Standin, UPSTREAM_HOSTS, tools};
use serde_json::Value;

/// What became of a request, to the byte.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Forwarded(Forwarded),
    Replied { status: u16, headers: BTreeMap<String, String>, body: String },
}

#[test]
fn core_decides_every_case_as_written() -> Result<()> {
    for (file, suite) in corpus()? {
        let host = Host { engine: engine(&suite)?, store: MemoryStore::default(), suite: &suite };
        for case in &suite.cases {
            let outcome = in_core(&host, &case.request);
            check(case, &outcome).with_context(|| format!("{}: `{}`", file, case.name))?;
        }
    }
    Ok(())
}

#[test]
fn the_filter_in_envoy_decides_every_case_like_core() -> Result<()> {
    for (file, suite) in corpus()? {
        let host = Host { engine: engine(&suite)?, store: MemoryStore::default(), suite: &suite };
        let hosts = suite.hosts();
        let names: Vec<&str> = UPSTREAM_HOSTS.into_iter().chain(hosts.iter().copied()).collect();
        let standin = Standin::start_with(0, &names)?;
        let registry = scripted_registry(&suite)?;
        // Names with an underscore reach the filter here, so that its own stripping is what is tested.
        let mut setup = Envoy::with(&suite.policy).upstream_hosts(hosts).upstream(&standin).registry(registry.address()).tweak(|bootstrap| {
            let options = bootstrap.pointer_mut(
                "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/common_http_protocol_options",
            );
            options.expect("the bootstrap has these options")["headers_with_underscores_action"] = "ALLOW".into();
        });
        for (name, value) in &suite.env {
            setup = setup.env(name, value);
        }
        let envoy = setup.start()?;
        for case in &suite.cases {
            let context = || format!("{}: `{}`, in Envoy", file, case.name);
            let response = send(&envoy, &case.request).with_context(context)?;
            let received = standin.take();
            if let Some(status) = case.envoy {
                ensure!(
                    response.status == status && received.is_empty(),
                    "{}: {}",
                    context(),
                    response.status
                );
                continue;
            }
            let (envoy, core) = (in_envoy(&received, &response), in_core(&host, &case.request));
            ensure!(envoy == core, "{}:\n Envoy: {envoy:?}\n core:  {core:?}", context());
        }
    }
    Ok(())
}

#[test]
fn the_corpus_has_a_case_for_every_reason() -> Result<()> {
    let suites = corpus()?;
    let cases = suites.iter().flat_map(|(_, suite)| &suite.cases);
    let covered: Vec<&str> =
        cases.filter_map(|case| case.reply.as_ref()).map(|reply| reply.reason.as_str()).collect();
    for reason in Reason::ALL {
        // No head brings these about: the host must fail.
        let of_host = matches!(reason, Reason::HostFailure | Reason::RateLimitUnavailable);
        ensure!(of_host || covered.contains(&reason.code()), "no case for `{reason}`");
    }
    Ok(())
}

#[test]
fn every_built_in_provider_has_a_row_and_is_in_the_readme() -> Result<()> {
    let policy = serde_json::json!({
        "version": "keyswap/v1",
        "credentials": {"cf": [{"env": "K"}], "workers-ai": [{"env": "K"}]},
        "providers": {"azure-openai": {"path": "/acme"}},
        "gateway": {"cloudflare": {"account": "a", "gateway": "g", "credential": "cf", "mode": "byok"}},
    });
    let policy = Policy::from_json(policy.to_string().as_bytes())?;
    let suites = corpus()?;
    let (_, table) =
        suites.iter().find(|(name, _)| name == "providers.yaml, byok").context("there is no table")?;
    let rows = table.policy["tokens"][0]["providers"].as_array().context("the token has a scope")?;
    let readme = std::fs::read_to_string(tools::project_root().join("README.md"))?;
    let names: Vec<&str> = policy.provider_names().collect();
    ensure!(names.len() > 20, "only {names:?} are enabled");
    for name in names {
        ensure!(rows.iter().any(|row| row == name) || name == "cloudflare-rest", "no row for `{name}`");
        ensure!(readme.contains(&format!("`{name}`")), "README.md does not name `{name}`");
    }
    Ok(())
}

fn check(case: &Case, outcome: &Outcome) -> Result<()> {
    match (outcome, &case.forward, &case.reply) {
        (Outcome::Replied { status, headers, body }, None, None) => {
            let found = Answered { status: *status, headers: headers.clone(), body: body.clone() };
            ensure!(
                Some(&found) == case.answer.as_ref(),
                "answered otherwise:\n found:    {found:?}\n expected: {:?}",
                case.answer
            );
        }
        (Outcome::Forwarded(found), Some(expected), None) => {
            let method = expected.method.clone().or_else(|| Some(case.request.method.clone()));
            let expected = &Forwarded { method, ..expected.clone() };
            ensure!(found == expected, "forwarded otherwise:\n found:    {found:?}\n expected: {expected:?}");
        }
        (Outcome::Replied { status, headers, body }, None, Some(expected)) => {
            let body: Value = serde_json::from_str(body)?;
            let reason = headers.get("x-keyswap-reason").cloned().unwrap_or_default();
            let found = Reply { status: *status, reason, dialect: dialect(&body).to_owned() };
            ensure!(found == *expected, "replied otherwise:\n found:    {found:?}\n expected: {expected:?}");
        }
        _ => anyhow::bail!("the verdict is another one: {outcome:?}"),
    }
    Ok(())
}

/// Whose SDK would understand this error body.
fn dialect(body: &Value) -> &'static str {
    let error = &body["error"];
    match (body["type"] == "error", error["code"].is_string(), error["status"].is_string()) {
        (true, false, false) if error["type"].is_string() => "anthropic",
        (false, true, false) if error["type"].is_string() => "openai",
        (false, false, true) if error["code"].is_number() => "google",
        _ => "unknown",
    }
}

fn engine(suite: &Suite) -> Result<Engine> {
    struct Env<'a>(&'a BTreeMap<String, String>);
    impl Environment for Env<'_> {
        fn variable(&self, name: &str) -> Option<Vec<u8>> {
            self.0.get(name).map(|value| value.clone().into_bytes())
        }
    }
    let policy = Policy::from_json(suite.policy.to_string().as_bytes())?;
    Ok(Engine::new(policy, &Env(&suite.env), Box::new(PureRust), Capabilities::ENVOY)?)
}

/// The engine with what it needs around it.
struct Host<'s> {
    engine: Engine,
    store: MemoryStore,
    suite: &'s Suite,
}

impl Host<'_> {
    fn decide<'a>(&'a self, head: &RequestHead<'a>) -> Decision<'a> {
        let mut step = self.engine.begin(head, now(), &self.store);
        loop {
            match step {
                Step::Decide(decision) => return decision,
                Step::Fetch(fetch, pending) => {
                    let (status, body) = self.suite.registry_answer(fetch.request.target());
                    let answer = FetchAnswer::Response { status, body: &body };
                    let accepted = self.engine.accept(&fetch.key, fetch.asked, &answer, now(), &self.store);
                    step = self.engine.resume(pending, accepted.resolution, head, now(), &self.store);
                }
            }
        }
    }
}

fn now() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

fn scripted_registry(suite: &Suite) -> Result<Scripted> {
    let suite = suite.clone();
    Scripted::start(move |call| {
        let (status, body) = suite.registry_answer(&call.target);
        Script::answer(status, body)
    })
}

fn in_core(host: &Host<'_>, request: &CaseRequest) -> Outcome {
    let headers: Vec<Header<'_>> = request
        .headers
        .iter()
        .map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() })
        .collect();
    let head = RequestHead {
        method: request.method.as_bytes(),
        path: request.target.as_bytes(),
        headers: &headers,
        peer: || None,
    };
    match host.decide(&head).verdict {
        Verdict::Forward(rewrite) => Outcome::Forwarded(apply(&rewrite, &head)),
        Verdict::Reply(_, reply) | Verdict::Answer(reply) => Outcome::Replied {
            status: reply.status,
            headers: reply
                .headers
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.into_owned()))
                .map(timeless)
                .collect(),
            body: reply.body,
        },
    }
}

/// What an upstream sees of a head after a rewrite.
fn apply(rewrite: &Rewrite<'_>, head: &RequestHead<'_>) -> Forwarded {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut headers = BTreeMap::new();
    for header in head.headers.iter().filter(|header| !rewrite.remove.contains(&header.name)) {
        headers.insert(text(header.name).to_ascii_lowercase(), text(header.value));
    }
    for (name, value) in &rewrite.set {
        headers.insert((*name).to_owned(), text(value));
    }
    headers.retain(|name, _| !of_connection(name));
    // A rewrite has no say in the method.
    let method = Some(text(head.method));
    Forwarded { method, authority: rewrite.authority.to_owned(), target: text(&rewrite.path), headers }
}

fn send(envoy: &Envoy, case: &CaseRequest) -> Result<Response> {
    let mut request = Request::new(&case.method, &case.target);
    for (name, value) in &case.headers {
        request = request.header(name, value);
    }
    envoy.send(&request)
}

fn in_envoy(received: &[Received], response: &Response) -> Outcome {
    if let [request] = received {
        let mut headers = BTreeMap::new();
        for (name, value) in &request.headers {
            let value = String::from_utf8_lossy(value).into_owned();
            // A second line of one name would be a difference, so it must not vanish in the map.
            headers
                .entry(name.clone())
                .and_modify(|first: &mut String| first.push_str(&value))
                .or_insert(value);
        }
        let authority = headers.get("host").cloned().unwrap_or_default();
        assert_eq!(request.sni, authority, "TLS was made with another name than the request's");
        headers.retain(|name, _| !of_connection(name));
        return Outcome::Forwarded(Forwarded {
            method: Some(request.method.clone()),
            authority,
            target: request.target.clone(),
            headers,
        });
    }
    assert!(received.is_empty(), "one request became {}", received.len());
    let headers = response.headers.iter().filter(|(name, _)| !of_connection(name));
    Outcome::Replied {
        status: response.status,
        headers: headers
            .map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned()))
            .map(timeless)
            .collect(),
        body: response.text(),
    }
}

/// What counts the seconds differs from one moment to the next.
fn timeless((name, value): (String, String)) -> (String, String) {
    match name.as_str() {
        "retry-after" | "ratelimit" => (name, "…".to_owned()),
        _ => (name, value),
    }
}

/// Headers that belong to a connection or that Envoy adds for itself.
fn of_connection(name: &str) -> bool {
    matches!(
        name,
        "host"
            | "connection"
            | "content-length"
            | "transfer-encoding"
            | "date"
            | "server"
            | "x-request-id"
            | "upgrade"
    )
}
