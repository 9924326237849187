//! `render`: options that no shipped rendering has.

use std::fs;

use crate::support::{Folder, keyswap};

#[test]
fn the_time_for_which_the_registry_keeps_usage_is_rendered_where_it_is_asked_for() {
    let folder = Folder::new();
    let output = folder.path("out");
    let digest = "0".repeat(64);
    let (filter, server) =
        (format!("r.example/filter@sha256:{digest}"), format!("r.example/server@sha256:{digest}"));
    let render = |host: &str, more: &[&str]| {
        let _ = fs::remove_dir_all(&output);
        let output = output.display().to_string();
        let cluster = "keyswap-registry=http://keyswap-registry.keyswap.svc.cluster.local:7070";
        let args = [
            "render",
            host,
            "--policy",
            "../envoy/policy-mesh.yaml",
            "--image",
            &filter,
            "--output",
            &output,
        ];
        keyswap(&[&args[..], &["--cluster", cluster], more].concat())
    };
    let line = r#"- {name: KEYSWAP_USAGE_RETENTION, value: "90d"}"#;
    for host in ["istio", "envoy-gateway"] {
        for (more, expect) in [(&[][..], false), (&["--usage-retention", "90d"], true)] {
            let run = render(host, &[&["--registry-image", &server], more].concat());
            assert_eq!(run.code, 0, "{}", run.all());
            let manifest = fs::read_to_string(output.join("registry.yaml")).unwrap();
            assert_eq!(manifest.lines().any(|found| found.trim() == line), expect, "{manifest}");
            assert_eq!(manifest.contains("USAGE_RETENTION"), expect, "{manifest}");
        }
        for (more, words) in [
            (&["--registry-image", &server, "--usage-retention", "5h"][..], "from `1d` to `4000d`"),
            (&["--registry-image", &server, "--usage-retention", "1d\", x: \""], "from `1d` to `4000d`"),
            (&["--usage-retention", "90d"], "--registry-image"),
        ] {
            let run = render(host, more);
            assert!(run.code == 1 && run.stderr.contains(words), "{more:?}: {}", run.all());
        }
    }
}
