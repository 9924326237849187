//! TLS of the server, with files that may be replaced while it runs.
//!
//! The files are read again in an interval and on SIGHUP. Files that cannot be used leave the present ones in use: a
//! program that renews them may write one after the other. Clients of an authority that is no longer in its file are
//! disconnected.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use keyswap_core::base::Digest;
use rustls::pki_types::CertificateDer;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_rustls::TlsAcceptor;

use super::files::{Content, Identity, TlsFiles, Validity};
use crate::registry::now;
use crate::settled::Settled;

/// The interval in which the files are read. A change counts after two looks.
const READ_INTERVAL: Duration = Duration::from_secs(1);

/// TLS with the present files.
pub struct Tls {
    files: TlsFiles,
    seen: Settled<Result<Digest, String>>,
    authorities: Vec<CertificateDer<'static>>,
    state: TlsState,
    hangup: Signal,
    interval: Interval,
}

/// The state of TLS, for connections and for metrics. Clones share it.
#[derive(Clone)]
pub struct TlsState(Arc<Shared>);

struct Shared {
    present: watch::Sender<Present>,
    /// The number of times that an authority of clients was taken away.
    distrusted: watch::Sender<u64>,
    files_are_unusable: AtomicBool,
    requires_client_certificate: bool,
}

struct Present {
    acceptor: TlsAcceptor,
    validity: Option<Validity>,
}

impl Tls {
    /// Reads the files. Must be called within a runtime.
    pub fn new(files: TlsFiles) -> anyhow::Result<Self> {
        let content = files.read()?;
        let Identity { acceptor, authorities, validity } = files.identity(&content)?;
        if files.key_is_open() {
            tracing::warn!(
                "every user of this machine can read the key in `{}`: `chmod 640` it",
                files.key.display()
            );
        }
        tell_if_invalid(validity);
        let mut interval = interval(READ_INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let state = TlsState(Arc::new(Shared {
            present: watch::Sender::new(Present { acceptor, validity }),
            distrusted: watch::Sender::new(0),
            files_are_unusable: AtomicBool::new(false),
            requires_client_certificate: files.client_ca.is_some(),
        }));
        Ok(Self {
            seen: Settled::new(Ok(content.digest())),
            files,
            authorities,
            state,
            hangup: signal(SignalKind::hangup()).context("cannot wait for SIGHUP")?,
            interval,
        })
    }

    /// Returns the state.
    pub fn state(&self) -> TlsState {
        self.state.clone()
    }

    /// Reads the files again and again, and uses new ones for further connections. Never completes.
    pub(in crate::server) async fn keep_current(&mut self) {
        loop {
            let at_once = tokio::select! {
                _ = self.hangup.recv() => true,
                _ = self.interval.tick() => false,
            };
            self.look(at_once);
        }
    }

    fn look(&mut self, at_once: bool) {
        let content = self.files.read();
        let now = content.as_ref().map(Content::digest).map_err(|error| format!("{error:#}"));
        let is_new = if at_once { self.seen.look_at_once(now) } else { self.seen.look(now) };
        if !is_new {
            return;
        }
        let replaced = content.and_then(|content| self.files.identity(&content));
        self.state.0.files_are_unusable.store(replaced.is_err(), Ordering::Relaxed);
        match replaced {
            Ok(identity) => self.replace(identity),
            Err(error) => tracing::error!("the present TLS certificate stays in use: {error:#}"),
        }
    }

    fn replace(&mut self, Identity { acceptor, authorities, validity }: Identity) {
        let Shared { present, distrusted, .. } = &*self.state.0;
        present.send_replace(Present { acceptor, validity });
        // Connections that exist were judged by the authorities of their time.
        if self.authorities.iter().any(|authority| !authorities.contains(authority)) {
            distrusted.send_modify(|times| *times = times.wrapping_add(1));
        }
        self.authorities = authorities;
        let expiry = validity.map(|validity| format!("; it expires at {}", validity.not_after));
        tracing::info!("the TLS certificate was replaced{}", expiry.unwrap_or_default());
        tell_if_invalid(validity);
    }
}

impl TlsState {
    /// Returns true if the data-plane API requires a client certificate.
    pub(in crate::server) fn requires_client_certificate(&self) -> bool {
        self.0.requires_client_certificate
    }

    /// Returns true if the files are others than those in use, and cannot be used.
    pub(in crate::server) fn files_are_unusable(&self) -> bool {
        self.0.files_are_unusable.load(Ordering::Relaxed)
    }

    /// Returns the validity of the certificate in use, `None` if it cannot be read.
    pub(in crate::server) fn validity(&self) -> Option<Validity> {
        self.0.present.borrow().validity
    }

    /// Returns what accepts the next connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.0.present.borrow().acceptor.clone()
    }

    /// Returns a receiver that changes when an authority of clients is taken away.
    pub(super) fn distrusted(&self) -> watch::Receiver<u64> {
        self.0.distrusted.subscribe()
    }
}

impl std::fmt::Debug for TlsState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsState").field("validity", &self.validity()).finish_non_exhaustive()
    }
}

fn tell_if_invalid(validity: Option<Validity>) {
    let (Some(Validity { not_before, not_after }), now) = (validity, now()) else { return };
    if not_after <= now {
        tracing::error!("the TLS certificate expired at {not_after}: clients refuse it");
    } else if not_before > now {
        tracing::error!("the TLS certificate is valid from {not_before} on: clients refuse it until then");
    }
}
