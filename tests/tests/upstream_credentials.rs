//! Upstream credentials in Envoy: refreshed under load, shared among several keys, injected by Envoy itself, and bound
//! to their host.

use std::{
    collections::BTreeSet,
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, ensure};
use keyswap_core::base::Digest;
use keyswap_tests::{
    Envoy, Received, Refusal, Request, Script, Scripted, Setup, SigningKey, Standin, TOKEN, Testbed, tools,
    under_load, unix_now, until,
};
use serde_json::{Value, json};

/// The lifetime of an agent's token.
const LIFE: Duration = Duration::from_secs(2);

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Issues a token that contains its expiry in milliseconds.
fn issue() -> Script {
    let expires_at = now_ms() + u64::try_from(LIFE.as_millis()).unwrap_or_default();
    // The answer has the expiry in whole seconds, so the token may seem to expire slightly earlier.
    let answer = json!({"token": format!("agent.{expires_at}"), "expires_at": expires_at / 1000});
    Script::answer(200, answer.to_string())
}

/// Returns the expiry of a received credential, in milliseconds since 1970.
fn expiry(request: &Received) -> Option<u64> {
    request.header("authorization")?.strip_prefix("Bearer agent.")?.parse().ok()
}

fn with_agent(agent: &Scripted, standin: &Standin) -> Setup {
    let mut policy = Testbed::policy();
    policy["credentials"]["openai"] = json!([{"http": {
        "url": "http://token-agent/token", "plaintext": "trusted_network", "value": "/token", "expires_at": "/expires_at", "refresh_before": "1s",
        "timeout": "500ms",
    }}]);
    Testbed::setup_with(&policy, standin).cluster("token-agent", agent.address())
}

fn models() -> Request {
    Request::get("/v1/models").bearer(TOKEN)
}

fn served(envoy: &Envoy) -> Result<()> {
    let response = envoy.send(&models())?;
    ensure!(response.status == 200, "{response:?}");
    Ok(())
}

#[test]
fn an_agent_that_rotates_every_two_seconds_under_load_costs_no_request() -> Result<()> {
    let agent = Scripted::start(|_| issue())?;
    let standin = Standin::start()?;
    let late = Arc::new(AtomicUsize::new(0));
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let (counts, collects) = (Arc::clone(&late), Arc::clone(&seen));
    standin.watch(move |request| match expiry(request) {
        Some(at) if now_ms() < at => _ = collects.lock().map(|mut seen| seen.insert(at)),
        _ => _ = counts.fetch_add(1, Ordering::SeqCst),
    });
    let envoy = with_agent(&agent, &standin).concurrency(2).start()?;
    let started = Instant::now();
    under_load(
        4,
        |_, _| served(&envoy),
        |load| {
            for number in 1..=10 {
                until("another token is used", || Ok(seen.lock().is_ok_and(|seen| seen.len() >= number)))?;
                load.passes(20)?;
            }
            Ok(())
        },
    )?;
    ensure!(late.load(Ordering::SeqCst) == 0, "{late:?} requests had no credential or an expired one");
    // Two workers and Envoy's main thread, each about once in half a lifetime.
    let most = 3 * (usize::try_from(started.elapsed().as_millis()).unwrap_or(usize::MAX) / 800 + 3);
    ensure!(agent.calls().len() <= most, "{} calls in {:?}", agent.calls().len(), started.elapsed());
    Ok(())
}

#[test]
fn while_an_agent_is_down_the_old_value_is_used_until_it_expires_and_then_nothing() -> Result<()> {
    for script in
        [Script::Close, Script::Hang, Script::answer(500, "{}"), Script::answer(200, "{}"), Script::CutOff]
    {
        let agent = Scripted::start(|_| issue())?;
        let standin = Standin::start()?;
        let envoy = with_agent(&agent, &standin).start()?;
        ensure!(envoy.send(&models())?.status == 200);
        let broken = script.clone();
        agent.now(move |_| broken.clone());
        let refused = until("the value has expired", || Ok(envoy.send(&models())?.status != 200));
        refused.with_context(|| format!("{script:?}"))?;
        let response = envoy.send(&models())?;
        ensure!(response.status == 503, "{script:?}: {response:?}");
        ensure!(
            response.header("x-keyswap-reason") == Some("upstream_credential_unavailable"),
            "{response:?}"
        );
        ensure!(response.header("retry-after") == Some("1"), "{response:?}");
        let received = standin.take();
        let last = received.last().and_then(expiry).context("the old value was not used")?;
        // The token is used until a tenth of its lifetime before its last whole second, as the answer has no
        // milliseconds.
        ensure!(now_ms() + 200 >= last / 1000 * 1000, "{script:?}: it was given up before its time");
        ensure!(received.iter().all(|request| expiry(request).is_some()), "{received:?}");
    }
    Ok(())
}

