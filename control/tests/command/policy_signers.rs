//! The rules for signers: `policy` commands sign and show only what a known key has signed, after a confirmation.

use std::io::Write as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use keyswap::registry::Registry;
use keyswap_core::base::Digest;
use serde_json::{Value, json};

use crate::confirm::{read_until, rest, terminal};
use crate::revisions::insert_revision;
use crate::support::{Folder, Run, assert_only_text, keyswap_with, policy};

/// A database with two revisions of an operator: a policy, and a candidate at 10 %.
struct Desk {
    folder: Folder,
    url: String,
    stable: String,
    next: String,
}

impl Desk {
    fn new() -> Self {
        let folder = Folder::new();
        let desk = Self {
            url: format!("sqlite://{}", folder.path("registry.db").display()),
            stable: folder.file("stable.yaml", policy("")),
            next: folder.file("next.yaml", policy("").replace("[openai]", "[anthropic]")),
            folder,
        };
        for name in ["own", "other"] {
            let made = desk.run(&["policy", "keygen", &desk.key(name)]);
            desk.folder.file(&format!("{name}.json"), &made.stdout);
        }
        desk.signs("own", &["publish", "prod", &desk.stable]);
        desk.signs("own", &["publish", "prod", &desk.next, "--candidate", "--percent", "10", "--yes"]);
        desk
    }

    fn key(&self, name: &str) -> String {
        self.path(&format!("{name}.key"))
    }

    fn keys(&self, name: &str) -> String {
        self.path(&format!("{name}.json"))
    }

    fn path(&self, name: &str) -> String {
        self.folder.path(name).to_str().unwrap().to_owned()
    }

    fn run(&self, args: &[&str]) -> Run {
        let run = keyswap_with(args, b"", &[("KEYSWAP_DATABASE", &self.url)]);
        assert_only_text(&run);
        run
    }

    fn sign(&self, key: &str, args: &[&str]) -> Run {
        self.run(&[&["policy"], args, &["--key", &self.key(key)]].concat())
    }

    fn signs(&self, key: &str, args: &[&str]) -> Run {
        let run = self.sign(key, args);
        assert_eq!(run.code, 0, "{args:?}: {}", run.all());
        run
    }

    fn newest(&self) -> (i64, String) {
        self.on_registry(async |registry| registry.bundle("prod", None).await.unwrap())
    }

    fn on_registry<T>(&self, run: impl AsyncFnOnce(&Registry) -> T) -> T {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async { run(&Registry::open(&self.url.parse().unwrap()).await.unwrap()).await })
    }

    fn insert(&self, revision: i64, bundle: &str) {
        tokio::runtime::Runtime::new().unwrap().block_on(insert_revision(&self.url, revision, bundle));
    }
}

