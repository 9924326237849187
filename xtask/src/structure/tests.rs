//! Tests of each rule with small crates that break it, and the check of this repository.

use std::{fmt::Write as _, fs};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::tools;

use super::{HOUSE, Rules, check};

/// Returns the violations of a crate with floors and these files.
fn violations(files: &[(&str, &str)]) -> Result<Vec<String>> {
    by_rules(&Rules::in_floors("src"), files)
}

fn by_rules(rules: &Rules, files: &[(&str, &str)]) -> Result<Vec<String>> {
    let root = tempfile::tempdir()?;
    for (path, text) in files {
        let path = root.path().join("src").join(path);
        fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
        fs::write(path, text)?;
    }
    let outcome = check(root.path(), std::slice::from_ref(rules))?;
    Ok(outcome.violations.iter().map(ToString::to_string).collect())
}

/// Ensures that there is exactly one violation, which contains these parts.
fn ensure_one(violations: &[String], parts: &[&str]) -> Result<()> {
    let [violation] = violations else {
        anyhow::bail!("{} violations: {violations:#?}", violations.len());
    };
    let missing: Vec<_> = parts.iter().filter(|part| !violation.contains(*part)).collect();
    ensure!(missing.is_empty(), "{missing:?} are not in: {violation}");
    Ok(())
}

/// Ensures that code in `low.rs`, on a floor below `high`, violates the order of floors in its third line.
fn ensure_upward(low: &str) -> Result<()> {
    let violations = violations(&[
        ("lib.rs", "mod low;\n\nmod high;\n"),
        ("low.rs", &format!("//! Low.\n\n{low}\n")),
        ("high/mod.rs", "mod thing;\npub use thing::*;\npub(crate) use self::thing::Thing as Renamed;\n"),
        (
            "high/thing.rs",
            "pub struct Thing;\npub fn make() -> Thing { Thing }\n#[cfg(test)]\nmod tests {}\n",
        ),
    ])?;
    ensure_one(
        &violations,
        &["src/low.rs:3 takes `", "` from src/high/thing.rs", "`high` stands above `low`"],
    )
    .with_context(|| low.to_owned())
}

#[test]
fn a_crate_in_floors_has_no_violation() -> Result<()> {
    let violations = violations(&[
        ("lib.rs", "mod base;\n\nmod judge;\npub use judge::Judge;\n"),
        ("base.rs", "pub struct Digest;\n"),
        ("judge/mod.rs", "//! Judges.\nmod verify;\nmod engine;\npub use engine::Judge;\n"),
        ("judge/verify.rs", "use crate::base::Digest;\npub struct Verified(Digest);\n"),
        (
            "judge/engine.rs",
            "use super::verify::Verified;\npub struct Judge(Verified, crate::base::Digest);\n",
        ),
    ])?;
    ensure!(violations.is_empty(), "{violations:#?}");
    Ok(())
}

#[test]
fn a_name_from_a_higher_floor_is_a_violation_however_it_is_taken() -> Result<()> {
    for low in [
        "use crate::high::Thing;",
        "use crate::high::Renamed;",
        "use super::high::{Thing as Other};",
        "use {crate::{high::{self, Thing}}, std::fmt};",
        "use crate::high::thing;",
        "fn f(_: crate::high::Thing) {}",
        "fn f() { let _ = super::high::make(); }",
        "fn f() { use crate::high as up; up::make(); }",
        "use crate::high as up; fn f() -> up::Thing { up::Thing }",
        "use crate::high::*; fn f() { make(); }",
        "fn f() { let _ = vec![1, crate::high::make()]; }",
        "use crate::high; fn f() { let _ = format!(\"{:?}\", (high::make(), 1)); }",
        "use super::high; fn f() { assert!(matches!(1, 0..high::thing::make)); }",
        "macro_rules! make { () => { $crate::high::make() }; }",
        "impl crate::high::Thing { fn f(self) {} }",
        "fn f(x: u8) { match x { crate::high::Thing => {} } }",
        "mod inner { use super::super::high::Thing; }",
        "mod inner { mod more { fn f() { super::super::super::high::make(); } } }",
        "#[cfg(test)] mod tests { use crate::high::Thing; }",
    ] {
        ensure_upward(low)?;
    }
    Ok(())
}

