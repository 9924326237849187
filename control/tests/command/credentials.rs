//! `credential …` on a registry.

use serde_json::json;

use crate::tokens::Home;

#[test]
fn a_credential_is_created_listed_and_revoked() {
    let home = Home::new();
    let created = home.json(&["credential", "create", "istio"]);
    let text = created["credential"].as_str().unwrap();
    assert!(text.starts_with("krc_") && text.len() == 47, "{text}");
    assert_eq!(created["record"]["role"], json!("data_plane"));
    let other = home.json(&["credential", "create", "billing", "--role", "introspection"]);
    assert_eq!(other["record"]["role"], json!("introspection"));
    let list = home.json(&["credential", "list"]);
    assert_eq!(list["items"], json!([other["record"], created["record"]]));
    let human = home.run(&["credential", "create", "istio"]);
    assert!(human.stdout.starts_with("krc_") && human.stdout.lines().count() == 1, "{}", human.stdout);
    assert!(human.stderr.contains("shown only once"));
    let listed = home.run(&["credential", "list"]);
    assert_eq!(listed.stdout.lines().count(), 4);
    assert!(!listed.all().contains(text));

    // Both match the name: the digits decide.
    let sha256 = created["sha256"].as_str().unwrap();
    let ambiguous = home.run(&["credential", "revoke", "istio", "--yes"]);
    assert_eq!((ambiguous.code, ambiguous.stdout.as_str()), (1, ""));
    assert!(ambiguous.stderr.contains(&sha256[..16]), "{}", ambiguous.stderr);
    let revoked = home.json(&["credential", "revoke", &sha256[..8], "--yes"]);
    assert_eq!(revoked, json!({"revoked": sha256}));
    assert_eq!(home.json(&["credential", "revoke", "istio", "--yes"])["revoked"].as_str().unwrap().len(), 64);
    for (args, words) in [
        (&["revoke", "istio", "--yes"][..], "no such credential"),
        (&["revoke", text, "--yes"], "no such credential"),
        (&["revoke", "billing"], "--yes"),
        (&["create", "a b"], "invalid name"),
        (&["create", "a", "--role", "admin"], "invalid value"),
    ] {
        let run = home.run(&[&["credential"], args].concat());
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{args:?}");
        assert!(run.stderr.contains(words) && !run.stderr.contains(text), "{args:?}: {}", run.stderr);
    }
}

#[test]
fn a_rotation_makes_a_successor_of_the_same_role_and_the_older_one_is_revoked() {
    let home = Home::new();
    let first = home.json(&["credential", "create", "billing", "--role", "introspection"]);
    let alone = home.run(&["credential", "revoke", "billing", "--older", "--yes"]);
    assert!(alone.code == 1 && alone.stderr.contains("one credential only"), "{}", alone.stderr);
    let second = home.json(&["credential", "rotate", "billing"]);
    assert_eq!(second["record"]["role"], "introspection");
    assert_ne!(second["credential"], first["credential"]);
    let third = home.run(&["credential", "rotate", "billing"]);
    assert!(third.code == 1 && third.stderr.contains("two credentials already"), "{}", third.stderr);
    let unknown = home.run(&["credential", "rotate", "istio"]);
    assert!(unknown.code == 1 && unknown.stderr.contains("no such credential"), "{}", unknown.stderr);
    let asked = home.run(&["credential", "revoke", "billing", "--older"]);
    assert!(asked.code == 1 && asked.stderr.contains("--yes"), "{}", asked.stderr);
    let revoked = home.json(&["credential", "revoke", "billing", "--older", "--yes"]);
    assert_eq!(revoked["revoked"], first["sha256"]);
    assert_eq!(home.json(&["credential", "list"])["items"], json!([second["record"]]));
}
