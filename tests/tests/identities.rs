//! Callers with JWTs of identity providers: admission, principals, and places where their tokens must not appear.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use keyswap_core::base::Digest;
use keyswap_tests::{
    Issuer, Registry, Request, Script, Scripted, Setup, SigningKey, Testbed, unix_now, with,
};
use serde_json::{Value, json};

const TEAM: &str = "https://acme.cloudflareaccess.com";
const APPLICATION: &str = "4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2";
const SERVICE: &str = "e367826f93b8d71185e03fe518aff3b4.access";
const VERCEL: &str = "https://oidc.vercel.com/acme";
const GENERIC: &str = "https://id.example/realms/a";
const PROXY_TOKEN: &str = "ptk_beside-identities-0123456789";
const ASSERTION: &str = "Cf-Access-Jwt-Assertion";
const VERCEL_HEADER: &str = "x-vercel-oidc-token";

/// The signing keys of three identity providers.
struct Signers {
    access: SigningKey,
    vercel: SigningKey,
    generic: SigningKey,
}

fn start() -> Result<(Testbed, Signers)> {
    start_with(&json!({}), |setup| setup)
}

/// Starts a test bed whose policy has these members replaced.
fn start_with(policy: &Value, change: impl FnOnce(Setup) -> Setup) -> Result<(Testbed, Signers)> {
    let access = SigningKey::rsa(0, "access-1")?;
    let vercel = SigningKey::rsa(1, "vercel-1")?;
    let generic = SigningKey::p256("generic-1")?;
    let issuers = vec![
        Issuer::start(TEAM, &[&access])?,
        Issuer::start(VERCEL, &[&vercel])?,
        Issuer::start(GENERIC, &[&generic])?,
    ];
    let bed = Testbed::trusting(issuers, &with(&policy_of_three(), policy), |setup| {
        change(setup.env("CF_AIG_TOKEN", "real-gateway-token").env("KEYSWAP_REGISTRY_TOKEN", "secret"))
    })?;
    Ok((bed, Signers { access, vercel, generic }))
}

impl Signers {
    fn person(&self, changes: &Value) -> Result<String> {
        let claims = json!({
            "aud": [APPLICATION], "email": "alice@example.com", "iss": TEAM, "type": "app", "country": "DE",
            "sub": "7335d417-61da-459d-899c-0a01c76a2f94", "identity_nonce": "6ei69kawdKzMIAPF",
            "iat": unix_now(), "nbf": unix_now(), "exp": unix_now() + 300,
        });
        self.access.sign(&with(&claims, changes))
    }

    fn service(&self, changes: &Value) -> Result<String> {
        let service = json!({"common_name": SERVICE, "sub": "", "email": null});
        self.person(&with(&service, changes))
    }

    fn deployment(&self, changes: &Value) -> Result<String> {
        let claims = json!({
            "iss": VERCEL, "aud": "https://vercel.com/acme", "sub": "owner:acme:project:web:environment:production",
            "owner": "acme", "owner_id": "team_1", "project": "web", "project_id": "prj_1",
            "environment": "production", "iat": unix_now(), "nbf": unix_now(), "exp": unix_now() + 3600,
        });
        self.vercel.sign(&with(&claims, changes))
    }

    fn subject(&self, changes: &Value) -> Result<String> {
        let claims = json!({"iss": GENERIC, "aud": "keyswap", "sub": "robot-7", "exp": unix_now() + 300});
        self.generic.sign(&with(&claims, changes))
    }
}

