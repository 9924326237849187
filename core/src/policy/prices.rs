//! The prices of a policy, which come before those of the shipped table: US dollars per million tokens, as decimals.

use std::collections::BTreeMap;

use super::reader::{Fields, Node};
use crate::price::{Factor, Factors, Nano, Part, Price, Prices, Sheet, Tier, read_factor};

/// The most dollars per million tokens.
const MAX_RATE_USD: u64 = 1_000_000;

const RATE_EXPECTED: &str =
    "expected US dollars per million tokens such as `1.25`: at most 1000000, with at most nine decimals";
const FACTOR_EXPECTED: &str =
    "expected a factor such as `1.1`: above 0, at most 1000, with at most three decimals";
const NAME_EXPECTED: &str = "expected the name of a model, or of a provider and a model as in `openai/gpt-5`: 1 to 256 visible ASCII characters";

/// Reads the prices by model, or by provider and model.
#[inline(never)]
pub(super) fn read(node: &Node<'_>) -> Prices {
    let mut prices = BTreeMap::new();
    for (name, node) in node.entries() {
        let is_name = (1..=256).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
        if node.check(is_name.then_some(()), NAME_EXPECTED).is_some()
            && let Some(price) = read_price(&node)
        {
            prices.insert(name.to_owned(), price);
        }
    }
    Prices::new(prices)
}

fn read_price(node: &Node<'_>) -> Option<Price> {
    let mut fields = node.fields()?;
    for name in [Part::Input.name(), Part::Output.name()] {
        // What is forgotten here would be free.
        let _ = fields.required(name);
    }
    let max_output = fields.optional("max_output").map(|node| read_tokens(&node));
    let factors = fields.optional("factors").map_or(Some(Factors::default()), |node| read_factors(&node));
    let mut sheets = Some(Vec::new());
    read_sheets(None, &mut fields, &mut sheets);
    for (tier, name, _) in Tier::ALL {
        let Some(mut fields) = fields.optional(name).and_then(|node| node.fields()) else { continue };
        read_sheets(Some(tier), &mut fields, &mut sheets);
        fields.finish();
    }
    fields.finish();
    let max_output = max_output.map_or(Some(None), |number| number.map(Some))?;
    let sheets = sheets?;
    // A plain price without input was reported above.
    if !sheets
        .iter()
        .any(|sheet| sheet.tier.is_none() && sheet.above == 0 && sheet.rate(Part::Input).is_some())
    {
        return None;
    }
    let price = Price::new(sheets, max_output);
    let price = node.check(price, "two entries of `above` have the same `input_tokens`")?;
    Some(price.with_factors(factors?))
}

/// Reads the factors of a price.
fn read_factors(node: &Node<'_>) -> Option<Factors> {
    let mut fields = node.fields()?;
    let (mut factors, mut is_whole) = (Factors::default(), true);
    for ((name, _), place) in Factor::ALL.iter().zip(&mut factors) {
        let Some(node) = fields.optional(name) else { continue };
        *place = node.check(node.decimal().and_then(|text| read_factor(&text)), FACTOR_EXPECTED);
        is_whole &= place.is_some();
    }
    fields.finish();
    is_whole.then_some(factors)
}

/// Reads the rates of a tier, and those above thresholds. An unreadable rate leaves no sheets at all.
fn read_sheets(tier: Option<Tier>, fields: &mut Fields<'_>, sheets: &mut Option<Vec<Sheet>>) {
    let mut add = |sheet: Option<Sheet>| match sheet {
        Some(sheet) => sheets.iter_mut().for_each(|sheets| sheets.push(sheet)),
        None => *sheets = None,
    };
    add(read_rates(fields, Sheet { tier, ..Sheet::default() }));
    for node in fields.optional("above").iter().flat_map(Node::items) {
        let Some(mut fields) = node.fields() else { continue };
        let above = fields.required("input_tokens").and_then(|node| read_tokens(&node));
        let sheet = read_rates(&mut fields, Sheet { tier, above: above.unwrap_or(1), ..Sheet::default() });
        fields.finish();
        add(sheet.filter(|_| above.is_some()));
    }
}

fn read_rates(fields: &mut Fields<'_>, mut sheet: Sheet) -> Option<Sheet> {
    let mut is_whole = true;
    for part in Part::ALL {
        let Some(node) = fields.optional(part.name()) else { continue };
        let rate = node.decimal().and_then(|text| Nano::from_usd(&text));
        let rate = rate.filter(|rate| rate.0 <= MAX_RATE_USD.saturating_mul(1_000_000_000));
        match node.check(rate, RATE_EXPECTED) {
            Some(rate) => sheet.set(part, rate.0),
            None => is_whole = false,
        }
    }
    is_whole.then_some(sheet)
}

fn read_tokens(node: &Node<'_>) -> Option<u64> {
    let number = node.number()?;
    node.check((1..=1_000_000_000).contains(&number).then_some(number), "expected 1 to 1000000000 tokens")
}
