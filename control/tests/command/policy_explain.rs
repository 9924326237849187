//! `policy explain`: the decision, every check, and never a credential.

use serde_json::{Value, json};

use crate::support::{Folder, Run, THEN, TOKEN, assert_only_text, keyswap, keyswap_with, policy};

/// Explains a request under the usual policy, at a time when the token is valid.
fn explain(request: impl AsRef<[u8]>, more: &[&str]) -> Run {
    let folder = Folder::new();
    let (policy, request) = (folder.file("policy.yaml", policy("")), folder.file("request.txt", request));
    let args = ["policy", "explain", &policy, &request, "--at", THEN];
    keyswap(&[&args[..], more].concat())
}

fn explain_as_json(request: impl AsRef<[u8]>) -> (i32, Value) {
    let run = explain(request, &["--format", "json"]);
    (run.code, run.json())
}

fn chat(headers: &str) -> String {
    format!("POST /v1/chat/completions HTTP/1.1\nHost: llm.acme.example\n{headers}\n")
}

#[test]
fn a_forwarded_request_shows_what_is_sent_in_its_place() {
    let run = explain(chat(&format!("Authorization: Bearer {TOKEN}")), &[]);
    let expect = "\
forward: allowed
  route      ok       the path can be read in one way only
  route      ok       the provider is `openai`: its SDKs use the slot `authorization`
  extract    ok       the slot `authorization` holds a credential
  verify     ok       the token is valid until 2027-06-30T00:00:00Z
  scope      ok       the token is for `openai`, and for endpoints of the class `inference`
  credential ok       the credential `openai` is there
  credential ok       the credential `cf_aig` is there
  rewrite    ok       forwarded to `gateway.ai.cloudflare.com` with its own credential
provider: openai
class of the endpoint: inference
principal: PRINCIPAL, label alice-laptop, email alice@acme.example
judged at: 2026-06-30T00:00:00Z
forwarded as:
  authority: gateway.ai.cloudflare.com
  path: /v1/0123456789abcdef/prod/openai/v1/chat/completions
  remove Authorization
  set authorization: Bearer <OPENAI_API_KEY>
  set cf-aig-authorization: Bearer <CF_AIG_TOKEN>
  set cf-aig-metadata: {\"token\":\"alice-laptop\",\"user_id\":\"alice@acme.example\"}
";
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{}", run.all());
    assert_eq!(run.stdout, expect.replace("PRINCIPAL", &crate::support::DIGEST[..16]));
}

#[test]
fn a_refused_request_shows_the_reply() {
    let run = explain(chat("Authorization: Basic eA=="), &[]);
    let expect = r#"reply: credential_missing
  route      ok       the path can be read in one way only
  route      ok       the provider is `openai`: nothing names another
  extract    refused  no auth slot holds a credential
provider: openai
judged at: 2026-06-30T00:00:00Z
answered with:
  status: 401
  content-type: application/json
  cache-control: no-store
  x-keyswap-reason: credential_missing
  www-authenticate: Bearer realm="keyswap"
  {"error":"#;
    assert_eq!((run.code, run.stderr.as_str()), (2, ""));
    assert!(run.stdout.starts_with(expect), "{}", run.stdout);
}

#[test]
fn json_output_has_the_same_as_data() {
    let (code, forward) =
        explain_as_json(chat(&format!("x-api-key: {TOKEN}\nX-Unknown: 1")).replace("chat", "x"));
    assert_eq!(
        (code, &forward["verdict"], &forward["reason"]),
        (2, &json!("reply"), &json!("provider_not_allowed"))
    );
    assert_eq!(forward["reply"]["status"], json!(403));
    assert_eq!(forward["principal"]["email"], json!("alice@acme.example"));
    assert_eq!(
        forward["checks"].as_array().and_then(|checks| checks.last()),
        Some(&json!({"stage": "scope", "passed": false, "message": "the token is not for `anthropic`"}))
    );

    let (code, forward) = explain_as_json(chat(&format!("Authorization: Bearer {TOKEN}\nCookie: a=b")));
    assert_eq!((code, &forward["verdict"], &forward["reason"]), (0, &json!("forward"), &json!("allowed")));
    assert_eq!(forward["judged_at"], json!(THEN));
    assert_eq!(forward["forward"]["remove"], json!(["Authorization", "Cookie"]));
    assert_eq!(
        forward["forward"]["set"][0],
        json!({"name": "authorization", "value": "Bearer <OPENAI_API_KEY>"})
    );
}

#[test]
fn the_reason_and_the_exit_code_follow_the_decision() {
    let with = |target: &str| format!("GET {target} HTTP/1.1\nAuthorization: Bearer {TOKEN}\n");
    let cases = [
        (with("/v1/models"), 0, "allowed"),
        (with("/v1/messages"), 2, "provider_not_allowed"),
        (with("/v1/../models"), 2, "path_invalid"),
        (with("*"), 2, "path_invalid"),
        (with("/v1/models").replace("GET", "TRACE"), 2, "method_not_allowed"),
        ("CONNECT gateway.ai.cloudflare.com:443 HTTP/1.1\n".to_owned(), 2, "method_not_allowed"),
        ("GET /v1/models HTTP/1.1\nx-api-key: a\nx-api-key: b\n".to_owned(), 2, "credential_ambiguous"),
        ("GET /v1/models HTTP/1.1\nAuthorization: Bearer nobody\n".to_owned(), 2, "token_invalid"),
        ("GET /v1/models HTTP/1.1".to_owned(), 2, "credential_missing"),
    ];
    for (request, code, reason) in cases {
        let (actual, explanation) = explain_as_json(&request);
        assert_eq!((actual, &explanation["reason"]), (code, &json!(reason)), "{request}");
    }
}

#[test]
fn the_time_decides_over_expiry() {
    let request = chat(&format!("Authorization: Bearer {TOKEN}"));
    let folder = Folder::new();
    let (policy, request) = (folder.file("policy.yaml", policy("")), folder.file("request.txt", request));
    let at = |time: &str| keyswap(&["policy", "explain", &policy, &request, "--at", time]);
    assert_eq!(at("2027-06-30T01:59:59+02:00").code, 0);
    let run = at("2027-06-30T00:00:00Z");
    assert_eq!(run.code, 2);
    assert!(
        run.stdout.contains("verify     refused  the token expired at 2027-06-30T00:00:00Z"),
        "{}",
        run.stdout
    );
    for time in ["", "now", "2027-06-30", "2027-06-30T00:00:00"] {
        let run = at(time);
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{time}");
        assert!(
            run.stderr.starts_with(&format!("error: invalid time `{time}`: expected ")),
            "{}",
            run.stderr
        );
    }
}

#[test]
fn line_ends_a_missing_empty_line_and_a_body_make_no_difference() {
    let head = format!("POST /v1/chat/completions HTTP/1.1\nHost: x\nAuthorization: Bearer {TOKEN}");
    let crlf = head.replace('\n', "\r\n");
    let (_, expect) = explain_as_json(&head);
    for request in [
        format!("{head}\n"),
        format!("{head}\n\n"),
        format!("\n{head}\n"),
        format!("{crlf}\r\n\r\n"),
        format!("{crlf}\r\n\r\n{{\"model\": \"gpt\"}}\nnot: a header\n\0"),
    ] {
        assert_eq!(explain_as_json(&request), (0, expect.clone()), "{request}");
    }
}

#[test]
fn a_head_that_is_none_is_told_by_its_line_without_repeating_it() {
    let good = "GET /v1/models HTTP/1.1\n";
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (b"".to_vec(), "error: the request is empty: "),
        (b"\r\n\n".to_vec(), "error: the request is empty: "),
        (format!("{TOKEN}\n").into(), "error: line 1 of the request is not a request line: "),
        (
            format!("GET  HTTP/1.1\nx-api-key: {TOKEN}\n").into(),
            "error: line 1 of the request is not a request line",
        ),
        (format!("GET /{TOKEN}\nHost: x\n").into(), "error: line 1 of the request is not a request line: "),
        (
            format!("GET /{TOKEN} HTTP/2\nHost: x\n").into(),
            "error: line 1 of the request is not a request line: ",
        ),
        (b"GET /v1/\xff HTTP/1.1\n".to_vec(), "error: line 1 of the request is not a request line: "),
        (format!("\n\n{TOKEN}\n").into(), "error: line 3 of the request is not a request line: "),
        (format!("{good}Host: x\n{TOKEN}\nA: b\n").into(), "error: line 3 of the request is not a header: "),
        (format!("{good}x-api-key : {TOKEN}\n").into(), "error: line 2 of the request is not a header: "),
        (format!("{good}:authority: {TOKEN}\n").into(), "error: line 2 of the request is not a header: "),
        (format!("{good}Host: x\n {TOKEN}\n").into(), "error: line 3 of the request is not a header: "),
        (
            format!("{good}A: b\nC: {TOKEN}\0\n").into(),
            "error: line 3 of the request has a control character",
        ),
        (format!("{good}A: {TOKEN}\rB: c\n").into(), "error: line 2 of the request has a "),
    ];
    for (request, expect) in cases {
        for format in ["human", "json"] {
            let run = explain(&request, &["--format", format]);
            assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{expect}");
            assert!(run.stderr.starts_with(expect), "{expect}: {}", run.stderr);
            assert!(!run.stderr.contains("SENTINEL"), "{}", run.stderr);
            assert_eq!(run.stderr.lines().count(), 1);
        }
    }
}

#[test]
fn any_number_of_headers_and_any_byte_in_a_value_end_in_an_orderly_answer() {
    let many: String = (0..1000).map(|n| format!("x-{n}: {n}\n")).collect::<Vec<_>>().concat();
    assert_eq!(explain(chat(&format!("Authorization: Bearer {TOKEN}\n{many}")), &[]).code, 0);
    let token = |byte| [b"GET /v1/models HTTP/1.1\nAuthorization: Bearer a", &[byte][..], b"b\n"].concat();
    let other = |byte| {
        [b"GET /v1/models HTTP/1.1\nx-a: a", &[byte][..], b"b\nAuthorization: Bearer ", TOKEN.as_bytes()]
            .concat()
    };
    for byte in 0..=u8::MAX {
        let is_control = matches!(byte, 0..=8 | 10..=31 | 127);
        let codes = (explain(token(byte), &[]).code, explain(other(byte), &[]).code);
        assert_eq!(codes, if is_control { (1, 1) } else { (2, 0) }, "byte {byte:#x}");
    }
    let huge = explain(vec![b'x'; 2 << 20], &[]);
    assert_eq!(huge.code, 1);
    assert!(huge.stderr.contains("is larger than 262144 bytes"), "{}", huge.stderr);
}

#[test]
fn the_token_is_shown_nowhere_wherever_the_caller_put_it() {
    let everywhere = format!(
        "GET /v1/{TOKEN}/models?key={TOKEN}&a={TOKEN}&k%65y={TOKEN} HTTP/1.1\nHost: {TOKEN}\n\
         Authorization: Bearer {TOKEN}\nx-api-key: {TOKEN}\nx-goog-api-key: {TOKEN}\napi-key: {TOKEN}\n\
         Cookie: session={TOKEN}\nx-keyswap-{TOKEN}: 1\nx-other: {TOKEN}\nUpgrade: websocket\n\
         Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.{TOKEN}, {TOKEN}\n\n{TOKEN}"
    );
    let requests = [
        everywhere.replace("&k%65y=", "&b="),
        everywhere.clone(),
        format!("GET /v1/{TOKEN}?key={TOKEN} HTTP/1.1\n"),
        format!("GET /openai/{TOKEN}?k%65y={TOKEN} HTTP/1.1\n"),
        format!(
            "GET /{TOKEN} HTTP/1.1\nUpgrade: websocket\nSec-WebSocket-Protocol: openai-insecure-api-key.{TOKEN}, {TOKEN}\n"
        ),
        format!("GET /v1//{TOKEN} HTTP/1.1\nx-api-key: {TOKEN}\n"),
        format!("GET /v1/models HTTP/1.1\nx-api-key: {TOKEN}, {TOKEN}\n"),
    ];
    for request in requests {
        for format in ["human", "json"] {
            let run = explain(&request, &["--format", format]);
            assert!(matches!(run.code, 0 | 2), "{}", run.all());
            assert!(!run.all().contains("SENTINEL"), "{request}: {}", run.all());
        }
    }
}

const HOSTILE: &str = "a\u{2028}\u{202e}\u{2066}b";

#[test]
fn a_request_writes_nothing_but_text_to_the_terminal() {
    let folder = Folder::new();
    let policy = folder.file("policy.yaml", policy(""));
    let credential = format!("Authorization: Bearer {TOKEN}\n");
    let cases = [
        (format!("GET /v1/models?{HOSTILE} HTTP/1.1\nx-other: {HOSTILE}\n{credential}"), 0),
        (format!("GET /v1/{HOSTILE} HTTP/1.1\n{credential}"), 2),
        (format!("GET /v1/models HTTP/1.1\nx-{HOSTILE}: 1\n{credential}"), 1),
    ];
    for (request, code) in cases {
        let run = keyswap(&["policy", "explain", &policy, &folder.file("r.txt", request), "--at", THEN]);
        assert_eq!(run.code, code, "{}", run.all());
        assert_only_text(&run);
    }
}

#[test]
fn a_label_or_an_owner_that_could_turn_text_around_is_refused() {
    let folder = Folder::new();
    let policy = policy("")
        .replace("label: alice-laptop", &format!("label: \"{HOSTILE}\""))
        .replace("alice@acme", "\"\u{202e}alice@acme")
        .replace("example\n    providers", "example\"\n    providers");
    let run = keyswap(&["policy", "check", &folder.file("policy.yaml", policy)]);
    assert_eq!(run.code, 3, "{}", run.all());
    for path in ["tokens[0].label", "tokens[0].owner"] {
        assert!(run.stdout.contains(&format!("error at `{path}`: expected ")), "{}", run.all());
    }
    assert_only_text(&run);
}

#[test]
fn kept_subprotocols_are_told_of_but_not_shown() {
    let request = chat(&format!(
        "Upgrade: websocket\nSec-WebSocket-Protocol: realtime, openai-insecure-api-key.{TOKEN}"
    ));
    let request = request.replace("POST /v1/chat/completions", "GET /v1/realtime?model=gpt-realtime");
    let run = explain(&request, &[]);
    assert_eq!(run.code, 0, "{}", run.all());
    assert!(
        run.stdout.contains("set sec-websocket-protocol: (the caller's own, without credentials)\n"),
        "{}",
        run.stdout
    );
    let (_, explanation) = explain_as_json(&request);
    let set = explanation["forward"]["set"].as_array().unwrap();
    assert!(set.contains(&json!({"name": "sec-websocket-protocol", "value": null})), "{explanation}");
}

#[test]
fn real_secrets_are_never_looked_up() {
    let folder = Folder::new();
    let policy = folder.file("policy.yaml", policy(""));
    let request = chat(&format!("Authorization: Bearer {TOKEN}"));
    let secrets = [("OPENAI_API_KEY", "real-secret"), ("CF_AIG_TOKEN", "real-secret")];
    let run = keyswap_with(&["policy", "explain", &policy, "-", "--at", THEN], request.as_bytes(), &secrets);
    assert_eq!(run.code, 0, "{}", run.all());
    assert!(!run.all().contains("real-secret"));
}

#[test]
fn policy_and_request_may_each_be_standard_input_but_not_both() {
    let folder = Folder::new();
    let yaml = policy("");
    let request = chat(&format!("Authorization: Bearer {TOKEN}"));
    let (file, head) = (folder.file("policy.yaml", &yaml), folder.file("request.txt", &request));
    let run = keyswap_with(&["policy", "explain", &file, "-", "--at", THEN], request.as_bytes(), &[]);
    assert_eq!(run.code, 0, "{}", run.all());
    let run = keyswap_with(&["policy", "explain", "-", &head, "--at", THEN], yaml.as_bytes(), &[]);
    assert_eq!(run.code, 0, "{}", run.all());
    let run = keyswap(&["policy", "explain", "-", "-"]);
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    assert!(run.stderr.contains("cannot both be `-`"), "{}", run.stderr);
}

#[test]
fn an_invalid_policy_explains_nothing_but_its_errors() {
    let folder = Folder::new();
    let (policy, request) = (folder.file("p.yaml", "version: 1\n"), folder.file("r.txt", chat("A: b")));
    let run = keyswap(&["policy", "explain", &policy, &request]);
    assert_eq!((run.code, run.stdout.as_str()), (3, ""));
    assert!(run.stderr.starts_with("error at `version`: expected `keyswap/v1`\n"), "{}", run.stderr);
    let run = keyswap(&["policy", "explain", "--format", "json", &policy, &request]);
    assert_eq!((run.code, &run.json()["valid"]), (3, &json!(false)));
}

/// The policy with metering, a limit in tokens, and a caller that may use some models.
fn metered() -> String {
    policy("").replace("    providers:", "    models: [gpt-5-mini, made-up]\n    providers:")
        + "rate_limit: {tokens: 50000, per: 1h}\nprices: {gpt-5-mini: {input: 1, output: 10}}\n"
}

#[test]
fn a_metered_request_shows_the_token_limit_and_what_it_reserves() {
    let folder = Folder::new();
    let policy = folder.file("policy.yaml", metered());
    let request = chat(&format!("Authorization: Bearer {TOKEN}\nContent-Length: 3000"));
    let request = folder.file("r.txt", request);
    let explain = |more: &[&str]| {
        keyswap(&[&["policy", "explain", &policy, &request, "--at", THEN, "--format", "json"], more].concat())
    };
    let limit = json!({"tokens": 50000, "per_seconds": 3600});
    for (more, expect) in [
        (&[][..], json!({"tokens": 1000 + 4096, "usd": null, "model": null, "token_limit": limit})),
        (&["--max-tokens", "50"], json!({"tokens": 1050, "usd": null, "model": null, "token_limit": limit})),
        (
            &["--model", "gpt-5-mini", "--max-tokens", "50"],
            json!({"tokens": 1050, "usd": "0.0015", "model": "gpt-5-mini", "token_limit": limit}),
        ),
        (
            &["--model", "made-up", "--max-tokens", "50"],
            json!({"tokens": 1050, "usd": null, "model": null, "token_limit": limit}),
        ),
    ] {
        let run = explain(more);
        assert_eq!((run.code, &run.json()["reserves"]), (0, &expect), "{more:?}: {}", run.all());
    }
    let run = keyswap(&["policy", "explain", &policy, &request, "--at", THEN, "--model", "gpt-5-mini"]);
    let text = "token limit: 50000 in 3600 seconds\nreserves: 5096 tokens, 0.04196 USD at the price of `gpt-5-mini`\n";
    assert!(run.stdout.contains(text), "{}", run.all());
}

#[test]
fn a_model_that_the_caller_may_not_use_is_refused_and_reserves_nothing() {
    let folder = Folder::new();
    let policy = folder.file("policy.yaml", metered());
    let request = folder.file("r.txt", chat(&format!("Authorization: Bearer {TOKEN}")));
    let run =
        keyswap(&["policy", "explain", &policy, &request, "--at", THEN, "--format", "json", "--model", "o3"]);
    let explanation = run.json();
    assert_eq!((run.code, &explanation["reason"]), (2, &json!("model_not_allowed")), "{}", run.all());
    assert_eq!((&explanation["reply"]["status"], explanation.get("reserves")), (&json!(403), None));
}
