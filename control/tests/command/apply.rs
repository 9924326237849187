//! `apply`: tokens of a registry as a file has them.

use serde_json::{Value, json};

use crate::remote::registry;
use crate::support::{DIGEST, Folder, Run, TOKEN, keyswap, keyswap_with};
use crate::tokens::Home;

/// A registry and a folder for files.
struct Bed {
    home: Home,
    folder: Folder,
}

impl Bed {
    fn new() -> Self {
        Self { home: Home::new(), folder: Folder::new() }
    }

    fn apply(&self, document: &str, more: &[&str]) -> Run {
        let file = self.folder.file("tokens.yaml", document);
        self.home.run(&[&["apply", "-f", &file], more].concat())
    }

    fn tokens(&self) -> Vec<Value> {
        self.home.json(&["token", "list"])["items"].as_array().unwrap().clone()
    }

    fn out(&self, name: &str) -> String {
        self.folder.path(name).to_str().unwrap().to_owned()
    }
}

const DOCUMENT: &str = "\
tokens:
  - {label: ci-build, owner: ci@acme.example, providers: [openai], rate_limit: {requests: 60, per: 1m}}
  - {label: ci-docs, providers: [anthropic, openai], models: [gpt-5], expires_at: 2099-01-01T01:00:00+01:00}
";

#[test]
fn a_second_run_changes_nothing() {
    let bed = Bed::new();
    let refused = bed.apply(DOCUMENT, &[]);
    assert_eq!(refused.code, 1);
    assert!(
        refused.stderr.contains("2 tokens are to be minted: pass `--tokens-out FILE`"),
        "{}",
        refused.stderr
    );
    assert!(bed.tokens().is_empty());
    let out = bed.out("new");
    let made = bed.apply(DOCUMENT, &["--tokens-out", &out]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    assert!(
        made.stdout.contains("+ ci-build\n    ") && made.stdout.ends_with("0 unchanged\n"),
        "{}",
        made.stdout
    );
    let lines = std::fs::read_to_string(&out).unwrap();
    let written: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (line, label) in written.iter().zip(["ci-build", "ci-docs"]) {
        assert_eq!(line["label"], label);
        let token = line["token"].as_str().unwrap();
        assert!(token.starts_with("ptk_") && !made.all().contains(token));
        let shown = bed.home.run_with(&["token", "show", "-", "--format", "json"], token.as_bytes()).json();
        assert_eq!((&shown["label"], &shown["sha256"]), (&line["label"], &line["sha256"]));
        assert_eq!(shown["last4"], token[token.len() - 4..]);
    }
    let permissions =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&out).unwrap().permissions());
    assert_eq!(permissions & 0o777, 0o600);
    let before = bed.tokens();
    let again = bed.apply(DOCUMENT, &["--tokens-out", &out]);
    assert_eq!(
        (again.code, again.stdout.as_str()),
        (0, "0 to create, 0 to change, 0 to disable, 2 unchanged\n")
    );
    assert_eq!(bed.tokens(), before);
    assert_eq!(bed.apply(DOCUMENT, &["--dry-run"]).code, 0);
    // The file of an earlier run is not overwritten.
    let more = format!("{DOCUMENT}  - {{label: ci-more, providers: [openai]}}\n");
    let refused = bed.apply(&more, &["--tokens-out", &out]);
    assert!(refused.code == 1 && refused.stderr.contains("cannot create"), "{}", refused.stderr);
    assert_eq!((bed.tokens(), std::fs::read_to_string(&out).unwrap()), (before, lines));
}

#[test]
fn a_label_names_no_token_of_another_owner_or_team() {
    let bed = Bed::new();
    let apply = |entry: &str| {
        bed.apply(
            &format!("tokens:\n  - {{label: ci-deploy, providers: [anthropic], {entry}}}\n"),
            &["--dry-run"],
        )
    };
    bed.home.json(&[
        "token",
        "create",
        "--label",
        "ci-deploy",
        "--provider",
        "openai",
        "--owner",
        "m@x.example",
        "--team",
        "red",
    ]);
    for entry in [
        "",
        "owner: m@x.example",
        "owner: ci@x.example, team: red",
        "team: red",
        "owner: m@x.example, team: blue",
    ] {
        let run = apply(entry);
        assert_eq!(run.code, 1, "{entry}: {}", run.all());
        assert!(run.stderr.contains("tokens[0]: ") && run.stderr.contains("`sha256`"), "{}", run.stderr);
    }
    let run = apply("owner: m@x.example, team: red");
    assert!(run.code == 2 && run.stdout.contains("~ ci-deploy"), "{}", run.all());
}

