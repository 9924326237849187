//! The cost of verifying a token with a 2048-bit RSA key in Envoy, by its own verifier (RS256) and in Wasm (PS256).
//!
//! `cargo run -p keyswap-tests --example verification_cost`
//!
//! The measure is Envoy's CPU time per request, with new tokens and with a cached one; the difference is the cost of
//! the verification. Envoy has no PSS, so PS256 with the same key is computed in Wasm.

use std::time::Duration;

use anyhow::{Result, ensure};
use keyswap_tests::{Envoy, Request, SigningKey, Standin, base64url, unix_now};
use ring::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding};
use serde_json::{Value, json};

const ROUNDS: usize = 20;
const BATCH: usize = 200;

fn main() -> Result<()> {
    let key = SigningKey::rsa(0, "rsa")?;
    let mut jwk = key.jwk();
    if let Some(members) = jwk.as_object_mut() {
        members.remove("alg");
    }
    let standin = Standin::start()?;
    let envoy = Envoy::with(&policy(&jwk)).env("OPENAI_API_KEY", "sk-real").upstream(&standin).start()?;
    let request = |name: &str, encoding: &'static dyn RsaEncoding, number: usize| -> Result<Request> {
        // The audience is wrong, so requests are refused after the verification and reach no upstream.
        let claims = json!({
            "iss": "https://id.example", "aud": "other", "sub": "robot", "jti": format!("{number:09}"),
            "exp": unix_now() + 3600,
        });
        let header = json!({"alg": name, "kid": "rsa"}).to_string();
        let text = format!("{}.{}", base64url(header), base64url(claims.to_string()));
        let signature = key.signature_in(encoding, &text)?;
        Ok(Request::get("/v1/models").bearer(&format!("{text}.{}", base64url(signature))))
    };
    let spend = |requests: &[Request]| -> Result<Duration> {
        let before = envoy.processor_time()?;
        let answers = envoy.burst(requests)?;
        ensure!(answers.iter().all(|answer| answer.status == 401));
        Ok(envoy.processor_time()?.saturating_sub(before))
    };
    let known = vec![request("RS256", &RSA_PKCS1_SHA256, 0)?; BATCH];
    spend(&known)?;
    let (mut remembered, mut native, mut in_wasm) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    for round in 1..=ROUNDS {
        let new = |name, encoding| {
            let numbers = round * BATCH..(round + 1) * BATCH;
            numbers.map(|number| request(name, encoding, number)).collect::<Result<Vec<_>>>()
        };
        native += spend(&new("RS256", &RSA_PKCS1_SHA256)?)?;
        remembered += spend(&known)?;
        in_wasm += spend(&new("PS256", &RSA_PSS_SHA256)?)?;
    }
    let each =
        |total: Duration| total.as_secs_f64() * 1e6 / f64::from(u32::try_from(ROUNDS * BATCH).unwrap_or(1));
    println!("a request with a remembered token: {:.1} us", each(remembered));
    println!("verifying RS256-2048 by Envoy's function: {:.1} us", each(native) - each(remembered));
    println!("verifying PS256-2048 in Wasm: {:.1} us", each(in_wasm) - each(remembered));
    Ok(())
}

fn policy(jwk: &Value) -> Value {
    json!({
        "version": "keyswap/v1",
        "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
        "issuers": [{
            "name": "id", "preset": "oidc", "issuer": "https://id.example", "audiences": ["keyswap"],
            "principals": "any", "algorithms": ["RS256", "PS256"], "jwks": {"inline": {"keys": [jwk]}},
        }],
    })
}
