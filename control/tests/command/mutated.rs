//! Files that others control, changed at random: access logs, and configurations to import. The command reads or refuses
//! each, never panics, and prints nothing but text.

use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};
use serde_json::{Value, json};

use crate::support::{DIGEST, Folder, Run, assert_only_text, keyswap, policy};

/// The changed copies of each file.
const COPIES: usize = 30;

/// A source of changed texts, the same in each run.
struct Changes(TestRng);

impl Changes {
    fn new() -> Self {
        Self(TestRng::deterministic_rng(RngAlgorithm::ChaCha))
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0.next_u32() as usize % bound.max(1)
    }

    /// Returns a text with some of its characters removed, doubled or replaced.
    fn of(&mut self, text: &str) -> String {
        const ODD: [char; 12] = ['"', '\\', '{', '[', ':', '-', '9', '\0', '\u{202e}', '\u{e9}', '*', '&'];
        let mut characters: Vec<char> = text.chars().collect();
        for _ in 0..=self.below(4) {
            let at = self.below(characters.len());
            let end = characters.len().min(at + self.below(30));
            match self.below(4) {
                0 => characters.truncate(at),
                1 => drop(characters.drain(at..end)),
                2 => {
                    let part = characters[at..end].to_vec();
                    characters.splice(at..at, part);
                }
                _ => characters.insert(at, ODD[self.below(ODD.len())]),
            }
        }
        characters.into_iter().collect()
    }
}

/// Asserts that a run ended in one of the ways that the command's help lists.
fn assert_sound(run: &Run, input: &str) {
    assert!((0..=3).contains(&run.code), "{}: {}\n{input}", run.code, run.all());
    assert!(!run.all().contains("panicked"), "{}\n{input}", run.all());
    assert_only_text(run);
}

#[test]
fn changed_lines_of_an_access_log_are_judged_or_counted_as_others() {
    let line = json!({
        "start_time": "2026-06-30T00:00:00.123Z", "method": "POST", "path": "/v1/0123456789abcdef/prod/openai/v1/chat/completions", "status": 200,
        "principal": &DIGEST[..16], "label": "alice-laptop", "provider": "openai", "reason": "allowed",
        "model": "gpt-5", "input_tokens": "10", "output_tokens": 20, "cost_nano_usd": "1000",
    });
    let mut changes = Changes::new();
    let lines: Vec<String> = (0..3000)
        .map(|number| {
            let mut line = line.clone();
            // In one half a member is another text, and the rest may be no JSON.
            if number % 2 == 0 {
                let members: Vec<String> = line.as_object().unwrap().keys().cloned().collect();
                let member = &mut line[&members[changes.below(members.len())]];
                *member = changes.of(member.as_str().unwrap_or_default()).into();
                return line.to_string();
            }
            changes.of(&line.to_string()).replace('\n', " ")
        })
        .collect();
    let folder = Folder::new();
    let log = folder.file("access.log", lines.join("\n"));
    let new = policy("").replace("providers: [openai]", "providers: [anthropic]");
    let [old, new] =
        [("old.yaml", policy("")), ("new.yaml", new)].map(|(name, text)| folder.file(name, text));
    let args = ["policy", "diff", &old, &new, "--requests", &log];
    assert_sound(&keyswap(&args), &log);
    let told = keyswap(&[&args[..], &["--format", "json"]].concat()).json();
    let unjudged = told["unjudged"].as_object().unwrap().values().filter_map(Value::as_u64).sum::<u64>();
    assert_eq!(told["lines"].as_u64().unwrap(), told["judged"].as_u64().unwrap() + unjudged, "{told}");
    assert!(told["judged"].as_u64() > Some(100), "{told}");
}

#[test]
fn changed_configurations_are_imported_as_valid_policies_or_refused() {
    let tables = [
        (include_str!("imports/litellm.yaml"), "config", &["litellm"][..]),
        (include_str!("imports/api-keys.yaml"), "files", &["api-key-auth", "--provider", "openai"]),
    ];
    let mut changes = Changes::new();
    for (table, member, args) in tables {
        let cases: Vec<Value> = serde_saphyr::from_str(table).unwrap();
        for _ in 0..COPIES {
            let case = &cases[changes.below(cases.len())];
            let whole = case[member].get(0).unwrap_or(&case[member]);
            let config = changes.of(&whole.as_str().map_or_else(|| whole.to_string(), str::to_owned));
            let folder = Folder::new();
            let run = keyswap(&[&["policy", "import"], args, &[&folder.file("c.yaml", &config)]].concat());
            assert_sound(&run, &config);
            if run.code == 0 {
                let checked = keyswap(&["policy", "check", &folder.file("p.yaml", &run.stdout)]);
                assert_eq!(checked.code, 0, "{}\n{config}", checked.all());
            } else {
                assert_eq!(run.stdout, "", "{config}");
            }
        }
    }
}
