//! An `OpenID` provider, found by discovery: its tokens are accepted before and after its keys rotate.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use keyswap_core::base::Digest;
use keyswap_tests::{Envoy, OidcProvider, Request, Standin};
use serde_json::json;

const ISSUER: &str = "https://id.example";
const AUDIENCE: &str = "https://keyswap.example";

#[test]
fn tokens_of_a_real_provider_pass_within_one_fetch_of_a_rotation_and_until_their_key_leaves() -> Result<()> {
    let mut provider = OidcProvider::start(ISSUER, AUDIENCE)?;
    let standin = Standin::start()?;
    let policy = json!({
        "version": "keyswap/v1",
        "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
        "issuers": [{
            "name": "id", "preset": "oidc", "issuer": ISSUER, "audiences": [AUDIENCE], "principals": "any",
            "providers": ["openai"], "jwks": {"cache_duration": "3s", "refetch_cooldown": "1s"},
        }],
    });
    let envoy = Envoy::with(&policy)
        .env("OPENAI_API_KEY", "sk-real")
        .upstream(&standin)
        .cluster("id.example", provider.address())
        .start()?;
    let status =
        |token: &str| envoy.send(&Request::get("/v1/models").bearer(token)).map(|answer| answer.status);

    let old = provider.token()?;
    ensure!(status(&old)? == 200, "the first token was refused:\n{}", envoy.last_lines());
    ensure!(standin.take().iter().all(|request| !request.contains(&old)));
    provider.rotate()?;
    let new = provider.token()?;
    // The first request with the new key waits for the fetch of the set.
    ensure!(status(&new)? == 200, "a token of the new key was refused");
    ensure!(status(&old)? == 200, "a token of the old key was refused while it was published");
    provider.retire()?;
    let started = Instant::now();
    while status(&old)? != 401 {
        ensure!(started.elapsed() < Duration::from_secs(10), "the old key is still good");
        ensure!(status(&new)? == 200);
        thread::sleep(Duration::from_millis(50));
    }
    ensure!(status(&new)? == 200 && status(&provider.token()?)? == 200);

    let (text, signature) = new.rsplit_once('.').unwrap_or_default();
    let other = old.rsplit_once('.').unwrap_or_default().1;
    ensure!(
        status(&format!("{text}.{other}"))? == 401,
        "a signature of another token was taken: {signature}"
    );
    let robot = Digest::of(b"id\0robot").to_hex();
    for line in envoy.access_log(2)?.iter().take(2) {
        ensure!(line["label"] == "robot" && line["principal"] == robot[..16], "{line}");
    }
    Ok(())
}
