//! `policy import`: the result is a valid policy without keys, and settings that are left out are noted.

use keyswap_core::base::Digest;
use serde_json::{Value, json};

use crate::support::{Folder, Run, assert_only_text, keyswap, keyswap_with};

fn sha256(token: &str) -> String {
    Digest::of(token.as_bytes()).to_hex()
}

/// Configurations of other programs, each with its policy and its lines.
const LITELLM: &str = include_str!("imports/litellm.yaml");
const API_KEYS: &str = include_str!("imports/api-keys.yaml");
const KONG: &str = include_str!("imports/kong.yaml");
const AI_GATEWAY: &str = include_str!("imports/ai-gateway.yaml");
const PORTKEY: &str = include_str!("imports/portkey.yaml");

/// Returns the written policy, which must be valid and must not contain `SENTINEL`.
fn policy(run: &Run) -> Value {
    assert_eq!(run.code, 0, "{}", run.all());
    assert!(!run.all().contains("SENTINEL"), "{}", run.all());
    assert_only_text(run);
    let checked = keyswap_with(&["policy", "check", "-"], run.stdout.as_bytes(), &[]);
    assert_eq!(checked.code, 0, "{}\n{}", checked.all(), run.stdout);
    serde_saphyr::from_str(&run.stdout).unwrap()
}

fn litellm(config: &str, keys: Option<&Value>, args: &[&str]) -> Run {
    let folder = Folder::new();
    let config = folder.file("config.yaml", config);
    let keys = keys.map(|keys| folder.file("keys.json", keys.to_string()));
    let keys = keys.iter().flat_map(|keys| ["--keys", keys]);
    let args: Vec<&str> = ["policy", "import", "litellm", &config]
        .into_iter()
        .chain(keys)
        .chain(args.iter().copied())
        .collect();
    keyswap(&args)
}

const CONFIG: &str = "model_list: [{model_name: gpt, litellm_params: {model: openai/gpt-5}}]";

/// The last note about a policy with tokens, whatever they were imported from.
const CLASSES: &str = "tokens: each reaches inference and the list of models: open what else a key was used for, such as `openai:files`";

/// Runs each case of a table with the arguments that `args` gives for it in a folder, and compares policy and lines whole.
/// The written tests must hold, and name no key.
fn check_table(table: &str, args: impl Fn(&Value, &Folder) -> Vec<String>) {
    let cases: Vec<Value> = serde_saphyr::from_str(table).unwrap();
    for case in cases {
        let folder = Folder::new();
        let args = args(&case, &folder);
        let tests = folder.path("written.tests.yaml").to_str().unwrap().to_owned();
        let args: Vec<&str> = args.iter().map(String::as_str).chain(["--tests", &tests]).collect();
        let run = keyswap(&[&["policy", "import"][..], &args].concat());
        let context = format!("{}\n{}", case["name"], run.all());
        assert!(!run.all().contains("SENTINEL"), "{context}");
        let mut expected = case["lines"].as_array().unwrap().clone();
        let (report, mut lines): (Vec<String>, Vec<String>) = run
            .stderr
            .lines()
            .map(|line| without_folder(line, &folder))
            .partition(|line| line.starts_with("report: "));
        if case["code"] == json!(1) {
            assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{context}");
            assert!(report.is_empty() && !folder.path("written.tests.yaml").exists(), "{context}");
        } else {
            let summary = lines.pop().unwrap();
            assert!(summary.ends_with(&format!(", {} notes", lines.len())), "{context}");
            let policy = policy(&run);
            let part = |name: &str| policy.get(name).cloned().unwrap_or(Value::Null);
            assert_eq!(part("credentials"), credentials(&case["credentials"]), "{context}");
            assert_eq!(part("providers"), case["providers"], "{context}");
            assert_eq!(part("tokens"), tokens(&case["tokens"]), "{context}");
            assert_eq!(part("model_groups"), case["model_groups"], "{context}");
            if part("tokens").as_array().is_some_and(|tokens| !tokens.is_empty()) {
                expected.push(json!(CLASSES));
            }
            check_report(&policy, &report, &context);
            check_tests(&run, &tests, &folder, &context);
        }
        assert_eq!(json!(lines), json!(expected), "{context}");
    }
}

