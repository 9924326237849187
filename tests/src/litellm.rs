//! The keys of a real LiteLLM proxy: the models that each reached there, and the policy that Keyswap imports for them.
//!
//! `cargo xtask litellm` runs the proxy and records. The record is in the repository, so that tests need no proxy.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::PathBuf,
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{KEYSWAP, clients::isolated, figures::heading, tools};

const FOLDER: &str = "tests/litellm";
/// The lock of the proxy, which the bench measures, too.
const PROXY_LOCK: &str = "tests/bench/litellm/requirements.txt";

/// The record of a run of the proxy.
#[derive(Deserialize)]
pub struct Recorded {
    /// The proxy's version.
    pub version: String,
    /// The models that each key asked for, at every provider.
    pub probed: Vec<String>,
    /// The models that each key reached, by its alias.
    pub reach: BTreeMap<String, Reach>,
    /// The pages of `GET /key/list`.
    keys: Vec<Value>,
    /// The answer of `GET /team/list`.
    teams: Value,
    /// The answer of `GET /user/list`.
    users: Value,
}

/// The models that a key reached in LiteLLM: `PROVIDER: MODEL`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Reach {
    /// By the routes of models.
    pub models: BTreeSet<String>,
    /// By pass-through routes only, such as `/openai`.
    pub passed: BTreeSet<String>,
}

/// An imported policy.
pub struct Imported {
    /// The policy.
    pub policy: Value,
    /// The lines of the import, without the last.
    pub lines: Vec<String>,
}

/// A key in both proxies.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// The models that it reached in LiteLLM.
    pub litellm: Reach,
    /// The models that it reached through Keyswap.
    pub keyswap: BTreeSet<String>,
    /// The lines of the import about the key.
    pub lines: Vec<String>,
}

/// Returns the key of an alias.
pub fn key(alias: &str) -> String {
    format!("sk-of-the-key-{alias}")
}

/// Runs the proxy with the packages that the repository pins, and writes what it tells into the repository.
pub fn record() -> Result<PathBuf> {
    let folder = tools::project_root().join(FOLDER);
    let proxy = tools::python_packages("litellm", &tools::project_root().join(PROXY_LOCK))?;
    let prisma = tools::python_packages("litellm-prisma", &folder.join("requirements.txt"))?;
    let engine = tools::node_packages("litellm-engine", &folder)?;
    let mut command = isolated("python3");
    command.arg(folder.join("record.py")).env("PYTHONPATH", &proxy);
    command.env("LITELLM", &proxy).env("PRISMA", prisma).env("ENGINE", engine);
    let recorded = tools::run(&mut command, "the line above says why LiteLLM did not run")?;
    let file = folder.join("recorded.json");
    fs::write(&file, recorded).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

impl Recorded {
    /// Reads the record of the repository. It must be of the proxy that the lock pins.
    pub fn read() -> Result<Self> {
        let recorded: Self = read("recorded.json")?;
        let lock = fs::read_to_string(tools::project_root().join(PROXY_LOCK))?;
        let pinned = format!("litellm[proxy]=={} ", recorded.version);
        let is_pinned = lock.contains(&pinned) || lock.contains(&pinned.replace("[proxy]", ""));
        ensure!(is_pinned, "the record is of LiteLLM {}: run `cargo xtask litellm`", recorded.version);
        Ok(recorded)
    }

    /// Imports the keys with the real command.
    pub fn import(&self) -> Result<Imported> {
        let folder = tempfile::tempdir()?;
        let file = |name: &str, text: String| -> Result<PathBuf> {
            let path = folder.path().join(name);
            fs::write(&path, text)?;
            Ok(path)
        };
        let keys: Vec<String> = self.keys.iter().map(Value::to_string).collect();
        let output = Command::new(KEYSWAP.path()?)
            .args(["policy", "import", "litellm"])
            .arg(tools::project_root().join(FOLDER).join("config.yaml"))
            .arg("--keys")
            .arg(file("keys.json", keys.join("\n"))?)
            .arg("--teams")
            .arg(file("teams.json", self.teams.to_string())?)
            .arg("--users")
            .arg(file("users.json", self.users.to_string())?)
            .output()?;
        let lines = String::from_utf8(output.stderr)?;
        ensure!(output.status.success(), "{lines}");
        let mut lines: Vec<String> = lines.lines().map(str::to_owned).collect();
        lines.pop();
        Ok(Imported { policy: serde_saphyr::from_str(&String::from_utf8(output.stdout)?)?, lines })
    }
}

/// Returns the keys in the order of their list, each with its settings in LiteLLM.
pub fn keys() -> Result<Vec<(String, Value)>> {
    let world = tools::yaml(&format!("{FOLDER}/keys.yaml"))?;
    let keys = world["keys"].as_array().context("a list of keys")?.iter();
    keys.map(|key| {
        let mut settings: Map<String, Value> = key.as_object().context("a key")?.clone();
        let alias = settings.remove("key_alias").context("a key has an alias")?;
        Ok((alias.as_str().context("an alias is text")?.to_owned(), settings.into()))
    })
    .collect()
}

/// Reads the comparison of the repository.
pub fn compared() -> Result<BTreeMap<String, Compared>> {
    read("compared.json")
}

/// Writes the comparison into the repository.
pub fn write_compared(compared: &BTreeMap<String, Compared>) -> Result<()> {
    let file = tools::project_root().join(FOLDER).join("compared.json");
    Ok(fs::write(file, format!("{}\n", serde_json::to_string_pretty(compared)?))?)
}

fn read<T: for<'t> Deserialize<'t>>(name: &str) -> Result<T> {
    let file = tools::project_root().join(FOLDER).join(name);
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(serde_json::from_str(&text)?)
}

/// Returns the table of all keys: the settings in LiteLLM, the models there and here, and the lines.
pub(crate) fn table() -> Result<String> {
    let compared = compared()?;
    let mut table = heading(&["key", "settings in LiteLLM", "in LiteLLM", "through Keyswap", "lines"]);
    for (alias, settings) in keys()? {
        let Compared { litellm, keyswap, lines } = compared.get(&alias).context("every key is compared")?;
        let there: BTreeSet<String> = litellm.models.union(&litellm.passed).cloned().collect();
        let here = if *keyswap == there { "the same".to_owned() } else { listed(keyswap) };
        let lines = lines.join("; ");
        let _ = writeln!(table, "| {alias} | `{settings}` | {} | {here} | {lines} |", listed(&there));
    }
    Ok(table)
}

/// Returns a few models in words, and of many their number.
fn listed(models: &BTreeSet<String>) -> String {
    match models.len() {
        0 => "none".to_owned(),
        1..=3 => models.iter().map(|model| format!("`{model}`")).collect::<Vec<_>>().join(", "),
        many => format!("{many} models"),
    }
}
