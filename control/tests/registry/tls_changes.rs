//! TLS of the server while it runs: renewed files, authorities that are taken away, HTTP/2 connections.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use keyswap_tests::{Authority, Pair};
use reqwest::Client;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::server::{CREDENTIAL, PASSWORD, Server};
use crate::support::Database;
use crate::tls_server::{Files, client, get};

/// The bound of a wait that ends by itself.
const HANGS: Duration = Duration::from_secs(30);

const UNUSABLE: &str = "keyswap_registry_tls_files_unusable";
const EXPIRY: &str = "keyswap_registry_certificate_not_after_timestamp_seconds";

/// Waits until new connections of the client succeed.
async fn until_trusted(authority: &Authority, server: &Server) {
    let started = Instant::now();
    while client(authority, None).get(format!("{}/healthz", server.url)).send().await.is_err() {
        assert!(started.elapsed() < HANGS);
    }
}

async fn metric(client: &Client, server: &Server, name: &str) -> i64 {
    let text = get(client, server, "/metrics").await.text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{text}")).parse().unwrap()
}

async fn until_metric(client: &Client, server: &Server, name: &str, expect: i64) {
    let started = Instant::now();
    while metric(client, server, name).await != expect {
        assert!(started.elapsed() < HANGS, "{name} is not {expect}");
    }
}

#[tokio::test]
async fn renewed_files_are_used_without_a_restart() {
    let (database, first, second) =
        (Database::sqlite(), Authority::new().unwrap(), Authority::new().unwrap());
    let files = Files::new(&first);
    let mut server = files.start(&database, &[]);
    let kept = client(&first, None);
    assert_eq!(get(&kept, &server, "/healthz").await.status(), 200);
    assert_eq!(metric(&kept, &server, UNUSABLE).await, 0);
    // A certificate without its key leaves the present one in use. SIGHUP has the files read at once.
    let new = second.server_until(2080).unwrap();
    std::fs::write(files.path("cert.pem"), &new.certificate).unwrap();
    let hangup = Command::new("kill").args(["-HUP", &server.process_id().to_string()]).status().unwrap();
    assert!(hangup.success());
    server.until_logged(&["the present TLS certificate stays in use", "no pair", "key.pem", "cert.pem"]);
    assert_eq!(get(&client(&first, None), &server, "/healthz").await.status(), 200);
    until_metric(&kept, &server, UNUSABLE, 1).await;
    let before = metric(&kept, &server, EXPIRY).await;
    // Files that fit are found without a signal.
    std::fs::write(files.path("key.pem"), &new.key).unwrap();
    until_trusted(&second, &server).await;
    assert_eq!(metric(&kept, &server, UNUSABLE).await, 0);
    assert_eq!(get(&kept, &server, "/healthz").await.status(), 200, "the open connection goes on");
    let after = metric(&kept, &server, EXPIRY).await;
    assert_eq!((before - after) / (365 * 86_400), 10, "the metrics are those of the certificate in use");
    server.terminate();
    let (_, log) = server.wait();
    assert_eq!(log.matches("the present TLS certificate stays in use").count(), 1, "it is told once: {log}");
    assert!(!log.contains("PRIVATE KEY"));
}

#[tokio::test]
async fn a_mounted_secret_is_renewed_by_another_link() {
    let (database, first, second) =
        (Database::sqlite(), Authority::new().unwrap(), Authority::new().unwrap());
    let files = Files::new(&first);
    // Kubernetes writes a new folder, and then renames a link to it over the old link.
    let write = |name: &str, Pair { certificate, key }: &Pair| {
        std::fs::create_dir(files.path(name)).unwrap();
        std::fs::write(files.path(name).join("tls.crt"), certificate).unwrap();
        std::fs::write(files.path(name).join("tls.key"), key).unwrap();
    };
    let link = |name: &str| {
        symlink(name, files.path("..data_tmp")).unwrap();
        std::fs::rename(files.path("..data_tmp"), files.path("..data")).unwrap();
    };
    write("..1", &first.server().unwrap());
    link("..1");
    for name in ["tls.crt", "tls.key"] {
        symlink(format!("..data/{name}"), files.path(name)).unwrap();
    }
    let [certificate, key] = ["tls.crt", "tls.key"].map(|name| files.text(name));
    let server = Server::start_with(&database.url(), &["--tls-cert", &certificate, "--tls-key", &key]);
    until_trusted(&first, &server).await;
    write("..2", &second.server().unwrap());
    link("..2");
    std::fs::remove_dir_all(files.path("..1")).unwrap();
    until_trusted(&second, &server).await;
}