fn policy_of_three() -> Value {
    let token = json!({
        "sha256": Digest::of(PROXY_TOKEN.as_bytes()).to_hex(), "label": "proxy", "providers": ["openai"],
    });
    json!({
        "version": "keyswap/v1",
        "tokens": [token],
        "credentials": {"cf_aig": [{"env": "CF_AIG_TOKEN"}]},
        "gateway": {"cloudflare": {
            "account": "acc", "gateway": "gw", "credential": "cf_aig", "mode": "unified_billing",
            "metadata": {"user": "principal.email", "label": "principal.label", "id": "principal.id"},
        }},
        "principals": [
            {"email": "Alice@example.com", "label": "Alice A.", "providers": ["openai", "anthropic"]},
            {"email": "gemma@example.com", "providers": ["gemini"]},
            {"email": "lim@example.com", "providers": ["openai"], "rate_limit": {"requests": 2, "per": "1h"}},
        ],
        "issuers": [
            {
                "name": "access", "preset": "cloudflare_access", "issuer": "acme.cloudflareaccess.com/",
                "audiences": [APPLICATION], "service_tokens": [SERVICE], "providers": ["openai", "gemini"],
            },
            {
                "name": "vercel", "preset": "vercel_oidc", "issuer": VERCEL,
                "audiences": ["https://vercel.com/acme"], "claims": {"project_id": ["prj_1"]},
                "providers": ["openai"],
            },
            {
                "name": "generic", "preset": "oidc", "issuer": GENERIC, "audiences": ["keyswap"],
                "principals": "any", "providers": ["anthropic"],
            },
        ],
    })
}

fn models() -> Request {
    Request::get("/v1/models")
}

/// Returns a request whose provider does not depend on the slot of the credential.
fn openai() -> Request {
    Request::get("/openai/v1/models")
}

fn anthropic() -> Request {
    Request::post("/v1/messages", &json!({"model": "m", "messages": [], "max_tokens": 1}))
}

#[test]
fn each_presets_tokens_let_in_whom_the_policy_names_and_nobody_else() -> Result<()> {
    let (bed, signers) = start()?;
    let access =
        |changes: Value| Ok::<_, anyhow::Error>(models().header(ASSERTION, signers.person(&changes)?));
    let service =
        |changes: Value| Ok::<_, anyhow::Error>(models().header(ASSERTION, signers.service(&changes)?));
    let vercel = |changes: Value| {
        Ok::<_, anyhow::Error>(models().header(VERCEL_HEADER, signers.deployment(&changes)?))
    };
    let (past, other) = (unix_now() - 900, "0".repeat(64));
    let (invalid, unknown) = ("401 token_invalid", "403 principal_unknown");
    for (what, request, expected) in [
        ("Access: a known user", access(json!({}))?, "200"),
        ("Access: in other letters", access(json!({"email": " ALICE@Example.com"}))?, "200"),
        ("Access: without `nbf`, a bare `aud`", access(json!({"nbf": null, "aud": APPLICATION}))?, "200"),
        ("Access: an unknown user", access(json!({"email": "eve@example.com"}))?, unknown),
        ("Access: another application (J17)", access(json!({"aud": [other]}))?, invalid),
        ("Access: no audience", access(json!({"aud": []}))?, invalid),
        ("Access: another team", access(json!({"iss": "https://evil.cloudflareaccess.com"}))?, invalid),
        ("Access: expired", access(json!({"exp": past, "iat": past, "nbf": past}))?, "401 token_expired"),
        ("Access: not yet valid", access(json!({"nbf": unix_now() + 300}))?, invalid),
        ("Access: a sign-in token", access(json!({"type": "org"}))?, invalid),
        ("Access: no email", access(json!({"email": null}))?, invalid),
        ("Access: a named service", service(json!({}))?, "200"),
        ("Access: another service", service(json!({"common_name": "other.access"}))?, invalid),
        ("Access: a service that is a person", service(json!({"email": "alice@example.com"}))?, invalid),
        ("Access: signed by Vercel", models().header(ASSERTION, signers.deployment(&json!({}))?), invalid),
        ("Vercel: production", vercel(json!({}))?, "200"),
        ("Vercel: preview", vercel(json!({"environment": "preview"}))?, invalid),
        ("Vercel: development", vercel(json!({"environment": "development"}))?, invalid),
        ("Vercel: another project", vercel(json!({"project_id": "prj_2"}))?, invalid),
        ("Vercel: a known user's email is nobody's", vercel(json!({"aud": "alice@example.com"}))?, invalid),
        ("Vercel: as Bearer", models().bearer(&signers.deployment(&json!({}))?), "200"),
        (
            "Vercel: preview as Bearer",
            models().bearer(&signers.deployment(&json!({"environment": "preview"}))?),
            invalid,
        ),
        ("generic: anybody", anthropic().bearer(&signers.subject(&json!({}))?), "200"),
        ("generic: another audience", anthropic().bearer(&signers.subject(&json!({"aud": "x"}))?), invalid),
        ("generic: nobody", anthropic().bearer(&signers.subject(&json!({"sub": ""}))?), invalid),
        ("nothing", models(), "401 credential_missing"),
        (
            "the email header alone",
            models().header("cf-access-authenticated-user-email", "alice@example.com"),
            "401 credential_missing",
        ),
        ("a proxy token", models().bearer(PROXY_TOKEN), "200"),
    ] {
        bed.expect(what, &request, expected)?;
    }
    // The preset or the discovery document gives the address of the keys.
    let asked = |issuer: &Issuer| {
        let calls = issuer.server().calls();
        calls.iter().map(|call| (host(call), call.target.clone())).collect::<Vec<_>>()
    };
    let of = |host: &str, target: &str| (host.to_owned(), target.to_owned());
    let [team, vercel, generic] = bed.issuers.as_slice() else { bail!("there are three issuers") };
    ensure!(asked(team) == [of("acme.cloudflareaccess.com", "/cdn-cgi/access/certs")], "{:?}", asked(team));
    ensure!(asked(vercel) == [of("oidc.vercel.com", "/acme/.well-known/jwks")], "{:?}", asked(vercel));
    let discovery =
        [of("id.example", "/realms/a/.well-known/openid-configuration"), of("id.example", "/realms/a/jwks")];
    ensure!(asked(generic) == discovery, "{:?}", asked(generic));
    Ok(())
}

