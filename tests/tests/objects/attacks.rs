//! Requests of a caller that try to reach another's object by another spelling or in another place.

use anyhow::{Result, ensure};
use keyswap_tests::{Request, clients::matrix::Provider};

use crate::bed::{Bed, Caller, kind};

const NONE: &str = "404 object_not_found";

/// The target, the content type and the body of a request, and its verdict. `{}` stands for the id, `{%}` for its escapes,
/// and `{^}` for its letters in upper case.
type Attempt = (&'static str, &'static str, &'static str, &'static str, &'static str);

const JSON: &str = "application/json";
const FORM: &str = "multipart/form-data; boundary=b";

const ATTEMPTS: [Attempt; 28] = [
    ("GET", "/v1/files/{%}", "", "", NONE),
    ("GET", "/v1/files/{^}", "", "", NONE),
    ("GET", "/v1/files/{}/", "", "", NONE),
    ("GET", "/v1/files/{}%20", "", "", NONE),
    ("GET", "/openai/v1/files/{}", "", "", NONE),
    ("GET", "/v1/files/{}/content/more", "", "", NONE),
    ("GET", "/v1/batches/{}", "", "", NONE),
    ("GET", "/v1/files?after={}", "", "", NONE),
    ("GET", "/v1/files?AFTER={%}&limit=1", "", "", NONE),
    ("GET", "/v1/files?before={}", "", "", NONE),
    ("GET", "/v1/vector_stores?vector_store_id={}", "", "", NONE),
    (
        "POST",
        "/v1/responses?previous_response_id={}",
        JSON,
        r#"{"model":"m","input":"hi","previous_response_id":"{}"}"#,
        NONE,
    ),
    ("POST", "/v1/responses", JSON, r#"{"model":"m","conversation":"{}"}"#, NONE),
    ("POST", "/v1/responses", JSON, r#"{"model":"m","FILE_ID":"{}"}"#, NONE),
    ("POST", "/v1/responses", JSON, r#"{"model":"m","input":[{"fileId":"{}"}]}"#, NONE),
    ("POST", "/v1/responses", JSON, r#"{"model":"m","input":[{"file\u005fid":"{}"}]}"#, NONE),
    ("POST", "/v1/responses", JSON, r#"{"model":"m","input":[{"file_id":"a","file_id":"{}"}]}"#, NONE),
    ("POST", "/v1/responses", JSON, r#"{"model":"m","previous_response_id":["{}"]}"#, NONE),
    ("POST", "/v1/responses", "text/plain", r#"{"model":"m","previous_response_id":"{}"}"#, NONE),
    ("POST", "/v1/responses", "", r#"{"model":"m","previous_response_id":"{}"}"#, NONE),
    (
        "POST",
        "/v1/audio/transcriptions",
        FORM,
        "--b\r\ncontent-disposition: form-data; name=\"file_id\"\r\n\r\n{}\r\n--b--\r\n",
        NONE,
    ),
    (
        "POST",
        "/v1/images/edits",
        FORM,
        "--b\r\nContent-Disposition: form-data; name=file_id\r\n\r\n{}\r\n--b--\r\n",
        NONE,
    ),
    (
        "POST",
        "/v1/videos",
        FORM,
        "--b\r\ncontent-disposition: form-data; name=\"file_ids[]\"\r\n\r\n{}\r\n--b--\r\n",
        NONE,
    ),
    (
        "POST",
        "/v1/videos",
        FORM,
        "--b\r\ncontent-disposition: form-data; name=\"input_reference[file_id]\"\r\n\r\n{}\r\n--b--\r\n",
        NONE,
    ),
    (
        "POST",
        "/v1/videos/edits",
        FORM,
        "--b\r\ncontent-disposition: form-data; name=\"video[id]\"\r\n\r\n{}\r\n--b--\r\n",
        NONE,
    ),
    (
        "POST",
        "/v1/videos",
        FORM,
        "--b\r\ncontent-disposition: form-data; name=\"file_ids[]\"\r\n\r\n\r\n--b\r\ncontent-disposition: form-data; name=\"file_ids[]\"\r\n\r\n{}\r\n--b--\r\n",
        NONE,
    ),
    ("POST", "/v1/batches", "application/x-www-form-urlencoded", "input_file_id={}", "400 body_invalid"),
    ("OPTIONS", "/v1/files/{}", "", "", NONE),
];

fn attempt(caller: &Caller, (method, target, content_type, body, _): Attempt, id: &str) -> Request {
    let escapes = id.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat();
    let fill =
        |text: &str| text.replace("{}", id).replace("{%}", &escapes).replace("{^}", &id.to_uppercase());
    let request = Request::new(method, fill(target)).bearer(&caller.0).body(fill(body));
    if content_type.is_empty() { request } else { request.header("content-type", content_type) }
}

#[test]
fn no_spelling_and_no_place_leads_to_another_callers_object() -> Result<()> {
    let bed = Bed::start()?;
    let id = bed.make(0, kind(Provider::OpenAi, "file")?, &bed.alice)?;
    let before = bed.shelf.arrived();
    let failures: Vec<String> = ATTEMPTS
        .iter()
        .filter_map(|it| bed.expect(0, &attempt(&bed.bob, *it, &id), it.4).err())
        .map(|failure| format!("{failure:#}"))
        .collect();
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    ensure!(bed.shelf.arrived() == before, "a request has arrived");
    Ok(())
}
