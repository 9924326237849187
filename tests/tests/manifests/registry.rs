//! The registry in both meshes: the ports and the identities that reach them, and the TLS of the calls.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::chart::{gateway, gateway_with_tls, release};
use crate::reviewed::{SELECTED, find, objects, pod};
use crate::schemas::Schemas;

const OVER_TLS: [&str; 2] =
    ["--cluster", "keyswap-registry=https://keyswap-registry.keyswap.svc.cluster.local:7070"];

const SERVER: [&str; 2] = ["--registry-tls-secret", "registry-tls"];

const TRUST: [&str; 2] = ["--registry-ca-secret", "registry-ca"];

const MESHES: [&str; 2] = ["istio", "envoy-gateway"];

/// Renders a registry that speaks TLS, with data planes that verify it.
fn with_tls(mesh: &str, more: &[&str]) -> Result<Vec<Value>> {
    objects(mesh, &[&OVER_TLS[..], &SERVER, &TRUST, more].concat())
}

/// Returns the list at a place.
fn list<'v>(value: &'v Value, pointer: &str) -> Result<&'v Vec<Value>> {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .with_context(|| format!("no list at {pointer} of {value}"))
}

/// Returns the cluster of the registry in the bootstrap of Envoy Gateway's proxies.
fn cluster(objects: &[Value]) -> Result<&Value> {
    let patches = list(find(objects, "EnvoyProxy", "keyswap")?, "/spec/bootstrap/jsonPatches")?;
    let mut values = patches.iter().map(|patch| &patch["value"]);
    values.find(|value| value["name"] == "keyswap-registry").context("a cluster")
}

#[test]
fn the_administration_has_a_port_that_no_data_plane_reaches() -> Result<()> {
    for mesh in MESHES {
        for objects in [objects(mesh, &[])?, with_tls(mesh, &[])?] {
            let container = &pod(find(&objects, "Deployment", "keyswap-registry")?)["containers"][0];
            for (name, listen) in
                [("KEYSWAP_LISTEN", "0.0.0.0:7070"), ("KEYSWAP_ADMIN_LISTEN", "0.0.0.0:7071")]
            {
                ensure!(
                    list(container, "/env")?.contains(&json!({"name": name, "value": listen})),
                    "{container}"
                );
            }
            let ports = list(find(&objects, "Service", "keyswap-registry")?, "/spec/ports")?;
            ensure!(ports.iter().any(|port| port["port"] == 7071), "{ports:?}");
            let rules = list(find(&objects, "NetworkPolicy", "keyswap-registry")?, "/spec/ingress")?;
            for port in rules.iter().flat_map(|rule| rule["ports"].as_array().into_iter().flatten()) {
                ensure!(port["port"] == 7070 || port["port"] == 15008, "{mesh}: {port}");
            }
        }
    }
    Ok(())
}

#[test]
fn the_address_of_the_database_is_a_file_and_no_variable() -> Result<()> {
    for mesh in MESHES {
        let objects = objects(mesh, &[])?;
        let pod = pod(find(&objects, "Deployment", "keyswap-registry")?);
        let file = json!({"name": "KEYSWAP_DATABASE_FILE", "value": "/run/secrets/keyswap/database"});
        let variables = list(pod, "/containers/0/env")?;
        ensure!(variables.contains(&file) && variables.iter().all(|it| it["valueFrom"].is_null()), "{pod}");
        let items = list(pod, "/volumes/0/secret/items")?;
        ensure!(items.contains(&json!({"key": "database", "path": "database"})), "{pod}");
    }
    Ok(())
}

