//! `token …` on a registry: stored records, and selecting a token without passing it as an argument.

use serde_json::{Value, json};

use crate::support::{DIGEST, Folder, Run, TOKEN, assert_only_text, keyswap_with, policy};

/// The registry of one test.
pub(crate) struct Home {
    folder: Folder,
    url: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        let folder = Folder::new();
        let url = format!("sqlite://{}", folder.path("registry.db").display());
        Self { folder, url }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Runs a command on the registry, which the environment names.
    pub(crate) fn run(&self, args: &[&str]) -> Run {
        self.run_with(args, b"")
    }

    pub(crate) fn run_with(&self, args: &[&str], stdin: &[u8]) -> Run {
        let run = keyswap_with(args, stdin, &[("KEYSWAP_DATABASE", &self.url)]);
        assert_only_text(&run);
        run
    }

    /// Runs a command and returns its output in JSON.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let run = self.run(&[args, &["--format", "json"]].concat());
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{args:?}");
        run.json()
    }

    fn create(&self, label: &str) -> Value {
        self.json(&["token", "create", "--label", label, "--provider", "openai"])
    }
}

#[test]
fn a_new_token_is_in_the_registry_and_is_shown_once() {
    let home = Home::new();
    let created = home.json(&[
        "token",
        "create",
        "--label",
        "ci",
        "--provider",
        "openai,anthropic",
        "--owner",
        "a@acme.example",
        "--expires-at",
        "2036-01-01T01:00:00+01:00",
        "--model",
        "gpt-5",
        "--rate-limit",
        "60,100000t/1m",
    ]);
    let (token, sha256) = (created["token"].as_str().unwrap(), created["sha256"].as_str().unwrap());
    assert!(token.starts_with("ptk_"));
    let shown = home.json(&["token", "show", "ci"]);
    assert_eq!(shown, created["record"]);
    for (field, expect) in [
        ("sha256", json!(sha256)),
        ("label", json!("ci")),
        ("owner", json!("a@acme.example")),
        ("providers", json!(["openai", "anthropic"])),
        ("models", json!(["gpt-5"])),
        ("expires_at", json!("2036-01-01T00:00:00Z")),
        ("rate_limit", json!({"requests": 60, "tokens": 100_000, "per": "60s"})),
        ("status", json!("active")),
    ] {
        assert_eq!(shown[field], expect, "{field}");
    }

    let run = home.run(&["token", "create", "--label", "laptop", "--provider", "openai"]);
    let token = run.stdout.trim_end();
    assert_eq!((run.code, run.stdout.lines().count()), (0, 1));
    assert!(run.stderr.contains("label:      laptop") && !run.stderr.contains(token), "{}", run.stderr);
    for args in [&["token", "list"][..], &["token", "show", "laptop"], &["token", "list", "--format", "json"]]
    {
        assert!(!home.run(args).all().contains(token), "{args:?}");
    }
    let on_disk = std::fs::read(home.folder.path("registry.db")).unwrap();
    assert!(!String::from_utf8_lossy(&on_disk).contains(token));
}

