//! A registry that keeps objects in memory, and answers as `keyswap serve` does.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use keyswap_core::base::Digest;
use keyswap_core::services::Fetch;
use serde_json::{Value, json};

pub(crate) type Form = Box<dyn Fn(&[Digest], Value) -> String>;

/// A registry that keeps objects.
#[derive(Default)]
pub(crate) struct Registry {
    pub(crate) objects: RefCell<BTreeMap<String, Value>>,
    pub(crate) is_down: Cell<bool>,
    /// The form of answers about holders, given the objects that were asked for and the answer; `None` as it is.
    pub(crate) form: RefCell<Option<Form>>,
    /// The number of lookups that a new history of the registry overtakes.
    pub(crate) overtaken: Cell<u64>,
    calls: RefCell<Vec<String>>,
}

impl Registry {
    pub(crate) fn answer(&self, fetch: &Fetch) -> Option<(u16, String)> {
        let target = fetch.request.target().to_owned();
        let body: Value =
            fetch.request.body.as_ref().map_or(Value::Null, |body| serde_json::from_slice(body).unwrap());
        self.calls.borrow_mut().push(target.clone());
        if self.is_down.get() {
            return None;
        }
        let mut objects = self.objects.borrow_mut();
        let told = |asked: Vec<Digest>, found: Vec<Value>| {
            let answer = json!({"objects": found});
            Some((200, self.form.borrow().as_ref().map_or(answer.to_string(), |form| form(&asked, answer))))
        };
        let digest = |text: &Value| Digest::from_hex(text.as_str().unwrap()).unwrap();
        match target.as_str() {
            "/v1/objects/find" => {
                let asked = body["sha256"].as_array().unwrap();
                assert!(asked.len() <= 200);
                let found = asked.iter().filter_map(|it| objects.get(it.as_str().unwrap()).cloned());
                told(asked.iter().map(digest).collect(), found.collect())
            }
            "/v1/objects/claim" => {
                let claimed = body["objects"].as_array().unwrap();
                assert!(!claimed.is_empty() && claimed.len() <= 50);
                let claim = |claim: &Value| {
                    let text = format!(
                        "object\0{}\0{}",
                        claim["provider"].as_str().unwrap(),
                        claim["id"].as_str().unwrap()
                    );
                    let digest = Digest::of(text.as_bytes()).to_hex();
                    let mut object = claim.clone();
                    object["sha256"] = digest.clone().into();
                    object["version"] = 1.into();
                    objects.entry(digest).or_insert(object).clone()
                };
                let found: Vec<Value> = claimed.iter().map(claim).collect();
                told(found.iter().map(|it| digest(&it["sha256"])).collect(), found)
            }
            "/v1/objects/remove" => {
                for digest in body["sha256"].as_array().unwrap() {
                    objects.remove(digest.as_str().unwrap());
                }
                Some((204, String::new()))
            }
            changes if changes.starts_with("/v1/changes") => {
                let history = format!("{:016x}", self.overtaken.get());
                Some((
                    200,
                    json!({"sequence": 9, "history": history, "reset": true, "changes": []}).to_string(),
                ))
            }
            _ => None,
        }
    }

    /// Returns the calls about objects since this was last asked.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls
            .take()
            .into_iter()
            .filter_map(|it| Some(it.strip_prefix("/v1/objects/")?.to_owned()))
            .collect()
    }

    pub(crate) fn kinds(&self) -> Vec<String> {
        let mut kinds: Vec<String> = self
            .objects
            .borrow()
            .values()
            .map(|it| format!("{} {}", it["kind"].as_str().unwrap(), it["id"].as_str().unwrap()))
            .collect();
        kinds.sort();
        kinds
    }
}
