//! TLS to PostgreSQL, and the address of a database in a file.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use keyswap_tests::{Authority, Pair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, crypto::ring};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, UnixStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use crate::postgres::Postgres;
use crate::server::{CREDENTIAL, Server, command};
use crate::support::Database;

/// The bytes of a request for TLS: a length and a number.
const TLS_REQUEST_BYTES: usize = 8;

fn acceptor(Pair { certificate, key }: &Pair) -> TlsAcceptor {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    Arc::new(config.with_single_cert(chain, key).unwrap()).into()
}

/// Starts PostgreSQL's TLS in front of its socket: PostgreSQL itself takes no port that is free. Without an acceptor it
/// offers no TLS. Returns the port.
fn in_front_of(socket: PathBuf, acceptor: Option<TlsAcceptor>, runtime: &Runtime) -> u16 {
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let port = listener.local_addr().unwrap().port();
    runtime.spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let (socket, acceptor) = (socket.clone(), acceptor.clone());
            tokio::spawn(async move {
                let mut asked = [0; TLS_REQUEST_BYTES];
                if client.read_exact(&mut asked).await.is_err() {
                    return;
                }
                let Some(acceptor) = acceptor else { return drop(client.write_all(b"N").await) };
                client.write_all(b"S").await.unwrap();
                // A client that does not trust the certificate disconnects.
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let mut server = UnixStream::connect(socket).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    port
}

#[test]
fn a_database_that_cannot_be_verified_is_refused_with_a_remedy() {
    let (postgres, runtime) = (Postgres::start(), Runtime::new().unwrap());
    let (authority, other) = (Authority::new().unwrap(), Authority::new().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        std::fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name).display().to_string()
    };
    let [trusted, untrusted] = [file("ca.pem", authority.pem()), file("other.pem", other.pem())]
        .map(|file| format!("&sslrootcert={file}"));
    let acceptor = acceptor(&authority.server().unwrap());
    let with_tls = in_front_of(postgres.socket(), Some(acceptor), &runtime);
    let without_tls = in_front_of(postgres.socket(), None, &runtime);
    let url = |port: u16, more: String| {
        format!("postgres://keyswap:SENTINEL@localhost:{port}/postgres?sslmode={more}")
    };
    for (url, expect) in [
        (url(with_tls, format!("verify-full{untrusted}")), "sslrootcert=FILE"),
        (url(with_tls, "verify-full".to_owned()), "sslrootcert=FILE"),
        (url(without_tls, "require".to_owned()), "server does not support TLS"),
        (
            url(without_tls, format!("verify-full{trusted}")),
            "`sslmode=disable` where something else encrypts",
        ),
        (url(with_tls, "SENTINEL".to_owned()), "an `sslmode` of"),
    ] {
        let output = command()
            .args(["serve", "--listen", "127.0.0.1:0", "--database", &url])
            .env("KEYSWAP_REGISTRY_TOKEN", CREDENTIAL)
            .output()
            .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && told.contains(expect), "{url}: {told}");
        assert!(!told.contains("SENTINEL") && output.stdout.is_empty(), "{told}");
    }
    let server = Server::start(&url(with_tls, format!("verify-full{trusted}")));
    let status = runtime.block_on(server.get("/readyz").send()).unwrap().status();
    assert_eq!(status, 200);
    server.terminate();
    let (_, log) = server.wait();
    assert!(!log.contains(":SENTINEL@"), "{log}");
}

#[test]
fn the_address_of_a_database_may_be_in_a_file() {
    let database = Database::sqlite();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("address");
    std::fs::write(&file, format!("{}\n", database.url())).unwrap();
    let file = file.to_str().unwrap();
    let run = |arguments: &[&str], environment: &[(&str, &str)]| {
        let mut command = command();
        command.args(arguments).envs(environment.iter().copied()).current_dir(folder.path());
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let in_file = ("KEYSWAP_DATABASE_FILE", file);
    let create = ["credential", "create", "istio"];
    assert_eq!(run(&create, &[in_file]).0, Some(0));
    let listed = run(&["credential", "list", "--database", &database.url()], &[]);
    assert!(listed.0 == Some(0) && listed.1.contains("istio"), "{}", listed.1);
    // An argument overrides the environment; two variables are an error, and so is a file that is not there.
    let argument = run(&["credential", "list", "--database", "sqlite://absent.db"], &[in_file]);
    assert!(argument.1.contains("no database at `absent.db`"), "{}", argument.1);
    for command in [&["credential", "list"][..], &["serve", "--listen", "127.0.0.1:0"]] {
        let both = run(command, &[in_file, ("KEYSWAP_DATABASE", "sqlite://a.db")]);
        assert!(both.0 == Some(1) && both.1.contains("both `KEYSWAP_DATABASE` and"), "{}", both.1);
        let absent = run(command, &[("KEYSWAP_DATABASE_FILE", "/nowhere")]);
        assert!(absent.0 == Some(1) && absent.1.contains("cannot read `/nowhere`"), "{}", absent.1);
        std::fs::write(folder.path().join("bad"), "mysql://SENTINEL").unwrap();
        let bad = run(command, &[("KEYSWAP_DATABASE_FILE", "bad")]);
        assert!(bad.0 == Some(1) && bad.1.contains("expected `sqlite://FILE`"), "{}", bad.1);
        assert!(!bad.1.contains("SENTINEL"), "{}", bad.1);
    }
    // The server takes it, too: the credential in this database suffices to start.
    let server = Server::start_from_file(file);
    server.terminate();
    assert!(server.wait().0.success());
}
