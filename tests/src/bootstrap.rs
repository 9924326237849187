//! The shipped bootstrap, with the parts replaced that tests must replace: ports, the filter's file, the policy,
//! variables, and the upstreams' addresses and certificate authority. Everything else is the file that users copy.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::tools::project_root;

const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
/// The setting that shows the module's counters without a word of Envoy's in front.
const NAMED: &str = "envoy.reloadable_features.dynamic_modules_strip_custom_stat_prefix";
/// The files in which systems store trusted certificate authorities.
const SYSTEM_CA_FILES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// An Envoy bootstrap.
#[derive(Debug, Clone)]
pub struct Bootstrap(Value);

impl Bootstrap {
    /// Reads `envoy/bootstrap.yaml`.
    pub fn shipped() -> Result<Self> {
        let file = project_root().join("envoy/bootstrap.yaml");
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Self::parse(&text).context("`envoy/bootstrap.yaml`")
    }

    /// Parses a bootstrap in YAML, with the structure of the shipped one.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(Self(serde_saphyr::from_str(text).context("a bootstrap is YAML")?))
    }

    /// Returns the bootstrap as JSON, for changes without a method here.
    pub fn json(&mut self) -> &mut Value {
        &mut self.0
    }

    /// Returns the policy in the bootstrap.
    pub fn policy(&self) -> Result<Value> {
        let plugin = self.filters()?.iter().find(|filter| filter["name"] == "keyswap");
        let text =
            plugin.and_then(|filter| filter.pointer("/typed_config/config/configuration/value")?.as_str());
        serde_json::from_str(text.context("the bootstrap holds no policy")?).context("the policy is not JSON")
    }

    /// Replaces the policy.
    pub fn set_policy(&mut self, policy: &Value) -> Result<()> {
        self.set_plugin("/configuration/value", json!(policy.to_string()))
    }

    /// Replaces the ports of the listener and of the admin interface. Port 0 selects a free port.
    pub fn set_ports(&mut self, listener: u16, admin: u16) -> Result<()> {
        self.set("/static_resources/listeners/0/address/socket_address/port_value", json!(listener))?;
        self.set("/admin/address/socket_address/port_value", json!(admin))
    }

    /// Returns true if the filter is loaded from a file, false if it is fetched.
    pub fn loads_a_file(&self) -> bool {
        let filters = self.filters().into_iter().flatten();
        filters.into_iter().any(|it| it.pointer("/typed_config/config/vm_config/code/local").is_some())
    }

    /// Replaces the file of the filter.
    pub fn set_filter(&mut self, wasm: &Path) -> Result<()> {
        self.set_plugin("/vm_config/code/local/filename", json!(wasm))
    }

    /// Replaces the names of the variables that are passed to the filter.
    pub fn set_environment<'a>(&mut self, names: impl Iterator<Item = &'a String>) -> Result<()> {
        let names: Vec<_> = names.collect();
        self.set_plugin("/vm_config/environment_variables/host_env_keys", json!(names))
    }

    /// Puts the dynamic module in the filter's place, with the same policy.
    pub fn use_module(&mut self) -> Result<()> {
        let has_module = |filter: &Value| filter.pointer("/typed_config/dynamic_module_config").is_some();
        if self.filters()?.iter().any(has_module) {
            return Ok(());
        }
        let policy = self.filters()?.iter().find(|filter| filter["name"] == "keyswap");
        let policy = policy.and_then(|filter| filter.pointer("/typed_config/config/configuration")).cloned();
        let policy = policy.context("the bootstrap has no policy")?;
        let place = self.filters()?.iter().position(|filter| filter["name"] == "keyswap").unwrap_or_default();
        let kind = "type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter";
        let module = json!({
            "@type": kind, "filter_name": "keyswap", "filter_config": policy,
            "dynamic_module_config": {"name": "keyswap", "do_not_close": true},
        });
        self.0["layered_runtime"]["layers"][0]["static_layer"][NAMED] = json!(true);
        self.set(&format!("{MANAGER}/http_filters/{place}/typed_config"), module)
    }

    /// Moves the listener into a file, which Envoy watches.
    pub fn use_listener_file(&mut self, file: &Path) -> Result<()> {
        let mut listener = self.list("/static_resources/listeners")?.pop().context("there is no listener")?;
        if let Some(members) = listener.as_object_mut() {
            members
                .insert("@type".to_owned(), json!("type.googleapis.com/envoy.config.listener.v3.Listener"));
        }
        // Renaming is atomic, so Envoy never reads a partial file.
        let beside = file.with_extension("new");
        fs::write(&beside, json!({"resources": [listener]}).to_string())?;
        fs::rename(&beside, file)?;
        self.0["dynamic_resources"] = json!({"lds_config": {"path_config_source": {"path": file}}});
        Ok(())
    }

    /// Removes the filter.
    pub fn remove_keyswap(&mut self) -> Result<()> {
        let filters = self.list(&format!("{MANAGER}/http_filters"))?;
        let place = filters.iter().position(|filter| filter["name"] == "keyswap");
        filters.remove(place.context("the bootstrap has no filter `keyswap`")?);
        Ok(())
    }

    /// Removes the access log.
    pub fn remove_access_log(&mut self) -> Result<()> {
        self.set(&format!("{MANAGER}/access_log"), json!([]))
    }

    /// Redirects all upstreams to `address`, in plain HTTP.
    pub fn set_plain_upstream(&mut self, address: SocketAddr) -> Result<()> {
        self.each_upstream(|cluster| {
            set_endpoint(cluster, address)?;
            cluster.as_object_mut().and_then(|cluster| cluster.remove("transport_socket"));
            Ok(())
        })
    }

    /// Redirects all upstreams to `address`, and trusts the authority in `ca_file`.
    pub fn set_upstream(&mut self, address: SocketAddr, ca_file: &Path) -> Result<()> {
        self.each_upstream(|cluster| {
            set_endpoint(cluster, address)?;
            set_ca(cluster, ca_file)
        })
    }

    /// Speaks with all upstreams over HTTP/2.
    pub fn set_http2_upstreams(&mut self) -> Result<()> {
        let options = json!({"http2_protocol_options": {}});
        self.each_upstream(|cluster| replace(cluster, &explicit_http_config(), options.clone()))
    }

    /// Sets the most bytes that the listener keeps of a body, and of a connection.
    pub fn set_buffer_limit(&mut self, bytes: u32) -> Result<()> {
        let listener =
            self.list("/static_resources/listeners")?.first_mut().context("there is no listener")?;
        listener["per_connection_buffer_limit_bytes"] = json!(bytes);
        Ok(())
    }

    /// Lets HTTP/1.1 have trailers on both sides.
    pub fn set_http1_trailers(&mut self) -> Result<()> {
        let options = json!({"enable_trailers": true});
        if let Some(manager) = self.0.pointer_mut(MANAGER) {
            manager["http_protocol_options"] = options.clone();
        }
        for cluster in self.clusters()? {
            if let Some(config) = cluster.pointer_mut(&explicit_http_config()) {
                *config = json!({"http_protocol_options": options});
            }
        }
        Ok(())
    }

    /// Adds an upstream as in `docs/deploy/envoy.md`: copies of the virtual host and the cluster of `openai`, renamed.
    pub fn add_upstream(&mut self, host: &str) -> Result<()> {
        let virtual_hosts = format!("{MANAGER}/route_config/virtual_hosts");
        for list in [virtual_hosts.as_str(), "/static_resources/clusters"] {
            let entries = self.list(list)?;
            let openai = entries.iter().find(|entry| entry["name"] == "openai");
            let mut added = openai.context("the bootstrap has no upstream `openai`")?.clone();
            rename(&mut added, host);
            entries.push(added);
        }
        Ok(())
    }

    /// Returns the headers that are removed from requests to all upstreams.
    pub fn removed_from_requests(&self) -> Result<Vec<String>> {
        self.removed("request_headers_to_remove")
    }

    /// Returns the headers that are removed from the answers of all upstreams.
    pub fn removed_from_responses(&self) -> Result<Vec<String>> {
        self.removed("response_headers_to_remove")
    }

    fn removed(&self, list: &str) -> Result<Vec<String>> {
        let list = self.0.pointer(&format!("{MANAGER}/route_config/{list}")).cloned();
        Ok(serde_json::from_value(list.unwrap_or_default())?)
    }

    /// Returns true if there is a virtual host for this upstream.
    pub fn has_upstream(&self, host: &str) -> bool {
        let virtual_hosts = self.0.pointer(&format!("{MANAGER}/route_config/virtual_hosts"));
        let mut entries = virtual_hosts.and_then(Value::as_array).into_iter().flatten();
        entries.any(|entry| entry["domains"][0] == host)
    }

    /// Redirects a cluster to `address`, with its own protocol.
    pub fn set_cluster(&mut self, name: &str, address: SocketAddr) -> Result<()> {
        let cluster = self.clusters()?.iter_mut().find(|cluster| cluster["name"] == name);
        set_endpoint(cluster.with_context(|| format!("the bootstrap has no cluster `{name}`"))?, address)
    }

    /// Redirects the registry's cluster to `address`.
    pub fn set_registry(&mut self, address: SocketAddr) -> Result<()> {
        self.set_cluster("keyswap-registry", address)
    }

    /// Adds a cluster for `address`, in plain HTTP.
    pub fn add_cluster(&mut self, name: &str, address: SocketAddr) -> Result<()> {
        let address = json!({"address": address.ip().to_string(), "port_value": address.port()});
        let endpoint = json!({"endpoint": {"address": {"socket_address": address}}});
        let assignment = json!({"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]});
        let cluster = json!({
            "name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": assignment,
        });
        put(self.clusters()?, cluster);
        Ok(())
    }

    /// Trusts the certificate authorities of this system.
    pub fn set_system_ca(&mut self) -> Result<()> {
        let file = Self::system_ca_file()?;
        self.each_upstream(|cluster| set_ca(cluster, &file))
    }

    /// Returns the file with this system's trusted certificate authorities.
    pub fn system_ca_file() -> Result<PathBuf> {
        let mut candidates = SYSTEM_CA_FILES.iter().map(PathBuf::from);
        candidates.find(|file| file.is_file()).with_context(|| {
            format!("no certificate authorities found in {SYSTEM_CA_FILES:?}: install `ca-certificates`")
        })
    }

    /// Applies a change to all clusters with TLS.
    fn each_upstream(&mut self, change: impl Fn(&mut Value) -> Result<()>) -> Result<()> {
        let upstreams = self.clusters()?.iter_mut().filter(|it| it.get("transport_socket").is_some());
        upstreams.into_iter().try_for_each(change)
    }

    fn clusters(&mut self) -> Result<&mut Vec<Value>> {
        self.list("/static_resources/clusters")
    }

    fn list(&mut self, pointer: &str) -> Result<&mut Vec<Value>> {
        let list = self.0.pointer_mut(pointer).and_then(Value::as_array_mut);
        list.with_context(|| format!("the bootstrap has no list at `{pointer}`"))
    }

    /// Adds the parts of another file of `envoy/`. A part replaces the one of its name. A new filter is placed between
    /// Keyswap and the router.
    pub fn overlay(&mut self, file: &str) -> Result<()> {
        let path = project_root().join("envoy").join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        self.overlay_text(&text).with_context(|| format!("`{file}` does not fit"))
    }

    /// Adds the parts of a text, like [`Self::overlay`].
    pub fn overlay_text(&mut self, text: &str) -> Result<()> {
        let parts: BTreeMap<String, Vec<Value>> =
            serde_saphyr::from_str(text).context("it is not lists of named parts")?;
        for (kind, parts) in parts {
            let place = match kind.as_str() {
                "clusters" => "/static_resources/clusters".to_owned(),
                "virtual_hosts" => format!("{MANAGER}/route_config/virtual_hosts"),
                "http_filters" => format!("{MANAGER}/http_filters"),
                _ => bail!("`{kind}` has no place in a bootstrap"),
            };
            let list = self.list(&place)?;
            for part in parts {
                put(list, part);
            }
        }
        Ok(())
    }

    fn filters(&self) -> Result<&Vec<Value>> {
        let filters = self.0.pointer(&format!("{MANAGER}/http_filters")).and_then(Value::as_array);
        filters.context("the bootstrap has no filters")
    }

    /// Replaces a value in the configuration of Keyswap's filter.
    fn set_plugin(&mut self, pointer: &str, value: Value) -> Result<()> {
        let index = self.filters()?.iter().position(|filter| filter["name"] == "keyswap");
        let index = index.context("the bootstrap has no filter `keyswap`")?;
        self.set(&format!("{MANAGER}/http_filters/{index}/typed_config/config{pointer}"), value)
    }

    fn set(&mut self, pointer: &str, value: Value) -> Result<()> {
        replace(&mut self.0, pointer, value)
    }
}

/// Renames OpenAI's names in a part to those of another upstream.
fn rename(entry: &mut Value, host: &str) {
    match entry {
        Value::String(text) if text == "openai" || text == "api.openai.com" => host.clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, host)),
        Value::Object(members) => members.values_mut().for_each(|member| rename(member, host)),
        _ => {}
    }
}

