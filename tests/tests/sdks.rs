//! Unmodified SDKs: they work through Keyswap with only a base URL and a proxy token, and report refusals clearly.
//!
//! SDKs call an Envoy with the filter. Requests are checked at the upstream, answers in the program that uses the SDK.

use anyhow::{Context as _, Result};
use keyswap_tests::{
    Envoy, Received, Testbed,
    clients::{Call, Client, Event, Failure, Mode, Sdk},
};
use serde_json::{Value, json};

const TOKEN: &str = "ptk_sdk-tests-of-alice-0123456789abcdef";
const EXPIRED: &str = "ptk_sdk-tests-expired-0123456789abcdef";
const DISABLED: &str = "ptk_sdk-tests-disabled-0123456789abcde";
const GEMINI_ONLY: &str = "ptk_sdk-tests-gemini-only-0123456789abc";
const UNKNOWN: &str = "ptk_sdk-tests-unknown-0123456789abcdefg";

const OPENAI_KEY: &str = "sk-real-openai";
const ANTHROPIC_KEY: &str = "sk-real-anthropic";
const CF_AIG_TOKEN: &str = "real-gateway-token";

const GATEWAY: &str = "/v1/0123456789abcdef/prod";

fn policy() -> Value {
    json!({
        "version": "keyswap/v1",
        "tokens": [
            {
                "sha256": "8bbb4036b80c791bbb119575bc1ff0da7752fe16cd19d3fb8774b5a85ff98ce0",
                "label": "alice-laptop",
                "owner": "alice@example.com",
                "providers": ["openai", "anthropic"],
            },
            {
                "sha256": "804161c140dfe1b59fb3b8754832b60086c0e2186707919d018ac413739b92da",
                "label": "expired",
                "providers": ["openai", "anthropic"],
                "expires_at": "2020-01-01T00:00:00Z",
            },
            {
                "sha256": "3fcfee99795585a6b55c733b6cdaf5d1d6e9bdedfa2705176059ba2a33ff68ac",
                "label": "disabled",
                "providers": ["openai", "anthropic"],
                "status": "disabled",
            },
            {
                "sha256": "2043396dec441d02fa9bd665192873fc63dca39261e17ff249900d8ea12fa9a6",
                "label": "gemini-only",
                "providers": ["gemini"],
            },
        ],
        "credentials": {
            "openai": [{"env": "OPENAI_API_KEY"}],
            "anthropic": [{"env": "ANTHROPIC_API_KEY"}],
            "gemini": [{"env": "GEMINI_API_KEY"}],
            "cf_aig": [{"env": "CF_AIG_TOKEN"}],
        },
        "gateway": {"cloudflare": {
            "account": "0123456789abcdef",
            "gateway": "prod",
            "credential": "cf_aig",
            "mode": "provider_key",
            "metadata": {"user_id": "principal.email"},
        }},
    })
}

/// A successful use of an SDK, with the expected target.
struct Route {
    sdk: Sdk,
    mode: Mode,
    /// The path of the base URL, after the proxy's root.
    base_path: &'static str,
    /// The path at the gateway, without account and gateway.
    arrives_at: &'static str,
}

const fn route(sdk: Sdk, mode: Mode, base_path: &'static str, arrives_at: &'static str) -> Route {
    Route { sdk, mode, base_path, arrives_at }
}

const WHOLE_ANSWERS: [Route; 10] = [
    route(Sdk::OpenAi, Mode::Chat, "", "/openai/v1/chat/completions"),
    route(Sdk::OpenAi, Mode::Chat, "/openai", "/openai/v1/chat/completions"),
    route(Sdk::OpenAi, Mode::Responses, "", "/openai/v1/responses"),
    route(Sdk::OpenAi, Mode::Models, "", "/openai/v1/models"),
    route(Sdk::Anthropic, Mode::Chat, "", "/anthropic/v1/messages"),
    route(Sdk::Anthropic, Mode::AuthToken, "", "/anthropic/v1/messages"),
    route(Sdk::Anthropic, Mode::Models, "", "/anthropic/v1/models"),
    route(Sdk::Anthropic, Mode::Models, "/anthropic", "/anthropic/v1/models"),
    route(Sdk::AnthropicXApiKey, Mode::Chat, "", "/anthropic/v1/messages"),
    route(Sdk::AnthropicXApiKey, Mode::Models, "", "/anthropic/v1/models"),
];

