//! Callers over TLS: the certificate, its renewal, and the files that are refused.

use std::fs;
use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use keyswap_tests::{Standin, tools, until};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::secrets::below;
use super::support::{Setup, TOKEN, Up, policy};

/// The bound of a wait that ends by itself.
const HANGS: Duration = Duration::from_mins(1);

/// An authority, with a certificate for this machine that it has signed.
struct Issued {
    authority: String,
    certificate: String,
    key: String,
}

impl Issued {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // A certificate with the name of its authority counts as self-signed.
        params.distinguished_name.push(DnType::CommonName, "authority of the tests");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap().pem();
        Self { authority: authority.pem(), certificate, key: key.serialize_pem() }
    }

    /// Writes both files.
    fn write(&self, folder: &Path) {
        fs::write(folder.join("tls.key"), &self.key).unwrap();
        fs::write(folder.join("tls.crt"), &self.certificate).unwrap();
    }

    /// Replaces a file at once, as a tool that renews certificates does.
    fn replace(folder: &Path, name: &str, text: &str) {
        let beside = folder.join("new");
        fs::write(&beside, text).unwrap();
        fs::rename(beside, folder.join(name)).unwrap();
    }

    /// Gets a URL by a client that trusts this authority alone. Returns the status and the version of HTTP, `None` without an answer.
    fn get(&self, url: &str) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let (trusted, header) = (folder.path().join("ca"), folder.path().join("header"));
        fs::write(&trusted, &self.authority).unwrap();
        fs::write(&header, format!("authorization: Bearer {TOKEN}\n")).unwrap();
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--max-time", "20", "--output", "/dev/null", "--write-out"]).args([
            "%{http_code} %{http_version}",
            "--header",
            &format!("@{}", header.display()),
            "--cacert",
        ]);
        tools::run(curl.arg(&trusted).arg(url), "install curl").ok()
    }
}

/// Starts a run with the certificate in `tls.crt` and its key in `tls.key`, which are named as options or, as in a container, as
/// variables.
fn start(mut setup: Setup, issued: &Issued, are_options: bool) -> (Up, SocketAddr) {
    issued.write(setup.folder.path());
    let [certificate, key] = ["tls.crt", "tls.key"].map(|name| setup.folder.path().join(name));
    if are_options {
        setup.command.arg("--tls-cert").arg(&certificate).arg("--tls-key").arg(&key);
    } else {
        setup.command.env("KEYSWAP_UP_TLS_CERT", &certificate).env("KEYSWAP_UP_TLS_KEY", &key);
    }
    let up = setup.start();
    let address = up.wait_for_log("listening on https://").parse().unwrap();
    (up, address)
}

#[test]
fn callers_are_served_over_tls_and_a_renewed_certificate_needs_no_restart() {
    let standin = Standin::start().unwrap();
    for host in ["envoy", "module"] {
        let (first, second) = (Issued::new(), Issued::new());
        let setup = Setup::new(&policy(&standin, &[TOKEN])).args(&["--host", host]);
        let (up, address) =
            start(setup.args(&["--dashboard-listen", "127.0.0.1:0"]), &first, host == "envoy");
        // A handshake that does not begin ends in time.
        let mut silent = TcpStream::connect(address).unwrap();
        silent.set_read_timeout(Some(HANGS)).unwrap();
        let url = format!("https://{address}/v1/models");
        assert_eq!(first.get(&url), Some("200 2".to_owned()), "{}", up.log());
        assert_eq!(second.get(&url), None, "the authority matters");
        assert_eq!(first.get(&url.replace("https", "http")), None, "there is an address without TLS");
        let dashboard = up.wait_for_log("other machines reach the dashboard on ");
        assert!(dashboard.starts_with("https://"), "{dashboard}");
        assert_eq!(first.get(&format!("{dashboard}/healthz")), Some("200 2".to_owned()));
        for path in below(&up.temporary()).into_iter().filter(|path| path.is_file()) {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            assert!(!text.contains("PRIVATE KEY"), "{} has the key", path.display());
        }

        // The key comes first, so that the pair does not fit for a while.
        Issued::replace(up.folder(), "tls.key", &second.key);
        up.wait_for_log("the former certificate stays in use");
        assert_eq!(first.get(&url), Some("200 2".to_owned()), "{host}: {}", up.log());
        Issued::replace(up.folder(), "tls.crt", &second.certificate);
        up.wait_for_log("the certificate of `--tls-cert` is in use");
        until("the second one is used", || Ok(second.get(&url).is_some())).unwrap();
        assert_eq!(first.get(&url), None, "{host}: the first one is still used");

        // A change of the policy leaves the certificate, and so does a file without one.
        Issued::replace(up.folder(), "tls.crt", "none");
        until("it is refused", || Ok(up.log().matches("the former certificate stays in use").count() > 1))
            .unwrap();
        up.change(&policy(&standin, &[TOKEN, "ptk_of-another-caller-0123456789abcdef"]));
        assert_eq!(second.get(&url), Some("200 2".to_owned()), "{host}: {}", up.log());
        assert_eq!(silent.read(&mut [0]).unwrap(), 0, "{host}: the connection is open");
    }
}

#[test]
fn files_that_cannot_be_used_are_an_error_that_names_the_flag() {
    let standin = Standin::start().unwrap();
    let good = policy(&standin, &[TOKEN]);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    Issued::new().write(folder.path());
    fs::write(path("other.key"), Issued::new().key).unwrap();
    fs::write(path("empty"), "").unwrap();
    let pair = "`--tls-cert` and `--tls-key` cannot be used: ";
    let cases: [(&[&str], String); 7] = [
        (&["--tls-cert", &path("none"), "--tls-key", &path("tls.key")], format!("{pair}cannot read `")),
        (&["--tls-cert", &path("tls.crt"), "--tls-key", &path("none")], format!("{pair}cannot read `")),
        (
            &["--tls-cert", &path("empty"), "--tls-key", &path("tls.key")],
            format!("{pair}`{}` has no certificate", path("empty")),
        ),
        (
            &["--tls-cert", &path("tls.crt"), "--tls-key", &path("empty")],
            format!("{pair}`{}` has no private key", path("empty")),
        ),
        (&["--tls-cert", &path("tls.crt"), "--tls-key", &path("other.key")], format!("{pair}the key in `")),
        (&["--tls-cert", &path("tls.crt")], "--tls-key <FILE>".to_owned()),
        (
            &["--tls-cert", &path("tls.crt"), "--tls-key", &path("tls.key"), "--host", "wasmtime"],
            "`--tls-cert` needs Envoy".to_owned(),
        ),
    ];
    for (arguments, words) in cases {
        let (code, log) = Setup::new(&good).args(arguments).run();
        assert!(code.is_some_and(|code| code != 0) && log.contains(&words), "{arguments:?}: {log}");
        assert!(!log.contains("PRIVATE KEY"), "{log}");
    }
}
