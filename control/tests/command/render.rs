//! `render`: options that no shipped rendering has.

use std::fs;

use crate::support::{Folder, keyswap, policy};

#[test]
fn settings_of_the_registry_are_rendered_where_they_are_asked_for() {
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
    for host in ["istio", "envoy-gateway"] {
        for (option, value, name) in [
            ("--usage-retention", "90d", "KEYSWAP_USAGE_RETENTION"),
            ("--proxy-url", "https://llm.acme.example", "KEYSWAP_PROXY_URL"),
            ("--environment", "production", "KEYSWAP_ENVIRONMENT"),
        ] {
            for (more, expect) in [(&[][..], false), (&[option, value], true)] {
                let run = render(host, &[&["--registry-image", &server], more].concat());
                assert_eq!(run.code, 0, "{}", run.all());
                let manifest = fs::read_to_string(output.join("registry.yaml")).unwrap();
                let line = format!("- {{name: {name}, value: \"{value}\"}}");
                assert_eq!(manifest.lines().any(|found| found.trim() == line), expect, "{manifest}");
                assert_eq!(manifest.contains(name), expect, "{manifest}");
            }
        }
        for (more, words) in [
            (&["--registry-image", &server, "--usage-retention", "5h"][..], "from `1d` to `4000d`"),
            (&["--registry-image", &server, "--usage-retention", "1d\", x: \""], "from `1d` to `4000d`"),
            (&["--usage-retention", "90d"], "--registry-image"),
            (&["--registry-image", &server, "--proxy-url", "https://a/\", x: \""], "expected an address"),
            (&["--registry-image", &server, "--environment", "a\"b"], "expected 1 to 32 letters"),
        ] {
            let run = render(host, more);
            assert!(run.code == 1 && run.stderr.contains(words), "{more:?}: {}", run.all());
        }
    }
}

#[test]
fn a_policy_that_the_filter_would_refuse_is_rendered_for_the_module_only() {
    let folder = Folder::new();
    let of_file = policy("").replace("[{env: OPENAI_API_KEY}]", "[{file: /run/secrets/openai}]");
    let file = folder.file("policy.yaml", of_file);
    let native = keyswap(&["render", "envoy", "--native", "--policy", &file]);
    assert_eq!(native.code, 0, "{}", native.all());
    assert!(
        native.stdout.contains("ANTHROPIC_API_KEY"),
        "variables behind a file are found: {}",
        native.stdout
    );
    let run = keyswap(&["render", "envoy", "--policy", &file]);
    assert_eq!((run.code, run.stdout.as_str()), (3, ""));
    assert!(
        run.stderr.contains("error at `credentials.openai[0].file`: this host reads no files"),
        "{}",
        run.stderr
    );
}

#[test]
fn an_access_log_has_no_fields_of_values_that_the_policy_leaves_out() {
    let folder = Folder::new();
    let image = format!("registry.example/keyswap@sha256:{}", "0".repeat(64));
    for (more, has_values) in [("", true), ("access_log: values\n", true), ("access_log: none\n", false)] {
        let file = folder.file("policy.yaml", policy(more));
        for target in ["envoy", "istio", "envoy-gateway"] {
            let mut command = vec!["render", target, "--policy", &file];
            if target != "envoy" {
                command.extend(["--image", &image]);
            }
            let run = keyswap(&command);
            assert_eq!(run.code, 0, "{}", run.all());
            assert_eq!(run.stdout.contains("wasm.keyswap_"), has_values, "{target} {more}");
            assert!(run.stdout.contains("bytes_sent:"), "{target} {more}");
        }
    }
}
