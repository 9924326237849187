//! Uploads whose parts go to an address that an answer tells: the address leads here, for the caller that began the upload.

use keyswap_core::base::Digest;
use keyswap_core::judge::{AnswerFields, Request, Verdict};
use keyswap_core::request::{Header, RequestHead};
use serde_json::{Value, json};

use crate::plane::{A, Answered, B, Got, Plane};
use crate::registry::Registry;
use crate::support::worker::at;

const PATH: &str = "/upload/v1beta/files";
const STORE: &str = "/upload/v1beta/fileSearchStores/s:uploadToFileSearchStore";
const GOOGLE: &str = "https://generativelanguage.googleapis.com";
const MADE: &str = r#"{"file":{"name":"files/made"}}"#;

/// A request, as its caller sends it.
#[derive(Clone, Copy, Default)]
struct Sent<'s> {
    method: &'s str,
    target: &'s str,
    authority: &'s str,
    scheme: &'s str,
    headers: &'s [(&'s str, &'s str)],
}

/// The target that upstream got, the headers of the answer, and its body.
struct Passed {
    target: String,
    headers: Vec<(String, String)>,
    got: Got,
}

impl Passed {
    /// Returns the address that the answer tells.
    fn address(&self) -> Option<&str> {
        self.headers.iter().find(|(name, _)| name == "x-goog-upload-url").map(|(_, value)| value.as_str())
    }
}

/// Sends a request, and answers it with these headers. Returns the code of a refusal.
fn send(
    plane: &Plane<'_>,
    sent: Sent<'_>,
    told: &[(&str, &str)],
    body: &str,
) -> Result<Passed, &'static str> {
    let file = [("content-type", "application/octet-stream")];
    let headers: Vec<Header<'_>> = file
        .iter()
        .chain(sent.headers)
        .map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() })
        .collect();
    let head = RequestHead {
        authority: sent.authority.as_bytes(),
        scheme: sent.scheme.as_bytes(),
        ..RequestHead::new(sent.method.as_bytes(), sent.target.as_bytes(), &headers)
    };
    let request = Request { head: &head, now: plane.now.get(), store: &plane.store };
    let in_force = plane.worker.in_force(&plane.store);
    let (mut decision, _) = in_force.decide(&request, &mut |fetch| (plane.fetch(&fetch), plane.now.get()));
    let target = match &decision.verdict {
        Verdict::Forward(rewrite) => String::from_utf8(rewrite.path.clone()).unwrap(),
        _ => return Err(decision.reason_code()),
    };
    let mut exchange = in_force.exchange(&mut decision);
    plane.upload(&mut exchange, &[b"bytes of a file"]).map_err(|_| "refused by its body")?;
    let fields: Vec<(&[u8], &[u8])> =
        told.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    exchange.begin_answer(&AnswerFields { status: 200, fields: &fields });
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let headers =
        exchange.response().fields(&fields).map(|(name, value)| (text(name), text(value))).collect();
    let got = plane.download(&mut exchange, &Answered(200, "application/json", vec![body]));
    Ok(Passed { target, headers, got })
}

fn start<'s>(target: &'s str, headers: &'s [(&'s str, &'s str)]) -> Sent<'s> {
    Sent { method: "POST", target, authority: "llm.example:8443", scheme: "https", headers }
}

/// Begins an upload at this path. Returns the target of its parts.
fn begin(plane: &Plane<'_>, token: &str, path: &str) -> String {
    let address = format!("{GOOGLE}{path}?upload_id=AbC-1_%2B&upload_protocol=resumable");
    let headers = [("x-goog-api-key", token), ("x-goog-upload-command", "start")];
    let passed = send(plane, start(path, &headers), &[("x-goog-upload-url", &address)], "{}").ok().unwrap();
    let address = passed.address().unwrap();
    address.strip_prefix("https://llm.example:8443").unwrap().to_owned()
}

