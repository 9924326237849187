//! `--server`: commands have the same output with a server as with a database.

use keyswap_core::base::Digest;
use keyswap_tests::Registry;
use serde_json::Value;

use crate::support::{Folder, Run, TOKEN, assert_only_text, keyswap_with, policy};

/// A registry in a database and one behind a server, on which the same commands run.
struct Twins {
    _folder: Folder,
    database: Side,
    server: Side,
    registry: Registry,
}

/// One of the registries: the environment that names it, and the tokens that it generated.
struct Side {
    environment: Vec<(&'static str, String)>,
    minted: Vec<String>,
}

pub(crate) fn registry() -> Registry {
    Registry::setup().command(env!("CARGO_BIN_EXE_keyswap")).start().unwrap()
}

/// Returns the environment that selects a server.
pub(crate) fn environment(registry: &Registry) -> Vec<(&'static str, String)> {
    vec![
        ("KEYSWAP_SERVER", registry.url()),
        ("KEYSWAP_ADMIN_PASSWORD", registry.password().to_owned()),
        // A proxy would see the password of a connection without TLS.
        ("HTTP_PROXY", "http://127.0.0.1:1".to_owned()),
        ("http_proxy", "http://127.0.0.1:1".to_owned()),
        ("ALL_PROXY", "http://127.0.0.1:1".to_owned()),
    ]
}

impl Twins {
    fn new() -> Self {
        let folder = Folder::new();
        let url = format!("sqlite://{}", folder.path("registry.db").display());
        let registry = registry();
        let side = |environment| Side { environment, minted: Vec::new() };
        let mut database = side(vec![("KEYSWAP_DATABASE", url)]);
        // A server creates its database when it starts, so the other database is created here.
        assert_eq!(database.run(&["token", "import", "-"], b"{\"tokens\": []}").0, 0);
        Self { _folder: folder, database, server: side(environment(&registry)), registry }
    }

    /// Runs a command on both registries. The outputs must be equal. Returns the exit code.
    fn run(&mut self, args: &[&str], stdin: &[u8]) -> i32 {
        let [database, server] = [&mut self.database, &mut self.server].map(|side| side.run(args, stdin));
        assert_eq!(database, server, "{args:?}");
        assert!(!server.1.contains(self.registry.password()), "{args:?}");
        server.0
    }

    /// Runs all commands in each output format.
    fn run_all(&mut self, cases: &[(&[&str], &str, i32)]) {
        for format in ["human", "json"] {
            for (args, stdin, code) in cases {
                let code_got = self.run(&[*args, &["--format", format]].concat(), stdin.as_bytes());
                // In the second round, with JSON, the state is that after the first.
                assert!(format == "json" || code_got == *code, "{args:?} ended with {code_got}");
            }
        }
    }
}

impl Side {
    fn run(&mut self, args: &[&str], stdin: &[u8]) -> (i32, String) {
        let environment: Vec<(&str, &str)> =
            self.environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let run = keyswap_with(args, stdin, &environment);
        assert_only_text(&run);
        let said = run.all();
        self.minted.extend(said.split(|char: char| char == '"' || char.is_whitespace()).filter_map(minted));
        (run.code, format!("{}--\n{}", self.plain(&run.stdout), self.plain(&run.stderr)))
    }

