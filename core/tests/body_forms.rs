//! Forms in parts: the texts of judged fields, whatever the slices, and every form that readers could understand in two
//! ways.

use keyswap_core::body::{FormError, FormEvent, MAX_TEXT_BYTES, Multipart};
use proptest::prelude::*;

use crate::wire;

const NAMES: &[&str] = &["model", "stream", "response_format"];
const TYPE: &str = "multipart/form-data; boundary=b-1";

/// Returns what is told of a form in slices.
fn told(content_type: &str, slices: &[&[u8]]) -> Result<Vec<String>, FormError> {
    let (mut form, mut told, mut before) = (Multipart::new(content_type, NAMES)?, Vec::new(), 0);
    for slice in slices {
        let fed = form.feed(slice, &mut |event| {
            told.push(match event {
                FormEvent::Text(field, text) => format!("{field}: {text}"),
                FormEvent::Long(field) => format!("{field}: long"),
                FormEvent::End(at) => format!("end at {}", before + at),
                FormEvent::File(_) | FormEvent::FileEnd => panic!("no objects are told"),
            });
        });
        if let Err(error) = fed {
            assert_eq!(form.feed(b"x", &mut |_| panic!("told after an error")), Err(error));
            assert_eq!(form.finish(), Err(error));
            return Err(error);
        }
        before += slice.len();
    }
    form.finish()?;
    Ok(told)
}

fn of(form: &str) -> Result<Vec<String>, FormError> {
    told(TYPE, &[form.as_bytes()])
}

/// Returns a form of a file, in which nearly such a part stands, and of two such parts.
fn twice(head: &str, content: &str) -> String {
    let file =
        "Content-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\nContent-Type: audio/mpeg";
    let part = format!("{head}\r\n\r\n{content}");
    format!("--b-1\r\n{file}\r\n\r\n\r\n--b\r\n{part}\r\n--b-1\r\n{part}\r\n--b-1\r\n{part}\r\n--b-1--\r\n")
}

#[test]
fn the_texts_of_judged_fields_are_told() {
    let name = "Content-Disposition: form-data; name=\"model\"";
    let long = "x".repeat(MAX_TEXT_BYTES + 1);
    for (head, content, expect) in [
        (name.to_owned(), "whisper-1", "0: whisper-1"),
        (name.to_owned(), "", "0: "),
        (name.to_owned(), "a\r\nb\r\n--b-2\r", "0: a\r\nb\r\n--b-2\r"),
        (name.to_owned(), &long, "0: long"),
        (name.to_owned(), &long[1..], &format!("0: {}", &long[1..])),
        ("content-disposition:form-data;name=stream".to_owned(), "true", "1: true"),
        ("CONTENT-DISPOSITION: Form-Data ; NAME=\"stream\"".to_owned(), "true", "1: true"),
        (format!("Content-Type: text/plain; charset=utf-8\r\n{name}\r\nContent-Length: 9"), "é", "0: é"),
        (format!("{name}\r\nContent-Transfer-Encoding: 8bit"), "a", "0: a"),
        ("Content-Disposition: form-data; name=\"image[]\"; filename=x".to_owned(), "a", ""),
        ("Content-Disposition: form-data; name=\"file\"; filename=\"ä;b=.c\"".to_owned(), "a", ""),
        ("Content-Disposition: form-data; filename*=UTF-8''%e2; name=\"models\"".to_owned(), "a", ""),
        (
            "Content-Disposition: form-data; name=\"prompt\"\r\nContent-Type: application/json".to_owned(),
            "{}",
            "",
        ),
    ] {
        let form = format!("--b-1\r\n{head}\r\n\r\n{content}\r\n--b-1--");
        let end = format!("end at {}", form.len() - 1);
        let expect: Vec<_> = [expect, &end].into_iter().filter(|told| !told.is_empty()).collect();
        assert_eq!(
            of(&form).as_deref(),
            Ok(&expect.iter().map(ToString::to_string).collect::<Vec<_>>()[..]),
            "{form}"
        );
        assert_eq!(of(&format!("{form}\r\n")).unwrap(), expect, "{form}");
        if !expect[0].starts_with("end") {
            let field = expect[0][..1].parse().unwrap();
            assert_eq!(of(&twice(&head, content)), Err(FormError::Again(field)), "{form}");
        }
    }
    assert!(size_of::<Multipart>() < 1280, "{} bytes", size_of::<Multipart>());
}