/// Returns the claims of a bundle.
fn claims(bundle: &str) -> Value {
    let payload = bundle.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// Returns a bundle with the operator's header, the attacker's policy and a random signature.
fn forged(revision: i64, like: &str) -> String {
    let mut payload = claims(like);
    payload["revision"] = json!(revision);
    let policy = policy("").replace("[openai]", "[anthropic, openai]");
    let policy: Value = serde_saphyr::from_str(&policy).unwrap();
    payload["policy"] =
        json!({"version": "keyswap-rollout/v1", "stable": policy, "candidate": policy, "percent": 10});
    let header = like.split('.').next().unwrap();
    let [payload, signature] =
        [payload.to_string().as_bytes(), &[7; 64]].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    format!("{header}.{payload}.{signature}")
}

#[test]
fn what_no_known_key_signed_is_neither_shown_nor_signed() {
    let desk = Desk::new();
    let (number, newest) = desk.newest();
    desk.insert(3, &forged(3, &newest));
    // A revision of the operator under a number that it was not signed for.
    desk.insert(4, &newest);
    let keys = desk.keys("own");
    let by_own = |args: &[&str]| desk.sign("own", &[args, &["--yes"]].concat());
    let runs = [
        ("promote", by_own(&["promote", "prod"]), "revisions 4, 3 of `prod` are signed by none of your keys"),
        ("a share", by_own(&["promote", "prod", "--percent", "100"]), "signed by none of your keys"),
        ("rollback", by_own(&["rollback", "prod"]), "signed by none of your keys"),
        ("rollback to it", by_own(&["rollback", "prod", "--to", "3"]), "signed by none of your keys"),
        ("candidate", by_own(&["publish", "prod", &desk.next, "--candidate"]), "`--keys`"),
        (
            "publish",
            by_own(&["publish", "prod", &desk.stable]),
            "--discard-unsigned` puts your own document after revision 2",
        ),
        (
            "show",
            desk.run(&["policy", "show", "prod", "--keys", &keys]),
            "revision 4 of `prod` is signed by none",
        ),
        ("show it", desk.run(&["policy", "show", "prod", "--revision", "3", "--keys", &keys]), "`--keys`"),
        ("show without keys", desk.run(&["policy", "show", "prod"]), "--keys"),
        ("status", desk.run(&["policy", "status", "prod", "--keys", &keys]), "revisions 4, 3 of `prod`"),
        ("list", desk.run(&["policy", "status", "--keys", &keys]), "revision 4 of `prod`"),
    ];
    for (what, run, said) in &runs {
        assert_eq!(run.code, 1, "{what}: {}", run.all());
        assert!(run.stderr.contains(said), "{what}: {}", run.all());
    }
    assert!(runs[9].1.stdout.contains("NO KNOWN KEY"), "{}", runs[9].1.stdout);
    assert_eq!(desk.newest(), (4, newest.clone()));
    // What was signed can be shown, and the operator's own document follows it.
    let shown = desk.run(&["policy", "show", "prod", "--revision", "2", "--keys", &keys]);
    assert!(shown.code == 0 && shown.stdout.contains("anthropic"), "{}", shown.all());
    desk.signs("own", &["publish", "prod", &desk.stable, "--discard-unsigned", "--yes"]);
    let (third, text) = desk.newest();
    assert_eq!((third, &claims(&text)["follows"]["revision"]), (3, &json!(number)));
    assert_eq!(claims(&text)["follows"]["sha256"], Digest::of(newest.as_bytes()).to_hex());
    desk.signs("own", &["rollback", "prod", "--to", "2", "--yes"]);
    assert_eq!(desk.run(&["policy", "status", "prod", "--keys", &keys]).code, 0);
}

#[test]
fn revisions_of_several_signers_count_with_their_keys() {
    let desk = Desk::new();
    let both = json!({"keys": [key_of(&desk, "own"), key_of(&desk, "other")]});
    let both = desk.folder.file("both.json", both.to_string());
    // The other key is not registered yet, and an unregistered key registers none.
    for args in [
        &["publish", "prod", &desk.stable, "--yes", "--keys", &both][..],
        &["promote", "prod", "--yes", "--keys", &both],
        &["trust", "prod", "--keys", &both],
    ] {
        let run = desk.sign("other", args);
        assert!(run.code == 1 && run.stderr.contains("policy trust"), "{args:?}: {}", run.all());
    }
    let said = desk.signs("own", &["trust", "prod", "--keys", &both]).stdout;
    assert!(said.starts_with("prod: version 2 of the keys: "), "{said}");
    desk.signs("other", &["promote", "prod", "--yes", "--keys", &both]);
    // A signer that does not know the other one's key signs nothing upon its revision.
    let run = desk.sign("own", &["rollback", "prod", "--yes"]);
    assert!(run.code == 1 && run.stderr.contains("revision 3 of `prod` is signed by none"), "{}", run.all());
    let run = desk.sign("own", &["publish", "prod", &desk.stable, "--discard-unsigned", "--yes"]);
    assert!(run.code == 1 && run.stderr.contains("another key signed it"), "{}", run.all());
    desk.signs("own", &["rollback", "prod", "--yes", "--keys", &both]);
    let status = desk.run(&["policy", "status", "prod", "--format", "json", "--keys", &both]).json();
    let by: Vec<&Value> = status["revisions"].as_array().unwrap().iter().map(|it| &it["signed_by"]).collect();
    let [own, other] = [key_of(&desk, "own")["kid"].clone(), key_of(&desk, "other")["kid"].clone()];
    assert_eq!(by, [&json!([own]), &json!([other]), &json!([own]), &json!([own])]);
    // The owner of the database needs no key.
    let run = desk.run(&["policy", "trust", "prod", "--keys", &desk.keys("other")]);
    assert_eq!(run.code, 0, "{}", run.all());
    let run = desk.sign("own", &["publish", "prod", &desk.stable, "--yes", "--keys", &both]);
    assert!(run.code == 1 && run.stderr.contains("policy trust"), "{}", run.all());
    // Files that are no keys.
    for file in [&desk.stable, &desk.key("own"), &desk.folder.file("empty.json", "{\"keys\": []}")] {
        assert_eq!(desk.run(&["policy", "status", "--keys", file]).code, 1, "{file}");
    }
}

fn key_of(desk: &Desk, name: &str) -> Value {
    let set = std::fs::read_to_string(desk.keys(name)).unwrap();
    serde_json::from_str::<Value>(&set).unwrap()["keys"][0].clone()
}

#[test]
fn what_builds_on_a_revision_shows_its_changes_and_is_signed_when_a_person_says_yes() {
    for (args, said) in [
        (
            &["promote", "prod"][..],
            "prod: from revision 2:\npolicy in force:\n  tokens\n    ~ alice-laptop (25acd6678bcfe7b6): providers + anthropic, - openai\n\
             candidate: removed, its trial ends\n",
        ),
        (
            &["promote", "prod", "--percent", "50"],
            "policy in force: no changes\ncandidate: decides for 10 %, compared for 100 % → decides for 50 %, compared \
             for 100 %: no changes\n",
        ),
        (&["rollback", "prod"], "policy in force: no changes\ncandidate: removed, its trial ends\n"),
        (&["publish", "prod", "STABLE"], "policy in force: no changes\ncandidate: removed, its trial ends\n"),
        (
            &["publish", "prod", "STABLE", "--candidate", "--fall-back", "20/5m"],
            "candidate: decides for 10 %, compared for 100 % → decides for 0 %, compared for 100 %, ends after 20 refusals \
             in 300s:\n  tokens\n",
        ),
    ] {
        let desk = Desk::new();
        let key = desk.key("own");
        let args: Vec<&str> =
            args.iter().map(|arg| if *arg == "STABLE" { desk.stable.as_str() } else { arg }).collect();
        // Without a terminal nothing is signed.
        let run = desk.sign("own", &args);
        assert!(run.code == 1 && run.stderr.contains("pass `--yes`"), "{args:?}: {}", run.all());
        assert!(run.stderr.contains(&said.lines().next().unwrap().to_owned()), "{}", run.stderr);
        for (answer, code) in [("no\n", 1), ("yes\n", 0)] {
            let (mut person, tty) = terminal();
            let child = Command::new(env!("CARGO_BIN_EXE_keyswap"))
                .arg("policy")
                .args(&args)
                .args(["--key", &key])
                .env_clear()
                .env("KEYSWAP_DATABASE", &desk.url)
                .stdin(tty.try_clone().unwrap())
                .stderr(tty)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let shown = read_until(&mut person, "Type `yes`:").replace("\r\n", "\n");
            assert!(shown.contains(said), "{args:?}: {shown}");
            person.write_all(answer.as_bytes()).unwrap();
            let output = child.wait_with_output().unwrap();
            rest(&mut person);
            assert_eq!(output.status.code(), Some(code), "{args:?} {answer:?}");
            assert_eq!(desk.newest().0, if code == 0 { 3 } else { 2 }, "{args:?} {answer:?}");
        }
    }
}

#[test]
fn a_revision_expires_when_the_signer_says_so() {
    let desk = Desk::new();
    for (time, seconds) in
        [("30d", Some(30 * 86_400)), ("12h", Some(43_200)), ("0s", None), ("2y", None), ("400d", None)]
    {
        let run = desk.sign("own", &["promote", "prod", "--percent", "20", "--yes", "--expires-in", time]);
        assert_eq!(run.code, i32::from(seconds.is_none()), "{time}: {}", run.all());
        let Some(seconds) = seconds else { continue };
        let claims = claims(&desk.newest().1);
        let at = |name: &str| {
            keyswap_core::base::UnixTime::from_rfc3339(claims[name].as_str().unwrap()).unwrap().0
        };
        let left = at("expires_at") - at("created_at");
        assert!((seconds..=seconds + 1).contains(&left), "{time}: {left}");
        let status = desk.run(&["policy", "status", "--format", "json", "--keys", &desk.keys("own")]).json();
        assert_eq!(status["items"][0]["expires_at"], claims["expires_at"]);
    }
    // The next revision has no expiry of its own accord.
    desk.signs("own", &["rollback", "prod", "--yes"]);
    assert_eq!(claims(&desk.newest().1).get("expires_at"), None);
}
