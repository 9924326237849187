//! The unmodified SDKs through Wasmtime, with their base URL and a proxy token.

use anyhow::{Context as _, Result, bail, ensure};
use keyswap_tests::{
    TOKEN, Testbed, Wasmtime,
    clients::{
        Call, Event, Mode,
        matrix::{ROWS, Row},
    },
};

/// The SDKs that the providers publish themselves.
const SDKS: [&str; 5] = ["openai", "anthropic", "google-genai", "@anthropic-ai/sdk", "@google/genai"];

/// Returns the rows of these SDKs, in both languages.
fn rows() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().filter(|row| SDKS.contains(&row.library.package) && row.with.is_none())
}

fn start() -> Result<Testbed<Wasmtime>> {
    Testbed::with(|standin| Testbed::wasmtime(standin).start())
}

/// Ensures that the expected request has arrived, without the token.
fn arrived(bed: &Testbed<Wasmtime>, row: &Row, target: &str) -> Result<()> {
    let received = bed.take_clean().with_context(|| row.library.to_string())?;
    received.iter().try_for_each(|request| row.provider.check_credentials(request))?;
    let last = received.last().context("nothing reached the upstream")?;
    ensure!(last.target == target, "{} arrived at {}", row.library, last.target);
    Ok(())
}

#[test]
fn every_sdk_is_answered() -> Result<()> {
    let bed = start()?;
    ensure!(rows().count() >= 8, "there are rows for each SDK and language");
    for row in rows() {
        let base_url = format!("{}{}", bed.host.url(), row.base_path);
        let call = Call { mode: row.mode, base_url: &base_url, token: TOKEN, headers: &[] };
        let events = row.library.run(&call)?;
        let [Event::Done { text }] = &*events else { bail!("{}: no answer but {events:?}", row.library) };
        ensure!(text.contains(&row.provider.credential()), "{}: {text}", row.library);
        arrived(&bed, row, row.target)?;
    }
    Ok(())
}

#[test]
fn every_sdk_gets_its_stream_while_the_rest_is_held_back() -> Result<()> {
    let bed = start()?;
    for row in rows().filter(|row| row.mode != Mode::AuthToken) {
        let held = bed.standin.hold();
        let base_url = format!("{}{}", bed.host.url(), row.base_path);
        let call = Call { mode: Mode::Stream, base_url: &base_url, token: TOKEN, headers: &[] };
        let mut running = row.library.start(&call)?;
        let mut whole = String::new();
        while whole.is_empty() {
            match running.next_event()? {
                Some(Event::Chunk { text }) => whole.push_str(&text),
                event => bail!("{}: no first chunk but {event:?}", row.library),
            }
        }
        held.release();
        let rest = running.finish()?;
        let (last, chunks) = rest.split_last().context("the stream ended with its first event")?;
        let texts = chunks.iter().filter_map(|event| match event {
            Event::Chunk { text } => Some(text.as_str()),
            _ => None,
        });
        whole.extend(texts);
        ensure!(*last == Event::Done { text: whole.clone() }, "{}: {last:?}", row.library);
        ensure!(whole.contains(&row.provider.credential()), "{}: {whole}", row.library);
        arrived(&bed, row, row.stream_target)?;
    }
    Ok(())
}
