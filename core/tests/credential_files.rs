//! Upstream credentials in files of the host: read when the engine is built, and again as long as a policy names them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;

use keyswap_core::base::{Digest, Moment};
use keyswap_core::host::{
    Capabilities, Environment, MAX_SECRET_FILE_BYTES, MemoryStore, SecretFile, SecretFileError,
};
use keyswap_core::identity::jwt::PureRust;
use keyswap_core::judge::{Decision, Verdict};
use keyswap_core::policy::{Policy, PolicyErrors, RolloutPolicy};
use keyswap_core::request::{Header, RequestHead};
use keyswap_core::worker;
use serde_json::{Value, json};

use crate::support::worker::{Answer, Worker, answered, at};

const TOKEN: &str = "ptk_of-a-caller-0123456789";
const PATH: &str = "/run/secrets/openai";

type Content = Result<Vec<u8>, SecretFileError>;

/// A machine whose files and variables change.
#[derive(Clone, Default)]
struct Machine {
    files: Rc<RefCell<BTreeMap<String, (Content, bool)>>>,
    variables: Rc<RefCell<BTreeMap<String, String>>>,
}

impl Machine {
    fn with(path: &str, content: &[u8]) -> Self {
        let machine = Self::default();
        machine.put(path, content);
        machine
    }

    fn put(&self, path: &str, content: &[u8]) {
        self.set(path, Ok(content.to_vec()), false);
    }

    fn set(&self, path: &str, content: Content, is_open_to_all: bool) {
        self.files.borrow_mut().insert(path.to_owned(), (content, is_open_to_all));
    }

    fn export(self, name: &str, value: &str) -> Self {
        self.variables.borrow_mut().insert(name.to_owned(), value.to_owned());
        self
    }
}

impl Environment for Machine {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        self.variables.borrow().get(name).map(|value| value.clone().into_bytes())
    }

    fn file(&self, path: &str) -> Result<SecretFile, SecretFileError> {
        let files = self.files.borrow();
        let (content, is_open_to_all) = files.get(path).ok_or(SecretFileError::Missing)?;
        content.clone().map(|bytes| SecretFile { bytes, is_open_to_all: *is_open_to_all })
    }
}

fn policy(chain: &Value) -> Value {
    json!({
        "version": "keyswap/v1",
        "tokens": [{"sha256": Digest::of(TOKEN.as_bytes()).to_hex(), "label": "l", "providers": ["openai"]}],
        "credentials": {"openai": chain},
        "status": {"allow": ["loopback"]},
    })
}

fn compile(chain: &Value, machine: &Machine) -> Result<worker::Worker, PolicyErrors> {
    let policy = RolloutPolicy::from_json(policy(chain).to_string().as_bytes())?;
    worker::Worker::of(policy, Box::new(machine.clone()), Box::new(PureRust), Capabilities::MODULE)
}

fn start(chain: &Value, machine: &Machine) -> Worker {
    Worker::on(&policy(chain), machine.clone(), Capabilities::MODULE)
}

fn errors(chain: &Value, machine: &Machine) -> String {
    compile(chain, machine).err().map(|errors| errors.to_string()).unwrap_or_default()
}

fn nobody(path: &str) -> Answer {
    panic!("{path} was asked for")
}

/// Returns the credential that is forwarded, or the reason why nothing is.
fn carried(decision: &Decision<'_>) -> String {
    let Verdict::Forward(rewrite) = &decision.verdict else { return decision.reason_code().to_owned() };
    let set = rewrite.set.iter().find(|(name, _)| *name == "authorization");
    set.map_or("nothing".to_owned(), |(_, value)| String::from_utf8_lossy(value).into_owned())
}

fn ask(worker: &Worker, now: Moment) -> String {
    let authorization = format!("Bearer {TOKEN}");
    let headers = [Header { name: b"authorization", value: authorization.as_bytes() }];
    let head = RequestHead::new(b"POST", b"/v1/chat/completions", &headers);
    worker.decide(&MemoryStore::default(), &head, now, &nobody, carried)
}

/// Lets a second pass. Returns the notes for the log.
fn tick(worker: &Worker, now: Moment) -> Vec<String> {
    worker.inner.due(now, &MemoryStore::default()).notes
}

#[test]
fn a_file_is_a_credential_and_its_new_value_takes_the_place_of_the_old() {
    let machine = Machine::with(PATH, b"sk-1\n");
    let worker = start(&json!([{"file": PATH}]), &machine);
    assert_eq!(ask(&worker, at(0)), "Bearer sk-1");
    assert_eq!(tick(&worker, at(1)), Vec::<String>::new());
    machine.put(PATH, b"sk-2");
    assert_eq!(ask(&worker, at(1)), "Bearer sk-1", "no request reads a file");
    let note = "`credentials.openai[0].file`: the file `/run/secrets/openai` has a new value, which requests carry from now on";
    assert_eq!(tick(&worker, at(2)), [note]);
    assert_eq!(ask(&worker, at(2)), "Bearer sk-2");
    assert_eq!(tick(&worker, at(3)), Vec::<String>::new());
}

