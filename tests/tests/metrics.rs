//! The dashboard and the alert rules: every expression is valid `PromQL`, and selects metrics of a running Envoy or of a
//! registry.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::Command,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, ensure};
use keyswap_core::answer::Reason;
use keyswap_core::base::{Digest, UnixTime};
use keyswap_tests::{
    Authority, Envoy, NATIVE, Pair, Refusal, Registry, Request, Script, Scripted, Setup, Standin, TOKEN,
    Testbed, tools, until, with as with_members,
};
use promql_parser::{
    label::Matcher,
    parser::{self, Expr, VectorSelector},
    util::{ExprVisitor, walk_expr},
};
use serde_json::{Value, json};

/// The labels that Prometheus adds to samples.
const OF_PROMETHEUS: [&str; 2] = ["job", "instance"];

/// The alert that fires always, to show that alerts arrive.
const DEAD_MAN: (&str, &str) = ("KeyswapDeadMan", "vector(1)");

/// Reasons that no test can cause: the host would have to fail. The test checks that they exist.
const NOT_HERE: [Reason; 1] = [Reason::HostFailure];

fn read(path: &str) -> Result<String> {
    fs::read_to_string(tools::project_root().join("envoy").join(path)).with_context(|| path.to_owned())
}

/// Returns every expression, with the name of its panel or alert.
fn expressions() -> Result<Vec<(String, String)>> {
    let dashboard: Value = serde_json::from_str(&read("grafana/dashboard.json")?)?;
    let alerts: Value = serde_saphyr::from_str(&read("prometheus/alerts.yaml")?)?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let panels = list(&dashboard["panels"]).into_iter().flat_map(|panel| {
        let title = text(&panel["title"]);
        list(&panel["targets"]).into_iter().map(move |target| (title.clone(), text(&target["expr"])))
    });
    let rules = list(&alerts["groups"]).into_iter().flat_map(|group| list(&group["rules"]));
    let rules = rules.map(|rule| (text(&rule["alert"]), text(&rule["expr"])));
    let filled = |(name, expression): (String, String)| {
        (name, expression.replace("$__rate_interval", "5m").replace("$job", ".*"))
    };
    Ok(panels.chain(rules).map(filled).collect())
}

#[derive(Default)]
struct Selectors(Vec<VectorSelector>);

impl ExprVisitor for Selectors {
    type Error = String;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, String> {
        match expression {
            Expr::VectorSelector(selector) => self.0.push(selector.clone()),
            Expr::MatrixSelector(selector) => self.0.push(selector.vs.clone()),
            _ => {}
        }
        Ok(true)
    }
}

/// A line of `/stats/prometheus`.
#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
}

impl Sample {
    fn parse(line: &str) -> Option<Self> {
        let (series, _value) = line.rsplit_once(' ')?;
        let (name, labels) = series.trim_end_matches('}').split_once('{').unwrap_or((series, ""));
        let labels = labels.split("\",").filter_map(|label| {
            let (name, value) = label.split_once("=\"")?;
            Some((name.to_owned(), value.trim_end_matches('"').to_owned()))
        });
        Some(Self { name: name.to_owned(), labels: labels.collect() })
    }

    fn is_selected(&self, selector: &VectorSelector) -> bool {
        let value = |name: &str| match name {
            "__name__" => self.name.as_str(),
            name => self.labels.get(name).map_or("", String::as_str),
        };
        let named = selector.name.as_ref().is_none_or(|name| *name == self.name);
        named && of_envoy(selector).all(|matcher| matcher.is_match(value(&matcher.name)))
    }
}

fn of_envoy(selector: &VectorSelector) -> impl Iterator<Item = &Matcher> {
    selector.matchers.matchers.iter().filter(|matcher| !OF_PROMETHEUS.contains(&matcher.name.as_str()))
}

/// Returns true if the selector asks for a reason that no test can cause.
fn is_beyond_tests(selector: &VectorSelector) -> bool {
    of_envoy(selector)
        .any(|it| it.name == "keyswap_reason" && NOT_HERE.iter().any(|not| not.code() == it.value))
}

