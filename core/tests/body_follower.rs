//! The follower of JSON: what it tells, whatever the slices, and what it refuses.

use keyswap_core::body::{Event, Follower, JsonError, MAX_DEPTH, MAX_TEXT_BYTES, Paths, Scalar};
use proptest::prelude::*;
use serde_json::Value;

const PATHS: Paths = &[
    &["model"],
    &["usage", "prompt_tokens"],
    &["usage"],
    &["response", "usage", "details", "cached"],
    &["choices", "*", "usage", "tokens"],
    &["files", "*"],
    &[],
];

/// Returns what is told of a text that comes in these slices.
fn told(paths: Paths, slices: &[&[u8]]) -> Result<Vec<String>, JsonError> {
    let mut follower = Follower::new(paths);
    let mut told = Vec::new();
    let mut before = 0;
    for slice in slices {
        follower.feed(slice, &mut |event| {
            let text = match event {
                Event::Scalar(path, Scalar::Text(text)) => format!("{path}: text {text}"),
                Event::Scalar(path, Scalar::Number(text)) => format!("{path}: number {text}"),
                Event::Scalar(path, other) => format!("{path}: {other:?}"),
                Event::Opens(path) => format!("{path}: opens"),
                Event::Piece(path, piece) => format!("{path}: piece {}", String::from_utf8_lossy(piece)),
                Event::Closes { .. } => return,
                Event::Again(path) => format!("{path}: again"),
                Event::Alike(path) => format!("{path}: alike"),
                Event::End(at) => format!("end at {}", before + at),
            };
            told.push(text);
        })?;
        before += slice.len();
    }
    follower.finish(&mut |event| told.push(format!("at the end {event:?}")))?;
    Ok(told)
}

/// Returns everything that is told of a text in these slices, with the places counted from its beginning, and its fault.
fn all_told(slices: &[&[u8]]) -> (Vec<String>, Result<(), JsonError>) {
    let mut follower = Follower::new(PATHS);
    let (mut told, mut before) = (Vec::new(), 0);
    for slice in slices {
        let fed = follower.feed(slice, &mut |event| {
            told.push(match event {
                Event::Closes { path, at, is_empty } => {
                    format!("{path} closes at {}, {is_empty}", before + at)
                }
                Event::End(at) => format!("end at {}", before + at),
                other => format!("{other:?}"),
            });
        });
        if fed.is_err() {
            return (told, fed);
        }
        before += slice.len();
    }
    let finished = follower.finish(&mut |event| told.push(format!("{event:?}")));
    (told, finished)
}

fn of(text: &str) -> Result<Vec<String>, JsonError> {
    told(PATHS, &[text.as_bytes()])
}

