//! The addresses of the server: one for all, or one for data planes and one for the administration.

use std::net::{Ipv4Addr, TcpListener};

use crate::server::{CREDENTIAL, Server, command};
use crate::support::Database;

async fn status(server: &Server, url: &str, path: &str) -> u16 {
    let request = server.client.get(format!("{url}{path}")).bearer_auth(CREDENTIAL);
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn an_address_for_the_administration_takes_it_away_from_the_other() {
    let database = Database::sqlite();
    let mut server = Server::start_with(&database.url(), &["--admin-listen", "127.0.0.1:0"]);
    let administration = server.second_url("administration on ");
    assert_ne!(administration, server.url);
    for (path, at_all, at_administration) in [
        ("/v1/changes", 200, 404),
        ("/v1/openapi.json", 200, 404),
        ("/admin/sign-in", 404, 200),
        ("/admin/api/tokens", 404, 401),
        ("/admin/session", 404, 405),
        ("/healthz", 200, 200),
        ("/readyz", 200, 200),
        ("/metrics", 200, 200),
    ] {
        assert_eq!(status(&server, &server.url, path).await, at_all, "{path}");
        assert_eq!(status(&server, &administration, path).await, at_administration, "{path}");
    }
    // Both addresses end together.
    server.terminate();
    let (end, _) = server.wait();
    assert!(end.success());
}

#[test]
fn an_address_that_is_taken_is_told() {
    let (database, holder) = (Database::sqlite(), TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let taken = holder.local_addr().unwrap().to_string();
    let output = command()
        .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", &taken, "--database", &database.url()])
        .env("KEYSWAP_REGISTRY_TOKEN", CREDENTIAL)
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && told.contains(&format!("cannot listen on {taken}")), "{told}");
    assert!(output.stdout.is_empty(), "no address is told before all are there");
}