#[test]
fn a_registry_in_the_mesh_takes_encrypted_calls_of_the_gateway_alone() -> Result<()> {
    let own = json!({"serviceAccounts": ["keyswap/keyswap-gateway"]});
    let selected = json!({"namespaces": ["keyswap"]});
    let elsewhere = ["--registry-namespace", "vault"];
    for (more, source, namespace) in
        [(&[][..], &own, "keyswap"), (&elsewhere, &own, "vault"), (&SELECTED, &selected, "keyswap")]
    {
        let objects = objects("istio", more)?;
        let labels = json!({"app.kubernetes.io/name": "keyswap-registry"});
        let identity = find(&objects, "PeerAuthentication", "keyswap-registry")?;
        ensure!(identity["spec"] == json!({"selector": {"matchLabels": labels}, "mtls": {"mode": "STRICT"}}));
        let rights = find(&objects, "AuthorizationPolicy", "keyswap-registry")?;
        let rule = json!({"from": [{"source": source}], "to": [{"operation": {"ports": ["7070"]}}]});
        let expect = json!({"selector": {"matchLabels": labels}, "action": "ALLOW", "rules": [rule]});
        ensure!(rights["spec"] == expect, "{rights}");
        let calls = find(&objects, "DestinationRule", "keyswap-registry")?;
        ensure!(
            calls["spec"]["host"] == format!("keyswap-registry.{namespace}.svc.cluster.local"),
            "{calls}"
        );
        ensure!(calls["spec"]["trafficPolicy"]["tls"]["mode"] == "ISTIO_MUTUAL", "{calls}");
        for object in [identity, rights, calls] {
            ensure!(object["metadata"]["namespace"] == namespace, "{object}");
        }
        let deployment = find(&objects, "Deployment", "keyswap-registry")?;
        ensure!(deployment["spec"]["template"]["metadata"]["labels"]["sidecar.istio.io/inject"] == "true");
    }
    Ok(())
}

#[test]
fn a_registry_with_a_certificate_speaks_tls_and_asks_for_one_where_it_is_said() -> Result<()> {
    for mesh in MESHES {
        for (more, asks) in [(&[][..], false), (&["--registry-client-certificates"], true)] {
            let objects = with_tls(mesh, more)?;
            let deployment = find(&objects, "Deployment", "keyswap-registry")?;
            let container = &pod(deployment)["containers"][0];
            for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
                let asked = &container[probe]["httpGet"];
                ensure!(asked["scheme"] == "HTTPS" && asked["port"] == "https", "{container}");
            }
            for (name, file, is_there) in [
                ("KEYSWAP_TLS_CERT", "tls.crt", true),
                ("KEYSWAP_TLS_KEY", "tls.key", true),
                ("KEYSWAP_TLS_CLIENT_CA", "ca.crt", asks),
            ] {
                let variable = json!({"name": name, "value": format!("/run/secrets/tls/{file}")});
                ensure!(list(container, "/env")?.contains(&variable) == is_there, "{container}");
            }
            ensure!(pod(deployment)["volumes"][1]["secret"]["secretName"] == "registry-tls", "{deployment}");
            // The mesh's proxy would take TLS for its own.
            let labels = &deployment["spec"]["template"]["metadata"]["labels"];
            ensure!(mesh != "istio" || labels["sidecar.istio.io/inject"] == "false", "{labels}");
            for kind in ["PeerAuthentication", "AuthorizationPolicy"] {
                ensure!(find(&objects, kind, "keyswap-registry").is_err(), "{mesh} has a {kind}");
            }
        }
    }
    Ok(())
}

