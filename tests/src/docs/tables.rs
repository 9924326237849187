//! Tables and texts from the code: reasons, lints, clients, providers, alerts, the help of the command.

use std::{collections::BTreeMap, fmt::Write as _, fs, process::Command};

use anyhow::{Context as _, Result, ensure};
use keyswap_core::{answer::Reason, policy};
use serde::Deserialize;

use crate::{
    KEYSWAP,
    agents::{AGENTS, Agent},
    clients::matrix::{ROWS, WS},
    figures::heading,
    releases::RELEASES,
    tools::project_root,
};

const PROVIDERS: &str = "tests/providers.yaml";
const ALERTS: &str = "envoy/prometheus/alerts.yaml";
/// A recorded run of `cargo xtask up`. The test of that command keeps it current.
const FIRST_RUN: &str = "xtask/tests/first-run.txt";
/// The beginning of the exit codes, which every help text has and a page shows once.
const EXIT_CODES: &str = "\nExit codes:";

pub(super) fn reasons() -> String {
    let mut table = heading(&["code", "status", "message to the caller"]);
    for reason in Reason::ALL {
        let _ = writeln!(table, "| [`{reason}`](#{reason}) | {} | {} |", reason.status(), reason.message());
    }
    table
}

pub(super) fn reason(code: &str) -> Result<String> {
    let reason =
        Reason::ALL.into_iter().find(|reason| reason.code() == code).context("there is no such reason")?;
    Ok(format!("Status {}. The caller reads: “{}”", reason.status(), reason.message()))
}

/// Returns the presets with the fields that each sets.
pub(super) fn presets() -> String {
    let mut table = heading(&["preset", "fields"]);
    for name in policy::presets() {
        let fields = policy::preset_fields(name).unwrap_or_default();
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("`{name}: {value}`")).collect();
        let _ = writeln!(table, "| [`{name}`](#{name}) | {} |", fields.join(", "));
    }
    table
}

/// Returns the list that `policy lint --list` prints.
pub(super) fn lints() -> Result<String> {
    keyswap(&["policy", "lint", "--list"])
}

/// Returns the help of a command, without the exit codes.
pub(super) fn help(command: &str) -> Result<String> {
    let words: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
    let text = keyswap(&words)?;
    let text = text.split(EXIT_CODES).next().unwrap_or_default();
    // Empty lines may have blanks.
    let lines: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
    Ok(format!("```text\n{}\n```", lines.join("\n")))
}

fn keyswap(arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(KEYSWAP.path()?);
    // Help shows the values of variables.
    let variables = std::env::vars_os().map(|(name, _)| name);
    for name in variables.filter(|name| name.to_string_lossy().starts_with("KEYSWAP_")) {
        command.env_remove(name);
    }
    let output = command.args(arguments).output()?;
    ensure!(output.status.success(), "`keyswap {}` fails", arguments.join(" "));
    Ok(String::from_utf8(output.stdout)?)
}

pub(super) fn clients() -> Result<String> {
    let mut table = heading(&["language", "library", "release", "base URL"]);
    for row in &ROWS {
        let (name, release) = row.described()?;
        let _ = writeln!(table, "| {:?} | {name} | {release} | `W{}` |", row.library.language, row.base_path);
    }
    let _ = writeln!(table, "| Node | `ws`, realtime | {} | `W/v1/realtime` |", WS.version()?);
    table.push_str("| | `curl` with `?key=` | the machine's | `W` |\n");
    Ok(table)
}

