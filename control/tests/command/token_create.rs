//! `token create`: a token that is shown once, and a record that works.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::confirm::{read_until, rest, terminal};
use crate::support::{Folder, Run, assert_only_text, keyswap, policy};

fn create(args: &[&str]) -> Run {
    keyswap(&[&["token", "create"], args].concat())
}

fn is_token(text: &str) -> bool {
    text.strip_prefix("ptk_").is_some_and(|rest| {
        rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    })
}

/// Labels that careless quoting would break. Without spaces they are mailbox names.
const AWKWARD: [&str; 12] = [
    "alice-laptop",
    "true",
    "null",
    "~",
    "1e99",
    "- a: b # c",
    "\"quoted\" 'twice' \\",
    "Zoë's 🦀 laptop",
    "{a: [b]}",
    "*anchor",
    "!tag",
    "2027-06-30",
];

#[test]
fn a_new_token_works_once_its_record_is_pasted_into_a_policy() {
    for label in AWKWARD {
        let owner = format!("{}@acme.example", label.replace(' ', ""));
        let (as_label, as_owner) = (format!("--label={label}"), format!("--owner={owner}"));
        let run = create(&[&as_label, &as_owner, "--provider", "anthropic,openai"]);
        assert_eq!(run.code, 0, "{label}: {}", run.stderr);
        let token = run.stdout.trim_end();
        assert!(is_token(token), "{}", run.stdout);

        let folder = Folder::new();
        // All of standard error can be pasted: the notes are YAML comments.
        let file = folder.file("policy.yaml", policy(&run.stderr));
        let check = keyswap(&["policy", "check", &file]);
        assert_eq!(check.code, 0, "{label}: {}\n{}", check.all(), run.stderr);

        let request = folder.file("r.txt", format!("POST /v1/messages HTTP/1.1\nx-api-key: {token}\n"));
        let explain = keyswap(&["policy", "explain", &file, &request, "--format", "json"]);
        assert_eq!(explain.code, 0, "{label}: {}", explain.all());
        let principal = &explain.json()["principal"];
        assert_eq!((&principal["label"], &principal["email"]), (&json!(label), &json!(owner)));
    }
}

#[test]
fn people_are_told_that_the_token_is_shown_once() {
    let run = create(&["--label", "ci", "--provider", "openai"]);
    assert_eq!(run.stdout.lines().count(), 1);
    assert!(run.stderr.contains("shown only once: store it now"), "{}", run.stderr);
    assert!(!run.stderr.contains(run.stdout.trim_end()));
}

