//! The filter of lists: elements go with their commas, and every other byte stays, whatever the slices.

use keyswap_core::body::{JsonError, ListFilter, MAX_ELEMENT_BYTES, MODELS};
use proptest::prelude::*;
use serde_json::Value;

use crate::wire;

/// Returns a list without the elements whose id has an `x`.
fn filtered(slices: &[&[u8]]) -> Result<String, JsonError> {
    let (mut filter, mut out) = (ListFilter::new(MODELS), Vec::new());
    for slice in slices {
        filter.feed(slice, &mut |id| !id.contains('x'), &mut out)?;
    }
    filter.finish()?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn elements_go_with_their_commas() {
    for (list, expect) in [
        (r#"{"data":[{"id":"a"},{"id":"b"}]}"#, r#"{"data":[{"id":"a"},{"id":"b"}]}"#),
        (r#"{"data":[{"id":"x"},{"id":"b"}]}"#, r#"{"data":[{"id":"b"}]}"#),
        (r#"{"data":[{"id":"a"},{"id":"x"}]}"#, r#"{"data":[{"id":"a"}]}"#),
        (r#"{"data":[{"id":"a"},{"id":"x"},{"id":"c"}]}"#, r#"{"data":[{"id":"a"},{"id":"c"}]}"#),
        (r#"{"data":[{"id":"x"},{"id":"x"}],"a":1}"#, r#"{"data":[],"a":1}"#),
        (r#"{"data":[]}"#, r#"{"data":[]}"#),
        (
            "{\n \"data\": [\n  {\"id\": \"x\"} ,\n  {\"id\": \"b\"}\n ]\n}\n",
            "{\n \"data\": [\n  {\"id\": \"b\"}\n ]\n}\n",
        ),
        ("{\"data\":[ {\"id\":\"a\"} ,\n {\"id\":\"x\"} ]}", "{\"data\":[ {\"id\":\"a\"} ]}"),
        (r#"{"data":[1,"b, c",{"id":"a"},true,[{"id":"a"}],null ,-2]}"#, r#"{"data":[{"id":"a"}]}"#),
        (r#"{"data":["a]"]}"#, r#"{"data":[]}"#),
        (r#"{"data":[{},{"id":null},{"id":["a"]},{"name":"a"},{"id":""}]}"#, r#"{"data":[]}"#),
        (r#"{"data":[{"a":{"id":"x"},"id":"a"}]}"#, r#"{"data":[{"a":{"id":"x"},"id":"a"}]}"#),
        (r#"{"data":[{"a":"}],{","id":"\u0061"}]}"#, r#"{"data":[{"a":"}],{","id":"\u0061"}]}"#),
        (r#"{"data":[{"id":"\u0078"}]}"#, r#"{"data":[]}"#),
        (r#"{"data":[{"id":"a","id":"b"},{"id":"a","ID":"b"}]}"#, r#"{"data":[]}"#),
        (
            r#"{"a":{"data":[{"id":"x"}]},"data":{"id":"x"}}"#,
            r#"{"a":{"data":[{"id":"x"}]},"data":{"id":"x"}}"#,
        ),
        (r#"{"models":[{"name":"a"},{"name":"x"}]}"#, r#"{"models":[{"name":"a"}]}"#),
        (
            r#"{"models":[{"name":"X Y","slug":"a"},{"name":"a","id":"x"}]}"#,
            r#"{"models":[{"name":"X Y","slug":"a"}]}"#,
        ),
        (
            r#"{"data":[{"id":"x"}],"models":[{"id":"a"},{"id":"b"}]}"#,
            r#"{"data":[],"models":[{"id":"a"},{"id":"b"}]}"#,
        ),
        (r#"{"error":{"message":"x"}}"#, r#"{"error":{"message":"x"}}"#),
    ] {
        assert_eq!(filtered(&[list.as_bytes()]).as_deref(), Ok(expect), "{list}");
    }
}

#[test]
fn a_long_element_goes_unless_its_id_is_known_in_time() {
    let long = "y".repeat(MAX_ELEMENT_BYTES);
    for (list, expect) in [
        (format!(r#"[{{"id":"a","text":"{long}"}},{{"id":"b"}}]"#), None),
        (format!(r#"[{{"text":"{long}","id":"a"}},{{"id":"b"}}]"#), Some(r#"[{"id":"b"}]"#)),
        (format!(r#"[{{"id":"b"}},{{"text":"{long}"}}]"#), Some(r#"[{"id":"b"}]"#)),
        (format!(r#"[{{"id":"{long}"}}]"#), Some("[]")),
        (format!(r#"["{long}"]"#), Some("[]")),
    ] {
        let (list, expect) =
            (format!(r#"{{"data":{list}}}"#), expect.map(|expect| format!(r#"{{"data":{expect}}}"#)));
        assert_eq!(filtered(&[list.as_bytes()]), Ok(expect.unwrap_or(list)));
    }
}

#[test]
fn of_much_space_between_elements_a_part_goes_on() {
    let much = " ".repeat(MAX_ELEMENT_BYTES + 1);
    let kept = " ".repeat(MAX_ELEMENT_BYTES);
    for (list, expect) in [
        (format!("{much},"), format!("{kept},")),
        (format!(",{much}"), format!(",{}", &kept[1..])),
        (kept.clone() + ",", kept.clone() + ","),
    ] {
        let whole = |between: &str| format!(r#"{{"data":[{{"id":"a"}}{between}{{"id":"b"}}]}}"#);
        assert_eq!(filtered(&[whole(&list).as_bytes()]), Ok(whole(&expect)));
    }
}

#[test]
fn nothing_goes_on_behind_a_fault() {
    for (list, error) in [
        (r#"{"data":[{"id":"a"},]}"#, JsonError::Unexpected),
        (r#"{"data":[{"id":"a"}"#, JsonError::Incomplete),
        ("<html>", JsonError::Unexpected),
        ("{}{}", JsonError::Trailing),
    ] {
        assert_eq!(filtered(&[list.as_bytes()]), Err(error), "{list}");
    }
}

/// Returns elements of a list.
fn elements() -> impl Strategy<Value = Vec<Value>> {
    let text = r#"[a-z{}\[\],:"\\ é]{0,5}"#;
    let object = prop::collection::btree_map("id|name|other", text, 0..3)
        .prop_map(|members| members.into_iter().map(|(name, text)| (name, Value::from(text))).collect());
    prop::collection::vec(
        prop_oneof![4 => object, 1 => text.prop_map(Value::from), 1 => any::<i32>().prop_map(Value::from)],
        0..6,
    )
}

proptest! {
    #[test]
    fn whatever_the_slices_the_list_is_that_of_a_reader_of_the_whole(
        elements in elements(),
        pretty in any::<bool>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let list = |elements: Vec<Value>| serde_json::json!({"object": "list", "data": elements, "more": false});
        let stays = |element: &Value| {
            element.get("id").and_then(Value::as_str).is_some_and(|id| !id.is_empty() && !id.contains('x'))
        };
        let whole = list(elements.clone());
        let expect = list(elements.into_iter().filter(stays).collect());
        let text = if pretty { serde_json::to_string_pretty(&whole) } else { serde_json::to_string(&whole) }.unwrap();
        let found = filtered(&[text.as_bytes()]).unwrap();
        prop_assert_eq!(serde_json::from_str::<Value>(&found).unwrap(), expect.clone());
        if !pretty {
            prop_assert_eq!(&found, &serde_json::to_string(&expect).unwrap());
        }
        prop_assert_eq!(&filtered(&wire::slices(text.as_bytes(), &cuts)).unwrap(), &found);
    }
}
