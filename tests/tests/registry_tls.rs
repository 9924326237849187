//! Registries behind TLS: what they present, and what data planes present to them, is replaced under load.

use std::{
    fs,
    os::unix::fs::symlink,
    path::PathBuf,
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{
    Authority, Envoy, Pair, Registry, Request, SignIns, SigningKey, Standin, rendered, under_load, until,
};
use serde_json::{Value, json};

use crate::postgres::Postgres;

/// The tokens of callers: more than a worker looks up at once.
const TOKENS: usize = 24;

/// The callers of the data plane. One more signs in at the registry, again and again.
const CALLERS: usize = 8;

/// The requests of all callers in a second, which a slow machine may not reach.
const RATE: u32 = 500;

/// The calls of each caller that a phase waits for. A busy machine takes longer, and no fewer.
const CALLS: usize = 25;

const CLUSTER: &str = "keyswap-registry";

/// A folder with the files of TLS of both sides.
struct Files(tempfile::TempDir);

impl Files {
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        Ok(fs::write(self.path(name), text)?)
    }

    fn write_pair(&self, name: &str, Pair { certificate, key }: &Pair) -> Result<()> {
        self.write(&format!("{name}.pem"), certificate)?;
        self.write(&format!("{name}-key.pem"), key)
    }

    /// Starts a registry that speaks TLS and requires client certificates.
    fn registry(&self, database: &str) -> Result<Registry> {
        let [certificate, key, clients] =
            ["server.pem", "server-key.pem", "clients.pem"].map(|it| self.path(it));
        let arguments = [("--tls-cert", certificate), ("--tls-key", key), ("--tls-client-ca", clients)];
        let arguments = arguments.map(|(name, path)| [name.to_owned(), path.display().to_string()]).concat();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Registry::setup().database(database).arguments(&arguments).start()
    }

    /// Changes the registry's cluster: TLS with a client certificate, all registries, and connections that do not live long.
    fn encrypt(
        &self,
        bootstrap: &mut Value,
        registries: &[Registry],
        client: &str,
        version: &str,
    ) -> Result<()> {
        let clusters = bootstrap.pointer_mut("/static_resources/clusters").and_then(Value::as_array_mut);
        let cluster = clusters.into_iter().flatten().find(|cluster| cluster["name"] == CLUSTER);
        let cluster = cluster.context("the shipped file has the cluster")?;
        let endpoint = |registry: &Registry| {
            let address = registry.address();
            let address = json!({"address": address.ip().to_string(), "port_value": address.port()});
            json!({"endpoint": {"address": {"socket_address": address}}})
        };
        cluster["load_assignment"]["endpoints"] =
            json!([{"lb_endpoints": registries.iter().map(endpoint).collect::<Vec<_>>()}]);
        let file = |name: String| json!({"filename": self.path(&name)});
        cluster["transport_socket"] = json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                "sni": "localhost",
                "common_tls_context": {
                    "alpn_protocols": [if version == "http2_protocol_options" { "h2" } else { "http/1.1" }],
                    "tls_certificates": [{
                        "certificate_chain": file(format!("{client}.pem")),
                        "private_key": file(format!("{client}-key.pem")),
                    }],
                    "validation_context": {
                        "trusted_ca": file("servers.pem".to_owned()),
                        "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": "localhost"}}],
                    },
                },
            },
        });
        let options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
        let options = &mut cluster["typed_extension_protocol_options"][options];
        options["explicit_http_config"] = json!({version: {}});
        options["common_http_protocol_options"]["max_connection_duration"] = json!("0.5s");
        Ok(())
    }

    /// Returns true if the server presents a certificate of this authority.
    fn is_signed_by(&self, authority: &str, registry: &Registry) -> Result<bool> {
        let url = format!("https://localhost:{}/healthz", registry.address().port());
        let status = Command::new("curl")
            .args(["--silent", "--output", "/dev/null", "--noproxy", "*", "--cacert"])
            .arg(self.path(authority))
            .arg(url)
            .status()
            .context("curl is needed")?;
        Ok(status.success())
    }
}

fn handshakes(envoy: &Envoy) -> Result<u64> {
    envoy.stat(&format!("cluster.{CLUSTER}.ssl.handshake"))
}

