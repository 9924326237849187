//! Addresses in answers to which SDKs send more requests: those of the results of a message batch.

use keyswap_core::request::Header;
use serde_json::json;

use crate::plane::{A, Answered, Got, Plane};
use crate::registry::Registry;

const BATCHES: &str = "/anthropic/v1/messages/batches";
const RESULTS: &str = "https://api.anthropic.com/v1/messages/batches/msgbatch_1/results";

#[test]
fn the_results_of_a_message_batch_are_at_an_address_of_ours() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    let batch = json!({"id": "msgbatch_1", "results_url": RESULTS}).to_string();
    let list = json!({"data": [{"id": "msgbatch_1", "results_url": RESULTS}, {"id": "other", "results_url": RESULTS}]});
    let list = list.to_string();
    let own = json!({"data": [{"id": "msgbatch_1", "results_url": RESULTS}]}).to_string();
    let ours = |text: &str| text.replace("https://api.anthropic.com/", "https://llm.example/anthropic/");
    let host = Header { name: b"host", value: b"llm.example" };
    let scheme = Header { name: b"x-forwarded-proto", value: b"https" };
    let member = format!("{BATCHES}/msgbatch_1");
    let cancel = format!("{member}/cancel");
    for ((method, path), told, headers, expect) in [
        (("POST", BATCHES), &batch, &[host, scheme][..], ours(&batch)),
        (("GET", &member), &batch, &[host, scheme], ours(&batch)),
        (("POST", &cancel), &batch, &[host, scheme], ours(&batch)),
        (("GET", BATCHES), &list, &[host, scheme], ours(&own)),
        // Where the host does not know its address, the answer stays.
        (("GET", &member), &batch, &[], batch.clone()),
        (("GET", BATCHES), &list, &[], own.clone()),
    ] {
        for cut in [1, told.len() / 2, told.len() - 40] {
            let (begin, rest) = told.split_at(cut);
            let answer = Answered(200, "application/json", vec![begin, rest]);
            let body: &[u8] = if method == "POST" { b"{}" } else { b"" };
            let got = plane.send_with(A, (method, path), ("application/json", &[body]), headers, &answer);
            assert_eq!(got, Got::Answer(expect.clone()), "{method} {path}");
        }
    }
    // The results are the caller's own data.
    let results = format!("{member}/results");
    let answer = Answered(200, "application/x-jsonl", vec![&batch]);
    let got = plane.send_with(A, ("GET", &results), ("", &[]), &[host, scheme], &answer);
    assert_eq!(got, Got::Answer(batch.clone()));
    let answer = Answered(404, "application/json", vec![&batch]);
    let got = plane.send_with(A, ("GET", &member), ("", &[]), &[host, scheme], &answer);
    assert_eq!(got, Got::Answer(batch.clone()), "an error");
}