/// A provider with two keys, and many callers.
struct Pool {
    standin: Standin,
    envoy: Envoy,
    requests: Vec<Request>,
}

impl Pool {
    fn start(change: impl FnOnce(Setup) -> Setup) -> Result<Self> {
        let standin = Standin::start()?;
        let tokens: Vec<String> = (0..40).map(|number| format!("ptk_pool-{number}-0123456789")).collect();
        let entries: Vec<Value> = tokens
            .iter()
            .map(|token| {
                let sha256 = Digest::of(token.as_bytes()).to_hex();
                json!({"sha256": sha256, "label": "l", "providers": ["openai"]})
            })
            .collect();
        let policy = json!({
            "version": "keyswap/v1",
            "tokens": entries,
            "credentials": {"a": [{"env": "KEY_A"}], "b": [{"env": "KEY_B"}]},
            "providers": {"openai": {"credentials": {"a": 1, "b": 1}, "cooldown": "4s"}},
        });
        let setup = Envoy::with(&policy).env("KEY_A", "real-a").env("KEY_B", "real-b").upstream(&standin);
        let envoy = change(setup).start()?;
        let requests = tokens.iter().map(|token| Request::get("/v1/models").bearer(token)).collect();
        Ok(Self { standin, envoy, requests })
    }

    /// Returns the status and the key of each caller's request.
    fn keys(&self) -> Result<Vec<(u16, String)>> {
        let ask = |request| -> Result<(u16, String)> {
            self.standin.take();
            let status = self.envoy.send(request)?.status;
            let received = self.standin.take();
            let key = received.first().and_then(|request| request.header("authorization"));
            Ok((status, key.context("nothing went upstream")?.to_owned()))
        };
        self.requests.iter().map(ask).collect()
    }
}

#[test]
fn a_key_that_the_provider_refuses_or_finds_too_busy_rests_on_every_worker() -> Result<()> {
    let pool = Pool::start(|setup| setup.concurrency(2))?;
    let before = pool.keys()?;
    let of = |key: &str| before.iter().filter(|(_, other)| other == key).count();
    ensure!(of("Bearer real-a") >= 8 && of("Bearer real-b") >= 8, "{before:?}");
    ensure!(pool.keys()? == before, "a caller keeps its key");
    for status in [401, 429] {
        pool.standin.refuse_if(move |request| {
            let refused = request.header("authorization") == Some("Bearer real-a");
            refused.then(|| Refusal { status, body: json!({"error": {}}), ..Refusal::default() })
        });
        until("every worker leaves the key alone", || {
            Ok(pool.keys()?.iter().all(|(status, _)| *status == 200))
        })?;
        pool.standin.refuse_if(|_| None);
        until("the key is used again", || Ok(pool.keys()? == before))?;
    }
    Ok(())
}

#[test]
fn what_envoy_itself_answers_says_nothing_of_a_key() -> Result<()> {
    // A rate limit filter after Keyswap refuses every second request.
    let limit = json!({
        "name": "limit",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
            "abort": {"http_status": 429, "percentage": {"numerator": 50, "denominator": "HUNDRED"}},
        },
    });
    let pool = Pool::start(|setup| {
        setup.tweak(move |bootstrap| {
            let filters = bootstrap.pointer_mut(
                "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters",
            );
            filters.and_then(Value::as_array_mut).expect("there are filters").insert(1, limit);
        })
    })?;
    let mut keys: Vec<BTreeSet<String>> = vec![BTreeSet::new(); pool.requests.len()];
    let mut refused = 0;
    for _ in 0..6 {
        for (request, keys) in pool.requests.iter().zip(&mut keys) {
            refused += usize::from(pool.envoy.send(request)?.status == 429);
            for request in pool.standin.take() {
                keys.extend(request.header("authorization").map(str::to_owned));
            }
        }
    }
    ensure!(refused > 60, "only {refused} requests were refused");
    ensure!(keys.iter().all(|keys| keys.len() <= 1), "a caller's key changed: {keys:?}");
    Ok(())
}

