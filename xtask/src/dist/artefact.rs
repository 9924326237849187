//! The Wasm modules of a release, one row each.

use anyhow::Result;
use keyswap_tests::wasm_opt;

/// A Wasm module of a release.
#[derive(Debug)]
pub(crate) struct Artefact {
    /// The package of the module.
    pub(crate) package: &'static str,
    /// The compilation target.
    pub(crate) target: &'static str,
    /// The optimisation after the build.
    pub(crate) finish: fn(&[u8]) -> Result<Vec<u8>>,
    /// Set if the release has images of the module for Istio and Envoy Gateway.
    pub(crate) has_images: bool,
}

/// All modules of a release.
pub(crate) const ARTEFACTS: [Artefact; 2] = [
    Artefact {
        package: "keyswap-filter",
        target: "wasm32-wasip1",
        finish: wasm_opt::filter,
        has_images: true,
    },
    Artefact {
        package: "keyswap-component",
        target: "wasm32-wasip2",
        finish: wasm_opt::component,
        has_images: false,
    },
];

impl Artefact {
    /// Returns the name of the module's file.
    pub(crate) fn file(&self) -> String {
        format!("{}.wasm", self.package.replace('-', "_"))
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, process::Command};

    use keyswap_tests::tools;
    use serde_json::Value;

    use super::*;

    /// Modules that only tests run.
    const OF_TESTS: [&str; 3] = ["keyswap-probe", "keyswap-empty-filter", "keyswap-passthrough"];

    #[test]
    fn every_module_of_the_workspace_is_shipped() -> Result<()> {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(tools::project_root());
        let metadata: Value = serde_json::from_str(&tools::run(&mut cargo, "install Rust")?)?;
        let is_module = |package: &&Value| {
            let targets = package["targets"].as_array().into_iter().flatten();
            let mut kinds = targets.filter_map(|target| target["crate_types"].as_array()).flatten();
            kinds.any(|kind| kind == "cdylib")
        };
        let modules = metadata["packages"].as_array().into_iter().flatten().filter(is_module);
        let modules: BTreeSet<&str> = modules.filter_map(|package| package["name"].as_str()).collect();
        let shipped = ARTEFACTS.iter().map(|artefact| artefact.package).chain(OF_TESTS).collect();
        assert_eq!(modules, shipped);
        Ok(())
    }
}