/// Returns the agents that the tests run, with the release and the endpoints of each.
pub(super) fn agents() -> Result<String> {
    let mut table = heading(&["agent", "package", "release", "the token needs", "tested endpoints", "run"]);
    for (place, agent) in AGENTS.iter().enumerate() {
        let runs: Vec<&Agent> = AGENTS.iter().filter(|other| other.name == agent.name).collect();
        if AGENTS.iter().take(place).any(|before| before.name == agent.name) {
            continue;
        }
        let mut providers: Vec<String> = runs.iter().map(|run| format!("`{}`", run.provider.id())).collect();
        providers.dedup();
        let endpoints: Vec<String> = runs.iter().map(|run| format!("`{}`", run.target)).collect();
        let often = if agent.is_always { "always" } else { "weekly" };
        let anchor = agent.name.to_lowercase().replace(' ', "-");
        let (name, package, release) = (agent.name, agent.package, agent.release()?);
        let _ = writeln!(
            table,
            "| [{name}](#{anchor}) | `{package}` | {release} | {} | {} | {often} |",
            providers.join(", "),
            endpoints.join(", ")
        );
    }
    Ok(table)
}

pub(super) fn versions() -> String {
    let mut table = heading(&["host", "release", "tests"]);
    for release in RELEASES {
        let _ = writeln!(table, "| {} | {} | {} |", release.host, release.version, release.tests);
    }
    table
}

pub(super) fn first_run() -> Result<String> {
    let run = fs::read_to_string(project_root().join(FIRST_RUN)).context(FIRST_RUN)?;
    Ok(format!("```text\n{}\n```", run.trim_end()))
}

#[derive(Deserialize)]
struct Providers {
    rows: Vec<Provider>,
}

#[derive(Deserialize)]
struct Provider {
    #[serde(rename = "provider")]
    name: String,
    key: String,
    #[serde(default)]
    billed: bool,
    #[serde(default)]
    http: Vec<Vec<String>>,
    #[serde(default)]
    websocket: Vec<Vec<String>>,
}

/// Returns the table of built-in providers, from the cases that run in every mode of the gateway.
pub(super) fn providers() -> Result<String> {
    let text = fs::read_to_string(project_root().join(PROVIDERS)).context(PROVIDERS)?;
    let providers: Providers = serde_saphyr::from_str(&text)?;
    let mut table = heading(&["name", "example", "own host", "key in", "WebSocket", "unified billing"]);
    for row in &providers.rows {
        let call = row.http.first().or(row.websocket.first()).with_context(|| row.name.clone())?;
        let example = call.first().map_or("", |target| target.split('?').next().unwrap_or_default());
        let host = call.get(2).map_or("", |url| url.split('/').next().unwrap_or_default());
        let host = if host.is_empty() { "none".to_owned() } else { format!("`{host}`") };
        let yes = |does: bool| if does { "yes" } else { "no" };
        let _ = writeln!(
            table,
            "| `{}` | `{example}` | {host} | `{}` | {} | {} |",
            row.name,
            row.key,
            yes(!row.websocket.is_empty()),
            yes(row.billed)
        );
    }
    Ok(table)
}

#[derive(Deserialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    alert: String,
    expr: String,
    #[serde(default, rename = "for")]
    wait: Option<String>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

fn rules() -> Result<Vec<Rule>> {
    let text = fs::read_to_string(project_root().join(ALERTS)).context(ALERTS)?;
    let rules: Rules = serde_saphyr::from_str(&text)?;
    Ok(rules.groups.into_iter().flat_map(|group| group.rules).collect())
}

/// Returns the names of all alerts.
///
/// # Errors
///
/// The rules cannot be read.
pub fn alerts() -> Result<Vec<String>> {
    Ok(rules()?.into_iter().map(|rule| rule.alert).collect())
}

pub(super) fn alert(name: &str) -> Result<String> {
    let rule = rules()?.into_iter().find(|rule| rule.alert == name).context("there is no such alert")?;
    let of = |map: &BTreeMap<String, String>, key: &str| map.get(key).cloned().unwrap_or_default();
    let wait = rule.wait.map(|wait| format!(", after {wait}")).unwrap_or_default();
    Ok(format!(
        "Severity: {}{wait}. “{}”\n\n```promql\n{}\n```",
        of(&rule.labels, "severity"),
        of(&rule.annotations, "summary"),
        rule.expr.trim_end()
    ))
}
