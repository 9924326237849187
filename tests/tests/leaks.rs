//! Leaks: callers' tokens and upstream credentials appear in no wrong place.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use keyswap_core::base::Digest;
use keyswap_tests::{
    PROBE, Refusal, Request, Script, Scripted, Setup, SigningKey, Testbed, tools, unix_now, until,
};
use serde_json::{Value, json};

/// Sentinel values: finding one proves a leak.
const TOKEN: &str = "ptk_sentinel-token-4f1d";
const OPERATOR: &str = "ptk_sentinel-operator-5b0c";
const REGISTERED: &str = "ptk_sentinel-registered-c3d8";
const EXPIRED: &str = "ptk_sentinel-expired-77a2";
const UNKNOWN: &str = "ptk_sentinel-unknown-e0b9";
const TOKENS: [&str; 5] = [TOKEN, OPERATOR, REGISTERED, EXPIRED, UNKNOWN];
const SECRETS: [(&str, &str); 8] = [
    ("OPENAI_API_KEY", "sk-sentinel-openai-93c1"),
    ("OPENAI_API_KEY_2", "sk-sentinel-openai-2ab4"),
    ("ANTHROPIC_API_KEY", "sk-sentinel-anthropic-0d5e"),
    ("GEMINI_API_KEY", "sentinel-gemini-b7f8"),
    ("CF_AIG_TOKEN", "sentinel-gateway-216a"),
    ("KEYSWAP_REGISTRY_TOKEN", "sentinel-registry-8e11"),
    ("AGENT_TOKEN", "sentinel-agent-62f7"),
    // Only the agent knows this value.
    ("NO_VARIABLE", "sentinel-fetched-1c9a"),
];

fn sha256(token: &str) -> String {
    Digest::of(token.as_bytes()).to_hex()
}

/// Returns a policy with every setting that concerns secrets.
fn policy(jwks: &Value) -> Value {
    let all = ["openai", "anthropic", "gemini", "mistral", "groq"];
    json!({
        "version": "keyswap/v1",
        "tokens": [
            {"sha256": sha256(TOKEN), "label": "sentinel", "providers": all},
            {"sha256": sha256(OPERATOR), "label": "operator", "providers": ["keyswap-status"]},
            {"sha256": sha256(EXPIRED), "label": "expired", "providers": ["openai"], "expires_at": "2020-01-01T00:00:00Z"},
        ],
        "registry": Testbed::registry(),
        "issuers": [{
            "name": "id", "preset": "oidc", "issuer": "https://id.example", "audiences": ["keyswap"],
            "principals": "any", "slots": ["header:x-platform-token"], "jwks": {"inline": jwks},
        }],
        "credentials": {
            "openai": [{"env": "OPENAI_API_KEY"}],
            "openai-2": [{"env": "OPENAI_API_KEY_2"}],
            "anthropic": [{"env": "ANTHROPIC_API_KEY"}],
            "gemini": [{"env": "GEMINI_API_KEY"}],
            "mistral": [{"request_header": "x-platform-token"}],
            "groq": [{"http": {
                "url": "http://agent.test/token", "plaintext": "trusted_network", "cluster": "keyswap-registry", "value": "/token",
                "expires_in": "/in", "credential": {"env": "AGENT_TOKEN"},
            }}],
            "cf_aig": [{"env": "CF_AIG_TOKEN"}],
        },
        "providers": {"openai": {"credentials": {"openai": 1, "openai-2": 1}}},
        "rate_limit": {"requests": 1000, "per": "60s"},
        "status": {"allow": ["loopback", "tokens"]},
        "gateway": {"cloudflare": {"account": "acc", "gateway": "gw", "credential": "cf_aig", "mode": "provider_key"}},
    })
}

