//! `api-key …` on a registry, and a key in place of the password.

use serde_json::json;

use crate::remote::registry;
use crate::support::keyswap_with;
use crate::tokens::Home;

#[test]
fn a_key_is_created_listed_and_revoked() {
    let home = Home::new();
    let created = home.json(&["api-key", "create", "ci", "--role", "team_owner", "--team", "red,blue"]);
    let text = created["api_key"].as_str().unwrap();
    assert!(text.starts_with("kak_") && text.len() == 47, "{text}");
    let record = &created["record"];
    assert_eq!((&record["role"], &record["teams"]), (&json!("team_owner"), &json!(["blue", "red"])));
    assert_eq!(record["created_by"], "command line");
    let human = home.run(&["api-key", "create", "siem", "--role", "auditor", "--expires-in", "1d"]);
    assert!(human.stdout.starts_with("kak_") && human.stdout.lines().count() == 1, "{}", human.stdout);
    assert!(human.stderr.contains("shown only once"));
    let listed = home.run(&["api-key", "list"]);
    assert!(
        listed.stdout.contains("team owner of blue, red") && !listed.all().contains(text),
        "{}",
        listed.stdout
    );
    for (args, words) in [
        (&["create", "ci", "--role", "admin"][..], "another API key has this name"),
        (&["create", "a b", "--role", "admin"], "invalid name"),
        (&["create", "a", "--role", "team_owner"], "needs 1 to 64 names of teams"),
        (&["create", "a", "--role", "admin", "--team", "red"], "only the role `team_owner` has teams"),
        (&["create", "a", "--role", "self_service"], "needs an email address"),
        (&["create", "a", "--role", "root"], "invalid value"),
        (&["create", "a", "--role", "admin", "--expires-in", "367d"], "at most one year"),
        (&["revoke", "ci"], "--yes"),
        (&["revoke", text, "--yes"], "no such API key"),
    ] {
        let run = home.run(&[&["api-key"], args].concat());
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{args:?}");
        assert!(run.stderr.contains(words) && !run.stderr.contains(text), "{args:?}: {}", run.stderr);
    }
    assert_eq!(home.json(&["api-key", "revoke", "ci", "--yes"])["revoked"], created["sha256"]);
    assert_eq!(home.json(&["api-key", "list"])["items"].as_array().unwrap().len(), 1);
}

#[test]
fn the_command_sends_a_key_in_place_of_the_password() {
    let registry = registry();
    let url = registry.url();
    let with = |name: &'static str, secret: &str, args: &[&str]| {
        keyswap_with(args, b"", &[("KEYSWAP_SERVER", url.as_str()), (name, secret)])
    };
    let password = registry.password();
    let create = ["api-key", "create", "ci", "--role", "team_owner", "--team", "red"];
    let key = with("KEYSWAP_ADMIN_PASSWORD", password, &create).stdout.trim().to_owned();
    assert!(key.starts_with("kak_"), "{key}");
    let token = ["token", "create", "--label", "a", "--provider", "openai", "--format", "json"];
    let made = with("KEYSWAP_API_KEY", &key, &token);
    assert_eq!((made.code, &made.json()["record"]["team"]), (0, &json!("red")), "{}", made.stderr);
    for (secret, args, words) in [
        (key.as_str(), &["credential", "list"][..], "the role `team_owner` may not list credentials"),
        (&key, &["api-key", "create", "b", "--role", "auditor"], "may not create an API key"),
        (
            &key,
            &["token", "create", "--label", "a", "--provider", "openai", "--team", "blue"],
            "one of your own teams",
        ),
        ("kak_SENTINEL-unknown", &["token", "list"], "refused the API key"),
    ] {
        let run = with("KEYSWAP_API_KEY", secret, args);
        assert!(run.code == 1 && run.stderr.contains(words), "{args:?}: {}", run.stderr);
        assert!(!run.all().contains(secret), "{args:?}");
    }
    let secrets =
        [("KEYSWAP_SERVER", url.as_str()), ("KEYSWAP_API_KEY", &key), ("KEYSWAP_ADMIN_PASSWORD", password)];
    let both = keyswap_with(&["token", "list"], b"", &secrets);
    assert!(both.code == 1 && both.stderr.contains("set one of them"), "{}", both.stderr);
    let none = keyswap_with(&["token", "list"], b"", &secrets[..1]);
    assert!(
        none.stderr.contains("`KEYSWAP_ADMIN_PASSWORD`") && none.stderr.contains("or set `KEYSWAP_API_KEY`"),
        "{}",
        none.stderr
    );
}
