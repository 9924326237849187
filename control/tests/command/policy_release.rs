//! `policy keygen`, `publish`, `promote`, `rollback`, `show` and `status`.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use keyswap_core::identity::jwt::{JwkSet, PureRust, Quorum};
use keyswap_core::services::SignedBundle;
use serde_json::{Value, json};

use crate::support::{DIGEST, Folder, Run, assert_only_text, keyswap_with, policy};

/// A database, a key and two policies.
struct Desk {
    folder: Folder,
    url: String,
    key: String,
    keys: Value,
    /// The file of the public keys.
    keys_file: String,
    stable: String,
    next: String,
}

impl Desk {
    fn new() -> Self {
        let folder = Folder::new();
        let key = folder.path("policy.key").to_str().unwrap().to_owned();
        let made = keyswap_with(&["policy", "keygen", &key], b"", &[]);
        assert_eq!(made.code, 0, "{}", made.stderr);
        Self {
            url: format!("sqlite://{}", folder.path("registry.db").display()),
            keys: made.json(),
            keys_file: folder.file("policy-keys.json", &made.stdout),
            stable: folder.file("stable.yaml", policy("")),
            next: folder.file("next.yaml", policy("").replace("[openai]", "[anthropic]")),
            key,
            folder,
        }
    }

    fn run(&self, args: &[&str]) -> Run {
        let run = keyswap_with(args, b"", &[("KEYSWAP_DATABASE", &self.url)]);
        assert_only_text(&run);
        run
    }

    /// Runs a command that signs, without asking.
    fn sign(&self, args: &[&str]) -> Run {
        self.run(&[args, &["--yes", "--key", &self.key]].concat())
    }

    /// Returns the document in force.
    fn shown(&self) -> Value {
        self.run(&["policy", "show", "prod", "--format", "json", "--keys", &self.keys_file]).json()
    }

    fn signs(&self, args: &[&str]) -> String {
        let run = self.sign(args);
        assert_eq!(run.code, 0, "{args:?}: {}", run.stderr);
        run.stdout
    }

    /// Returns the document in force, in short: the provider of the stable policy, the candidate's provider and share.
    fn in_force(&self) -> (String, Option<(String, u64)>) {
        let document = self.shown();
        let provider = |policy: &Value| policy["tokens"][0]["providers"][0].as_str().unwrap().to_owned();
        if document["version"] == "keyswap/v1" {
            return (provider(&document), None);
        }
        let tried = (provider(&document["candidate"]), document["percent"].as_u64().unwrap());
        (provider(&document["stable"]), Some(tried))
    }
}

fn openai() -> String {
    "openai".to_owned()
}

fn anthropic() -> String {
    "anthropic".to_owned()
}