/// Asserts that the report counts the tokens of the policy, and names every variable of it.
fn check_report(policy: &Value, report: &[String], context: &str) {
    let tokens = policy["tokens"].as_array().unwrap();
    let disabled = tokens.iter().filter(|token| token["status"] == json!("disabled")).count();
    let first = format!("report: tokens: {} active, {disabled} disabled, ", tokens.len() - disabled);
    assert!(report[0].starts_with(&first), "{context}");
    let all = report.join("\n");
    for source in policy["credentials"].as_object().unwrap().values() {
        assert!(all.contains(source[0]["env"].as_str().unwrap()), "{context}");
    }
}

/// Asserts that the written cases hold for the written policy, that every token has one, and that none has a key.
fn check_tests(run: &Run, tests: &str, folder: &Folder, context: &str) {
    let policy: Value = serde_saphyr::from_str(&run.stdout).unwrap();
    let Ok(text) = std::fs::read_to_string(tests) else {
        return assert_eq!(policy["tokens"], json!([]), "{context}");
    };
    assert!(!text.contains("SENTINEL"), "{context}");
    let written: Value = serde_saphyr::from_str(&text).unwrap();
    let cases = written["cases"].as_array().unwrap();
    let heads: Vec<&str> =
        cases.iter().map(|case| case["request"]["headers"]["authorization"].as_str().unwrap()).collect();
    for token in policy["tokens"].as_array().unwrap() {
        let names =
            ["label", "sha256"].map(|name| format!("Bearer {{{{token:{}}}}}", token[name].as_str().unwrap()));
        assert!(heads.iter().any(|head| names.iter().any(|name| name == head)), "{token}\n{context}");
    }
    let policy = folder.file("written.yaml", &run.stdout);
    let tested = keyswap(&["policy", "test", &policy, tests]);
    assert_eq!(tested.code, 0, "{}\n{context}", tested.all());
}

fn without_folder(line: &str, folder: &Folder) -> String {
    line.replace(&format!("{}/", folder.path("").display().to_string().trim_end_matches('/')), "")
}

/// Returns credentials as a policy has them, from the variable of each.
fn credentials(expected: &Value) -> Value {
    let members = expected.as_object().unwrap();
    members.iter().map(|(name, variable)| (name.clone(), json!([{"env": variable}]))).collect()
}

/// Returns tokens as a policy has them, from those with a `key`.
fn tokens(expected: &Value) -> Value {
    let with_digest = |token: &Value| {
        let mut token = token.clone();
        let key = token.as_object_mut().unwrap().remove("key").unwrap();
        token["sha256"] = json!(sha256(key.as_str().unwrap()));
        token
    };
    expected.as_array().into_iter().flatten().map(with_digest).collect()
}

#[test]
fn litellms_models_and_keys_are_imported_rightly_or_disabled_with_a_line() {
    check_table(LITELLM, |case, folder| {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut args = vec!["litellm".to_owned(), folder.file("config.yaml", text(&case["config"]))];
        for (name, file) in case["files"].as_object().into_iter().flatten() {
            folder.file(name, text(file));
        }
        for name in ["keys", "teams", "users"].into_iter().filter(|name| case.get(*name).is_some()) {
            args.extend([format!("--{name}"), folder.file(&format!("{name}.json"), case[name].to_string())]);
        }
        args.extend(case["args"].as_array().into_iter().flatten().map(text));
        args
    });
}

#[test]
fn lists_of_api_keys_are_imported_rightly_or_disabled_with_a_line() {
    check_table(API_KEYS, |case, folder| {
        let files = case["files"].as_array().unwrap().iter().enumerate();
        let files = files.map(|(index, file)| folder.file(&format!("{index}.yaml"), file.to_string()));
        ["api-key-auth", "--provider", "openai"].into_iter().map(str::to_owned).chain(files).collect()
    });
}

/// Returns the arguments of an import that takes files.
fn of_files(command: &str, case: &Value, folder: &Folder) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let files = case["files"].as_array().unwrap().iter().enumerate();
    let files = files.map(|(index, file)| folder.file(&format!("{index}.yaml"), text(file)));
    let args = case["args"].as_array().into_iter().flatten().map(text);
    [command.to_owned()].into_iter().chain(files).chain(args).collect()
}

