//! Slots of SDKs, and two credentials at once.

use keyswap_core::base::Digest;
use keyswap_core::judge::Decision;
use keyswap_core::request::RequestHead;
use serde_json::json;

use super::support::worker::{Answer, Worker, registry_policy};
use super::{OTHER, OWN, PTK, ask, bearer, judge, policy};

// Long: one row for each client.
#[test]
fn what_a_providers_sdk_sends_is_found() {
    let worker = Worker::new(&policy(&json!({})));
    let token = format!("Token {PTK}");
    for (request, lines, expect) in [
        (
            "POST /deepgram/v1/listen?model=nova-3",
            &[("authorization", &*token)][..],
            "api.deepgram.com/v1/listen?model=nova-3 authorization=Token KEY",
        ),
        (
            "POST /deepgram/v1/listen",
            &[("Authorization", &format!("token  {PTK} "))],
            "api.deepgram.com/v1/listen authorization=Token KEY",
        ),
        (
            "WS /deepgram/v1/listen",
            &[("sec-websocket-protocol", &format!("token, {PTK}"))],
            "api.deepgram.com/v1/listen authorization=Token KEY connection=upgrade upgrade=websocket",
        ),
        (
            "WS /deepgram/v1/listen",
            &[("sec-websocket-protocol", "Bearer"), ("sec-websocket-protocol", PTK)],
            "api.deepgram.com/v1/listen authorization=Token KEY connection=upgrade upgrade=websocket",
        ),
        (
            "POST /elevenlabs/v1/text-to-speech/v",
            &[("xi-api-key", PTK)],
            "api.elevenlabs.io/v1/text-to-speech/v xi-api-key=KEY",
        ),
        (
            "WS /elevenlabs/v1/text-to-speech/v/stream-input?xi-api-key=PTK&model_id=m",
            &[],
            "api.elevenlabs.io/v1/text-to-speech/v/stream-input?model_id=m connection=upgrade upgrade=websocket xi-api-key=KEY",
        ),
        (
            "POST /cartesia/tts/bytes",
            &[("x-api-key", PTK), ("cartesia-version", "1")],
            "api.cartesia.ai/tts/bytes cartesia-version=1 x-api-key=KEY",
        ),
        (
            "WS /cartesia/tts/websocket?api_key=PTK&cartesia_version=1",
            &[],
            "api.cartesia.ai/tts/websocket?cartesia_version=1 connection=upgrade upgrade=websocket x-api-key=KEY",
        ),
        (
            "WS /cartesia/tts/websocket?access_token=PTK",
            &[],
            "api.cartesia.ai/tts/websocket connection=upgrade upgrade=websocket x-api-key=KEY",
        ),
        (
            "WS /azure-openai/gpt/realtime?api-key=PTK",
            &[],
            "acme.openai.azure.com/openai/deployments/gpt/realtime api-key=KEY connection=upgrade upgrade=websocket",
        ),
        (
            "POST /v1/chat/completions",
            &[("authorization", &bearer(PTK)), ("api-key", PTK)],
            "api.openai.com/v1/chat/completions authorization=Bearer KEY",
        ),
        (
            "WS /ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateMusic",
            &[("x-goog-api-key", PTK)],
            "generativelanguage.googleapis.com/ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateMusic connection=upgrade upgrade=websocket x-goog-api-key=KEY",
        ),
        // Two in one slot, and what is no credential.
        (
            "POST /deepgram/v1/listen",
            &[("authorization", &format!("Token {PTK}, Bearer {PTK}"))],
            "credential_ambiguous",
        ),
        (
            "POST /deepgram/v1/listen",
            &[("authorization", &token), ("authorization", &token)],
            "credential_ambiguous",
        ),
        ("POST /deepgram/v1/listen", &[("authorization", &format!("Basic {PTK}"))], "credential_missing"),
        ("POST /deepgram/v1/listen", &[("authorization", &format!("Tokens {PTK}"))], "credential_missing"),
        ("WS /cartesia/tts/websocket?api_key=PTK&api-key=PTK", &[], "credential_ambiguous"),
        (
            "WS /deepgram/v1/listen",
            &[("sec-websocket-protocol", &format!("token, {PTK}, bearer, {PTK}"))],
            "credential_ambiguous",
        ),
    ] {
        assert_eq!(ask(&worker, &request.replace("PTK", PTK), lines), expect, "{request}");
    }
    let strict = Worker::new(&policy(&json!({"slots": ["authorization"]})));
    assert_eq!(
        ask(&strict, "POST /elevenlabs/v1/text-to-speech/v", &[("xi-api-key", PTK)]),
        "credential_missing"
    );
    assert_eq!(ask(&strict, &format!("GET /v1/models?api_key={PTK}"), &[]), "credential_missing");
}