#[test]
fn a_policy_is_tried_widened_promoted_and_taken_back() {
    let desk = Desk::new();
    let said = desk.signs(&["policy", "publish", "prod", &desk.stable]);
    assert_eq!(said, "prod: revision 1: one policy decides for all principals\n");
    assert_eq!(desk.in_force(), (openai(), None));
    let said = desk.signs(&["policy", "publish", "prod", &desk.next, "--candidate"]);
    assert_eq!(said, "prod: revision 2: a candidate decides for 0 % of principals\n");
    assert_eq!(desk.in_force(), (openai(), Some((anthropic(), 0))));
    desk.signs(&["policy", "promote", "prod", "--percent", "10"]);
    assert_eq!(desk.in_force(), (openai(), Some((anthropic(), 10))));
    desk.signs(&["policy", "promote", "prod"]);
    assert_eq!(desk.in_force(), (anthropic(), None));
    // Rollbacks of a promotion, of a candidate, and to a revision.
    desk.signs(&["policy", "rollback", "prod"]);
    assert_eq!(desk.in_force(), (openai(), None));
    desk.signs(&["policy", "publish", "prod", &desk.next, "--candidate", "--percent", "50"]);
    desk.signs(&["policy", "rollback", "prod"]);
    assert_eq!(desk.in_force(), (openai(), None));
    desk.signs(&["policy", "rollback", "prod", "--to", "3"]);
    assert_eq!(desk.in_force(), (openai(), Some((anthropic(), 10))));
    let status = desk.run(&["policy", "status", "prod", "--format", "json"]).json();
    let told: Vec<(u64, Option<u64>)> = status["revisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["revision"].as_u64().unwrap(), it["percent"].as_u64()))
        .collect();
    assert_eq!(
        told,
        [
            (8, Some(10)),
            (7, None),
            (6, Some(50)),
            (5, None),
            (4, None),
            (3, Some(10)),
            (2, Some(0)),
            (1, None)
        ]
    );
    assert_eq!(status["planes"], json!([]));
    let table = desk.run(&["policy", "status"]);
    assert!(table.stdout.starts_with("POLICY  REVISION"), "{}", table.stdout);
    assert!(table.stdout.contains("10 %"), "{}", table.stdout);
}

#[test]
fn how_a_candidate_is_tried_stays_with_it() {
    let desk = Desk::new();
    desk.signs(&["policy", "publish", "prod", &desk.stable]);
    desk.signs(&[
        "policy",
        "publish",
        "prod",
        &desk.next,
        "--candidate",
        "--compare",
        "20",
        "--fall-back",
        "30/5m",
    ]);
    desk.signs(&["policy", "promote", "prod", "--percent", "100"]);
    let document = desk.shown();
    assert_eq!(document["compare"], 20);
    assert_eq!(document["fallback"], json!({"refusals": 30, "per": "300s"}));
    // The shown document can be published unchanged.
    let shown = desk.run(&["policy", "show", "prod", "--keys", &desk.keys_file]).stdout;
    let file = desk.folder.file("shown.yaml", &shown);
    desk.signs(&["policy", "publish", "prod", &file]);
    assert_eq!(desk.shown(), document);
}

#[test]
fn what_is_published_is_signed_by_the_key_for_its_name_and_number() {
    let openssl = |folder: &Folder, name: &str, arguments: &[&str]| {
        let path = folder.path(name).to_str().unwrap().to_owned();
        let made = Command::new("openssl").arg("genpkey").args(arguments).args(["-out", &path]).output();
        assert!(made.unwrap().status.success());
        path
    };
    let desk = Desk::new();
    let es256 = desk.folder.path("es256.key").to_str().unwrap().to_owned();
    assert_eq!(desk.run(&["policy", "keygen", &es256, "--algorithm", "es256"]).code, 0);
    let keys = [
        desk.key.clone(),
        es256,
        openssl(&desk.folder, "openssl-ed25519.key", &["-algorithm", "ed25519"]),
        openssl(
            &desk.folder,
            "openssl-p256.key",
            &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        ),
    ];
    let public = keys.each_ref().map(|key| desk.run(&["policy", "keygen", key, "--show"]).json());
    let all: Vec<&Value> = public.iter().map(|set| &set["keys"][0]).collect();
    let all = desk.folder.file("all-keys.json", json!({"keys": all}).to_string());
    for (revision, key) in (1..).zip(&keys) {
        let run =
            desk.run(&["policy", "publish", "prod", &desk.stable, "--yes", "--keys", &all, "--key", key]);
        assert_eq!(run.code, 0, "{key}: {}", run.stderr);
        let set = desk.run(&["policy", "keygen", key, "--show"]).stdout;
        let set = JwkSet::parse(set.as_bytes()).unwrap();
        let database = desk.url.parse().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let text = runtime.block_on(async {
            let registry = keyswap::registry::Registry::open(&database).await.unwrap();
            registry.bundle("prod", Some(revision)).await.unwrap().1
        });
        let open = |name: &str, set: &JwkSet| {
            let signers = Quorum::new(set.clone(), 1).unwrap();
            SignedBundle::open(text.as_bytes(), name, &signers, &PureRust)
        };
        let bundle = open("prod", &set).unwrap();
        assert_eq!(i64::try_from(bundle.revision).unwrap(), revision);
        assert!(open("staging", &set).is_err());
        let others = JwkSet::parse(json!({"keys": desk.keys["keys"]}).to_string().as_bytes()).unwrap();
        assert_eq!(open("prod", &others).is_ok(), key == &desk.key);
    }
    // RFC 8037, A.3: the thumbprint of a known key.
    let known = desk.folder.file(
        "rfc8037.key",
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n",
    );
    let public = desk.run(&["policy", "keygen", &known, "--show"]).json();
    assert_eq!(public["keys"][0]["kid"], "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    assert_eq!(public["keys"][0]["x"], "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
}

#[test]
fn a_key_is_its_owners_alone_and_never_overwritten_or_shown() {
    let desk = Desk::new();
    let pem = std::fs::read_to_string(&desk.key).unwrap();
    assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    let mode = std::fs::metadata(&desk.key).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = desk.run(&["policy", "keygen", &desk.key]);
    assert_eq!((again.code, again.stdout.as_str()), (1, ""));
    assert_eq!(std::fs::read_to_string(&desk.key).unwrap(), pem);
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let secret = &body[body.len() - 20..];
    let all = [
        desk.run(&["policy", "keygen", &desk.key, "--show"]),
        desk.sign(&["policy", "publish", "prod", &desk.stable]),
        desk.sign(&["policy", "publish", "prod", "/nowhere"]),
        desk.run(&["policy", "show", "prod", "--keys", &desk.keys_file]),
        // A key in place of a policy, and a policy in place of a key.
        desk.run(&["policy", "publish", "prod", &desk.key, "--key", &desk.stable]),
        desk.run(&["policy", "publish", "prod", &desk.stable, "--key", &desk.stable]),
    ];
    assert!(all.iter().all(|run| !run.all().contains(secret)));
    assert_eq!(all.map(|run| run.code), [0, 0, 1, 0, 3, 1]);
    let private = desk.keys["keys"][0].as_object().unwrap();
    assert!(!private.contains_key("d"), "{private:?}");
}

#[test]
fn nothing_is_published_that_data_planes_would_refuse() {
    let desk = Desk::new();
    let rollout = json!({
        "version": "keyswap-rollout/v1",
        "stable": {"version": "keyswap/v1", "credentials": {"openai": [{"env": "K"}]}, "tokens": [
            {"sha256": DIGEST, "label": "a", "providers": ["openai"]},
        ]},
    });
    let rollout = desk.folder.file("rollout.json", rollout.to_string());
    let invalid = desk.folder.file("invalid.yaml", policy("").replace("keyswap/v1", "keyswap/v9"));
    let cases: &[(&[&str], i32, &str)] = &[
        (&["publish", "prod", &invalid], 3, "invalid.yaml: 1 error"),
        (&["publish", "prod", &desk.next, "--candidate"], 1, "the registry has no such policy"),
        (&["publish", "prod", &desk.stable, "--percent", "5"], 1, "--candidate"),
        (&["publish", "a/b", &desk.stable], 1, "expected 1 to 64 letters, digits, `-` or `_`"),
        (&["publish", "a b", &desk.stable], 1, "expected 1 to 64 letters, digits, `-` or `_`"),
        (&["promote", "prod"], 1, "the registry has no such policy"),
        (&["publish", "prod", &desk.stable], 0, ""),
        (&["publish", "prod", &desk.next, "--candidate", "--percent", "101"], 1, "101"),
        (&["publish", "prod", &rollout], 0, ""),
        (&["publish", "prod", &desk.stable, "--revision", "2"], 1, "malformed"),
        (&["promote", "prod"], 1, "no candidate is published"),
        (&["promote", "prod", "--percent", "5"], 1, "no candidate is published"),
        (
            &["rollback", "prod", "--to", "9"],
            1,
            "`prod` has no revision 9: `keyswap policy status prod` lists them",
        ),
        (&["publish", "prod", &desk.stable, "--revision", "40"], 0, ""),
        (&["publish", "prod", &desk.stable, "--wait", "1s"], 0, "0 data planes run it"),
    ];
    for (args, code, said) in cases {
        let run = desk.sign(&[&["policy"], *args].concat());
        assert_eq!(run.code, *code, "{args:?}: {}", run.all());
        assert!(run.all().contains(said), "{args:?}: {}", run.all());
    }
    let newest = desk.run(&["policy", "status", "--format", "json"]).json();
    assert_eq!(newest["items"][0]["revision"], 41);
    for (name, said) in [("prod", "`prod` has no revision 9: "), ("staging", "no such policy")] {
        let run = desk.run(&["policy", "show", name, "--revision", "9", "--keys", &desk.keys_file]);
        assert!(run.code == 1 && run.stderr.contains(said), "{name}: {}", run.stderr);
    }
}

#[test]
fn with_one_policy_ever_there_is_nothing_to_go_back_to() {
    let desk = Desk::new();
    desk.signs(&["policy", "publish", "prod", &desk.stable]);
    desk.signs(&["policy", "publish", "prod", &desk.stable]);
    let run = desk.sign(&["policy", "rollback", "prod"]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("there is no earlier policy that differs"), "{}", run.stderr);
}
