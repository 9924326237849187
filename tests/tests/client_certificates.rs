//! Client certificates in a real Envoy, by the filter and by the module: identities, bound tokens, and what a listener must do.

use anyhow::{Result, ensure};
use keyswap_core::base::Digest;
use keyswap_tests::{Authority, Envoy, Pair, Request, Setup, Standin, TOKEN, TlsClient};
use serde_json::{Value, json};

const CODER: &str = "spiffe://example.org/ns/agents/sa/coder";
const OTHER: &str = "spiffe://example.com/ns/agents/sa/coder";
const BOUND: &str = "ptk_bound-0123456789";

const MISSING: &str = "401 credential_missing";
const INVALID: &str = "401 token_invalid";

/// Returns a policy in which `own` is the certificate that a token is bound to.
fn policy(own: &Pair) -> Result<Value> {
    let token = |token: &str| json!({"sha256": Digest::of(token.as_bytes()).to_hex(), "label": "t", "providers": ["openai"]});
    let mut bound = token(BOUND);
    bound["certificate_sha256"] = json!(own.sha256()?.to_hex());
    Ok(json!({
        "version": "keyswap/v1",
        "tokens": [token(TOKEN), bound],
        "client_certificates": [
            {"name": "mesh", "trust_domain": "example.org", "rules": [
                {"when": {"namespace": ["agents"]}, "providers": ["openai"], "label": {"claim": "service_account"}},
            ]},
            {"name": "lab", "dns_names": ["*.lab.example"], "providers": ["openai"]},
        ],
        "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
    }))
}

/// Gives the listener a certificate. `validation` says how it verifies those of clients.
fn tls(bootstrap: &mut Value, server: &Pair, validation: &Value, resumes: bool) {
    let text = |text: &str| json!({"inline_string": text});
    bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["transport_socket"] = json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "disable_stateless_session_resumption": !resumes,
            "disable_stateful_session_resumption": !resumes,
            "common_tls_context": {
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_certificates": [{"certificate_chain": text(&server.certificate), "private_key": text(&server.key)}],
                "validation_context": validation,
            },
        },
    });
}

/// Tells the module whether the listener verified a certificate, as the book says.
fn tell_module(bootstrap: &mut Value) {
    let filters = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters";
    let teller = json!({
        "name": "certificates",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.set_filter_state.v3.Config",
            "on_request_headers": [{
                "object_key": "keyswap.certificate_is_verified",
                "factory_key": "envoy.string",
                "format_string": {"text_format_source": {"inline_string": "%CEL(connection.peer_certificate_valid)%"}},
            }],
        },
    });
    bootstrap.pointer_mut(filters).and_then(Value::as_array_mut).unwrap().insert(0, teller);
}

/// The filter and the module, each in an Envoy with this policy.
fn hosts(
    policy: &Value,
    standin: &Standin,
    tweak: impl Fn(&mut Value),
) -> Result<Vec<(&'static str, Envoy)>> {
    let start = |setup: Setup| setup.env("OPENAI_API_KEY", "sk-real").upstream(standin).tweak(&tweak).start();
    Ok(vec![
        ("filter", start(Envoy::with(policy))?),
        ("module", start(Envoy::with(policy).native().tweak(tell_module))?),
    ])
}

#[test]
fn a_certificate_is_an_identity_and_a_token_may_be_bound_to_one() -> Result<()> {
    let (authority, standin) = (Authority::new()?, Standin::start()?);
    let coder = authority.workload(&[CODER], &[])?;
    let trusted = json!({"trusted_ca": {"inline_string": authority.pem()}});
    let server = authority.server()?;
    let envoys = hosts(&policy(&coder)?, &standin, |it| tls(it, &server, &trusted, false))?;
    let get = || Request::get("/v1/models");
    let xfcc = format!("Hash={};URI={CODER}", coder.sha256()?.to_hex());
    let forged = get().header("x-forwarded-client-cert", &xfcc);
    let other = authority.workload(&[OTHER], &[])?;
    for (host, envoy) in &envoys {
        for (what, pair, request, expect) in [
            ("a workload", Some(&coder), get(), "200"),
            ("a placeholder for a key", Some(&coder), get().bearer("client-certificate"), "200"),
            ("another trust domain", Some(&other), get(), MISSING),
            (
                "another namespace",
                Some(&authority.workload(&["spiffe://example.org/ns/x/sa/coder"], &[])?),
                get(),
                "403 principal_unknown",
            ),
            ("a machine by DNS name", Some(&authority.workload(&[], &["a.lab.example"])?), get(), "200"),
            ("another machine", Some(&authority.workload(&[], &["a.example"])?), get(), MISSING),
            ("a certificate without names that count", Some(&authority.client()?), get(), MISSING),
            // Envoy shows the first URI only.
            ("two URIs, another's first", Some(&authority.workload(&[OTHER, CODER], &[])?), get(), MISSING),
            ("no certificate", None, get(), MISSING),
            ("a forged header, no certificate", None, forged.clone(), MISSING),
            ("a forged header, another certificate", Some(&other), forged.clone(), MISSING),
            ("a token", None, get().bearer(TOKEN), "200"),
            ("a token that is not known", Some(&coder), get().bearer("ptk_unknown-0123456789"), INVALID),
            ("a bound token", Some(&coder), get().bearer(BOUND), "200"),
            ("a bound token, another certificate", Some(&other), get().bearer(BOUND), INVALID),
            ("a bound token, no certificate", None, get().bearer(BOUND), INVALID),
            ("a bound token, a forged header", None, forged.clone().bearer(BOUND), INVALID),
        ] {
            standin.take();
            let answer = TlsClient::new(&authority, pair, false)?.send(envoy.address(), &request)?;
            ensure!(answer.verdict() == expect, "{host}, {what}: {}", answer.verdict());
            let received = standin.take();
            let keys: Vec<_> =
                received.iter().map(|it| it.header("authorization").unwrap_or_default()).collect();
            let expect = if expect == "200" { &["Bearer sk-real"][..] } else { &[] };
            ensure!(keys == expect, "{host}, {what}: {keys:?}");
        }
        let stranger = Authority::new()?.workload(&[CODER], &[])?;
        let answer = TlsClient::new(&authority, Some(&stranger), false)?.send(envoy.address(), &get());
        ensure!(answer.is_err(), "{host}: a certificate of another authority");
    }
    Ok(())
}

