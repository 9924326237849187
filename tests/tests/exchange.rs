//! Exchanges of callers' identities for credentials of their own, in Envoy: the contracts of the services, their faults,
//! and many callers at once.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use keyswap_tests::{
    Call, Envoy, Request, Script, Scripted, Setup, SigningKey, Standin, tools, under_load, unix_now, until,
};
use serde_json::{Value, json};

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// A secret that a form has to escape.
const CLIENT_SECRET: &str = "of+the&client=%25";

/// The header by which the upstream sees the caller's name: the JWT does not reach it.
const SENTINEL: &str = "x-sentinel";

fn jwt(key: &SigningKey, subject: &str) -> Result<String> {
    key.sign(&json!({
        "iss": ISSUER, "aud": ["keyswap"], "exp": unix_now() + 3600, "sub": subject,
        "kubernetes.io": {"namespace": "agents", "serviceaccount": {"name": "coder"}},
    }))
}

/// Returns the members of a form or of a JSON object.
fn members(call: &Call) -> BTreeMap<String, String> {
    let kind = call.headers.iter().find(|(name, _)| name == "content-type").map(|(_, value)| value.as_str());
    match kind {
        Some("application/x-www-form-urlencoded") => {
            serde_urlencoded::from_bytes(&call.body).unwrap_or_default()
        }
        Some("application/json") => serde_json::from_slice(&call.body).unwrap_or_default(),
        _ => BTreeMap::new(),
    }
}

/// Returns the subject of a JWT, as a service reads it that verified it.
fn subject(jwt: &str) -> Option<String> {
    let claims = BASE64_URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1)?).ok()?;
    Some(serde_json::from_slice::<Value>(&claims).ok()?.get("sub")?.as_str()?.to_owned())
}

fn given(token: &str, seconds: u64) -> Script {
    let answer = json!({"access_token": token, "token_type": "Bearer", "expires_in": seconds});
    Script::answer(200, answer.to_string())
}

/// The contract of a service: the path, the parameters that it requires, and the one with the caller's JWT.
struct Contract {
    path: &'static str,
    content_type: &'static str,
    required: &'static [(&'static str, &'static str)],
    jwt: &'static str,
    token: &'static str,
}

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT_TYPE: &str = "urn:ietf:params:oauth:token-type:jwt";
const FORM: &str = "application/x-www-form-urlencoded";

