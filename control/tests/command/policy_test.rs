//! `policy test`: cases that hold or differ, and errors of a file of cases with their places.

use std::collections::BTreeMap;

use keyswap_tests::cases;
use serde_json::{Value, json};

use crate::support::{DIGEST, Folder, Run, THEN, TOKEN, assert_only_text, keyswap, policy};

/// Issuers, principals and an agent, in addition to the usual policy.
const MORE: &str = r"principals: [{email: alice@acme.example, providers: [openai]}]
issuers:
  - {name: access, preset: cloudflare_access, issuer: https://acme.cloudflareaccess.com, audiences: [4714c1358e65]}
  - {name: id, preset: oidc, issuer: https://id.example, audiences: [keyswap], principals: any, claims: {tier: [gold]}}
  - {name: vercel, preset: vercel_oidc, issuer: https://oidc.vercel.com/acme, audiences: [https://vercel.com/acme], claims: {project_id: [prj_1]}}
  - name: inline
    preset: oidc
    issuer: https://inline.example
    audiences: [keyswap]
    principals: any
    jwks: {inline: {keys: [{kty: EC, crv: P-256, kid: k1, x: RUXJOIjnQpl-QEdR-WWDK3kxxQhV244BKo9xezr5I6E, y: NNRTs7YUeagzFCHgz8RSSQKnRzzfTWhPlUSsRhUMLXM}]}}
";

/// Runs cases of the usual policy.
fn test(cases: &str, args: &[&str]) -> Run {
    let folder = Folder::new();
    let policy = folder.file("policy.yaml", policy("") + MORE);
    folder.file("policy.tests.yaml", cases);
    keyswap(&[&["policy", "test", &policy], args].concat())
}

/// Returns a file with a case, at a time when the token is valid.
fn case(case: &str) -> String {
    format!("at: 2026-06-30T00:00:00Z\ncases:\n  - name: it\n{}", indented(case))
}

fn indented(text: &str) -> String {
    format!("    {}\n", text.replace('\n', "\n    "))
}

const CHAT: &str = r#"request: {method: POST, target: /v1/chat/completions, headers: {authorization: "Bearer {{token:alice-laptop}}"}}"#;

#[test]
fn a_case_says_as_much_as_matters() {
    for expectation in [
        "forward: {}",
        "forward: {authority: gateway.ai.cloudflare.com}",
        "forward: {target: /v1/0123456789abcdef/prod/openai/v1/chat/completions, method: POST}",
        "forward: {}\nprovider: openai\nprincipal: alice-laptop\ncredential: openai",
        "forward: {}\ncredential: cf_aig",
        "forward:\n  headers:\n    authorization: Bearer <OPENAI_API_KEY>\n    cf-aig-authorization: Bearer <CF_AIG_TOKEN>\n    \
         cf-aig-metadata: '{\"token\":\"alice-laptop\",\"user_id\":\"alice@acme.example\"}'",
    ] {
        let run = test(&case(&format!("{CHAT}\n{expectation}")), &[]);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{expectation}\n{}", run.all());
        let lines: Vec<&str> = run.stdout.lines().collect();
        assert!(
            lines[0].starts_with("ok      ") && lines[0].ends_with("/policy.tests.yaml: it"),
            "{}",
            run.stdout
        );
        assert_eq!(lines[1..], ["1 case: 1 hold, 0 differ"]);
    }
}

#[test]
fn a_difference_is_told_as_expected_and_found_with_the_checks() {
    for (expectation, differences) in [
        (
            "reply: {reason: provider_not_allowed}",
            &[
                "verdict: expected `reply`, found `forward`",
                "reason: expected `provider_not_allowed`, found `allowed`",
            ][..],
        ),
        ("answer: {}", &["verdict: expected `answer`, found `forward`"]),
        (
            "forward: {authority: api.openai.com}",
            &["authority: expected `api.openai.com`, found `gateway.ai.cloudflare.com`"],
        ),
        ("forward: {method: GET}", &["method: expected `GET`, found `POST`"]),
        ("forward: {}\nprovider: anthropic", &["provider: expected `anthropic`, found `openai`"]),
        ("forward: {}\nprincipal: bob", &["principal: expected `bob`, found `alice-laptop`"]),
        ("forward: {}\ncredential: anthropic", &["credential: expected `anthropic`, found `openai, cf_aig`"]),
        (
            "forward: {headers: {authorization: x, x-more: y}}",
            &[
                "header `authorization`: expected `x`, found `Bearer <OPENAI_API_KEY>`",
                "header `cf-aig-authorization`: expected none, found `Bearer <CF_AIG_TOKEN>`",
                "header `x-more`: expected `y`, found none",
            ],
        ),
    ] {
        let run = test(&case(&format!("{CHAT}\n{expectation}")), &[]);
        assert_eq!((run.code, run.stderr.as_str()), (2, ""), "{expectation}\n{}", run.all());
        assert!(run.stdout.starts_with("DIFFERS ") && run.stdout.ends_with("1 case: 0 hold, 1 differ\n"));
        for difference in differences {
            assert!(
                run.stdout.contains(&format!("\n          {difference}\n")),
                "{difference}\n{}",
                run.stdout
            );
        }
        assert!(
            run.stdout
                .contains("\n          | scope: the token is for `openai`, and for endpoints of the class `"),
            "{}",
            run.stdout
        );
    }
}

#[test]
fn a_refusal_is_told_by_status_reason_and_dialect() {
    let request = r"request: |
  POST /v1/messages HTTP/1.1
  x-api-key: {{token:alice-laptop}}";
    let good =
        "reply: {status: 403, reason: provider_not_allowed, dialect: anthropic}\nprincipal: alice-laptop";
    let run = test(&case(&format!("{request}\n{good}")), &[]);
    assert_eq!(run.code, 0, "{}", run.all());
    let bad = "reply: {status: 401, reason: token_invalid, dialect: openai}";
    let run = test(&case(&format!("{request}\n{bad}")), &["--format", "json"]);
    assert_eq!((run.code, run.stderr.as_str()), (2, ""));
    let expect = json!([
        {"what": "reason", "expected": "token_invalid", "found": "provider_not_allowed"},
        {"what": "status", "expected": "401", "found": "403"},
        {"what": "dialect", "expected": "openai", "found": "anthropic"},
    ]);
    let answer = run.json();
    assert_eq!((&answer["held"], &answer["differed"]), (&json!(0), &json!(1)));
    assert_eq!(answer["cases"][0]["differences"], expect);
}

#[test]
fn the_claims_of_an_identity_are_judged_as_ever() {
    let request = "request: {method: GET, target: /v1/models}";
    for (identity, expect) in [
        ("{issuer: access, email: alice@acme.example}", "forward: {}\nprincipal: alice@acme.example"),
        ("{issuer: access, email: Alice@ACME.example, sub: u1}", "forward: {}"),
        ("{issuer: access, email: mallory@acme.example}", "reply: {reason: principal_unknown}"),
        ("{issuer: access}", "reply: {reason: token_invalid}"),
        ("{issuer: access, email: alice@acme.example, aud: another}", "reply: {reason: token_invalid}"),
        ("{issuer: access, email: alice@acme.example, type: org}", "reply: {reason: token_invalid}"),
        ("{issuer: access, email: alice@acme.example, exp: 1600000000}", "reply: {reason: token_expired}"),
        ("{issuer: access, email: alice@acme.example, exp: null}", "reply: {reason: token_invalid}"),
        ("{issuer: access, common_name: ci, sub: ''}", "reply: {reason: token_invalid}"),
        ("{issuer: id}", "forward: {}"),
        ("{issuer: id, tier: silver}", "reply: {reason: token_invalid}"),
        ("{issuer: id, tier: null}", "reply: {reason: token_invalid}"),
        ("{issuer: id, iss: https://other.example}", "reply: {reason: token_invalid}"),
        ("{issuer: vercel}", "forward: {}"),
        ("{issuer: vercel, environment: preview}", "reply: {reason: token_invalid}"),
        ("{issuer: inline, sub: somebody}", "forward: {}\nprincipal: somebody"),
    ] {
        let run = test(&case(&format!("{request}\nidentity: {identity}\n{expect}")), &[]);
        assert_eq!(run.code, 0, "{identity}\n{}", run.all());
    }
}

#[test]
fn an_identity_stands_where_the_issuer_has_it_or_where_the_case_says() {
    let cases = r#"
at: 2026-06-30T00:00:00Z
cases:
  - name: in its own slot, before any token
    request: {method: GET, target: /v1/models, headers: {authorization: Bearer nobody}}
    identity: {issuer: access, email: alice@acme.example}
    forward: {}
  - name: in a cookie
    request: {method: GET, target: /v1/models, headers: {cookie: "CF_Authorization={{identity}}"}}
    identity: {issuer: access, email: alice@acme.example}
    forward: {}
  - name: where it does not belong
    request: {method: GET, target: /v1/models, headers: {cf-access-jwt-assertion: "{{identity}}"}}
    identity: {issuer: id}
    reply: {reason: token_invalid}
  - name: where SDKs have their key
    request: {method: POST, target: /v1/messages, headers: [[x-api-key, "{{identity}}"]]}
    identity: {issuer: id}
    forward: {}
    provider: anthropic
"#;
    let run = test(cases, &[]);
    assert_eq!(run.code, 0, "{}", run.all());
}

#[test]
fn the_keys_of_an_issuer_may_be_gone() {
    let down = "fetched: [{target: /cdn-cgi/access/certs, status: 503, body: ''}]\n";
    let cases = case(
        "request: {method: GET, target: /v1/models}\nidentity: {issuer: access, email: alice@acme.example}\n\
         reply: {reason: issuer_keys_unavailable}",
    );
    let run = test(&format!("{down}{cases}"), &[]);
    assert_eq!(run.code, 0, "{}", run.all());
}

#[test]
fn a_registry_and_agents_answer_as_the_file_says() {
    let folder = Folder::new();
    let policy = folder.file(
        "p.yaml",
        r#"
version: keyswap/v1
registry: {url: "http://registry:7070/base", plaintext: trusted_network, credential: {env: R}}
issuers: [{name: id, preset: oidc, issuer: "https://id.example", audiences: [a]}]
credentials:
  openai: [{http: {url: "http://agent/credential", plaintext: trusted_network, value: /value, max_age: 5m}}]
  anthropic: [{http: {url: "http://agent/down", plaintext: trusted_network, max_age: 5m}}]
"#,
    );
    let cases = r#"
about: what is asked of others
env: {R: registry-credential}
at: 2027-01-01T00:00:00Z
registry:
  - {token: ptk_bob-registered, record: {label: bob, providers: [openai, anthropic]}}
  - {token: ptk_odd-registered, status: 500, body: oops}
  - {email: p+q@example.com, record: {label: P, providers: [openai]}}
fetched:
  - {target: /credential, body: '{"value": "fetched"}'}
cases:
  - name: a registered token
    request: {method: GET, target: /v1/models, headers: {authorization: Bearer ptk_bob-registered}}
    forward: {headers: {authorization: Bearer fetched, accept-encoding: identity}}
    principal: bob
  - name: an agent that nobody scripted has nothing
    request: {method: POST, target: /v1/messages, headers: {x-api-key: ptk_bob-registered}}
    reply: {reason: upstream_credential_unavailable, status: 503}
  - name: nobody
    request: {method: GET, target: /v1/models, headers: {authorization: Bearer ptk_nobody-at-all}}
    reply: {reason: token_invalid}
  - name: a registry in trouble
    request: {method: GET, target: /v1/models, headers: {authorization: Bearer ptk_odd-registered}}
    reply: {reason: token_store_unavailable}
  - name: a registered person
    request: {method: GET, target: /v1/models}
    identity: {issuer: id, email: P+Q@example.com}
    forward: {}
    principal: P
  - name: a person whom nobody registered
    request: {method: GET, target: /v1/models}
    identity: {issuer: id, email: other@example.com}
    reply: {reason: principal_unknown}
  - name: wrong on purpose, to see what was asked for
    request: {method: POST, target: /v1/messages, headers: {x-api-key: ptk_bob-registered}}
    forward: {}
"#;
    let run = keyswap(&["policy", "test", &policy, &folder.file("cases.yaml", cases)]);
    assert_eq!(run.code, 2, "{}", run.all());
    assert!(run.stdout.ends_with("7 cases: 6 hold, 1 differ\n"), "{}", run.stdout);
    assert!(
        run.stdout.contains("reply: expected")
            || run.stdout.contains("verdict: expected `forward`, found `reply`")
    );
}

#[test]
fn limits_count_from_case_to_case_of_a_file_and_not_further() {
    let folder = Folder::new();
    let policy = folder.file(
        "p.yaml",
        "version: keyswap/v1\ncredentials: {openai: [{env: K}]}\nrate_limit: {requests: 1, per: 60s}\n\
         tokens: [{sha256: \"{{sha256:x}}\", label: t, providers: [openai]}]\n"
            .replace("{{sha256:x}}", &"ab".repeat(32)),
    );
    let once = "cases:\n  - &one {name: one, request: {method: GET, target: /v1/models, headers: {authorization: 'Bearer {{token:t}}'}}, forward: {}}\n";
    let twice = format!(
        "{once}  - {{name: two, request: {{method: GET, target: /v1/models, headers: {{authorization: 'Bearer {{{{token:t}}}}'}}}}, reply: {{reason: rate_limited, status: 429}}}}\n"
    );
    let cases = folder.path("cases");
    std::fs::create_dir(&cases).unwrap();
    std::fs::write(cases.join("a.yaml"), &twice).unwrap();
    std::fs::write(cases.join("b.yml"), once).unwrap();
    std::fs::write(cases.join("notes.txt"), "no cases").unwrap();
    let run = keyswap(&["policy", "test", &policy, cases.to_str().unwrap()]);
    assert_eq!(run.code, 0, "{}", run.all());
    assert!(run.stdout.ends_with("3 cases: 3 hold, 0 differ\n"), "{}", run.stdout);
}

#[test]
fn a_limit_that_the_registry_keeps_is_kept_for_the_cases_of_a_file() {
    let folder = Folder::new();
    let policy = folder.file(
        "policy.yaml",
        policy("    rate_limit: {requests: 1, per: 60s}\n")
            + "registry: {url: 'http://r', plaintext: trusted_network, credential: {env: R}}\nrate_limit: {store: registry}\n",
    );
    let request = "request: {method: GET, target: /v1/models, headers: {authorization: 'Bearer {{token:alice-laptop}}'}}";
    let cases = format!(
        "at: 2026-06-30T00:00:00Z\ncases:\n  - {{name: one, {request}, forward: {{}}}}\n  \
         - {{name: two, {request}, reply: {{reason: rate_limited}}}}\n  \
         - {{name: later, at: 2026-06-30T00:01:00Z, {request}, forward: {{}}}}\n"
    );
    let run = keyswap(&["policy", "test", &policy, &folder.file("cases.yaml", cases)]);
    assert_eq!(run.code, 0, "{}", run.all());
}

#[test]
fn the_time_is_the_cases_own_then_the_files_then_the_commands() {
    let request = CHAT;
    let expired = "reply: {reason: token_expired}";
    let in_case = format!(
        "at: 2026-06-30T00:00:00Z\ncases:\n  - name: it\n    at: 2028-01-01T00:00:00Z\n{}",
        indented(&format!("{request}\n{expired}"))
    );
    let in_file = format!(
        "at: 2028-01-01T00:00:00Z\ncases:\n  - name: it\n{}",
        indented(&format!("{request}\n{expired}"))
    );
    let in_none = format!("cases:\n  - name: it\n{}", indented(&format!("{request}\n{expired}")));
    let early = ["--at", "2026-06-30T00:00:00Z"];
    for (cases, args, code) in [
        (&in_case, &early[..], 0),
        (&in_file, &early, 0),
        (&in_none, &["--at", "2028-01-01T00:00:00Z"], 0),
        (&in_none, &early, 2),
        (&in_none, &["--at", "soon"], 1),
    ] {
        assert_eq!(test(cases, args).code, code, "{cases}{args:?}");
    }
}

#[test]
fn what_is_wrong_with_a_file_of_cases_is_told_with_its_place_and_repeats_no_value() {
    let cases = [
        (
            case(&format!("{CHAT}\nforward: {{}}\nreply: {{}}")),
            "error at `cases[0]`: expected one of `forward`, `reply`, `answer`",
        ),
        (case(CHAT), "error at `cases[0]`: expected one of `forward`, `reply`, `answer`"),
        (case("forward: {}"), "error at `cases[0]`: missing field `request`"),
        (
            case(&format!("{CHAT}\nforwards: {{}}")),
            "error at `cases[0].forwards`: unknown field `forwards`, expected one of",
        ),
        (
            case(&format!("{CHAT}\nreply: {{status: SENTINEL}}")),
            "error at `cases[0].reply.status`: expected u16",
        ),
        (case(&format!("{CHAT}\nforward: SENTINEL")), "error at `cases[0].forward`: expected struct Forward"),
        (
            case("request: 7\nforward: {}"),
            "error at `cases[0].request`: expected a request head: `{method, target, headers}`, or text",
        ),
        (case("request: SENTINEL\nforward: {}"), "error at `cases[0].request`: "),
        (
            case("request: {method: GET, target: /, headers: [[SENTINEL]]}\nforward: {}"),
            "error at `cases[0].request.headers",
        ),
        (
            case("at: SENTINEL\nrequest: {method: GET, target: /}\nforward: {}"),
            "error at `cases[0].at`: expected a time with an offset",
        ),
        (
            case(
                "request: {method: GET, target: /, headers: {authorization: 'Bearer {{token:bob}}'}}\nforward: {}",
            ),
            "error at `cases[0].request`: the policy has no token with this label or SHA-256",
        ),
        (
            case(&format!("{CHAT}\nidentity: {{issuer: SENTINEL}}\nforward: {{}}")),
            "error at `cases[0].identity.issuer`: the policy has no issuer of this name",
        ),
        (
            "registry: [{record: {}}]\ncases: []\n".to_owned(),
            "error at `registry[0]`: expected one of `token`, `email`",
        ),
        ("cases:\n  - a\n".to_owned(), "error at `cases[0]`: expected struct Case"),
        ("a: [\n".to_owned(), "error: not valid YAML: "),
        ("{}".to_owned(), "error: missing field `cases`"),
        (
            "policy: {version: SENTINEL, credentials: {}}\ncases: []\n".to_owned(),
            "error at `version`: expected `keyswap/v1`",
        ),
    ];
    for (cases, expect) in cases {
        let run = test(&cases, &[]);
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{cases}\n{}", run.all());
        assert!(run.stderr.contains(&format!("policy.tests.yaml: {expect}")), "{expect}\n{}", run.stderr);
        assert!(!run.all().contains("SENTINEL"), "{}", run.all());
        let run = test(&cases, &["--format", "json"]);
        assert_eq!((run.code, run.json()["valid"].clone()), (3, json!(false)));
        assert!(!run.all().contains("SENTINEL"), "{}", run.all());
    }
}

#[test]
fn what_cannot_be_run_is_1_and_an_invalid_policy_is_3() {
    let folder = Folder::new();
    let good = folder.file("policy.yaml", policy(""));
    let bad = folder.file("bad.yaml", "version: keyswap/v2\ncredentials: {}\n");
    folder.file("bad.tests.yaml", case(&format!("{CHAT}\nforward: {{}}")));
    for (args, code, words) in [
        (&[good.as_str()][..], 1, "no cases at"),
        (&[good.as_str(), "missing.yaml"], 1, "cannot read `missing.yaml`"),
        (&["missing.yaml"], 1, "cannot read `missing.yaml`"),
        (
            &[
                folder.file("twice.json", r#"{"version": "keyswap/v1", "version": "keyswap/v1"}"#).as_str(),
                &good,
            ],
            3,
            "stands twice",
        ),
        (&[bad.as_str()], 3, "error at `version`: expected `keyswap/v1`"),
        (&[good.as_str(), &folder.file("none.yaml", "cases: []\n")], 1, "no cases found"),
    ] {
        let run = keyswap(&[&["policy", "test"], args].concat());
        assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{args:?} {}", run.all());
        assert!(run.stderr.contains(words), "{}", run.stderr);
    }
}

#[test]
fn names_and_values_of_a_file_write_nothing_but_text() {
    const HOSTILE: &str = "a\n\r\u{1b}[2J\u{202e}b";
    let case = json!({
        "name": HOSTILE,
        "request": {"method": "GET", "target": "/v1/models", "headers": {"authorization": format!("Bearer {TOKEN}")}},
        "forward": {"authority": HOSTILE, "headers": {HOSTILE: HOSTILE}},
        "principal": HOSTILE,
    });
    let run = test(&json!({"at": "2026-06-30T00:00:00Z", "cases": [case]}).to_string(), &[]);
    assert_eq!(run.code, 2, "{}", run.all());
    assert_only_text(&run);
    assert!(!run.all().contains(TOKEN), "{}", run.all());
}

/// The corpus has the form of users' files: the command reads its files unchanged and decides like every other host.
#[test]
fn the_corpus_of_this_repository_holds_and_each_of_its_cases_can_fail() {
    let folder = Folder::new();
    for suite in cases::corpus().unwrap() {
        let (place, total) = (&suite.place, suite.suite.cases.len());
        let name = place.rsplit('/').next().unwrap().replace([' ', ','], "-") + ".json";
        let file = match &suite.file {
            Some(file) => file.to_str().unwrap().to_owned(),
            None => folder.file(&name, suite.document.to_string()),
        };
        let run = keyswap(&["policy", "test", &file]);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{place}\n{}", run.all());
        assert!(run.stdout.ends_with(&format!("{total} hold, 0 differ\n")), "{}", run.stdout);

        let file = folder.file(&name, spoilt(suite.document).to_string());
        let run = keyswap(&["policy", "test", &file, "--format", "json"]);
        assert_eq!((run.code, run.json()["differed"].clone()), (2, json!(total)), "{place}");
    }
}

#[test]
fn what_only_other_hosts_do_is_read_and_makes_no_difference() {
    let of_hosts = "envoy: 400\nnode: 0\nwasmtime_shows: /\nwithout_upgrades: {status: 501, reason: upgrade_unsupported}";
    let cases = format!("only_in_envoy: true\n{}", case(&format!("{CHAT}\n{of_hosts}\nforward: {{}}")));
    let run = test(&cases, &[]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{}", run.all());
    let cases = case(&format!("{CHAT}\nforward: {{}}\nwithout_upgrades: {{status: SENTINEL}}"));
    let run = test(&cases, &[]);
    assert_eq!(run.code, 3, "{}", run.all());
    assert!(
        run.stderr.contains("error at `cases[0].without_upgrades.status`: expected u16"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_second_line_of_a_header_is_a_difference() {
    let request = r#"request: {method: GET, target: /v1/models, headers: [[authorization, "Bearer {{token:alice-laptop}}"], [x-a, "1"], [X-A, "2"]]}"#;
    let run = test(&case(&format!("{request}\nforward: {{headers: {{x-a: '2'}}}}")), &[]);
    assert_eq!(run.code, 2, "{}", run.all());
    assert!(run.stdout.contains("header `x-a`: expected `2`, found `1, 2`"), "{}", run.stdout);
}

/// Changes the expectation of each case, so that each must differ.
fn spoilt(mut document: Value) -> Value {
    for case in document["cases"].as_array_mut().unwrap() {
        let spoil: BTreeMap<&str, (&str, Value)> = BTreeMap::from([
            ("forward", ("authority", json!("elsewhere.example"))),
            ("reply", ("status", json!(418))),
            ("answer", ("status", json!(418))),
        ]);
        for (kind, (field, value)) in spoil {
            if let Some(expected) = case.get_mut(kind) {
                expected[field] = value;
            }
        }
    }
    document
}

#[test]
fn a_token_is_named_by_its_digest_where_two_have_its_label() {
    let folder = Folder::new();
    let policy = folder.file(
        "policy.yaml",
        policy(&format!(
            "  - {{sha256: {}, label: alice-laptop, providers: [anthropic]}}\n",
            "ab".repeat(32)
        )),
    );
    let case = |name: &str, provider: &str| {
        format!(
            "  - name: {name}\n    request: {{method: GET, target: /{provider}/v1/models, headers: {{authorization: \"Bearer {{{{token:{name}}}}}\"}}}}\n    forward: {{}}\n    provider: {provider}\n"
        )
    };
    let both = [case(DIGEST, "openai"), case(DIGEST, "openai"), case(&"AB".repeat(32), "anthropic")].concat();
    let cases = folder.file("cases.yaml", format!("at: {THEN}\ncases:\n{both}"));
    let run = keyswap(&["policy", "test", &policy, &cases]);
    assert_eq!(run.code, 0, "{}", run.all());
    let cases = folder.file("cases.yaml", format!("at: {THEN}\ncases:\n{}", case("alice-laptop", "openai")));
    let run = keyswap(&["policy", "test", &policy, &cases]);
    assert_eq!(run.code, 3, "{}", run.all());
    assert!(
        run.stderr.contains("more than one token with this label: name it by its SHA-256"),
        "{}",
        run.stderr
    );
}