#[test]
fn data_planes_verify_the_registry_by_its_own_authority_and_show_a_certificate_where_it_is_said() -> Result<()>
{
    let host = "keyswap-registry.keyswap.svc.cluster.local";
    for (more, shows) in [(&[][..], false), (&["--registry-client-certificates"], true)] {
        let files: &[&str] = if shows { &["ca.crt", "tls.crt", "tls.key"] } else { &["ca.crt"] };
        let items: Vec<Value> = files.iter().map(|file| json!({"key": file, "path": file})).collect();
        let istio = with_tls("istio", more)?;
        let rule = find(&istio, "DestinationRule", &format!("{host}-7070"))?;
        let mut tls = json!({"mode": "SIMPLE", "sni": host, "subjectAltNames": [host],
            "caCertificates": "/etc/keyswap-registry/ca.crt"});
        if shows {
            tls["mode"] = json!("MUTUAL");
            tls["clientCertificate"] = json!("/etc/keyswap-registry/tls.crt");
            tls["privateKey"] = json!("/etc/keyswap-registry/tls.key");
        }
        ensure!(rule["spec"]["trafficPolicy"]["tls"] == tls, "{rule}");
        let gateway = pod(find(&istio, "Deployment", "keyswap-gateway")?);
        let volume = list(gateway, "/volumes")?.iter().find(|volume| volume["name"] == "keyswap-registry");
        let secret = json!({"secretName": "registry-ca", "defaultMode": 288, "items": items});
        ensure!(volume.context("a volume")?["secret"] == secret, "{gateway}");
        // Other servers are verified by the system's authorities.
        let upstream = &find(&istio, "DestinationRule", "api.openai.com")?["spec"]["trafficPolicy"]["tls"];
        ensure!(upstream["caCertificates"] == "/etc/ssl/certs/ca-certificates.crt", "{upstream}");
        let eg = with_tls("envoy-gateway", more)?;
        let tls = &cluster(&eg)?["transport_socket"]["typed_config"]["common_tls_context"];
        let validation = &tls["combined_validation_context"];
        let names = json!([{"san_type": "DNS", "matcher": {"exact": host}}]);
        ensure!(validation["default_validation_context"]["match_typed_subject_alt_names"] == names, "{tls}");
        let authority = &validation["validation_context_sds_secret_config"]["name"];
        ensure!(authority == "keyswap-registry-authority", "{tls}");
        ensure!(tls["tls_certificate_sds_secret_configs"].is_array() == shows, "{tls}");
        let deployment =
            &find(&eg, "EnvoyProxy", "keyswap")?["spec"]["provider"]["kubernetes"]["envoyDeployment"];
        let volumes = list(deployment, "/pod/volumes")?;
        ensure!(volumes[0]["secret"]["items"] == json!(items), "{deployment}");
        ensure!(list(&volumes[1], "/downwardAPI/items")?.len() == 1 + usize::from(shows), "{deployment}");
        ensure!(list(deployment, "/container/volumeMounts")?.len() == 2, "{deployment}");
    }
    Ok(())
}

#[test]
fn a_gateway_that_exists_gets_the_secret_by_its_name_and_a_module_stays_mounted() -> Result<()> {
    let istio = objects("istio", &[&OVER_TLS[..], &SERVER, &TRUST, &SELECTED].concat())?;
    let rule = find(&istio, "DestinationRule", "keyswap-registry.keyswap.svc.cluster.local-7070")?;
    let tls = &rule["spec"]["trafficPolicy"]["tls"];
    ensure!(tls["credentialName"] == "registry-ca" && tls["caCertificates"].is_null(), "{tls}");
    let eg = with_tls("envoy-gateway", &["--native"])?;
    let deployment =
        &find(&eg, "EnvoyProxy", "keyswap")?["spec"]["provider"]["kubernetes"]["envoyDeployment"];
    let mounts = list(deployment, "/container/volumeMounts")?.iter().map(|mount| &mount["name"]);
    let names: Vec<&Value> = mounts.collect();
    ensure!(names == ["keyswap-library", "keyswap-registry", "keyswap-registry-secrets"], "{names:?}");
    Ok(())
}