/// Sends the last part of an upload.
fn finish(plane: &Plane<'_>, target: &str, headers: &[(&str, &str)]) -> Result<Passed, &'static str> {
    let headers = [&[("x-goog-upload-command", "upload, finalize")], headers].concat();
    send(plane, start(target, &headers), &[], MADE)
}

fn changes() -> Value {
    json!({"broker": {"key": {"env": "BROKER"}}})
}

#[test]
fn an_upload_goes_on_here_without_a_credential_and_the_file_is_its_callers() {
    for changes in [json!({}), changes()] {
        let registry = Registry::default();
        let [plane, other] = [(); 2].map(|()| Plane::new(&registry, &changes));
        plane.post(
            A,
            "/google-ai-studio/v1beta/fileSearchStores",
            "{}",
            &Answered(200, "application/json", vec![r#"{"name":"fileSearchStores/s"}"#]),
        );
        for path in [
            PATH.to_owned(),
            format!("/google-ai-studio{PATH}"),
            "/google-ai-studio/upload/v1/files".to_owned(),
            STORE.to_owned(),
        ] {
            let target = begin(&plane, A, &path);
            assert!(
                target.starts_with(&format!("{path}?upload_protocol=resumable&upload_id=ksb_")),
                "{target}"
            );
            assert!(!target.contains("AbC-1"), "{target}");
            let upstream = path.replace("/google-ai-studio", "");
            let expect = format!("{upstream}?upload_protocol=resumable&upload_id=AbC-1_%2B");
            // Python's SDK sends no credential, that for Node the caller's.
            for plane in [&plane, &other] {
                for headers in
                    [&[][..], &[("x-goog-api-key", A)], &[("authorization", &format!("Bearer {A}"))]]
                {
                    let passed =
                        finish(plane, &target, headers).unwrap_or_else(|reason| panic!("{path}: {reason}"));
                    assert_eq!(passed.target, expect);
                    assert_eq!(passed.got, Got::Answer(MADE.to_owned()));
                }
            }
            assert_eq!(plane.get(A, "/google-ai-studio/v1beta/files/made").reason(), "forward");
            assert_eq!(other.get(B, "/google-ai-studio/v1beta/files/made").reason(), "object_not_found");
        }
        // Nothing but its slot tells the provider of this path.
        let target = begin(&plane, A, "/upload/v1/files");
        assert_eq!(finish(&other, &target, &[]).map(|it| it.got).ok(), Some(Got::Answer(MADE.to_owned())));
        assert!(registry.kinds().contains(&"file made".to_owned()), "{:?}", registry.kinds());
    }
}

#[test]
fn the_address_of_an_upload_is_good_for_nothing_else_and_for_no_other_caller() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &changes());
    let target = begin(&plane, A, PATH);
    let (_, query) = target.split_once('?').unwrap();
    let id = target.rsplit_once('=').unwrap().1;
    let other = begin(&plane, B, PATH);
    let other = other.rsplit_once('=').unwrap().1;
    let key: &[(&str, &str)] = &[("x-goog-api-key", B)];
    let changed = format!("{}A", &target[..target.len() - 1]);
    let at_store = format!("{STORE}?{query}");
    for (method, target, headers, reason) in [
        ("POST", target.clone(), &[][..], "forward"),
        // In other places.
        ("GET", target.clone(), &[], "token_misplaced"),
        ("POST", at_store.clone(), &[], "object_not_found"),
        ("POST", format!("/google-ai-studio/upload/v1/files?{query}"), &[], "object_not_found"),
        ("GET", format!("/v1beta/files?{query}"), &[], "credential_missing"),
        ("GET", format!("/v1beta/files?key={id}"), &[], "token_invalid"),
        ("GET", "/v1beta/files".to_owned(), &[("x-goog-api-key", id)], "token_invalid"),
        ("GET", "/.well-known/keyswap/me/upload/?".to_owned() + query, &[], "token_misplaced"),
        ("POST", format!("/openai/upload/v1beta/files?{query}"), &[], "token_invalid"),
        ("POST", format!("/v1/files?{query}"), &[], "credential_missing"),
        // To begin another.
        ("POST", target.clone(), &[("x-goog-upload-command", "start")], "endpoint_class_not_allowed"),
        ("POST", target.clone(), &[("x-goog-upload-command", "upload, Start")], "endpoint_class_not_allowed"),
        // Another caller's, and none that was sealed here.
        ("POST", target.clone(), key, "object_not_found"),
        ("POST", format!("{PATH}?upload_id={other}"), key, "forward"),
        ("POST", format!("{PATH}?upload_id={id}&upload_id={other}"), key, "object_not_found"),
        ("POST", format!("{PATH}?upload_id={other}&UPLOAD%5fid={id}"), key, "object_not_found"),
        ("POST", format!("{PATH}?upload_id={id}&upload_id={other}"), &[], "credential_ambiguous"),
        ("POST", format!("{PATH}?upload_id=AbC-1_%2B"), key, "object_not_found"),
        ("POST", format!("{PATH}?upload_id=AbC-1_%2B"), &[], "credential_missing"),
        ("POST", changed.clone(), key, "object_not_found"),
        ("POST", changed.clone(), &[], "token_invalid"),
        ("POST", format!("{PATH}?upload_id="), key, "object_not_found"),
        ("POST", PATH.to_owned(), key, "forward"),
    ] {
        let command = [("x-goog-upload-command", "upload, finalize")];
        let headers = [if target == PATH { &[][..] } else { &command }, headers].concat();
        let sent = Sent { method, ..start(&target, &headers) };
        let got = send(&plane, sent, &[], MADE).map_or_else(|reason| reason, |_| "forward");
        assert_eq!(got, reason, "{method} {target} {headers:?}");
    }
    let sent = start(&target, &[]);
    assert_eq!(send(&plane, sent, &[], MADE).err(), Some("endpoint_class_not_allowed"), "without a command");
    // An upload is refused with its token, and some time after its beginning, also by an address that a later answer told.
    plane.now.set(at(3600));
    let told = format!("{GOOGLE}{PATH}?upload_id=AbC-1");
    let command = [("x-goog-upload-command", "upload")];
    let passed = send(&plane, start(&target, &command), &[("x-goog-upload-url", &told)], MADE).ok().unwrap();
    let later = passed.address().unwrap().strip_prefix("https://llm.example:8443").unwrap().to_owned();
    plane.now.set(at(6 * 3600 - 1));
    for target in [&target, &later] {
        assert_eq!(finish(&plane, target, &[]).err(), None);
    }
    plane.now.set(at(6 * 3600));
    for target in [&target, &later] {
        assert_eq!(finish(&plane, target, &[]).err(), Some("token_expired"));
    }
    assert_eq!(finish(&plane, &target, &[("x-goog-api-key", A)]).err(), Some("object_not_found"));
    let disabled = json!({"broker": changes()["broker"], "tokens": [{"sha256": Digest::of(A.as_bytes()).to_hex(), "label": "a", "providers": ["gemini:*"], "status": "disabled"}]});
    let plane = Plane::new(&registry, &disabled);
    assert_eq!(finish(&plane, &target, &[]).err(), Some("token_invalid"));
    let narrow = json!({"broker": changes()["broker"], "tokens": [{"sha256": Digest::of(A.as_bytes()).to_hex(), "label": "a", "providers": ["gemini"]}]});
    let plane = Plane::new(&registry, &narrow);
    assert_eq!(finish(&plane, &target, &[]).err(), Some("endpoint_class_not_allowed"));
}

#[test]
fn the_address_is_that_by_which_the_caller_came() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    let told = format!("{GOOGLE}{PATH}?upload_id=1");
    let [forwarded, host] = [("x-forwarded-proto", "https, http"), ("host", "proxy.example")];
    for (authority, scheme, header, place) in [
        ("llm.example", "http", None, "http://llm.example"),
        ("llm.example:8080", "", None, "https://llm.example:8080"),
        ("LLM.example", "http", Some(forwarded), "https://LLM.example"),
        ("127.0.0.1:80", "", None, "http://127.0.0.1:80"),
        ("localhost:8080", "", None, "http://localhost:8080"),
        ("[::1]:8080", "", None, "http://[::1]:8080"),
        ("localhost", "", Some(forwarded), "https://localhost"),
        ("", "", Some(host), "https://proxy.example"),
        // The id is sealed also where the host knows no name of its own.
        ("", "", None, GOOGLE),
        ("a@b.example", "https", None, GOOGLE),
        ("a.example/x", "https", None, GOOGLE),
        ("a.example\"", "https", None, GOOGLE),
    ] {
        let mut headers = vec![("x-goog-api-key", A)];
        headers.extend(header);
        let sent = Sent { authority, scheme, ..start(PATH, &headers) };
        let passed = send(&plane, sent, &[("X-Goog-Upload-URL", &told)], "{}").ok().unwrap();
        let addresses: Vec<_> = passed
            .headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("x-goog-upload-url"))
            .collect();
        let [(_, address)] = &*addresses else { panic!("{addresses:?}") };
        assert!(address.starts_with(&format!("{place}{PATH}?upload_id=ksb_")), "{authority}: {address}");
    }
}

