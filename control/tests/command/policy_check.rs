//! `policy check`: every error with its place, for JSON and YAML.

use serde_json::{Value, json};

use crate::support::{Folder, Run, assert_only_text, keyswap, keyswap_with, policy};

const BROKEN: &str = "\
version: keyswap/v2
credentials:
  openai: [{env: 1KEY}]
tokens:
  - sha256: 5E88DAXX
    label: alice-laptop
    providers: []
    expires_at: 2027-06-30
    rights: all
  - sha256: 1111111111111111111111111111111111111111111111111111111111111111
    label: 2027
    owner: alice
    providers: [openai, openai]
";

const BROKEN_LINES: [&str; 10] = [
    "error at `version`: expected `keyswap/v1`",
    "error at `credentials.openai[0].env`: expected the name of an environment variable such as `OPENAI_API_KEY`",
    "error at `tokens[0].sha256`: expected 64 lower-case hexadecimal digits: the SHA-256 of the token",
    "error at `tokens[0].providers`: expected at least one provider",
    "error at `tokens[0].expires_at`: expected a time with an offset such as `2027-06-30T00:00:00Z`",
    "error at `tokens[0].rights`: unknown field; expected `sha256`, `label`, `owner`, `team`, `providers`, \
     `models`, `status`, `expires_at`, `rate_limit`, `budget`, `certificate_sha256`",
    "error at `tokens[1].sha256`: expected a string: put it in quotes",
    "error at `tokens[1].label`: expected a string: put it in quotes",
    "error at `tokens[1].owner`: expected an email address such as `alice@example.com`",
    "error at `tokens[1].providers[1]`: this provider stands twice in the list, or another entry opens it already",
];

fn as_json(yaml: &str) -> String {
    let value: Value = serde_saphyr::from_str(yaml).unwrap();
    value.to_string()
}

fn check(name: &str, content: impl AsRef<[u8]>) -> Run {
    let folder = Folder::new();
    keyswap(&["policy", "check", &folder.file(name, content)])
}

#[test]
fn a_good_policy_is_summed_up_in_a_line() {
    let cases = [
        (policy(""), "1 token, providers openai, anthropic, through gateway.ai.cloudflare.com\n"),
        ("version: keyswap/v1\ncredentials: {}\n".to_owned(), "no tokens, no providers\n"),
        (
            "version: keyswap/v1\ncredentials: {openai: [{env: K}]}\n".to_owned(),
            "no tokens, provider openai\n",
        ),
        (
            "version: keyswap/v1\ncredentials: {openai: [{env: K}]}\nregistry: {url: 'http://r:7070', plaintext: trusted_network, credential: {env: R}}\nissuers: [{name: id, preset: oidc, issuer: 'https://id.example', audiences: [a]}]\n".to_owned(),
            "no tokens, others at r:7070, identities of id, provider openai\n",
        ),
    ];
    for (yaml, summary) in cases {
        let run = check("policy.yaml", &yaml);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{yaml}");
        assert!(run.stdout.ends_with(&format!("/policy.yaml: ok: {summary}")), "{}", run.stdout);
    }
}

#[test]
fn all_errors_come_at_once_in_the_order_of_the_engine() {
    let run = check("policy.yaml", BROKEN);
    assert_eq!(run.code, 3);
    assert_eq!(run.stdout.lines().collect::<Vec<_>>(), BROKEN_LINES);
    assert!(run.stderr.ends_with("policy.yaml: 10 errors\n"), "{}", run.stderr);
}

#[test]
fn yaml_and_json_and_standard_input_agree() {
    let folder = Folder::new();
    for yaml in [BROKEN, &policy(""), "[]", "3", "version: keyswap/v1"] {
        let json = as_json(yaml);
        let from_yaml = keyswap(&["policy", "check", &folder.file("policy.yml", yaml)]);
        let from_json = keyswap(&["policy", "check", &folder.file("policy.json", &json)]);
        let tail =
            |run: &Run| run.stdout.split_once(": ok: ").map_or(run.stdout.clone(), |it| it.1.to_owned());
        assert_eq!((from_yaml.code, tail(&from_yaml)), (from_json.code, tail(&from_json)), "{yaml}");
        for stdin in [yaml, &json] {
            let run = keyswap_with(&["policy", "check", "-"], stdin.as_bytes(), &[]);
            assert_eq!((run.code, tail(&run)), (from_yaml.code, tail(&from_yaml)), "{stdin}");
        }
    }
}