fn start(
    files: &Files,
    registries: &[Registry],
    standin: &Standin,
    credential: &str,
    [client, version]: [&str; 2],
) -> Result<Envoy> {
    let policy = json!({
        "version": "keyswap/v1",
        "registry": {
            "url": "https://localhost", "cluster": CLUSTER, "credential": {"env": "KEYSWAP_REGISTRY_TOKEN"},
            "timeout": "5s", "cache": {"positive": "1s", "negative": "1s"},
        },
        "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
    });
    let mut changed = Ok(());
    let setup = Envoy::with(&policy)
        .env("OPENAI_API_KEY", "sk-real")
        .env("KEYSWAP_REGISTRY_TOKEN", credential)
        .concurrency(2)
        .upstream(standin)
        .tweak(|bootstrap| changed = files.encrypt(bootstrap, registries, client, version));
    changed?;
    setup.start()
}

/// Ensures that no call to the registry came to nothing.
fn ensure_all_fetched(envoy: &Envoy) -> Result<()> {
    let stats = envoy.admin("/stats?filter=keyswap.fetches")?;
    // Some of these are defined at 0.
    let came_to_nothing = |line: &&str| {
        let is_of = |outcome: &str| line.contains(&format!("outcome.{outcome}:"));
        ["unavailable", "failed", "malformed"].into_iter().any(is_of) && !line.ends_with(": 0")
    };
    let lost = stats.lines().find(came_to_nothing);
    ensure!(lost.is_none(), "{lost:?}\n{}", envoy.log());
    ensure!(stats.contains("kind.token.outcome.found"), "{stats}");
    Ok(())
}

/// One data plane, and another that takes its place.
#[derive(Default)]
struct Planes {
    envoys: [OnceLock<Envoy>; 2],
    current: AtomicUsize,
}

impl Planes {
    /// Lets callers use this data plane from now on.
    fn go_to(&self, index: usize, envoy: Envoy) -> Result<&Envoy> {
        let place = self.envoys.get(index).context("there are two")?;
        let envoy = place.get_or_init(|| envoy);
        self.current.store(index, SeqCst);
        Ok(envoy)
    }

    /// Sends a request, which must reach the upstream.
    fn call(&self, token: &str, standin: &Standin) -> Result<()> {
        let envoy = self.envoys.get(self.current.load(SeqCst)).and_then(OnceLock::get);
        let envoy = envoy.context("the data plane has started")?;
        let answer = envoy.send(&Request::get("/v1/models").bearer(token))?;
        let stats = || envoy.admin(&format!("/stats?filter={CLUSTER}&usedonly")).unwrap_or_default();
        ensure!(answer.status == 200, "{}: {}\n{}{}", answer.status, answer.text(), envoy.log(), stats());
        standin.take();
        Ok(())
    }
}

/// The registries, and the tokens and credentials in their database.
struct Fleet {
    files: Files,
    registries: [Registry; 2],
    /// The same database, in plain HTTP on this machine.
    administration: Registry,
    _postgres: Postgres,
}

impl Fleet {
    fn start(first: &Authority, second: &Authority, people: &SignIns) -> Result<Self> {
        let (postgres, files, clients) = (Postgres::start(), Files(tempfile::tempdir()?), Authority::new()?);
        files.write("second.pem", &second.pem())?;
        files.write("servers.pem", &(first.pem() + &second.pem()))?;
        files.write("clients.pem", &clients.pem())?;
        files.write_pair("server", &first.server()?)?;
        for client in ["client-1", "client-2"] {
            files.write_pair(client, &clients.client()?)?;
        }
        let registries = [files.registry(&postgres.url())?, files.registry(&postgres.url())?];
        let administration = people.setup(&files.path("roles.yaml"))?.database(&postgres.url()).start()?;
        Ok(Self { files, registries, administration, _postgres: postgres })
    }

    fn token(&self, label: &str) -> Result<String> {
        let created = self.administration.create_token(&json!({"label": label, "providers": ["openai"]}))?;
        Ok(created["token"].as_str().context("a token is shown once")?.to_owned())
    }

    /// Creates a credential of the one data plane. Returns it with the path of its record.
    fn credential(&self) -> Result<(String, String)> {
        let new = json!({"name": "edge", "role": "data_plane"});
        let created = self.administration.admin("POST", "/credentials", &new)?;
        let text = created["credential"].as_str().context("a credential is shown once")?;
        let digest = created["record"]["sha256"].as_str().context("a record has a digest")?;
        Ok((text.to_owned(), format!("/credentials/{digest}")))
    }
}