#[test]
fn kongs_keys_do_what_their_routes_permit_or_are_disabled_with_a_line() {
    check_table(KONG, |case, folder| of_files("kong", case, folder));
}

#[test]
fn the_keys_of_an_ai_gateway_do_what_their_routes_permit_or_are_disabled_with_a_line() {
    check_table(AI_GATEWAY, |case, folder| of_files("ai-gateway", case, folder));
}

#[test]
fn portkeys_targets_keep_their_keys_at_their_own_addresses() {
    check_table(PORTKEY, |case, folder| of_files("portkey", case, folder));
}

#[test]
fn a_report_counts_keys_by_their_reasons_and_a_file_of_tests_is_not_replaced() {
    let key = |token: &str, more: Value| {
        let mut key = json!({"token": sha256(token), "key_alias": token, "models": ["gpt"]});
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key
    };
    let keys = json!([
        key("a", json!({})),
        key("b", json!({"blocked": true})),
        key("c", json!({"blocked": true, "permissions": {"x": 1}})),
        key("a", json!({})),
        {"key_alias": "nothing"},
    ]);
    let folder = Folder::new();
    let tests = folder.path("t.yaml").to_str().unwrap().to_owned();
    let run = litellm(CONFIG, Some(&keys), &["--tests", &tests]);
    let report: Vec<&str> = run.stderr.lines().filter_map(|line| line.strip_prefix("report: ")).collect();
    let (last, lines) = report.split_last().unwrap();
    assert_eq!(
        lines,
        [
            "tokens: 1 active, 2 disabled, 2 left out",
            "disabled: 2: it is blocked",
            "disabled: 1: not supported, and may restrict it: `permissions`",
            "left out: 1: a duplicate of another key",
            "left out: 1: no `token`",
            "providers: openai",
            "variables to set: OPENAI_API_KEY",
        ]
    );
    assert!(last.starts_with("tests: 5 cases in"), "{last}");
    let before = std::fs::read(&tests).unwrap();
    let again = litellm(CONFIG, Some(&keys), &["--tests", &tests]);
    assert_eq!((again.code, again.stdout.as_str()), (1, ""), "{}", again.all());
    assert_eq!(std::fs::read(&tests).unwrap(), before);
}

#[test]
fn input_that_is_made_to_exhaust_or_to_forge_is_refused_or_told_in_one_line() {
    let folder = Folder::new();
    let bomb = format!(
        "_format_version: '3.0'\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n{}",
        (1..9)
            .map(|n| format!("a{n}: &a{n} [{}]", vec![format!("*a{}", n - 1); 10].join(", ")))
            .collect::<Vec<_>>()
            .join("\n")
    );
    for (command, text, words) in [
        ("kong", bomb.as_str(), "more values, nesting or aliases"),
        ("ai-gateway", bomb.as_str(), "more values, nesting or aliases"),
        ("portkey", bomb.as_str(), "more values, nesting or aliases"),
        ("portkey", "{\"SENTINEL\": ", "not valid YAML"),
        ("kong", "_format_version: [SENTINEL\n", "not valid YAML"),
        ("kong", "services: [{name: SENTINEL}]\n", "no `_format_version`"),
        ("kong", "_format_version: '3.0'\n", "no route with `ai-proxy`"),
        (
            "ai-gateway",
            "kind: Secret\nmetadata: {name: x}\nstringData: {a: SENTINEL}\n",
            "no AIServiceBackend",
        ),
        ("portkey", "a: {b: SENTINEL}\n", "is no config of Portkey's"),
        ("portkey", "provider: bedrock\napi_key: SENTINEL\n", "provider: see the lines above"),
        ("portkey", "strategy: {mode: single}\ntargets: []\n", "no target with a supported provider"),
        ("ai-gateway", "error: SENTINEL\n", "x.yaml` has no object of Kubernetes: expected manifests"),
    ] {
        let file = folder.file("x.yaml", text);
        let run = keyswap(&["policy", "import", command, &file]);
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{command}: {}", run.all());
        assert!(run.stderr.contains(words) && !run.stderr.contains("SENTINEL"), "{command}: {}", run.stderr);
        assert_only_text(&run);
        // Lines are pointed to only where there are some.
        let lines = run.stderr.lines().count();
        assert_eq!(run.stderr.contains("see the lines above"), lines > 1, "{command}: {}", run.stderr);
    }
    // A list of 20000 entries in a document of four levels is read in one pass.
    let items = vec!["{provider: groq}"; 20_000].join(", ");
    let file = folder.file("x.yaml", format!("targets: [{items}]\n"));
    let run = keyswap(&["policy", "import", "portkey", &file]);
    assert_eq!(run.code, 0, "{}", run.stderr.lines().last().unwrap_or_default());
}

