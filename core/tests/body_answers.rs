//! The usage of answers of every form, whatever the slices, and the cut of the chunk that nobody asked for.
//!
//! `core/tests/bodies` holds answers as providers give them, and `expected.json` their usage.

#![expect(clippy::disallowed_methods, reason = "this is a test, not the engine")]

use std::path::Path;

use keyswap_core::body::{
    AnswerHead, AnswerScanner, Edit, Finding, Purposes, TOKEN_COUNT_HEADERS, Unmetered, Usage,
};
use proptest::prelude::*;
use serde_json::Value;

use crate::wire;

/// An answer, and what is expected of it.
struct Answer {
    name: String,
    body: Vec<u8>,
    expect: Value,
}

/// The findings of a scan, and the bytes that went on.
#[derive(Debug, PartialEq)]
struct Told {
    usage: Result<Usage, Unmetered>,
    texts: [Option<String>; 4],
    events_with_content: u64,
    is_whole: bool,
    has_ended: bool,
    body: Vec<u8>,
}

const BOTH: Purposes = Purposes { reads_usage: true, cuts_usage_chunk: true };
const READS: Purposes = Purposes { reads_usage: true, cuts_usage_chunk: false };

fn answers() -> Vec<Answer> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bodies");
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let expected: Value = serde_json::from_slice(&read("expected.json")).unwrap();
    let expected = expected.as_object().unwrap();
    let answer = |(name, expect): (&String, &Value)| {
        let text = read(name);
        let body = match Path::new(name).extension().and_then(|extension| extension.to_str()) {
            Some("aws") => wire::aws_stream(str::from_utf8(&text).unwrap()),
            Some("ws") => wire::messages(str::from_utf8(&text).unwrap(), None),
            _ => text,
        };
        Answer { name: name.clone(), body, expect: expect.clone() }
    };
    expected.iter().map(answer).collect()
}

impl Answer {
    fn scanner(&self, purposes: Purposes) -> AnswerScanner {
        let header = |name: &str| self.expect["headers"][name].as_str();
        AnswerScanner::new(
            &AnswerHead {
                status: self.expect["status"].as_u64().map_or(200, |status| u16::try_from(status).unwrap()),
                content_type: self.expect["content_type"].as_str(),
                content_encoding: header("content-encoding"),
                token_counts: TOKEN_COUNT_HEADERS.map(header),
            },
            purposes,
        )
    }

    /// Scans a body that comes in these slices.
    fn told(&self, purposes: Purposes, slices: &[&[u8]]) -> Told {
        let (mut scanner, mut body) = (self.scanner(purposes), Vec::new());
        for slice in slices {
            let mut out = Vec::new();
            match scanner.feed(slice, &mut out) {
                Edit::Pass => {
                    assert!(out.is_empty());
                    body.extend_from_slice(slice);
                }
                Edit::Replace => body.extend(out),
            }
        }
        scanner.finish(&mut body);
        let Finding { usage, model, tier, speed, region, events_with_content, is_whole, has_ended, .. } =
            scanner.finding();
        let texts = [model, tier, speed, region].map(|text| text.map(str::to_owned));
        Told { usage, texts, events_with_content, is_whole, has_ended, body }
    }

    fn expected_usage(&self) -> Result<Usage, Unmetered> {
        let Some(members) = self.expect["usage"].as_object() else {
            return Err(match self.expect["unmetered"].as_str().unwrap() {
                "Untold" => Unmetered::Untold,
                "Broken" => Unmetered::Broken,
                "Form" => Unmetered::Form,
                "Encoded" => Unmetered::Encoded,
                other => panic!("{}: {other}", self.name),
            });
        };
        let mut usage = Usage::default();
        for (member, count) in members {
            let place = match member.as_str() {
                "input" => &mut usage.input,
                "cached" => &mut usage.cached,
                "cache_write" => &mut usage.cache_write,
                "cache_write_1h" => &mut usage.cache_write_1h,
                "audio_input" => &mut usage.audio_input,
                "image_input" => &mut usage.image_input,
                "output" => &mut usage.output,
                "reasoning" => &mut usage.reasoning,
                "audio_output" => &mut usage.audio_output,
                "image_output" => &mut usage.image_output,
                other => panic!("{}: {other}", self.name),
            };
            *place = count.as_u64().unwrap();
        }
        Ok(usage)
    }