#[test]
fn a_token_is_named_by_label_digest_or_standard_input() {
    let home = Home::new();
    let ci = home.create("ci")["sha256"].as_str().unwrap().to_owned();
    home.create("ci-nightly");
    home.create("Zoë's 🦀 laptop");
    let custom = home.run_with(
        &["token", "create", "--label", "own", "--provider", "openai", "--stdin", "--format", "json"],
        format!("{TOKEN}\n").as_bytes(),
    );
    assert_eq!(custom.json()["sha256"], json!(DIGEST), "{}", custom.stderr);

    let upper = ci.to_uppercase();
    for (name, label) in [
        ("ci", "ci"),
        ("ci-", "ci-nightly"),
        ("Zoë", "Zoë's 🦀 laptop"),
        (ci.as_str(), "ci"),
        (&ci[..8], "ci"),
        (&upper[..12], "ci"),
        ("-", "own"),
    ] {
        let run = home.run_with(&["token", "show", name, "--format", "json"], TOKEN.as_bytes());
        assert_eq!(run.code, 0, "{name}: {}", run.stderr);
        assert_eq!(run.json()["label"], json!(label), "{name}");
    }

    let absent = "0".repeat(64);
    for (name, stdin, words) in [
        ("c", "", "3 tokens match: select one by digits of its SHA-256"),
        (&ci[..7], "", "no such token"),
        ("nobody", "", "no such token"),
        ("%", "", "no such token"),
        ("' OR 1=1 --", "", "no such token"),
        ("", "", "no token given"),
        (absent.as_str(), "", "no such token"),
        (TOKEN, "", "pass the token on standard input"),
        ("-", "ptk_SENTINEL-that-nobody-knows", "no such token"),
        ("-", "\n", "no token on standard input"),
    ] {
        if name == "c" {
            home.create("cd");
        }
        let run = home.run_with(&["token", "show", "--", name], stdin.as_bytes());
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{name}");
        assert!(run.stderr.starts_with("error: ") && run.stderr.contains(words), "{name}: {}", run.stderr);
        assert!(!run.stderr.contains("SENTINEL"), "{}", run.stderr);
    }
    // A label may be chosen to look like the digits of another token.
    home.create(&ci[..16]);
    let run = home.run(&["token", "disable", &ci[..16]]);
    assert!(run.code == 1 && run.stderr.contains("2 tokens match"), "{}", run.all());
    let run = home.run(&["token", "delete", "c", "--yes"]);
    assert!(run.stderr.contains(&ci[..16]) && run.stderr.contains("ci-nightly"), "{}", run.stderr);
}

#[test]
fn a_rotated_token_has_a_successor_and_ends_with_the_grace() {
    let home = Home::new();
    let old = home.create("ci");
    let rotated = home.json(&["token", "rotate", "ci", "--grace", "0s"]);
    assert_ne!(rotated["token"], old["token"]);
    assert_eq!(rotated["retiring"]["successor"], rotated["sha256"]);
    assert_eq!(rotated["record"]["label"], json!("ci"));
    let old = &old["sha256"].as_str().unwrap()[..16];
    assert!(home.run(&["token", "show", old]).stdout.contains("status:     expired"));

    for (args, words) in [
        (&["token", "rotate", old][..], "the token has a successor already"),
        (&["token", "rotate", "ci"], "2 tokens match"),
        (&["token", "rotate", old, "--grace", "367d"], "at most one year"),
        (&["token", "rotate", old, "--grace", "soon"], "expected a duration"),
    ] {
        let run = home.run(args);
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{args:?}");
        assert!(run.stderr.contains(words), "{args:?}: {}", run.stderr);
    }
    let successor = rotated["sha256"].as_str().unwrap();
    let run = home.run(&["token", "rotate", successor]);
    assert_eq!((run.code, run.stdout.lines().count()), (0, 1), "{}", run.stderr);
    assert!(home.run(&["token", "show", successor]).stdout.contains("status:     retiring"));
}

#[test]
fn a_token_is_taken_back_given_again_and_deleted() {
    let home = Home::new();
    home.create("ci");
    for (verb, status) in
        [("disable", "disabled"), ("disable", "disabled"), ("enable", "active"), ("disable", "disabled")]
    {
        assert_eq!(home.json(&["token", verb, "ci"])["status"], json!(status), "{verb}");
    }
    let run = home.run(&["token", "rotate", "ci"]);
    assert!((run.code, run.stderr.contains("the token is disabled")) == (1, true), "{}", run.stderr);

    let run = home.run(&["token", "delete", "ci"]);
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    assert!(run.stderr.contains("--yes"), "{}", run.stderr);
    let sha256 = home.json(&["token", "show", "ci"])["sha256"].clone();
    assert_eq!(home.json(&["token", "delete", "ci", "--yes"]), json!({"deleted": sha256}));
    assert_eq!(home.run(&["token", "show", "ci"]).code, 1);
}