fn host(call: &keyswap_tests::Call) -> String {
    let host = call.headers.iter().find(|(name, _)| name == "host");
    host.map(|(_, value)| value.clone()).unwrap_or_default()
}

#[test]
fn a_token_is_found_in_every_slot_and_a_bad_one_is_never_passed_over() -> Result<()> {
    let (bed, signers) = start()?;
    let good = signers.person(&json!({}))?;
    let bad = signers.person(&json!({"aud": ["0"]}))?;
    let other = signers.service(&json!({}))?;
    let cookie = |token: &str| format!("theme=dark; CF_Authorization={token}; lang=de");
    let (invalid, ambiguous) = ("401 token_invalid", "400 credential_ambiguous");
    for (what, request, expected) in [
        ("the assertion", models().header(ASSERTION, &good), "200"),
        ("the CLI's header", models().header("cf-access-token", &good), "200"),
        ("the cookie", models().header("cookie", cookie(&good)), "200"),
        ("Bearer", models().bearer(&good), "200"),
        ("x-api-key", openai().header("x-api-key", &good), "200"),
        ("the query", Request::get(format!("/openai/v1/models?key={good}")), "200"),
        (
            "the assertion comes before the cookie",
            models().header(ASSERTION, &good).header("cookie", cookie(&bad)),
            "200",
        ),
        (
            "a bad assertion before a good cookie",
            models().header(ASSERTION, &bad).header("cookie", cookie(&good)),
            invalid,
        ),
        (
            "a bad assertion before a good CLI header",
            models().header(ASSERTION, &bad).header("cf-access-token", &good),
            invalid,
        ),
        (
            "a bad CLI header before a good cookie",
            models().header("cf-access-token", &bad).header("cookie", cookie(&good)),
            invalid,
        ),
        (
            "a bad assertion beside a good proxy token",
            models().header(ASSERTION, &bad).bearer(PROXY_TOKEN),
            invalid,
        ),
        (
            "a bad cookie beside a good proxy token",
            models().header("cookie", cookie(&bad)).bearer(PROXY_TOKEN),
            invalid,
        ),
        (
            "no JWT in the assertion, beside a good proxy token",
            models().header(ASSERTION, "x").bearer(PROXY_TOKEN),
            invalid,
        ),
        ("a proxy token in the assertion", models().header(ASSERTION, PROXY_TOKEN), invalid),
        (
            "a good assertion beside an SDK's key",
            models().header(ASSERTION, &good).bearer("sk-unused"),
            "200",
        ),
        ("a bad JWT as Bearer", models().bearer(&bad), invalid),
        ("a broken JWT as Bearer", models().bearer("eyJhbGciOiJSUzI1NiJ9.e30."), invalid),
        (
            "a proxy token beside an empty assertion",
            models().header(ASSERTION, "").bearer(PROXY_TOKEN),
            "200",
        ),
        ("two assertions", models().header(ASSERTION, &good).header(ASSERTION, &other), ambiguous),
        ("the same twice", models().header(ASSERTION, &good).header(ASSERTION, &good), ambiguous),
        ("two in one line", models().header(ASSERTION, format!("{good}, {other}")), ambiguous),
        ("two cookies", models().header("cookie", cookie(&good)).header("cookie", cookie(&other)), ambiguous),
        ("two Bearers", models().bearer(&good).bearer(&other), ambiguous),
        ("Vercel's header with a token of Access", models().header(VERCEL_HEADER, &good), invalid),
        ("the spelling is another name", models().header("cf_access_token", &good), "401 credential_missing"),
    ] {
        bed.expect(what, &request, expected)?;
    }
    Ok(())
}

