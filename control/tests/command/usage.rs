//! Rules of the command as a whole: usage, help, exit codes, closed pipes.

use std::io::Read as _;
use std::process::{Command, Stdio};

use crate::support::{Folder, keyswap};

const COMMANDS: [&[&str]; 34] = [
    &[],
    &["policy"],
    &["policy", "check"],
    &["policy", "explain"],
    &["policy", "test"],
    &["policy", "diff"],
    &["policy", "lint"],
    &["policy", "schema"],
    &["policy", "import"],
    &["policy", "import", "litellm"],
    &["policy", "import", "api-key-auth"],
    &["version"],
    &["token"],
    &["token", "create"],
    &["token", "list"],
    &["token", "show"],
    &["token", "rotate"],
    &["token", "disable"],
    &["token", "enable"],
    &["token", "delete"],
    &["token", "import"],
    &["user"],
    &["user", "create"],
    &["user", "list"],
    &["user", "show"],
    &["user", "update"],
    &["user", "delete"],
    &["budget"],
    &["budget", "set"],
    &["budget", "list"],
    &["budget", "show"],
    &["budget", "delete"],
    &["usage"],
    &["completions"],
];

#[test]
fn wrong_usage_is_1_and_never_the_code_of_a_refusal() {
    let cases: [&[&str]; 11] = [
        &[],
        &["policy"],
        &["nonsense"],
        &["policy", "check"],
        &["policy", "check", "a", "b"],
        &["policy", "explain", "a"],
        &["policy", "check", "a", "--format", "xml"],
        &["policy", "diff", "a"],
        &["policy", "lint"],
        &["policy", "import", "api-key-auth", "a"],
        &["token", "create", "--nonsense"],
    ];
    for args in cases {
        let run = keyswap(args);
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{args:?}");
        assert!(run.stderr.contains("--help") || run.stderr.contains("Usage: "), "{args:?}: {}", run.stderr);
    }
}

#[test]
fn every_help_is_an_answer_and_tells_of_exit_codes_with_an_example() {
    for command in COMMANDS {
        let run = keyswap(&[command, &["--help"]].concat());
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{command:?}");
        assert!(run.stdout.contains("Usage: keyswap"), "{command:?}");
        for words in ["Examples:\n  ", "Exit codes:\n  0  ", "  2  `policy explain`: the request is refused"]
        {
            assert!(run.stdout.contains(words), "{command:?} lacks {words}: {}", run.stdout);
        }
    }
    let run = keyswap(&["--version"]);
    assert_eq!((run.code, run.stdout), (0, concat!("keyswap ", env!("CARGO_PKG_VERSION"), "\n").to_owned()));
}

#[test]
fn completions_are_there_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let run = keyswap(&["completions", shell]);
        assert_eq!(run.code, 0, "{shell}");
        for command in ["explain", "test", "diff", "lint", "schema", "import", "litellm", "api-key-auth"] {
            assert!(run.stdout.contains(command), "{shell} lacks {command}");
        }
    }
}

#[test]
fn a_reader_that_goes_away_changes_neither_verdict_nor_manners() {
    let folder = Folder::new();
    let names: String = (0..10_000).map(|n| format!("unknown-field-{n}: 1\n")).collect::<Vec<_>>().concat();
    let broken = folder.file("policy.yaml", names);
    let cases: [(&[&str], i32); 3] = [
        (&["policy", "check", &broken], 3),
        (&["token", "create", "--label", "a", "--provider", "openai"], 0),
        (&["--help"], 0),
    ];
    for (args, code) in cases {
        let mut child = Command::new(env!("CARGO_BIN_EXE_keyswap"))
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{args:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
    }
}
