//! `user …` on a registry.

use serde_json::json;

use crate::tokens::Home;

#[test]
fn a_user_is_created_changed_listed_and_deleted() {
    let home = Home::new();
    let created =
        home.json(&["user", "create", "Alice@acme.example", "--provider", "openai", "--rate-limit", "5/1s"]);
    assert_eq!(created["email"], json!("alice@acme.example"));
    assert_eq!(created["rate_limit"], json!({"requests": 5, "per": "1s"}));
    for (args, field, expect) in [
        (&["--label", "Alice"][..], "label", json!("Alice")),
        (&["--provider", "openai,gemini"], "providers", json!(["openai", "gemini"])),
        (&["--model", "gpt-5"], "models", json!(["gpt-5"])),
        (&["--status", "disabled"], "status", json!("disabled")),
        (&["--rate-limit", "900t/1m"], "rate_limit", json!({"tokens": 900, "per": "60s"})),
        (&["--rate-limit", "5,900t/1m"], "rate_limit", json!({"requests": 5, "tokens": 900, "per": "60s"})),
        (&["--no-rate-limit"], "rate_limit", json!(null)),
    ] {
        let updated = home.json(&[&["user", "update", "ALICE@acme.example"], args].concat());
        assert_eq!(updated[field], expect, "{args:?}");
        assert_eq!(home.json(&["user", "show", "alice@acme.example"]), updated);
    }
    let run = home.run(&["user", "list"]);
    assert_eq!((run.code, run.stdout.lines().count()), (0, 2));
    assert!(run.stdout.starts_with("EMAIL ") && run.stdout.contains("openai,gemini"), "{}", run.stdout);
    assert_eq!(home.json(&["user", "list", "--search", "nobody"]), json!({"items": [], "total": 0}));

    assert_eq!(home.run(&["user", "delete", "alice@acme.example"]).code, 1);
    let deleted = home.json(&["user", "delete", "alice@acme.example", "--yes"]);
    assert_eq!(deleted, json!({"deleted": "alice@acme.example"}));
    assert_eq!(home.run(&["user", "show", "alice@acme.example"]).stderr, "error: no such user\n");
}

#[test]
fn what_is_wrong_with_a_user_is_told() {
    let home = Home::new();
    home.json(&["user", "create", "a@acme.example", "--provider", "openai"]);
    for (args, words) in [
        (&["create", "a@acme.example", "--provider", "openai"][..], "this user is in the registry already"),
        (&["create", "b@acme.example"], "pick at least one provider"),
        (&["create", "b", "--provider", "openai"], "invalid email address"),
        (&["create", "b@acme.example", "--provider", "Open\u{1b}[2J"], "invalid provider"),
        (&["update", "b@acme.example", "--label", "x"], "no such user"),
        (&["update", "a@acme.example"], "required arguments were not provided"),
        (&["update", "a@acme.example", "--rate-limit", "1/1s", "--no-rate-limit"], "cannot be used with"),
        (&["delete", "b@acme.example", "--yes"], "no such user"),
    ] {
        let run = home.run(&[&["user"], args].concat());
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{args:?}");
        assert!(run.stderr.contains(words), "{args:?}: {}", run.stderr);
    }
}

#[test]
fn a_leaver_is_shown_and_disabled() {
    let home = Home::new();
    for (label, owner) in
        [("a", "alice@acme.example"), ("b", "ALICE@acme.example"), ("c", "bob@acme.example")]
    {
        home.json(&["token", "create", "--label", label, "--provider", "openai", "--owner", owner]);
    }
    home.json(&["user", "create", "alice@acme.example", "--provider", "openai"]);
    let asked = home.run(&["user", "offboard", "alice@acme.example"]);
    assert_eq!(asked.code, 1);
    assert!(asked.stderr.starts_with("user   alice@acme.example\ntoken  "), "{}", asked.stderr);
    assert_eq!(home.json(&["token", "list", "--status", "disabled"])["total"], 0);
    let done = home.run(&["user", "offboard", "alice@acme.example", "--yes"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, "disabled: 2 tokens, 1 user\n"), "{}", done.stderr);
    assert_eq!(home.json(&["token", "list", "--status", "disabled"])["total"], 2);
    assert_eq!(home.json(&["user", "show", "alice@acme.example"])["status"], "disabled");
    assert_eq!(home.json(&["user", "offboard", "alice@acme.example"])["tokens"], serde_json::json!([]));
    let again = home.run(&["user", "offboard", "alice@acme.example"]);
    assert_eq!(
        (again.code, again.stdout.as_str()),
        (0, "nothing to disable: all of it was disabled already\n")
    );
    let mistyped = home.run(&["user", "offboard", "alcie@acme.example", "--yes"]);
    assert_eq!((mistyped.code, mistyped.stdout.as_str()), (1, ""));
    assert!(mistyped.stderr.contains("check its spelling"), "{}", mistyped.stderr);
    assert_eq!(home.json(&["token", "list", "--attention", "unowned"])["total"], 0);
}
