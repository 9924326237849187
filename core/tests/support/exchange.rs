//! Policies that exchange the identities of callers, and requests by these policies.

use keyswap_core::base::Moment;
use keyswap_core::host::MemoryStore;
use keyswap_core::judge::{Decision, Verdict};
use keyswap_core::request::{Header, RequestHead};
use serde_json::{Value, json};

use super::worker::{Answer, Worker};
use super::{NOW, Signer, claims, oidc, with};

/// Returns a policy that lets every subject of an issuer call one provider, with the credential of this chain.
pub(crate) fn policy(signer: &Signer, chain: &Value) -> Value {
    let issuer = with(&oidc(&json!([signer.jwk()])), &json!({"principals": "any", "slots": ["header:x-id"]}));
    json!({"version": "keyswap/v1", "issuers": [issuer], "credentials": {"openai": chain}})
}

pub(crate) fn jwt(signer: &Signer, subject: &str) -> String {
    signer.sign(&with(
        &claims(),
        &json!({"sub": subject, "exp": NOW + 10_000, "team": {"account": format!("sa-{subject}")}}),
    ))
}

pub(crate) fn given(token: &str, seconds: u64) -> Answer {
    Answer(200, json!({"access_token": token, "expires_in": seconds}).to_string())
}

/// Returns the credential that is forwarded, or the reason why nothing is.
pub(crate) fn carried(decision: &Decision<'_>) -> String {
    let Verdict::Forward(rewrite) = &decision.verdict else { return decision.reason_code().to_owned() };
    let set = rewrite.set.iter().find(|(name, _)| *name == "authorization");
    set.map_or("nothing".to_owned(), |(_, value)| String::from_utf8_lossy(value).into_owned())
}

pub(crate) fn ask(worker: &Worker, jwt: &str, now: Moment, service: &dyn Fn(&str) -> Answer) -> String {
    let headers = [Header { name: b"x-id", value: jwt.as_bytes() }];
    let head = RequestHead::new(b"POST", b"/v1/chat/completions", &headers);
    worker.decide(&MemoryStore::default(), &head, now, service, carried)
}
