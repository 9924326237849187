//! Scanners of bodies.
//!
//! The first bytes of an input choose the form and the slices; the rest is the body. A body in slices is understood like
//! the whole, and nothing panics.

use keyswap_core::body::{
    AnswerHead, AnswerScanner, AwsEvents, AwsPart, Edit, Event, Events, Follower, FormEvent, Frames,
    ListFilter, MODELS, MessagePart, Multipart, Named, Part, Paths, Purposes, RequestScanner, Sender,
};

/// An input, taken apart.
struct Input<'d> {
    choice: u8,
    body: &'d [u8],
    slices: Vec<&'d [u8]>,
}

impl<'d> Input<'d> {
    /// Returns the input that these bytes stand for; `None` where they are too few.
    fn of(data: &'d [u8]) -> Option<Self> {
        let (&[choice, first, second, third], body) = data.split_first_chunk()?;
        let mut cuts = [first, second, third].map(|cut| usize::from(cut) * body.len() / 255);
        cuts.sort_unstable();
        let slices = match first {
            0 => body.chunks(1).collect(),
            _ => vec![&body[..cuts[0]], &body[cuts[0]..cuts[1]], &body[cuts[1]..cuts[2]], &body[cuts[2]..]],
        };
        Some(Self { choice, body, slices })
    }

    /// Checks that slices are understood like the whole.
    fn is_the_same<T: PartialEq + std::fmt::Debug>(&self, understand: impl Fn(&[&'d [u8]]) -> T) {
        assert_eq!(understand(&self.slices), understand(&[self.body]));
    }
}

/// Reads an answer, and cuts it.
pub(super) fn answer(data: &[u8]) {
    const TYPES: [&str; 5] = [
        "application/json",
        "text/event-stream",
        "application/x-ndjson",
        "application/vnd.amazon.eventstream",
        "websocket",
    ];
    let Some(input) = Input::of(data) else { return };
    let content_type = TYPES[usize::from(input.choice) % TYPES.len()];
    let status = if content_type == "websocket" { 101 } else { 200 };
    let head = AnswerHead { status, content_type: Some(content_type), ..AnswerHead::default() };
    let purposes = Purposes { reads_usage: true, cuts_usage_chunk: input.choice & 0x80 != 0 };
    input.is_the_same(|slices| {
        let (mut scanner, mut body) = (AnswerScanner::new(&head, purposes), Vec::new());
        for slice in slices {
            if scanner.feed(slice, &mut body) == Edit::Pass {
                body.extend_from_slice(slice);
            }
        }
        scanner.finish(&mut body);
        assert!(purposes.cuts_usage_chunk || body == slices.concat());
        (format!("{:?}", scanner.finding()), body)
    });
}

/// Reads a request, and adds to it.
pub(super) fn request(data: &[u8]) {
    let Some(input) = Input::of(data) else { return };
    input.is_the_same(|slices| {
        let mut scanner = RequestScanner::new(input.choice & 1 == 1);
        let (mut names, mut body) = (Vec::new(), Vec::new());
        for slice in slices {
            let fed = scanner.feed(slice, &mut |named| {
                names.push(match named {
                    Named::Model(name) | Named::Provider(name) | Named::Endpoint(name) => name.to_owned(),
                    Named::Object(id) | Named::InFile(id) => String::from_utf8_lossy(id).into_owned(),
                    Named::End | Named::UnreadFile | Named::Keeps => String::new(),
                });
            });
            let Ok(splices) = fed else { return None };
            let mut from = 0;
            for splice in splices.iter().flatten() {
                body.extend_from_slice(&slice[from..splice.at]);
                body.extend_from_slice(splice.text.as_bytes());
                from = splice.at;
            }
            body.extend_from_slice(&slice[from..]);
        }
        scanner.finish().ok()?;
        // A request that is taken is JSON, also with what was added to it.
        assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok());
        Some((names, format!("{:?}", scanner.asked()), body))
    });
}

/// Follows a JSON text, and compares with another strict reader.
pub(super) fn json(data: &[u8]) {
    const PATHS: Paths = &[&[], &["a"], &["a", "*", "b"], &["*", "*"]];
    let Some(input) = Input::of(data) else { return };
    input.is_the_same(|slices| {
        let (mut follower, mut told) = (Follower::new(PATHS), Vec::new());
        let mut tell = |event: Event<'_>| match event {
            // Their places are those in the slices.
            Event::End(_) | Event::Closes { .. } => {}
            event => told.push(format!("{event:?}")),
        };
        let fed = slices.iter().try_for_each(|slice| follower.feed(slice, &mut tell));
        let is_json = fed.and_then(|()| follower.finish(&mut tell)).is_ok();
        if is_json && str::from_utf8(input.body).is_ok() {
            assert!(serde_json::from_slice::<serde::de::IgnoredAny>(input.body).is_ok());
        }
        is_json.then_some(told)
    });
}