#[test]
fn json_has_token_digest_and_record() {
    let run = create(&[
        "--format",
        "json",
        "--label",
        " ci ",
        "--provider",
        "openai",
        "--provider",
        "mistral",
        "--provider",
        "openai",
        "--owner",
        "a@acme.example",
        "--expires-at",
        "2030-01-01T01:00:00+01:00",
    ]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let answer = run.json();
    assert!(is_token(answer["token"].as_str().unwrap()));
    let expect = json!({
        "sha256": answer["sha256"],
        "label": "ci",
        "owner": "a@acme.example",
        "providers": ["openai", "mistral"],
        "expires_at": "2030-01-01T00:00:00Z",
    });
    assert_eq!(answer["record"], expect);
    assert_eq!(answer["sha256"].as_str().map(str::len), Some(64));

    let bare = create(&["--format", "json", "--label", "ci", "--provider", "openai"]).json();
    let names: Vec<&String> = bare["record"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["label", "providers", "sha256"]);
}

#[test]
fn no_two_tokens_are_alike() {
    let tokens: BTreeSet<String> =
        (0..20).map(|_| create(&["--label", "a", "--provider", "openai"]).stdout).collect();
    assert_eq!(tokens.len(), 20);
}

#[test]
fn a_wrong_request_is_told_in_full_and_mints_nothing() {
    let long = "x".repeat(65);
    let secret = "sk-SENTINELsentinelSENTINEL0";
    let good = ["--label", "a", "--provider", "openai"];
    let cases: [(&[&str], &[&str]); 16] = [
        (&[], &["label is required", "pick at least one provider"]),
        (&["--label", "  ", "--provider", "openai"], &["label is required"]),
        (&["--label", "a"], &["pick at least one provider"]),
        (&["--label", &long, "--provider", "openai"], &["invalid label: expected 1 to 64 characters"]),
        (&["--label", "a\nb", "--provider", "openai"], &["invalid label: expected 1 to 64 characters"]),
        (&["--label", secret, "--provider", "openai"], &["invalid label: this looks like a credential"]),
        (&["--label", "a", "--provider", ""], &["invalid provider `\"\"`: expected a name"]),
        (&["--label", "a", "--provider", "OpenAI"], &["invalid provider `OpenAI`: expected a name"]),
        (&["--label", "a", "--provider", "v1"], &["invalid provider `v1`: "]),
        (
            &["--label", "a", "--provider", "a\n\u{1b}[2J\u{202e}b"],
            &[r#"invalid provider `"a\n\u{1b}[2J\u{202e}b"`: expected a name"#],
        ),
        (
            &[&good[..], &["--owner", "alice"]].concat(),
            &["invalid owner: expected an email address such as "],
        ),
        (
            &[&good[..], &["--expires-at", "tomorrow"]].concat(),
            &["invalid expiry: expected a time with an offset"],
        ),
        (
            &[&good[..], &["--expires-at", "2030-01-01T00:00:00"]].concat(),
            &["invalid expiry: expected a time"],
        ),
        (
            &[&good[..], &["--expires-at", "2020-01-01T00:00:00Z"]].concat(),
            &["`--expires-at` is in the past: no data plane"],
        ),
        (&[&good[..], &["--expires-at", ""]].concat(), &["invalid expiry: expected a time with an offset"]),
        (&["--label", "", "--expires-at", "x"], &["label is required", "pick at least", "invalid expiry: "]),
    ];
    for (args, expect) in cases {
        for format in ["human", "json"] {
            let run = create(&[args, &["--format", format]].concat());
            assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{args:?}");
            let lines: Vec<&str> = run.stderr.lines().collect();
            assert_eq!(lines.len(), expect.len(), "{args:?}: {}", run.stderr);
            for (line, words) in lines.iter().zip(expect) {
                assert!(line.starts_with(&format!("error: {words}")), "{args:?}: {line}");
            }
            assert!(!run.stderr.contains("SENTINEL"), "{}", run.stderr);
            assert_only_text(&run);
        }
    }
}

#[test]
fn an_owner_is_an_email_address() {
    let create = |owner: &str| create(&["--label", "a", "--provider", "openai", "--owner", owner]);
    for owner in ["alice@acme.example", " alice@acme.example "] {
        assert_eq!(create(owner).code, 0, "{owner}");
    }
    for owner in ["", " ", "@", "alice", "@acme.example", "alice@", "al ice@acme.example", "a@b\nc", "5"] {
        let run = create(owner);
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{owner}");
        let is_told = |line: &str| line.starts_with("error: invalid owner: expected ");
        assert!(run.stderr.lines().all(is_told), "{owner}: {}", run.stderr);
        assert!(
            run.stderr.contains("expected an email address such as `alice@example.com`"),
            "{owner}: {}",
            run.stderr
        );
    }
    let help = keyswap(&["token", "create", "--help"]).stdout;
    assert!(
        help.contains("--owner <EMAIL>\n") && help.contains("Email address of the token's owner"),
        "{help}"
    );
}

#[test]
fn a_token_is_bound_to_the_certificate_in_a_file_or_to_its_digest() {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let digest = keyswap_core::base::Digest::of(certificate.der()).to_hex();
    let folder = Folder::new();
    let pem = folder.file("client.pem", certificate.pem());
    let bytes: Vec<&str> = (0..64).step_by(2).map(|at| &digest[at..at + 2]).collect();
    let fingerprint = bytes.join(":").to_uppercase();
    let database = format!("sqlite://{}", folder.path("registry.db").display());
    for named in
        [["--certificate", &pem], ["--certificate-sha256", &digest], ["--certificate-sha256", &fingerprint]]
    {
        let args = [&["--label", "a", "--provider", "openai", "--format", "json"], &named[..]].concat();
        let run = create(&args);
        assert_eq!(run.code, 0, "{}", run.all());
        assert_eq!(run.json()["record"]["certificate_sha256"], digest, "{named:?}");
        let run = create(&[&args[..], &["--database", &database]].concat());
        assert_eq!(run.json()["record"]["certificate_sha256"], digest, "{named:?}");
    }
    let run = create(&["--label", "a", "--provider", "openai", "--certificate", &pem]);
    let file = folder.file("policy.yaml", policy(&run.stderr));
    assert_eq!(keyswap(&["policy", "check", &file]).code, 0, "{}", run.stderr);
    let request =
        folder.file("r.txt", format!("GET /v1/models HTTP/1.1\nx-api-key: {}\n", run.stdout.trim_end()));
    let explain = keyswap(&["policy", "explain", &file, &request]);
    assert!(
        explain.code == 2 && explain.stdout.contains("bound to a client certificate"),
        "{}",
        explain.all()
    );
    // What a file says of a token that is there is not what binds it.
    let document = format!("tokens: [{{label: a, providers: [openai], sha256: {}}}]\n", {
        let list = keyswap(&["token", "list", "--database", &database, "--format", "json"]).json();
        list["items"][0]["sha256"].as_str().unwrap().to_owned()
    });
    let run = keyswap(&["apply", "-f", &folder.file("tokens.yaml", document), "--database", &database]);
    assert!(run.code == 1 && run.stderr.contains("a token stays bound to the certificate"), "{}", run.all());

    for (named, expect) in [
        (&["--certificate-sha256", "ab"][..], "needs 64 hexadecimal digits"),
        (&["--certificate", &folder.file("empty.pem", "")], "has no certificate in PEM"),
        (&["--certificate", &pem, "--certificate-sha256", &digest], "cannot be used with"),
    ] {
        let run = create(&[&["--label", "a", "--provider", "openai"], named].concat());
        assert!(run.code == 1 && run.stderr.contains(expect), "{named:?}: {}", run.all());
    }
}

#[test]
fn a_token_is_asked_for_at_a_terminal_and_not_shown_there() {
    const OWN: &str = "SENTINEL-of-my-own-0123456789";
    let folder = Folder::new();
    let (mut person, tty) = terminal();
    let child = Command::new(env!("CARGO_BIN_EXE_keyswap"))
        .args(["token", "create", "--label", "own", "--provider", "openai", "--stdin"])
        .env_clear()
        .env("KEYSWAP_DATABASE", format!("sqlite://{}", folder.path("registry.db").display()))
        .stdin(tty.try_clone().unwrap())
        .stderr(tty)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = read_until(&mut person, "which is not shown:");
    person.write_all(format!("{OWN}\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    said.push_str(&rest(&mut person));
    assert_eq!((output.status.code(), output.stdout), (Some(0), format!("{OWN}\n").into_bytes()), "{said}");
    assert!(!said.contains(OWN), "{said}");
}
