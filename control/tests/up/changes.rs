//! A policy that changes while the proxy serves.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use anyhow::ensure;
use keyswap_tests::{Load, Standin, send, under_load, until};
use serde_json::json;

use super::support::{Setup, TOKEN, models, policy};

const OTHER: &str = "ptk_of-another-caller-0123456789abcdef";

#[test]
fn a_new_policy_is_in_force_without_a_dropped_request() {
    let standin = Standin::start().unwrap();
    for host in ["envoy", "module"] {
        let up = Setup::new(&policy(&standin, &[TOKEN])).args(&["--host", host]).start();
        assert_eq!(up.send(&models(OTHER)).status, 401);
        let address = up.address();
        let call = |_, _| {
            let status = send(address, &models(TOKEN))?.status;
            ensure!(status == 200, "{host}: {status}");
            Ok(())
        };
        let changes = |load: &Load| {
            load.passes(1)?;
            // The second change needs a cluster that Envoy does not have yet.
            up.change(&policy(&standin, &[TOKEN, OTHER]));
            load.passes(10)?;
            let mut third = policy(&standin, &[TOKEN]);
            let elsewhere = standin.plain("api.groq.com").unwrap();
            third["providers"]["groq"] = json!({"url": format!("http://{elsewhere}/openai/v1")});
            third["credentials"]["groq"] = json!([{"env": "OPENAI_API_KEY"}]);
            assert_eq!(up.send(&models(OTHER)).status, 200, "{host}");
            up.change(&third);
            load.passes(10)
        };
        under_load(4, call, changes).unwrap();
        assert_eq!(up.send(&models(OTHER)).status, 401, "{host}: the token was taken out again");
    }
}

#[test]
fn an_open_connection_gets_one_more_answer_by_the_former_policy_at_most() {
    let standin = Standin::start().unwrap();
    let up = Setup::new(&policy(&standin, &[TOKEN])).start();
    let mut connection = TcpStream::connect(up.address()).unwrap();
    let request =
        format!("GET /v1/models HTTP/1.1\r\nhost: keyswap\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
    connection.write_all(request.as_bytes()).unwrap();
    let mut first = [0; 15];
    connection.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");

    up.change(&policy(&standin, &[OTHER]));
    connection.write_all(request.as_bytes()).unwrap();
    // The end of the connection ends the text.
    let mut rest = String::new();
    connection.read_to_string(&mut rest).unwrap();
    assert!(rest.matches("HTTP/1.1 ").count() <= 1, "{rest}");
    assert_eq!(up.send(&models(TOKEN)).status, 401);
}

#[test]
fn a_policy_that_cannot_be_used_is_told_and_changes_nothing() {
    let standin = Standin::start().unwrap();
    let good = policy(&standin, &[TOKEN]);
    let up = Setup::new(&good).start();
    let mut unknown = policy(&standin, &[OTHER]);
    unknown["tokkens"] = json!([]);
    let mut unset = policy(&standin, &[OTHER]);
    unset["credentials"]["groq"] = json!([{"env": "GROQ_API_KEY"}]);
    // The engine accepts it, and Envoy can have no two clusters of one name.
    let mut one_name = policy(&standin, &[OTHER]);
    one_name["registry"] = json!({
        "url": "http://127.0.0.1:1", "cluster": "openai", "credential": {"env": "KEYSWAP_REGISTRY_TOKEN"},
    });
    for (text, words) in [
        (unknown.to_string(), "tokkens"),
        (unset.to_string(), "GROQ_API_KEY"),
        (policy(&standin, &[OTHER]).to_string().trim_end_matches('}').to_owned(), "not valid JSON"),
        (one_name.to_string(), "two clusters are named `openai`"),
        (String::new(), "policy.json"),
    ] {
        let before = up.log().matches("the former policy stays in force").count();
        up.write_policy(&text);
        until("the policy is refused", || {
            Ok(up.log().matches("the former policy stays in force").count() > before)
        })
        .unwrap();
        assert!(up.log().contains(words), "{}", up.log());
        assert_eq!((up.send(&models(TOKEN)).status, up.send(&models(OTHER)).status), (200, 401), "{words}");
    }
    fs::remove_file(up.policy_file()).unwrap();
    up.wait_for_log("the former policy stays in force: cannot read");
    assert_eq!(up.send(&models(TOKEN)).status, 200);

    // The same policy as in force changes nothing, and another one is taken.
    up.set_policy(&good);
    up.change(&policy(&standin, &[OTHER]));
    assert_eq!((up.send(&models(TOKEN)).status, up.send(&models(OTHER)).status), (401, 200));
    assert_eq!(up.log().matches("is in force").count(), 1);
}

#[test]
fn a_file_is_followed_where_its_link_leads() {
    let standin = Standin::start().unwrap();
    let up = Setup::new(&policy(&standin, &[TOKEN])).start();
    let (file, other) = (up.policy_file(), up.folder().join("other.json"));
    fs::write(&other, policy(&standin, &[OTHER]).to_string()).unwrap();
    let beside = up.folder().join("link");
    std::os::unix::fs::symlink(&other, &beside).unwrap();
    fs::rename(&beside, &file).unwrap();
    up.wait_for_log("is in force");
    assert_eq!(up.send(&models(OTHER)).status, 200);
}