#[test]
fn a_head_that_readers_may_understand_in_two_ways_is_refused() {
    use FormError::{Alike, Head, Malformed, NoText};
    let name = "Content-Disposition: form-data; name=\"model\"";
    for (head, error) in [
        (format!("{name}; filename=\"a\""), NoText(0)),
        (format!("{name}; filename*=UTF-8''a"), NoText(0)),
        (format!("{name}\r\nContent-Type: application/json"), NoText(0)),
        (format!("{name}\r\nContent-Type: text/plain; charset=utf-16"), NoText(0)),
        (format!("{name}\r\nContent-Type: text/plain\r\nContent-Type: text/plain"), Head),
        (format!("{name}\r\nContent-Transfer-Encoding: base64"), Head),
        (format!("{name}\r\nContent-Transfer-Encoding: quoted-printable"), Head),
        (format!("{name}; name=\"file\""), Head),
        (format!("{name}; name*=UTF-8''file"), Head),
        (format!("{name}; size=1"), Head),
        (format!("{name};"), Head),
        (format!("{name}\r\n{name}"), Head),
        (format!("{name}\r\n folded: a"), Head),
        (format!("{name}\r\nno colon"), Head),
        (name.replace("-Disposition", "-Disposition "), Head),
        (name.replace("form-data", "attachment"), Head),
        (name.replace("\"model\"", "\"mo\\del\""), Head),
        (name.replace("\"model\"", "\"a\\\"; name=\\\"model\""), Head),
        (name.replace("\"model\"", "\"model"), Head),
        (name.replace("\"model\"", "\"a\"model"), Head),
        (name.replace("\"model\"", "%6dodel"), Head),
        (name.replace("model", "_charset_"), Head),
        (name.replace("model", ""), Head),
        (name.replace("model", "Model"), Alike(0)),
        (name.replace("model", " model"), Alike(0)),
        (name.replace("model", "model[]"), Alike(0)),
        (name.replace("model", "stream[a]"), Alike(1)),
        (name.replace("; name=\"model\"", ""), Head),
        ("Content-Type: text/plain".to_owned(), Head),
        (String::new(), Head),
        (format!("{name}\nContent-Type: text/plain"), Malformed),
        (format!("{name}\r\rX: a"), Malformed),
        (format!("{name}\r\nX: a\0b"), Malformed),
        (format!("{name}\r\nX: {}", "a".repeat(512)), Head),
        (format!("{name}{}", "\r\nX: a".repeat(8)), Head),
    ] {
        let form = format!("--b-1\r\n{head}\r\n\r\nwhisper-1\r\n--b-1--\r\n");
        assert_eq!(of(&form), Err(error), "{form:?}");
    }
}

