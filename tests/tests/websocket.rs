//! `WebSockets` through Keyswap: the handshake is judged like any request, then every byte passes.

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{
    Refusal, Request, TOKEN, Testbed,
    clients::{
        Call, Event, Failure, Mode,
        matrix::{Provider, WS},
    },
};
use serde_json::{Value, json};

/// Returns the expected output of the program for the echoed messages.
fn echoes() -> Vec<String> {
    let every: Vec<u8> = (0..=u8::MAX).cycle().take(70_000).collect();
    [r#"{"type":"response.create"}"#, "καλημέρα \u{0} 🦀", &format!("hex:{}", hex::encode(every)), "hex:"]
        .map(str::to_owned)
        .to_vec()
}

/// A WebSocket that opens.
struct Session {
    mode: Mode,
    target: &'static str,
    arrives_at: &'static str,
    provider: Provider,
    protocol: &'static str,
    speaks_first: bool,
}

const REALTIME: &str = "/v1/realtime?model=gpt-realtime";
const LIVE: &str = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent?alt=ws";

const GOOGLE: &str = "generativelanguage.googleapis.com";

const SESSIONS: [Session; 3] = [
    Session {
        mode: Mode::Subprotocol,
        target: REALTIME,
        arrives_at: REALTIME,
        provider: Provider::OpenAi,
        protocol: "realtime",
        speaks_first: true,
    },
    Session {
        mode: Mode::Header,
        target: REALTIME,
        arrives_at: REALTIME,
        provider: Provider::OpenAi,
        protocol: "realtime",
        speaks_first: true,
    },
    Session {
        mode: Mode::Query,
        target: LIVE,
        // Google's realtime API reads its key from the query.
        arrives_at: "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent?alt=ws&key=real-gemini-key",
        provider: Provider::Gemini,
        protocol: "",
        speaks_first: false,
    },
];

#[test]
fn a_session_passes_both_ways_byte_for_byte_and_the_upstream_sees_only_the_real_credential() -> Result<()> {
    let testbed = Testbed::start()?;
    for session in &SESSIONS {
        let context = format!("{:?} {}", session.mode, session.target);
        let url = url(&testbed, session.target);
        let events = WS.run(&Call { mode: session.mode, base_url: &url, token: TOKEN, headers: &[] })?;
        let (first, rest) = events.split_first().context("the program told nothing")?;
        assert_eq!(first, &Event::Open { protocol: session.protocol.to_owned() }, "{context}");
        let (last, messages) = rest.split_last().context("the session did not end")?;
        assert_eq!(last, &Event::Done { text: "1000".to_owned() }, "{context}: {last:?}");
        let (greetings, heard): (Vec<_>, Vec<_>) =
            texts(messages).into_iter().partition(|text| text.contains("session.created"));
        assert!(heard == echoes(), "{context}: what came back differs");
        assert_eq!(greetings.len(), usize::from(session.speaks_first), "{context}");

        let request = testbed.take_last()?;
        match session.mode {
            Mode::Query => {
                assert_eq!(
                    (request.sni.as_str(), request.header("host")),
                    (GOOGLE, Some(GOOGLE)),
                    "{context}"
                );
                assert_eq!(request.credentials(), ["?key=real-gemini-key"], "{context}");
            }
            _ => session.provider.check(&request).context(context.clone())?,
        }
        assert_eq!(request.target, session.arrives_at, "{context}");
        assert_eq!(
            request.header("sec-websocket-protocol").unwrap_or_default(),
            session.protocol,
            "{context}"
        );
    }
    Ok(())
}

/// The gateway has no `/v1/realtime`: for every target of the client the provider's segment stands alone.
#[test]
fn at_the_gateway_the_segment_alone_is_the_realtime_api() -> Result<()> {
    let mut policy = Testbed::policy();
    policy["credentials"]["cf_aig"] = json!([{"env": "CF_AIG_TOKEN"}]);
    policy["gateway"] = json!({"cloudflare": {
        "account": "0123456789abcdef",
        "gateway": "prod",
        "credential": "cf_aig",
        "mode": "provider_key",
    }});
    let testbed =
        Testbed::trusting(Vec::new(), &policy, |setup| setup.env("CF_AIG_TOKEN", "real-gateway-token"))?;
    for target in ["/openai?model=gpt-realtime", REALTIME] {
        let url = url(&testbed, target);
        let events = WS.run(&Call { mode: Mode::Subprotocol, base_url: &url, token: TOKEN, headers: &[] })?;
        assert_eq!(events.first(), Some(&Event::Open { protocol: "realtime".to_owned() }));
        assert_eq!(events.last(), Some(&Event::Done { text: "1000".to_owned() }));

        let request = testbed.take_last()?;
        assert_eq!(request.target, "/v1/0123456789abcdef/prod/openai?model=gpt-realtime");
        let mut credentials = request.credentials();
        credentials.sort();
        let gateway = "cf-aig-authorization: Bearer real-gateway-token".to_owned();
        assert_eq!(credentials, [Provider::OpenAi.credential(), gateway]);
    }
    Ok(())
}

#[test]
fn a_bad_token_is_refused_before_the_101() -> Result<()> {
    let testbed = Testbed::start()?;
    for mode in [Mode::Subprotocol, Mode::Header, Mode::Query] {
        let failure = refused(&testbed, mode, "ptk_nobody-knows-0123456789abcdefghijk", &[])?;
        assert_eq!(failure.status, Some(401), "{mode:?}: {failure:?}");
        let reason = failure.headers.get("x-keyswap-reason").map(String::as_str);
        assert_eq!(reason, Some("token_invalid"), "{mode:?}");
        assert!(failure.headers.contains_key("www-authenticate"), "{mode:?}: {failure:?}");
    }
    assert_eq!(testbed.standin.received(), [], "a refused upgrade reached the upstream");
    Ok(())
}

#[test]
fn a_websocket_that_another_method_opens_is_refused_since_its_body_would_be_judged_as_frames() -> Result<()> {
    let testbed = Testbed::start()?;
    let upgrade = [("connection", "Upgrade"), ("upgrade", "WebSocket")];
    for method in ["POST", "PUT", "DELETE"] {
        let request = Request::new(method, "/openai/v1/chat/completions").bearer(TOKEN).body("\u{2}x{}");
        let request = upgrade.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let response = testbed.host.send(&request)?;
        ensure!(response.verdict() == "405 method_not_allowed", "{method}: {}", response.verdict());
        ensure!(testbed.standin.take().is_empty(), "{method}: a request arrived");
    }
    Ok(())
}

#[test]
fn an_upgrade_that_the_upstream_refuses_is_answered_in_its_words() -> Result<()> {
    let testbed = Testbed::start()?;
    let failure = refused(&testbed, Mode::Subprotocol, TOKEN, &[("x-standin-status", Some("403"))])?;
    assert_eq!(failure.status, Some(403), "{failure:?}");
    let body: Value = serde_json::from_str(&failure.message)?;
    let error = json!({
        "message": "the stand-in was asked to answer 403",
        "type": "stand_in_error",
        "param": null,
        "code": "stand_in",
    });
    assert_eq!(body, json!({ "error": error }));
    assert_eq!(failure.headers.get("x-keyswap-reason"), None);
    Provider::OpenAi.check(&testbed.take_last()?)
}

/// Google's API takes the key in the URL, which an upstream may show.
#[test]
fn an_upgrade_whose_target_held_the_key_is_refused_in_our_words() -> Result<()> {
    let testbed = Testbed::start()?;
    let shown = format!("{LIVE}&key=real-gemini-key");
    let request = Request::get(format!("{LIVE}&key={TOKEN}"))
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    for (status, expect) in [(400, 400), (429, 429), (500, 500), (302, 502), (200, 502)] {
        let (shown, body) = (shown.clone(), json!({"error": shown}));
        testbed.standin.refuse_if(move |_| {
            let headers =
                ["location", "link", "x-debug", "www-authenticate"].map(|name| (name, shown.clone()));
            Some(Refusal { status, headers: headers.to_vec(), body: body.clone() })
        });
        let answer = testbed.host.send(&request)?;
        ensure!(answer.status == expect, "{status}: {answer:?}");
        let all = format!("{:?} {}", answer.headers, answer.text());
        ensure!(all.contains("upstream_refused") && !all.contains("real-gemini-key"), "{status}: {all}");
        ensure!(testbed.take_last()?.target.contains("real-gemini-key"), "{status}");
    }
    Ok(())
}

/// The limits and the names of the account are the operator's to know.
#[test]
fn what_an_upstream_tells_of_its_account_does_not_reach_callers() -> Result<()> {
    let testbed = Testbed::start()?;
    testbed.standin.refuse_if(|_| {
        let names =
            ["x-ratelimit-remaining-tokens", "openai-organization", "anthropic-organization-id", "x-other"];
        Some(Refusal {
            status: 200,
            headers: names.map(|name| (name, "1".to_owned())).to_vec(),
            body: json!({}),
        })
    });
    let answer = testbed.host.send(&Request::get("/v1/models").bearer(TOKEN))?;
    ensure!(answer.status == 200 && answer.header("x-other") == Some("1"), "{answer:?}");
    let shown = format!("{:?}", answer.headers);
    ensure!(!shown.contains("ratelimit-remaining") && !shown.contains("organization"), "{shown}");
    Ok(())
}

fn url(testbed: &Testbed, target: &str) -> String {
    format!("ws://{}{target}", testbed.host.address())
}

fn refused(testbed: &Testbed, mode: Mode, token: &str, headers: &[(&str, Option<&str>)]) -> Result<Failure> {
    let events = WS.run(&Call { mode, base_url: &url(testbed, REALTIME), token, headers })?;
    match events.as_slice() {
        [Event::Error(failure)] => Ok(failure.clone()),
        events => anyhow::bail!("{mode:?}: no refusal but {events:?}"),
    }
}

fn texts(events: &[Event]) -> Vec<String> {
    let text = |event: &Event| if let Event::Chunk { text } = event { Some(text.clone()) } else { None };
    events.iter().filter_map(text).collect()
}