#[test]
fn calls_that_do_not_fit_the_registry_are_refused() -> Result<()> {
    let elsewhere = ["--cluster", "keyswap-registry=https://registry.example.com"];
    for mesh in MESHES {
        for (more, words) in [
            (SERVER.to_vec(), "has a certificate"),
            (OVER_TLS.to_vec(), "has no certificate"),
            (TRUST.to_vec(), "`--registry-ca-secret` is for TLS"),
            ([&OVER_TLS[..], &SERVER, &["--registry-client-certificates"]].concat(), "--registry-ca-secret"),
        ] {
            let error = objects(mesh, &more).err().with_context(|| format!("{mesh} takes {more:?}"))?;
            ensure!(error.to_string().contains(words), "{more:?}: {error}");
        }
        // A registry that is not of these manifests.
        objects(mesh, &[&elsewhere[..], &TRUST].concat())?;
    }
    Ok(())
}

#[test]
fn the_identities_of_a_release_are_the_gateway_its_test_and_those_that_are_named() -> Result<()> {
    let source = |account: &str| json!({"source": {"serviceAccounts": [account]}});
    let (of_gateway, of_test) = (source("keyswap/keyswap-gateway"), source("keyswap/keyswap-registry"));
    let (prometheus, ingress) = (source("monitoring/prometheus"), source("ingress/nginx"));
    let named = json!({"from": [prometheus["source"]], "adminFrom": [ingress["source"]]});
    for (more, expect) in [
        (json!({}), [vec![&of_gateway], vec![&of_test]]),
        (named, [vec![&of_gateway, &prometheus], vec![&of_test, &ingress]]),
    ] {
        let mut values = gateway("istio", false)?;
        values["registry"]["authorizationPolicy"] = more;
        let objects = release(values)?;
        let rules = list(find(&objects, "AuthorizationPolicy", "keyswap-registry")?, "/spec/rules")?;
        for ((rule, port), sources) in rules.iter().zip(["7070", "7071"]).zip(&expect) {
            ensure!(
                rule["from"] == json!(sources) && rule["to"][0]["operation"]["ports"] == json!([port]),
                "{rule}"
            );
        }
        ensure!(rules.len() == 2 && find(&objects, "PeerAuthentication", "keyswap-registry").is_ok());
    }
    let objects = release(gateway_with_tls("istio", false)?)?;
    for kind in ["PeerAuthentication", "AuthorizationPolicy", "DestinationRule"] {
        ensure!(find(&objects, kind, "keyswap-registry").is_err(), "there is a {kind}");
    }
    let deployment = find(&objects, "Deployment", "keyswap-registry")?;
    ensure!(deployment["spec"]["template"]["metadata"]["labels"]["sidecar.istio.io/inject"] == "false");
    Ok(())
}

/// The Secrets are those that the options name, each in its namespace, and each certificate is for the names that are called.
#[test]
fn cert_manager_fills_the_secrets_of_the_registry_and_of_the_proxies() -> Result<()> {
    let schemas = Schemas::read()?;
    let issuer = ["--cert-manager", "internal", "--registry-client-certificates"];
    for (mesh, proxies) in [("istio", "keyswap"), ("envoy-gateway", "envoy-gateway-system")] {
        let namespace = ["--registry-namespace", "keyswap-registry"];
        let address = "keyswap-registry=https://keyswap-registry.keyswap-registry.svc.cluster.local:7070";
        let objects =
            objects(mesh, &[&["--cluster", address], &SERVER[..], &TRUST, &issuer, &namespace].concat())?;
        let certificates: Vec<&Value> =
            objects.iter().filter(|object| object["kind"] == "Certificate").collect();
        for certificate in &certificates {
            schemas.check(certificate)?;
            let spec = &certificate["spec"];
            ensure!(
                spec["issuerRef"]["name"] == "internal" && spec["privateKey"]["rotationPolicy"] == "Always"
            );
            let hours = |field: &str| {
                let text = spec[field].as_str().and_then(|text| text.strip_suffix('h'));
                text.and_then(|text| text.parse::<u32>().ok()).context("hours")
            };
            ensure!(hours("duration")? > 2 * hours("renewBefore")?, "{spec}");
        }
        let of = |secret: &str| {
            let found = certificates.iter().find(|it| it["spec"]["secretName"] == secret);
            found.with_context(|| format!("no certificate for {secret}"))
        };
        let (server, client) = (of("registry-tls")?, of("registry-ca")?);
        ensure!(certificates.len() == 2 && server["metadata"]["namespace"] == "keyswap-registry", "{server}");
        ensure!(client["metadata"]["namespace"] == proxies, "{client}");
        let names = json!([
            "keyswap-registry.keyswap-registry.svc.cluster.local",
            "keyswap-registry.keyswap-registry.svc",
            "localhost"
        ]);
        ensure!(server["spec"]["dnsNames"] == names, "{server}");
        ensure!(server["spec"]["usages"] == json!(["digital signature", "server auth"]), "{server}");
        ensure!(client["spec"]["usages"] == json!(["digital signature", "client auth"]), "{client}");
        ensure!(client["spec"]["dnsNames"].is_null(), "a data plane serves nothing: {client}");
    }
    let without_secret = objects("istio", &["--cert-manager", "internal"]);
    ensure!(without_secret.is_err(), "no Secret is named that could be filled");
    Ok(())
}

