//! The client matrix: every library that must work, unmodified, in its users' configuration.
//!
//! A library calls an Envoy. Requests are checked at the stand-in, answers in the program that uses the library.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{
    TOKEN, Testbed,
    clients::{
        Call, Event, Language, Mode,
        matrix::{NODE_GOOGLE, PYTHON_GOOGLE, Provider, ROWS, Row},
    },
    with,
};
use serde_json::json;

#[test]
fn every_python_library_is_answered() -> Result<()> {
    check_rows(Language::Python, answered)
}

#[test]
fn every_node_library_is_answered() -> Result<()> {
    check_rows(Language::Node, answered)
}

#[test]
fn every_python_library_gets_its_stream_while_the_rest_is_held_back() -> Result<()> {
    check_rows(Language::Python, streamed)
}

#[test]
fn every_node_library_gets_its_stream_while_the_rest_is_held_back() -> Result<()> {
    check_rows(Language::Node, streamed)
}

/// Checks all rows of a language. The error lists all failing rows.
fn check_rows(language: Language, check: fn(&Testbed, &Row) -> Result<()>) -> Result<()> {
    let testbed = Testbed::start()?;
    let rows = ROWS.iter().filter(|row| row.library.language == language);
    let failures: Vec<String> = rows
        .filter_map(|row| {
            let failure = check(&testbed, row).err()?;
            testbed.standin.take();
            Some(format!("{}, {:?}, {}: {failure:#}", row.library, row.mode, row.base_path))
        })
        .collect();
    ensure!(failures.is_empty(), "{}", failures.join("\n\n"));
    Ok(())
}

fn answered(testbed: &Testbed, row: &Row) -> Result<()> {
    let base_url = format!("{}{}", testbed.host.url(), row.base_path);
    let events = row.library.run(&call(row.mode, &base_url))?;
    let [Event::Done { text }] = &*events else { anyhow::bail!("no answer but {events:?}") };
    ensure!(text.contains(&row.provider.credential()), "not the upstream's answer: {text}");
    arrived(testbed, row.provider, row.target)
}

fn streamed(testbed: &Testbed, row: &Row) -> Result<()> {
    // The auth token changes the authentication, not the streaming.
    if row.mode == Mode::AuthToken {
        return Ok(());
    }
    let held = testbed.standin.hold();
    let base_url = format!("{}{}", testbed.host.url(), row.base_path);
    let mut running = row.library.start(&call(Mode::Stream, &base_url))?;
    let mut whole = String::new();
    while whole.is_empty() {
        match running.next_event()? {
            Some(Event::Chunk { text }) => whole.push_str(&text),
            event => anyhow::bail!("no first chunk but {event:?}"),
        }
    }
    held.release();

    let rest = running.finish()?;
    let (last, chunks) = rest.split_last().context("the stream ended with its first event")?;
    let later: Vec<&str> = chunks.iter().filter_map(chunk).filter(|text| !text.is_empty()).collect();
    ensure!(!later.is_empty(), "all text came at once: {whole}");
    whole.extend(later);
    ensure!(last == &Event::Done { text: whole.clone() }, "{last:?} instead of {whole}");
    ensure!(whole.contains(&row.provider.credential()), "not the upstream's answer: {whole}");
    arrived(testbed, row.provider, row.stream_target)
}

/// Ensures that the request has arrived. Additional requests of a library, such as for the model's card, are checked
/// too.
fn arrived(testbed: &Testbed, provider: Provider, target: &str) -> Result<()> {
    let received = testbed.take_clean()?;
    received.iter().try_for_each(|request| provider.check(request))?;
    let last = received.last().context("nothing reached the upstream")?;
    ensure!(last.target == target, "it arrived at {}", last.target);
    Ok(())
}

fn call(mode: Mode, base_url: &str) -> Call<'_> {
    Call { mode, base_url, token: TOKEN, headers: &[] }
}

fn chunk(event: &Event) -> Option<&str> {
    if let Event::Chunk { text } = event { Some(text) } else { None }
}

/// curl is tested with `?key=`, as in Google's REST examples.
#[test]
fn curl_is_answered_and_gets_its_stream_while_the_rest_is_held_back() -> Result<()> {
    let testbed = Testbed::start()?;
    let contents = r#"{"contents":[{"parts":[{"text":"Say hello."}]}]}"#;
    let curl = |target: &str| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail-with-body", "--no-buffer", "--noproxy", "*"])
            .args(["--header", "content-type: application/json", "--data", contents])
            .arg(format!("{}{target}", testbed.host.url()));
        curl
    };

    let model = "/v1beta/models/gemini-3-flash";
    let output = curl(&format!("{model}:generateContent?key={TOKEN}")).output().context("install `curl`")?;
    let answer = String::from_utf8(output.stdout)?;
    ensure!(output.status.success() && answer.contains(&Provider::Gemini.credential()), "{answer}");
    arrived(&testbed, Provider::Gemini, &format!("{model}:generateContent"))?;

    let held = testbed.standin.hold();
    let target = format!("{model}:streamGenerateContent?alt=sse&key={TOKEN}");
    let mut child = curl(&target).stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("curl has no output")?).lines();
    let first = lines.next().context("the stream is empty")??;
    ensure!(first.starts_with("data: ") && !first.contains("STOP"), "{first}");
    held.release();
    let rest: Vec<String> = lines.collect::<Result<_, _>>()?;
    ensure!(child.wait()?.success() && rest.iter().any(|line| line.contains("STOP")), "{rest:?}");
    arrived(&testbed, Provider::Gemini, &format!("{model}:streamGenerateContent?alt=sse"))
}

/// An upload starts through Keyswap; its bytes go to the URL in the answer. Python's SDK uses that URL, and sends no
/// real credential there. Node's SDK replaces the URL's host with its base URL, so the bytes pass Keyswap again.
#[test]
fn a_file_is_uploaded_to_the_url_that_the_provider_names() -> Result<()> {
    // No registry keeps the holders of files.
    let policy = with(&Testbed::policy(), &json!({"objects": "shared"}));
    let testbed = Testbed::with(|standin| Testbed::setup_with(&policy, standin).start())?;
    for (library, target) in [(PYTHON_GOOGLE, "/upload/v1/files"), (NODE_GOOGLE, "/upload/v1beta/files")] {
        let base_url = testbed.host.url();
        let events = library.run_trusting(&call(Mode::Upload, &base_url), &testbed.standin.ca_file())?;
        let uri = "https://generativelanguage.googleapis.com/v1beta/files/standin?bytes=15";
        ensure!(events == [Event::Done { text: uri.to_owned() }], "{library}: {events:?}");

        let received = testbed.take_clean()?;
        let [start, bytes] = &*received else { anyhow::bail!("{library}: not two legs but {received:?}") };
        Provider::Gemini.check(start)?;
        ensure!(start.target == target, "{library}: {start:?}");
        ensure!(
            bytes.target == format!("{target}?upload_id=standin&upload_protocol=resumable")
                && bytes.body == b"bytes of a file",
            "{library}: {bytes:?}"
        );
        if library == NODE_GOOGLE {
            Provider::Gemini.check(bytes)?;
        } else {
            let own_address = testbed.standin.address().to_string();
            ensure!(bytes.header("host") == Some(&own_address), "{library}: through Keyswap: {bytes:?}");
            ensure!(
                bytes.credentials().is_empty(),
                "{library}: a credential is on the second leg: {bytes:?}"
            );
            ensure!(
                !bytes.contains("real-gemini-key"),
                "{library}: the real key is on the second leg: {bytes:?}"
            );
        }
    }
    Ok(())
}
