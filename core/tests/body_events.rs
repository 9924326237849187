//! The framing of server-sent events, whatever the slices.

use keyswap_core::body::{Events, Part};
use proptest::prelude::*;

/// Returns name and data of each event in slices, and the place behind it in the whole.
fn framed(slices: &[&[u8]]) -> Vec<(Option<String>, Option<String>, usize)> {
    let (mut events, mut data, mut found, mut before) = (Events::default(), Vec::new(), Vec::new(), 0);
    for slice in slices {
        events.feed(slice, &mut |part, name| match part {
            Part::Data(bytes) => data.extend_from_slice(bytes),
            Part::End { at, has_data } => {
                let told = String::from_utf8_lossy(&std::mem::take(&mut data)).into_owned();
                assert!(has_data || told.is_empty());
                found.push((name.map(str::to_owned), has_data.then_some(told), before + at));
            }
        });
        before += slice.len();
    }
    found
}

#[test]
fn events_are_framed_as_the_standard_says() {
    let long = "n".repeat(65);
    for (stream, expect) in [
        ("data: {\"a\":1}\n\n", vec![(None, Some("{\"a\":1}"), 15)]),
        ("data:x\r\n\r\n", vec![(None, Some("x"), 9)]),
        ("data: x\r\rdata: y\n\n", vec![(None, Some("x"), 9), (None, Some("y"), 18)]),
        ("event: ping\ndata: x\n\n", vec![(Some("ping"), Some("x"), 21)]),
        ("data: x\nevent: late\n\n", vec![(Some("late"), Some("x"), 21)]),
        ("event: a\nevent: b\ndata\n\n", vec![(Some("b"), Some(""), 24)]),
        ("data: a\ndata:  b\ndata\n\n", vec![(None, Some("a\n b\n"), 23)]),
        (": comment\n\n", vec![(None, None, 11)]),
        (": OPENROUTER PROCESSING\ndata: x\n\n", vec![(None, Some("x"), 33)]),
        ("id: 7\nretry: 1\ndata: x\n\n", vec![(None, Some("x"), 24)]),
        ("Data: x\ndat: y\ndatas: z\n\n", vec![(None, None, 25)]),
        ("data: a:b: c\n\n", vec![(None, Some("a:b: c"), 14)]),
        ("\u{feff}data: x\n\n", vec![(None, Some("x"), 12)]),
        ("data: x\n\u{feff}data: y\n\n", vec![(None, Some("x"), 20)]),
        ("data: x", vec![]),
        ("data: x\n", vec![]),
        ("", vec![]),
    ] {
        let expect: Vec<_> = expect
            .into_iter()
            .map(|(name, data, at)| (name.map(str::to_owned), data.map(str::to_owned), at))
            .collect();
        assert_eq!(framed(&[stream.as_bytes()]), expect, "{stream:?}");
    }
    assert_eq!(framed(&[format!("event: {long}\ndata: x\n\n").as_bytes()])[0].0, None);
    assert!(size_of::<Events>() < 256, "{} bytes", size_of::<Events>());
}

#[test]
fn the_beginning_of_a_byte_order_mark_is_none() {
    for beginning in [&b"\xef"[..], b"\xef\xbb", b"\xef\xbb\xef", b"\xef\xef\xbb\xbf", b"\xbb\xbf", b"\xbf"] {
        let stream = [beginning, b"data: x\n\ndata: y\n\n"].concat();
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        for slices in [&[&stream[..]][..], &bytes] {
            let data: Vec<_> = framed(slices).into_iter().map(|(_, data, _)| data).collect();
            assert_eq!(data, [None, Some("y".to_owned())], "{beginning:x?}");
        }
    }
    let lines = framed(&[b"\xef\r\n\xbb\xbfdata: x\n\ndata: y\n\n"]);
    assert_eq!(lines.len(), 2, "the mark is read once");
}

proptest! {
    #[test]
    fn whatever_the_slices_the_events_are_the_same(
        stream in "(\u{feff})?((data|event|id|)(:| |: |)(a|é|🦀|:){0,3}(\r\n|\n|\r)){0,12}",
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let stream = stream.as_bytes();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let slices: Vec<&[u8]> = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        let whole = framed(&[stream]);
        // The place behind a CR that an LF follows is told before the LF is seen.
        prop_assert_eq!(&framed(&slices), &whole);
        prop_assert_eq!(&framed(&bytes), &whole);
    }
}