#[test]
fn json_output_has_the_errors_as_data() {
    let folder = Folder::new();
    let run = keyswap(&["policy", "check", "--format", "json", &folder.file("p.yaml", BROKEN)]);
    assert_eq!((run.code, run.stderr.as_str()), (3, ""));
    let answer = run.json();
    assert_eq!(answer["valid"], json!(false));
    assert_eq!(answer["errors"].as_array().map(Vec::len), Some(BROKEN_LINES.len()));
    assert_eq!(answer["errors"][0], json!({"path": "version", "message": "expected `keyswap/v1`"}));

    let run = keyswap(&["policy", "check", "--format", "json", &folder.file("p.yaml", policy(""))]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let expect = json!({
        "valid": true, "errors": [], "tokens": 1, "registry": null, "issuers": [], "client_certificates": [], "providers": ["openai", "anthropic"],
        "gateway": "gateway.ai.cloudflare.com", "outbound_hosts": ["https://gateway.ai.cloudflare.com"],
        "shadow": false, "passed_over": [], "presets": {},
    });
    assert_eq!(run.json(), expect);
}

#[test]
fn keys_of_issuers_that_are_passed_over_are_named() {
    let key = json!({
        "kty": "EC", "crv": "P-256", "x": "M9gQyP_w8Rbq2UNStIliLY0LdmYd2pJ2-LzKxb2OF3A", "y": "N0afdQJdjHDJ1minnot5khv-Jxi1vtoV9AaTi1Owojo",
    });
    let mut encrypts = key.clone();
    encrypts["use"] = json!("enc");
    let policy = json!({
        "version": "keyswap/v1", "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
        "issuers": [{
            "name": "id", "preset": "oidc", "issuer": "id", "audiences": ["keyswap"], "principals": "any",
            "jwks": {"inline": {"keys": [key, encrypts]}},
        }],
    });
    let folder = Folder::new();
    let file = folder.file("p.json", policy.to_string());
    let run = keyswap(&["policy", "check", &file]);
    let words = "`issuers[0].jwks.inline.keys[1]` is passed over: `use` or `key_ops` says that the key is not for verifying signatures";
    assert_eq!((run.code, run.stderr), (0, format!("{file}: note: {words}\n")));
    let run = keyswap(&["policy", "check", &file, "--format", "json"]);
    assert_eq!(run.json()["passed_over"], json!([words]));
}

#[test]
fn a_policy_may_ask_for_what_one_kind_of_host_has_and_another_has_not() {
    let folder = Folder::new();
    let file = folder.file("t.yaml", policy("rate_limit: {tokens: 1000}\n"));
    let run = keyswap(&["policy", "check", "--host", "component", &file]);
    assert!(
        run.stdout.starts_with("error at `rate_limit.tokens`: this host has no shared memory"),
        "{}",
        run.stdout
    );
    let file = folder.file("p.yaml", policy("rate_limit: {requests: 10, per: 60s}\n"));
    assert_eq!(keyswap(&["policy", "check", &file]).code, 0);
    assert_eq!(keyswap(&["policy", "check", "--host", "envoy", &file]).code, 0);
    let run = keyswap(&["policy", "check", "--host", "component", &file]);
    assert_eq!(run.code, 3);
    assert!(
        run.stdout.starts_with("error at `rate_limit`: this host has no shared memory"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_file_is_a_source_for_the_module_only_and_no_check_reads_it() {
    let folder = Folder::new();
    let of_file = policy("").replace("[{env: OPENAI_API_KEY}]", "[{file: /run/secrets/not-there}]");
    let file = folder.file("p.yaml", of_file);
    let run = keyswap(&["policy", "check", "--host", "module", &file]);
    assert_eq!(run.code, 0, "{}", run.all());
    for host in ["envoy", "component"] {
        let run = keyswap(&["policy", "check", "--host", host, &file]);
        assert_eq!(run.code, 3);
        let expect = "error at `credentials.openai[0].file`: this host reads no files";
        assert!(run.stdout.starts_with(expect), "{}", run.stdout);
    }
    let run = keyswap(&["policy", "check", "--host", "module", "--with-env", &file]);
    assert_eq!(run.code, 3, "the variables of the others are not set");
    assert!(!run.stdout.contains("not-there"), "{}", run.stdout);
    let request = folder.file("request.txt", "GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let run = keyswap(&["policy", "explain", &file, &request]);
    assert_eq!(run.code, 2, "a policy is explained as by the host with all abilities: {}", run.all());
}

#[test]
fn what_is_no_policy_document_is_one_error_with_its_place() {
    let deep = "[".repeat(100_000);
    let steps: String =
        (0..2000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect::<Vec<_>>().concat();
    let cases: [(&str, &[u8], &str); 22] = [
        ("p.yaml", b"", "error: the document is empty"),
        ("p.yaml", b"# nothing\n", "error: the document is empty"),
        ("p.json", b"", "error: not valid JSON: EOF while parsing a value at line 1 column 0"),
        ("p.json", b"version: keyswap/v1", "error: not valid JSON: expected value at line 1 column 1"),
        (
            "p.json",
            b"{\"a\":1,\n\"a\":2}",
            "error: not valid JSON: a member stands twice in one object at line 2",
        ),
        ("p.json", b"{\"a\":\"\xff\"}", "error: not valid JSON: "),
        ("p.json", deep.as_bytes(), "error: not valid JSON: recursion limit exceeded at line 1 column 128"),
        (
            "p.yaml",
            b"a: 1\nb: {c: 1,\n  c: 2}\n",
            "error: not valid YAML: a duplicate key in a mapping at line 3 column 3",
        ),
        (
            "p.yaml",
            b"a: &a {b: c}\nd:\n  <<: *a\n",
            "error: not valid YAML: merge keys (`<<`) are not supported: write the fields out at line 3 column 3",
        ),
        ("p.yaml", b"a: !secret b\n", "error: not valid YAML: tags are not supported: remove it at line 1"),
        (
            "p.yaml",
            b"a: .nan\n",
            "error: not valid YAML: a number out of range: put it in quotes if it is text at line 1 column 4",
        ),
        (
            "p.yaml",
            b"a: 1\n---\nb: 2\n",
            "error: not valid YAML: a second document: expected one at line 3 column 1",
        ),
        ("p.yaml", b"~: x\n", "error: not valid YAML: a key that is not text at line 1 column 1"),
        ("p.yaml", b"a: *b\n", "error: not valid YAML: an alias without an anchor at line 1 column 4"),
        (
            "p.yaml",
            b"a: &a [*a]\n",
            "error: not valid YAML: an alias within its own anchor at line 1 column 8",
        ),
        ("p.yaml", b"a:\n\tb: c\n", "error: not valid YAML: tabs disallowed"),
        ("p.yaml", b"a: \"b\n", "error: not valid YAML: unclosed quote at line 1 column 4"),
        ("p.yaml", b"a: b\0\n", "error: not valid YAML: unexpected character: `\\u{0}' at line 1 column 5"),
        ("p.yaml", b"a: \xff\n", "error: not valid YAML: the byte at position 3 is not UTF-8"),
        ("p.yaml", b"\xff\xfea\0:\0", "error: not valid YAML: the byte at position 0 is not UTF-8"),
        ("p.yaml", deep.as_bytes(), "error: not valid YAML: recursion limit exceeded at line 1 column 256"),
        (
            "p.yaml",
            steps.as_bytes(),
            "error: not valid YAML: more values, nesting or aliases than are read: shorten it at line 65",
        ),
    ];
    for (name, content, expect) in cases {
        let run = check(name, content);
        assert_eq!((run.code, run.stdout.lines().count()), (3, 1), "{expect}: {}", run.all());
        assert!(run.stdout.starts_with(expect), "{expect}: {}", run.stdout);
        assert!(run.stderr.ends_with(": 1 error\n"), "{}", run.stderr);
    }
}

#[test]
fn aliases_cannot_blow_a_small_file_up() {
    let step = |level: u8| {
        let (name, below) = (char::from(b'a' + level), char::from(b'a' + level - 1));
        format!("{name}: &{name} [{}]\n", vec![format!("*{below}"); 9].join(", "))
    };
    let laughs = format!("a: &a [x, x, x]\n{}", (1..20).map(step).collect::<String>());
    let text = "x".repeat(4_000_000);
    let copies = format!("a: &a \"{text}\"\nb: [{}]\n", vec!["*a"; 9_000].join(","));
    for bomb in [laughs, copies] {
        let run = check("p.yaml", &bomb);
        assert_eq!(run.code, 3);
        assert!(run.stdout.contains("more values, nesting or aliases than are read"), "{}", run.stdout);
    }
}

#[test]
fn a_few_aliases_are_fine() {
    let yaml = policy("").replace("[openai]", "&scope [openai]")
        + &format!("  - {{sha256: {}, label: b, providers: *scope}}\n", "ab".repeat(32));
    let run = check("p.yaml", yaml);
    assert_eq!(run.code, 0, "{}", run.all());
}

#[test]
fn thousands_of_tokens_are_checked() {
    let more: String = (0..20_000)
        .map(|n| format!("  - {{sha256: \"{n:064x}\", label: token-{n}, providers: [openai]}}\n"))
        .collect::<Vec<_>>()
        .concat();
    let run = check("p.yaml", policy(&more));
    assert_eq!(run.code, 0, "{}", run.all());
    assert!(run.stdout.contains("ok: 20001 tokens"), "{}", run.stdout);
}

#[test]
fn a_file_that_cannot_be_read_is_no_verdict_on_a_policy() {
    let folder = Folder::new();
    let huge = folder.file("huge.yaml", vec![b'#'; 9 << 20]);
    let missing = folder.path("missing.yaml").to_str().unwrap().to_owned();
    let here = folder.path("").to_str().unwrap().to_owned();
    for (path, words) in [(huge, "is larger than"), (missing, "cannot read `"), (here, "cannot read `")] {
        let run = keyswap(&["policy", "check", &path]);
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{path}");
        assert!(run.stderr.starts_with("error: ") && run.stderr.contains(words), "{}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1);
    }
}

#[test]
fn the_environment_is_looked_at_only_when_asked() {
    let folder = Folder::new();
    let file = folder.file("p.yaml", policy(""));
    let good = [("OPENAI_API_KEY", "sk-1"), ("ANTHROPIC_API_KEY", "sk-2"), ("CF_AIG_TOKEN", "t")];
    let bad = [("OPENAI_API_KEY", "sentinel\r\nx: y"), ("ANTHROPIC_API_KEY", "")];
    for environment in [&good[..], &bad[..], &[]] {
        let run = keyswap_with(&["policy", "check", &file], b"", environment);
        assert_eq!(run.code, 0, "{}", run.all());
    }
    let run = keyswap_with(&["policy", "check", "--with-env", &file], b"", &good);
    assert_eq!(run.code, 0, "{}", run.all());
    let run = keyswap_with(&["policy", "check", "--with-env", &file], b"", &bad);
    let expect = [
        "error at `credentials.anthropic[0].env`: the value of the environment variable `ANTHROPIC_API_KEY` is empty",
        "error at `credentials.cf_aig`: the environment variable `CF_AIG_TOKEN` is not set",
        "error at `credentials.openai[0].env`: the value of the environment variable `OPENAI_API_KEY` has a byte at \
         position 8 that is not visible ASCII: a credential has none",
    ];
    assert_eq!((run.code, run.stdout.lines().collect::<Vec<_>>()), (3, expect.to_vec()));
    assert!(!run.all().contains("sentinel"));
}

#[test]
fn a_secret_in_a_wrong_place_is_never_repeated() {
    const SECRET: &str = "sk-SENTINELsentinelSENTINEL0";
    let cases = [
        ("p.yaml", format!("version: {SECRET}\ncredentials: {{{SECRET}: [{{env: {SECRET}}}]}}\n")),
        ("p.yaml", format!("{SECRET}: 1\n{SECRET}: 2\n")),
        ("p.yaml", format!("a: *{SECRET}\n")),
        ("p.yaml", format!("a: !{SECRET} b\n")),
        ("p.yaml", format!("? [{SECRET}]\n: b\n")),
        ("p.yaml", format!("a: !!int {SECRET}\n")),
        ("p.yaml", format!("%{SECRET} x\na: b\n")),
        ("p.yaml", format!("a: \"{SECRET}\n")),
        ("p.yaml", format!("a: {SECRET}\n {SECRET}: b\n")),
        ("p.yaml", format!("a: [{SECRET}}}\n")),
        ("p.json", format!("{{\"{SECRET}\": 1, \"{SECRET}\": 2}}")),
        ("p.json", format!("{{\"version\": \"{SECRET}\" {SECRET}}}")),
        ("p.json", SECRET.to_owned()),
    ];
    for (name, content) in cases {
        for format in ["human", "json"] {
            let folder = Folder::new();
            let file = folder.file(name, &content);
            let run = keyswap(&["policy", "check", "--format", format, &file]);
            assert_eq!(run.code, 3, "{content}");
            assert!(!run.all().contains("SENTINEL"), "{content}: {}", run.all());
        }
    }
}

#[test]
fn names_in_a_policy_neither_move_the_cursor_nor_start_a_line() {
    let run = check("p.json", r#"{"version":"keyswap/v1","credentials":{},"a\n\u001b[2J\u009b\u202eb":1}"#);
    assert_eq!((run.code, run.stdout.lines().count()), (3, 1));
    assert!(
        run.stdout.starts_with(r#"error at `"a\n\u{1b}[2J\u{9b}\u{202e}b"`: unknown field"#),
        "{}",
        run.stdout
    );
}

#[test]
fn no_text_of_a_policy_writes_anything_but_text_to_the_terminal() {
    const HOSTILE: &str = "a\n\r\u{1b}[2J\u{7f}\u{9b}\u{2028}\u{202e}\u{2066}b";
    let url = "https://provider.example";
    let documents = [
        json!({"version": HOSTILE, "credentials": {}}),
        json!({"version": "keyswap/v1", "credentials": {HOSTILE: [{"env": HOSTILE}]}}),
        json!({"version": "keyswap/v1", "credentials": {HOSTILE: [{"env": "K"}]}}),
        json!({
            "version": "keyswap/v1",
            "credentials": {HOSTILE: [{"env": "K"}]},
            "providers": {"p": {"url": url, "credential": HOSTILE}},
        }),
        json!({
            "version": "keyswap/v1",
            "credentials": {},
            "providers": {HOSTILE: {"url": HOSTILE, "slug": HOSTILE}, "p": {"url": url, "credential": HOSTILE}},
            "slots": [HOSTILE],
            "tokens": [{
                "sha256": HOSTILE, "label": HOSTILE, "owner": HOSTILE, "status": HOSTILE, "expires_at": HOSTILE,
                "providers": [HOSTILE, "p", "nobody"], HOSTILE: HOSTILE,
            }],
        }),
    ];
    let files = documents.iter().map(|document| ("p.json", document.to_string())).chain(
        HOSTILE
            .chars()
            .flat_map(|char| [("p.yaml", format!("a: {char}\"`")), ("p.json", format!("{{{char}"))]),
    );
    for (name, content) in files {
        let folder = Folder::new();
        let run = keyswap(&["policy", "check", "--with-env", &folder.file(name, &content)]);
        assert_eq!(run.code, 3, "{content}");
        assert_only_text(&run);
        assert!(run.stdout.lines().all(|line| line.starts_with("error")), "{}", run.stdout);
        assert!(run.stderr.contains(&format!(": {} error", run.stdout.lines().count())), "{}", run.all());
    }
}

/// Returns a rollout of two minimal policies.
fn rollout(percent: u8) -> Value {
    let policy = |provider: &str| {
        json!({
            "version": "keyswap/v1",
            "credentials": {"openai": [{"env": "OPENAI_API_KEY"}], "anthropic": [{"env": "ANTHROPIC_API_KEY"}]},
            "tokens": [{"sha256": "a".repeat(64), "label": "a", "providers": [provider]}],
        })
    };
    json!({
        "version": "keyswap-rollout/v1", "stable": policy("openai"), "candidate": policy("anthropic"), "percent": percent,
    })
}

fn bundle(initial: &Value) -> Value {
    let key = json!({
        "kty": "OKP", "crv": "Ed25519", "kid": "k", "alg": "EdDSA", "use": "sig",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    });
    json!({
        "version": "keyswap-bundle/v1", "url": "https://registry.acme.example", "name": "prod",
        "credential": {"env": "KEYSWAP_REGISTRY_TOKEN"}, "keys": {"keys": [key]}, "initial": initial,
    })
}

#[test]
fn whatever_a_data_plane_can_be_configured_with_is_checked() {
    let folder = Folder::new();
    let check = |document: &Value, args: &[&str]| {
        let file = folder.file("p.json", document.to_string());
        let run = keyswap(&[&["policy", "check", &file], args].concat());
        (run.code, run.stdout.replace(&format!("{file}: "), ""))
    };
    let (code, said) = check(&rollout(10), &[]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(
        said,
        "ok: 1 token, providers openai, anthropic; a candidate for 10 %: 1 token, providers openai, anthropic\n"
    );
    let (code, said) = check(&bundle(&rollout(0)), &[]);
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("ok: the policy `prod` of registry.acme.example; until then 1 token"), "{said}");
    let mut shadow = rollout(0)["stable"].clone();
    shadow["mode"] = json!("shadow");
    assert_eq!(check(&shadow, &[]).1, "ok: 1 token, providers openai, anthropic, in shadow mode\n");

    let (_, told) = check(&bundle(&rollout(5)), &["--format", "json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["bundle"], json!({"name": "prod", "registry": "registry.acme.example"}));
    assert_eq!((&told["candidate"]["percent"], &told["candidate"]["tokens"]), (&json!(5), &json!(1)));

    // Each error has its place in the whole document.
    let mut broken = rollout(0);
    broken["stable"]["tokens"][0]["label"] = json!("");
    broken["candidate"]["credentials"] = json!({});
    let places = |document: &Value, args: &[&str]| -> Vec<String> {
        let (_, told) = check(document, &[args, &["--format", "json"]].concat());
        let told: Value = serde_json::from_str(&told).unwrap();
        told["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error["path"].as_str().unwrap().to_owned())
            .collect()
    };
    let found = places(&broken, &[]);
    assert!(found.contains(&"stable.tokens[0].label".to_owned()), "{found:?}");
    assert!(found.iter().any(|path| path.starts_with("candidate.")), "{found:?}");
    let mut limited = rollout(0);
    limited["candidate"]["rate_limit"] = json!({"requests": 10, "per": "60s"});
    assert_eq!(places(&limited, &["--host", "component"]), ["candidate.rate_limit"]);
    assert_eq!(places(&bundle(&limited), &["--host", "component"]), ["initial.candidate.rate_limit"]);
    let mut fallback = rollout(10);
    fallback["fallback"] = json!({"refusals": 5, "per": "1m"});
    assert_eq!(places(&fallback, &["--host", "component"]), ["fallback"]);
    assert_eq!(places(&bundle(&fallback), &["--host", "component"]), ["initial.fallback"]);
    let missing = places(&bundle(&Value::Null), &["--with-env"]);
    assert!(!missing.is_empty(), "{missing:?}");
}

#[test]
fn a_time_zone_that_does_not_exist_is_an_error_with_its_place() {
    let policy = |zone: &str| {
        format!(
            "version: keyswap/v1\ncredentials: {{openai: [{{env: K}}]}}\n\
             registry: {{url: 'https://r', credential: {{env: R}}}}\n\
             budgets: {{team: {{usd: 10, per: month, timezone: {zone}}}}}\n"
        )
    };
    for zone in ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Asia/Kathmandu"] {
        let run = check("policy.yaml", policy(zone));
        assert_eq!(run.code, 0, "{zone}: {}", run.all());
    }
    let run = check("policy.yaml", policy("Europe/Atlantis"));
    assert_eq!(run.code, 3);
    assert_eq!(
        run.stdout,
        "error at `budgets.team.timezone`: no such time zone: expected an IANA name such as `Europe/Berlin`\n"
    );
}

#[test]
fn the_fields_of_a_preset_are_told() {
    let folder = Folder::new();
    let issuers = r#"
issuers:
  - {name: a, preset: cognito, issuer: "https://cognito-idp.eu-west-1.amazonaws.com/x", audiences: [c], principals: any, providers: [openai]}
  - {name: b, preset: cognito, issuer: "https://cognito-idp.eu-west-1.amazonaws.com/y", audiences: [c], principals: any, providers: [openai]}
  - {name: c, preset: oidc, issuer: "https://id.example", audiences: [c], principals: any, providers: [openai]}
"#;
    let file = folder.file("p.yaml", policy("") + issuers);
    let run = keyswap(&["policy", "check", &file]);
    let expect = "p.yaml: note: `preset: cognito` is `preset: oidc` with {algorithms: [\"RS256\"], audience_claim: \"client_id\", \
                  claims: {\"token_use\":[\"access\"]}}\n";
    assert_eq!(
        (run.code, run.stderr.ends_with(expect), run.stderr.lines().count()),
        (0, true, 1),
        "{}",
        run.stderr
    );
    let run = keyswap(&["policy", "check", "--format", "json", &file]);
    assert_eq!(run.json()["presets"]["cognito"]["audience_claim"], json!("client_id"));
}