#[tokio::test]
async fn clients_of_an_authority_that_is_taken_away_are_disconnected() {
    let (database, authority) = (Database::sqlite(), Authority::new().unwrap());
    let [old, new] = [Authority::new().unwrap(), Authority::new().unwrap()];
    let files = Files::new(&authority);
    let trust = |all: &[&Authority]| {
        let all: String = all.iter().map(|authority| authority.pem()).collect();
        std::fs::write(files.path("clients.pem"), all).unwrap();
    };
    trust(&[&old]);
    let mut server = files.start(&database, &["--tls-client-ca", &files.text("clients.pem")]);
    let [of_old, of_new] = [&old, &new].map(|of| client(&authority, Some(of.client().unwrap())));
    assert_eq!(get(&of_old, &server, "/v1/changes").await.status(), 200);
    trust(&[&old, &new]);
    server.until_logged(&["the TLS certificate was replaced"]);
    for client in [&of_old, &of_new] {
        assert_eq!(get(client, &server, "/v1/changes").await.status(), 200);
    }
    trust(&[&new]);
    server.until_logged(&["the TLS certificate was replaced"]);
    // The connection that the client keeps is closed, and a new one is refused.
    let url = format!("{}/v1/changes", server.url);
    let started = Instant::now();
    while of_old.get(&url).bearer_auth(CREDENTIAL).send().await.is_ok() {
        assert!(started.elapsed() < HANGS);
    }
    assert_eq!(get(&of_new, &server, "/v1/changes").await.status(), 200);
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_or_the_rights_of_its_key_is_told() {
    let (database, authority) = (Database::sqlite(), Authority::new().unwrap());
    let files = Files::new(&authority);
    files.write(&authority.server_until(2020).unwrap());
    std::fs::set_permissions(files.path("key.pem"), Permissions::from_mode(0o644)).unwrap();
    let server = files.start(&database, &[]);
    server.terminate();
    let (_, log) = server.wait();
    for words in
        ["the TLS certificate expired at 2020-01-01", "every user of this machine can read the key in"]
    {
        assert!(log.contains(words), "{words}: {log}");
    }
    files.renew(&authority);
    std::fs::set_permissions(files.path("key.pem"), Permissions::from_mode(0o640)).unwrap();
    let server = files.start(&database, &[]);
    server.terminate();
    let (_, log) = server.wait();
    assert!(!log.contains("TLS certificate") && !log.contains("can read the key"), "{log}");
}

/// Connects with HTTP/2. Returns the connection's task, which ends with the connection.
async fn http_2(
    authority: &Authority,
    server: &Server,
) -> (SendRequest<String>, JoinHandle<hyper::Result<()>>) {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = TcpStream::connect(server.url.strip_prefix("https://").unwrap()).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    (sender, tokio::spawn(connection))
}

#[tokio::test]
async fn http_2_has_requests_side_by_side_and_ends_when_it_is_idle() {
    let (database, authority) = (Database::sqlite(), Authority::new().unwrap());
    let server = Files::new(&authority).start(&database, &["--client-timeout", "1s"]);
    let (mut sender, connection) = http_2(&authority, &server).await;
    let request = |method: &str, path: &str| {
        hyper::Request::builder().method(method).uri(format!("{}{path}", server.url))
    };
    let waits = request("GET", "/v1/changes?since=0&wait=2");
    let waits = waits.header("authorization", format!("Bearer {CREDENTIAL}")).body(String::new()).unwrap();
    let started = Instant::now();
    let waits = tokio::spawn(sender.send_request(waits));
    // The authority stands for `host`, so a page of this origin may sign in.
    let sign_in = |origin: &str| {
        let request = request("POST", "/admin/session").header("content-type", "application/json");
        request.header("origin", origin).body(json!({"password": PASSWORD}).to_string()).unwrap()
    };
    assert_eq!(sender.send_request(sign_in("https://elsewhere.example")).await.unwrap().status(), 403);
    assert_eq!(sender.send_request(sign_in(&server.url)).await.unwrap().status(), 204);
    assert!(!waits.is_finished(), "the other request waits for a change");
    let answer = waits.await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    assert!(started.elapsed() >= Duration::from_secs(2), "a connection with a request is not idle");
    // Nothing is sent any more: the server ends the connection.
    timeout(HANGS, connection).await.unwrap().unwrap().unwrap();
    drop(sender);
}

#[tokio::test]
async fn http_2_has_a_bound_for_heads_too() {
    let (database, authority) = (Database::sqlite(), Authority::new().unwrap());
    let server = Files::new(&authority).start(&database, &[]);
    let (mut sender, _connection) = http_2(&authority, &server).await;
    for (bytes, status) in [(12 * 1024, 200), (20 * 1024, 431)] {
        let request = hyper::Request::get(format!("{}/healthz", server.url));
        let request = request.header("authorization", "a".repeat(bytes)).body(String::new()).unwrap();
        assert_eq!(sender.send_request(request).await.unwrap().status(), status, "{bytes} bytes");
    }
}