#[test]
fn requests_of_one_connection_are_judged_one_by_one() -> Result<()> {
    let (authority, standin) = (Authority::new()?, Standin::start()?);
    let coder = authority.workload(&[CODER], &[])?;
    let trusted = json!({"trusted_ca": {"inline_string": authority.pem()}});
    let server = authority.server()?;
    let envoys = hosts(&policy(&coder)?, &standin, |it| tls(it, &server, &trusted, false))?;
    let get = || Request::get("/v1/models");
    for (host, envoy) in &envoys {
        for is_http2 in [false, true] {
            let mut own = TlsClient::new(&authority, Some(&coder), is_http2)?.connect(envoy.address())?;
            let mut none = TlsClient::new(&authority, None, is_http2)?.connect(envoy.address())?;
            for (request, with, without) in [
                (get(), "200", MISSING),
                (get().bearer(BOUND), "200", INVALID),
                (get().bearer(TOKEN), "200", "200"),
                (get().bearer("ptk_unknown-0123456789"), INVALID, INVALID),
                (get(), "200", MISSING),
            ] {
                for (connection, expect) in [(&mut own, with), (&mut none, without)] {
                    let verdict = connection.send(&request)?.verdict();
                    ensure!(verdict == expect, "{host}, HTTP/2 {is_http2}: {verdict}, not {expect}");
                }
            }
        }
    }
    Ok(())
}

#[test]
fn a_certificate_that_the_listener_did_not_verify_binds_a_token_and_names_no_caller() -> Result<()> {
    let (authority, strangers, standin) = (Authority::new()?, Authority::new()?, Standin::start()?);
    let own = strangers.workload(&[CODER], &[])?;
    let untrusted = json!({
        "trusted_ca": {"inline_string": authority.pem()}, "trust_chain_verification": "ACCEPT_UNTRUSTED",
    });
    let server = authority.server()?;
    let envoys = hosts(&policy(&own)?, &standin, |it| tls(it, &server, &untrusted, false))?;
    let untold = Envoy::with(&policy(&own)?).native().env("OPENAI_API_KEY", "sk-real").upstream(&standin);
    let trusted = json!({"trusted_ca": {"inline_string": strangers.pem()}});
    let untold = untold.tweak(|it| tls(it, &server, &trusted, false)).start()?;
    for (host, envoy) in envoys.iter().chain([&("module that is told nothing", untold)]) {
        let client = TlsClient::new(&authority, Some(&own), false)?;
        let ask =
            |request: Request| Ok::<_, anyhow::Error>(client.send(envoy.address(), &request)?.verdict());
        let bound = ask(Request::get("/v1/models").bearer(BOUND))?;
        ensure!(bound == "200", "{host}: {bound}");
        let named = ask(Request::get("/v1/models"))?;
        ensure!(named == MISSING, "{host}: {named}");
    }
    Ok(())
}

#[test]
fn a_resumed_session_names_no_caller_since_nothing_was_verified_in_it() -> Result<()> {
    let (authority, standin) = (Authority::new()?, Standin::start()?);
    let coder = authority.workload(&[CODER], &[])?;
    let trusted = json!({"trusted_ca": {"inline_string": authority.pem()}});
    let server = authority.server()?;
    let envoys = hosts(&policy(&coder)?, &standin, |it| tls(it, &server, &trusted, true))?;
    for (host, envoy) in &envoys {
        let client = TlsClient::new(&authority, Some(&coder), false)?;
        let ask =
            |request: Request| Ok::<_, anyhow::Error>(client.send(envoy.address(), &request)?.verdict());
        let verdicts = [
            ask(Request::get("/v1/models"))?,
            ask(Request::get("/v1/models"))?,
            ask(Request::get("/v1/models").bearer(BOUND))?,
        ];
        ensure!(verdicts == ["200", MISSING, "200"], "{host}: {verdicts:?}");
    }
    Ok(())
}
