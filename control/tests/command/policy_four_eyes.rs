//! Policies that two people sign: what one of them leaves, and what the other one sees and adds.

use std::io::Write as _;
use std::process::{Command, Stdio};

use keyswap::registry::Registry;
use serde_json::{Value, json};

use crate::confirm::{read_until, rest, terminal};
use crate::revisions::insert_revision;
use crate::support::{Folder, Run, assert_only_text, keyswap_with, policy};

/// A database, and the keys of Alice and Bob, who both have to sign.
struct Desk {
    folder: Folder,
    url: String,
    team: String,
    stable: String,
    next: String,
}

impl Desk {
    fn new() -> Self {
        let folder = Folder::new();
        let mut desk = Self {
            url: format!("sqlite://{}", folder.path("registry.db").display()),
            stable: folder.file("stable.yaml", policy("")),
            next: folder.file("next.yaml", policy("").replace("[openai]", "[anthropic]")),
            team: String::new(),
            folder,
        };
        let keys = ["alice", "bob"].map(|name| {
            let made = desk.run(&["policy", "keygen", &desk.path(&format!("{name}.key"))]);
            made.json()["keys"][0].clone()
        });
        desk.team = desk.folder.file("team.json", json!({"keys": keys, "required": 2}).to_string());
        desk
    }

    fn path(&self, name: &str) -> String {
        self.folder.path(name).to_str().unwrap().to_owned()
    }

    fn run(&self, args: &[&str]) -> Run {
        let run = keyswap_with(args, b"", &[("KEYSWAP_DATABASE", &self.url)]);
        assert_only_text(&run);
        run
    }

    fn sign(&self, name: &str, args: &[&str]) -> Run {
        let key = self.path(&format!("{name}.key"));
        self.run(&[&["policy"], args, &["--key", &key, "--keys", &self.team]].concat())
    }

    /// Has one propose, and the other one sign.
    fn both(&self, one: &str, args: &[&str], other: &str) {
        let proposed = self.sign(one, args);
        assert!(
            proposed.code == 0 && proposed.stdout.contains("is proposed"),
            "{args:?}: {}",
            proposed.all()
        );
        let signed = self.sign(other, &["sign", "prod", "--yes"]);
        assert!(signed.code == 0 && !signed.stdout.contains("is proposed"), "{args:?}: {}", signed.all());
    }

    fn newest(&self) -> Option<(i64, String)> {
        self.on_registry(async |registry| registry.bundle("prod", None).await.ok())
    }

    fn on_registry<T>(&self, run: impl AsyncFnOnce(&Registry) -> T) -> T {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async { run(&Registry::open(&self.url.parse().unwrap()).await.unwrap()).await })
    }

    fn kid(&self, index: usize) -> String {
        let team: Value = serde_json::from_str(&std::fs::read_to_string(&self.team).unwrap()).unwrap();
        team["keys"][index]["kid"].as_str().unwrap().to_owned()
    }
}