/// The policy and the configuration of `envoy/credential-injector.yaml`, with OpenAI's secret in a file.
struct Injecting {
    folder: tempfile::TempDir,
    standin: Standin,
    envoy: Envoy,
}

impl Injecting {
    fn start(tweak: impl FnOnce(&mut Value)) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let standin = Standin::start()?;
        let mut policy = Testbed::policy();
        policy["credentials"]["openai"] = json!([{"inject_by": "host"}]);
        write_secret(&folder, "injected-1")?;
        let path = folder.path().to_owned();
        // Envoy's environment has no key of OpenAI.
        let envoy = Envoy::with(&policy)
            .env("ANTHROPIC_API_KEY", "sk-real-anthropic")
            .env("GEMINI_API_KEY", "real-gemini-key")
            .overlay("credential-injector.yaml")
            .upstream(&standin)
            .tweak(|bootstrap| {
                place_secret(bootstrap, &path);
                tweak(bootstrap);
            })
            .start()?;
        Ok(Self { folder, standin, envoy })
    }

    fn rotate(&self, value: &str) -> Result<()> {
        write_secret(&self.folder, value)
    }
}

/// Writes the secret. Envoy reads the file when it is moved into its place.
fn write_secret(folder: &tempfile::TempDir, value: &str) -> Result<()> {
    let secret = json!({
        "resources": [{
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            "name": "openai",
            "generic_secret": {"secret": {"inline_string": value}},
        }],
    });
    let new = folder.path().join("openai.new");
    fs::write(&new, secret.to_string())?;
    fs::rename(new, folder.path().join("openai.yaml"))?;
    Ok(())
}

/// Replaces `/etc/keyswap/secrets` in the file with the folder.
fn place_secret(bootstrap: &mut Value, folder: &std::path::Path) {
    match bootstrap {
        Value::String(text) if text.starts_with("/etc/keyswap/secrets") => {
            *text = text.replace("/etc/keyswap/secrets", &folder.display().to_string());
        }
        Value::Array(items) => items.iter_mut().for_each(|item| place_secret(item, folder)),
        Value::Object(members) => members.values_mut().for_each(|member| place_secret(member, folder)),
        _ => {}
    }
}

#[test]
fn envoy_injects_a_credential_that_the_filter_never_sees_and_takes_a_new_one_under_load() -> Result<()> {
    let bed = Injecting::start(|_| {})?;
    under_load(
        2,
        |_, _| served(&bed.envoy),
        |load| {
            for number in 2..=6 {
                bed.rotate(&format!("injected-{number}"))?;
                let value = format!("Bearer injected-{number}");
                until("the new value arrives", || {
                    Ok(bed.standin.take().iter().any(|it| it.header("authorization") == Some(&value)))
                })?;
                load.passes(10)?;
            }
            Ok(())
        },
    )?;
    // The caller's credentials are removed, and a refused request gets no upstream credential.
    let many = Request::get("/openai/v1/models")
        .bearer(TOKEN)
        .header("x-api-key", TOKEN)
        .header("x-goog-api-key", "x")
        .header("api-key", "y");
    ensure!(bed.envoy.send(&many)?.status == 200);
    let received = bed.standin.take();
    let credentials = received.last().context("it arrived")?.credentials();
    ensure!(credentials == ["authorization: Bearer injected-6"], "{credentials:?}");
    ensure!(bed.envoy.send(&Request::get("/v1/models").bearer("ptk_unknown"))?.status == 401);
    ensure!(bed.standin.take().is_empty(), "a refused request went on");
    let shown = bed.envoy.admin("/config_dump?include_eds")? + &bed.envoy.admin("/stats")? + &bed.envoy.log();
    ensure!(!shown.contains("injected-6"), "the credential shows");
    Ok(())
}

