//! One entry of LiteLLM's `model_prices_and_context_window.json`: the price of a model, in US dollars per token.
//!
//! Costs by the image, the second, the character or the query are left out: they are no prices of tokens.

use keyswap_core::price::{Factor, Factors, Part, Price, Sheet, Tier, read_factor, scaled};
use serde_json::{Map, Value};

/// The powers of ten between dollars per token and nano-dollars per million tokens.
const PER_TOKEN: i32 = 15;

/// The names of rates. A name that begins with another one stands before it.
const RATES: [(&str, Part); 10] = [
    ("cache_creation_input_token_cost_above_1hr", Part::CacheWrite1h),
    ("cache_creation_input_token_cost", Part::CacheWrite),
    ("cache_read_input_token_cost", Part::Cached),
    ("input_cost_per_audio_token", Part::AudioInput),
    ("input_cost_per_image_token", Part::ImageInput),
    ("input_cost_per_token", Part::Input),
    ("output_cost_per_audio_token", Part::AudioOutput),
    ("output_cost_per_image_token", Part::ImageOutput),
    ("output_cost_per_reasoning_token", Part::Reasoning),
    ("output_cost_per_token", Part::Output),
];

/// The modes whose models have no output tokens.
const WITHOUT_OUTPUT: [&str; 3] = ["embedding", "moderation", "rerank"];

/// Reads the price of an entry; `None` where tokens have none.
///
/// # Errors
/// The member that is no price.
pub(super) fn read(entry: &Map<String, Value>) -> Result<Option<Price>, String> {
    let mut sheets = Sheets::default();
    for (name, value) in entry.iter().filter(|(_, value)| !value.is_null()) {
        if let Some((part, tier, above)) = parse(name) {
            sheets.set(part, tier, above, rate(name, value)?);
        }
    }
    for tier in entry.get("tiered_pricing").and_then(Value::as_array).into_iter().flatten() {
        let above = tier.get("range").and_then(|range| range.get(0)).and_then(tokens).unwrap_or(0);
        for (name, value) in tier.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
            if let Some((part, None, 0)) = parse(name) {
                sheets.set(part, None, above, rate(&format!("tiered_pricing.{name}"), value)?);
            }
        }
    }
    let has_output =
        !entry.get("mode").and_then(Value::as_str).is_some_and(|mode| WITHOUT_OUTPUT.contains(&mode));
    let max_output = entry.get("max_output_tokens").and_then(Value::as_u64);
    let factors = factors(entry)?;
    let price = sheets.finish(has_output).and_then(|sheets| Price::new(sheets, max_output));
    Ok(price.map(|price| price.with_factors(factors)))
}

/// Reads the factors, which stand among other things that only one provider has.
fn factors(entry: &Map<String, Value>) -> Result<Factors, String> {
    let mut factors = Factors::default();
    for ((name, _), place) in Factor::ALL.iter().zip(&mut factors) {
        let value = entry.get("provider_specific_entry").and_then(|own| own.get(name));
        if let Some(value) = value.filter(|value| !value.is_null()) {
            let factor = value.as_number().and_then(|number| read_factor(&number.to_string()));
            *place = Some(factor.ok_or_else(|| format!("`provider_specific_entry.{name}` is no factor"))?);
        }
    }
    Ok(factors)
}

/// Parses a name such as `input_cost_per_token_above_272k_tokens_flex`.
fn parse(name: &str) -> Option<(Part, Option<Tier>, u64)> {
    let (rest, part) =
        RATES.iter().find_map(|(rate, part)| name.strip_prefix(rate).map(|rest| (rest, *part)))?;
    let (rest, tier) = match rest.strip_suffix("_batches") {
        Some(rest) => (rest, Some(Tier::Batch)),
        None => match rest.rsplit_once('_').and_then(|(rest, name)| Some((rest, Tier::named(name)?))) {
            Some((rest, tier)) => (rest, Some(tier)),
            None => (rest, None),
        },
    };
    if rest.is_empty() {
        return Some((part, tier, 0));
    }
    let thousands: u64 = rest.strip_prefix("_above_")?.strip_suffix("k_tokens")?.parse().ok()?;
    Some((part, tier, thousands.checked_mul(1000)?))
}

fn rate(name: &str, value: &Value) -> Result<u64, String> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => String::new(),
    };
    scaled(&text, PER_TOKEN).map(|(rate, _)| rate).ok_or_else(|| format!("`{name}` is no price"))
}

fn tokens(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| scaled(&value.to_string(), 0).map(|(number, _)| number))
}

#[derive(Default)]
struct Sheets(Vec<Sheet>);

impl Sheets {
    fn set(&mut self, part: Part, tier: Option<Tier>, above: u64, rate: u64) {
        if let Some(sheet) = self.0.iter_mut().find(|sheet| (sheet.tier, sheet.above) == (tier, above)) {
            sheet.set(part, rate);
            return;
        }
        let mut sheet = Sheet { tier, above, ..Sheet::default() };
        sheet.set(part, rate);
        self.0.push(sheet);
    }

