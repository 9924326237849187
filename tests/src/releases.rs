//! The releases of hosts that tests run. A lock pins each by its hash; the table of the book follows from the rows.

use std::path::PathBuf;

use anyhow::Result;

use crate::tools::{self, ENVOY_VERSION, WASH_VERSION, WASMTIME_VERSION, program_of_wheel};

/// A release of a host.
pub struct Release {
    /// The host, and the place of the release among those that are tested.
    pub host: &'static str,
    /// The number of the release.
    pub version: &'static str,
    /// The tests that run on it.
    pub tests: &'static str,
    /// The file that pins it, in the folder of the tests.
    lock: &'static str,
    program: fn(&Self) -> Result<PathBuf>,
}

impl Release {
    /// Returns the program, which is installed if it is missing.
    pub fn program(&self) -> Result<PathBuf> {
        (self.program)(self)
    }
}

fn wasmtime_of_wheel(release: &Release) -> Result<PathBuf> {
    program_of_wheel("wasmtime", release.version, release.lock, "wasmtime_cli/wasmtime")
}

/// The oldest Envoy: the rendered configuration needs it.
pub static OLDEST_ENVOY: Release = Release {
    host: "Envoy, the oldest",
    version: "1.36.2",
    tests: "the corpus where a host has most to do, a fault of each kind, the message of the module",
    lock: "hosts/envoy-1.36.txt",
    program: |it| program_of_wheel("envoy", it.version, it.lock, "envoy/_bin/envoy"),
};
/// The Envoy of all other tests, which is the newest one.
pub static ENVOY: Release = Release {
    host: "Envoy, the newest",
    version: ENVOY_VERSION,
    tests: "all, with the filter and with the module",
    lock: "envoy-requirements.txt",
    program: |_| tools::envoy(),
};
/// The oldest Wasmtime: a long-term release. An instance serves one request.
pub static OLDEST_WASMTIME: Release = Release {
    host: "Wasmtime, the oldest",
    version: "36.0.9",
    tests: "the corpus, a fault of each kind, a prepared component",
    lock: "hosts/wasmtime-36.txt",
    program: wasmtime_of_wheel,
};
/// The Wasmtime of all other tests: the long-term release.
pub static WASMTIME: Release = Release {
    host: "Wasmtime, the long-term release",
    version: WASMTIME_VERSION,
    tests: "all of the component",
    lock: "hosts/wasmtime.txt",
    program: |_| tools::wasmtime(),
};
/// The newest Wasmtime.
pub static NEWEST_WASMTIME: Release = Release {
    host: "Wasmtime, the newest",
    version: "49.0.4",
    tests: "whole and streamed requests, refusals, a prepared component",
    lock: "hosts/wasmtime-49.txt",
    program: wasmtime_of_wheel,
};
/// The tested wash.
pub static WASH: Release = Release {
    host: "wash",
    version: WASH_VERSION,
    tests: "whole requests, refusals, hosts that are not allowed",
    lock: "hosts/wash.txt",
    program: |_| tools::wash(),
};

/// All releases, in the order of the table.
pub static RELEASES: [&Release; 6] =
    [&OLDEST_ENVOY, &ENVOY, &OLDEST_WASMTIME, &WASMTIME, &NEWEST_WASMTIME, &WASH];

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn each_release_is_the_one_that_its_lock_pins() -> Result<()> {
        for Release { host, version, lock, .. } in RELEASES {
            let text = fs::read_to_string(tools::project_root().join("tests").join(lock))?;
            let pins: Vec<&str> = text.lines().filter(|line| line.contains("==")).collect();
            let [pin] = pins.as_slice() else { anyhow::bail!("{lock} pins {} packages", pins.len()) };
            assert!(pin.ends_with(&format!("=={version} \\")), "{host}: {pin}");
        }
        Ok(())
    }
}
