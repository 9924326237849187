//! The scanner of requests: what a body asks for, what is added to it, and what is refused.

use keyswap_core::body::{BodyError, JsonError, Named, RequestBody, RequestForm, RequestScanner, Splice};
use proptest::prelude::*;

/// Returns the body that goes on, the names in it, and what it asks for, of a body that comes in these slices.
fn scan(asks_usage: bool, slices: &[&[u8]]) -> Result<(String, String, String), BodyError> {
    scan_with(RequestScanner::new(asks_usage), slices)
}

fn scan_with(mut request: RequestScanner, slices: &[&[u8]]) -> Result<(String, String, String), BodyError> {
    let (mut sent, mut names) = (Vec::new(), Vec::new());
    for slice in slices {
        let added = request.feed(slice, &mut |named| {
            names.push(match named {
                Named::Model(model) => model.to_owned(),
                Named::Provider(provider) => format!("at {provider}"),
                Named::Endpoint(path) => format!("to {path}"),
                Named::End => return,
                Named::Object(id) => format!("object {}", String::from_utf8_lossy(id)),
                Named::InFile(_) | Named::UnreadFile | Named::Keeps => panic!("no objects are told"),
            });
        })?;
        let mut from = 0;
        for Splice { at, length, text } in added.into_iter().flatten() {
            sent.extend_from_slice(&slice[from..at]);
            sent.extend_from_slice(text.as_bytes());
            from = at + length;
        }
        sent.extend_from_slice(&slice[from..]);
    }
    request.finish()?;
    assert!(request.is_over());
    let asked = request.asked();
    let output = asked.output.map_or_else(|| "-".to_owned(), |output| output.to_string());
    let asked = format!("{}{output}x{}", if asked.stream { "stream " } else { "" }, asked.count);
    Ok((String::from_utf8(sent).unwrap(), names.join(" "), asked))
}

