//! `object …` on a registry.

use serde_json::{Value, json};

use crate::tokens::Home;

fn home() -> (Home, String) {
    let home = Home::new();
    let token = home.json(&["token", "create", "--label", "ci", "--provider", "openai", "--team", "red"]);
    let digest = token["sha256"].as_str().unwrap().to_owned();
    (home, digest)
}

#[test]
fn objects_are_adopted_listed_shown_transferred_and_forgotten() {
    let (home, token) = home();
    let adopt = ["object", "adopt", "openai", "file-1", "file-2", "--kind", "file", "--for", "token:ci"];
    assert_eq!(home.run(&adopt).stdout, "2 adopted, 0 have a holder already\n");
    let again =
        home.run(&["object", "adopt", "openai", "file-2", "file-3", "--for", "person:a@acme.example"]);
    assert_eq!(again.stdout, "1 adopted, 1 have a holder already\n");
    assert!(again.stderr.contains("file-2") && !again.stderr.contains("file-3"), "{}", again.stderr);
    let list = home.run(&["object", "list"]);
    let lines: Vec<&str> = list.stdout.lines().collect();
    assert!(lines[0].starts_with("PROVIDER  KIND    ID      HOLDER"), "{}", list.stdout);
    assert!(lines[1].starts_with("openai    object  file-3  a@acme.example"), "{}", list.stdout);
    assert_eq!((lines.len(), list.stderr.as_str()), (4, "3 of 3 shown\n"));
    for (filter, ids) in [
        (&["--kind", "file"][..], &["file-2", "file-1"][..]),
        (&["--holder", "token:ci"], &["file-2", "file-1"]),
        (&["--holder", "person:A@acme.example"], &["file-3"]),
        (&["--owner", "a@acme.example"], &["file-3"]),
        (&["--team", "red", "--limit", "1"], &["file-2"]),
        (&["--left"], &["file-3"]),
        (&["--provider", "groq"], &[]),
    ] {
        let answer = home.json(&[&["object", "list"], filter].concat());
        let got: Vec<&str> =
            answer["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
        assert_eq!(got, ids, "{filter:?}");
    }
    let shown = home.json(&["object", "show", "openai", "file-1"]);
    assert_eq!(
        (&shown["principal"], &shown["team"], &shown["label"]),
        (&json!(token), &json!("red"), &json!("ci"))
    );
    assert!(home.run(&["object", "show", "openai", "file-1"]).stdout.contains("holder:    ci\n"));
    let given = home.json(&["object", "transfer", "openai", "file-1", "--to", "person:b@acme.example"]);
    assert_eq!((&given["owner"], &given["team"]), (&json!("b@acme.example"), &Value::Null));
    let unknown = format!("token:{}", "A".repeat(64));
    let all = home.json(&["object", "transfer", "--from", "token:ci", "--to", &unknown, "--yes"]);
    assert_eq!(all, json!({"transferred": 1}));
    let none = home.run(&["object", "transfer", "--from", "token:ci", "--to", &unknown, "--yes"]);
    assert_eq!(none.stdout, "0 transferred\n");
    assert!(none.stderr.contains("holds no object"), "{}", none.stderr);
    assert_eq!(home.run(&["object", "forget", "openai", "file-1", "--yes"]).stdout, "forgot openai/file-1\n");
    assert_eq!(home.run(&["object", "show", "openai", "file-1"]).stderr, "error: no such object\n");
}

#[test]
fn ids_come_from_standard_input_and_many_are_adopted() {
    let (home, _) = home();
    let ids = (0..450).map(|number| format!("file-{number}\r\n\n")).collect::<Vec<_>>().concat();
    let adopt = ["object", "adopt", "openai", "--stdin", "--for", "token:ci"];
    let run = home.run_with(&adopt, ids.as_bytes());
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (0, "450 adopted, 0 have a holder already\n"),
        "{}",
        run.stderr
    );
    let list = home.json(&["object", "list", "--limit", "1000"]);
    assert_eq!((list["items"].as_array().unwrap().len(), &list["total"]), (450, &json!(450)));
    let moved =
        home.run(&["object", "transfer", "--from", "token:ci", "--to", "person:a@acme.example", "--yes"]);
    assert_eq!(moved.stdout, "450 transferred\n");
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let (home, _) = home();
    for (args, stdin, words) in [
        (&["adopt", "openai", "--for", "token:ci"][..], "", "required"),
        (&["adopt", "openai", "file-1"], "", "required"),
        (&["adopt", "openai", "file-1", "--stdin", "--for", "token:ci"], "", "cannot be used with"),
        (&["adopt", "openai", "--stdin", "--for", "token:ci"], "\n\n", "no ids on standard input"),
        (&["adopt", "openai", "--stdin", "--for", "token:-"], "file-1", "either the ids or the token"),
        (&["adopt", "openai", "file-1", "--for", "ci"], "", "invalid holder"),
        (&["adopt", "openai", "file-1", "--for", "token:nobody"], "", "no such token"),
        (&["adopt", "openai", "file-1", "--for", "token:ptk_secret"], "", "pass the token on standard input"),
        (&["adopt", "open ai", "file-1", "--for", "token:ci"], "", "invalid provider"),
        (&["adopt", "openai", "a\nb", "--for", "token:ci"], "", "invalid id"),
        (&["adopt", "openai", "file-1", "--kind", "A B", "--for", "token:ci"], "", "invalid kind"),
        (&["show", "openai"], "", "required"),
        (&["transfer", "openai", "--to", "token:ci"], "", "required"),
        (&["transfer", "--to", "token:ci"], "", "required"),
        (
            &["transfer", "openai", "file-1", "--from", "token:ci", "--to", "token:ci"],
            "",
            "cannot be used with",
        ),
        (&["transfer", "openai", "file-1", "--to", "token:ci"], "", "no such object"),
        (&["transfer", "--from", "token:ci", "--to", "token:ci", "--yes"], "", "two holders that differ"),
        (&["transfer", "--from", "token:ci", "--to", "person:a@b"], "", "pass `--yes`"),
        (&["forget", "openai", "file-1", "--yes"], "", "no such object"),
        (&["list", "--holder", "team:red"], "", "invalid holder"),
    ] {
        let run = home.run_with(&[&["object"], args].concat(), stdin.as_bytes());
        assert!(run.code == 1 && run.stderr.contains(words), "{args:?}: {}", run.stderr);
    }
    home.run(&["object", "adopt", "openai", "file-1", "--for", "token:ci"]);
    let run = home.run(&["object", "forget", "openai", "file-1"]);
    assert!(run.code == 1 && run.stderr.contains("pass `--yes`"), "{}", run.stderr);
}