#[test]
fn a_jwt_that_does_not_hold_is_not_looked_up_as_anything_else() -> Result<()> {
    let registry = Scripted::start(|call| {
        let wait = Duration::from_secs(2 * u64::from(call.target.contains("wait=")));
        let feed =
            Script::answer(200, r#"{"sequence":1,"history":"00000000000000aa","reset":false,"changes":[]}"#);
        let record = Script::answer(404, r#"{"code":"unknown_token"}"#);
        Script::After(wait, Box::new(if call.target.contains("changes") { feed } else { record }))
    })?;
    let (bed, signers) = start_with(&registry_policy(), |setup| setup.registry(registry.address()))?;
    let bad = signers.person(&json!({"aud": ["0"]}))?;
    for request in [models().bearer(&bad), models().header(ASSERTION, &bad), models().bearer("eyJ.eyJ.x")] {
        bed.expect("a bad JWT", &request, "401 token_invalid")?;
    }
    ensure!(registry.count("/v1/tokens/") == 0 && registry.count("/v1/users/") == 0);
    // The registry is asked neither for the JWT's digest nor for an email address that the policy knows.
    bed.expect("a good JWT", &models().bearer(&signers.person(&json!({}))?), "200")?;
    ensure!(registry.count("/v1/tokens/") == 0 && registry.count("/v1/users/") == 0);
    bed.expect("a proxy token", &models().bearer("ptk_unknown-to-the-registry"), "401 token_invalid")?;
    ensure!(registry.count("/v1/tokens/") == 1);
    Ok(())
}

#[test]
fn the_scope_is_the_issuers_and_the_persons_and_a_budget_is_the_persons_whatever_token_they_bring()
-> Result<()> {
    let (bed, signers) = start()?;
    let gemini = || Request::get("/v1beta/models");
    let of = |email: &str, jti: u64| signers.person(&json!({"email": email, "sub": email, "jti": jti}));
    let (alice, gemma) = (of("alice@example.com", 1)?, of("gemma@example.com", 1)?);
    let out = "403 provider_not_allowed";
    for (what, request, expected) in [
        ("both have it", models().header(ASSERTION, &alice), "200"),
        ("the issuer has it not", anthropic().header(ASSERTION, &alice), out),
        ("the person has it not", gemini().header(ASSERTION, &alice), out),
        ("the other way round", gemini().header(ASSERTION, &gemma), "200"),
        ("only the issuer has it", models().header(ASSERTION, &gemma), out),
        ("a service has the issuer's", gemini().header(ASSERTION, signers.service(&json!({}))?), "200"),
        ("and no more", anthropic().header(ASSERTION, signers.service(&json!({}))?), out),
        ("anybody has the issuer's", models().bearer(&signers.subject(&json!({}))?), out),
        ("a first token", models().header(ASSERTION, of("lim@example.com", 1)?), "200"),
        ("a second one of the same person", models().bearer(&of("lim@example.com", 2)?), "200"),
        (
            "a third one is one too many",
            models().header(ASSERTION, of("lim@example.com", 3)?),
            "429 rate_limited",
        ),
        ("others have a budget of their own", models().header(ASSERTION, &alice), "200"),
    ] {
        bed.expect(what, &request, expected)?;
    }
    Ok(())
}

#[test]
fn the_identity_is_told_to_the_gateway_and_to_the_access_log() -> Result<()> {
    let (bed, signers) = start()?;
    let forged = r#"{"user":"boss@example.com"}"#;
    let id = |issuer: &str, subject: &str| {
        Digest::of(format!("{issuer}\0{subject}").as_bytes()).to_hex()[..16].to_owned()
    };
    // A known person has one id, with any issuer.
    let alice = id("person", "alice@example.com");
    let robot = id("generic", "robot-7");
    let service = id("access", SERVICE);
    let cases = [
        (
            models().header(ASSERTION, signers.person(&json!({}))?),
            json!({"user": "alice@example.com", "label": "Alice A.", "id": alice}),
        ),
        (models().header(ASSERTION, signers.service(&json!({}))?), json!({"label": SERVICE, "id": service})),
        (anthropic().bearer(&signers.subject(&json!({}))?), json!({"label": "robot-7", "id": robot})),
    ];
    for (request, expected) in &cases {
        let response = bed.host.send(&request.clone().header("cf-aig-metadata", forged))?;
        ensure!(response.status == 200, "{}", response.text());
        let received = bed.standin.take().pop().context("nothing arrived")?;
        ensure!(received.header_count("cf-aig-metadata") == 1, "{received:?}");
        let metadata: Value = serde_json::from_str(received.header("cf-aig-metadata").unwrap_or_default())?;
        ensure!(metadata == *expected, "{metadata}");
    }
    for (line, (_, expected)) in bed.host.access_log(cases.len())?.iter().zip(&cases) {
        ensure!(line["principal"] == expected["id"] && line["label"] == expected["label"], "{line}");
    }
    Ok(())
}

fn registry_policy() -> Value {
    json!({"registry": Testbed::registry()})
}

#[test]
fn people_of_the_registry_are_let_in_until_they_are_taken_back_and_nobody_is_provisioned() -> Result<()> {
    let registry = Registry::start()?;
    let (bed, signers) = start_with(&registry_policy(), |setup| {
        setup
            .registry(registry.address())
            .env("KEYSWAP_REGISTRY_TOKEN", registry.registry_token())
            .concurrency(2)
    })?;
    let token = signers.person(&json!({"email": "Rita@Example.com", "sub": "rita"}))?;
    let request = models().header(ASSERTION, &token);
    let everywhere = |expected: &str| {
        // Enough connections to reach every worker.
        let answers = bed.host.burst(&vec![request.clone(); 40])?;
        Ok(answers.iter().all(|answer| answer.verdict() == expected))
    };
    bed.expect("before she is registered", &request, "403 principal_unknown")?;
    let users = registry.admin("GET", "/users", &Value::Null)?;
    ensure!(!users.to_string().contains("example.com"), "somebody was provisioned: {users}");

    let user = json!({"email": "rita@example.com", "label": "Rita", "providers": ["openai"]});
    registry.admin("POST", "/users", &user)?;
    within_five_seconds("she is registered", || everywhere("200"))?;
    let changes: [(&str, &str, Value, &str); 5] = [
        ("she is disabled", "PATCH", json!({"status": "disabled"}), "403 principal_unknown"),
        ("she is enabled", "PATCH", json!({"status": "active"}), "200"),
        ("her providers are others", "PATCH", json!({"providers": ["gemini"]}), "403 provider_not_allowed"),
        ("she has them back", "PATCH", json!({"providers": ["openai"]}), "200"),
        ("she is deleted", "DELETE", Value::Null, "403 principal_unknown"),
    ];
    for (change, method, body, expected) in changes {
        registry.admin(method, "/users/rita@example.com", &body)?;
        within_five_seconds(change, || everywhere(expected))?;
    }

    let limited = json!({
        "email": "rita@example.com", "label": "Rita", "providers": ["openai"],
        "rate_limit": {"requests": 3, "per": "1h"},
    });
    registry.admin("POST", "/users", &limited)?;
    within_five_seconds("her budget is spent", || everywhere("429 rate_limited"))?;
    let another = signers.person(&json!({"email": "rita@example.com", "sub": "rita", "jti": 2}))?;
    bed.standin.take();
    bed.expect("with another token", &models().bearer(&another), "429 rate_limited")?;
    Ok(())
}

fn within_five_seconds(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !holds()? {
        ensure!(started.elapsed() < Duration::from_secs(5), "five seconds after this: {what}");
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

#[test]
fn a_registry_that_cannot_be_asked_for_a_person_lets_nobody_in() -> Result<()> {
    let registry = Scripted::start(|_| Script::answer(500, "{}"))?;
    let (bed, signers) = start_with(&registry_policy(), |setup| setup.registry(registry.address()))?;
    let token = signers.person(&json!({"email": "rita@example.com"}))?;
    let refused =
        bed.expect("no registry", &models().header(ASSERTION, &token), "503 token_store_unavailable")?;
    ensure!(refused.header("retry-after").is_some());
    bed.expect("the policy's own", &models().header(ASSERTION, signers.person(&json!({}))?), "200")?;
    Ok(())
}

#[test]
fn identity_tokens_reach_no_upstream_and_stand_in_no_log_dump_statistic_or_refusal() -> Result<()> {
    let (bed, signers) = start_with(&json!({}), |setup| setup.filter_log_level("trace"))?;
    let accepted = [
        signers.person(&json!({}))?,
        signers.service(&json!({}))?,
        signers.deployment(&json!({}))?,
        signers.person(&json!({"jti": "in-a-cookie"}))?,
    ];
    let [person, service, deployment, in_cookie] = &accepted;
    let refused = [
        signers.person(&json!({"aud": ["0"]}))?,
        signers.person(&json!({"exp": unix_now() - 900, "nbf": null, "iat": null}))?,
        signers.person(&json!({"email": "eve@example.com"}))?,
        signers.deployment(&json!({"environment": "preview"}))?,
        SigningKey::p256("nobody-knows")?.sign(&json!({"iss": TEAM, "aud": APPLICATION}))?,
    ];
    let cookies = format!("a=b; CF_Authorization={in_cookie}; CF_AppSession=s");
    let good = [
        models().header(ASSERTION, person).header("cookie", &cookies).header(VERCEL_HEADER, deployment),
        models().header("cf-access-token", service).bearer(person),
        models().header("cookie", &cookies),
        models().header(VERCEL_HEADER, deployment),
        openai().bearer(deployment).header("x-api-key", person),
        Request::get(format!("/openai/v1/models?key={person}&a=b")),
        // One credential decides, and none is forwarded.
        openai().bearer(PROXY_TOKEN).header("x-api-key", person),
    ];
    let mut shown = Vec::new();
    for request in &good {
        let response = bed.host.send(request)?;
        ensure!(response.status == 200, "{} {}", response.verdict(), response.text());
        shown.push(("an answer", format!("{response:?}")));
    }
    let received = bed.standin.received();
    ensure!(received.len() == good.len(), "{} arrived", received.len());
    for request in &received {
        for name in ["cf-access-jwt-assertion", "cf-access-token", "cookie", VERCEL_HEADER] {
            ensure!(request.header_count(name) == 0, "`{name}` arrived: {request:?}");
        }
    }
    for token in &refused {
        for request in [
            models().header(ASSERTION, token),
            models().bearer(token),
            models().header(VERCEL_HEADER, token),
            models().header("cookie", format!("CF_Authorization={token}")),
        ] {
            let response = bed.host.send(&request)?;
            ensure!((400..500).contains(&response.status), "{}", response.verdict());
            shown.push(("a refusal", format!("{response:?} {}", response.text())));
        }
    }
    for page in
        ["/config_dump?include_eds", "/stats", "/stats/prometheus", "/clusters", "/listeners", "/server_info"]
    {
        shown.push((page, bed.host.admin(page)?));
    }
    let access_log = bed.host.access_log(good.len() + 4 * refused.len())?;
    shown.push(("the access log", access_log.iter().map(Value::to_string).collect()));
    let log = bed.host.log();
    let is_of_keyswap = log.contains("wasm log") || log.contains("[dynamic_modules]");
    ensure!(is_of_keyswap && log.contains("token_expired"), "the log has no refusals:\n{log}");
    shown.push(("Envoy's log", log));
    shown.push(("an upstream's wire", String::from_utf8_lossy(&bed.standin.wire()).into_owned()));
    for issuer in &bed.issuers {
        shown.push(("a request for keys", format!("{:?}", issuer.server().calls())));
    }
    for token in accepted.iter().chain(&refused) {
        // The signature identifies the token, and the payload identifies the caller.
        for part in token.split('.').skip(1) {
            for (place, text) in &shown {
                ensure!(!text.contains(part), "a token shows in {place}:\n{text}");
            }
        }
    }
    Ok(())
}
