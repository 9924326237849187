//! Confirmation at a terminal before actions that cannot be undone.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::support::{Folder, keyswap_with};

/// Opens a pseudoterminal. Returns the user's end and the command's end.
pub(crate) fn terminal() -> (File, OwnedFd) {
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&person).unwrap();
    unlockpt(&person).unwrap();
    let name = ptsname(&person, Vec::new()).unwrap();
    let command = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    (File::from(person), command)
}

#[test]
fn a_token_and_a_user_are_deleted_when_a_person_says_yes() {
    for (args, create, name) in [
        (["token", "delete", "ci"], &["token", "create", "--label", "ci", "--provider", "openai"][..], "ci"),
        (
            ["user", "delete", "a@acme.example"],
            &["user", "create", "a@acme.example", "--provider", "openai"],
            "a@acme.example",
        ),
    ] {
        for (answer, code, last) in [
            ("no\n", 1, "error: cancelled"),
            ("\n", 1, "error: cancelled"),
            ("YES\n", 1, "error: cancelled"),
            ("yes please\n", 1, "error: cancelled"),
            // The end of the input.
            ("\u{4}", 1, "error: cancelled"),
            ("yes\n", 0, "Type `yes`:"),
        ] {
            let folder = Folder::new();
            let url = format!("sqlite://{}", folder.path("registry.db").display());
            let environment = [("KEYSWAP_DATABASE", url.as_str())];
            assert_eq!(keyswap_with(create, b"", &environment).code, 0);
            let (mut person, tty) = terminal();
            let child = Command::new(env!("CARGO_BIN_EXE_keyswap"))
                .args(args)
                .env_clear()
                .envs(environment)
                .stdin(tty.try_clone().unwrap())
                .stderr(tty)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut said = read_until(&mut person, "Type `yes`:");
            assert!(said.contains(name) && said.contains("This cannot be undone."), "{said}");
            person.write_all(answer.as_bytes()).unwrap();
            let output = child.wait_with_output().unwrap();
            said.push_str(&rest(&mut person));
            assert_eq!(output.status.code(), Some(code), "{answer:?}: {said}");
            assert!(said.contains(last), "{answer:?}: {said}");
            assert_eq!(output.stdout.starts_with(b"deleted "), code == 0, "{answer:?}");
            let there = keyswap_with(&[args[0], "show", args[2]], b"", &environment).code == 0;
            assert_eq!(there, code != 0, "{answer:?}");
        }
    }
}

pub(crate) fn read_until(person: &mut File, words: &str) -> String {
    let mut said = Vec::new();
    while !String::from_utf8_lossy(&said).contains(words) {
        let mut part = [0; 256];
        let count = person.read(&mut part).expect("the command ended before it asked");
        said.extend_from_slice(&part[..count]);
    }
    String::from_utf8(said).unwrap()
}

/// Reads the output until the command's end is closed, which the kernel reports as an error.
pub(crate) fn rest(person: &mut File) -> String {
    let mut said = Vec::new();
    let mut part = [0; 256];
    while let Ok(count @ 1..) = person.read(&mut part) {
        said.extend_from_slice(&part[..count]);
    }
    String::from_utf8(said).unwrap()
}
