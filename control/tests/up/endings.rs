//! The end of a run: by a signal, by the end of a part, and by force.

use std::fs;
use std::net::TcpStream;

use keyswap_tests::{Request, Standin, open, until};
use rustix::process::{Signal, kill_process};
use serde_json::json;

use super::support::{Setup, TOKEN, Up, models, policy};

/// Starts a stream that lasts until the stand-in releases it.
fn stream(up: &Up) -> keyswap_tests::Answer {
    let chat = json!({"model": "gpt-5-mini", "stream": true, "messages": []});
    let mut answer = open(up.address(), &Request::post("/v1/chat/completions", &chat).bearer(TOKEN)).unwrap();
    while !answer.next_event().unwrap().unwrap().contains("Hello") {}
    answer
}

fn is_refused(up: &Up) -> bool {
    TcpStream::connect(up.address()).is_err()
}

#[test]
fn the_first_signal_waits_for_requests_in_progress() {
    let standin = Standin::start().unwrap();
    for signal in [Signal::INT, Signal::TERM] {
        let mut up = Setup::new(&policy(&standin, &[TOKEN])).start();
        let held = standin.hold();
        let mut answer = stream(&up);
        // Some parents of a program pass a signal on that the program has got itself.
        up.signal(signal);
        up.signal(signal);
        until("no connection is taken", || Ok(is_refused(&up))).unwrap();
        held.release();
        let mut last = String::new();
        while let Some(event) = answer.next_event().unwrap() {
            last = event;
        }
        assert!(last.contains("[DONE]"), "{last}");
        assert!(up.wait().success(), "{}", up.log());
        assert_eq!(fs::read_dir(up.temporary()).unwrap().count(), 0, "temporary files were left");
    }
}

#[test]
fn the_second_signal_ends_it_at_once() {
    let standin = Standin::start().unwrap();
    let mut up = Setup::new(&policy(&standin, &[TOKEN])).start();
    let _held = standin.hold();
    let _answer = stream(&up);
    let (proxy, admin) = (up.address(), up.admin());
    up.signal(Signal::INT);
    up.wait_for_log("stopping when the requests in progress have ended");
    // A signal that comes with the first one counts as the same.
    until("it ends", || {
        up.signal(Signal::INT);
        Ok(up.has_ended())
    })
    .unwrap();
    assert_eq!(up.wait().code(), Some(1));
    assert!(up.log().contains("ended at once"), "{}", up.log());
    for address in [proxy, admin] {
        until("nothing listens", || Ok(TcpStream::connect(address).is_err())).unwrap();
    }
    assert_eq!(fs::read_dir(up.temporary()).unwrap().count(), 0, "temporary files were left");
}

#[test]
fn requests_that_last_too_long_are_ended() {
    let standin = Standin::start().unwrap();
    let mut up = Setup::new(&policy(&standin, &[TOKEN])).args(&["--drain-time", "1s"]).start();
    let _held = standin.hold();
    let _answer = stream(&up);
    up.signal(Signal::TERM);
    assert!(up.wait().success(), "{}", up.log());
    assert!(up.log().contains("requests in progress were ended after 1 s"), "{}", up.log());
}

#[test]
fn a_proxy_that_dies_is_a_failure_that_says_why() {
    let standin = Standin::start().unwrap();
    for (host, name) in [("envoy", "Envoy"), ("wasmtime", "Wasmtime")] {
        let mut up = Setup::new(&policy(&standin, &[TOKEN])).args(&["--host", host]).start();
        let children = up.children();
        assert_eq!(children.len(), 1, "the host alone");
        kill_process(children[0], Signal::KILL).unwrap();
        assert_eq!(up.wait().code(), Some(1));
        assert!(up.log().contains(&format!("{name} has ended (signal: 9")), "{}", up.log());
        assert_eq!(fs::read_dir(up.temporary()).unwrap().count(), 0, "temporary files were left");
    }
}

#[test]
fn a_run_that_is_killed_leaves_no_proxy_behind() {
    let standin = Standin::start().unwrap();
    let mut up = Setup::new(&policy(&standin, &[TOKEN])).start();
    assert_eq!(up.send(&models(TOKEN)).status, 200);
    let address = up.address();
    up.signal(Signal::KILL);
    up.wait();
    until("nothing listens", || Ok(TcpStream::connect(address).is_err())).unwrap();
}