/// Starts the registry and the agent, as one server.
fn services() -> Result<Scripted> {
    Scripted::start(|call| {
        let known = format!("/v1/tokens/{}", sha256(REGISTERED));
        let record = json!({"sha256": sha256(REGISTERED), "label": "registered", "providers": ["openai", "groq"], "version": 1});
        let [.., (_, fetched)] = SECRETS;
        match call.target.as_str() {
            "/token" => Script::answer(200, json!({"token": fetched, "in": 3600}).to_string()),
            target if target == known => Script::answer(200, record.to_string()),
            target if target.starts_with("/v1/tokens/") => Script::answer(404, r#"{"code":"unknown_token"}"#),
            target if target.contains("wait=") => Script::Hang,
            _ => Script::answer(
                200,
                r#"{"sequence":1,"history":"00000000000000aa","reset":false,"changes":[]}"#,
            ),
        }
    })
}

/// Starts a test bed with this policy.
fn start(services: &Scripted, change: impl FnOnce(Setup) -> Setup) -> Result<(Testbed, Sentinels)> {
    let key = SigningKey::p256("k")?;
    let claims =
        json!({"iss": "https://id.example", "aud": "keyswap", "sub": "robot", "exp": unix_now() + 300});
    let bed = Testbed::trusting(Vec::new(), &policy(&json!({"keys": [key.jwk()]})), |setup| {
        let setup = setup.registry(services.address()).filter_log_level("trace");
        let known = SECRETS.into_iter().filter(|(name, _)| *name != "NO_VARIABLE");
        change(known.fold(setup, |setup, (name, value)| setup.env(name, value)))
    })?;
    Ok((bed, Sentinels { jwt: key.sign(&claims)? }))
}

/// The values that must not appear.
struct Sentinels {
    jwt: String,
}

impl Sentinels {
    /// Returns all values. The JWT is represented by its signature, without which it is useless.
    fn all(&self) -> Vec<&str> {
        let signature = self.jwt.rsplit('.').next().unwrap_or_default();
        TOKENS.into_iter().chain(SECRETS.map(|(_, value)| value)).chain([signature]).collect()
    }

    fn check(&self, place: &str, text: &str) -> Result<()> {
        for sentinel in self.all() {
            ensure!(!text.contains(sentinel), "`{sentinel}` shows in {place}:\n{text}");
        }
        Ok(())
    }
}

/// Returns a request for each provider and slot, with this token.
fn requests(token: &str) -> Vec<Request> {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1});
    vec![
        Request::post("/v1/chat/completions", &body).bearer(token),
        Request::post("/v1/messages", &body).header("x-api-key", token),
        Request::post("/v1/messages", &body).bearer(token),
        Request::post("/v1beta/models/g:generateContent", &json!({})).header("x-goog-api-key", token),
        Request::post(format!("/v1beta/models/g:generateContent?key={token}"), &json!({})),
        Request::get(format!("/v1/models?a=b&KEY={token}")).header("api-key", token),
        Request::post("/groq/chat/completions", &body).bearer(token),
        Request::get("/v1/realtime?model=m")
            .header("connection", "Upgrade, cf-aig-metadata, cf-aig-authorization")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("sec-websocket-protocol", format!("realtime, openai-insecure-api-key.{token}")),
    ]
}