#[test]
fn what_one_publishes_is_in_force_once_the_other_one_has_signed_it() {
    let desk = Desk::new();
    let said = desk.sign("alice", &["publish", "prod", &desk.stable]);
    let [alice, bob] = [0, 1].map(|index| desk.kid(index));
    assert_eq!(
        said.stdout,
        format!(
            "prod: revision 1 is proposed, and no data plane runs it yet: one policy decides for all principals\n\
             signed by {alice}; 1 of 2 signatures missing, of {bob}: `keyswap policy sign prod --key FILE`\n"
        )
    );
    assert_eq!(desk.newest(), None);
    let status = desk.run(&["policy", "status", "prod", "--keys", &desk.team]);
    let waits = format!("revision 1 is proposed: signed by {alice}; 1 of 2 signatures missing, of {bob}");
    assert!(
        status.stdout.contains(&waits) && status.stdout.contains("2 of 2 keys must sign"),
        "{}",
        status.all()
    );
    let shown = desk.run(&["policy", "show", "prod", "--proposal", "--keys", &desk.team]);
    assert!(
        shown.code == 0 && shown.stdout.contains("openai") && shown.stderr.contains(&bob),
        "{}",
        shown.all()
    );
    // The one that has signed cannot stand in for the other, and nobody signs unseen.
    for (who, args, said) in [
        ("alice", &["sign", "prod", "--yes"][..], "this key has signed revision 1 of `prod` already"),
        ("bob", &["sign", "prod"], "pass `--yes`"),
        ("bob", &["sign", "other", "--yes"], "waits for signatures"),
    ] {
        let run = desk.sign(who, args);
        assert!(run.code == 1 && run.stderr.contains(said), "{args:?}: {}", run.all());
    }
    // Bob does not know Alice's key.
    let alone = desk.run(&["policy", "sign", "prod", "--yes", "--key", &desk.path("bob.key")]);
    assert!(alone.code == 1 && alone.stderr.contains("pass the public keys of the other"), "{}", alone.all());
    let signed = desk.sign("bob", &["sign", "prod", "--yes", "--format", "json"]);
    assert!(signed.stderr.contains("the first policy:\n"), "{}", signed.all());
    assert!(signed.stderr.contains("version: keyswap/v1\n"), "{}", signed.all());
    assert_eq!(signed.json()["published"]["signed_by"], json!([alice, bob]));
    assert_eq!(desk.newest().unwrap().0, 1);
    let none = desk.sign("bob", &["sign", "prod", "--yes"]);
    assert!(none.code == 1 && none.stderr.contains("no revision of this policy waits"), "{}", none.all());
    // Every other step, from either of them.
    desk.both("bob", &["publish", "prod", &desk.next, "--candidate", "--yes"], "alice");
    desk.both("alice", &["promote", "prod", "--percent", "50", "--yes"], "bob");
    desk.both("bob", &["promote", "prod", "--yes"], "alice");
    desk.both("alice", &["rollback", "prod", "--yes", "--expires-in", "1d"], "bob");
    assert_eq!(desk.newest().unwrap().0, 5);
    let status = desk.run(&["policy", "status", "prod", "--format", "json", "--keys", &desk.team]).json();
    assert_eq!(status["revisions"][1]["signed_by"], json!([bob, alice]));
    assert_eq!((&status["proposal"], &status["signers"]["keys"]["required"]), (&Value::Null, &json!(2)));
    let shown = desk.run(&["policy", "show", "prod", "--keys", &desk.team]);
    assert!(shown.stderr.contains("; 2 required"), "{}", shown.all());
}