    /// Returns the sheets, without rates that say nothing. Returns `None` where tokens are free or the output of a model has
    /// no price: such an entry tells costs of another kind, or none.
    fn finish(mut self, has_output: bool) -> Option<Vec<Sheet>> {
        let plain = self.0.iter_mut().find(|sheet| sheet.tier.is_none() && sheet.above == 0)?;
        plain.rate(Part::Input)?;
        if plain.rate(Part::Output).is_none() {
            // An answer may not say which of its tokens are images.
            let parts = [Part::ImageOutput, Part::AudioOutput, Part::Reasoning];
            let dearest = parts.into_iter().filter_map(|part| plain.rate(part)).max();
            plain.set(Part::Output, dearest.or((!has_output).then_some(0))?);
        }
        let plain = *plain;
        if plain.rates.iter().all(|rate| rate.unwrap_or(0) == 0) {
            return None;
        }
        for sheet in &mut self.0 {
            simplify(sheet, plain);
        }
        self.0.retain(|sheet| sheet.rates.iter().any(Option::is_some));
        Some(self.0)
    }
}

/// Removes the rates of the plain sheet that are those of the part's fallback.
fn simplify(sheet: &mut Sheet, plain: Sheet) {
    if *sheet != plain {
        return;
    }
    let is_needed = |part: Part| {
        let mut without = plain;
        if let Some(place) = without.rates.get_mut(part as usize) {
            *place = None;
        }
        let price = |sheet: Sheet| Price::new(vec![sheet], None).map(|price| price.rate(part, None, 0));
        matches!(part, Part::Input | Part::Output) || price(without) != price(plain)
    };
    let mut simple = Sheet { rates: [None; Part::COUNT], ..plain };
    for part in Part::ALL {
        if let Some(rate) = plain.rate(part).filter(|_| is_needed(part)) {
            simple.set(part, rate);
        }
    }
    *sheet = simple;
}

#[cfg(test)]
mod tests {
    use keyswap_core::price::write_row;
    use serde_json::json;

    use super::*;

    fn row(entry: &Value) -> Result<Option<String>, String> {
        read(entry.as_object().unwrap()).map(|price| price.and_then(|price| write_row("m", &price)))
    }

    #[test]
    fn an_entry_is_read_with_its_tiers_and_thresholds() {
        for (entry, expect) in [
            (
                json!({"input_cost_per_token": 1.25e-6, "output_cost_per_token": 1e-5, "max_output_tokens": 128_000}),
                Some("m 128000 1.25,10"),
            ),
            (
                json!({"input_cost_per_token": 5e-6, "output_cost_per_token": 3e-5, "cache_read_input_token_cost": 5e-7,
                       "input_cost_per_token_above_272k_tokens": 1e-5, "output_cost_per_token_flex": 1.5e-5,
                       "output_cost_per_token_batches": 1.5e-5, "input_cost_per_token_above_272k_tokens_priority": 2e-5,
                       "cache_creation_input_token_cost_above_1hr": 1e-5, "cache_creation_input_token_cost": 6.25e-6}),
                Some("m - 5,30,.5,6.25,10 >272:10 fb:,15 p>272:20"),
            ),
            // A float's dust, and rates that are those of the whole.
            (
                json!({"input_cost_per_token": 6.000_000_000_000_001e-7, "output_cost_per_token": 1e-6,
                       "input_cost_per_audio_token": 6e-7, "output_cost_per_reasoning_token": 1e-6}),
                Some("m - .6,1"),
            ),
            (
                json!({"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6,
                       "provider_specific_entry": {"us": 1.1, "fast": 2.0, "video_reference_input": "first_frame"}}),
                Some("m - 1,2 *2,1.1"),
            ),
            (json!({"input_cost_per_token": 1e-8, "mode": "embedding"}), Some("m - .01,0")),
            (json!({"input_cost_per_token": 5e-6, "output_cost_per_image_token": 4e-5}), Some("m - 5,40")),
            (
                json!({"tiered_pricing": [{"range": [0, 32000.0], "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6},
                                          {"range": [32000.0, 1e6], "input_cost_per_token": 3e-6}]}),
                Some("m - 1,2 >32:3"),
            ),
            (json!({"input_cost_per_token": 1e-6, "mode": "chat"}), None),
            (json!({"input_cost_per_token": 0, "output_cost_per_token": 0.0}), None),
            (json!({"output_cost_per_image": 0.04, "input_cost_per_token": null}), None),
            (json!({"input_cost_per_second": 0.0001}), None),
            (json!({}), None),
        ] {
            assert_eq!(row(&entry), Ok(expect.map(str::to_owned)), "{entry}");
        }
    }

    #[test]
    fn what_is_no_factor_is_an_error_with_its_member() {
        for value in [json!(0), json!(-1.1), json!("1.1"), json!(1.00001), json!(1001)] {
            let entry = json!({"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6,
                               "provider_specific_entry": {"us": value}});
            assert_eq!(row(&entry), Err("`provider_specific_entry.us` is no factor".to_owned()), "{value}");
        }
    }

    #[test]
    fn what_is_no_price_is_an_error_with_its_member() {
        for value in [json!(-1e-6), json!("free"), json!([1]), json!({}), json!(true), json!(1e30)] {
            let entry = json!({"input_cost_per_token": 1e-6, "output_cost_per_token_flex": value});
            assert_eq!(row(&entry), Err("`output_cost_per_token_flex` is no price".to_owned()), "{value}");
        }
    }
}
