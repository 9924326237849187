//! Channels of the data plane without TLS: where they are refused, and where the policy allows them.

use keyswap_core::base::UnixTime;
use keyswap_core::policy::{Configuration, Lint};
use serde_json::{Value, json};

const EXPOSED: &str = "expected `https://`: without TLS, others on the network could read and replace what is sent; \
                       where a mesh encrypts it, say `plaintext: trusted_network`";
const NEEDLESS: &str = "the address has TLS or does not leave the machine: remove this";

/// Returns documents with the members of one channel, each with the place of the channel and of its address.
fn documents(channel: &Value) -> Vec<(Value, &'static str, &'static str)> {
    let policy = |name: &str, member: Value| {
        let mut policy = json!({"version": "keyswap/v1", "credentials": {"openai": [{"env": "A"}]}});
        policy[name] = member;
        policy
    };
    let with = |more: Value| {
        let mut all = channel.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let issuer = |issuer: &str, jwks: Value| {
        json!([{"name": "i", "preset": "oidc", "issuer": issuer, "audiences": ["a"], "principals": "any",
                "providers": ["openai"], "jwks": jwks}])
    };
    let mut by_issuer = channel.clone();
    let address = by_issuer.as_object_mut().unwrap().remove("url").unwrap();
    let keys = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "alg": "EdDSA",
                                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]});
    vec![
        (policy("registry", with(json!({"credential": {"env": "R"}}))), "registry", "registry.url"),
        (
            policy("credentials", json!({"openai": [{"http": with(json!({"max_age": "1m"}))}]})),
            "credentials.openai[0].http",
            "credentials.openai[0].http.url",
        ),
        (
            policy("issuers", issuer("https://id.example", with(json!({})))),
            "issuers[0].jwks",
            "issuers[0].jwks.url",
        ),
        // The address of the keys follows from the issuer's.
        (
            policy("issuers", issuer(address.as_str().unwrap(), by_issuer)),
            "issuers[0].jwks",
            "issuers[0].issuer",
        ),
        (
            with(
                json!({"version": "keyswap-bundle/v1", "credential": {"env": "R"}, "name": "prod", "keys": keys}),
            ),
            "",
            "url",
        ),
    ]
}

fn read(document: &Value) -> Result<Configuration, String> {
    Configuration::from_json(document.to_string().as_bytes()).map_err(|errors| errors.to_string())
}

fn within(place: &str) -> String {
    if place.is_empty() { "plaintext".to_owned() } else { format!("{place}.plaintext") }
}

#[test]
fn http_beyond_the_machine_is_an_error_unless_the_network_is_trusted() {
    for url in ["http://server.example", "http://10.0.0.1:7070", "http://server", "http://[fd00::1]:7070"] {
        for (document, _, address) in documents(&json!({"url": url})) {
            assert_eq!(
                read(&document).unwrap_err(),
                format!("error at `{address}`: {EXPOSED}"),
                "{document}"
            );
        }
        for (document, place, _) in documents(&json!({"url": url, "plaintext": "trusted_network"})) {
            let findings = read(&document).unwrap().lint(UnixTime(0));
            let channels = findings.iter().filter(|finding| finding.lint == Lint::PlaintextChannel);
            let places: Vec<String> = channels.map(|finding| finding.path.clone()).collect();
            assert_eq!(places, [within(place)], "{document}");
        }
    }
}

#[test]
fn tls_and_addresses_of_the_machine_need_no_word_and_take_none() {
    for url in
        ["https://server.example", "http://127.0.0.1:7070", "http://localhost:7070", "http://[::1]:7070"]
    {
        for (document, ..) in documents(&json!({"url": url})) {
            let findings = read(&document).unwrap().lint(UnixTime(0));
            assert!(findings.iter().all(|finding| finding.lint != Lint::PlaintextChannel), "{document}");
        }
        for (document, place, _) in documents(&json!({"url": url, "plaintext": "trusted_network"})) {
            let error = format!("error at `{}`: {NEEDLESS}", within(place));
            assert_eq!(read(&document).unwrap_err(), error, "{document}");
        }
    }
}

#[test]
fn only_the_one_word_allows_it() {
    for word in [json!(true), json!("yes"), json!(null), json!("")] {
        for (document, place, _) in documents(&json!({"url": "http://server.example", "plaintext": word})) {
            let error = format!("error at `{}`: expected `trusted_network`", within(place));
            assert_eq!(read(&document).unwrap_err(), error, "{document}");
        }
    }
}