/// The contracts, by the documents of OpenAI, Anthropic, Google Cloud (STS) and Microsoft Entra.
const CONTRACTS: [Contract; 4] = [
    Contract {
        path: "/oauth/token",
        content_type: "application/json",
        required: &[
            ("grant_type", EXCHANGE),
            ("subject_token_type", JWT_TYPE),
            ("identity_provider_id", "idp_123"),
            ("service_account_id", "svcacct_123"),
        ],
        jwt: "subject_token",
        token: "openai-access",
    },
    Contract {
        path: "/v1/oauth/token",
        content_type: "application/json",
        required: &[
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("federation_rule_id", "fdrl_123"),
            ("organization_id", "00000000-0000-0000-0000-000000000000"),
            ("service_account_id", "svac_123"),
        ],
        jwt: "assertion",
        token: "sk-ant-oat01-access",
    },
    Contract {
        path: "/v1/token",
        content_type: FORM,
        required: &[
            ("grant_type", EXCHANGE),
            (
                "audience",
                "//iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/agents/providers/cluster",
            ),
            ("scope", "https://www.googleapis.com/auth/cloud-platform"),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("subject_token_type", JWT_TYPE),
        ],
        jwt: "subject_token",
        token: "ya29.access",
    },
    Contract {
        path: "/00000000-0000-0000-0000-000000000000/oauth2/v2.0/token",
        content_type: FORM,
        required: &[
            ("grant_type", "client_credentials"),
            ("client_id", "11111111-1111-1111-1111-111111111111"),
            ("scope", "https://cognitiveservices.azure.com/.default"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ],
        jwt: "client_assertion",
        token: "entra-access",
    },
];

/// Starts the key set of the cluster and all services, at one address. A service answers only what its contract takes.
fn services(key: &SigningKey) -> Result<Scripted> {
    let keys = json!({"keys": [key.jwk()]}).to_string();
    Scripted::start(move |call| {
        if call.target == "/openid/v1/jwks" {
            return Script::answer(200, keys.clone());
        }
        let members = members(call);
        if call.target == "/token" {
            let is_client = members.get("client_secret").is_some_and(|it| it == CLIENT_SECRET);
            return if is_client { given("of-the-client", 600) } else { Script::answer(401, "{}") };
        }
        let contract = CONTRACTS.iter().find(|contract| contract.path == call.target);
        let holds = contract.filter(|contract| {
            let has = |(name, value): &(&str, &str)| members.get(*name).is_some_and(|it| it == value);
            let has_type =
                call.headers.contains(&("content-type".to_owned(), contract.content_type.to_owned()));
            let subject = members.get(contract.jwt).and_then(|jwt| subject(jwt));
            call.method == "POST"
                && has_type
                && contract.required.iter().all(has)
                && members.len() == contract.required.len() + 1
                && subject.as_deref() == Some("system:serviceaccount:agents:coder")
        });
        holds.map_or_else(|| Script::answer(400, r#"{"error":"invalid_grant"}"#), |it| given(it.token, 600))
    })
}

#[test]
fn the_example_of_exchanges_calls_each_service_as_its_documents_say() -> Result<()> {
    let text = fs::read_to_string(tools::project_root().join("envoy/policy-exchange.yaml"))?;
    let mut policy: Value = serde_saphyr::from_str(&text)?;
    // Its API is at the same host, whose cluster here leads to the stand-in.
    policy["credentials"]["anthropic"][0]["http"]["cluster"] = json!("anthropic-tokens");
    let key = SigningKey::p256("k")?;
    let services = services(&key)?;
    let hosts = [
        "api.openai.com",
        "api.anthropic.com",
        "aiplatform.googleapis.com",
        "acme.openai.azure.com",
        "openrouter.ai",
    ];
    let standin = Standin::start_with(0, &hosts)?;
    let mut setup = Envoy::with(&policy).upstream_hosts(hosts).upstream(&standin);
    for name in [
        "kubernetes",
        "auth.openai.com",
        "anthropic-tokens",
        "sts.googleapis.com",
        "login.microsoftonline.com",
        "auth.example.com",
    ] {
        setup = setup.cluster(name, services.address());
    }
    let envoy = setup.env("CLIENT_SECRET", CLIENT_SECRET).start()?;
    let bearer = format!("Bearer {}", jwt(&key, "system:serviceaccount:agents:coder")?);
    for (path, host, token) in [
        ("/openai/v1/models", "api.openai.com", "openai-access"),
        ("/anthropic/v1/models", "api.anthropic.com", "sk-ant-oat01-access"),
        ("/google-vertex-ai/v1/publishers/google/models/g", "aiplatform.googleapis.com", "ya29.access"),
        ("/azure-openai/models", "acme.openai.azure.com", "entra-access"),
        ("/openrouter/v1/models", "openrouter.ai", "of-the-client"),
    ] {
        let response = envoy.send(&Request::get(path).header("authorization", &bearer))?;
        ensure!(response.status < 500, "{path}: {} {}", response.status, response.text());
        let received = standin.take();
        let [request] = received.as_slice() else { anyhow::bail!("{path}: {received:?}") };
        ensure!(request.sni == host, "{path}: {request:?}");
        ensure!(request.credentials() == [format!("authorization: Bearer {token}")], "{path}: {request:?}");
    }
    Ok(())
}

/// Returns a set-up whose callers' JWTs are exchanged at this service.
fn with_exchange(key: &SigningKey, service: &Scripted, standin: &Standin, timeout: &str) -> Setup {
    let policy = json!({
        "version": "keyswap/v1",
        "issuers": [{
            "name": "cluster", "preset": "oidc", "issuer": ISSUER, "audiences": ["keyswap"], "principals": "any",
            "jwks": {"inline": {"keys": [key.jwk()]}},
        }],
        "credentials": {"openai": [{"http": {
            "url": "http://sts/token", "plaintext": "trusted_network", "form": {"grant_type": EXCHANGE, "subject_token": {"caller": "jwt"}},
            "subject": "caller", "expect": {"/subject": {"claim": "sub"}}, "value": "/access_token", "expires_in": "/expires_in",
            "refresh_before": "0s", "timeout": timeout,
        }}]},
    });
    Envoy::with(&policy).upstream(standin).cluster("sts", service.address())
}

/// Exchanges a JWT as it should be: the credential names the subject, and another one each time.
fn exchanged(call: &Call, seconds: u64, number: usize) -> Script {
    let subject = members(call).get("subject_token").and_then(|jwt| subject(jwt)).unwrap_or_default();
    let answer = json!({
        "access_token": format!("of.{subject}.{number}"), "subject": subject, "token_type": "Bearer", "expires_in": seconds,
    });
    Script::answer(200, answer.to_string())
}

fn models(jwt: &str, subject: &str) -> Request {
    Request::get("/v1/models").header("authorization", format!("Bearer {jwt}")).header(SENTINEL, subject)
}

#[test]
fn a_hundred_callers_on_two_workers_get_no_credential_but_their_own() -> Result<()> {
    let key = SigningKey::p256("k")?;
    let number = AtomicUsize::new(0);
    let service = Scripted::start(move |call| {
        let answer = exchanged(call, 3, number.fetch_add(1, Ordering::SeqCst));
        // Answers overtake each other.
        Script::After(
            Duration::from_millis(u64::from(call.body.last().copied().unwrap_or_default()) % 16),
            Box::new(answer),
        )
    })?;
    let standin = Standin::start()?;
    let foreign = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&foreign);
    standin.watch(move |request| {
        let own = request.header(SENTINEL).map(|subject| format!("Bearer of.{subject}."));
        let credential = request.header("authorization").unwrap_or_default();
        if !own.is_some_and(|own| credential.starts_with(&own)) {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    let envoy = with_exchange(&key, &service, &standin, "30s").concurrency(2).start()?;
    let callers = (0..100).map(|caller| format!("caller-{caller}"));
    let callers: Vec<(String, String)> =
        callers.map(|caller| Ok((jwt(&key, &caller)?, caller))).collect::<Result<_>>()?;
    under_load(
        8,
        |thread, number| {
            let (jwt, subject) = &callers[(thread * 37 + number) % callers.len()];
            let response = envoy.send(&models(jwt, subject))?;
            ensure!(response.status == 200, "{subject}: {response:?}");
            Ok(())
        },
        |load| {
            // Long enough for each caller to come back on both workers, and for every value to be renewed.
            let most = 2 * callers.len();
            until("values are renewed", || Ok(service.count("/token") > 2 * most))?;
            load.passes_each(callers.len())
        },
    )?;
    ensure!(foreign.load(Ordering::SeqCst) == 0, "{foreign:?} requests had the credential of another caller");
    Ok(())
}

#[test]
fn a_service_that_is_of_no_help_lets_nobody_new_in_and_nobody_known_out() -> Result<()> {
    let key = SigningKey::p256("k")?;
    let for_another =
        json!({"access_token": "of.bob.1", "subject": "bob", "token_type": "Bearer", "expires_in": 600});
    let without_subject = json!({"access_token": "t", "token_type": "Bearer", "expires_in": 600});
    let service = Scripted::start(|call| exchanged(call, 600, 1))?;
    let standin = Standin::start()?;
    let envoy = with_exchange(&key, &service, &standin, "500ms").start()?;
    let known = jwt(&key, "known")?;
    ensure!(envoy.send(&models(&known, "known"))?.status == 200);
    for (number, script) in [
        Script::Close,
        Script::Hang,
        Script::CutOff,
        Script::answer(200, for_another.to_string()),
        Script::answer(200, without_subject.to_string()),
        Script::answer(200, "{}"),
        Script::answer(200, "\u{0}".repeat(70_000)),
        Script::answer(302, "{}"),
        Script::answer(400, r#"{"error":"invalid_grant"}"#),
        Script::answer(503, "sentinel-of-the-service"),
    ]
    .into_iter()
    .enumerate()
    {
        let context = format!("{script:?}").chars().take(99).collect::<String>();
        let subject = format!("new-{number}");
        let fresh = jwt(&key, &subject)?;
        service.now(move |_| script.clone());
        let response = envoy.send(&models(&fresh, &subject))?;
        ensure!(response.status == 503, "{context}: {response:?}");
        ensure!(
            response.header("x-keyswap-reason") == Some("upstream_credential_unavailable"),
            "{context}: {response:?}"
        );
        ensure!(envoy.send(&models(&known, "known"))?.status == 200, "{context}");
        service.now(|call| exchanged(call, 600, 2));
        // The pause of an outage is over within half a minute; a caller's own after a second.
        let back =
            until("the service is asked again", || Ok(envoy.send(&models(&fresh, &subject))?.status == 200));
        back.with_context(|| context.clone())?;
    }
    ensure!(standin.take().iter().all(|it| {
        let own = it.header(SENTINEL).map(|subject| format!("Bearer of.{subject}."));
        own.is_some_and(|own| it.header("authorization").unwrap_or_default().starts_with(&own))
    }));
    let log = envoy.log();
    ensure!(!log.contains("eyJ") && !log.contains("sentinel-of") && !log.contains("of.bob"), "{log}");
    Ok(())
}

#[test]
fn callers_that_come_at_once_wait_for_one_exchange() -> Result<()> {
    let key = SigningKey::p256("k")?;
    let service =
        Scripted::start(|call| Script::After(Duration::from_millis(300), Box::new(exchanged(call, 600, 1))))?;
    let standin = Standin::start()?;
    let envoy = with_exchange(&key, &service, &standin, "30s").start()?;
    let one = jwt(&key, "one")?;
    thread::scope(|scope| {
        let calls: Vec<_> = (0..16).map(|_| scope.spawn(|| envoy.send(&models(&one, "one")))).collect();
        for call in calls {
            let response = call.join().map_err(|_| anyhow::anyhow!("a caller panicked"))??;
            ensure!(response.status == 200, "{response:?}");
        }
        ensure!(service.count("/token") == 1, "{} exchanges", service.count("/token"));
        Ok(())
    })
}
