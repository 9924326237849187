//! Strict JSON: a repeated member is an error, where `serde_json` alone would keep the last one.
//!
//! Two readers of one document must not see different values (RFC 8259 section 4), so neither the first member wins nor
//! the last. Depth is bounded: by the caller for what strangers send, by `serde_json` (128 levels) for the policy.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Reads one JSON document and nothing after it.
pub(crate) fn parse(document: &[u8]) -> Result<Value, serde_json::Error> {
    parse_within(u8::MAX, document)
}

/// Reads one JSON document that nests arrays and objects `depth` levels deep at most.
pub(crate) fn parse_within(depth: u8, document: &[u8]) -> Result<Value, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(document);
    let value = Strict { depth }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Strict {
    /// The levels that may still open.
    depth: u8,
}

impl Strict {
    fn inside<E: Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| E::custom("nested too deep"))?;
        Ok(Self { depth })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inside)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if map.contains_key(&name) {
                return Err(A::Error::custom("a member stands twice in one object"));
            }
            map.insert(name, members.next_value_seed(inside)?);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_serde_json_reads() {
        for text in
            [r#"{"a":[1,-2,1.5,"x",null,true],"b":{"c":{}}}"#, "[]", "\"\\u00e9\"", "18446744073709551615"]
        {
            assert_eq!(parse(text.as_bytes()).unwrap(), serde_json::from_str::<Value>(text).unwrap());
        }
    }

    #[test]
    fn refuses_a_repeated_member_trailing_data_and_bottomless_nesting() {
        let deep = "[".repeat(100_000);
        for text in
            [r#"{"a":1,"a":2}"#, r#"{"a":{"b":1,"\u0062":2}}"#, "{} {}", "\u{feff}{}", "1e400", "", &deep]
        {
            assert!(parse(text.as_bytes()).is_err(), "{text:.40}");
        }
    }

    #[test]
    fn depth_is_counted_in_levels() {
        for (text, depth) in [("1", 0), ("[]", 1), (r#"{"a":{"b":[1,2]},"c":[{}]}"#, 3), ("[[[[]]]]", 4)] {
            assert!(parse_within(depth, text.as_bytes()).is_ok(), "{text}");
            assert!(depth == 0 || parse_within(depth - 1, text.as_bytes()).is_err(), "{text}");
        }
    }
}
