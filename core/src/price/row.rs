//! A row of the shipped table: `gpt-5.5 128000 5,30,.5 >272:10,45,1 p:12.5,75,1.25`.
//!
//! Behind the name stand the most output tokens (`-` where unknown) and the sheets. A sheet begins with the letters of its
//! tiers and its threshold in thousands of tokens. Its rates are US dollars per million tokens, by the number of the part.
//! A word that begins with a star has the factors, by their number: `*2,1.1`.

use std::fmt::Write as _;

use super::money::{Nano, scaled};
use super::sheet::{Factors, Part, Price, Sheet, Tier};

/// Reads a row; `None` for any other text.
pub fn read_row(row: &str) -> Option<(&str, Price)> {
    let mut words = row.split(' ');
    let name = words.next().filter(|name| !name.is_empty())?;
    let max_output = match words.next()? {
        "-" => None,
        number => Some(number.parse().ok()?),
    };
    let (mut sheets, mut factors) = (Vec::new(), Factors::default());
    for word in words {
        if let Some(list) = word.strip_prefix('*') {
            factors = read_factors(list)?;
            continue;
        }
        let (head, rates) = word.split_once(':').unwrap_or(("", word));
        let (tiers, above) = head.split_once('>').unwrap_or((head, "0"));
        let mut sheet = Sheet { above: above.parse::<u64>().ok()?.checked_mul(1000)?, ..Sheet::default() };
        for (part, rate) in rates.split(',').enumerate() {
            let part = Part::ALL.get(part)?;
            if !rate.is_empty() {
                sheet.set(*part, Nano::from_usd(rate)?.0);
            }
        }
        if tiers.is_empty() {
            sheets.push(sheet);
        }
        for letter in tiers.chars() {
            let (tier, ..) = Tier::ALL.iter().find(|(.., own)| *own == letter)?;
            sheets.push(Sheet { tier: Some(*tier), ..sheet });
        }
    }
    Some((name, Price::new(sheets, max_output)?.with_factors(factors)))
}

/// Reads a factor such as `1.1`, in thousandths; `None` for one that is not above 0 and at most 1000, or is not exact.
pub fn read_factor(text: &str) -> Option<u32> {
    let (thousandths, is_exact) = scaled(text, 3)?;
    u32::try_from(thousandths).ok().filter(|factor| is_exact && (1..=1_000_000).contains(factor))
}

/// Writes a factor as it is read.
pub fn write_factor(factor: u32) -> String {
    let text = format!("{}.{:03}", factor / 1000, factor % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn read_factors(list: &str) -> Option<Factors> {
    let mut factors = Factors::default();
    let mut places = factors.iter_mut();
    for text in list.split(',') {
        let place = places.next()?;
        *place = if text.is_empty() { None } else { Some(read_factor(text)?) };
    }
    Some(factors)
}

/// Writes a row. Returns `None` where a name or a threshold cannot stand in one.
pub fn write_row(name: &str, price: &Price) -> Option<String> {
    if name.is_empty() || name.contains(|char: char| char.is_whitespace() || char.is_control()) {
        return None;
    }
    let mut row = name.to_owned();
    match price.max_output() {
        Some(number) => write!(row, " {number}").ok()?,
        None => row.push_str(" -"),
    }
    for (index, sheet) in price.sheets().iter().enumerate() {
        let is_like =
            |other: &&Sheet| other.tier.is_some() && other.above == sheet.above && other.rates == sheet.rates;
        let before = price.sheets().iter().take(index);
        if sheet.tier.is_some() && before.clone().any(|other| is_like(&other)) {
            continue;
        }
        row.push(' ');
        let like = price.sheets().iter().filter(is_like).filter_map(|sheet| sheet.tier);
        let mut head: String = like
            .filter(|_| sheet.tier.is_some())
            .filter_map(|tier| Tier::ALL.iter().find(|(own, ..)| *own == tier).map(|(.., letter)| *letter))
            .collect();
        if sheet.above != 0 {
            let thousands = sheet.above / 1000;
            (thousands.checked_mul(1000) == Some(sheet.above)).then_some(())?;
            write!(head, ">{thousands}").ok()?;
        }
        if !head.is_empty() {
            row.push_str(&head);
            row.push(':');
        }
        let rates: Vec<String> =
            sheet.rates.iter().map(|rate| rate.map_or_else(String::new, shown)).collect();
        row.push_str(rates.join(",").trim_end_matches(','));
    }
    let factors = price.factors().map(|factor| factor.map_or_else(String::new, write_factor)).join(",");
    let factors = factors.trim_end_matches(',');
    if !factors.is_empty() {
        row.push_str(" *");
        row.push_str(factors);
    }
    Some(row)
}

/// Writes dollars as short as they are read again.
fn shown(rate: u64) -> String {
    let text = Nano(rate).to_string();
    text.strip_prefix("0.").map_or_else(|| text.clone(), |fraction| format!(".{fraction}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_row_is_read_and_anything_else_is_none() {
        let (name, price) = read_row("gpt-5.5 128000 5,30,.5 >272:10,45,1 bf:2.5,15 p:12.5,75,1.25").unwrap();
        assert_eq!((name, price.max_output(), price.sheets().len()), ("gpt-5.5", Some(128_000), 5));
        assert_eq!(price.rate(Part::Output, Some(Tier::Batch), 0), 15_000_000_000);
        assert_eq!(price.rate(Part::Cached, None, 272_001), 1_000_000_000);
        for bad in [
            "",
            "m",
            "m 1",
            "m - ,5",
            "m - x",
            "m - 1,2 >1:3 >1:4",
            "m - 1,2 x:3",
            "m - 1,2 >k:3",
            "m - f:1,2",
            "m -1 1,2",
            "m - -1,2",
            "m - 1,2,3,4,5,6,7,8,9,10,11",
            "m  1,2",
            "m - 1,2 *x",
            "m - 1,2 *0",
            "m - 1,2 *-1",
            "m - 1,2 *1.0001",
            "m - 1,2 *1001",
            "m - 1,2 *1,2,3",
        ] {
            assert_eq!(read_row(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            rates in prop::collection::vec(prop::option::weighted(0.4, 0..100_000_000_000_u64), Part::COUNT * 5),
            same in any::<bool>(),
            max_output in prop::option::of(any::<u64>()),
            factors in any::<[Option<u32>; 2]>(),
        ) {
            let forms = [
                (None, 0), (None, 128_000), (Some(Tier::Flex), 0), (Some(Tier::Batch), 0), (Some(Tier::Priority), 128_000),
            ];
            let mut sheets: Vec<Sheet> = forms.into_iter().zip(rates.chunks(Part::COUNT)).map(|((tier, above), rates)| {
                let mut sheet = Sheet { tier, above, ..Sheet::default() };
                sheet.rates.copy_from_slice(rates);
                sheet
            }).collect();
            sheets[0].set(Part::Input, 7);
            if same {
                sheets[3].rates = sheets[2].rates;
            }
            let factors = factors.map(|factor| factor.map(|factor| factor % 1_000_000 + 1));
            let price = Price::new(sheets, max_output).unwrap().with_factors(factors);
            let row = write_row("a/b@c", &price).unwrap();
            prop_assert_eq!(read_row(&row), Some(("a/b@c", price)), "{}", row);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[a-z0-9 ,.:>*-]{0,60}") {
            let _ = read_row(&text);
        }
    }
}
