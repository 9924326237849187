//! WebSocket frames and event streams of AWS: what is told of them, whatever the slices, and what is refused.

use keyswap_core::body::{AwsError, AwsEvents, AwsPart, FrameError, Frames, MessagePart, Sender};
use proptest::prelude::*;

use crate::wire;
use crate::wire::{aws_message, aws_message_of, frame};

const MASK: Option<[u8; 4]> = Some([1, 0, 0xff, 0x7f]);

/// Returns the messages that frames in slices hold.
fn messages(sender: Sender, slices: &[&[u8]]) -> Result<Vec<Vec<u8>>, FrameError> {
    let (mut frames, mut message, mut messages) = (Frames::new(sender), Vec::new(), Vec::new());
    for slice in slices {
        let fed = frames.feed(slice, &mut |part| match part {
            MessagePart::Data(data) | MessagePart::Binary(data) => message.extend_from_slice(data),
            MessagePart::End => messages.push(std::mem::take(&mut message)),
        });
        if let Err(error) = fed {
            assert_eq!(frames.feed(b"\x81\0", &mut |_| panic!("told after an error")), Err(error));
            return Err(error);
        }
    }
    Ok(messages)
}

#[test]
fn messages_are_put_together_from_frames() {
    let long = vec![b'x'; 126];
    let longer = vec![b'y'; 0x1_0000];
    for mask in [None, MASK] {
        let sender = if mask.is_some() { Sender::Client } else { Sender::Server };
        for (frames, expect) in [
            (vec![], vec![]),
            (vec![frame(0x81, b"", mask)], vec![&b""[..]]),
            (vec![frame(0x81, b"a", mask), frame(0x82, b"b", mask)], vec![b"a", b"b"]),
            (vec![frame(0x82, &long, mask)], vec![&long]),
            (vec![frame(0x82, &longer, mask)], vec![&longer]),
            (
                vec![
                    frame(1, b"a", mask),
                    frame(0x89, b"ping", mask),
                    frame(0, b"", mask),
                    frame(0x8a, b"", mask),
                    frame(0x80, b"b", mask),
                ],
                vec![b"ab"],
            ),
            (vec![frame(1, b"a", mask)], vec![]),
            (vec![frame(0x88, &[3, 232], mask)], vec![]),
        ] {
            let bytes = frames.concat();
            let expect: Vec<Vec<u8>> = expect.into_iter().map(<[u8]>::to_vec).collect();
            assert_eq!(messages(sender, &[&bytes]), Ok(expect), "{frames:x?}");
        }
    }
    assert!(size_of::<Frames>() < 128, "{} bytes", size_of::<Frames>());
}

#[test]
fn frames_that_cannot_be_read_are_refused() {
    use FrameError::{Compressed, Malformed};
    let long = vec![0; 126];
    for (bytes, error) in [
        (frame(0xc1, b"a", None), Compressed),
        (frame(0xc2, b"a", None), Compressed),
        (frame(0xa1, b"a", None), Malformed),
        (frame(0x91, b"a", None), Malformed),
        (frame(0x83, b"a", None), Malformed),
        (frame(0x8b, b"a", None), Malformed),
        (frame(0x81, b"a", MASK), Malformed),
        (frame(0x80, b"a", None), Malformed),
        (frame(0xc9, b"a", None), Malformed),
        ([frame(1, b"a", None), frame(0x81, b"b", None)].concat(), Malformed),
        ([frame(1, b"a", None), frame(0xc0, b"b", None)].concat(), Malformed),
        (frame(9, b"a", None), Malformed),
        (frame(0x89, &long, None), Malformed),
        (vec![0x81, 126, 0, 125], Malformed),
        (vec![0x81, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff], Malformed),
        (vec![0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], Malformed),
    ] {
        assert_eq!(messages(Sender::Server, &[&bytes]), Err(error), "{bytes:x?}");
    }
    assert_eq!(messages(Sender::Client, &[&frame(0x81, b"a", None)]), Err(Malformed));
}