#[test]
fn a_dry_run_shows_the_difference_and_makes_none() {
    let bed = Bed::new();
    bed.apply(DOCUMENT, &["--tokens-out", &bed.out("new")]);
    let changed = format!(
        "tokens:\n  - {{label: ci-build, owner: ci@acme.example, providers: [openai], team: red}}\n  - {{sha256: {DIGEST}, label: ci-known, providers: [openai]}}\n"
    );
    let before = bed.tokens();
    let run = bed.apply(&changed, &["--dry-run", "--prune", "ci-"]);
    assert_eq!(run.code, 2, "{}", run.stderr);
    for line in [
        "+ ci-known",
        "~ ci-build  ",
        "    team: none -> red",
        "    rate_limit: {\"per\":\"60s\",\"requests\":60} -> none",
        "- ci-docs  ",
        "1 to create, 1 to change, 1 to disable, 0 unchanged",
    ] {
        assert!(run.stdout.contains(line), "{line}: {}", run.stdout);
    }
    assert_eq!(bed.tokens(), before);
    let refused = bed.apply(&changed, &["--prune", "ci-"]);
    assert!(refused.code == 1 && refused.stderr.contains("--yes"), "{}", refused.stderr);
    assert_eq!(bed.tokens(), before);
    let run = bed.apply(&changed, &["--prune", "ci-", "--yes", "--format", "json"]);
    assert_eq!((run.code, &run.json()["applied"]), (0, &json!(true)), "{}", run.stderr);
    let known = bed.home.run_with(&["token", "show", "-", "--format", "json"], TOKEN.as_bytes()).json();
    assert_eq!((&known["label"], &known["status"]), (&json!("ci-known"), &json!("active")));
    assert_eq!(bed.home.json(&["token", "show", "ci-docs"])["status"], "disabled");
    assert_eq!(bed.apply(&changed, &["--dry-run", "--prune", "ci-"]).code, 0);
}

#[test]
fn a_file_takes_no_tokens_of_others_and_enables_none_by_itself() {
    let bed = Bed::new();
    bed.home.json(&["token", "create", "--label", "alice", "--provider", "openai"]);
    bed.home.json(&["token", "create", "--label", "ci-old", "--provider", "openai"]);
    let none = "tokens: [{label: ci-old, providers: [openai]}]";
    let run = bed.apply(none, &["--prune", "alice", "--yes"]);
    assert!(run.code == 1 && run.stderr.contains("does not begin with the prefix"), "{}", run.stderr);
    assert_eq!(bed.apply("tokens: []", &["--prune", "", "--yes"]).code, 1);
    assert_eq!(bed.apply("tokens: []", &["--prune", "ci-", "--yes"]).code, 0);
    assert_eq!(bed.home.json(&["token", "show", "alice"])["status"], "active");
    let kept = bed.apply(none, &[]);
    assert!(kept.code == 0 && kept.stderr.contains("ci-old is disabled"), "{}", kept.stderr);
    assert_eq!(bed.home.json(&["token", "show", "ci-old"])["status"], "disabled");
    let enabled = "tokens: [{label: ci-old, providers: [openai], status: active}]";
    assert_eq!(bed.apply(enabled, &[]).code, 0);
    assert_eq!(bed.home.json(&["token", "show", "ci-old"])["status"], "active");
    // After a rotation the label means the successor. The old token works for its grace period, also with `--prune`.
    bed.home.json(&["token", "rotate", "ci-old"]);
    let run = bed.apply(enabled, &["--prune", "ci-", "--yes"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "0 to create, 0 to change, 0 to disable, 1 unchanged\n"));
    bed.home.json(&["token", "create", "--label", "ci-old", "--provider", "openai"]);
    let run = bed.apply(enabled, &[]);
    assert!(run.code == 1 && run.stderr.contains("name one of them by `sha256`"), "{}", run.stderr);
}