#[test]
fn certificate_credential_and_key_are_replaced_at_five_hundred_requests_a_second() -> Result<()> {
    let (standin, planes) = (Standin::start()?, Planes::default());
    let (first, second) = (Authority::new()?, Authority::new()?);
    let (first_key, second_key) = (SigningKey::p256("key-1")?, SigningKey::p256("key-2")?);
    let people = SignIns::start(&first_key)?;
    let fleet = Fleet::start(&first, &second, &people)?;
    let Fleet { files, registries, administration, .. } = &fleet;
    let tokens = (0..TOKENS).map(|_| fleet.token("caller")).collect::<Result<Vec<_>>>()?;
    let (old, old_path) = fleet.credential()?;
    let before = start(files, registries, &standin, &old, ["client-1", "http_protocol_options"])?;
    let before = planes.go_to(0, before)?;
    let started = Instant::now();
    let call = |caller: usize, number: usize| {
        if caller == CALLERS {
            return people.sign_in(administration);
        }
        let due = started + Duration::from_secs(1) * u32::try_from(number * CALLERS + caller)? / RATE;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let token = tokens.get((caller + CALLERS * number) % TOKENS).context("there are as many tokens")?;
        planes.call(token, &standin)
    };
    let sent = under_load(CALLERS + 1, call, |load| {
        load.passes_each(CALLS)?;
        // The certificate of another authority, the key first: for a moment they are no pair.
        let Pair { certificate, key } = second.server()?;
        files.write("server-key.pem", &key)?;
        load.passes_each(CALLS)?;
        files.write("server.pem", &certificate)?;
        for registry in registries {
            until("the new certificate is presented", || files.is_signed_by("second.pem", registry))?;
        }
        let known = handshakes(before)?;
        until("the data plane has met the new certificate", || Ok(handshakes(before)? > known + 2))?;
        load.passes_each(CALLS)?;
        // The second credential, in the next generation of the data plane, which speaks HTTP/2.
        let (new, _) = fleet.credential()?;
        let after = start(files, registries, &standin, &new, ["client-2", "http2_protocol_options"])?;
        ensure_all_fetched(before)?;
        let after = planes.go_to(1, after)?;
        load.passes_each(CALLS)?;
        administration.admin("DELETE", &old_path, &Value::Null)?;
        load.passes_each(CALLS)?;
        ensure_all_fetched(after)?;
        // The former generation cannot look up a token any more.
        let fresh = fleet.token("fresh")?;
        let refused = before.send(&Request::get("/v1/models").bearer(&fresh))?;
        ensure!(refused.status == 503, "{}: {}", refused.status, refused.text());
        let answered = after.send(&Request::get("/v1/models").bearer(&fresh))?;
        ensure!(answered.status == 200, "{}: {}", answered.status, answered.text());
        people.replace_key(&first_key, &second_key, || load.passes_each(CALLS))?;
        Ok(load.passed())
    })?;
    let rate = u32::try_from(sent).map(f64::from)? / started.elapsed().as_secs_f64();
    // Shown with `--no-capture`.
    eprintln!("{rate:.0} requests and sign-ins a second");
    Ok(())
}

/// The name of the registry in a cluster.
const SERVICE: &str = "keyswap-registry.keyswap.svc.cluster.local";

/// A folder with files, as Kubernetes mounts a Secret: all files change at once.
struct Mount(tempfile::TempDir);

impl Mount {
    fn put(&self, generation: &str, files: &[(&str, &str)]) -> Result<()> {
        let folder = self.0.path();
        fs::create_dir(folder.join(generation))?;
        for (name, text) in files {
            fs::write(folder.join(generation).join(name), text)?;
            if !folder.join(name).is_symlink() {
                symlink(format!("..data/{name}"), folder.join(name))?;
            }
        }
        symlink(generation, folder.join("..new"))?;
        Ok(fs::rename(folder.join("..new"), folder.join("..data"))?)
    }

    /// Puts the files of a data plane.
    fn put_trust(&self, generation: &str, servers: &Authority, clients: &Authority) -> Result<()> {
        let Pair { certificate, key } = clients.client()?;
        self.put(generation, &[("ca.crt", &servers.pem()), ("tls.crt", &certificate), ("tls.key", &key)])
    }
}