#[test]
fn the_second_signer_sees_the_changes_and_signs_when_saying_yes() {
    let desk = Desk::new();
    desk.both("alice", &["publish", "prod", &desk.stable], "bob");
    assert_eq!(desk.sign("alice", &["publish", "prod", &desk.next, "--yes"]).code, 0);
    for (answer, code) in [("no\n", 1), ("yes\n", 0)] {
        let (mut person, tty) = terminal();
        let child = Command::new(env!("CARGO_BIN_EXE_keyswap"))
            .args(["policy", "sign", "prod", "--key", &desk.path("bob.key"), "--keys", &desk.team])
            .env_clear()
            .env("KEYSWAP_DATABASE", &desk.url)
            .stdin(tty.try_clone().unwrap())
            .stderr(tty)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let shown = read_until(&mut person, "Type `yes`:").replace("\r\n", "\n");
        let by = format!("prod: revision 2, signed by {} at ", desk.kid(0));
        assert!(shown.contains(&by) && shown.contains("providers + anthropic, - openai"), "{shown}");
        person.write_all(answer.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        rest(&mut person);
        assert_eq!(output.status.code(), Some(code), "{answer:?}");
        assert_eq!(desk.newest().unwrap().0, if code == 0 { 2 } else { 1 }, "{answer:?}");
    }
}

#[test]
fn a_revision_of_one_key_is_not_built_upon_and_a_stale_proposal_is_not_signed() {
    let desk = Desk::new();
    desk.both("alice", &["publish", "prod", &desk.stable], "bob");
    desk.sign("alice", &["publish", "prod", &desk.next, "--candidate", "--yes"]);
    let proposal = desk.on_registry(async |registry| registry.proposal("prod").await.unwrap());
    // Another party has Alice's key and the database.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(insert_revision(&desk.url, 2, &proposal));
    let said = "revision 2 of `prod` is signed by fewer than 2 of your keys";
    for args in [
        &["promote", "prod", "--yes"][..],
        &["rollback", "prod", "--yes"],
        &["rollback", "prod", "--to", "2", "--yes"],
        &["publish", "prod", &desk.stable],
    ] {
        let run = desk.sign("bob", args);
        assert!(run.code == 1 && run.stderr.contains(said), "{args:?}: {}", run.all());
    }
    let status = desk.run(&["policy", "status", "prod", "--keys", &desk.team]);
    assert!(status.code == 1 && status.stderr.contains(said), "{}", status.all());
    desk.both("bob", &["publish", "prod", &desk.next, "--discard-unsigned", "--yes"], "alice");
    // A proposal upon a revision that is not the newest any more.
    let pool = runtime.block_on(async {
        sqlx::any::install_default_drivers();
        sqlx::AnyPool::connect(&desk.url).await.unwrap()
    });
    let insert = "INSERT INTO policy_proposals VALUES ('prod', 'revision', $1, 1, 'x')";
    runtime.block_on(sqlx::query::<sqlx::Any>(insert).bind(&proposal).execute(&pool)).unwrap();
    let run = desk.sign("bob", &["sign", "prod", "--yes"]);
    assert!(run.code == 1 && run.stderr.contains("does not follow the newest one"), "{}", run.all());
}

#[test]
fn the_number_changes_when_each_signer_says_so_or_the_owner_of_the_database() {
    let desk = Desk::new();
    desk.both("alice", &["publish", "prod", &desk.stable], "bob");
    let lower = |name: &str| {
        let key = desk.path(&format!("{name}.key"));
        desk.run(&["policy", "trust", "prod", "--keys", &desk.team, "--required", "1", "--key", &key])
    };
    for _ in 0..2 {
        let run = lower("alice");
        let said = "prod: version 2 of the keys is proposed: 1 of 2 signatures missing, of registered keys: ";
        assert!(run.code == 0 && run.stdout.starts_with(said), "{}", run.all());
    }
    let status = desk.run(&["policy", "status", "prod", "--keys", &desk.team]);
    assert!(status.stdout.contains("version 2 of the keys is proposed: signed by"), "{}", status.all());
    assert!(desk.sign("alice", &["publish", "prod", &desk.next, "--yes"]).stdout.contains("is proposed"));
    let run = lower("bob");
    assert!(run.code == 0 && run.stdout.starts_with("prod: version 2 of the keys: "), "{}", run.all());
    // Whoever still requires two does not publish with one.
    let run = desk.sign("alice", &["publish", "prod", &desk.next]);
    let said = "your keys require 2 signatures, the registry requires 1, and nothing was signed";
    assert!(run.code == 1 && run.stderr.contains(said), "{}", run.all());
    let team: Value = serde_json::from_str(&std::fs::read_to_string(&desk.team).unwrap()).unwrap();
    let keys = desk.folder.file("keys.json", json!({"keys": team["keys"]}).to_string());
    let key = desk.path("alice.key");
    let run = desk.run(&["policy", "publish", "prod", &desk.next, "--yes", "--key", &key, "--keys", &keys]);
    assert!(run.code == 0 && !run.stdout.contains("proposed"), "{}", run.all());
    // Without a key, for the owner of the database.
    let trust =
        |number: &str| desk.run(&["policy", "trust", "prod", "--keys", &desk.team, "--required", number]);
    assert!(trust("2").stdout.ends_with("; 2 must sign\n"));
    for number in ["0", "3"] {
        let run = trust(number);
        assert!(run.code == 1 && run.stderr.contains("expected a number from 1 to 2"), "{}", run.all());
    }
}
