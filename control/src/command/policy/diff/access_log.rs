//! Envoy's access log as envoy/bootstrap.yaml writes it: one JSON object a line, possibly among other lines.
//!
//! The log is streamed line by line, and over-long lines are skipped, so memory does not grow with the log.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use keyswap_core::base::UnixTime;
use keyswap_core::judge::LoggedRequest;
use keyswap_core::price::Nano;
use serde::Deserialize;

use crate::command::terminal::input;

/// Envoy's longest line contains a request head of 60 KiB.
const MAX_LINE_BYTES: usize = 256 * 1024;

/// The fields of a line that replaying needs. Envoy writes null or `-` for an absent field.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    start_time: Option<String>,
    method: Option<String>,
    path: Option<String>,
    status: Option<u16>,
    principal: Option<String>,
    label: Option<String>,
    provider: Option<String>,
    reason: Option<String>,
    model: Option<String>,
    input_tokens: Option<Count>,
    output_tokens: Option<Count>,
    cost_nano_usd: Option<Count>,
}

/// A number as Envoy writes the state of a filter, which is text, or as a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Count {
    Number(u64),
    Text(String),
}

/// A request with the label of its sender.
pub(super) struct Logged<'l> {
    pub(super) request: LoggedRequest<'l>,
    pub(super) label: &'l str,
}

/// A line of a log.
pub(super) enum Line<'l> {
    Request(Logged<'l>),
    /// A JSON object without a request that the filter decided.
    Incomplete,
    /// A line that is not JSON, is too long, or names no method and no path: of another program.
    Foreign,
}

/// Reads a log and shows the progress on the terminal. `now` is the time of requests that have none in the log.
pub(super) fn read(path: &Path, now: UnixTime, mut each: impl FnMut(Line<'_>)) -> anyhow::Result<()> {
    let failed = || format!("cannot read {}", input::name(path));
    let (from, length): (Box<dyn Read>, Option<u64>) = if input::is_stdin(path) {
        (Box::new(io::stdin().lock()), None)
    } else {
        let file = File::open(path).with_context(failed)?;
        let length = file.metadata().ok().map(|about| about.len());
        (Box::new(file), length)
    };
    let progress = progress(length);
    let mut from = BufReader::with_capacity(1 << 16, progress.wrap_read(from));
    let mut line = Vec::new();
    while let Some(fits) = next_line(&mut from, &mut line).with_context(failed)? {
        if !fits {
            each(Line::Foreign);
        } else if !line.trim_ascii().is_empty() {
            with_line(&line, now, &mut each);
        }
    }
    progress.finish_and_clear();
    Ok(())
}

/// Returns a progress bar. It draws only on a terminal.
fn progress(length: Option<u64>) -> ProgressBar {
    let (progress, template) = match length {
        Some(length) => (ProgressBar::new(length), "{bar:40} {bytes}/{total_bytes} {eta}"),
        None => (ProgressBar::new_spinner(), "{spinner} {bytes}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => progress.with_style(style),
        Err(_) => progress,
    }
}

/// Reads the next line. Returns false if the line exceeds [`MAX_LINE_BYTES`], and skips its rest; `None` at the end.
fn next_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    line.clear();
    let limit = u64::try_from(MAX_LINE_BYTES).unwrap_or(u64::MAX);
    if from.by_ref().take(limit).read_until(b'\n', line)? == 0 {
        return Ok(None);
    }
    if line.ends_with(b"\n") || line.len() < MAX_LINE_BYTES {
        return Ok(Some(true));
    }
    from.skip_until(b'\n')?;
    Ok(Some(false))
}

fn with_line(line: &[u8], now: UnixTime, each: &mut impl FnMut(Line<'_>)) {
    if !line.trim_ascii_start().starts_with(b"{") {
        return each(Line::Foreign);
    }
    let Ok(entry) = serde_json::from_slice::<Entry>(line) else { return each(Line::Foreign) };
    each(entry.as_line(now));
}

impl Entry {
    fn as_line(&self, now: UnixTime) -> Line<'_> {
        let (method, path) = (text(self.method.as_ref()), text(self.path.as_ref()));
        if method.or(path).is_none() {
            return Line::Foreign;
        }
        let (Some(method), Some(path), Some(provider), Some(reason)) =
            (method, path, text(self.provider.as_ref()), text(self.reason.as_ref()))
        else {
            return Line::Incomplete;
        };
        let request = LoggedRequest {
            at: text(self.start_time.as_ref()).and_then(UnixTime::from_rfc3339).unwrap_or(now),
            principal: text(self.principal.as_ref()).unwrap_or_default(),
            method,
            path,
            provider,
            reason,
            upgraded: self.status == Some(101),
            model: text(self.model.as_ref()).unwrap_or_default(),
            input: number(self.input_tokens.as_ref()),
            output: number(self.output_tokens.as_ref()),
            cost: number(self.cost_nano_usd.as_ref()).map(Nano),
        };
        Line::Request(Logged { request, label: text(self.label.as_ref()).unwrap_or_default() })
    }
}

/// Returns the number of a field, `None` if it is absent or no number.
fn number(field: Option<&Count>) -> Option<u64> {
    match field? {
        Count::Number(number) => Some(*number),
        Count::Text(text) => text.parse().ok(),
    }
}

/// Returns the value of a field, `None` if it is absent, empty or `-`.
fn text(field: Option<&String>) -> Option<&str> {
    field.map(String::as_str).filter(|text| !matches!(*text, "" | "-"))
}