#[test]
fn rows_beyond_the_role_of_a_key_are_named_and_stay_as_they_are() {
    let (registry, folder) = (registry(), Folder::new());
    let url = registry.url();
    let run = |name: &'static str, secret: &str, args: &[&str]| {
        keyswap_with(args, b"", &[("KEYSWAP_SERVER", url.as_str()), (name, secret)])
    };
    let by_password = |args: &[&str]| run("KEYSWAP_ADMIN_PASSWORD", registry.password(), args);
    let key = |name: &str, role: &[&str]| {
        let made = by_password(&[&["api-key", "create", name, "--role"], role].concat());
        made.stdout.trim().to_owned()
    };
    let (owner, auditor) = (key("red", &["team_owner", "--team", "red"]), key("siem", &["auditor"]));
    by_password(&["token", "create", "--label", "ci-blue", "--provider", "openai", "--team", "blue"]);
    by_password(&["token", "create", "--label", "ci-mine", "--provider", "openai", "--team", "red"]);
    let tokens =
        || by_password(&["token", "list", "--format", "json"]).json()["items"].as_array().unwrap().clone();
    let mine = tokens().into_iter().find(|token| token["label"] == "ci-mine").unwrap();
    let mine = mine["sha256"].as_str().unwrap();
    let document = format!(
        "tokens:
  - {{label: ci-new, providers: [openai], team: red}}
  - {{label: ci-foreign, providers: [openai], team: blue}}
  - {{sha256: {DIGEST}, label: ci-known, providers: [openai], team: blue}}
  - {{sha256: {mine}, label: ci-mine, providers: [openai], team: blue}}
  - {{label: ci-last, providers: [openai], team: red, status: disabled}}
"
    );
    let file = folder.file("tokens.yaml", document);
    let before = tokens();
    let out = |name: &str| folder.path(name).to_str().unwrap().to_owned();
    let refused = run("KEYSWAP_API_KEY", &auditor, &["apply", "-f", &file, "--tokens-out", &out("none")]);
    assert_eq!(refused.code, 1, "{}", refused.all());
    assert!(refused.stderr.contains("refused 5 of 5 changes"), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("ci-new: the role `auditor` may not create a token"),
        "{}",
        refused.stderr
    );
    assert_eq!((tokens(), std::fs::read_to_string(out("none")).unwrap().as_str()), (before, ""));

    // What is in the team is done, in whole. The rest is named, and no token stays in the file that the registry lacks.
    let refused = run("KEYSWAP_API_KEY", &owner, &["apply", "-f", &file, "--tokens-out", &out("new")]);
    assert_eq!(
        (refused.code, refused.stderr.matches("name one of your own teams").count()),
        (1, 2),
        "{}",
        refused.all()
    );
    assert!(refused.stderr.contains("administrators name tokens by their SHA-256"), "{}", refused.stderr);
    assert!(refused.stderr.contains("refused 3 of 5 changes"), "{}", refused.stderr);
    for label in ["ci-foreign: ", "ci-known: ", "ci-mine: "] {
        assert!(refused.stderr.contains(label), "{label}: {}", refused.stderr);
    }
    let lines = std::fs::read_to_string(out("new")).unwrap();
    let written: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let labels: Vec<&Value> = written.iter().map(|line| &line["label"]).collect();
    assert_eq!(labels, ["ci-new", "ci-last"]);
    assert!(written.iter().all(|line| !refused.all().contains(line["token"].as_str().unwrap())));
    let state = |label: &str| {
        let token = tokens().into_iter().find(|token| token["label"] == label)?;
        Some((token["team"].as_str()?.to_owned(), token["status"].as_str()?.to_owned()))
    };
    let is = |team: &str, status: &str| Some((team.to_owned(), status.to_owned()));
    assert_eq!((state("ci-new"), state("ci-last")), (is("red", "active"), is("red", "disabled")));
    assert_eq!((state("ci-mine"), state("ci-blue")), (is("red", "active"), is("blue", "active")));
    assert_eq!((state("ci-foreign"), state("ci-known")), (None, None));
}

#[test]
fn what_is_no_record_is_refused_and_not_quoted() {
    let bed = Bed::new();
    for (document, said) in [
        (
            "tokens: [{label: a, providers: [openai], token: ptk_SENTINEL}]",
            "tokens.yaml: tokens[0].token is no such field",
        ),
        ("tokens: [{label: a, providers: openai}]", "tokens[0].providers is invalid: expected a list"),
        ("tokens: [{providers: [openai]}]", "tokens[0].label is missing"),
        (
            "tokens: [{label: a, providers: [openai], status: SENTINEL}]",
            "tokens[0].status is invalid: expected `active` or `disabled`",
        ),
        ("tokens: [{label: ptk_SENTINEL, providers: [openai]}]", "tokens[0].label looks like a token"),
        ("tokens: [{label: a, providers: [openai], sha256: ptk_SENTINEL}]", "tokens[0].sha256: expected 64"),
        ("tokens: [{label: a, providers: []}]", "tokens[0]"),
        (
            "tokens: [{label: a, providers: [openai]}, {label: a, providers: [openai]}]",
            "tokens[1] names a token",
        ),
        ("tokens: ptk_SENTINEL", "is not a document with the list `tokens` alone"),
        (
            "version: keyswap/v1\ntokens: []",
            "is not a document with the list `tokens` alone: version is no such field: expected `tokens`",
        ),
        ("", "the document is empty"),
    ] {
        let run = bed.apply(document, &["--dry-run", "--database", "sqlite://none.db"]);
        assert!(run.code == 1 && run.stderr.contains(said), "{document}: {}", run.all());
        assert!(!run.all().contains("SENTINEL"), "{}", run.all());
    }
    let help = keyswap(&["apply", "--help"]);
    assert!(help.stdout.contains("`apply --dry-run`: the registry differs from the file"), "{}", help.stdout);
}
