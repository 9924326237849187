//! TLS of the server: its certificate, its key and the authority of client certificates, from files.
//!
//! The files are read again on SIGHUP and in an interval. Files that do not fit together leave the present ones in use:
//! whoever renews them may write one after the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

/// The interval in which the files are read.
const READ_INTERVAL: Duration = Duration::from_secs(5);

/// The files with certificates and key, all in PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The server's certificate, followed by intermediate ones.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
    /// The authorities that sign client certificates, `None` if clients need none.
    pub client_ca: Option<PathBuf>,
}

/// TLS with the present files.
pub struct Tls {
    files: TlsFiles,
    content: Content,
    acceptor: TlsAcceptor,
    hangup: Signal,
    interval: Interval,
}

/// The content of the files. Comparing it finds a change that leaves the time of a file as it was.
#[derive(PartialEq)]
struct Content {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    client_ca: Option<Vec<u8>>,
}

impl Tls {
    /// Reads the files. Must be called within a runtime.
    pub fn new(files: TlsFiles) -> anyhow::Result<Self> {
        let content = Content::read(&files)?;
        let mut interval = interval(READ_INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            acceptor: content.acceptor()?,
            content,
            files,
            hangup: signal(SignalKind::hangup()).context("cannot wait for SIGHUP")?,
            interval,
        })
    }

    /// Returns what accepts the next connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    /// Waits until the files are to be read.
    pub(super) async fn is_due(&mut self) {
        tokio::select! {
            _ = self.hangup.recv() => {}
            _ = self.interval.tick() => {}
        }
    }

    /// Reads the files and uses them for further connections if they have changed and fit together.
    pub(super) fn reload(&mut self) {
        let read = Content::read(&self.files).and_then(|content| {
            if content != self.content {
                self.acceptor = content.acceptor()?;
                self.content = content;
                tracing::info!("the TLS certificate was replaced");
            }
            Ok(())
        });
        if let Err(error) = read {
            tracing::error!("the present TLS certificate stays in use: {error:#}");
        }
    }
}

impl Content {
    fn read(files: &TlsFiles) -> anyhow::Result<Self> {
        let read =
            |path: &Path| std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()));
        Ok(Self {
            certificate: read(&files.certificate)?,
            key: Zeroizing::new(read(&files.key)?),
            client_ca: files.client_ca.as_deref().map(read).transpose()?,
        })
    }

    fn acceptor(&self) -> anyhow::Result<TlsAcceptor> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .context("cannot use TLS")?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(pem).context("the client authorities")? {
                    roots.add(authority).context("the client authorities")?;
                }
                // Administrators have no certificate: the data-plane API asks for one by itself.
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .allow_unauthenticated()
                    .build();
                builder.with_client_cert_verifier(verifier.context("the client authorities")?)
            }
        };
        let chain = certificates(&self.certificate).context("the certificate")?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).context("the private key")?;
        let mut config = builder.with_single_cert(chain, key).context("the certificate and its key")?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config).into())
    }
}

fn certificates(pem: &[u8]) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let all: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>()?;
    ensure!(!all.is_empty(), "there is no certificate in the file");
    Ok(all)
}
