//! The section `prices` of a policy, as text: in YAML the rest of the file stays as it is, comments included.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use keyswap_core::price::{Factor, Nano, Part, Price, Sheet, Tier, write_factor};
use serde_json::{Map, Value, json};

/// Returns a price as it stands in a policy.
pub(super) fn as_json(price: &Price) -> Value {
    let mut whole = Map::new();
    for sheet in price.sheets() {
        let tier = Tier::ALL.iter().find(|(tier, ..)| sheet.tier == Some(*tier)).map(|(_, name, _)| *name);
        let mut rates = rates(sheet);
        let place = match tier {
            None => &mut whole,
            Some(name) => {
                let place = whole.entry(name).or_insert_with(|| json!({}));
                let Some(place) = place.as_object_mut() else { continue };
                place
            }
        };
        if sheet.above == 0 {
            place.append(&mut rates);
        } else if let Some(above) = place.entry("above").or_insert_with(|| json!([])).as_array_mut() {
            rates.insert("input_tokens".to_owned(), sheet.above.into());
            above.push(rates.into());
        }
    }
    if let Some(max_output) = price.max_output() {
        whole.insert("max_output".to_owned(), max_output.into());
    }
    let factors = Factor::ALL.iter().zip(price.factors());
    let factors: Map<String, Value> = factors
        .filter_map(|((name, _), factor)| Some(((*name).to_owned(), write_factor((*factor)?).into())))
        .collect();
    if !factors.is_empty() {
        whole.insert("factors".to_owned(), factors.into());
    }
    whole.into()
}

fn rates(sheet: &Sheet) -> Map<String, Value> {
    let rate = |part: Part| Some((part.name().to_owned(), Nano(sheet.rate(part)?).to_string().into()));
    Part::ALL.into_iter().filter_map(rate).collect()
}

/// Returns the section in YAML. `prices` are in the form of a policy.
pub(super) fn as_yaml(prices: &BTreeMap<String, Value>) -> String {
    if prices.is_empty() {
        return "prices: {}\n".to_owned();
    }
    let mut text = "prices:\n".to_owned();
    for (name, price) in prices {
        // A name is visible ASCII: JSON's quotes are YAML's.
        let _ = writeln!(text, "  {}: {}", Value::from(name.as_str()), flow(price));
    }
    text
}

/// Returns a value in YAML's flow style. The order is that of a price list.
fn flow(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let place =
                |name: &str| Part::ALL.iter().position(|part| part.name() == name).unwrap_or(Part::COUNT);
            let mut names: Vec<&String> = members.keys().collect();
            names.sort_by_key(|name| place(name));
            let members: Vec<String> = names
                .into_iter()
                .filter_map(|name| Some(format!("{name}: {}", flow(members.get(name)?))))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        // Decimals need no quotes: the reader loses nothing of up to 15 digits.
        Value::String(text) if is_short_decimal(text) => text.clone(),
        other => other.to_string(),
    }
}

fn is_short_decimal(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    (1..=15).contains(&digits)
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && text.starts_with(|char: char| char.is_ascii_digit())
}

/// Returns the YAML document with another section `prices`, in the place of the present one or at the end.
pub(super) fn replace(document: &str, section: &str) -> String {
    let is_start = |line: &str| {
        line.strip_prefix("prices:")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
    };
    let is_inside = |line: &str| line.starts_with([' ', '\t', '}', ']']) || line.trim().is_empty();
    let mut lines = document.split_inclusive('\n').peekable();
    let (mut before, mut after) = (String::new(), String::new());
    let mut found = false;
    while let Some(line) = lines.next() {
        if found || !is_start(line) {
            if found { &mut after } else { &mut before }.push_str(line);
            continue;
        }
        found = true;
        // Empty lines and comments at the end of the section belong to what follows.
        let mut kept = String::new();
        while let Some(inner) = lines.next_if(|line| is_inside(line)) {
            if inner.trim().is_empty() {
                kept.push_str(inner);
            } else {
                kept.clear();
            }
        }
        after.push_str(&kept);
    }
    if !before.is_empty() && !before.ends_with('\n') {
        before.push('\n');
    }
    format!("{before}{section}{after}")
}

#[cfg(test)]
mod tests {
    use keyswap_core::price::read_row;

    use super::*;

    #[test]
    fn a_price_is_written_as_a_policy_reads_it() {
        let (_, price) = read_row("m 128000 5,30,.5 >272:10,45 bf:2.5 p>272:9 *,1.1").unwrap();
        let prices = BTreeMap::from([("openai/m".to_owned(), as_json(&price))]);
        assert_eq!(
            as_yaml(&prices),
            "prices:\n  \"openai/m\": {input: 5, output: 30, cached: 0.5, above: [{input: 10, output: 45, input_tokens: 272000}], \
             batch: {input: 2.5}, factors: {us: 1.1}, flex: {input: 2.5}, max_output: 128000, priority: {above: [{input: 9, input_tokens: 272000}]}}\n"
        );
        assert_eq!(as_yaml(&BTreeMap::new()), "prices: {}\n");
    }

    #[test]
    fn the_section_is_replaced_where_it_stands_and_nothing_else_moves() {
        let section = "prices:\n  new: {}\n";
        for (document, expect) in [
            ("version: x\n# end", "version: x\n# end\nprices:\n  new: {}\n"),
            ("prices: {a: 1}\nversion: x\n", "prices:\n  new: {}\nversion: x\n"),
            (
                "a: 1\n\nprices: # ours\n  x: {input: 1}\n\n  # why\n  y: {}\n\n# next\nb:\n  prices:\n    - 1\n",
                "a: 1\n\nprices:\n  new: {}\n\n# next\nb:\n  prices:\n    - 1\n",
            ),
            ("prices: {\n  a: 1\n}\nb: 2\n", "prices:\n  new: {}\nb: 2\n"),
            ("prices_of: 1\n", "prices_of: 1\nprices:\n  new: {}\n"),
            ("", "prices:\n  new: {}\n"),
        ] {
            assert_eq!(replace(document, section), expect, "{document}");
        }
    }
}