#[test]
fn what_takes_no_name_from_the_crate_is_no_arrow() -> Result<()> {
    for low in [
        "//! [`Thing`](crate::high::Thing)\n/// [`crate::high::Thing`]\nfn f() {}",
        "fn f() { let high = 1; let _ = high; }",
        "use high::Thing; fn f(_: ::high::Thing) {}",
        "fn f() { let _ = println!(\"crate::high::make()\"); }",
        "macro_rules! taken { ($high:ident) => { $high::make() }; }",
        "pub(in crate::low) fn f() {}",
        "fn f(thing: u8) { thing.make(); }",
    ] {
        let files = [
            ("lib.rs", "mod low;\n\nmod high;\n"),
            ("low.rs", low),
            ("high.rs", "pub struct Thing;\npub fn make() {}\n"),
        ];
        let violations = violations(&files)?;
        ensure!(violations.is_empty(), "{low}: {violations:#?}");
    }
    Ok(())
}

#[test]
fn a_re_export_of_a_higher_floor_is_a_violation() -> Result<()> {
    let violations = violations(&[
        ("lib.rs", "mod low;\n\nmod high;\n"),
        ("low/mod.rs", "pub use crate::high::Thing;\n"),
        ("high.rs", "pub struct Thing;\n"),
    ])?;
    ensure_one(&violations, &["src/low/mod.rs:1 takes `Thing` from src/high.rs", "up a floor"])
}

#[test]
fn a_circle_of_two_files_is_told_with_both_names() -> Result<()> {
    let violations = by_rules(
        &Rules::without_circles("src"),
        &[
            ("main.rs", "mod a;\nmod b;\nfn main() { a::A; }\n"),
            ("a.rs", "use crate::b::B;\npub struct A(B);\n"),
            ("b.rs", "\nuse super::a::A;\npub struct B(Option<A>);\n"),
        ],
    )?;
    ensure_one(&violations, &["src/a.rs:1 takes `B` from src/b.rs", "src/b.rs:2 takes `A` from src/a.rs"])
}

#[test]
fn a_circle_of_folders_is_one_even_where_no_file_is_in_a_circle() -> Result<()> {
    let files = [
        ("lib.rs", "mod judge;\n"),
        ("judge/mod.rs", "mod admit;\nmod verify;\n"),
        ("judge/admit/mod.rs", "mod grant;\nmod limit;\npub use grant::Grant;\npub use limit::Limit;\n"),
        ("judge/admit/grant.rs", "use crate::judge::verify::Verified;\npub struct Grant(Verified);\n"),
        ("judge/admit/limit.rs", "pub struct Limit;\n"),
        ("judge/verify/mod.rs", "mod caller;\nmod verified;\npub use verified::Verified;\n"),
        ("judge/verify/caller.rs", "use super::super::admit::Limit;\npub struct Caller(Limit);\n"),
        ("judge/verify/verified.rs", "pub struct Verified;\n"),
    ];
    ensure_one(
        &violations(&files)?,
        &[
            "folders (admit, verify)",
            "src/judge/admit/grant.rs:1 takes `Verified` from src/judge/verify/verified.rs",
            "src/judge/verify/caller.rs:1 takes `Limit` from src/judge/admit/limit.rs",
        ],
    )
}

#[test]
fn each_circle_that_needs_a_cut_of_its_own_is_told() -> Result<()> {
    let violations = violations(&[
        ("lib.rs", "mod all;\n"),
        ("all/mod.rs", "mod a;\nmod b;\nmod c;\n"),
        ("all/a.rs", "use super::b::B;\npub struct A(B);\n"),
        ("all/b.rs", "use super::{a::A, c::C};\npub struct B(A, C);\n"),
        ("all/c.rs", "use super::b::B;\npub struct C(B);\n"),
    ])?;
    ensure!(violations.len() == 2, "{violations:#?}");
    ensure!(violations[0].contains("the shortest circle of 3"), "{violations:#?}");
    Ok(())
}