    /// Replaces the parts that differ between two registries: generated tokens, the time, and the actor.
    fn plain(&self, text: &str) -> String {
        let mut text = text.replace("\"command line\"", "\"admin\"");
        for token in &self.minted {
            let digest = Digest::of(token.as_bytes()).to_hex();
            text = text.replace(token, "TOKEN").replace(&digest, "DIGEST").replace(&digest[..16], "DIGEST");
            text = text.replace(&token[token.len() - 4..], "LAST");
        }
        text.split_inclusive(|char: char| char == '"' || char.is_whitespace() || char == '.')
            .map(|word| if is_now(word) { word.replace(&word[..20], "NOW") } else { word.to_owned() })
            .collect()
    }
}

fn minted(word: &str) -> Option<String> {
    let lengths = [("ptk_", 36), ("krc_", 47)];
    let is_one = lengths.iter().any(|(prefix, length)| word.starts_with(prefix) && word.len() == *length);
    is_one.then(|| word.to_owned())
}

/// Returns true for a time of now. Times that this test sets are in 2099.
fn is_now(word: &str) -> bool {
    word.len() >= 20 && word.starts_with("20") && !word.starts_with("2099") && word.as_bytes()[19] == b'Z'
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_subcommand_says_the_same_of_a_server_as_of_a_database() {
    let mut twins = Twins::new();
    let files = Folder::new();
    let disabled = format!(
        "  - {{sha256: '{}', label: old, owner: o@acme.example, team: research, providers: [openai], status: disabled, \
         expires_at: 2030-01-01T00:00:00Z, rate_limit: {{requests: 5, per: 1s}}}}\n",
        "1".repeat(64)
    );
    let file = files.file("policy.yaml", policy(&disabled));
    let known = "5".repeat(64);
    let cases: &[(&[&str], &str, i32)] = &[
        // An empty registry.
        (&["token", "list"], "", 0),
        (&["token", "show", "ci"], "", 1),
        (&["user", "list"], "", 0),
        (&["user", "show", "a@acme.example"], "", 1),
        (&["credential", "list"], "", 0),
        // Creation.
        (&["token", "create", "--label", "ci", "--provider", "openai,anthropic"], "", 0),
        (
            &[
                "token",
                "create",
                "--label",
                "Zoë's 🦀",
                "--provider",
                "openai",
                "--owner",
                "z@acme.example",
                "--team",
                "research",
                "--model",
                "gpt-5",
                "--rate-limit",
                "60/1m",
                "--expires-at",
                "2099-01-01T01:00:00+01:00",
                "--stdin",
            ],
            TOKEN,
            0,
        ),
        (&["token", "create", "--label", "again", "--provider", "openai", "--stdin"], TOKEN, 1),
        (&["token", "create", "--label", "short", "--provider", "openai", "--stdin"], "short", 1),
        (
            &["token", "create", "--label", "spaced", "--provider", "openai", "--stdin"],
            "with a space in it",
            1,
        ),
        (&["token", "create", "--label", "m", "--provider", "openai", "--model", "a b"], "", 1),
        (&["token", "create", "--label", "\u{1b}[2J", "--provider", "openai"], "", 1),
        (&["token", "create"], "", 1),
        // Records and lists.
        (&["token", "show", "ci"], "", 0),
        (&["token", "show", "Zoë"], "", 0),
        (&["token", "show", "-"], TOKEN, 0),
        (&["token", "show", "-"], "ptk_nobody-has-this-token", 1),
        (&["token", "show", &known], "", 1),
        (&["token", "show", "' OR 1=1 --%&?#/"], "", 1),
        (&["token", "list"], "", 0),
        (&["token", "list", "--search", "ZOË"], "", 0),
        (&["token", "list", "--search", "%&=?#/"], "", 0),
        (&["token", "list", "--search", "research"], "", 0),
        (&["token", "list", "--limit", "1"], "", 0),
        // Teams.
        (&["token", "update", "ci", "--team", "sales"], "", 0),
        (&["token", "show", "ci"], "", 0),
        (&["token", "update", "ci", "--team", "two words"], "", 1),
        (&["token", "update", "ci", "--team", ""], "", 0),
        (
            &["token", "update", "ci", "--owner", "b@acme.example", "--provider", "gemini", "--model", "a,b"],
            "",
            0,
        ),
        (&["token", "update", "ci", "--owner", "", "--expires-at", "2036-01-01T00:00:00Z"], "", 0),
        (&["token", "update", "ci", "--no-expiry", "--rate-limit", "5/1m"], "", 0),
        (&["token", "list", "--attention", "unowned"], "", 0),
        (&["user", "offboard", "nobody@acme.example", "--yes"], "", 1),
        (&["token", "update", "nobody", "--team", "sales"], "", 1),
        (&["token", "list", "--status", "disabled"], "", 0),
        // Status and rotation.
        (&["token", "disable", "ci"], "", 0),
        (&["token", "rotate", "ci"], "", 1),
        (&["token", "enable", "ci"], "", 0),
        (&["token", "rotate", "ci", "--grace", "0s"], "", 0),
        (&["token", "show", "ci"], "", 1),
        (&["token", "rotate", "Zoë", "--grace", "7d"], "", 0),
        (&["token", "rotate", "-"], TOKEN, 1),
        (&["token", "delete", "-"], TOKEN, 1),
        (&["token", "delete", "-", "--yes"], TOKEN, 0),
        (&["token", "delete", "-", "--yes"], TOKEN, 1),
        // Import.
        (&["token", "import", &file], "", 0),
        (&["token", "import", &file], "", 0),
        (&["token", "import", "-"], "{\"tokens\": []}", 0),
        (&["token", "import", "-"], "{\"tokens\": [{}]}", 1),
        (&["token", "show", "11111111"], "", 0),
        // Budgets. Their windows end at the same time.
        (&["budget", "list"], "", 0),
        (
            &[
                "budget",
                "set",
                "team:research",
                "--usd",
                "500",
                "--per",
                "month",
                "--timezone",
                "Europe/Berlin",
            ],
            "",
            0,
        ),
        (&["budget", "set", "token:11111111", "--tokens", "5", "--per", "week"], "", 0),
        (&["budget", "set", "token:-", "--tokens", "5", "--per", "week"], "ptk_nobody-has-this-token", 1),
        (&["budget", "set", "team:a", "--usd", "0", "--per", "week"], "", 1),
        (&["budget", "set", "owner:b/../c?d#e@acme.example", "--tokens", "5", "--per", "day"], "", 0),
        (&["budget", "list"], "", 0),
        (&["budget", "show", "team:research"], "", 0),
        (&["budget", "show", "team:nobody"], "", 0),
        (&["budget", "delete", "team:research"], "", 0),
        (&["budget", "delete", "team:research"], "", 1),
        (&["usage"], "", 0),
        (&["usage", "--by", "day", "--since", "2026-01-01", "--owner", "a&b=c#d"], "", 0),
        (&["usage", "--since", "soon"], "", 1),
        // Users.
        (&["user", "create", "Alice+x@acme.example", "--provider", "openai", "--rate-limit", "5/1s"], "", 0),
        (&["user", "create", "alice+x@ACME.example", "--provider", "openai"], "", 1),
        (&["user", "create", "b/../c?d#e@acme.example", "--provider", "openai"], "", 0),
        (&["user", "create", "nobody", "--provider", "openai"], "", 1),
        (&["user", "create", "b@acme.example"], "", 1),
        (&["user", "show", "ALICE+x@acme.example"], "", 0),
        (&["user", "show", "b/../c?d#e@acme.example"], "", 0),
        (&["user", "update", "alice+x@acme.example", "--label", "Alice", "--model", "gpt-5"], "", 0),
        (&["user", "update", "alice+x@acme.example", "--status", "disabled", "--no-rate-limit"], "", 0),
        (&["user", "update", "alice+x@acme.example", "--label", ""], "", 0),
        (&["user", "update", "alice+x@acme.example", "--team", "research"], "", 0),
        (&["user", "update", "alice+x@acme.example", "--team", "a b"], "", 1),
        (&["user", "update", "alice+x@acme.example", "--team", ""], "", 0),
        (&["user", "update", "nobody@acme.example", "--label", "x"], "", 1),
        (&["user", "list"], "", 0),
        (&["user", "list", "--search", "alice", "--status", "active"], "", 0),
        (&["user", "delete", "alice+x@acme.example"], "", 1),
        (&["user", "delete", "alice+x@acme.example", "--yes"], "", 0),
        (&["user", "delete", "alice+x@acme.example", "--yes"], "", 1),
        // Objects.
        (&["object", "adopt", "openai", "file-1", "b/../c?d#e", "--for", "person:a@acme.example"], "", 0),
        (
            &["object", "adopt", "openai", "--stdin", "--kind", "file", "--for", "token:ci"],
            "file-2\nfile-1\n",
            1,
        ),
        (
            &["object", "adopt", "openai", "--stdin", "--kind", "file", "--for", "person:b@acme.example"],
            "file-2\nfile-1\n",
            0,
        ),
        (&["object", "adopt", "openai", "", "--for", "person:b@acme.example"], "", 1),
        (&["object", "list"], "", 0),
        (&["object", "list", "--holder", "person:a@acme.example", "--left", "--limit", "1"], "", 0),
        (&["object", "list", "--owner", "' OR 1=1 --%&?#/", "--team", "a b", "--kind", "%"], "", 0),
        (&["object", "show", "openai", "b/../c?d#e"], "", 0),
        (&["object", "show", "openai", "nothing"], "", 1),
        (&["object", "transfer", "openai", "b/../c?d#e", "--to", "person:b@acme.example"], "", 0),
        (
            &[
                "object",
                "transfer",
                "--from",
                "person:b@acme.example",
                "--to",
                "person:c@acme.example",
                "--yes",
            ],
            "",
            0,
        ),
        (
            &[
                "object",
                "transfer",
                "--from",
                "person:b@acme.example",
                "--to",
                "person:b@acme.example",
                "--yes",
            ],
            "",
            1,
        ),
        (&["object", "forget", "openai", "file-1"], "", 1),
        (&["object", "forget", "openai", "file-1", "--yes"], "", 0),
        (&["object", "forget", "openai", "file-1", "--yes"], "", 1),
        // Credentials.
        (&["credential", "create", "istio"], "", 0),
        (&["credential", "create", "billing", "--role", "introspection"], "", 0),
        (&["credential", "create", "a/b"], "", 1),
        (&["credential", "list"], "", 0),
        (&["credential", "revoke", "istio"], "", 1),
        (&["credential", "revoke", "istio", "--yes"], "", 0),
        (&["credential", "revoke", "istio", "--yes"], "", 1),
    ];
    twins.run_all(cases);
}

#[test]
fn policies_are_published_through_a_server_as_in_a_database() {
    let mut twins = Twins::new();
    let files = Folder::new();
    let file = files.file("policy.yaml", policy(""));
    let key = files.path("policy.key").to_str().unwrap().to_owned();
    let made = keyswap_with(&["policy", "keygen", &key], b"", &[]);
    let keys = files.file("policy-keys.json", &made.stdout);
    let other = files.path("other.key").to_str().unwrap().to_owned();
    let others = files.file("other-keys.json", keyswap_with(&["policy", "keygen", &other], b"", &[]).stdout);
    twins.run_all(&[
        (&["policy", "status", "prod"], "", 1),
        (&["policy", "show", "prod", "--keys", &keys], "", 1),
        (&["policy", "publish", "prod", &file, "--candidate", "--yes", "--key", &key], "", 1),
        (&["policy", "publish", "prod", &file, "--yes", "--key", &key], "", 0),
        (&["policy", "publish", "a/../b?c#d", &file, "--yes", "--key", &key], "", 1),
        (&["policy", "publish", "prod", &file, "--revision", "1", "--yes", "--key", &key], "", 1),
        (
            &["policy", "publish", "prod", &file, "--candidate", "--percent", "5", "--yes", "--key", &key],
            "",
            0,
        ),
        (&["policy", "promote", "prod", "--percent", "50", "--yes", "--key", &key], "", 0),
        (&["policy", "rollback", "prod", "--wait", "1s", "--yes", "--key", &key], "", 0),
        (&["policy", "rollback", "prod", "--to", "2", "--yes", "--key", &key], "", 0),
        (&["policy", "promote", "prod", "--yes", "--key", &key], "", 0),
        (&["policy", "show", "prod", "--keys", &keys], "", 0),
        (&["policy", "show", "prod", "--revision", "2", "--keys", &keys], "", 0),
        (&["policy", "show", "prod", "--revision", "99", "--keys", &keys], "", 1),
    ]);
    // The table for people names the actor, which differs.
    for (args, code) in [
        (&["policy", "status", "prod", "--keys", &keys, "--format", "json"][..], 0),
        (&["policy", "status", "prod", "--keys", &others, "--format", "json"], 1),
        (&["policy", "status", "--keys", &keys, "--format", "json"], 0),
    ] {
        assert_eq!(twins.run(args, b""), code, "{args:?}");
    }
    twins.run_all(&[
        (&["policy", "trust", "prod", "--keys", &others, "--key", &other], "", 1),
        (&["policy", "trust", "prod", "--keys", &others, "--key", &key], "", 0),
        (&["policy", "trust", "prod", "--keys", &keys, "--key", &key], "", 1),
        (&["policy", "publish", "prod", &file, "--yes", "--key", &key], "", 1),
        (&["policy", "publish", "prod", &file, "--yes", "--keys", &keys, "--key", &other], "", 0),
        (&["policy", "status", "' OR 1=1 --%&?#/"], "", 1),
    ]);
}

#[test]
fn a_long_list_is_fetched_to_its_end() {
    let mut twins = Twins::new();
    let tokens: Vec<Value> = (0..1000)
        .map(|n| serde_json::json!({"sha256": format!("{n:064x}"), "label": format!("token {n}"), "providers": ["openai"]}))
        .collect();
    let document = serde_json::json!({ "tokens": tokens }).to_string();
    // The import exceeds the limit of other bodies.
    let large = document.replace("openai", &format!("openai-{}", "x".repeat(20)));
    assert!(large.len() > 64 * 1024);
    assert_eq!(twins.run(&["token", "import", "-"], large.as_bytes()), 0);
    assert_eq!(twins.run(&["token", "list", "--limit", "2000"], b""), 0);
    assert_eq!(twins.run(&["token", "list", "--limit", "300", "--format", "json"], b""), 0);
    assert_eq!(twins.run(&["token", "show", "token 444"], b""), 0);
    assert_eq!(twins.run(&["token", "show", "token"], b""), 1);
}

#[test]
fn a_command_leaves_no_session_and_says_who_it_was() {
    let registry = registry();
    let environment = environment(&registry);
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let run = |args: &[&str]| -> Run { keyswap_with(args, b"", &environment) };
    for _ in 0..12 {
        // More sign-ins than attempts a minute: the right password does not count.
        assert_eq!(run(&["token", "list"]).code, 0);
    }
    assert_eq!(run(&["token", "create", "--label", "ci", "--provider", "openai"]).code, 0);
    let audit = registry.admin("GET", "/audit", &Value::Null).unwrap();
    let actions: Vec<&str> =
        audit["items"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions[..4], ["admin.sign_in", "admin.sign_out", "token.create", "admin.sign_in"]);
    let ended = actions.iter().filter(|action| **action == "admin.sign_out").count();
    assert_eq!(ended, 13);
}