    /// Returns the body without the chunk that is cut: the paragraph of the event stream that has this usage only.
    fn cut_body(&self) -> Vec<u8> {
        let text = String::from_utf8(self.body.clone()).unwrap();
        let is_cut = |event: &str| {
            let data = event.lines().filter_map(|line| line.strip_prefix("data:")).collect::<String>();
            serde_json::from_str::<Value>(&data).is_ok_and(|chunk| {
                chunk["usage"].is_object() && chunk["choices"].as_array().is_none_or(Vec::is_empty)
            })
        };
        text.split_inclusive("\n\n").filter(|event| !is_cut(event)).collect::<String>().into_bytes()
    }

    fn is_cut(&self) -> bool {
        self.expect["cut"] == true
    }
}

#[test]
fn the_usage_of_every_form_is_found() {
    for answer in answers() {
        let told = answer.told(READS, &[&answer.body]);
        assert_eq!(told.usage, answer.expected_usage(), "{}", answer.name);
        let texts = ["model", "tier", "speed", "region"].map(|text| answer.expect[text].as_str());
        assert_eq!(told.texts.each_ref().map(|text| text.as_deref()), texts, "{}", answer.name);
        let events = answer.expect["events_with_content"].as_u64().unwrap_or(0);
        assert_eq!(told.events_with_content, events, "{}", answer.name);
        assert_eq!(told.body, answer.body, "{}: reading changes nothing", answer.name);
        let is_whole = !matches!(told.usage, Err(Unmetered::Broken | Unmetered::Form | Unmetered::Encoded));
        assert_eq!(told.is_whole, is_whole, "{}", answer.name);
        assert_eq!(told.has_ended, told.usage != Err(Unmetered::Broken), "{}", answer.name);
    }
}

#[test]
fn the_head_says_how_a_body_is_read() {
    let body = br#"{"usage":{"prompt_tokens":7}}"#;
    let found = |status, content_type, content_encoding| {
        let head = AnswerHead { status, content_type, content_encoding, ..AnswerHead::default() };
        let mut scanner = AnswerScanner::new(&head, READS);
        scanner.feed(body, &mut Vec::new());
        scanner.finish(&mut Vec::new());
        scanner.finding().usage.map(|usage| usage.input)
    };
    for (status, content_type, content_encoding, expect) in [
        (200, Some("application/json"), None, Ok(7)),
        (201, Some(" Application/JSON ; charset=utf-8"), Some(" Identity "), Ok(7)),
        (200, Some("application/vnd.api+json"), Some(""), Ok(7)),
        (200, Some("application/jsonl"), None, Ok(7)),
        (200, Some("text/plain"), None, Err(Unmetered::Form)),
        (200, Some("json"), None, Err(Unmetered::Form)),
        (200, None, None, Err(Unmetered::Form)),
        (200, Some("audio/mpeg"), None, Err(Unmetered::Form)),
        (200, Some("application/json"), Some("br"), Err(Unmetered::Encoded)),
        (200, Some("text/event-stream"), Some("gzip, identity"), Err(Unmetered::Encoded)),
        (200, Some("text/event-stream"), None, Err(Unmetered::Untold)),
        (101, None, None, Err(Unmetered::Broken)),
        (400, Some("application/json"), None, Ok(7)),
        (400, Some("text/html"), None, Ok(0)),
        (503, None, Some("gzip"), Ok(0)),
    ] {
        assert_eq!(found(status, content_type, content_encoding), expect, "{status} {content_type:?}");
    }
}

#[test]
fn an_answer_that_is_not_read_passes() {
    for answer in answers() {
        let told = answer.told(Purposes::default(), &[&answer.body]);
        assert_eq!(told.body, answer.body, "{}", answer.name);
        assert_eq!(told.events_with_content, 0, "{}", answer.name);
    }
}