#[test]
fn scalars_at_paths_are_told_in_order() {
    for (text, expect) in [
        (r#"{"model":"gpt-5"}"#, "6: opens, 0: text gpt-5, end at 16"),
        (r#" { "model" : "gpt-5" } "#, "6: opens, 0: text gpt-5, end at 21"),
        (r#"{"a":{"model":"x"},"model":null}"#, "6: opens, 0: Null, end at 31"),
        (r#"{"model":{"model":"x"}}"#, "6: opens, 0: opens, end at 22"),
        (r#"{"model":["x"]}"#, "6: opens, 0: opens, end at 14"),
        (r#"{"m\u006fdel":"a\"\u00e9\ud83e\udd80\n"}"#, "6: opens, 0: text a\"\u{e9}\u{1f980}\n, end at 39"),
        (r#"{"model":"a","model":"b"}"#, "6: opens, 0: text a, 0: again, 0: text b, end at 24"),
        (r#"{"Model":"a","model":"b"}"#, "6: opens, 0: alike, 0: text b, end at 24"),
        (r#"{"usage":{"prompt_tokens":12}}"#, "6: opens, 2: opens, 1: number 12, end at 29"),
        (r#"{"usage":{"prompt_tokens":-1.5e+3}}"#, "6: opens, 2: opens, 1: number -1.5e+3, end at 34"),
        (r#"{"usage":null}"#, "6: opens, 2: Null, end at 13"),
        (r#"{"text":"{\"usage\":{\"prompt_tokens\":9}}"}"#, "6: opens, end at 43"),
        (r#"{"response":{"usage":{"details":{"cached":true}}}}"#, "6: opens, 3: Flag(true), end at 49"),
        (
            r#"{"choices":[{"usage":{"tokens":1}},2,{"usage":{"tokens":3}}]}"#,
            "6: opens, 4: number 1, 4: number 3, end at 60",
        ),
        (r#"{"files":["a",["b"],"c"]}"#, "6: opens, 5: text a, 5: opens, 5: text c, end at 24"),
        (r#"{"files":[]}"#, "6: opens, end at 11"),
        ("{}", "6: opens, end at 1"),
        ("[[],{}]", "6: opens, end at 6"),
        ("\"a\"", "6: text a, end at 2"),
        ("true", "6: Flag(true), end at 3"),
        ("-0", "at the end Scalar(6, Number(\"-0\"))"),
        ("7 ", "6: number 7"),
    ] {
        assert_eq!(of(text).map(|told| told.join(", ")).as_deref(), Ok(expect), "{text}");
    }
}

#[test]
fn the_end_of_what_stands_at_a_path_is_told_with_its_place() {
    let mut ends = Vec::new();
    let mut follower = Follower::new(&[&["a"], &["b", "*"], &[]]);
    let text = br#"{"a":{ },"b":[[1],{},7,[]],"c":{}}"#;
    let fed = follower.feed(text, &mut |event| {
        if let Event::Closes { path, at, is_empty } = event {
            ends.push((path, at, is_empty));
        }
    });
    assert_eq!(fed, Ok(()));
    assert_eq!(ends, [(0, 7, true), (1, 16, false), (1, 19, true), (1, 24, true), (2, 33, false)]);
}

#[test]
fn what_is_not_json_is_refused_and_stays_refused() {
    use JsonError::{Encoding, Incomplete, TooDeep, Trailing, Unexpected};
    let deep = "[".repeat(MAX_DEPTH + 1);
    for (text, error) in [
        ("", Incomplete),
        ("{", Incomplete),
        ("\"a", Incomplete),
        ("tru", Incomplete),
        ("[1", Incomplete),
        ("-", Unexpected),
        ("1.", Unexpected),
        ("{} {}", Trailing),
        ("{}x", Trailing),
        ("nul ", Unexpected),
        ("\u{feff}{}", Unexpected),
        ("{'a':1}", Unexpected),
        ("{a:1}", Unexpected),
        ("{\"a\":1,}", Unexpected),
        ("[1,]", Unexpected),
        ("[1 2]", Unexpected),
        ("[}", Unexpected),
        ("{]", Unexpected),
        ("{\"a\" 1}", Unexpected),
        ("[01]", Unexpected),
        ("[+1]", Unexpected),
        ("[.5]", Unexpected),
        ("[1.]", Unexpected),
        ("[1e]", Unexpected),
        ("[NaN]", Unexpected),
        ("[-true]", Unexpected),
        ("[[-null]]", Unexpected),
        ("[truefalse]", Unexpected),
        ("[null0]", Unexpected),
        ("[\"a\nb\"]", Unexpected),
        (r#"["\x"]"#, Unexpected),
        (r#"["\u00g0"]"#, Unexpected),
        (r#"{"\ud800":1}"#, Encoding),
        (r#"{"model":"\ud800x"}"#, Encoding),
        (r#"{"model":"\ud800\n"}"#, Encoding),
        (r#"{"model":"\udc00"}"#, Encoding),
        (r#"{"model":"\ud800\ud800\udc00"}"#, Encoding),
        (deep.as_str(), TooDeep),
    ] {
        assert_eq!(of(text), Err(error), "{text}");
        let mut follower = Follower::new(PATHS);
        if let Err(error) = follower.feed(text.as_bytes(), &mut |_| {}) {
            assert_eq!(follower.feed(b"{}", &mut |_| panic!("told after an error")), Err(error), "{text}");
            assert_eq!(follower.finish(&mut |_| panic!("told after an error")), Err(error), "{text}");
        }
    }
    let wrong = [&b"{\"model\":\"\xff\"}"[..]];
    assert_eq!(told(PATHS, &wrong), Err(Encoding));
    // Half of a pair that is not told is not this reader's matter.
    assert!(of(r#"{"text":"\ud800"}"#).is_ok());
}

#[test]
fn a_long_text_is_told_as_such_and_takes_no_memory() {
    let longest = "x".repeat(MAX_TEXT_BYTES);
    let told = of(&format!(r#"{{"model":"{longest}"}}"#)).unwrap();
    assert_eq!(told[1], format!("0: text {longest}"));
    assert_eq!(of(&format!(r#"{{"model":"{longest}x"}}"#)).unwrap()[1], "0: Long");
    assert!(of(&format!(r#"{{"{longest}x":{{"model":1}}}}"#)).is_ok());
    assert!(size_of::<Follower>() < 1344, "{} bytes", size_of::<Follower>());
}

/// Returns JSON texts of every form, in which members on paths are frequent.
fn json() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        Just("model"),
        Just("usage"),
        Just("prompt_tokens"),
        Just("response"),
        Just("details"),
        Just("cached"),
        Just("choices"),
        Just("tokens"),
        Just("files"),
        Just("Usage"),
        Just("é\"\\"),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..5).prop_map(|members| {
                members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            }),
        ]
    })
}

/// Returns bytes that change what a text means, or that no text has.
fn damaged_byte() -> impl Strategy<Value = u8> {
    prop_oneof![any::<u8>(), prop::sample::select(br#"[]{}:,"\/u0123eE+-.tfn "#.to_vec())]
}

/// Tells the same by way of the whole document.
fn by_the_whole(value: &Value, on: &[usize], depth: usize, told: &mut Vec<String>) {
    let ends = on.iter().filter(|path| PATHS[**path].len() == depth);
    for path in ends {
        told.push(match value {
            Value::Object(_) | Value::Array(_) => format!("{path}: opens"),
            Value::String(text) => format!("{path}: text {text}"),
            Value::Number(number) => format!("{path}: number {number}"),
            Value::Bool(flag) => format!("{path}: Flag({flag})"),
            Value::Null => format!("{path}: Null"),
        });
    }
    let through = |is_it: &dyn Fn(&str) -> bool| -> Vec<usize> {
        on.iter().copied().filter(|path| PATHS[*path].get(depth).is_some_and(|name| is_it(name))).collect()
    };
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                for path in through(&|other| other != name && other.eq_ignore_ascii_case(name)) {
                    told.push(format!("{path}: alike"));
                }
                by_the_whole(member, &through(&|other| other == name), depth + 1, told);
            }
        }
        Value::Array(items) => {
            for item in items {
                by_the_whole(item, &through(&|name| name == "*"), depth + 1, told);
            }
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn whatever_the_slices_the_same_is_told_as_by_the_whole(
        value in json(),
        pretty in any::<bool>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let value = if value.is_number() { Value::from(vec![value]) } else { value };
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let text = text.as_bytes();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let slices: Vec<&[u8]> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        let mut expect = Vec::new();
        by_the_whole(&value, &[0, 1, 2, 3, 4, 5, 6], 0, &mut expect);
        expect.push(format!("end at {}", text.len() - 1));
        prop_assert_eq!(&told(PATHS, &[text]).unwrap(), &expect);
        prop_assert_eq!(&told(PATHS, &slices).unwrap(), &expect);
        prop_assert_eq!(&told(PATHS, &bytes).unwrap(), &expect);
    }

    #[test]
    fn a_damaged_text_is_told_and_refused_in_the_same_way_whatever_the_slices(
        value in json(),
        pretty in any::<bool>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), damaged_byte()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let mut text = text.into_bytes();
        for (at, is_added, byte) in damage {
            let at = at.index(text.len());
            if is_added { text.insert(at, byte) } else { text[at] = byte }
        }
        let (front, behind) = text.split_at(cut.index(text.len()));
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        let expect = all_told(&bytes);
        prop_assert_eq!(&all_told(&[&text]), &expect);
        prop_assert_eq!(&all_told(&[front, behind]), &expect);
    }

    #[test]
    fn it_takes_what_a_strict_reader_takes_and_nothing_else(text in r#"[\[\]{}:,"\\a0-9eE.+\- tfn\n]{0,24}"#) {
        let strict = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        prop_assert_eq!(told(&[], &[text.as_bytes()]).is_ok(), strict, "{}", text);
    }
}