#[test]
fn of_two_credentials_the_one_that_is_known_counts_whatever_the_order() {
    let worker = Worker::new(&policy(&json!({})));
    let (own, ptk, other) = (bearer(OWN), bearer(PTK), bearer(OTHER));
    let messages = "POST /v1/messages";
    let sent = "api.anthropic.com/v1/messages x-api-key=KEY";
    for (request, lines, expect) in [
        (messages, &[("authorization", &*ptk), ("x-api-key", OWN)][..], sent),
        (messages, &[("authorization", &*own), ("x-api-key", PTK)], sent),
        // The slot of the token that counts tells the provider.
        (
            "POST /v1/chat/completions",
            &[("x-api-key", OWN), ("authorization", &*ptk)],
            "api.openai.com/v1/chat/completions authorization=Bearer KEY",
        ),
        (
            "POST /v1/chat/completions?key=other-key-0000000000",
            &[("authorization", &*ptk)],
            "api.openai.com/v1/chat/completions authorization=Bearer KEY",
        ),
        // None is known, or there are more than two.
        (messages, &[("authorization", &*own), ("x-api-key", "sk-another-own-key-00000")], "token_invalid"),
        (
            messages,
            &[("x-api-key", OWN), ("api-key", "sk-another-own-key-00000"), ("authorization", &*ptk)],
            "token_invalid",
        ),
        (messages, &[("x-api-key", OWN), ("authorization", "Bearer a, Bearer b")], "credential_ambiguous"),
        // Two that are known: the first of the policy's order, as ever.
        (messages, &[("x-api-key", PTK), ("authorization", &*other)], sent),
    ] {
        assert_eq!(ask(&worker, request, lines), expect, "{lines:?}");
    }
    let one = Worker::new(&policy(&json!({"second_credential": "refuse"})));
    for (lines, expect) in [
        (&[("authorization", &*ptk), ("x-api-key", OWN)][..], "credential_ambiguous"),
        (&[("authorization", &*ptk), ("x-api-key", PTK)], sent),
        (&[("x-api-key", PTK)], sent),
    ] {
        assert_eq!(ask(&one, messages, lines), expect, "{lines:?}");
    }
}

#[test]
fn a_second_credential_costs_one_lookup_more_at_most() {
    let record = |_: &str| Answer::record(PTK, 1);
    let worker = Worker::new(&registry_policy(&json!({})));
    let (first, second) = ("unknown-token-0123456789", "another-token-0123456789");
    let service = |path: &str| {
        if path.contains(&Digest::of(PTK.as_bytes()).to_hex()) { record(path) } else { Answer::unknown() }
    };
    let ptk = bearer(PTK);
    for (lines, calls, expect) in [
        (&[("api-key", first), ("authorization", &*ptk)][..], 2, "allowed"),
        (&[("api-key", second), ("x-api-key", first), ("authorization", &*ptk)], 0, "token_invalid"),
    ] {
        let reason = |decision: &Decision<'_>, _: &RequestHead<'_>| decision.reason_code();
        assert_eq!(judge(&worker, "POST /v1/chat/completions", lines, &service, reason), expect, "{lines:?}");
        assert_eq!(worker.calls(), calls, "{lines:?}");
    }
}