#[test]
fn the_usage_chunk_is_cut_and_every_other_byte_stays() {
    for answer in answers().into_iter().filter(Answer::is_cut) {
        let cut = answer.cut_body();
        assert!(cut.len() < answer.body.len(), "{}", answer.name);
        let bytes: Vec<&[u8]> = answer.body.chunks(1).collect();
        for slices in [&[&answer.body[..]][..], &bytes] {
            let told = answer.told(BOTH, slices);
            assert_eq!(String::from_utf8_lossy(&told.body), String::from_utf8_lossy(&cut), "{}", answer.name);
            assert_eq!(told.usage, answer.expected_usage(), "{}", answer.name);
        }
    }
}

/// Returns the forms in which the same event stream may be written.
fn respelled(stream: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8(stream.to_vec()).unwrap();
    vec![
        text.replace('\n', "\r\n").into_bytes(),
        text.replace('\n', "\r").into_bytes(),
        text.replace("data: ", "data:").into_bytes(),
        text.replace("data: ", ": a comment\ndata: ").into_bytes(),
        text.replace("\n\n", "\nid: 7\n\n").into_bytes(),
        text.replace(",\"created\"", "\ndata: ,\"created\"").into_bytes(),
        format!("\u{feff}{text}").into_bytes(),
    ]
}

#[test]
fn a_stream_tells_the_same_in_every_spelling() {
    let is_stream = |answer: &Answer| answer.body.starts_with(b"data:") || answer.body.starts_with(b"event:");
    for answer in answers().into_iter().filter(is_stream) {
        let whole = answer.told(BOTH, &[&answer.body]);
        let cut = respelled(&whole.body);
        for (body, cut) in respelled(&answer.body).into_iter().zip(cut) {
            let bytes: Vec<&[u8]> = body.chunks(1).collect();
            for slices in [&[&body[..]][..], &bytes] {
                let told = answer.told(BOTH, slices);
                assert_eq!(told.usage, whole.usage, "{}: {}", answer.name, String::from_utf8_lossy(&body));
                assert_eq!(
                    String::from_utf8_lossy(&told.body),
                    String::from_utf8_lossy(&cut),
                    "{}",
                    answer.name
                );
            }
        }
    }
}

/// Returns the answer of a name, with another body.
fn with_body(name: &str, body: String) -> Answer {
    let answer = answers().into_iter().find(|answer| answer.name == name).unwrap();
    Answer { body: body.into_bytes(), ..answer }
}

