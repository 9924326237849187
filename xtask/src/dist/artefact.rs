//! The files of a release that are built, one row each.

use keyswap_tests::wasm_opt;

/// A file of a release that is built.
#[derive(Debug)]
pub(crate) struct Artefact {
    /// The package of the file.
    pub(crate) package: &'static str,
    /// The compilation target.
    pub(crate) target: &'static str,
    pub(crate) form: Form,
}

/// An optimisation of a Wasm module.
pub(crate) type Finish = fn(&[u8]) -> anyhow::Result<Vec<u8>>;

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A Wasm module for Envoy, of which the release has images for Istio and Envoy Gateway.
    Filter,
    /// A Wasm component: the proxy.
    Component,
    /// A Wasm component: the engine for programs that embed it.
    Authorizer,
    /// A dynamic module for Envoy.
    Module,
    /// A command.
    Command,
}

const X86_64: &str = "x86_64-unknown-linux-gnu";
const ARM64: &str = "aarch64-unknown-linux-gnu";
const MACOS: &str = "aarch64-apple-darwin";

/// All files of a release that are built.
pub(crate) const ARTEFACTS: [Artefact; 8] = [
    Artefact { package: "keyswap-filter", target: "wasm32-wasip1", form: Form::Filter },
    Artefact { package: "keyswap-component", target: "wasm32-wasip2", form: Form::Component },
    Artefact { package: "keyswap-component", target: "wasm32-wasip1", form: Form::Authorizer },
    Artefact { package: "keyswap-module", target: X86_64, form: Form::Module },
    Artefact { package: "keyswap-module", target: ARM64, form: Form::Module },
    Artefact { package: "keyswap", target: X86_64, form: Form::Command },
    Artefact { package: "keyswap", target: ARM64, form: Form::Command },
    Artefact { package: "keyswap", target: MACOS, form: Form::Command },
];

impl Artefact {
    /// Returns the name of the file. A native file names its machine, and is renamed where it is installed.
    pub(crate) fn file(&self) -> String {
        match self.form {
            Form::Filter | Form::Component => format!("{}.wasm", self.package.replace('-', "_")),
            Form::Authorizer => format!("{}.wasm", self.name()),
            Form::Module => format!("libkeyswap-{}.so", self.machine()),
            Form::Command => format!("keyswap-{}", self.machine()),
        }
    }

    /// Returns the name in lists and registries: that of the package, which has the authorizer beside the component.
    pub(crate) fn name(&self) -> &'static str {
        if self.form == Form::Authorizer { "keyswap-authorizer" } else { self.package }
    }

    /// Returns the name of the file's bill of materials.
    pub(crate) fn sbom_file(&self) -> String {
        match self.form {
            Form::Filter | Form::Component | Form::Authorizer => format!("{}.cdx.json", self.name()),
            Form::Module | Form::Command => format!("{}-{}.cdx.json", self.name(), self.machine()),
        }
    }

    /// Returns the optimisation after the build, for a Wasm module.
    pub(crate) fn finish(&self) -> Option<Finish> {
        match self.form {
            Form::Filter => Some(wasm_opt::filter),
            Form::Component => Some(wasm_opt::component),
            // The build of the authorizer has it.
            Form::Authorizer | Form::Module | Form::Command => None,
        }
    }

    /// Tells if the command on a machine has the file beside it. Wasm runs on all machines; the authorizer is for other programs.
    pub(crate) fn is_for(&self, machine: &str) -> bool {
        match self.form {
            Form::Filter | Form::Component => true,
            Form::Authorizer => false,
            Form::Module | Form::Command => self.machine() == machine,
        }
    }

    /// Returns the packages that a release builds natively for the target, in one go.
    pub(crate) fn built_together(&self) -> Vec<&'static str> {
        let is_native = |artefact: &&Self| matches!(artefact.form, Form::Module | Form::Command);
        let native = ARTEFACTS.iter().filter(is_native).filter(|artefact| artefact.target == self.target);
        native.map(|artefact| artefact.package).collect()
    }

    /// Tells if the file is a command for Linux, of which the release has images.
    pub(crate) fn is_in_images(&self) -> bool {
        self.form == Form::Command && self.target != MACOS
    }

    /// Returns the machine of a native file, and the target of another. A machine whose system is not Linux names it, too.
    pub(crate) fn machine(&self) -> &'static str {
        match self.target.split_once('-') {
            _ if self.target == MACOS => "aarch64-macos",
            Some((machine, _)) => machine,
            None => self.target,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, process::Command};

    use anyhow::Result;
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
        let shipped = ARTEFACTS.iter().filter(|artefact| artefact.form != Form::Command);
        let shipped = shipped.map(|artefact| artefact.package).chain(OF_TESTS).collect();
        assert_eq!(modules, shipped);
        Ok(())
    }

    #[test]
    fn no_two_files_have_one_name_and_each_native_one_is_for_both_machines_with_linux() {
        let names = |name: fn(&Artefact) -> String| ARTEFACTS.iter().map(name).collect::<BTreeSet<_>>();
        assert_eq!(names(Artefact::file).len(), ARTEFACTS.len());
        assert_eq!(names(Artefact::sbom_file).len(), ARTEFACTS.len());
        for target in [X86_64, ARM64] {
            let artefact = Artefact { package: "keyswap", target, form: Form::Command };
            assert_eq!(artefact.built_together(), ["keyswap-module", "keyswap"]);
        }
    }
}