/// Returns the registry's cluster of a proxy of Envoy Gateway that was rendered with TLS. Its files are in `mount`, and those that
/// Kubernetes makes of annotations in `secrets`.
fn rendered_cluster(mount: &Mount, secrets: &Files) -> Result<Value> {
    let image = format!("registry.example.com/keyswap-filter@sha256:{}", "0".repeat(64));
    let server = format!("{CLUSTER}=https://{SERVICE}:7070");
    let policy = ["--policy", "envoy/policy-mesh.yaml", "--cluster", &server, "--image", &image];
    let tls = ["--registry-ca-secret", "keyswap-data-plane", "--registry-client-certificates"];
    let text = rendered::render(&[&["envoy-gateway"], &policy[..], &tls].concat())?;
    let text = text.replace("/etc/keyswap-registry-secrets", &secrets.0.path().to_string_lossy());
    let text = text.replace("/etc/keyswap-registry", &mount.0.path().to_string_lossy());
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text)?;
    let proxy = objects.iter().find(|object| object["kind"] == "EnvoyProxy").context("a proxy")?;
    let pod = &proxy["spec"]["provider"]["kubernetes"]["envoyDeployment"]["pod"];
    let files = pod["volumes"][1]["downwardAPI"]["items"].as_array().context("files of annotations")?;
    for file in files {
        let field = file["fieldRef"]["fieldPath"].as_str().context("an annotation")?;
        let name = field.strip_prefix("metadata.annotations['").and_then(|rest| rest.strip_suffix("']"));
        let text = pod["annotations"][name.context(field.to_owned())?].as_str().context("a text")?;
        secrets.write(file["path"].as_str().context("a path")?, text)?;
    }
    let patches = proxy["spec"]["bootstrap"]["jsonPatches"].as_array().context("patches")?;
    let patch = patches.iter().find(|patch| patch["value"]["name"] == CLUSTER).context("a cluster")?;
    Ok(patch["value"].clone())
}

#[test]
fn a_rendered_data_plane_trusts_the_authority_of_its_secret_alone_and_takes_a_renewed_one() -> Result<()> {
    let (first, second, clients) = (Authority::new()?, Authority::new()?, Authority::new()?);
    let (files, secrets) = (Files(tempfile::tempdir()?), Files(tempfile::tempdir()?));
    let mount = Mount(tempfile::tempdir()?);
    mount.put_trust("first", &first, &clients)?;
    files.write("clients.pem", &clients.pem())?;
    files.write_pair("server", &first.server_named(SERVICE)?)?;
    let mut plain = Registry::start()?;
    let tokens = (0..4).map(|_| {
        let made = plain.create_token(&json!({"label": "caller", "providers": ["openai"]}))?;
        Ok(made["token"].as_str().context("a token")?.to_owned())
    });
    let tokens = tokens.collect::<Result<Vec<String>>>()?;
    plain.stop()?;
    let mut registry = files.registry(plain.database())?;
    let mut cluster = rendered_cluster(&mount, &secrets)?;
    let address = &mut cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"];
    ensure!(address["socket_address"]["address"] == SERVICE, "{address}");
    address["socket_address"] = json!({"address": "127.0.0.1", "port_value": registry.address().port()});
    let standin = Standin::start()?;
    let mut policy = rendered::documents("policy-mesh.yaml")?.remove(0);
    // However slow the machine is, a call is not given up.
    policy["registry"]["timeout"] = json!("30s");
    let place = |bootstrap: &mut Value| {
        let clusters = bootstrap.pointer_mut("/static_resources/clusters").and_then(Value::as_array_mut);
        for place in clusters.into_iter().flatten().filter(|place| place["name"] == CLUSTER) {
            *place = cluster.clone();
        }
    };
    let setup = Envoy::with(&policy).env("OPENAI_API_KEY", "sk-real").env("ANTHROPIC_API_KEY", "sk-real");
    let setup = setup.env("KEYSWAP_REGISTRY_TOKEN", Registry::TOKEN).upstream(&standin);
    let envoy = setup.tweak(place).start()?;
    let status =
        |token: &str| -> Result<u16> { Ok(envoy.send(&Request::get("/v1/models").bearer(token))?.status) };
    ensure!(status(&tokens[0])? == 200, "{}", envoy.log());
    // A server of another name, then one of another authority.
    for (token, other) in [(&tokens[1], first.server()?), (&tokens[2], second.server_named(SERVICE)?)] {
        files.write_pair("server", &other)?;
        registry.restart()?;
        ensure!(status(token)? == 503, "{}", envoy.log());
    }
    mount.put_trust("second", &second, &clients)?;
    until("the renewed authority is trusted", || Ok(status(&tokens[3])? == 200))?;
    Ok(())
}