#[test]
fn a_usage_counts_only_where_the_api_tells_it() {
    let usage = r#"{"prompt_tokens":7,"completion_tokens":8,"input_tokens":9,"output_tokens":9}"#;
    let text = usage.replace('"', "\\\"");
    for forged in [
        format!(r#"{{"choices":[{{"message":{{"content":"{{\"usage\":{text}}}"}}}}]}}"#),
        format!(r#"{{"choices":[{{"message":{{"usage":{usage}}}}}]}}"#),
        format!(r#"{{"choices":[{{"message":{{"content":[{{"usage":{usage}}}]}}}}]}}"#),
        format!(
            r#"{{"content":[{{"type":"tool_use","input":{{"usage":{usage},"message":{{"usage":{usage}}}}}}}]}}"#
        ),
        format!(r#"{{"output":[{{"arguments":"{{\"response\":{{\"usage\":{text}}}}}","usage":{usage}}}]}}"#),
        format!(r#"{{"response":{{"metadata":{{"usage":{usage}}},"output":[{{"usage":{usage}}}]}}}}"#),
        format!(r#"{{"metadata":{{"usage":{usage}}},"user":"usage","tools":[{{"usage":{usage}}}]}}"#),
        format!(r#"{{"usage":{{"details":{usage},"x":[{usage}]}}}}"#),
        format!(r#"{{"usage":[{usage}],"Usage":{usage},"usage ":{usage},"us\u0061ges":{usage}}}"#),
        format!(r#"{{"{{\"usage\":":{usage}}}"#),
        format!(r#"[{{"usage":{usage}}},[{{"usageMetadata":{{"promptTokenCount":5}}}}]]"#),
        r#"{"usage":"prompt_tokens","usage":null,"usage":5}"#.to_owned(),
        r#"{"usage":{"prompt_tokens":"7","completion_tokens":null,"input_tokens":[7],"output_tokens":true}}"#
            .to_owned(),
        r#"{"usage":{"prompt_tokens":-7,"completion_tokens":1e3}}"#.to_owned(),
    ] {
        for (name, body) in [
            ("openai-chat.json", forged.clone()),
            ("openai-chat.sse", format!("data: {forged}\n\n: {forged}\nid: {forged}\nevent: {forged}\n\n")),
            ("openai-batch-results.jsonl", format!("{forged}\n")),
        ] {
            let answer = with_body(name, body);
            assert_eq!(answer.told(READS, &[&answer.body]).usage, Err(Unmetered::Untold), "{forged}");
        }
    }
    // An escaped name is the same name.
    let answer = with_body("openai-chat.json", format!(r#"{{"us\u0061ge":{usage}}}"#));
    assert_eq!(answer.told(READS, &[&answer.body]).usage.map(|usage| usage.input), Ok(7));
}

#[test]
fn a_text_of_a_stream_that_breaks_off_leaves_the_others_whole() {
    let good = r#"{"response":{"usage":{"input_tokens":7,"output_tokens":8}}}"#;
    for broken in [
        r#"{"response":{"usage":{"input_tokens":5"#,
        r#"{"response":{"usage":{"input_tokens":5,x"#,
        r#"{"response":{"usage":{"iterations":[{"type":"compaction","input_tokens":"#,
        r#"{"choices":[{"usage":{"a":[[["#,
        r#"{"x":[{"y":{"#,
        r#"{"text":"\u00"#,
        "{\"text\":\"\\",
        "[DONE]",
        "nul",
    ] {
        for body in
            [format!("data: {broken}\n\ndata: {good}\n\n"), format!("data: {good}\n\ndata: {broken}\n\n")]
        {
            let answer = with_body("openai-responses.sse", body);
            let usage = answer.told(READS, &[&answer.body]).usage.map(|usage| usage.output);
            assert_eq!(usage, Ok(8), "{broken}");
        }
        let answer = with_body("openai-batch-results.jsonl", format!("{good}\n{broken}\n{good}\n"));
        let usage = answer.told(READS, &[&answer.body]).usage.map(|usage| usage.output);
        assert_eq!(usage, Ok(16), "{broken}");
    }
}

#[test]
fn only_the_chunk_that_tells_nothing_but_usage_is_cut() {
    let usage = r#""usage":{"prompt_tokens":7}"#;
    for (stream, stays) in [
        (format!("data: {{\"choices\":[],{usage}}}\n\n"), false),
        (format!("data: {{{usage},\"choices\":null}}\n\n"), false),
        (format!("data: {{{usage}}}\n\n"), false),
        (format!("data: {{\"error\":null,{usage}}}\n\n"), false),
        (format!("event: x\nid: 1\ndata: {{{usage}}}\n\n"), false),
        // The last event, without the empty line.
        (format!("data: {{{usage}}}\n"), false),
        (format!("data: {{\"choices\":[{{}}],{usage}}}\n\n"), true),
        (format!("data: {{{usage},\"choices\":[{{}}]}}\n\n"), true),
        (format!("data: {{\"error\":{{}},{usage}}}\n\n"), true),
        (format!("data: {{{usage}\n\n"), true),
        (format!("data: {{{usage}}}}}\n\n"), true),
        (format!("data: {{{usage},\"x\":\"{}\"}}\n\n", "x".repeat(5000)), true),
        ("data: {\"choices\":[],\"usage\":null}\n\n".to_owned(), true),
        ("data: {\"choices\":[]}\n\n".to_owned(), true),
        ("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7}".to_owned(), true),
        (": comment\n\n\n\n".to_owned(), true),
        ("data: [DONE]\n\n".to_owned(), true),
        ("data: [DONE]".to_owned(), true),
    ] {
        for (before, behind) in [("", ""), ("data: {\"choices\":[{}]}\n\n", ""), ("\n", "data: [DONE]\n\n")] {
            if !behind.is_empty() && !stream.ends_with("\n\n") {
                continue;
            }
            for end in ["\n", "\r\n", "\r"] {
                let spelled = |text: &str| text.replace('\n', end);
                let answer = with_body("openai-chat.sse", spelled(&format!("{before}{stream}{behind}")));
                let expect =
                    if stays { answer.body.clone() } else { spelled(&format!("{before}{behind}")).into() };
                let halves = answer.body.split_at(answer.body.len() / 2);
                let bytes: Vec<&[u8]> = answer.body.chunks(1).collect();
                for slices in [&[&answer.body[..]][..], &[halves.0, halves.1], &bytes] {
                    let told = answer.told(BOTH, slices).body;
                    assert!(told == expect, "{stream:?} {}", String::from_utf8_lossy(&told));
                }
            }
        }
    }
}

#[test]
fn an_event_goes_on_as_soon_as_it_is_known_to_stay() {
    let answer = with_body("openai-chat.sse", String::new());
    let mut scanner = answer.scanner(BOTH);
    let mut fed = |slice: &str| {
        let mut out = Vec::new();
        let edit = scanner.feed(slice.as_bytes(), &mut out);
        (edit, String::from_utf8(out).unwrap())
    };
    let replaced = |text: &str| (Edit::Replace, text.to_owned());
    let passed = (Edit::Pass, String::new());
    assert_eq!(fed("data: {\"id\":1,"), replaced(""));
    assert_eq!(fed("\"choices\":["), replaced(""));
    assert_eq!(fed("{\"index\""), replaced("data: {\"id\":1,\"choices\":[{\"index\""));
    assert_eq!(fed(":0}]"), passed);
    assert_eq!(fed("}\n\n"), passed);
    assert_eq!(fed("data: {\"choices\":[{}]}\n\n"), passed);
    assert_eq!(fed("data: {\"choices\":[{}]}\n\ndata: {"), replaced("data: {\"choices\":[{}]}\n\n"));
    assert_eq!(fed("\"usage\":{}}\n"), replaced(""));
    assert_eq!(fed("\n"), replaced(""));
    assert_eq!(fed("data: [DONE]"), passed);
}

#[test]
fn an_answer_takes_little_memory_and_linear_time() {
    // With the boxed framing and an event that is held, below 8 KiB.
    assert!(size_of::<AnswerScanner>() < 2816, "{} bytes", size_of::<AnswerScanner>());
    let chunk =
        "data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    let long = format!("data: {{\"text\":\"{}\"}}\n\n", "x".repeat(100_000));
    for stream in
        [chunk.repeat(1000), long, "data: ".repeat(10_000), ":".repeat(100_000), "\n".repeat(100_000)]
    {
        let answer = with_body("openai-chat.sse", stream);
        let (mut scanner, mut out, mut moved) = (answer.scanner(BOTH), Vec::new(), 0);
        for slice in answer.body.chunks(1) {
            scanner.feed(slice, &mut out);
            moved += out.len();
            // Memory that grew once is not moved again.
            out.clear();
            assert!(out.capacity() <= 8192);
        }
        assert!(moved <= answer.body.len(), "{moved} bytes were put out");
    }
}

proptest! {
    // With 50 answers, more than 10,000 cuts.
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_the_slices_the_same_is_told(
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 1..10),
    ) {
        for answer in answers() {
            let slices = wire::slices(&answer.body, &cuts);
            prop_assert_eq!(
                answer.told(BOTH, &slices), answer.told(BOTH, &[&answer.body]), "{}: {:?}", answer.name, cuts
            );
        }
    }
}