const STREAMS: [Route; 4] = [
    route(Sdk::OpenAi, Mode::Stream, "", "/openai/v1/chat/completions"),
    route(Sdk::OpenAi, Mode::ResponsesStream, "", "/openai/v1/responses"),
    route(Sdk::Anthropic, Mode::Stream, "", "/anthropic/v1/messages"),
    route(Sdk::AnthropicXApiKey, Mode::Stream, "", "/anthropic/v1/messages"),
];

/// A refused use of an SDK, with the expected exception.
struct Refusal {
    token: &'static str,
    headers: &'static [(&'static str, Option<&'static str>)],
    class: &'static str,
    status: u16,
    reason: &'static str,
    message: &'static str,
    challenge: &'static str,
}

const REFUSALS: [Refusal; 5] = [
    Refusal {
        token: UNKNOWN,
        // The SDKs require a key, but can omit its header.
        headers: &[("authorization", None), ("x-api-key", None)],
        class: "AuthenticationError",
        status: 401,
        reason: "credential_missing",
        message: "missing token",
        challenge: "Bearer",
    },
    Refusal {
        token: UNKNOWN,
        headers: &[],
        class: "AuthenticationError",
        status: 401,
        reason: "token_invalid",
        message: "invalid or revoked token",
        challenge: r#"error="invalid_token""#,
    },
    Refusal {
        token: DISABLED,
        headers: &[],
        class: "AuthenticationError",
        status: 401,
        reason: "token_invalid",
        message: "invalid or revoked token",
        challenge: r#"error="invalid_token""#,
    },
    Refusal {
        token: EXPIRED,
        headers: &[],
        class: "AuthenticationError",
        status: 401,
        reason: "token_expired",
        message: "token expired",
        challenge: r#"error="invalid_token""#,
    },
    Refusal {
        token: GEMINI_ONLY,
        headers: &[],
        class: "PermissionDeniedError",
        status: 403,
        reason: "provider_not_allowed",
        message: "token not allowed for provider",
        challenge: r#"error="insufficient_scope""#,
    },
];

#[test]
fn every_client_is_answered_and_the_upstream_sees_only_the_real_credential() -> Result<()> {
    let testbed = start()?;
    for (client, route) in uses(&WHOLE_ANSWERS) {
        let base_url = format!("{}{}", testbed.host.url(), route.base_path);
        let call = Call { mode: route.mode, base_url: &base_url, token: TOKEN, headers: &[] };
        let events = client.run(&call)?;
        assert!(matches!(&*events, [Event::Done { text }] if !text.is_empty()), "{client}: {events:?}");
        assert_swapped(&testbed, client, route)?;
    }
    Ok(())
}

#[test]
fn a_stream_reaches_the_client_while_the_upstream_holds_the_rest_of_it() -> Result<()> {
    let testbed = start()?;
    for (client, route) in uses(&STREAMS) {
        let held = testbed.standin.hold();
        let call = Call { mode: route.mode, base_url: &testbed.host.url(), token: TOKEN, headers: &[] };
        let mut running = client.start(&call)?;
        let first = running.next_event()?;
        assert!(matches!(first, Some(Event::Chunk { .. })), "{client}: {first:?}");
        held.release();

        let rest = running.finish()?;
        let (last, chunks) = rest.split_last().context("the stream ended with its first event")?;
        let text: String = chunks.iter().filter_map(chunk).collect();
        assert!(!text.is_empty(), "{client}: {rest:?}");
        assert_eq!(last, &Event::Done { text }, "{client}");
        assert_swapped(&testbed, client, route)?;
    }
    Ok(())
}

#[test]
fn a_refusal_is_an_exception_that_tells_what_is_wrong() -> Result<()> {
    let testbed = start()?;
    for client in Client::ALL {
        for refusal in &REFUSALS {
            let base_url = testbed.host.url();
            let Refusal { token, headers, .. } = *refusal;
            let failure = failure(client, &Call { mode: Mode::Chat, base_url: &base_url, token, headers })?;
            assert_tells(&failure, client, refusal);
        }
    }
    assert_eq!(testbed.standin.received(), [], "refused requests reached the upstream");
    Ok(())
}

#[test]
fn a_refused_stream_is_the_same_exception() -> Result<()> {
    let testbed = start()?;
    let refusal = &REFUSALS[1];
    for client in Client::ALL {
        let base_url = testbed.host.url();
        let call = Call { mode: Mode::Stream, base_url: &base_url, token: refusal.token, headers: &[] };
        assert_tells(&failure(client, &call)?, client, refusal);
    }
    Ok(())
}