#[test]
fn without_its_secret_envoy_forwards_nothing() -> Result<()> {
    let bed = Injecting::start(|_| {})?;
    ensure!(bed.envoy.send(&models())?.status == 200);
    bed.standin.take();
    bed.rotate("")?;
    until("the secret is gone", || Ok(bed.envoy.send(&models())?.status == 503))?;
    bed.standin.take();
    let response = bed.envoy.send(&models())?;
    ensure!(response.status == 503, "{response:?}");
    ensure!(response.header("x-keyswap-reason") == Some("upstream_credential_unavailable"), "{response:?}");
    ensure!(response.header("retry-after") == Some("1"), "{response:?}");
    ensure!(response.json()?["error"]["code"] == "upstream_credential_unavailable", "{}", response.text());
    ensure!(bed.standin.take().is_empty(), "a request without credential went on");
    Ok(())
}

/// Changes the routes of the provider with this name.
fn change_route(bootstrap: &mut Value, name: &str, change: &Value) {
    let hosts = bootstrap
        .pointer_mut(
            "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts",
        )
        .and_then(Value::as_array_mut);
    for host in hosts.into_iter().flatten().filter(|host| host["name"] == name) {
        for route in host["routes"].as_array_mut().into_iter().flatten() {
            for (member, value) in change.as_object().into_iter().flatten() {
                route["route"][member] = value.clone();
            }
        }
    }
}

#[test]
fn a_mirrored_request_carries_no_credential_that_envoy_injects() -> Result<()> {
    let mirror = json!({"request_mirror_policies": [{"cluster": "anthropic"}]});
    let bed = Injecting::start(|bootstrap| change_route(bootstrap, "openai", &mirror))?;
    ensure!(bed.envoy.send(&models())?.status == 200);
    let both = || {
        let received = bed.standin.received();
        (
            received.iter().any(|it| it.sni == "api.openai.com"),
            received.iter().any(|it| it.sni == "api.anthropic.com"),
        )
    };
    until("both have arrived", || Ok(both() == (true, true)))?;
    for request in bed.standin.take() {
        let expected: &[String] = if request.sni == "api.openai.com" {
            &["authorization: Bearer injected-1".to_owned()]
        } else {
            &[]
        };
        ensure!(request.credentials() == expected, "{request:?}");
    }
    Ok(())
}

#[test]
fn a_redirect_to_another_host_carries_no_credential() -> Result<()> {
    let standin = Standin::start()?;
    standin.refuse_if(|request| {
        (request.sni == "api.openai.com").then(|| Refusal {
            status: 302,
            headers: vec![("location", "https://api.anthropic.com/v1/messages".to_owned())],
            body: json!({}),
        })
    });
    // The shipped bootstrap forwards the redirect to the caller and does not follow it.
    let envoy = Testbed::setup(&standin).start()?;
    ensure!(envoy.send(&models())?.status == 302);
    ensure!(standin.take().iter().all(|request| request.sni == "api.openai.com"));
    // An Envoy that follows redirects runs the filter again, which refuses the real credential as an unknown token.
    let follow = json!({"internal_redirect_policy": {
        "redirect_response_codes": [302], "allow_cross_scheme_redirect": true,
    }});
    let envoy = Testbed::setup(&standin)
        .tweak(|bootstrap| {
            change_route(bootstrap, "openai", &follow);
            // Without `x-forwarded-proto` Envoy finds no route for a redirect, so the shipped bootstrap cannot follow
            // one.
            let removed = bootstrap
                .pointer_mut(
                    "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/route_config",
                )
                .map(|routes| &mut routes["request_headers_to_remove"]);
            removed.and_then(Value::as_array_mut).expect("a list").retain(|name| name != "x-forwarded-proto");
        })
        .start()?;
    let response = envoy.send(&models())?;
    let redirected = envoy.stat("cluster.openai.upstream_internal_redirect_succeeded_total")?;
    let stats = envoy.admin("/stats?filter=redirect")?;
    ensure!(redirected == 1, "Envoy did not follow the redirect: {response:?}\n{stats}");
    ensure!(response.status == 401, "{response:?}");
    let received = standin.take();
    ensure!(received.iter().all(|request| request.sni == "api.openai.com"), "{received:?}");
    Ok(())
}