#[test]
fn the_registry_reads_secrets_in_the_namespaces_of_the_bounds_and_nowhere_else() -> Result<()> {
    let (schemas, folder) = (Schemas::read()?, tempfile::tempdir()?);
    let file = folder.path().join("bounds.yaml");
    let bounds = json!({"labels": {"keyswap/token": "true"}, "namespaces": [
        {"name": "red", "team": "red", "providers": ["openai"]}, {"name": "blue", "providers": ["openai"]},
    ]});
    fs::write(&file, bounds.to_string())?;
    for mesh in MESHES {
        let plain = objects(mesh, &[])?;
        ensure!(plain.iter().all(|object| object["kind"] != "Role" && object["kind"] != "RoleBinding"));
        let objects = objects(mesh, &["--kubernetes-tokens", &file.display().to_string()])?;
        objects.iter().try_for_each(|object| schemas.check(object))?;
        let of = |kind: &str| -> Vec<&Value> {
            let is_it = |object: &&Value| {
                object["kind"] == kind && object["metadata"]["name"] == "keyswap-registry-tokens"
            };
            objects.iter().filter(is_it).collect()
        };
        let namespaces = |kind: &str| -> Vec<&str> {
            of(kind).iter().filter_map(|object| object["metadata"]["namespace"].as_str()).collect()
        };
        ensure!(namespaces("Role") == ["red", "blue"] && namespaces("RoleBinding") == ["red", "blue"]);
        for role in of("Role") {
            let rules =
                json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "watch"]}]);
            ensure!(role["rules"] == rules, "{role}");
        }
        for binding in of("RoleBinding") {
            let subject =
                json!([{"kind": "ServiceAccount", "name": "keyswap-registry", "namespace": "keyswap"}]);
            ensure!(binding["subjects"] == subject && binding["roleRef"]["kind"] == "Role", "{binding}");
        }
        ensure!(objects.iter().all(|object| object["kind"] != "ClusterRole"));
        let kept =
            of("ConfigMap").first().and_then(|map| map["data"]["tokens.yaml"].as_str().map(str::to_owned));
        let kept: Value = serde_saphyr::from_str(&kept.context("the bounds")?)?;
        ensure!(kept == bounds, "{kept}");
        let pod = pod(find(&objects, "Deployment", "keyswap-registry")?);
        let variable = json!({"name": "KEYSWAP_KUBERNETES_TOKENS", "value": "/etc/keyswap/tokens.yaml"});
        ensure!(list(pod, "/containers/0/env")?.contains(&variable), "{pod}");
        // The credential is a file of this container alone.
        ensure!(pod["automountServiceAccountToken"] == false, "{pod}");
        let place = "/var/run/secrets/kubernetes.io/serviceaccount";
        ensure!(list(pod, "/containers/0/volumeMounts")?.iter().any(|it| it["mountPath"] == place), "{pod}");
    }
    Ok(())
}