#[test]
fn every_model_that_may_compute_is_told_and_what_the_answer_may_cost() {
    for (body, names, asked) in [
        (r#"{"model":"gpt-5","max_tokens":7}"#, "gpt-5", "7x1"),
        (r#"{"max_completion_tokens":9,"max_tokens":7,"n":3,"model":"a"}"#, "a", "9x3"),
        (r#"{"model":"a","stream":true,"max_output_tokens":1e3}"#, "a", "stream 1000x1"),
        (r#"{"model":null,"models":["a","b"]}"#, "a b", "-x1"),
        (r#"{"model":"a","fallbacks":["b",{"model":"c"}]}"#, "a b c", "-x1"),
        (r#"{"model":"a","tools":[{"type":"image_generation","model":"b"},{"type":"x"}]}"#, "a b", "-x1"),
        (r#"{"requests":[{"custom_id":"1","params":{"model":"a"}},{"params":{"model":"b"}}]}"#, "a b", "-x1"),
        (r#"{"session":{"model":"a","audio":{"input":{"transcription":{"model":"b"}}}}}"#, "a b", "-x1"),
        (r#"{"providerOptions":{"gateway":{"models":["a"]}},"model":"b"}"#, "a b", "-x1"),
        (r#"{"messages":[{"content":"{\"model\":\"x\"}","model":"y"}],"model":"a"}"#, "a", "-x1"),
        (r#"{"generationConfig":{"maxOutputTokens":5,"candidateCount":2}}"#, "", "5x2"),
        (
            r#"[{"provider":"openai","query":{"model":"a"}},{"provider":"groq","query":{}}]"#,
            "at openai a at groq",
            "-x1",
        ),
        (r#"[{"provider":"openai","endpoint":"a/b","query":{}}]"#, "at openai to a/b", "-x1"),
        (r#"{"think":true,"model":"a"}"#, "a", "-x1"),
        (
            r#"{"model":"groq/compound","compound_custom":{"models":{"reasoning_model":"a","answering_model":"b"}}}"#,
            "groq/compound a b",
            "-x1",
        ),
        (r#"{"version":"0123","input":{"model":"x"}}"#, "0123", "-x1"),
        (
            r#"{"tools":[{"type":"openrouter:advisor","parameters":{"model":"a","tools":[{"parameters":{"model":"b"}}]}}],"model":"c"}"#,
            "a b c",
            "-x1",
        ),
        (
            r#"{"tools":[{"parameters":{"analysis_models":["a"]}}],"plugins":[{"model":"b","analysis_models":["c","d"]}]}"#,
            "a b c d",
            "-x1",
        ),
        // The schema of a function's parameters.
        (
            r#"{"tools":[{"parameters":{"properties":{"model":{"type":"string"}},"model":{}}}],"model":"a"}"#,
            "a",
            "-x1",
        ),
        (
            r#"{"requests":[{"params":{"model":"a","tools":[{"model":"b"}],"fallbacks":[{"model":"c"}]}}]}"#,
            "a b c",
            "-x1",
        ),
        (r#"{"model":"a","fallbacks":"default"}"#, "a default", "-x1"),
        (r#"{"requests":[{"params":{"model":"a","fallbacks":"default"}}]}"#, "a default", "-x1"),
        (r#"{"model":"a","method":{"reinforcement":{"grader":{"model":"b"}}}}"#, "a b", "-x1"),
        ("{}", "", "-x1"),
        ("[]", "", "-x1"),
    ] {
        let (sent, told, limits) =
            scan(true, &[body.as_bytes()]).unwrap_or_else(|error| panic!("{body}: {error:?}"));
        assert_eq!((told.as_str(), limits.as_str()), (names, asked), "{body}");
        if !limits.starts_with("stream") {
            assert_eq!(sent, body, "nothing is added");
        }
    }
}

#[test]
fn every_model_that_a_message_of_a_session_names_is_told() {
    for (message, names, asked) in [
        (r#"{"setup":{"model":"a"}}"#, "a", "-x1"),
        (r#"{"session":{"model":"a","input_audio_transcription":{"model":"b"}}}"#, "a b", "-x1"),
        (r#"{"type":"response.create","response":{"model":"a","max_output_tokens":7}}"#, "a", "7x1"),
        (r#"{"type":"response.create","model":"a","tools":[{"model":"b"}]}"#, "a b", "-x1"),
        (
            r#"{"agent":{"think":[{"provider":{"model":"a"}}],"speak":[{"provider":{"model":"b"}}]}}"#,
            "a b",
            "-x1",
        ),
        (r#"{"type":"UpdateThink","think":{"provider":{"model":"a"}}}"#, "a", "-x1"),
        (r#"{"type":"UpdateThink","think":[{"provider":{"model":"a"}}]}"#, "a", "-x1"),
        (r#"{"type":"UpdateSpeak","speak":{"provider":{"model":"a"}}}"#, "a", "-x1"),
        (r#"{"speak":[{"provider":{"model":"a"}},{"provider":{"model":"b"}}]}"#, "a b", "-x1"),
        (
            r#"{"request":{"provider":"openai","endpoint":"a","query":{"model":"b"}}}"#,
            "at openai to a b",
            "-x1",
        ),
    ] {
        let scanned = scan_with(RequestScanner::message(), &[message.as_bytes()]);
        let (sent, told, limits) = scanned.unwrap_or_else(|error| panic!("{message}: {error:?}"));
        assert_eq!((sent.as_str(), told.as_str(), limits.as_str()), (message, names, asked));
    }
}

/// Returns the frame of a binary message of at most 125 bytes.
fn binary(message: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [1, 2, 3, 4];
    let length = u8::try_from(message.len()).unwrap();
    let masked = message.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    [&[0x82, 0x80 | length][..], &MASK].concat().into_iter().chain(masked).collect()
}

#[test]
fn sound_that_begins_as_an_object_is_none_in_whatever_slices_and_an_object_is_one() {
    for (message, expect) in [
        (&[0, b'{', 0xff, 0x22, 0x80][..], Ok("")),
        (&[b'{', 0x80], Ok("")),
        (b"{", Err(BodyError::Json(JsonError::Incomplete))),
        (b"{ \x01\x02\x03\x04 \"model\": sound", Ok("")),
        (br#"{"model":"a"}"#, Ok("a")),
        (br#" {  "model" : "a", "tools": [{"model": "b"}]}"#, Ok("a b")),
        (br#"{"model":["a"]}"#, Err(BodyError::NoText)),
    ] {
        let frame = binary(message);
        for cut in 0..=frame.len() {
            for small in [false, true] {
                let (front, behind) = frame.split_at(cut);
                let slices = if small { frame.chunks(1).collect() } else { vec![front, behind] };
                let mut body = RequestBody::new(RequestForm::Messages, false).unwrap();
                let mut names = Vec::new();
                let fed = slices.iter().try_for_each(|slice| {
                    let mut tell = |named: Named<'_>| {
                        if let Named::Model(model) = named {
                            names.push(model.to_owned());
                        }
                    };
                    body.feed(slice, &mut tell).map(drop)
                });
                assert_eq!(
                    fed.map(|()| names.join(" ")),
                    expect.map(str::to_owned),
                    "{message:?} cut at {cut}"
                );
            }
        }
    }
}

#[test]
fn a_form_tells_how_many_answers_it_asks_for() {
    for (n, count) in [("10", 10), (" 3 ", 3), ("0", 1), ("many", 1)] {
        let form = format!("--b\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n{n}\r\n--b--\r\n");
        let parts = RequestForm::Parts("multipart/form-data; boundary=b");
        let mut body = RequestBody::new(parts, false).unwrap();
        body.feed(form.as_bytes(), &mut |_| {}).unwrap();
        body.finish().unwrap();
        assert_eq!(body.asked().count, count, "{n}");
    }
}

#[test]
fn each_error_of_a_body_has_words_of_its_own() {
    use keyswap_core::body::{FormError, FrameError};
    let errors = [
        BodyError::Json(JsonError::Unexpected),
        BodyError::Json(JsonError::TooDeep),
        BodyError::Json(JsonError::Encoding),
        BodyError::Json(JsonError::Trailing),
        BodyError::Json(JsonError::Incomplete),
        BodyError::Twice,
        BodyError::Alike,
        BodyError::NoText,
        BodyError::NoProvider,
        BodyError::NoEndpoint,
        BodyError::ManyObjects,
        BodyError::ManyModels,
        BodyError::Form(FormError::Malformed),
        BodyError::Frames(FrameError::Compressed),
        BodyError::Frames(FrameError::Malformed),
    ];
    let words: std::collections::BTreeSet<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(words.len(), errors.len());
    assert!(words.iter().all(|words| words.len() > 20), "{words:?}");
}

#[test]
fn the_usage_of_a_stream_is_asked_for_where_the_request_says_nothing_of_it() {
    let option = r#""include_usage":true"#;
    for (body, expect) in [
        (r#"{"stream":true}"#, format!(r#"{{"stream":true,"stream_options":{{{option}}}}}"#)),
        ("{ \"stream\" : true \n} ", format!("{{ \"stream\" : true \n,\"stream_options\":{{{option}}}}} ")),
        (
            r#"{"stream":true,"stream_options":{}}"#,
            format!(r#"{{"stream":true,"stream_options":{{{option}}}}}"#),
        ),
        (
            r#"{"stream_options":{"include_obfuscation":false },"stream":true}"#,
            format!(r#"{{"stream_options":{{"include_obfuscation":false ,{option}}},"stream":true}}"#),
        ),
        (r#"{"stream":true,"stream_options":{"include_usage":false}}"#, String::new()),
        (r#"{"stream":true,"stream_options":{"include_usage":true}}"#, String::new()),
        (r#"{"stream":true,"stream_options" : null , "a":{"stream_options":3}}"#, String::new()),
        (r#"{"stream_options":null,"user":"stream_options","stream":true}"#, String::new()),
        (
            r#"{"stream_options" :  null ,"user":"\"stream_options\":null","stream":true}"#,
            format!(
                r#"{{"stream_options" :  {{{option}}} ,"user":"\"stream_options\":null","stream":true}}"#
            ),
        ),
        (
            r#"{"stream":true,"stream_options":null}"#,
            format!(r#"{{"stream":true,"stream_options":{{{option}}}}}"#),
        ),
        // No member goes into an array.
        (r#"{"stream":true,"stream_options":[]}"#, String::new()),
        (r#"{"stream":true,"stream_options":[{"a":1}]}"#, String::new()),
        (r#"{"stream":false}"#, String::new()),
        (r#"{"stream":"true"}"#, String::new()),
        (r#"{"a":{"stream":true}}"#, String::new()),
    ] {
        let expect = if expect.is_empty() { body.to_owned() } else { expect };
        assert_eq!(scan(true, &[body.as_bytes()]).unwrap().0, expect, "{body}");
        assert_eq!(scan(false, &[body.as_bytes()]).unwrap().0, body, "{body}");
    }
}

#[test]
fn a_request_that_refuses_usage_is_overruled_where_the_word_can_still_be_changed() {
    let overruled = |slices: &[&[u8]]| scan_with(RequestScanner::new(true).overruling(), slices).unwrap().0;
    for (body, expect) in [
        (
            r#"{"stream":true,"stream_options":{"include_usage":false}}"#,
            Some(r#"{"stream":true,"stream_options":{"include_usage":true}}"#),
        ),
        (
            "{\"stream_options\":{ \"include_usage\" :\n false , \"include_obfuscation\":false},\"stream\":true}",
            Some(
                "{\"stream_options\":{ \"include_usage\" :\n true , \"include_obfuscation\":false},\"stream\":true}",
            ),
        ),
        (
            r#"{"stream_options":{"include_obfuscation":false,"include_usage":false},"x":{"include_usage":false}}"#,
            Some(
                r#"{"stream_options":{"include_obfuscation":false,"include_usage":true},"x":{"include_usage":false}}"#,
            ),
        ),
        // What already asks, and what says nothing, is as without.
        (r#"{"stream":true,"stream_options":{"include_usage":true}}"#, None),
        (
            r#"{"stream_options":{"include_usage":null,"a":1}}"#,
            Some(r#"{"stream_options":{"include_usage":null,"a":1,"include_usage":true}}"#),
        ),
        // Where more than one word may be meant, none is changed.
        (r#"{"stream_options":{"include_us\u0061ge":false}}"#, None),
        (r#"{"stream_options":{"a":"\"include_usage","include_usage":false}}"#, None),
        (r#"{"stream_options":{"a":{"include_usage":false},"include_usage":false}}"#, None),
        (r#"{"stream_options":{"include_usage":false,"a":{}}}"#, None),
        (
            r#"{"stream_options":{"include_usage":"false"}}"#,
            Some(r#"{"stream_options":{"include_usage":"false","include_usage":true}}"#),
        ),
    ] {
        assert_eq!(overruled(&[body.as_bytes()]), expect.unwrap_or(body), "{body}");
        let plain = scan_with(RequestScanner::new(false).overruling(), &[body.as_bytes()]).unwrap().0;
        assert_eq!(plain, body, "where no usage is asked for, nothing is changed");
    }
    // A byte that went on cannot be changed: then the request is as its caller wrote it.
    let body = r#"{"stream":true,"stream_options":{"include_usage":false}}"#;
    for cut in 1..body.len() {
        let (first, second) = body.as_bytes().split_at(cut);
        let mut request = RequestScanner::new(true).overruling();
        let sent = overruled(&[first, second]);
        request.feed(first, &mut |_| {}).unwrap();
        request.feed(second, &mut |_| {}).unwrap();
        let is_changed = sent == body.replace("false", "true");
        assert!(is_changed || sent == body, "{cut}: {sent}");
        assert_eq!(request.asked().says_usage, !is_changed, "{cut}");
        assert_eq!(is_changed, !(33..=54).contains(&cut), "{cut}");
    }
}

#[test]
fn a_body_that_upstream_may_read_in_another_way_is_refused() {
    use BodyError::{Alike, NoProvider, NoText, Twice};
    for (body, error) in [
        (r#"{"model":"a","model":"b"}"#, Twice),
        (r#"{"model":"a","model":"a"}"#, Twice),
        (r#"{"model":"a","m\u006fdel":"b"}"#, Twice),
        (r#"{"model":null,"model":"b"}"#, Twice),
        (r#"{"model":"a","stream":false,"stream":true}"#, Twice),
        (r#"{"max_tokens":1,"max_tokens":100000}"#, Twice),
        (r#"{"session":{"model":"a","model":"b"}}"#, Twice),
        (r#"{"tools":[],"tools":[{"model":"b"}]}"#, Twice),
        (r#"{"model":"a","Model":"b"}"#, Alike),
        (r#"{"MODEL":"b"}"#, Alike),
        (r#"{"model":["a"]}"#, NoText),
        (r#"{"model":{"id":"a"}}"#, NoText),
        (r#"{"model":7}"#, NoText),
        // The provider chooses.
        (r#"{"generationConfig":{"routingConfig":{"manualMode":{"modelName":"a"}}}}"#, NoText),
        (r#"{"generation_config":{"routingConfig":{}}}"#, NoText),
        (r#"{"models":[["a"]]}"#, NoText),
        (r#"[{"provider":"openai"},{"query":{}}]"#, NoProvider),
        (r#"[{"provider":["openai"]}]"#, NoText),
    ] {
        assert_eq!(scan(false, &[body.as_bytes()]), Err(error), "{body}");
    }
    for body in [
        r#"{"model":"a"} {"model":"b"}"#,
        r#"{"model":"a"}x"#,
        "{\"model\":\"a\"}\0",
        r#"{"model":"a""#,
        r#"{"model":"a",}"#,
        r"{'model':'a'}",
        r#"{"model":"a" /* b */}"#,
        "\u{feff}{\"model\":\"a\"}",
        "model=a",
        "",
        " ",
    ] {
        assert!(matches!(scan(false, &[body.as_bytes()]), Err(BodyError::Json(_))), "{body}");
    }
    let long = format!(r#"{{"model":"{}"}}"#, "a".repeat(300));
    assert_eq!(scan(false, &[long.as_bytes()]), Err(NoText), "longer than any model's name");
}

proptest! {
    #[test]
    fn slices_make_no_difference(cuts in prop::collection::vec(0_usize..200, 0..12), which in 0_usize..4) {
        let bodies = [
            r#"{"stream":true,"messages":[{"role":"user","content":"\u00e9 \"model\":\"x\" 🦀"}],"model":"gpt-5"}"#,
            r#" {"stream_options":{"include_obfuscation":true},"stream":true,"max_tokens":12,"model":"a"} "#,
            r#"{"model":"a","model":"b"}"#,
            r#"{"requests":[{"params":{"model":"a","max_tokens":7}}]}x"#,
        ];
        let body = bodies[which].as_bytes();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (body.len() + 1)).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let slices: Vec<&[u8]> = cuts.windows(2).map(|cut| &body[cut[0]..cut[1]]).collect();
        prop_assert_eq!(scan(true, &slices), scan(true, &[body]));
    }
}