#[test]
fn a_file_that_is_gone_or_broken_takes_no_value_away_and_is_noted_once() {
    for (content, says) in [
        (Err(SecretFileError::Missing), "is not there: create it, or correct the path"),
        (Err(SecretFileError::Denied), "may not be read: give the user of this process the permission"),
        (Err(SecretFileError::Special), "is no regular file"),
        (Err(SecretFileError::TooLong), "has more than 16 KiB: a file has one credential and nothing else"),
        (Ok(Vec::new()), "is empty"),
        (Ok(b"\n".to_vec()), "is empty"),
        (Ok(b"sk-sentinel\n\n".to_vec()), "ends with a line break: remove it"),
        (
            Ok(b"sk-sentinel x".to_vec()),
            "has a byte at position 11 that is not visible ASCII: a credential has none",
        ),
    ] {
        let machine = Machine::with(PATH, b"sk-1");
        let worker =
            start(&json!([{"file": PATH}, {"env": "OTHER"}]), &machine.clone().export("OTHER", "other"));
        machine.set(PATH, content, false);
        let note = format!(
            "`credentials.openai[0].file`: the file `/run/secrets/openai` {says}; its last value stays in use"
        );
        assert_eq!(tick(&worker, at(1)), [note]);
        assert_eq!(tick(&worker, at(2)), Vec::<String>::new(), "{says}");
        assert_eq!(ask(&worker, at(2)), "Bearer sk-1", "{says}");
        machine.put(PATH, b"sk-2");
        assert_eq!(tick(&worker, at(3)).len(), 1, "{says}");
        assert_eq!(ask(&worker, at(3)), "Bearer sk-2", "{says}");
    }
}

#[test]
fn a_file_that_is_not_there_is_passed_over_until_it_comes() {
    let machine = Machine::default().export("OTHER", "other");
    let worker = start(&json!([{"file": PATH}, {"env": "OTHER"}]), &machine);
    assert_eq!(ask(&worker, at(0)), "Bearer other");
    assert_eq!(tick(&worker, at(1)).len(), 1);
    machine.put(PATH, b"sk-1");
    assert_eq!(tick(&worker, at(2)).len(), 1);
    assert_eq!(ask(&worker, at(2)), "Bearer sk-1");
}

#[test]
fn without_any_value_a_policy_is_refused_with_the_paths_and_no_content() {
    for (chain, expect) in [
        (
            json!([{"file": PATH}]),
            "error at `credentials.openai`: the file `/run/secrets/openai` is not there: create it, or correct the path",
        ),
        (
            json!([{"file": PATH}, {"file": "/run/secrets/old"}]),
            "error at `credentials.openai`: none of the files `/run/secrets/openai`, `/run/secrets/old` is there",
        ),
        (
            json!([{"file": PATH}, {"env": "A"}]),
            "error at `credentials.openai`: none of the environment variables `A` is set, and none of the files \
             `/run/secrets/openai` is there",
        ),
    ] {
        assert_eq!(errors(&chain, &Machine::default()), expect);
    }
    // A file that is there was meant, whatever stands behind it.
    for (content, expect) in [
        (Err(SecretFileError::Denied), "may not be read: give the user of this process the permission"),
        (
            Err(SecretFileError::Outside),
            "lies in none of the folders that this host reads secrets from: move it, or name its folder in \
             `KEYSWAP_SECRET_FOLDERS`",
        ),
        (
            Ok(b"sk sentinel".to_vec()),
            "has a byte at position 2 that is not visible ASCII: a credential has none",
        ),
        (
            Ok(vec![b'\n'; MAX_SECRET_FILE_BYTES]),
            "has a byte at position 0 that is not visible ASCII: a credential has none",
        ),
    ] {
        let machine = Machine::default().export("A", "a");
        machine.set(PATH, content, false);
        let expect =
            format!("error at `credentials.openai[0].file`: the file `/run/secrets/openai` {expect}");
        assert_eq!(errors(&json!([{"file": PATH}, {"env": "A"}]), &machine), expect);
    }
}

#[test]
fn a_file_that_every_user_may_read_is_warned_about_once() {
    let machine = Machine::default();
    machine.set(PATH, Ok(b"sk-1".to_vec()), true);
    let worker = start(&json!([{"file": PATH}]), &machine);
    let note = "`credentials.openai[0].file`: the file `/run/secrets/openai` may be read by every user of the machine: \
                take that permission away";
    assert_eq!(tick(&worker, at(1)), [note]);
    assert_eq!(tick(&worker, at(2)), Vec::<String>::new());
    assert_eq!(ask(&worker, at(2)), "Bearer sk-1");
}

