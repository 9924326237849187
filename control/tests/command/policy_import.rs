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
fn check_table(table: &str, args: impl Fn(&Value, &Folder) -> Vec<String>) {
    let cases: Vec<Value> = serde_saphyr::from_str(table).unwrap();
    for case in cases {
        let folder = Folder::new();
        let args = args(&case, &folder);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let run = keyswap(&[&["policy", "import"][..], &args].concat());
        let context = format!("{}\n{}", case["name"], run.all());
        assert!(!run.all().contains("SENTINEL"), "{context}");
        let mut expected = case["lines"].as_array().unwrap().clone();
        let mut lines: Vec<String> = run.stderr.lines().map(|line| without_folder(line, &folder)).collect();
        if case["code"] == json!(1) {
            assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{context}");
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
        }
        assert_eq!(json!(lines), json!(expected), "{context}");
    }
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
    let run =
        keyswap(&["policy", "import", "litellm", &config, "--keys", &folder.file("k.json", "{SENTINEL")]);
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    assert!(
        run.stderr.contains("not valid JSON at line 1") && !run.stderr.contains("SENTINEL"),
        "{}",
        run.stderr
    );
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
