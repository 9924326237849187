//! `policy import`: the result is a valid policy without keys, and settings that are left out are noted.

use keyswap_core::base::Digest;
use serde_json::{Value, json};

use crate::support::{Folder, Run, assert_only_text, keyswap, keyswap_with};

fn sha256(token: &str) -> String {
    Digest::of(token.as_bytes()).to_hex()
}

/// Returns the written policy, which must be valid and must not contain `SENTINEL`.
fn policy(run: &Run) -> Value {
    assert_eq!(run.code, 0, "{}", run.all());
    assert!(!run.all().contains("SENTINEL"), "{}", run.all());
    assert_only_text(run);
    let checked = keyswap_with(&["policy", "check", "-"], run.stdout.as_bytes(), &[]);
    assert_eq!(checked.code, 0, "{}\n{}", checked.all(), run.stdout);
    serde_saphyr::from_str(&run.stdout).unwrap()
}

fn assert_notes(run: &Run, notes: &[&str]) {
    for note in notes {
        assert!(run.stderr.lines().any(|line| line.contains(note)), "{note}\n---\n{}", run.stderr);
    }
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

const CONFIG: &str = r#"
model_list:
  - model_name: gpt
    litellm_params: {model: openai/gpt-5, api_key: os.environ/OPENAI_KEY_A, rpm: 5}
  - model_name: gpt
    litellm_params: {model: gpt-5-mini, api_key: os.environ/OPENAI_KEY_B}
  - model_name: gpt
    litellm_params: {model: openai/gpt-5, api_key: os.environ/OPENAI_KEY_A}
  - model_name: claude
    litellm_params: {model: claude-sonnet-5, api_key: sk-ant-SENTINELsentinelSENTINEL}
  - model_name: azure
    litellm_params: {model: azure/gpt, api_base: https://acme.openai.azure.com/, api_key: os.environ/AZURE}
  - model_name: local
    litellm_params: {model: openai/llama, api_base: http://vllm.internal:8000/v1, api_key: none-SENTINEL}
  - model_name: nova
    litellm_params: {model: bedrock/nova}
  - {model_name: broken}
  - model_name: secret
    litellm_params: {model: openai/x, api_base: "https://user:SENTINEL@host/v1"}
  - model_name: elsewhere
    litellm_params: {model: azure/x, api_base: os.environ/AZURE_BASE}
general_settings: {master_key: sk-SENTINELmaster, database_url: postgres://SENTINEL}
litellm_settings: {callbacks: [x]}
environment_variables: {OPENAI_KEY_A: SENTINEL}
"#;

#[test]
fn the_models_of_litellm_become_providers_with_the_names_of_their_keys() {
    let run = litellm(CONFIG, None, &[]);
    let policy = policy(&run);
    let expect = json!({
        "openai": [{"env": "OPENAI_KEY_A"}],
        "openai-2": [{"env": "OPENAI_KEY_B"}],
        "anthropic": [{"env": "ANTHROPIC_API_KEY"}],
        "azure-openai": [{"env": "AZURE"}],
        "at-vllm-internal-8000": [{"env": "AT_VLLM_INTERNAL_8000_API_KEY"}],
    });
    assert_eq!(policy["credentials"], expect);
    let expect = json!({
        "openai": {"credentials": {"openai": 2, "openai-2": 1}},
        "azure-openai": {"url": "https://acme.openai.azure.com/openai/deployments"},
        "at-vllm-internal-8000": {"url": "http://vllm.internal:8000/v1"},
    });
    assert_eq!((&policy["providers"], &policy["tokens"]), (&expect, &json!([])));
    assert_notes(
        &run,
        &[
            "model_list[0].litellm_params.rpm: not imported: limits of a deployment",
            "model_list[3].litellm_params.api_key: a literal key is not imported: set it in the variable ANTHROPIC_API_KEY",
            "model_list[6]: the provider `bedrock` is not supported: left out",
            "model_list[7]: no `model_name` or no `litellm_params.model`: left out",
            "model_list[8].litellm_params.api_base: the address comes from the environment or holds a password",
            "model_list[9].litellm_params.api_base: the address comes from the environment",
            "general_settings.master_key: not imported",
            "litellm_settings: ",
            "environment_variables: ",
        ],
    );
}

#[test]
fn virtual_keys_come_by_their_hash_and_never_wider_than_they_were() {
    let keys = json!({"keys": [
        {"token": sha256("sk-1"), "key_name": "sk-...SENTINEL", "key_alias": "alice", "user_id": "alice@acme.example",
         "models": [], "rpm_limit": 60, "expires": "2027-06-30T00:00:00", "blocked": null, "spend": 1.5, "metadata": {}},
        {"token": sha256("sk-2"), "models": ["gpt"], "max_budget": 10.0, "user_id": "default_user_id"},
        {"token": sha256("sk-3"), "models": ["all-proxy-models"], "blocked": true, "expires": "2027-06-30 00:00:00+02:00"},
        {"token": "sk-SENTINELplaintext", "key_alias": "plain", "models": ["openai/*"]},
        {"token": sha256("sk-4"), "models": ["nova"]},
        {"token": sha256("sk-5"), "key_alias": "routes", "allowed_routes": ["/chat/completions"], "rpm_limit": 0},
        {"token": sha256("sk-6"), "key_alias": "odd", "expires": "soon"},
        {"token": sha256("sk-7"), "key_alias": "admin", "key_type": "management"},
        {"token": sha256("sk-1"), "key_alias": "again"},
        {"key_alias": "nothing"},
        sha256("sk-8"),
    ]});
    let run = litellm(CONFIG, Some(&keys), &[]);
    let all = json!(["anthropic", "at-vllm-internal-8000", "azure-openai", "openai"]);
    let expect = json!([
        {"sha256": sha256("sk-1"), "label": "alice", "owner": "alice@acme.example", "providers": all,
         "expires_at": "2027-06-30T00:00:00Z", "rate_limit": {"requests": 60, "per": "60s"}},
        {"sha256": sha256("sk-2"), "label": format!("key-{}", &sha256("sk-2")[..8]), "providers": ["openai"], "status": "disabled"},
        {"sha256": sha256("sk-3"), "label": format!("key-{}", &sha256("sk-3")[..8]), "providers": all,
         "expires_at": "2027-06-29T22:00:00Z", "status": "disabled"},
        {"sha256": sha256("sk-SENTINELplaintext"), "label": "plain", "providers": ["openai"]},
        {"sha256": sha256("sk-5"), "label": "routes", "providers": all, "status": "disabled"},
        {"sha256": sha256("sk-6"), "label": "odd", "providers": all, "status": "disabled"},
        {"sha256": sha256("sk-7"), "label": "admin", "providers": all, "status": "disabled"},
    ]);
    assert_eq!(policy(&run)["tokens"], expect);
    assert_notes(
        &run,
        &[
            "keys[1]: restricted to models",
            "keys[1]: `max_budget` is not imported",
            "keys[4]: the model `nova` belongs to no imported provider",
            "keys[4]: no model of an imported provider: left out",
            "keys[5] (routes): `allowed_routes` is a restriction",
            "keys[5] (routes): `rpm_limit` is not a valid rate limit",
            "keys[6] (odd): `expires` is not a time: disabled",
            "keys[7] (admin): a key for administering LiteLLM: disabled",
            "keys[8] (again): duplicate key: left out",
            "keys[9] (nothing): no `token`",
            "keys[10]: hash without a record",
        ],
    );
    let widened = policy(&litellm(CONFIG, Some(&keys), &["--widen-models"]));
    assert_eq!(widened["tokens"][1].get("status"), None);
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

fn api_keys(files: &[&str]) -> Run {
    let folder = Folder::new();
    let files: Vec<String> =
        files.iter().enumerate().map(|(index, text)| folder.file(&format!("{index}.yaml"), text)).collect();
    let files = files.iter().map(String::as_str);
    let args: Vec<&str> = ["policy", "import", "api-key-auth", "--provider", "openai", "--provider", "groq"]
        .into_iter()
        .chain(files)
        .collect();
    keyswap(&args)
}

/// Returns the labels and digests of a policy's tokens.
fn tokens(policy: &Value) -> Vec<(String, String)> {
    let text = |token: &Value, name: &str| token[name].as_str().unwrap().to_owned();
    policy["tokens"].as_array().unwrap().iter().map(|it| (text(it, "label"), text(it, "sha256"))).collect()
}

fn expected(tokens: &[(&str, &str)]) -> Vec<(String, String)> {
    tokens.iter().map(|(label, key)| ((*label).to_owned(), sha256(key))).collect()
}

#[test]
fn the_key_list_of_envoys_filter_becomes_tokens() {
    let run = api_keys(&[r#"
static_resources:
  listeners:
    - filter_chains:
        - filters:
            - typed_config:
                http_filters:
                  - name: api_key_auth
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuth
                      credentials:
                        - {key: one-key-SENTINEL, client: one}
                        - {key: another-key-SENTINEL, client: another}
                        - {key: one-key-SENTINEL, client: twice}
                        - {key: short, client: short}
                        - {key: "", client: empty}
                      key_sources: [{header: Authorization}, {query: api_key}]
                route_config:
                  virtual_hosts:
                    - routes:
                        - typed_per_filter_config:
                            api_key_auth:
                              "@type": type.googleapis.com/envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuthPerRoute
                              allowed_clients: [one]
                              key_sources: [{cookie: k}]
"#]);
    let policy = policy(&run);
    let expect =
        expected(&[("one", "one-key-SENTINEL"), ("another", "another-key-SENTINEL"), ("short", "short")]);
    assert_eq!(tokens(&policy), expect);
    assert_eq!(policy["tokens"][0]["providers"], json!(["openai", "groq"]));
    assert_eq!(
        policy["credentials"],
        json!({"openai": [{"env": "OPENAI_API_KEY"}], "groq": [{"env": "GROQ_API_KEY"}]})
    );
    assert_notes(
        &run,
        &[
            "duplicate key: left out",
            "the key is short enough to be guessed",
            "the key is empty: left out",
            "callers send their key in `query:api_key`, which Keyswap does not read",
            "callers send their key in `cookie:k`",
            "not imported: which clients may use which route",
            "openai: set the provider's own key in the variable OPENAI_API_KEY",
        ],
    );
}

#[test]
fn the_secrets_that_envoy_gateway_takes_keys_from_become_tokens() {
    // `data` is `data-key-SENTINEL` and a line break, in base64.
    let secrets = "
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {plain: plain-key-SENTINEL}
data: {encoded: ZGF0YS1rZXktU0VOVElORUwK}
---
kind: Secret
metadata: {name: other}
stringData: {no: other-key-SENTINEL}
";
    let security = "
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: SecurityPolicy
spec:
  apiKeyAuth:
    credentialRefs: [{group: '', kind: Secret, name: keys}]
    extractFrom: [{headers: [x-api-key, x-team-key]}]
";
    let run = api_keys(&[security, secrets]);
    let expect = expected(&[("plain", "plain-key-SENTINEL"), ("encoded", "data-key-SENTINEL")]);
    assert_eq!(tokens(&policy(&run)), expect);
    assert_notes(
        &run,
        &["Secret other: no SecurityPolicy refers to it", "in `x-team-key`, which Keyswap does not read"],
    );

    let list = json!({"kind": "List", "items": [
        {"kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"plain": "plain-key-SENTINEL"}},
    ]});
    let run = api_keys(&[&list.to_string()]);
    assert_eq!(tokens(&policy(&run)), expected(&[("plain", "plain-key-SENTINEL")]));
}

#[test]
fn the_consumers_of_higress_become_tokens_without_the_scheme_of_a_header() {
    let run = api_keys(&["
apiVersion: extensions.higress.io/v1alpha1
kind: WasmPlugin
metadata: {name: key-auth}
spec:
  defaultConfig:
    global_auth: false
    consumers:
      - {name: app1, credential: Bearer bearer-key-SENTINEL}
      - {name: app2, credentials: [first-key-SENTINEL, second-key-SENTINEL], keys: [apikey], in_query: true, in_header: false}
    keys: [Authorization, x-api-key]
    in_header: true
    in_query: false
  matchRules:
    - config: {allow: [app1]}
      ingress: [httpbin]
"]);
    let expect = expected(&[
        ("app1", "bearer-key-SENTINEL"),
        ("app2", "first-key-SENTINEL"),
        ("app2", "second-key-SENTINEL"),
    ]);
    assert_eq!(tokens(&policy(&run)), expect);
    assert_notes(
        &run,
        &["in `query:apikey`, which Keyswap does not read", "which consumers may use which route"],
    );
    assert!(!run.stderr.contains("`authorization`") && !run.stderr.contains("`x-api-key`"), "{}", run.stderr);
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
