//! The language of the sources and documents: the rules of CONTRIBUTING.md that a program can check.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{docs, tools};

/// Words that begin no doc comment: a function's begins with a verb, the others with a noun phrase.
const BEGINNINGS: [&str; 9] =
    ["What", "Who", "Whom", "Whose", "Whoever", "Whether", "Where", "How", "Nobody"];
const FOLDERS: [&str; 8] = ["cases", "component", "control", "core", "filter", "standin", "tests", "xtask"];
/// Riddles that documents had. Each has a plain form.
const RIDDLES: [&str; 18] = [
    "is to be gone on with",
    "What it is more than",
    "What is meant to hold",
    "for is told, in this order",
    "what is not said is strict",
    "is announced through",
    "is worth a second look",
    "whoever is in a smaller share",
    "if one of its keys has signed it, under its name",
    "It is told at",
    "only hands over what it has",
    "who of a process asks",
    "A host gets no more than it can do",
    "What cannot be found is budgeted",
    "keeps whom it had",
    "A signature makes a policy one",
    "changes only what proves",
    "that one of nobody here may know",
];

/// Returns a doc comment's first line without the marks of a comment.
fn doc_comment_begins(line: &str, before: &str) -> Option<String> {
    let text = |line: &str| {
        let line = line.trim_start();
        line.strip_prefix("//!").or_else(|| line.strip_prefix("///")).map(|text| text.trim().to_owned())
    };
    // A later paragraph may begin with any word.
    text(line).filter(|_| text(before).is_none())
}

#[test]
fn every_doc_comment_begins_with_a_verb_or_a_noun_phrase() -> Result<()> {
    let mut wrong = Vec::new();
    for folder in FOLDERS {
        let is_source = |path: &String| {
            Path::new(path).extension().is_some_and(|extension| extension == "rs" || extension == "wit")
        };
        for path in tools::files_below(folder)?.into_iter().filter(is_source) {
            let path = format!("{folder}/{path}");
            let text = fs::read_to_string(tools::project_root().join(&path)).context(path.clone())?;
            let mut before = "";
            for (line, number) in text.lines().zip(1..) {
                let begins = doc_comment_begins(line, before).unwrap_or_default();
                let word = begins.split(|char: char| !char.is_alphabetic()).next().unwrap_or_default();
                if BEGINNINGS.contains(&word) {
                    wrong.push(format!("{path}:{number}: {begins}"));
                }
                before = line;
            }
        }
    }
    ensure!(
        wrong.is_empty(),
        "{} doc comments begin with a question word:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    Ok(())
}

#[test]
fn no_document_speaks_in_riddles() -> Result<()> {
    for page in docs::pages()? {
        // Wrapped lines are one sentence.
        let text = page.text.split_whitespace().collect::<Vec<_>>().join(" ");
        for riddle in RIDDLES {
            ensure!(!text.contains(riddle), "{} says `{riddle}`", page.path);
        }
    }
    Ok(())
}
