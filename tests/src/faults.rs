//! The faults of a service, the same for every host that calls it.

use serde_json::{Value, json};

use crate::scripted::{Script, Scripted};

/// Returns the faults of a registry, each with a name. `lie` is the record of a token with another digest.
pub fn of_registry(digest: &str, lie: &[u8]) -> Vec<(&'static str, Script)> {
    let redirect = vec![("location", format!("http://attacker.test/v1/tokens/{digest}"))];
    vec![
        ("it closes connections", Script::Close),
        ("it hangs", Script::Hang),
        ("it drips", Script::Drip),
        ("it fails", Script::answer(500, "{}")),
        ("it has too much to do", Script::answer(429, "{}")),
        ("our credential is wrong", Script::answer(401, "{}")),
        ("it answers no JSON", Script::answer(200, "<html>")),
        ("it answers nothing", Script::answer(204, "")),
        ("its answer is cut off", Script::CutOff),
        ("its answer has 50 MB", Script::answer(200, vec![b' '; 50_000_000])),
        ("it redirects", Script::Answer(302, redirect, Vec::new())),
        ("it answers for another token", Script::answer(200, lie)),
    ]
}

/// Returns a fault of each kind among those of a registry: of the connection, of time, of the status, of what comes. They are for
/// releases of hosts on which not all need to run.
///
/// # Panics
/// The faults have other names.
pub fn of_each_kind(faults: Vec<(&'static str, Script)>) -> Vec<(&'static str, Script)> {
    const KINDS: [&str; 5] =
        ["it closes connections", "it hangs", "it fails", "its answer is cut off", "it answers no JSON"];
    let chosen: Vec<_> = faults.into_iter().filter(|(name, _)| KINDS.contains(name)).collect();
    assert_eq!(chosen.len(), KINDS.len(), "the faults have other names");
    chosen
}

/// Returns the faults of an issuer, each with a name. `attacker` must never be called.
pub fn of_issuer(attacker: &Scripted) -> Vec<(&'static str, Script)> {
    let too_many: Vec<Value> = (0..100_000)
        .map(|number| json!({"kty": "RSA", "kid": format!("k{number}"), "n": "AQAB", "e": "AQAB"}))
        .collect();
    let redirect = vec![("location", format!("http://{}/jwks", attacker.address()))];
    vec![
        ("closes", Script::Close),
        ("hangs", Script::Hang),
        ("drips", Script::Drip),
        ("fails", Script::answer(500, "{}")),
        ("is-busy", Script::answer(429, "{}")),
        ("knows-nothing", Script::answer(404, "{}")),
        ("answers-nothing", Script::answer(204, "")),
        ("answers-html", Script::answer(200, "<html>")),
        ("answers-a-list", Script::answer(200, "[]")),
        ("repeats-a-member", Script::answer(200, r#"{"keys":[],"keys":[]}"#)),
        ("cuts-off", Script::CutOff),
        ("has-too-many-keys", Script::answer(200, json!({"keys": too_many}).to_string())),
        ("pads", Script::answer(200, format!(r#"{{"keys":[]{}}}"#, " ".repeat(300 * 1024)))),
        ("redirects", Script::Answer(302, redirect, Vec::new())),
    ]
}