#[test]
fn tokens_and_credentials_stay_out_of_logs_stats_dumps_shared_data_and_replies() -> Result<()> {
    let probe = PROBE.path()?;
    let services = services()?;
    let (bed, sentinels) = start(&services, |setup| setup.tweak(|bootstrap| add_probe(bootstrap, &probe)))?;
    let mut shown = Vec::new();
    let mut sent = 0;
    for token in [TOKEN, EXPIRED, UNKNOWN] {
        for request in requests(token) {
            let answer = bed.host.open(&request)?;
            sent += 1;
            if token == TOKEN {
                ensure!(answer.status() < 400, "a good token was refused: {request:?}");
            } else {
                let response = answer.finish()?;
                ensure!((400..500).contains(&response.status), "status {}", response.status);
                shown.push(("a refusal", format!("{:?} {}", response.headers, response.text())));
            }
        }
    }
    // A key that is rate-limited for two callers starts a cooldown for all. Lookups and budgets fill the shared data.
    bed.standin.refuse_if(|_| Some(Refusal { status: 429, body: json!({}), ..Refusal::default() }));
    for request in [
        Request::get("/v1/models").bearer(REGISTERED),
        Request::get("/v1/models").bearer(REGISTERED),
        Request::get("/v1/models").bearer(TOKEN),
        Request::get("/mistral/v1/models").header("x-platform-token", &sentinels.jwt),
        Request::get("/groq/models").bearer(REGISTERED),
    ] {
        let response = bed.host.send(&request)?;
        ensure!(response.status == 429 && response.header("x-keyswap-reason").is_none(), "{response:?}");
        sent += 1;
    }
    // Malformed requests, and a path with a token in the wrong place.
    for request in [
        Request::get(format!("/v1/../{UNKNOWN}")).bearer(UNKNOWN),
        Request::get(format!("/v1/{UNKNOWN}")).bearer(EXPIRED),
        Request::get("/v1/models").bearer(TOKEN).bearer(UNKNOWN),
    ] {
        shown.push(("a refusal", format!("{:?}", bed.host.send(&request)?)));
        sent += 1;
    }
    for request in [
        Request::get("/.well-known/keyswap").header("host", "localhost"),
        Request::get("/.well-known/keyswap").header("x-forwarded-for", "1.2.3.4").bearer(OPERATOR),
    ] {
        let status = bed.host.send(&request)?;
        ensure!(status.status == 200 && status.text().contains(r#""state":"fresh""#), "{status:?}");
        shown.push(("the status", format!("{status:?} {}", status.text())));
        sent += 1;
    }
    let shared = bed.host.send(&Request::get("/shared-data"))?.text();
    // The module has memory of its own, with the same values.
    for kind in ["record", "limit", "cooldown"].into_iter().filter(|_| !bed.host.is_native()) {
        ensure!(shared.contains(&format!(".{kind}.")), "the probe sees no `{kind}`:\n{shared}");
    }
    let has_record = shared.contains("registered");
    ensure!(has_record != bed.host.is_native(), "the probe does not see the record:\n{shared}");
    shown.push(("shared data", shared));
    for page in
        ["/config_dump?include_eds", "/stats", "/stats/prometheus", "/clusters", "/listeners", "/server_info"]
    {
        shown.push((page, bed.host.admin(page)?));
    }
    let access_log = bed.host.access_log(sent)?;
    // The path is logged without its query. One request above has a token as its path, which is the caller's mistake.
    let lines: Vec<String> = access_log
        .iter()
        .map(Value::to_string)
        .filter(|line| !line.contains(&format!("/{UNKNOWN}\"")))
        .collect();
    shown.push(("the access log", lines.join("\n")));
    let log = bed.host.log();
    ensure!(log.contains("\"reason\":\"token_expired\""), "the log has no refusals:\n{log}");
    let filter_lines: Vec<&str> =
        log.lines().filter(|line| line.contains("wasm log") || line.contains("[dynamic_modules]")).collect();
    shown.push(("the filter's log", filter_lines.join("\n")));
    for (place, text) in &shown {
        sentinels.check(place, text)?;
    }
    Ok(())
}

/// Adds the probe in front of the filter, with access to the same shared data.
fn add_probe(bootstrap: &mut Value, module: &Path) {
    let filters = bootstrap
        .pointer_mut("/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters");
    let filters = filters.and_then(Value::as_array_mut).expect("the bootstrap has filters");
    let mut probe = filters[0].clone();
    probe["name"] = json!("probe");
    let config = &mut probe["typed_config"]["config"];
    config["name"] = json!("probe");
    config["root_id"] = json!("probe");
    config["vm_config"]["code"] = json!({"local": {"filename": module}});
    config["vm_config"]["environment_variables"] = json!({});
    filters.insert(0, probe);
}

#[test]
fn an_upstream_sees_the_real_credential_once_and_the_token_never() -> Result<()> {
    let services = services()?;
    let (bed, sentinels) = start(&services, |setup| setup)?;
    let mut all = requests(TOKEN);
    all.push(Request::get("/mistral/v1/models").header("x-platform-token", &sentinels.jwt));
    for request in all {
        ensure!(bed.host.open(&request)?.status() < 400, "a good token was refused: {request:?}");
        let received = bed.standin.take();
        let [upstream] = received.as_slice() else { anyhow::bail!("one request became {}", received.len()) };
        let credentials = upstream.credentials();
        let gateway: Vec<_> = credentials.iter().filter(|it| it.contains("sentinel-gateway-216a")).collect();
        ensure!(gateway == ["cf-aig-authorization: Bearer sentinel-gateway-216a"], "{credentials:?}");
        let connection = upstream.header("connection");
        ensure!(
            connection.is_none_or(|it| it == "upgrade"),
            "a header may be dropped on the way: {connection:?}"
        );
        ensure!(credentials.len() == 2, "not exactly one provider credential: {credentials:?}");
        for (_, secret) in SECRETS {
            let times = credentials.iter().filter(|it| it.ends_with(secret)).count();
            let expected =
                upstream.headers.iter().filter(|(_, value)| value.ends_with(secret.as_bytes())).count();
            ensure!(times == expected, "`{secret}` is in a wrong header: {upstream:?}");
        }
    }
    let wire = bed.standin.wire();
    for sentinel in [TOKEN, &TOKEN.replace('-', "%2D")] {
        ensure!(
            !wire.windows(sentinel.len()).any(|window| window == sentinel.as_bytes()),
            "`{sentinel}` went over the wire to the upstream"
        );
    }
    Ok(())
}

#[test]
fn a_mirror_gets_no_credential_with_the_route_of_the_example() -> Result<()> {
    let mirror = Scripted::start(|_| Script::answer(200, "{}"))?;
    let address = mirror.address();
    let services = services()?;
    let (bed, sentinels) = start(&services, |setup| {
        setup.overlay("mirror.yaml").tweak(move |bootstrap| {
            let clusters = bootstrap.pointer_mut("/static_resources/clusters").and_then(Value::as_array_mut);
            let cluster = clusters.into_iter().flatten().find(|cluster| cluster["name"] == "mirror");
            let cluster = cluster.expect("the bootstrap has the cluster `mirror`");
            let endpoint = &mut cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
            endpoint["address"]["socket_address"] =
                json!({"address": address.ip().to_string(), "port_value": address.port()});
        })
    })?;
    // Envoy does not mirror upgrades.
    let mut all = requests(TOKEN);
    all.pop();
    for request in &all {
        ensure!(bed.host.send(request)?.status < 400, "a good token was refused: {request:?}");
    }
    until("the copies have arrived", || Ok(mirror.calls().len() == all.len()))?;
    let copies = format!("{:?}", mirror.calls());
    ensure!(copies.contains("gateway.ai.cloudflare.com-shadow"), "{copies}");
    sentinels.check("a mirrored request", &copies)
}

#[test]
fn the_example_of_a_mirror_takes_away_every_header_that_carries_a_credential() -> Result<()> {
    let file = tools::project_root().join("envoy/mirror.yaml");
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    for name in
        ["authorization", "x-api-key", "x-goog-api-key", "api-key", "xi-api-key", "cf-aig-authorization"]
    {
        ensure!(text.contains(&format!("- remove: {name}\n")), "`{name}` is not removed");
    }
    Ok(())
}

/// The compiler ensures that only a proof opens a secret. This test ensures that no other type becomes a proof.
#[test]
fn a_grant_and_a_key_that_it_opened_are_the_only_proofs_that_open_a_secret() -> Result<()> {
    let sources = tools::project_root().join("core/src");
    let mut proofs = Vec::new();
    for path in tools::files_below("core/src")? {
        let text = fs::read_to_string(sources.join(path))?;
        let code = text.lines().map(str::trim).filter(|line| !line.starts_with("//"));
        proofs.extend(code.filter(|line| line.contains("Proof for ")).map(str::to_owned));
    }
    proofs.sort();
    ensure!(proofs == ["impl Proof for Grant<'_, '_> {}", "impl Proof for OpenKey {}"], "{proofs:?}");
    Ok(())
}