#[test]
fn re_exports_that_lead_to_each_other_end() -> Result<()> {
    let violations = violations(&[
        ("lib.rs", "mod a;\nmod b;\n"),
        ("a/mod.rs", "pub use crate::b::*;\n"),
        ("b/mod.rs", "pub use crate::a::*;\npub use anyhow::anyhow;\n"),
    ])?;
    ensure!(violations.is_empty(), "{violations:#?}");
    Ok(())
}

#[test]
fn a_mod_file_declares_and_re_exports_only() -> Result<()> {
    let with =
        |text| violations(&[("lib.rs", "mod a;\n"), ("a/mod.rs", text), ("a/b.rs", "pub struct B;\n")]);
    ensure!(with("//! A.\n#![allow(dead_code)]\n#[cfg(unix)]\nmod b;\npub(crate) use b::B;\n")?.is_empty());
    ensure_one(&with("mod b;\nconst A: u8 = 1;\nfn f() {}\n")?, &["src/a/mod.rs:2: 2 items of code"])?;
    ensure_one(&with("mod b;\nuse b::B;\n")?, &["src/a/mod.rs:2: a private `use`"])?;
    ensure_one(&with("mod b;\n#[cfg(test)]\nmod tests {}\n")?, &["1 items of code"])
}

#[test]
fn a_child_that_takes_code_from_its_mod_file_closes_a_circle_with_it() -> Result<()> {
    let files = [
        ("lib.rs", "mod a;\n"),
        ("a/mod.rs", "mod b;\npub struct A(b::B);\n"),
        ("a/b.rs", "use super::A;\npub struct B(Box<A>);\n"),
    ];
    let violations = violations(&files)?;
    ensure!(violations.len() == 2, "{violations:#?}");
    ensure_one(&violations[..1], &["src/a/b.rs:1 takes `A` from src/a/mod.rs", "takes `B` from src/a/b.rs"])
}

#[test]
fn a_file_that_is_of_another_package_is_left_out() -> Result<()> {
    let text = "#[path = \"../../other/src/b.rs\"]\nmod b;\nuse b::B;\npub fn f(_: B) { b::g(); }\n";
    let violations = violations(&[("lib.rs", text)])?;
    ensure!(violations.is_empty(), "{violations:#?}");
    Ok(())
}

#[test]
fn a_file_has_400_lines_at_most() -> Result<()> {
    let with = |lines: usize| violations(&[("lib.rs", &"//! A line.\n".repeat(lines))]);
    ensure!(with(400)?.is_empty());
    ensure_one(&with(401)?, &["src/lib.rs:400: the file has 401 lines"])
}

#[test]
fn a_function_is_longer_than_60_lines_only_with_a_reason() -> Result<()> {
    let with = |above: &str, lines: usize| {
        let mut text = format!("mod a {{\n{above}pub fn long() {{\n");
        for line in 0..lines {
            writeln!(text, "    let _ = {line};")?;
        }
        violations(&[("lib.rs", &format!("{text}}}\n}}\n"))])
    };
    ensure!(with("", 60)?.is_empty());
    ensure_one(&with("", 61)?, &["src/lib.rs:2: the body of `long` has 61 lines"])?;
    ensure_one(&with("// Long:\n", 61)?, &["`long`"])?;
    ensure_one(&with("// Long: of another.\nfn other() {}\n", 61)?, &["`long`"])?;
    for above in [
        "// Long: one table.\n",
        "// Long: one table,\n// row by row.\n#[must_use]\n",
        "/// Doc.\n// Long: so.\n#[cold]\n",
    ] {
        ensure!(with(above, 61)?.is_empty(), "{above}");
    }
    Ok(())
}

#[test]
fn a_folder_has_a_most_of_entries_where_the_rules_say_so() -> Result<()> {
    let rules = Rules { max_entries: Some(1), ..Rules::in_floors("src") };
    ensure!(by_rules(&rules, &[("lib.rs", "")])?.is_empty());
    ensure_one(&by_rules(&rules, &[("lib.rs", "mod a;\n"), ("a.rs", "")])?, &["src: there are 2 entries"])
}

#[test]
fn the_repository_keeps_its_structure() -> Result<()> {
    let outcome = check(&tools::project_root(), &HOUSE)?;
    let violations: Vec<_> = outcome.violations.iter().map(ToString::to_string).collect();
    ensure!(violations.is_empty(), "{}", violations.join("\n\n"));
    Ok(())
}
