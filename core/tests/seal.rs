//! The seal of upstream secrets: only a request that was admitted opens one.
//!
//! That a secret opens for a proof and for nothing else is held by the compiler; the examples of `Proof` try other ways.
//! That no further type is a proof is held here, by a search.

use std::fs;
use std::path::Path;

#[test]
fn a_grant_and_a_key_that_it_opened_are_the_only_proofs() {
    let mut proofs = Vec::new();
    each_source(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut |text| {
        let code = text.lines().map(str::trim).filter(|line| !line.starts_with("//"));
        proofs.extend(code.filter(|line| line.contains("Proof for ")).map(str::to_owned));
    });
    proofs.sort();
    assert_eq!(proofs, ["impl Proof for Grant<'_> {}", "impl Proof for OpenKey {}"]);
}

fn each_source(folder: &Path, read: &mut impl FnMut(&str)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            each_source(&path, read);
        } else {
            read(&fs::read_to_string(&path).unwrap());
        }
    }
}
