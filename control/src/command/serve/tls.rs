//! The arguments of `keyswap serve` for TLS.

use std::path::PathBuf;

use clap::Args;

use crate::server::TlsFiles;

/// The files of TLS.
#[derive(Args)]
#[command(next_help_heading = "TLS")]
pub(super) struct TlsArgs {
    /// File with the server's certificate and intermediate ones, in PEM; without it the server speaks plain HTTP
    ///
    /// The files are read again when they change, and on SIGHUP.
    #[arg(long = "tls-cert", env = "KEYSWAP_TLS_CERT", value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// File with the private key of the certificate, in PEM
    #[arg(
        id = "key",
        long = "tls-key",
        env = "KEYSWAP_TLS_KEY",
        value_name = "FILE",
        requires = "certificate"
    )]
    key: Option<PathBuf>,
    /// File with the authorities of client certificates, in PEM: the data-plane API then requires one
    #[arg(
        long = "tls-client-ca",
        env = "KEYSWAP_TLS_CLIENT_CA",
        value_name = "FILE",
        requires = "certificate"
    )]
    client_ca: Option<PathBuf>,
}

impl TlsArgs {
    pub(super) fn files(self) -> Option<TlsFiles> {
        Some(TlsFiles { certificate: self.certificate?, key: self.key?, client_ca: self.client_ca })
    }
}
