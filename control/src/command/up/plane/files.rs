//! The configuration of an Envoy in files: the bootstrap, and what changes while Envoy serves. These are the listeners and clusters
//! of a policy, and the certificate for callers.
//!
//! Envoy watches all but the bootstrap. A file is replaced by renaming, so that Envoy never reads half of one.

use std::fs;
use std::path::{Path, PathBuf};
use std::slice;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::setup::{Setup, Standin};
use crate::command::render;
use crate::command::up::certificate::transport_socket;
use crate::command::up::host::Host;
use crate::command::up::policy::Policy;

/// The files in which systems store trusted certificate authorities.
const SYSTEM_CA_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The time limit of a TLS handshake. A connection that begins none takes a place among those of callers.
const HANDSHAKE_TIMEOUT: &str = "10s";

/// A configuration.
pub(super) struct Files {
    bootstrap: Value,
    pub(super) listeners: Value,
    pub(super) clusters: Vec<Value>,
}

/// The places of the files.
pub(super) struct Places {
    pub(super) bootstrap: PathBuf,
    pub(super) listeners: PathBuf,
    pub(super) clusters: PathBuf,
    pub(super) secret: PathBuf,
}

impl Places {
    pub(super) fn in_folder(folder: &Path) -> Self {
        let file = |name| folder.join(name);
        Self {
            bootstrap: file("bootstrap.json"),
            listeners: file("listeners.json"),
            clusters: file("clusters.json"),
            secret: file("secret.json"),
        }
    }
}

impl Files {
    /// Renders the configuration for a policy.
    pub(super) fn render(policy: &Policy, setup: &Setup, places: &Places) -> anyhow::Result<Self> {
        let local = render::Local {
            listen: setup.listen,
            admin_port: setup.admin_port,
            filter: (setup.host == Host::Envoy).then_some(&setup.artefact),
        };
        let mut bootstrap = render::bootstrap(&policy.configuration, policy.document.clone(), &local)?;
        let mut clusters = take(&mut bootstrap, "/static_resources/clusters", "cluster.v3.Cluster")?;
        lead(&mut clusters, setup.standin.as_ref())?;
        let mut listeners = take(&mut bootstrap, "/static_resources/listeners", "listener.v3.Listener")?;
        if setup.secret.is_some() {
            let chain = listeners.first_mut().and_then(|listener| listener.pointer_mut("/filter_chains/0"));
            let chain = chain.and_then(Value::as_object_mut).context("the bootstrap has no listener")?;
            chain.insert("transport_socket".to_owned(), transport_socket(&places.secret));
            chain.insert("transport_socket_connect_timeout".to_owned(), json!(HANDSHAKE_TIMEOUT));
        }
        let source =
            |path: &Path| json!({"path_config_source": {"path": path}, "resource_api_version": "V3"});
        if let Some(members) = bootstrap.as_object_mut() {
            let dynamic =
                json!({"lds_config": source(&places.listeners), "cds_config": source(&places.clusters)});
            members.insert("dynamic_resources".to_owned(), dynamic);
        }
        Ok(Self { bootstrap, listeners: resources(&listeners), clusters })
    }

    /// Writes all files, before Envoy starts.
    pub(super) fn write(&self, places: &Places, secret: Option<&Value>) -> anyhow::Result<()> {
        if let Some(secret) = secret {
            replace(&places.secret, &resources(slice::from_ref(secret)))?;
        }
        replace(&places.bootstrap, &self.bootstrap)?;
        replace(&places.listeners, &self.listeners)?;
        replace(&places.clusters, &resources(&self.clusters))
    }
}

/// Returns the document of a file that Envoy watches.
pub(super) fn resources(resources: &[Value]) -> Value {
    json!({"resources": resources})
}

/// Returns `new`, and those of `old` whose names are free: what still runs may use them.
pub(super) fn with_former(new: &[Value], old: &[Value]) -> Vec<Value> {
    let is_left = |cluster: &&Value| !new.iter().any(|other| other.get("name") == cluster.get("name"));
    new.iter().chain(old.iter().filter(is_left)).cloned().collect()
}

/// Replaces a file at once.
pub(super) fn replace(file: &Path, content: &Value) -> anyhow::Result<()> {
    let beside = file.with_extension("new");
    fs::write(&beside, content.to_string())
        .and_then(|()| fs::rename(&beside, file))
        .context("cannot write Envoy's configuration")
}

/// Takes a list out of the bootstrap, and marks its members with their type, as dynamic resources have it.
fn take(bootstrap: &mut Value, pointer: &str, kind: &str) -> anyhow::Result<Vec<Value>> {
    let list = bootstrap.pointer_mut(pointer).and_then(Value::as_array_mut);
    let mut list = std::mem::take(list.with_context(|| format!("the bootstrap has nothing at `{pointer}`"))?);
    for members in list.iter_mut().filter_map(Value::as_object_mut) {
        members.insert("@type".to_owned(), json!(format!("type.googleapis.com/envoy.config.{kind}")));
    }
    Ok(list)
}

/// Leads the clusters with TLS to the stand-in, or lets them trust the authorities of this system.
fn lead(clusters: &mut [Value], standin: Option<&Standin>) -> anyhow::Result<()> {
    for cluster in clusters.iter_mut().filter(|cluster| cluster.get("transport_socket").is_some()) {
        let ca_file = match standin {
            Some(standin) => {
                let socket = json!({
                    "address": standin.address.ip().to_string(), "port_value": standin.address.port(),
                });
                let endpoint = "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address";
                set(cluster, endpoint, socket)?;
                standin.ca_file.clone()
            }
            None => system_ca_file()?,
        };
        let trusted =
            "/transport_socket/typed_config/common_tls_context/validation_context/trusted_ca/filename";
        set(cluster, trusted, json!(ca_file))?;
    }
    Ok(())
}

/// Replaces a value that must be there: the rendered configuration has it.
fn set(json: &mut Value, pointer: &str, value: Value) -> anyhow::Result<()> {
    let place = json.pointer_mut(pointer);
    ensure!(place.is_some(), "the rendered configuration has nothing at `{pointer}`");
    if let Some(place) = place {
        *place = value;
    }
    Ok(())
}

/// Returns the file with the trusted authorities: the one that `SSL_CERT_FILE` names, else the system's.
fn system_ca_file() -> anyhow::Result<PathBuf> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let mut candidates = named.into_iter().chain(SYSTEM_CA_FILES.map(PathBuf::from));
    candidates.find(|file| file.is_file()).with_context(|| {
        format!(
            "no certificate authorities are in {}: install `ca-certificates`, or name a file in `SSL_CERT_FILE`",
            SYSTEM_CA_FILES.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_that_is_left_out_stays_and_one_of_the_same_name_is_replaced() {
        let cluster = |name: &str, port: u16| json!({"name": name, "port": port});
        let (old, new) = ([cluster("a", 1), cluster("b", 1)], [cluster("b", 2), cluster("c", 2)]);
        assert_eq!(with_former(&new, &old), [cluster("b", 2), cluster("c", 2), cluster("a", 1)]);
    }
}