/// Returns type and payload of each message in slices.
#[expect(clippy::type_complexity, reason = "a list of pairs")]
fn events(slices: &[&[u8]]) -> Result<Vec<(Option<String>, Vec<u8>)>, AwsError> {
    let (mut events, mut payload, mut found) = (AwsEvents::default(), Vec::new(), Vec::new());
    for slice in slices {
        let fed = events.feed(slice, &mut |part, event_type| match part {
            AwsPart::Payload(bytes) => payload.extend_from_slice(bytes),
            AwsPart::End => found.push((event_type.map(str::to_owned), std::mem::take(&mut payload))),
        });
        if let Err(error) = fed {
            assert_eq!(events.feed(b"x", &mut |_, _| panic!("told after an error")), Err(error));
            return Err(error);
        }
    }
    Ok(found)
}

/// Headers of every type of value, with the type of the event among them.
const HEADERS: &[u8] = b"\x01a\x00\x01b\x01\x01c\x02\x09\x01d\x03\x09\x09\x01e\x04\x09\x09\x09\x09\
    \x01f\x05\x09\x09\x09\x09\x09\x09\x09\x09\x01g\x06\x00\x02\x00\x01\x0b:event-type\x07\x00\x05chunk\x01h\x07\x00\x00\
    \x01i\x08\x09\x09\x09\x09\x09\x09\x09\x09\x01j\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09";

#[test]
fn messages_of_aws_are_told_with_their_type() {
    // Of the test vectors of aws-c-event-stream.
    let published = hex::decode("000000100000000005c248eb7d98c8ff").unwrap();
    assert_eq!(aws_message(&[], b""), published);
    for (bytes, expect) in [
        (published, vec![(None, "")]),
        (aws_message(&[(":event-type", "metadata")], b"{}"), vec![(Some("metadata"), "{}")]),
        (aws_message(&[(":event-type", "")], b"{}"), vec![(None, "{}")]),
        (aws_message(&[(":exception-type", "x")], b"{}"), vec![(None, "{}")]),
        (aws_message_of(HEADERS, b"x"), vec![(Some("chunk"), "x")]),
        (
            [aws_message(&[(":event-type", "a")], b"x"), aws_message(&[], b"y")].concat(),
            vec![(Some("a"), "x"), (None, "y")],
        ),
    ] {
        let own = |(name, payload): (Option<&str>, &str)| (name.map(str::to_owned), payload.into());
        assert_eq!(events(&[&bytes]), Ok(expect.into_iter().map(own).collect()), "{bytes:x?}");
    }
    assert!(size_of::<AwsEvents>() < 256, "{} bytes", size_of::<AwsEvents>());
}

#[test]
fn bytes_that_are_no_event_stream_of_aws_are_refused() {
    let good = aws_message(&[(":event-type", "a")], b"x");
    for place in 0..12 {
        let mut wrong = good.clone();
        wrong[place] ^= 1;
        assert_eq!(events(&[&wrong]), Err(AwsError), "{place}");
    }
    for headers in [&b"\x00"[..], b"\x05a", b"\x01a\x0a", b"\x01a\x07\x00\x05a", b"\x01a\x07\x00", b"\x01a"] {
        assert_eq!(events(&[&aws_message_of(headers, b"x")]), Err(AwsError), "{headers:x?}");
    }
}

proptest! {
    #[test]
    fn whatever_the_slices_the_messages_are_the_same(
        lines in "([a-zé{}\":]{0,300}\n){0,6}",
        mask in any::<Option<[u8; 4]>>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let sender = if mask.is_some() { Sender::Client } else { Sender::Server };
        let bytes = wire::messages(&lines, mask);
        let expect: Vec<_> = lines.lines().map(|line| line.as_bytes().to_vec()).collect();
        let ones: Vec<_> = bytes.chunks(1).collect();
        prop_assert_eq!(&messages(sender, &[&bytes]), &Ok(expect.clone()));
        prop_assert_eq!(&messages(sender, &wire::slices(&bytes, &cuts)), &Ok(expect.clone()));
        prop_assert_eq!(&messages(sender, &ones), &Ok(expect));
        let stream: Vec<u8> =
            lines.lines().flat_map(|line| aws_message_of(HEADERS, line.as_bytes())).collect();
        let expect = events(&[&stream]);
        prop_assert!(expect.is_ok());
        let ones: Vec<_> = stream.chunks(1).collect();
        prop_assert_eq!(&events(&wire::slices(&stream, &cuts)), &expect);
        prop_assert_eq!(&events(&ones), &expect);
    }

    #[test]
    fn no_bytes_make_a_framing_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = messages(Sender::Client, &[&bytes]);
        let _ = messages(Sender::Server, &[&bytes]);
        let _ = events(&[&bytes]);
    }
}