#[test]
fn virtual_keys_come_from_every_form_of_export() {
    let key = json!({"token": sha256("sk-1"), "key_alias": "a", "models": []});
    let lines = format!("{key}\n{key}\n");
    let folder = Folder::new();
    let config = folder.file("c.yaml", CONFIG);
    for text in [
        json!([key]).to_string(),
        json!({"keys": [key], "total_count": 1}).to_string(),
        json!({"key": sha256("sk-1"), "info": {"key_alias": "a", "models": []}}).to_string(),
        key.to_string(),
        lines,
    ] {
        let run = keyswap(&["policy", "import", "litellm", &config, "--keys", &folder.file("k.json", &text)]);
        let tokens = policy(&run)["tokens"].clone();
        assert_eq!((tokens.as_array().map(Vec::len), &tokens[0]["label"]), (Some(1), &json!("a")), "{text}");
    }
    for text in ["[]", "{\"keys\": [], \"total_count\": 0}"] {
        let run = keyswap(&["policy", "import", "litellm", &config, "--keys", &folder.file("k.json", text)]);
        assert!(run.code == 1 && run.stderr.contains("k.json` has no key: "), "{text}: {}", run.all());
    }
    let whole = folder.file("whole.json", json!([key]).to_string());
    for (text, words) in [
        ("{SENTINEL", "e.json`: not valid JSON at line 1"),
        ("", "e.json` is empty: expected the answer of `GET /"),
        (" \n", "e.json` is empty: expected the answer of `GET /"),
        ("{\"error\": {\"message\": \"SENTINEL\"}}", "e.json` has an error that LiteLLM answered"),
        ("{\"detail\": \"SENTINEL\"}", "e.json` has an error that LiteLLM answered"),
    ] {
        let empty = folder.file("e.json", text);
        for files in [
            &["--keys", &empty][..],
            &["--keys", &whole, "--teams", &empty],
            &["--keys", &whole, "--users", &empty],
        ] {
            let run = keyswap(&[&["policy", "import", "litellm", &config], files].concat());
            assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{text}");
            assert!(run.stderr.contains(words) && !run.stderr.contains("SENTINEL"), "{text}: {}", run.stderr);
        }
    }
}

#[test]
fn an_option_that_meets_nothing_in_the_input_is_an_error() {
    let keys = json!([{"token": sha256("sk-1"), "key_alias": "a", "models": [], "max_budget": 1}]);
    for (setting, code) in [("max_budget", 0), ("max_budgets", 1), ("guardrails", 1)] {
        let run = litellm(CONFIG, Some(&keys), &["--without", setting]);
        assert_eq!((run.code, run.stdout.is_empty()), (code, code == 1), "{setting}: {}", run.stderr);
        assert_eq!(
            run.stderr.contains(&format!("no key is restricted by `{setting}`")),
            code == 1,
            "{setting}"
        );
    }
    let folder = Folder::new();
    let config = folder.file("config.json", "{\"targets\": [{\"virtual_key\": \"team-a\"}]}");
    for (slug, code) in [("team-a", 0), ("team-b", 1)] {
        let pair = format!("{slug}=openai");
        let run = keyswap(&["policy", "import", "portkey", &config, "--virtual-key", &pair]);
        assert_eq!((run.code, run.stdout.is_empty()), (code, code == 1), "{slug}: {}", run.stderr);
        assert_eq!(run.stderr.contains("no target has the virtual key `team-b`"), code == 1, "{slug}");
    }
}