/// Frames server-sent events.
pub(super) fn events(data: &[u8]) {
    let Some(input) = Input::of(data) else { return };
    input.is_the_same(|slices| {
        let (mut events, mut told) = (Events::default(), Vec::new());
        for slice in slices {
            events.feed(slice, &mut |part, name| match part {
                Part::Data(bytes) => told.extend_from_slice(bytes),
                Part::End { has_data, .. } => told.extend(format!("\0{has_data}{name:?}\0").bytes()),
            });
        }
        told
    });
}

/// Frames event streams of AWS.
pub(super) fn aws(data: &[u8]) {
    let data = with_preludes(data);
    let Some(input) = Input::of(&data) else { return };
    input.is_the_same(|slices| {
        let (mut events, mut told) = (AwsEvents::default(), Vec::new());
        let fed = slices.iter().try_for_each(|slice| {
            events.feed(slice, &mut |part, name| match part {
                AwsPart::Payload(bytes) => told.extend_from_slice(bytes),
                AwsPart::End => told.extend(format!("\0{name:?}\0").bytes()),
            })
        });
        (fed, told)
    });
}

/// Returns an input with right preludes: no fuzzer finds a checksum. The body holds messages, each behind two bytes: the
/// length of its headers and of the rest.
fn with_preludes(data: &[u8]) -> Vec<u8> {
    let Some((first, mut rest)) = data.split_first_chunk::<4>() else { return Vec::new() };
    let mut framed = first.to_vec();
    while let Some((&[headers, others], behind)) = rest.split_first_chunk() {
        let length = (usize::from(headers) + usize::from(others) + 4).min(behind.len());
        let (message, behind) = behind.split_at(length);
        let lengths =
            [12 + u32::try_from(length).unwrap_or(0), u32::from(headers)].map(u32::to_be_bytes).concat();
        framed.extend(&lengths);
        framed.extend(crc32(&lengths).to_be_bytes());
        framed.extend(message);
        rest = behind;
    }
    framed
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

/// Frames WebSocket messages.
pub(super) fn frames(data: &[u8]) {
    let Some(input) = Input::of(data) else { return };
    let sender = if input.choice & 1 == 1 { Sender::Client } else { Sender::Server };
    input.is_the_same(|slices| {
        let (mut frames, mut told) = (Frames::new(sender), Vec::new());
        let fed = slices.iter().try_for_each(|slice| {
            frames.feed(slice, &mut |part| match part {
                MessagePart::Data(bytes) | MessagePart::Binary(bytes) => told.extend_from_slice(bytes),
                MessagePart::End => told.push(0),
            })
        });
        (fed, told)
    });
}

/// Reads a form in parts.
pub(super) fn form(data: &[u8]) {
    let Some(input) = Input::of(data) else { return };
    input.is_the_same(|slices| {
        let mut form = Multipart::new("multipart/form-data; boundary=b", &["model", "stream"]).ok()?;
        let mut told = Vec::new();
        let fed = slices.iter().try_for_each(|slice| {
            form.feed(slice, &mut |event| match event {
                FormEvent::End(_) => {}
                event => told.push(format!("{event:?}")),
            })
        });
        Some((fed.and_then(|()| form.finish()), told))
    });
}

/// Filters a list.
pub(super) fn list(data: &[u8]) {
    let Some(input) = Input::of(data) else { return };
    input.is_the_same(|slices| {
        let (mut filter, mut out) = (ListFilter::new(MODELS), Vec::new());
        let fed = slices
            .iter()
            .try_for_each(|slice| filter.feed(slice, &mut |id| !id.starts_with('x'), &mut out))
            .and_then(|()| filter.finish());
        if fed.is_ok() && str::from_utf8(input.body).is_ok() {
            assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&out).is_ok());
        }
        (fed, out)
    });
}
