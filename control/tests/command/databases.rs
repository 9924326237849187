//! Databases that cannot be opened: the error names the file or the server, and the remedy.

use std::net::{Ipv4Addr, TcpListener};

use crate::support::{Folder, assert_only_text, keyswap_with};

#[test]
fn a_database_that_cannot_be_opened_is_told_with_its_place_and_the_remedy() {
    let folder = Folder::new();
    let text = folder.file("text.db", "not a database, whatever its name says".repeat(50));
    let missing = folder.path("missing/registry.db").display().to_string();
    let directory = folder.path("").display().to_string();
    // A port that was free just now.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    for (url, place, remedy) in [
        (format!("sqlite://{missing}"), &missing, "make the folder"),
        (format!("sqlite://{directory}"), &directory, "it is a folder: name a file"),
        (format!("sqlite://{text}"), &text, "it is no database of SQLite"),
        (
            format!("postgres://SENTINEL:SENTINEL@127.0.0.1:{port}/registry"),
            &format!("127.0.0.1:{port}"),
            "no server listens there",
        ),
    ] {
        for args in [&["serve", "--listen", "127.0.0.1:0"][..], &["credential", "create", "istio"]] {
            let environment = [
                ("KEYSWAP_DATABASE", url.as_str()),
                ("KEYSWAP_REGISTRY_TOKEN", "SENTINEL-0123456789-SENTINEL"),
            ];
            let run = keyswap_with(args, b"", &environment);
            assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{url}: {}", run.stderr);
            let told = format!("error: cannot open the database `{place}`: ");
            assert!(run.stderr.contains(&told) && run.stderr.contains(remedy), "{url}: {}", run.stderr);
            assert!(!run.stderr.contains("SENTINEL"), "{}", run.stderr);
            assert_only_text(&run);
        }
    }
}
