//! TLS of the server, from outside: its certificate, client certificates, renewed files.

use std::io::Read as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keyswap_tests::{Authority, Pair};
use reqwest::{Certificate, Client, Identity, Method, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::{CREDENTIAL, PASSWORD, Server, builder, command};
use crate::support::Database;

/// The bound of a wait that ends by itself.
const HANGS: Duration = Duration::from_secs(30);

/// Returns a client that trusts this authority only.
pub(crate) fn client(authority: &Authority, identity: Option<Pair>) -> Client {
    let root = Certificate::from_pem(authority.pem().as_bytes()).unwrap();
    let mut builder = builder().tls_certs_only([root]);
    if let Some(Pair { certificate, key }) = identity {
        builder = builder.identity(Identity::from_pem(format!("{certificate}{key}").as_bytes()).unwrap());
    }
    builder.build().unwrap()
}

pub(crate) struct Files {
    folder: TempDir,
}

impl Files {
    pub(crate) fn new(authority: &Authority) -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap() };
        files.renew(authority);
        files
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn renew(&self, authority: &Authority) {
        self.write(&authority.server().unwrap());
    }

    pub(crate) fn write(&self, pair: &Pair) {
        std::fs::write(self.path("key.pem"), &pair.key).unwrap();
        std::fs::write(self.path("cert.pem"), &pair.certificate).unwrap();
    }

    pub(crate) fn start(&self, database: &Database, more: &[&str]) -> Server {
        let (certificate, key) = (self.text("cert.pem"), self.text("key.pem"));
        let arguments = [&["--tls-cert", &certificate, "--tls-key", &key], more].concat();
        Server::start_with(&database.url(), &arguments)
    }
}

pub(crate) async fn get(client: &Client, server: &Server, path: &str) -> Response {
    client.get(format!("{}{path}", server.url)).bearer_auth(CREDENTIAL).send().await.unwrap()
}

#[tokio::test]
async fn with_a_certificate_only_tls_is_spoken() {
    let (database, authority) = (Database::sqlite(), Authority::new().unwrap());
    let server = Files::new(&authority).start(&database, &["--client-timeout", "1s"]);
    assert!(server.url.starts_with("https://127.0.0.1:"), "{}", server.url);
    let trusting = client(&authority, None);
    assert_eq!(get(&trusting, &server, "/v1/changes").await.status(), 200);
    // The cookie never leaves TLS, also on this machine.
    let request = trusting.post(format!("{}/admin/session", server.url)).header("x-keyswap-client", "test");
    let response = request.json(&json!({"password": PASSWORD})).send().await.unwrap();
    assert!(response.headers()["set-cookie"].to_str().unwrap().ends_with("; Secure"), "{response:?}");

    let plain = server.url.replace("https://", "http://");
    assert!(builder().build().unwrap().get(format!("{plain}/healthz")).send().await.is_err());
    let stranger =
        client(&Authority::new().unwrap(), None).get(format!("{}/healthz", server.url)).send().await;
    assert!(stranger.is_err(), "the authority matters");
    // A handshake that does not begin ends in time.
    let mut silent = TcpStream::connect(server.url.strip_prefix("https://").unwrap()).unwrap();
    silent.set_read_timeout(Some(HANGS)).unwrap();
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
}

#[tokio::test]
async fn the_data_plane_api_requires_a_client_certificate_and_a_credential() {
    let (database, authority, clients) =
        (Database::sqlite(), Authority::new().unwrap(), Authority::new().unwrap());
    let files = Files::new(&authority);
    std::fs::write(files.path("clients.pem"), clients.pem()).unwrap();
    let server = files.start(&database, &["--tls-client-ca", &files.text("clients.pem")]);
    let certified = client(&authority, Some(clients.client().unwrap()));
    let bare = client(&authority, None);
    for (method, path) in
        [(Method::GET, "/v1/changes"), (Method::GET, "/v1/policies/prod"), (Method::POST, "/introspect")]
    {
        let request = bare.request(method, format!("{}{path}", server.url)).bearer_auth(CREDENTIAL);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 403, "{path}");
        let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        assert_eq!(body["code"], "client_certificate_required");
    }
    assert_eq!(get(&certified, &server, "/v1/changes").await.status(), 200);
    let without = certified.get(format!("{}/v1/changes", server.url)).send().await.unwrap();
    assert_eq!(without.status(), 401, "a certificate is no credential");
    // Administrators and probes have none.
    for path in ["/healthz", "/admin/sign-in"] {
        assert_eq!(get(&bare, &server, path).await.status(), 200, "{path}");
    }
    let foreign = client(&authority, Some(authority.client().unwrap()));
    assert!(foreign.get(format!("{}/healthz", server.url)).send().await.is_err(), "another authority's");
}

#[test]
fn files_that_do_not_fit_are_told_at_start() {
    let (authority, other) = (Authority::new().unwrap(), Authority::new().unwrap());
    let files = Files::new(&authority);
    std::fs::write(files.path("other.pem"), other.server().unwrap().key).unwrap();
    std::fs::write(files.path("empty.pem"), "").unwrap();
    let [cert, key, other, empty] =
        ["cert.pem", "key.pem", "other.pem", "empty.pem"].map(|name| files.text(name));
    let absent = files.text("absent.pem");
    for (arguments, words) in [
        (vec!["--tls-cert", &cert], "--tls-key"),
        (vec!["--tls-key", &key], "--tls-cert"),
        (vec!["--tls-client-ca", &cert], "--tls-cert"),
        (vec!["--tls-cert", &absent, "--tls-key", &key], "absent.pem`: check the name"),
        (vec!["--tls-cert", &empty, "--tls-key", &key], "empty.pem` has no certificate in PEM"),
        (vec!["--tls-cert", &key, "--tls-key", &key], "key.pem` has no certificate in PEM"),
        (vec!["--tls-cert", &cert, "--tls-key", &empty], "empty.pem` has no private key in PEM"),
        (vec!["--tls-cert", &cert, "--tls-key", &other], "cert.pem` are no pair"),
        (
            vec!["--tls-cert", &cert, "--tls-key", &key, "--tls-client-ca", &empty],
            "empty.pem` has no certificate in PEM",
        ),
    ] {
        let database = format!("sqlite://{}", Path::new(&files.text("a.db")).display());
        let output = command()
            .args(["serve", "--listen", "127.0.0.1:0", "--database", &database])
            .args(&arguments)
            .env("KEYSWAP_REGISTRY_TOKEN", CREDENTIAL)
            .output()
            .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && told.contains(words), "{arguments:?}: {told}");
        assert!(output.stdout.is_empty() && !told.contains("PRIVATE"), "{arguments:?}");
    }
}