/// Returns the place of a cluster's version of HTTP.
fn explicit_http_config() -> String {
    let options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    format!("/typed_extension_protocol_options/{options}/explicit_http_config")
}

fn set_endpoint(cluster: &mut Value, address: SocketAddr) -> Result<()> {
    let endpoint = "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address";
    replace(cluster, endpoint, json!({"address": address.ip().to_string(), "port_value": address.port()}))
}

/// Replaces the part of the same name, or else inserts before the last part: in the list of filters that is the router.
fn put(list: &mut Vec<Value>, part: Value) {
    match list.iter_mut().find(|other| other.get("name") == part.get("name")) {
        Some(place) => *place = part,
        None => list.insert(list.len().saturating_sub(1), part),
    }
}

fn set_ca(cluster: &mut Value, ca_file: &Path) -> Result<()> {
    let trusted = "/transport_socket/typed_config/common_tls_context/validation_context/trusted_ca/filename";
    replace(cluster, trusted, json!(ca_file))
}

/// Replaces a value that must exist: adding settings would test another file than users run.
fn replace(json: &mut Value, pointer: &str, value: Value) -> Result<()> {
    let place = json.pointer_mut(pointer);
    ensure!(place.is_some(), "`envoy/bootstrap.yaml` has nothing at `{pointer}`");
    if let Some(place) = place {
        *place = value;
    }
    Ok(())
}
