//! The set-up of a data plane, which stays the same when the policy changes.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::Value;

use crate::command::up::child::Log;
use crate::command::up::host::Host;
use crate::command::up::variables::Variables;

/// The set-up of a data plane.
pub(in crate::command::up) struct Setup {
    pub(in crate::command::up) host: Host,
    /// The host's program.
    pub(in crate::command::up) program: PathBuf,
    /// The file that runs in the host.
    pub(in crate::command::up) artefact: PathBuf,
    /// The folder of configurations, which ends with the run.
    pub(in crate::command::up) folder: PathBuf,
    /// The address that callers reach; port 0 takes a free one.
    pub(in crate::command::up) listen: SocketAddr,
    /// The certificate's secret for callers with TLS, `None` without TLS.
    pub(in crate::command::up) secret: Option<Value>,
    pub(in crate::command::up) admin_port: u16,
    /// The number of Envoy's workers, `None` for one a core.
    pub(in crate::command::up) workers: Option<u32>,
    pub(in crate::command::up) variables: Variables,
    /// The server in the place of all upstreams of Envoy.
    pub(in crate::command::up) standin: Option<Standin>,
    pub(in crate::command::up) log: Log,
    /// The file of the access log, `None` for standard output.
    pub(in crate::command::up) access_log: Option<PathBuf>,
}

/// The place of the stand-in.
pub(in crate::command::up) struct Standin {
    pub(in crate::command::up) address: SocketAddr,
    /// The authority of its certificate.
    pub(in crate::command::up) ca_file: PathBuf,
}
