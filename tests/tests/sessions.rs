//! Sessions on devices through a real Envoy: it verifies the JWT by the registry's published keys, and refuses it once the session
//! has ended.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{
    Envoy, Issuer, KEYSWAP, Registry, Request, Response, SigningKey, Standin, Testbed, unix_now, until, with,
};
use serde_json::{Value, json};

const ACCESS: &str = "https://acme.cloudflareaccess.com";
const PUBLIC_URL: &str = "http://127.0.0.1:7070";
const ALICE: &str = "alice@example.com";

/// Sends a form, and returns the answer.
fn post(registry: &Registry, path: &str, form: &str, access: Option<&str>) -> Result<Response> {
    let mut request = Request::new("POST", path).header("content-type", "application/x-www-form-urlencoded");
    if let Some(jwt) = access {
        request = request.header("cf-access-jwt-assertion", jwt).header("x-keyswap-client", "tests");
    }
    registry.send(&request.body(form))
}

/// Signs a device of Alice's in, and returns its tokens.
fn session(registry: &Registry, access: &str) -> Result<Value> {
    let codes = post(registry, "/oauth/device_authorization", "client_id=keyswap", None)?.json()?;
    let (device, user) = (codes["device_code"].as_str(), codes["user_code"].as_str());
    let form = format!("code={}&decision=approve", user.context("no user code")?);
    let decided = post(registry, "/admin/sessions/device", &form, Some(access))?;
    ensure!(decided.status == 200, "{}", decided.text());
    let form = format!(
        "client_id=keyswap&grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code={}",
        device.context("no device code")?
    );
    post(registry, "/oauth/token", &form, None)?.json()
}

fn jwt(tokens: &Value) -> Result<&str> {
    tokens["access_token"].as_str().context("no token")
}

#[test]
fn a_session_is_verified_offline_and_refused_once_it_has_ended() -> Result<()> {
    let key = SigningKey::rsa(0, "access")?;
    let people = Issuer::start(ACCESS, &[&key])?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("session.key");
    ensure!(Command::new(KEYSWAP.path()?).args(["policy", "keygen"]).arg(&file).output()?.status.success());
    let keys_url = format!("http://{}/certs", people.server().address());
    let registry = Registry::setup()
        .arguments(&["--access-issuer", ACCESS, "--access-audience", "a", "--access-admin", ALICE])
        .arguments(&["--access-keys-url", &keys_url, "--public-url", PUBLIC_URL])
        .arguments(&["--session-key", &file.to_string_lossy()])
        .start()?;
    registry.admin("POST", "/users", &json!({"email": ALICE, "providers": ["openai"]}))?;
    let access = key.sign(&json!({
        "iss": ACCESS, "aud": "a", "sub": "1", "email": ALICE, "type": "app", "iat": unix_now(), "exp": unix_now() + 300,
    }))?;
    let [first, second] = [session(&registry, &access)?, session(&registry, &access)?];

    let standin = Standin::start()?;
    let issuer = json!({
        "name": "sessions", "preset": "keyswap", "issuer": PUBLIC_URL, "audiences": ["keyswap"],
        "jwks": {"url": "http://registry.test/oauth/jwks", "plaintext": "trusted_network", "cluster": "keyswap-registry"},
    });
    let policy = with(&Testbed::registry_policy(), &json!({"issuers": [issuer]}));
    let envoy = Envoy::with(&policy)
        .env("OPENAI_API_KEY", "sk-real")
        .env("KEYSWAP_REGISTRY_TOKEN", registry.registry_token())
        .registry(registry.address())
        .upstream(&standin)
        .start()?;
    let (first_jwt, second_jwt) = (jwt(&first)?, jwt(&second)?);
    let ask = |jwt: &str| -> Result<u16> { Ok(envoy.send(&Request::get("/v1/models").bearer(jwt))?.status) };
    ensure!(ask(first_jwt)? == 200 && ask(second_jwt)? == 200, "{}", envoy.log());

    let token = first["refresh_token"].as_str().context("no refresh token")?;
    let revoked = post(&registry, "/oauth/revoke", &format!("client_id=keyswap&token={token}"), None)?;
    ensure!(revoked.status == 200, "{}", revoked.text());
    until("the ended session is refused", || Ok(ask(first_jwt)? == 401))?;
    ensure!(ask(second_jwt)? == 200, "the other session has ended, too");
    registry.admin("PATCH", &format!("/users/{ALICE}"), &json!({"status": "disabled"}))?;
    until("the disabled person is refused", || Ok(ask(second_jwt)? == 403))?;
    ensure!(!envoy.log().contains("eyJ") && !registry.log().contains("krt_"));
    Ok(())
}