#[test]
fn a_key_that_was_refused_is_used_again_once_its_file_has_another_value() {
    let machine = Machine::with("/run/secrets/a", b"key-a");
    machine.put("/run/secrets/b", b"key-b");
    let mut document = policy(&json!([]));
    document["credentials"] = json!({"a": [{"file": "/run/secrets/a"}], "b": [{"file": "/run/secrets/b"}]});
    document["providers"] = json!({"openai": {"credentials": {"a": 1000, "b": 1}, "cooldown": "1h"}});
    let worker = Worker::on(&document, machine.clone(), Capabilities::MODULE);
    let store = MemoryStore::default();
    let authorization = format!("Bearer {TOKEN}");
    let headers = [Header { name: b"authorization", value: authorization.as_bytes() }];
    let head = RequestHead::new(b"POST", b"/v1/chat/completions", &headers);
    let (own, sent) = worker.send(&store, &head, at(0), &nobody, carried);
    let (path, other) = if own == "Bearer key-a" {
        ("/run/secrets/a", "Bearer key-b")
    } else {
        ("/run/secrets/b", "Bearer key-a")
    };
    answered(&store, &sent, at(1), &[(":status", "401")]);
    assert_eq!(ask(&worker, at(2)), other);
    machine.put(path, b"rotated");
    tick(&worker, at(3));
    assert_eq!(ask(&worker, at(4)), "Bearer rotated");
}

#[test]
fn a_host_that_reads_no_files_refuses_a_policy_that_names_one() {
    let policy =
        Policy::from_json(policy(&json!([{"env": "A"}, {"file": PATH}])).to_string().as_bytes()).unwrap();
    for (host, fits) in
        [(Capabilities::ENVOY, false), (Capabilities::COMPONENT, false), (Capabilities::MODULE, true)]
    {
        let errors = policy.fits(host).err().map(|errors| errors.0).unwrap_or_default();
        assert_eq!(errors.is_empty(), fits);
        assert!(errors.iter().all(|error| error.path == "credentials.openai[1].file"), "{errors:?}");
    }
}

#[test]
fn a_path_leads_to_one_place() {
    for (path, is_path) in [
        ("/run/secrets/openai", true),
        ("/o", true),
        ("/run/..data/openai", true),
        ("/run/.hidden", true),
        ("", false),
        ("/", false),
        ("openai", false),
        ("./openai", false),
        ("/run/../etc/shadow", false),
        ("/run/./openai", false),
        ("/run/..", false),
        ("/run//openai", false),
        ("/run/openai/", false),
        ("/run/open ai", false),
        ("/run/\u{e9}", false),
        ("/run/a\u{0}", false),
        (&format!("/{}", "a".repeat(254)), true),
        (&format!("/{}", "a".repeat(255)), false),
    ] {
        let read = Policy::from_json(policy(&json!([{"file": path}])).to_string().as_bytes());
        assert_eq!(read.is_ok(), is_path, "{path:?}");
        if let Err(errors) = read {
            assert_eq!(errors.0[0].path, "credentials.openai[0].file", "{path:?}");
        }
    }
}

#[test]
fn the_status_names_the_file_and_how_fresh_its_value_is() {
    let machine = Machine::with(PATH, b"sk-sentinel-1");
    let worker = start(&json!([{"file": PATH}]), &machine);
    let status = |now| {
        let here = || Some(IpAddr::from([127, 0, 0, 1]));
        let head = RequestHead {
            authority: b"localhost",
            peer: here,
            ..RequestHead::new(b"GET", b"/.well-known/keyswap", &[])
        };
        worker.decide(&MemoryStore::default(), &head, now, &nobody, |decision| match &decision.verdict {
            Verdict::Answer(reply) => reply.body.clone(),
            _ => panic!("the status is an answer"),
        })
    };
    let source = |now| {
        let body = status(now);
        assert!(!body.contains("sentinel"));
        serde_json::from_str::<Value>(&body).unwrap()["credentials"]["openai"]["sources"][0].clone()
    };
    let value = |state: &str, fetched_at: Value, failures: u32| {
        json!({"source": "file", "name": PATH, "in_use": true, "value": {
            "state": state, "fetched_at": fetched_at, "expires_at": null, "failures": failures, "paused_until": null,
        }})
    };
    assert_eq!(source(at(0)), value("fresh", Value::Null, 0));
    machine.put(PATH, b"sk-sentinel-2");
    tick(&worker, at(1));
    assert_eq!(source(at(1)), value("fresh", at(1).unix().to_string().into(), 0));
    machine.set(PATH, Err(SecretFileError::Missing), false);
    tick(&worker, at(2));
    assert_eq!(source(at(2)), value("stale", at(1).unix().to_string().into(), 1));
}
