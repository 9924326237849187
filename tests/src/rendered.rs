//! The files of `envoy/` that `keyswap render` writes from the policies there, with their commands.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::KEYSWAP;
use crate::tools::{files_below, project_root};

/// A folder or a file of `envoy/`, with its arguments of `keyswap render`.
#[derive(Debug)]
pub struct Rendered {
    /// The path in `envoy/`.
    pub place: &'static str,
    /// The arguments, as in a shell in the root of the repository.
    pub arguments: &'static str,
}

/// All rendered configurations.
pub const RENDERED: [Rendered; 5] = [
    Rendered {
        place: "bootstrap.yaml",
        arguments: "envoy --policy envoy/policy.yaml --upstream openai=https://api.openai.com \
                    --upstream anthropic=https://api.anthropic.com \
                    --upstream gemini=https://generativelanguage.googleapis.com \
                    --cluster keyswap-registry=http://127.0.0.1:7070",
    },
    Rendered {
        place: "istio",
        arguments: "istio --policy envoy/policy-mesh.yaml \
                    --cluster keyswap-registry=http://keyswap-registry.keyswap.svc.cluster.local:7070 \
                    --image registry.example.com/keyswap-filter@sha256:0000000000000000000000000000000000000000000000000000000000000000 \
                    --registry-image registry.example.com/keyswap@sha256:0000000000000000000000000000000000000000000000000000000000000000",
    },
    Rendered {
        place: "gateway",
        arguments: "envoy-gateway --policy envoy/policy-mesh.yaml \
                    --cluster keyswap-registry=http://keyswap-registry.keyswap.svc.cluster.local:7070 \
                    --image registry.example.com/keyswap-filter@sha256:0000000000000000000000000000000000000000000000000000000000000000 \
                    --registry-image registry.example.com/keyswap@sha256:0000000000000000000000000000000000000000000000000000000000000000",
    },
    Rendered {
        place: "istio-native",
        arguments: "istio --native --policy envoy/policy-mesh.yaml \
                    --cluster keyswap-registry=http://keyswap-registry.keyswap.svc.cluster.local:7070 \
                    --image registry.example.com/keyswap-module@sha256:0000000000000000000000000000000000000000000000000000000000000000",
    },
    Rendered {
        place: "gateway-native",
        arguments: "envoy-gateway --native --policy envoy/policy-mesh.yaml \
                    --cluster keyswap-registry=http://keyswap-registry.keyswap.svc.cluster.local:7070 \
                    --image registry.example.com/keyswap-module@sha256:0000000000000000000000000000000000000000000000000000000000000000",
    },
];

impl Rendered {
    /// Runs the command. Returns the files that it writes, by their paths in the repository.
    pub fn files(&self) -> Result<BTreeMap<PathBuf, String>> {
        let place = Path::new("envoy").join(self.place);
        let arguments: Vec<&str> = self.arguments.split_whitespace().collect();
        if place.extension().is_some() {
            return Ok(BTreeMap::from([(place, render(&arguments)?)]));
        }
        let folder = tempfile::tempdir()?;
        let output = folder.path().to_string_lossy();
        render(&[&arguments[..], &["--output", &output]].concat())?;
        let files = fs::read_dir(folder.path())?.map(|file| {
            let file = file?;
            Ok((place.join(file.file_name()), fs::read_to_string(file.path())?))
        });
        files.collect()
    }

    /// Writes the files.
    pub fn update(&self) -> Result<()> {
        for (path, text) in self.files()? {
            let path = project_root().join(path);
            fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
            fs::write(path, text)?;
        }
        Ok(())
    }
}

/// Runs `keyswap render` in the root of the repository and returns its output.
pub fn render(arguments: &[&str]) -> Result<String> {
    let output =
        Command::new(KEYSWAP.path()?).arg("render").args(arguments).current_dir(project_root()).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`keyswap render {}` fails:\n{errors}", arguments.join(" "));
    Ok(String::from_utf8(output.stdout)?)
}

/// Returns the documents of a file of `envoy/`.
pub fn documents(path: &str) -> Result<Vec<Value>> {
    let text = fs::read_to_string(project_root().join("envoy").join(path))?;
    serde_saphyr::from_multiple(&text).with_context(|| path.to_owned())
}

/// Returns the manifests for Kubernetes: each file with its objects.
pub fn manifests() -> Result<Vec<(String, Vec<Value>)>> {
    let is_yaml = |path: &String| Path::new(path).extension().is_some_and(|extension| extension == "yaml");
    let files = files_below("envoy")?.into_iter().filter(|path| path.contains('/') && is_yaml(path));
    let mut manifests = Vec::new();
    for path in files {
        let objects = documents(&path)?;
        if objects.iter().all(|object| object.get("apiVersion").is_some()) {
            manifests.push((path, objects));
        }
    }
    Ok(manifests)
}