#[test]
fn a_framing_that_readers_may_understand_in_two_ways_is_refused() {
    use FormError::{Incomplete, Malformed, Trailing};
    let part = "Content-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1";
    for (form, error) in [
        (String::new(), Incomplete),
        ("--b-1".to_owned(), Incomplete),
        (format!("--b-1\r\n{part}"), Incomplete),
        (format!("--b-1\r\n{part}\r\n--b-1"), Incomplete),
        (format!("--b-1\r\n{part}\r\n--b-1-"), Incomplete),
        (format!("--b-1\r\n{part}\r\n--b-1--\r"), Incomplete),
        (format!("preamble\r\n--b-1\r\n{part}\r\n--b-1--"), Malformed),
        (format!("\r\n--b-1\r\n{part}\r\n--b-1--"), Malformed),
        (format!("--b-1 \r\n{part}\r\n--b-1--"), Malformed),
        (format!("--b-1\n{part}\r\n--b-1--"), Malformed),
        (format!("--b-12\r\n{part}\r\n--b-1--"), Malformed),
        (format!("--b-1\r\n{part}\n--b-1--"), Malformed),
        (format!("--b-1\r\n{part}\r\n\n--b-1--"), Malformed),
        (format!("--b-1\r\n{part}\r\n--b-1x\r\n--b-1--"), Malformed),
        (format!("--b-1\r\n{}--b-1--", part.replace("whisper-1", "")), Malformed),
        (format!("--b-1\r\n{part}\r\n--b-1--x"), Trailing),
        (format!("--b-1\r\n{part}\r\n--b-1--\r\n\r\n"), Trailing),
        (format!("--b-1\r\n{part}\r\n--b-1--\r\n--b-1\r\n"), Trailing),
    ] {
        assert_eq!(of(&form), Err(error), "{form:?}");
    }
    let latin = b"--b-1\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n\xe9\r\n--b-1--";
    assert_eq!(told(TYPE, &[latin]), Err(FormError::NoText(0)));
}

#[test]
fn the_boundary_is_that_of_the_content_type() {
    let longest = "b".repeat(70);
    for (content_type, boundary) in [
        (TYPE, Some("b-1")),
        ("Multipart/Form-Data;boundary=\"b:1\"", Some("b:1")),
        ("multipart/form-data; BOUNDARY=----WebKitFormBoundary7", Some("----WebKitFormBoundary7")),
        (&format!("multipart/form-data; boundary={longest}"), Some(&longest)),
        (&format!("multipart/form-data; boundary={longest}b"), None),
        ("multipart/form-data", None),
        ("multipart/form-data; boundary=", None),
        ("multipart/form-data; boundary=\"\"", None),
        ("multipart/form-data; boundary=\"a\\b\"", None),
        ("multipart/form-data; boundary=\"a b \"", None),
        ("multipart/form-data; boundary=a; boundary=b", None),
        ("multipart/form-data; boundary=a; charset=utf-7", None),
        ("multipart/form-data, multipart/form-data; boundary=a", None),
        ("multipart/mixed; boundary=a", None),
        ("application/json; boundary=a", None),
    ] {
        let form = format!(
            "--{0}\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n--{0}--",
            boundary.unwrap_or("a")
        );
        let told = told(content_type, &[form.as_bytes()]);
        let expect =
            boundary.ok_or(FormError::ContentType).map(|_| vec![format!("end at {}", form.len() - 1)]);
        assert_eq!(told, expect, "{content_type}");
    }
}

proptest! {
    #[test]
    fn whatever_the_slices_the_same_is_told(
        contents in prop::collection::vec(r"(\r|\n|-|--b|-1|é|a){0,12}", 1..4),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let part = |(content, name): (&String, &&str)| {
            format!("--b-1\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{content}\r\n")
        };
        let form = contents.iter().zip(NAMES).map(part).collect::<String>() + "--b-1--";
        let whole = of(&form);
        let is_clear = contents.iter().all(|content| !content.contains("\n--b-1") && !content.starts_with("--b-1"));
        if is_clear {
            let expect = contents.iter().enumerate().map(|(field, content)| format!("{field}: {content}"));
            let expect: Vec<_> = expect.chain([format!("end at {}", form.len() - 1)]).collect();
            prop_assert_eq!(&whole, &Ok(expect));
        } else {
            prop_assert!(whole.is_err());
        }
        let bytes: Vec<_> = form.as_bytes().chunks(1).collect();
        prop_assert_eq!(&told(TYPE, &wire::slices(form.as_bytes(), &cuts)), &whole);
        prop_assert_eq!(&told(TYPE, &bytes), &whole);
    }
}