#[test]
fn a_retry_carries_the_same_credential_to_the_same_host_only() -> Result<()> {
    let standin = Standin::start()?;
    let failures = AtomicUsize::new(0);
    standin.refuse_if(move |_| {
        let fails = failures.fetch_add(1, Ordering::SeqCst) == 0;
        fails.then(|| Refusal { status: 503, body: json!({}), ..Refusal::default() })
    });
    let again = json!({"retry_policy": {"retry_on": "5xx", "num_retries": 2}});
    let envoy =
        Testbed::setup(&standin).tweak(|bootstrap| change_route(bootstrap, "openai", &again)).start()?;
    ensure!(envoy.send(&models())?.status == 200);
    let received = standin.take();
    ensure!(received.len() == 2, "{received:?}");
    for request in &received {
        ensure!(request.sni == "api.openai.com", "{request:?}");
        ensure!(request.credentials() == ["authorization: Bearer sk-real-openai"], "{request:?}");
    }
    Ok(())
}

/// Starts a Vault, Google's metadata server and Vercel's key set, all at one address.
fn services(key: &SigningKey) -> Result<Scripted> {
    let keys = json!({"keys": [key.jwk()]}).to_string();
    Scripted::start(move |call| {
        let has = |name: &str, value: &str| {
            call.headers.iter().any(|it| *it == (name.to_owned(), value.to_owned()))
        };
        match call.target.as_str() {
            "/acme/.well-known/jwks" => Script::answer(200, keys.clone()),
            "/v1/kv/data/anthropic" if has("x-vault-token", "hvs.real") => Script::answer(
                200,
                r#"{"data": {"data": {"key": "from-vault"}, "metadata": {"version": 3}}}"#,
            ),
            "/computeMetadata/v1/instance/service-accounts/default/token"
                if has("metadata-flavor", "Google") =>
            {
                Script::answer(
                    200,
                    r#"{"access_token": "ya29.x", "expires_in": 3599, "token_type": "Bearer"}"#,
                )
            }
            _ => Script::answer(403, "{}"),
        }
    })
}

#[test]
fn the_example_of_credentials_does_what_it_says() -> Result<()> {
    let text = fs::read_to_string(tools::project_root().join("envoy/policy-credentials.yaml"))?;
    let policy: Value = serde_saphyr::from_str(&text)?;
    let key = SigningKey::rsa(0, "k")?;
    let services = services(&key)?;
    let hosts = ["aiplatform.googleapis.com", "ai-gateway.vercel.sh", "api.anthropic.com", "api.openai.com"];
    let standin = Standin::start_with(0, &hosts)?;
    let mut setup = Envoy::with(&policy).upstream_hosts(hosts).upstream(&standin);
    for name in ["vault", "metadata.google.internal", "oidc.vercel.com"] {
        setup = setup.cluster(name, services.address());
    }
    let envoy = setup
        .env("OPENAI_API_KEY_A", "real-a")
        .env("OPENAI_API_KEY_B", "real-b")
        .env("VAULT_TOKEN", "hvs.real")
        .start()?;
    let jwt = key.sign(&json!({
        "iss": "https://oidc.vercel.com/acme", "aud": "https://vercel.com/acme", "exp": unix_now() + 300,
        "sub": "owner:acme:project:p:environment:production", "project_id": "prj_123", "environment": "production",
    }))?;
    for (path, host, credential) in [
        ("/openai/v1/models", "api.openai.com", "authorization: Bearer real-"),
        ("/anthropic/v1/models", "api.anthropic.com", "x-api-key: from-vault"),
        (
            "/google-vertex-ai/v1/publishers/google/models/g",
            "aiplatform.googleapis.com",
            "authorization: Bearer ya29.x",
        ),
        ("/v1/models", "ai-gateway.vercel.sh", &format!("authorization: Bearer {jwt}")),
    ] {
        let response = envoy.send(&Request::get(path).header("x-vercel-oidc-token", &jwt))?;
        ensure!(response.status < 500, "{path}: {} {}", response.status, response.text());
        let received = standin.take();
        let [request] = received.as_slice() else { anyhow::bail!("{path}: {received:?}") };
        let credentials = request.credentials();
        ensure!(request.sni == host, "{path}: {request:?}");
        ensure!(credentials.len() == 1 && credentials[0].starts_with(credential), "{path}: {credentials:?}");
    }
    let status = Request::get("/.well-known/keyswap").header("host", "localhost");
    ensure!(envoy.send(&status)?.status == 200);
    Ok(())
}