#[test]
fn a_list_is_searched_cut_and_fits_the_terminal() {
    let home = Home::new();
    let empty = home.run(&["token", "create", "--label", "first", "--provider", "openai"]);
    assert_eq!(empty.code, 0);
    // A search also matches digests and the last four characters of tokens; these labels cannot match them by chance.
    for label in ["build-ci", "build-ci-nightly", "laptop"] {
        home.create(label);
    }
    home.json(&["token", "disable", "laptop"]);
    for (args, labels, total) in [
        (&[][..], &["laptop", "build-ci-nightly", "build-ci", "first"][..], 4),
        (&["--search", "BUILD-CI"], &["build-ci-nightly", "build-ci"], 2),
        (&["--limit", "1"], &["laptop"], 4),
        (&["--status", "disabled"], &["laptop"], 1),
        (&["--search", "nobody"], &[], 0),
    ] {
        let list = home.json(&[&["token", "list"], args].concat());
        let found: Vec<&str> =
            list["items"].as_array().unwrap().iter().map(|item| item["label"].as_str().unwrap()).collect();
        assert_eq!((found.as_slice(), &list["total"]), (labels, &json!(total)), "{args:?}");
    }

    let list = |columns: &str| {
        let environment = [("KEYSWAP_DATABASE", home.url.as_str()), ("COLUMNS", columns)];
        keyswap_with(&["token", "list"], b"", &environment)
    };
    let wide = list("200");
    assert_eq!(wide.stderr, "4 of 4 shown\n");
    let starts: Vec<usize> =
        wide.stdout.lines().map(|line| line.find("openai").or(line.find("PROVIDERS")).unwrap()).collect();
    assert!(starts.len() == 5 && starts.iter().all(|start| *start == starts[0]), "{}", wide.stdout);
    let narrow = list("40");
    assert!(narrow.stdout.lines().all(|line| line.len() <= 40), "{}", narrow.stdout);
    assert!(narrow.stdout.contains("label:     build-ci-nightly\n"), "{}", narrow.stdout);
}

