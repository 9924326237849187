//! Bindings in the policy tools: the explanation, the comparison, and cases with generated tokens.

use serde_json::{Value, json};

use crate::support::{Folder, Run, keyswap};

fn sha256() -> String {
    "1".repeat(64)
}

/// Returns a policy with one token, whose owner and team have names, and these bindings in YAML.
fn policy(bindings: &str) -> String {
    format!(
        "version: keyswap/v1\n\
         tokens: [{{sha256: '{}', label: t, owner: ada@b.c, team: research, providers: [openai]}}]\n\
         credentials: {{own: [{{env: OWN}}], other: [{{env: OTHER}}]}}\n\
         providers: {{openai: {{credential: other, bindings: {bindings}}}}}\n",
        sha256()
    )
}

/// Tests that requests with the token carry the credential `own`.
fn test(bindings: &str) -> Run {
    let folder = Folder::new();
    let policy = folder.file("policy.yaml", policy(bindings));
    let request =
        "request: {method: GET, target: /v1/models, headers: {authorization: 'Bearer {{token:t}}'}}";
    folder.file(
        "policy.tests.yaml",
        format!("cases: [{{name: it, {request}, forward: {{}}, credential: own}}]\n"),
    );
    keyswap(&["policy", "test", &policy])
}

#[test]
fn a_generated_token_has_the_binding_of_the_token_that_it_replaces() {
    // Digits alone stay a name in YAML, with and without quotes.
    let sha256 = sha256();
    for name in [sha256.clone(), sha256[..16].to_owned(), format!("'{}'", &sha256[..16])] {
        let run = test(&format!("{{tokens: {{{name}: own}}, teams: {{research: other}}}}"));
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{name}: {}", run.all());
    }
    let another = test("{tokens: {'2222222222222222': own}}");
    assert_eq!(another.code, 2, "{}", another.all());
}

#[test]
fn an_explanation_names_the_binding_that_decided() {
    let token = "ptk_explained-0123456789abcdef";
    let digest = keyswap_core::base::Digest::of(token.as_bytes()).to_hex();
    for (bindings, expect) in [
        ("{teams: {research: own}}", Some("the team `research` has a credential of its own")),
        (
            "{teams: {research: own}, owners: {ADA@b.c: own}}",
            Some("the owner `ada@b.c` has a credential of its own"),
        ),
        ("{teams: {sales: own}}", None),
    ] {
        let folder = Folder::new();
        let policy = folder.file("policy.yaml", policy(bindings).replace(&sha256(), &digest));
        let request = format!("GET /v1/models HTTP/1.1\nauthorization: Bearer {token}\n");
        let run =
            keyswap(&["policy", "explain", &policy, &folder.file("r.txt", request), "--format", "json"]);
        let explained: Value = run.json();
        let checks = explained["checks"].as_array().unwrap();
        let checks: Vec<&str> = checks.iter().filter_map(|check| check["message"].as_str()).collect();
        let found = checks.iter().copied().find(|check| check.contains("of its own"));
        assert_eq!(found, expect, "{}", run.all());
        let key = if expect.is_some() {
            "the credential `own` is there"
        } else {
            "the credential `other` is there"
        };
        assert!(checks.contains(&key), "{checks:?}");
        assert_eq!(explained["principal"]["team"], json!("research"));
    }
}

#[test]
fn a_comparison_tells_each_binding_and_team_that_changed() {
    let folder = Folder::new();
    let before = folder.file("a.yaml", policy("{teams: {research: own, sales: other}}"));
    let after = policy("{teams: {research: other, sales: other}, people: {p@b.c: own}}");
    let after = folder.file("b.yaml", after.replace("team: research", "team: sales"));
    let run = keyswap(&["policy", "diff", &before, &after]);
    let changed: Vec<&str> = run.stdout.lines().map(str::trim).collect();
    assert_eq!(
        changed,
        [
            "tokens",
            "~ t (1111111111111111): team research → sales",
            "providers",
            "~ openai: bindings + person p@b.c: own, + team research: other, - team research: own",
        ],
        "{}",
        run.all()
    );
}