#[test]
fn what_is_no_such_configuration_is_1_and_nothing_is_written() {
    for (args, words) in [
        (&["litellm"][..], "has no `model_list`"),
        (&["api-key-auth", "--provider", "openai"], "no list of keys found"),
    ] {
        let folder = Folder::new();
        let file = folder.file("x.yaml", "a: {b: SENTINEL}\n");
        let run = keyswap(&[&["policy", "import"], args, &[&file]].concat());
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{args:?}");
        assert!(run.stderr.contains(words) && !run.stderr.contains("SENTINEL"), "{}", run.stderr);
    }
    // The provider is unknown, so the resulting policy is invalid.
    let folder = Folder::new();
    let file = folder.file("x.yaml", "credentials: [{key: a-long-key-SENTINEL, client: c}]\n");
    let run = keyswap(&["policy", "import", "api-key-auth", "--provider", "nobody", &file]);
    assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{}", run.all());
    assert!(
        run.stderr.contains("the result is not a valid policy") && !run.stderr.contains("SENTINEL"),
        "{}",
        run.stderr
    );
}

#[test]
fn models_and_budgets_of_tokens_are_brought_into_a_registry_and_those_that_it_has_stay() {
    let keys = json!([
        {"token": sha256("sk-1"), "key_alias": "alice", "models": ["gpt"], "max_budget": 10, "budget_duration": "1d"},
        {"token": sha256("sk-2"), "key_alias": "bob", "models": []},
    ]);
    let imported = litellm(CONFIG, Some(&keys), &["--registry", "https://registry.example"]);
    let folder = Folder::new();
    let database = format!("sqlite://{}", folder.path("keyswap.db").display());
    let subject = format!("token:{}", sha256("sk-1"));
    let import = || {
        let run =
            keyswap_with(&["token", "import", "-", "--database", &database], imported.stdout.as_bytes(), &[]);
        assert_eq!(run.code, 0, "{}", run.all());
        let run = keyswap(&["budget", "list", "--database", &database, "--format", "json"]);
        assert_eq!(run.code, 0, "{}", run.all());
        run.json()
    };
    let budgets = import();
    let shown = keyswap(&["token", "show", "alice", "--database", &database, "--format", "json"]).json();
    assert_eq!(shown["models"], json!(["gpt-5"]));
    let items = budgets.as_array().or_else(|| budgets["items"].as_array()).unwrap();
    assert_eq!(items.len(), 1, "{budgets}");
    assert_eq!(
        (&items[0]["subject"], &items[0]["budget"]["usd"]),
        (&json!(subject), &json!("10")),
        "{budgets}"
    );
    let set = keyswap(&["budget", "set", &subject, "--usd", "5", "--per", "day", "--database", &database]);
    assert_eq!(set.code, 0, "{}", set.all());
    assert!(import().to_string().contains(r#""usd":"5""#));
}

#[test]
fn an_imported_policy_can_be_brought_into_a_registry() {
    let key = json!({"token": sha256("sk-1"), "key_alias": "alice", "models": [], "rpm_limit": 7});
    let imported = litellm(CONFIG, Some(&json!([key])), &[]);
    let folder = Folder::new();
    let database = format!("sqlite://{}", folder.path("keyswap.db").display());
    let run =
        keyswap_with(&["token", "import", "-", "--database", &database], imported.stdout.as_bytes(), &[]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "1 imported, 0 already present\n"), "{}", run.all());
    let shown = keyswap(&["token", "show", "alice", "--database", &database, "--format", "json"]);
    assert_eq!(shown.code, 0, "{}", shown.all());
    assert_eq!(shown.json()["rate_limit"], json!({"requests": 7, "per": "60s"}));
}

#[test]
fn a_configuration_that_includes_itself_in_ever_new_spellings_is_read_once() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("x")).unwrap();
    let plain = folder.file("plain.yaml", CONFIG);
    let config = folder.file("c.yaml", format!("{CONFIG}\ninclude: [x/../c.yaml, x/../x/../c.yaml]\n"));
    let [plain, config] = [plain, config].map(|path| keyswap(&["policy", "import", "litellm", &path]));
    assert_eq!((config.code, config.stdout), (plain.code, plain.stdout), "{}", config.stderr);
}
