//! A package of an SDK, and the program of `tests/clients` that uses it.
//!
//! Packages are installed from their lock files, once per lock file and machine.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fmt, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{
    call::Call,
    running::{Event, Running},
};
use crate::tools::{fingerprint, installed, node_packages, project_root, python_packages};

const NODE_LOCK: &str = "package-lock.json";

/// A package in one language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Library {
    /// The language of the package.
    pub language: Language,
    /// The name in the lock file.
    pub package: &'static str,
    /// The program that uses the package, without its extension.
    program: &'static str,
    /// The lock file of the package.
    lock: &'static str,
}

/// The languages of the libraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Python.
    Python,
    /// `JavaScript` in Node.js.
    Node,
}

impl Library {
    pub(super) const fn python(package: &'static str, program: &'static str, lock: &'static str) -> Self {
        Self { language: Language::Python, package, program, lock }
    }

    pub(super) const fn node(package: &'static str, program: &'static str) -> Self {
        Self { language: Language::Node, package, program, lock: NODE_LOCK }
    }

    /// Makes a call and waits for its end.
    pub fn run(self, call: &Call<'_>) -> Result<Vec<Event>> {
        self.start(call)?.finish()
    }

    /// Makes a call like [`Self::run`], with more arguments for its program.
    pub fn run_with(self, call: &Call<'_>, arguments: &[String]) -> Result<Vec<Event>> {
        let mut command = self.command(call)?;
        command.args(arguments);
        self.spawn(call, command)?.finish()
    }

    /// Starts a call, whose events are read one by one.
    pub fn start(self, call: &Call<'_>) -> Result<Running> {
        self.spawn(call, self.command(call)?)
    }

    fn spawn(self, call: &Call<'_>, command: Command) -> Result<Running> {
        Running::spawn(format!("{self} in mode `{}`", call.mode.name()), command)
    }

    /// Makes a call like [`Self::run`], with trust in the certificate authority in `ca_file`.
    pub fn run_trusting(self, call: &Call<'_>, ca_file: &Path) -> Result<Vec<Event>> {
        let mut command = self.command(call)?;
        command.env("SSL_CERT_FILE", ca_file).env("NODE_EXTRA_CA_CERTS", ca_file);
        self.spawn(call, command)?.finish()
    }

    /// Returns the release in the lock file.
    pub fn version(self) -> Result<String> {
        let lock = clients_folder(self.language).join(self.lock);
        let text = fs::read_to_string(&lock).with_context(|| format!("cannot read `{}`", lock.display()))?;
        let version = match self.language {
            Language::Python => python_version(&text, self.package),
            Language::Node => node_version(&text, self.package),
        };
        version.with_context(|| format!("`{}` names no release of `{}`", self.lock, self.package))
    }

    /// Installs the packages of the program, and returns the command that runs it.
    fn command(self, call: &Call<'_>) -> Result<Command> {
        let mut command = match self.language {
            Language::Python => {
                let folder = clients_folder(self.language);
                let packages = python_packages("python-clients", &folder.join(self.lock))?;
                let mut command = isolated("python3");
                command.arg(folder.join(self.program).with_extension("py"));
                command.env("PYTHONPATH", packages).env("PYTHONDONTWRITEBYTECODE", "1");
                // Without it the library downloads prices, and waits long without a network.
                command.env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
                command
            }
            Language::Node => {
                let mut command = isolated("node");
                command.arg(node_programs()?.join(self.program).with_extension("mjs"));
                command
            }
        };
        let headers: BTreeMap<_, _> = call.headers.iter().copied().collect();
        command
            .args([call.mode.name(), self.package])
            .env("KEYSWAP_BASE_URL", call.base_url)
            .env("KEYSWAP_TOKEN", call.token)
            .env("KEYSWAP_EXTRA_HEADERS", serde_json::to_string(&headers)?);
        Ok(command)
    }
}

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} `{}`", self.language, self.package)
    }
}

/// Returns a package's version in a requirements file, whose lines are `name==version \`, possibly with a marker.
fn python_version(lock: &str, package: &str) -> Option<String> {
    let pinned = |line: &str| line.strip_prefix(package)?.strip_prefix("==").map(str::to_owned);
    let rest = lock.lines().find_map(pinned)?;
    rest.split([' ', ';']).next().map(str::to_owned)
}

fn node_version(lock: &str, package: &str) -> Option<String> {
    let lock: Value = serde_json::from_str(lock).ok()?;
    lock.get("packages")?.get(format!("node_modules/{package}"))?.get("version")?.as_str().map(str::to_owned)
}

/// Returns a command without the environment variables that would configure an SDK.
pub(crate) fn isolated(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| configures_a_client(name)) {
        command.env_remove(name);
    }
    command
}

/// Returns true if an SDK, an interpreter or an HTTP library reads settings from the environment variable.
fn configures_a_client(name: &OsStr) -> bool {
    let name = name.to_string_lossy().to_ascii_uppercase();
    let prefixes = [
        "OPENAI_",
        "ANTHROPIC_",
        "GEMINI_",
        "GENKIT_",
        "GOOGLE_",
        "INSTRUCTOR_",
        "LANGCHAIN_",
        "LANGSMITH_",
        "LITELLM_",
        "LLAMA_",
        "LOGFIRE_",
        "PYTHON",
        "NODE_",
        "KEYSWAP_",
    ];
    name.ends_with("_PROXY") || prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// Returns a folder with the Node programs and, where Node finds them, their packages.
fn node_programs() -> Result<PathBuf> {
    let source = clients_folder(Language::Node);
    let entries = fs::read_dir(&source)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let mut files: Vec<_> = entries.into_iter().filter(|path| path.is_file()).collect();
    files.sort();
    let packages = node_packages("node-packages", &source)?;
    installed("node-clients", &fingerprint(&files)?, |folder| {
        for file in &files {
            fs::copy(file, folder.join(file.file_name().unwrap_or_default()))
                .with_context(|| format!("cannot copy `{}`", file.display()))?;
        }
        let beside = Path::new("..").join(packages.file_name().unwrap_or_default());
        Ok(symlink(beside.join("node_modules"), folder.join("node_modules"))?)
    })
}

fn clients_folder(language: Language) -> PathBuf {
    let name = match language {
        Language::Python => "python",
        Language::Node => "node",
    };
    project_root().join("tests/clients").join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_the_caller_do_not_reach_a_client() {
        for name in ["OPENAI_API_KEY", "ANTHROPIC_BASE_URL", "PYTHONPATH", "NODE_OPTIONS", "https_proxy"] {
            assert!(configures_a_client(OsStr::new(name)), "{name}");
        }
        assert!(!configures_a_client(OsStr::new("PATH")));
    }

    #[test]
    fn a_release_is_read_from_its_own_line() {
        let lock = "openai-agents==1.0.0 \\\nopenai==3.54.0 ; python_version >= '3.11' \\\n    --hash=x\n";
        assert_eq!(python_version(lock, "openai").as_deref(), Some("3.54.0"));
        assert_eq!(python_version(lock, "agents"), None);
    }
}