#[test]
fn no_answer_to_an_upload_tells_an_address_past_us_and_no_key() {
    let registry = Registry::default();
    let key: &[(&str, &str)] = &[("x-goog-api-key", A)];
    for (told, is_told) in [
        (format!("{GOOGLE}{PATH}?key=AIza&upload_id=AbC&access_token=AIza&upload_protocol=resumable"), true),
        (format!("{GOOGLE}{PATH}?upload%5fid=AbC"), true),
        (format!("{GOOGLE}{PATH}?upload_id=AbC&upload_id=DeF"), false),
        (format!("{GOOGLE}{PATH}?upload_id="), false),
        (format!("{GOOGLE}{PATH}/AbC"), false),
        (format!("{GOOGLE}{PATH}?upload_id=AbC x"), false),
        (String::new(), false),
    ] {
        let plane = Plane::new(&registry, &json!({}));
        let lines = [
            ("x-goog-upload-url", &*told),
            ("X-Goog-Upload-Control-URL", &*told),
            ("x-guploader-uploadid", "AbC"),
            ("location", "https://a.example/?upload_id=AbC"),
            ("x-goog-upload-status", "active"),
        ];
        let passed = send(&plane, start(PATH, key), &lines, "{}").ok().unwrap();
        assert_eq!(passed.address().is_some(), is_told, "{told}");
        let all = format!("{:?}", passed.headers);
        assert!(
            !all.contains("AbC") && !all.contains("AIza") && !all.contains("googleapis"),
            "{told}: {all}"
        );
        assert!(all.contains("active"), "{all}");
        // Where objects are not judged, the answer is the provider's.
        let plane = Plane::new(&registry, &json!({"objects": "shared"}));
        let passed = send(&plane, start(PATH, key), &lines, "{}").ok().unwrap();
        assert_eq!(passed.address(), Some(&*told));
    }
}