#[test]
fn tokens_of_a_policy_come_in_once_and_as_they_are() {
    let home = Home::new();
    let other = "1".repeat(64);
    let disabled = format!("  - {{sha256: '{other}', label: old, providers: [openai], status: disabled}}\n");
    let file = home.folder.file("policy.yaml", policy(&disabled));
    let imported = home.json(&["token", "import", &file]);
    assert_eq!((imported["imported"].as_array().map(Vec::len), &imported["known"]), (Some(2), &json!(0)));
    assert_eq!(home.json(&["token", "show", &other])["status"], json!("disabled"));
    let alice = home.json(&["token", "show", DIGEST]);
    assert_eq!(
        (&alice["owner"], &alice["expires_at"]),
        (&json!("alice@acme.example"), &json!("2027-06-30T00:00:00Z"))
    );
    assert_eq!(home.run(&["token", "import", &file]).stdout, "0 imported, 2 already present\n");

    let record = |digest: &str, more: &str| {
        format!(r#"{{"tokens": [{{"sha256": "{digest}", "label": "x", "providers": ["openai"]{more}}}]}}"#)
    };
    let new = "2".repeat(64);
    for (document, words) in [
        (record(&new, r#", "token": "ptk_SENTINEL""#), "standard input: tokens[0].token is no such field"),
        (record("SENTINEL", ""), "tokens[0].sha256: expected 64"),
        (record(&new, r#", "expires_at": "SENTINEL""#), "tokens[0]: invalid expiry: expected a time"),
        (
            record(&new, r#", "status": "SENTINEL""#),
            "tokens[0].status is invalid: expected `active` or `disabled`",
        ),
        (record(&new, r#", "models": "SENTINEL""#), "tokens[0].models is invalid: expected a list"),
        (record(&new, r#", "rate_limit": {"requests": "SENTINEL"}"#), "tokens[0].rate_limit"),
        ("{\"tokens\": {}}".to_owned(), "has no list `tokens`"),
        ("{\"tokens\": [".to_owned(), "not valid JSON"),
        ("a: [\u{1b}[2J".to_owned(), "not valid YAML"),
    ] {
        let run = home.run_with(&["token", "import", "-"], document.as_bytes());
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{document}");
        assert!(run.stderr.contains(words), "{document}: {}", run.stderr);
        assert!(!run.stderr.contains("SENTINEL"), "{}", run.stderr);
    }
    // The code and the words are those of `policy check`.
    for (document, words) in [
        (policy("  - {sha256: SENTINEL, label: x, providers: [openai]}\n"), "error at `tokens[1].sha256`"),
        (policy("surprise: 1\n"), "surprise"),
    ] {
        let run = home.run_with(&["token", "import", "-"], document.as_bytes());
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{document}");
        assert!(run.stderr.starts_with("error at ") && run.stderr.contains(words), "{}", run.stderr);
        assert!(run.stderr.ends_with("standard input: 1 error\n"), "{}", run.stderr);
        assert!(!run.stderr.contains("SENTINEL"), "{}", run.stderr);
    }
    // The first record is valid, the second is not: neither is imported.
    let half = format!("tokens:\n- {{sha256: '{new}', label: x, providers: [openai]}}\n- {{}}\n");
    assert_eq!(home.run_with(&["token", "import", "-"], half.as_bytes()).code, 1);
    assert_eq!(home.run(&["token", "show", &new]).code, 1);
}

#[test]
fn a_wrong_registry_is_told_and_made_only_by_what_adds_to_it() {
    let folder = Folder::new();
    let absent = format!("sqlite://{}", folder.path("absent.db").display());
    for (args, words) in [
        (&["token", "list"][..], "no registry given: pass `--database` or `--server`"),
        (&["user", "list"], "no registry given"),
        (&["token", "list", "--database", &absent], "no database at"),
        (&["user", "show", "a@acme.example", "--database", &absent], "no database at"),
        (&["token", "list", "--database", "mysql://a:SENTINEL@b/c"], "invalid database URL"),
        (&["token", "create", "--label", "a", "--provider", "openai", "--model", "m"], "need a registry"),
        (&["token", "list", "--limit", "0", "--database", &absent], "--limit"),
        (
            &["user", "create", "a", "--provider", "p", "--rate-limit", "5,0t/1m", "--database", &absent],
            "invalid rate limit",
        ),
        (
            &["user", "create", "a", "--provider", "p", "--rate-limit", "5,9/1m", "--database", &absent],
            "expected requests, tokens or both",
        ),
        (
            &["user", "create", "a", "--provider", "p", "--rate-limit", "0/1m", "--database", &absent],
            "invalid rate limit",
        ),
    ] {
        let run = keyswap_with(args, b"", &[]);
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{args:?}");
        assert!(run.stderr.contains(words), "{args:?}: {}", run.stderr);
        assert!(!run.stderr.contains("SENTINEL"), "{}", run.stderr);
    }
    assert!(!folder.path("absent.db").exists());
}

#[test]
fn update_changes_what_is_named_and_nothing_else() {
    let home = Home::new();
    let before = home.create("ci");
    let run = home.run(&["token", "update", "ci"]);
    assert_eq!(run.code, 1, "an update without a field is a mistake: {}", run.stdout);
    let after = home.json(&[
        "token",
        "update",
        "ci",
        "--label",
        "build",
        "--owner",
        "b@acme.example",
        "--provider",
        "anthropic,gemini",
        "--model",
        "claude-*",
        "--expires-at",
        "2036-01-01T00:00:00Z",
        "--rate-limit",
        "5/1m",
    ]);
    for (field, expect) in [
        ("sha256", before["record"]["sha256"].clone()),
        ("label", json!("build")),
        ("owner", json!("b@acme.example")),
        ("team", Value::Null),
        ("providers", json!(["anthropic", "gemini"])),
        ("models", json!(["claude-*"])),
        ("expires_at", json!("2036-01-01T00:00:00Z")),
        ("rate_limit", json!({"requests": 5, "per": "60s"})),
    ] {
        assert_eq!(after[field], expect, "{field}");
    }
    let cleared = home.json(&[
        "token",
        "update",
        "build",
        "--owner",
        "",
        "--model",
        "*",
        "--no-expiry",
        "--no-rate-limit",
    ]);
    for field in ["owner", "expires_at", "rate_limit"] {
        assert_eq!(cleared[field], Value::Null, "{field}");
    }
    assert_eq!((&cleared["label"], &cleared["models"]), (&json!("build"), &json!(["*"])));
}