/// Returns a policy for the token of the testbed.
fn policy(more: Value) -> Result<Value> {
    let mut policy = json!({
        "version": "keyswap/v1",
        "tokens": [{"sha256": Digest::of(TOKEN.as_bytes()).to_hex(), "label": "t", "providers": ["openai"]}],
        "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
    });
    let Value::Object(more) = more else { anyhow::bail!("members are an object") };
    policy.as_object_mut().context("a policy is an object")?.extend(more);
    Ok(policy)
}

fn models() -> Request {
    Request::get("/v1/models").bearer(TOKEN)
}

fn chat(model: &str) -> Request {
    Request::post("/v1/chat/completions", &json!({"model": model, "messages": []})).bearer(TOKEN)
}

/// Sends requests to an Envoy, and returns its metrics when they contain `sign`.
fn counted(setup: Setup, requests: &[Request], sign: &str) -> Result<String> {
    let envoy = setup.env("OPENAI_API_KEY", "sk-real").start()?;
    for request in requests {
        envoy.send(request)?;
    }
    let mut stats = String::new();
    until(sign, || {
        stats = envoy.admin("/stats/prometheus")?;
        Ok(stats.contains(sign))
    })?;
    Ok(stats)
}

/// Sends requests over one connection, one after another, until Envoy ends it. Returns the number of answers.
fn answers_of_a_connection(envoy: &Envoy) -> Result<u64> {
    let mut connection = BufReader::new(TcpStream::connect(envoy.address())?);
    let (mut answers, started) = (0, Instant::now());
    loop {
        ensure!(started.elapsed() < Duration::from_secs(30), "Envoy does not end the connection");
        let request = format!("GET /v1/models HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {TOKEN}x\r\n\r\n");
        if connection.get_mut().write_all(request.as_bytes()).is_err() {
            return Ok(answers);
        }
        let mut size = 0;
        loop {
            let mut line = String::new();
            if connection.read_line(&mut line).unwrap_or(0) == 0 {
                return Ok(answers);
            }
            if let Some(length) = line.strip_prefix("content-length: ") {
                size = length.trim().parse()?;
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; size];
        connection.read_exact(&mut body)?;
        answers += 1;
    }
}

#[test]
fn no_count_is_lost_when_a_policy_replaces_another() -> Result<()> {
    let standin = Standin::start()?;
    let envoy = Envoy::with(&policy(json!({}))?).env("OPENAI_API_KEY", "sk-real").upstream(&standin);
    let envoy = envoy.reloadable().start()?;
    let other = policy(json!({"rate_limit": {"requests": 9, "per": "60s"}}))?;
    let answers = thread::scope(|scope| {
        let answers = scope.spawn(|| answers_of_a_connection(&envoy));
        until("there are requests", || {
            Ok(envoy.admin("/stats?filter=keyswap.decisions")?.contains("token_"))
        })?;
        envoy.reload(&other)?;
        answers.join().map_err(|_| anyhow::anyhow!("a caller failed"))?
    })?;
    ensure!(answers > 100, "{answers} answers are too few");
    let counted = format!("reason.token_invalid.provider.openai: {answers}\n");
    envoy.has_counted("/stats?filter=keyswap.decisions", &[&counted])
}

/// Returns the metrics of an Envoy that has ended a stream, whose token was disabled.
fn ended(setup: Setup, registry: &Registry, standin: &Standin) -> Result<String> {
    let created = registry.create_token(&json!({"label": "ends", "providers": ["openai"]}))?;
    let token = created["token"].as_str().context("a token")?;
    let envoy = setup.env("OPENAI_API_KEY", "sk-real").start()?;
    let held = standin.hold();
    let body = json!({"model": "m", "stream": true, "messages": []});
    let mut stream = envoy.open(&Request::post("/v1/chat/completions", &body).bearer(token))?;
    ensure!(stream.next_event()?.is_some(), "the stream did not begin");
    let path = format!("/tokens/{}", Digest::of(token.as_bytes()).to_hex());
    registry.admin("PATCH", &path, &json!({"status": "disabled"}))?;
    let mut stats = String::new();
    until("the stream ends", || {
        stats = envoy.admin("/stats/prometheus")?;
        Ok(stats.contains("keyswap_ended"))
    })?;
    drop(held);
    Ok(stats)
}

/// Returns the metrics of an Envoy whose real key the upstream rejects, and whose own credential the registry rejects.
fn rejected(setup: Setup, standin: &Standin) -> Result<String> {
    standin.refuse_if(|request| {
        let status = if request.target.contains("models") { 401 } else { 500 };
        Some(Refusal { status, headers: Vec::new(), body: json!({}) })
    });
    let requests =
        [models(), chat("m"), Request::get("/v1/models").bearer("ptk_unknown-0123456789abcdefghijkl")];
    let setup = setup.env("KEYSWAP_REGISTRY_TOKEN", "krc_of-another-registry");
    // Envoy shows histograms when it has handed them over.
    let setup = setup.tweak(|bootstrap| bootstrap["stats_flush_interval"] = json!("0.2s"));
    counted(setup, &requests, "envoy_http_downstream_rq_time_bucket")
}

/// Returns the metrics of a registry, to which a data plane has reported usage, and whose budget was not enough.
fn of_registry(registry: &Registry) -> Result<String> {
    let authorized = |request: Request| {
        request.bearer(registry.registry_token()).header("content-type", "application/json")
    };
    let hour = UnixTime(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?).to_string();
    let row = json!({"hour": hour, "sha256": "ab".repeat(32), "kind": "token", "label": "t", "owner": null, "team": "red",
        "provider": "openai", "model": "m", "requests": 1, "unmetered": 0, "unpriced": 0, "input": 1, "cached": 0,
        "cache_write": 0, "output": 1, "reasoning": 0, "audio": 0, "cost": 1});
    let budget = json!({"tokens": 1, "per": "day"});
    let reports = [
        ("/v1/usage", json!({"report": "0".repeat(32), "rows": [row]})),
        ("/v1/leases", json!({"leases": [{"subject": "team:red", "need": 9, "budget": budget}]})),
    ];
    for (path, body) in reports {
        let response = registry.send(&authorized(Request::post(path, &body)))?;
        ensure!(response.status < 300, "{path}: {}", response.text());
    }
    let named = registry.admin("POST", "/credentials", &json!({"name": "edge", "role": "data_plane"}))?;
    let named = named["credential"].as_str().context("a credential is shown once")?;
    let mut text = String::new();
    until("the use of the credential is noted", || {
        text = registry.send(&Request::get("/metrics").bearer(named))?.text();
        Ok(text.contains(r#"name="edge""#))
    })?;
    ensure!(text.contains("\nkeyswap_registry_lease_refusals_total 1\n"), "{text}");
    Ok(text)
}

/// Returns the metrics of a registry that speaks TLS.
fn of_encrypted_registry() -> Result<String> {
    let (authority, folder) = (Authority::new()?, tempfile::tempdir()?);
    let Pair { certificate, key } = authority.server()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    for (name, text) in [("ca", &authority.pem()), ("cert", &certificate), ("key", &key)] {
        fs::write(path(name), text)?;
    }
    let registry = Registry::setup();
    let registry = registry.arguments(&["--tls-cert", &path("cert"), "--tls-key", &path("key")]).start()?;
    let credential = format!("authorization: Bearer {}", registry.registry_token());
    let url = format!("https://localhost:{}/metrics", registry.address().port());
    let ca = path("ca");
    let curl = ["--silent", "--fail", "--noproxy", "*", "--cacert", &ca, "--header", &credential, &url];
    tools::run(Command::new("curl").args(curl), "curl is needed")
}

/// Returns the metrics of a registry whose tokens are in Secrets of a cluster that does not answer.
fn of_registry_with_secrets(nobody: std::net::SocketAddr) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("token"), "credential")?;
    let bounds = "{labels: {a: b}, namespaces: [{name: red, providers: [openai]}]}";
    fs::write(path("bounds"), bounds)?;
    let (api, own) = (format!("http://{nobody}"), path(""));
    let registry = Registry::setup().arguments(&[
        "--kubernetes-tokens",
        &path("bounds"),
        "--kubernetes-api",
        &api,
        "--kubernetes-credentials",
        &own,
    ]);
    let registry = registry.start()?;
    let metrics = Request::get("/metrics").bearer(registry.registry_token());
    let mut text = String::new();
    until("the cluster is found not to answer", || {
        text = registry.send(&metrics)?.text();
        Ok(text.contains("keyswap_registry_secrets_unreachable{namespace=\"red\"} 1"))
    })?;
    Ok(text)
}

/// Returns the metrics of Envoys that together have counted every kind of event.
fn everything() -> Result<Vec<Sample>> {
    let standin = Standin::start()?;
    let registry = Registry::start()?;
    let nobody = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let known =
        registry.create_token(&json!({"label": "r", "owner": "r@example.com", "providers": ["openai"]}))?;
    let known = known["token"].as_str().context("a token")?;
    let at_registry = |more: Value| -> Result<Value> {
        let mut policy = policy(more)?;
        policy["registry"] = Testbed::registry();
        Ok(policy)
    };
    let narrow = json!({"tokens": [], "registry": at_registry(json!({}))?["registry"]});
    let issuer = json!({"issuers": [{"name": "i", "preset": "oidc", "issuer": "https://issuer.example", "audiences": ["a"],
        "principals": "any", "jwks": {"url": "https://issuer.example/keys", "cluster": "away"}}]});
    let agent = json!({"credentials": {"openai": [{"http": {"url": "http://agent/", "plaintext": "trusted_network", "cluster": "away", "max_age": "1m"}}]}});
    let rollout = json!({"version": "keyswap-rollout/v1", "stable": at_registry(json!({}))?, "candidate": policy(narrow)?,
        "percent": 100, "fallback": {"refusals": 1, "per": "1m"}});
    let key = json!({"kty": "OKP", "crv": "Ed25519", "kid": "k", "alg": "EdDSA",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let bundle = json!({"version": "keyswap-bundle/v1", "url": "http://registry", "plaintext": "trusted_network", "cluster": "away",
        "credential": {"env": "KEYSWAP_REGISTRY_TOKEN"}, "name": "prod", "keys": {"keys": [key]}});
    let garbled = Scripted::start(|_| Script::answer(200, "no policy"))?;
    let garbled_bundle = with_members(&bundle, &json!({"cluster": "garbled"}));
    let with = |policy: &Value| {
        Envoy::with(policy)
            .upstream(&standin)
            .registry(registry.address())
            .cluster("away", nobody)
            .env("KEYSWAP_REGISTRY_TOKEN", registry.registry_token())
    };
    let jwt = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjoiYSIsImV4cCI6NDEwMjQ0NDgwMH0.c2ln";
    let stats = [
        counted(
            with(&rollout),
            &[models(), models(), Request::get("/v1/models").bearer(known), Request::get("/v1/models")],
            "keyswap_fallbacks",
        )?,
        counted(with(&policy(json!({"mode": "shadow"}))?), &[models()], "keyswap_shadow_decisions")?,
        counted(
            with(&at_registry(json!({}))?).registry(nobody),
            &[Request::get("/v1/models").bearer("ptk_unknown-0123456789abcdefghijklmnop")],
            "token_store_unavailable",
        )?,
        counted(
            with(&policy(issuer)?),
            &[Request::get("/v1/models").bearer(jwt)],
            "issuer_keys_unavailable",
        )?,
        counted(with(&policy(agent)?), &[models()], "upstream_credential_unavailable")?,
        counted(with(&bundle), &[models()], "policy_unavailable")?,
        counted(
            with(&garbled_bundle).cluster("garbled", garbled.address()),
            &[models()],
            r#"keyswap_outcome="malformed""#,
        )?,
        counted(
            with(&policy(json!({"metering": {}, "prices": {"priced-1.5": {"input": 1, "output": 2}}}))?),
            &[chat("priced-1.5"), chat("without-a-price")],
            r#"keyswap_outcome="unpriced""#,
        )?,
        ended(with(&at_registry(json!({"revoke": "streams"}))?), &registry, &standin)?,
        of_registry(&registry)?,
        of_encrypted_registry()?,
        of_registry_with_secrets(nobody)?,
        rejected(with(&at_registry(json!({}))?), &standin)?,
    ];
    Ok(stats.iter().flat_map(|stats| stats.lines()).filter_map(Sample::parse).collect())
}

#[test]
fn every_expression_selects_something_that_is_counted() -> Result<()> {
    let samples = everything()?;
    let expressions = expressions()?;
    ensure!(expressions.len() >= 20, "{} expressions only", expressions.len());
    for (name, expression) in expressions {
        let parsed =
            parser::parse(&expression).map_err(|error| anyhow::anyhow!("{name}: {error}: {expression}"))?;
        let mut selectors = Selectors::default();
        walk_expr(&mut selectors, &parsed).map_err(anyhow::Error::msg)?;
        let fires_always = (name.as_str(), expression.as_str()) == DEAD_MAN;
        ensure!(!selectors.0.is_empty() || fires_always, "{name} selects nothing: {expression}");
        for selector in selectors.0.iter().filter(|selector| !is_beyond_tests(selector)) {
            let found = samples.iter().any(|sample| sample.is_selected(selector));
            // The module has no VM.
            let cannot_be = env::var_os(NATIVE).is_some() && selector.to_string().contains("vm_reload");
            ensure!(found || cannot_be, "{name}: nothing is counted that `{selector}` selects");
        }
        for matcher in selectors.0.iter().flat_map(of_envoy).filter(|it| it.name == "keyswap_reason") {
            let is_reason = Reason::ALL.iter().any(|reason| reason.code() == matcher.value);
            ensure!(is_reason, "{name}: there is no reason `{}`", matcher.value);
        }
    }
    Ok(())
}

#[test]
fn every_alert_names_its_runbook_and_one_fires_always() -> Result<()> {
    let alerts: Value = serde_saphyr::from_str(&read("prometheus/alerts.yaml")?)?;
    let page = fs::read_to_string(tools::project_root().join("docs/operate/alerts.md"))?;
    let groups = alerts["groups"].as_array().context("the file has groups")?;
    let rules: Vec<&Value> = groups.iter().filter_map(|it| it["rules"].as_array()).flatten().collect();
    ensure!(rules.len() >= 20, "{} rules only", rules.len());
    for rule in &rules {
        let name = rule["alert"].as_str().context("an alert has a name")?;
        let expected = format!("https://book.keyswap.example/operate/alerts.html#{}", name.to_lowercase());
        ensure!(rule["annotations"]["runbook_url"] == expected.as_str(), "{name} does not name {expected}");
        ensure!(page.contains(&format!("\n## {name}\n")), "{name} has no heading");
    }
    ensure!(
        rules
            .iter()
            .any(|rule| (rule["alert"].as_str(), rule["expr"].as_str())
                == (Some(DEAD_MAN.0), Some(DEAD_MAN.1)))
    );
    Ok(())
}

#[test]
fn every_metric_of_the_filter_has_its_labels_and_is_on_the_dashboard() -> Result<()> {
    let samples = everything()?;
    let dashboard = read("grafana/dashboard.json")?;
    let is_ours = |name: &str| name.starts_with("keyswap_") && !name.starts_with("keyswap_registry_");
    let ours = samples.iter().filter(|sample| is_ours(&sample.name));
    for sample in ours {
        // Without its rule a label would stay a part of the metric's name.
        ensure!(dashboard.contains(&format!("{}{{", sample.name)), "`{}` is nowhere shown", sample.name);
    }
    Ok(())
}

#[test]
fn usage_is_counted_by_the_name_of_the_model_in_the_prices() -> Result<()> {
    let standin = Standin::start()?;
    let metered = policy(json!({"metering": {}, "prices": {"priced-1.5": {"input": 1, "output": 2}}}))?;
    let stats = counted(
        Envoy::with(&metered).upstream(&standin),
        &[chat("priced-1.5"), chat("without-a-price")],
        r#"keyswap_outcome="unpriced""#,
    )?;
    let models: Vec<(String, String)> = stats
        .lines()
        .filter_map(Sample::parse)
        .filter(|sample| sample.name.starts_with("keyswap_"))
        .filter_map(|sample| Some((sample.name, sample.labels.get("keyswap_model")?.clone())))
        .collect();
    for name in ["keyswap_usage", "keyswap_tokens", "keyswap_spend_nano_usd"] {
        let wanted = (name.to_owned(), "priced-1.5".to_owned());
        ensure!(models.contains(&wanted), "{name} has no `priced-1.5`: {models:?}");
    }
    ensure!(models.iter().any(|(name, model)| name == "keyswap_usage" && model == "other"), "{models:?}");
    ensure!(models.iter().all(|(_, model)| model != "without-a-price"), "{models:?}");
    Ok(())
}