#[test]
fn an_error_of_the_upstream_passes_as_its_own() -> Result<()> {
    let testbed = start()?;
    for client in Client::ALL {
        let headers = &[("x-standin-status", Some("429"))];
        let base_url = testbed.host.url();
        let failure =
            failure(client, &Call { mode: Mode::Chat, base_url: &base_url, token: TOKEN, headers })?;
        assert_eq!((&*failure.class, failure.status), ("RateLimitError", Some(429)), "{client}");
        assert!(failure.message.contains("stand-in"), "{client}: {}", failure.message);
        assert_eq!(failure.headers.get("x-keyswap-reason"), None, "{client}");
    }
    Ok(())
}

fn start() -> Result<Testbed> {
    Testbed::with(|standin| {
        Envoy::with(&policy())
            .env("OPENAI_API_KEY", OPENAI_KEY)
            .env("ANTHROPIC_API_KEY", ANTHROPIC_KEY)
            .env("GEMINI_API_KEY", "real-gemini")
            .env("CF_AIG_TOKEN", CF_AIG_TOKEN)
            .upstream(standin)
            .start()
    })
}

/// Asserts that one request has arrived at its target, with the real credentials in place of the proxy token.
fn assert_swapped(testbed: &Testbed, client: Client, route: &Route) -> Result<()> {
    let request = testbed.standin.take_one_without(&[TOKEN]).with_context(|| client.to_string())?;
    let gateway_token = format!("cf-aig-authorization: Bearer {CF_AIG_TOKEN}");
    let (key, slot) = match client.sdk {
        Sdk::OpenAi => (OPENAI_KEY, format!("authorization: Bearer {OPENAI_KEY}")),
        Sdk::Anthropic | Sdk::AnthropicXApiKey => (ANTHROPIC_KEY, format!("x-api-key: {ANTHROPIC_KEY}")),
    };

    assert_eq!(request.sni, "gateway.ai.cloudflare.com", "{client}");
    assert_eq!(request.header("host"), Some("gateway.ai.cloudflare.com"), "{client}");
    assert_eq!(request.target, format!("{GATEWAY}{}", route.arrives_at), "{client}");
    assert_eq!(sorted(request.credentials()), sorted(vec![slot, gateway_token]), "{client}");
    assert_eq!(headers_with(key, &request), 1, "{client}: {request:?}");
    let metadata = request.header("cf-aig-metadata");
    assert_eq!(metadata, Some(r#"{"user_id":"alice@example.com"}"#), "{client}");
    Ok(())
}

/// Returns each route with each client of its SDK.
fn uses(routes: &[Route]) -> impl Iterator<Item = (Client, &Route)> {
    let with_client = |client| routes.iter().map(move |route| (client, route));
    Client::ALL.into_iter().flat_map(with_client).filter(|(client, route)| client.sdk == route.sdk)
}

fn chunk(event: &Event) -> Option<&str> {
    if let Event::Chunk { text } = event { Some(text) } else { None }
}

fn failure(client: Client, call: &Call<'_>) -> Result<Failure> {
    match &*client.run(call)? {
        [Event::Error(failure)] => Ok(failure.clone()),
        events => anyhow::bail!("{client}: no exception but {events:?}"),
    }
}

fn assert_tells(failure: &Failure, client: Client, refusal: &Refusal) {
    let context = format!("{client}, {}: {failure:?}", refusal.reason);
    assert_eq!((&*failure.class, failure.status), (refusal.class, Some(refusal.status)), "{context}");
    assert!(failure.message.contains(refusal.message), "{context}");
    assert!(!failure.message.contains(refusal.token), "{context}");
    let kind = if refusal.status == 403 { "permission_error" } else { "authentication_error" };
    assert_eq!(failure.kind.as_deref(), Some(kind), "{context}");
    // Older releases of Anthropic's SDK have no field for the code.
    if client.sdk != Sdk::AnthropicXApiKey {
        assert_eq!(failure.code.as_deref(), Some(refusal.reason), "{context}");
    }
    let header = |name| failure.headers.get(name).map_or("", String::as_str);
    assert_eq!(header("x-keyswap-reason"), refusal.reason, "{context}");
    assert!(header("www-authenticate").starts_with("Bearer "), "{context}");
    assert!(header("www-authenticate").contains(refusal.challenge), "{context}");
}

fn headers_with(secret: &str, request: &Received) -> usize {
    let holds = |value: &[u8]| value.windows(secret.len()).any(|window| window == secret.as_bytes());
    request.headers.iter().filter(|(_, value)| holds(value)).count()
}

fn sorted(mut list: Vec<String>) -> Vec<String> {
    list.sort();
    list
}
