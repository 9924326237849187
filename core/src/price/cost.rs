//! The cost of a request: its tokens at their prices, rounded up once.

use super::money::Nano;
use super::sheet::{Factor, Part, Price, Tier};

/// The tokens of a request, by kind. `cached` to `image_input` are parts of `input`, `reasoning` to `image_output` are parts
/// of `output`, and `cache_write_1h` is a part of `cache_write`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All input tokens.
    pub input: u64,
    /// Those that were read from the provider's cache.
    pub cached: u64,
    /// Those that were written into the cache.
    pub cache_write: u64,
    /// Those that were written into it for an hour.
    pub cache_write_1h: u64,
    /// Those of audio.
    pub audio_input: u64,
    /// Those of images.
    pub image_input: u64,
    /// All output tokens.
    pub output: u64,
    /// Those that the caller does not see.
    pub reasoning: u64,
    /// Those of audio.
    pub audio_output: u64,
    /// Those of images.
    pub image_output: u64,
}

impl Counts {
    /// Returns the tokens of each part, each token in one part.
    ///
    /// A provider may count a token twice, as cached and as audio: then the price of cached input counts. Where parts are
    /// more than the whole, the parts count.
    fn parts(&self) -> [(Part, u64); Part::COUNT] {
        let cache_write_1h = self.cache_write_1h.min(self.cache_write);
        let input = self.input.saturating_sub(self.cached.saturating_add(self.cache_write));
        let audio_input = self.audio_input.min(input);
        let input = input.saturating_sub(audio_input);
        let image_input = self.image_input.min(input);
        let output = self.output.saturating_sub(self.reasoning);
        let audio_output = self.audio_output.min(output);
        let output = output.saturating_sub(audio_output);
        let image_output = self.image_output.min(output);
        [
            (Part::Input, input.saturating_sub(image_input)),
            (Part::Output, output.saturating_sub(image_output)),
            (Part::Cached, self.cached),
            (Part::CacheWrite, self.cache_write.saturating_sub(cache_write_1h)),
            (Part::CacheWrite1h, cache_write_1h),
            (Part::Reasoning, self.reasoning),
            (Part::AudioInput, audio_input),
            (Part::AudioOutput, audio_output),
            (Part::ImageInput, image_input),
            (Part::ImageOutput, image_output),
        ]
    }

    /// Returns the sum of two requests.
    #[must_use]
    pub const fn saturating_add(&self, other: &Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            cached: self.cached.saturating_add(other.cached),
            cache_write: self.cache_write.saturating_add(other.cache_write),
            cache_write_1h: self.cache_write_1h.saturating_add(other.cache_write_1h),
            audio_input: self.audio_input.saturating_add(other.audio_input),
            image_input: self.image_input.saturating_add(other.image_input),
            output: self.output.saturating_add(other.output),
            reasoning: self.reasoning.saturating_add(other.reasoning),
            audio_output: self.audio_output.saturating_add(other.audio_output),
            image_output: self.image_output.saturating_add(other.image_output),
        }
    }

    /// Returns the tokens that a budget in tokens counts: input and output.
    pub const fn tokens(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

/// The tokens that a rate is for.
const PER: u128 = 1_000_000;
/// The parts of a factor.
const PER_FACTOR: u32 = 1000;

impl Price {
    /// Returns the cost of a request that a service tier served; `None` is the plain price.
    pub fn cost(&self, counts: &Counts, tier: Option<Tier>) -> Nano {
        self.cost_by(counts, tier, [])
    }

    /// Returns the cost of a request that was served in ways that multiply the price, as far as it has a factor for them.
    pub fn cost_by(
        &self,
        counts: &Counts,
        tier: Option<Tier>,
        factors: impl IntoIterator<Item = Option<Factor>>,
    ) -> Nano {
        let above = self.threshold(counts.input);
        let of_part = |(part, count): (Part, u64)| product(count, self.rate_at(part, tier, above));
        let sum = counts.parts().into_iter().map(of_part).fold(0, u128::saturating_add);
        let factors = factors.into_iter().flatten();
        rounded_up(sum, factors.filter_map(|factor| self.factors().get(factor as usize).copied().flatten()))
    }

    /// Returns the most that a request can cost with this much input and output, whatever the kinds of its tokens and the way
    /// in which it is served.
    pub fn worst(&self, input: u64, output: u64, tier: Option<Tier>) -> Nano {
        let above = self.threshold(input);
        let dearest = |parts: &[Part]| {
            parts.iter().map(|part| self.rate_at(*part, tier, above)).max().unwrap_or_default()
        };
        let of_input = dearest(&[
            Part::Input,
            Part::Cached,
            Part::CacheWrite,
            Part::CacheWrite1h,
            Part::AudioInput,
            Part::ImageInput,
        ]);
        let of_output = dearest(&[Part::Output, Part::Reasoning, Part::AudioOutput, Part::ImageOutput]);
        let dearer = self.factors().iter().flatten().copied().filter(|factor| *factor > PER_FACTOR);
        rounded_up(product(input, of_input).saturating_add(product(output, of_output)), dearer)
    }
}

fn product(count: u64, rate: u64) -> u128 {
    u128::from(count).saturating_mul(u128::from(rate))
}

/// Multiplies a sum, and rounds it up once.
fn rounded_up(sum: u128, factors: impl IntoIterator<Item = u32>) -> Nano {
    let scaled = factors.into_iter().fold((sum, PER), |(sum, per), factor| {
        (sum.saturating_mul(factor.into()), per.saturating_mul(PER_FACTOR.into()))
    });
    Nano(u64::try_from(scaled.0.div_ceil(scaled.1)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::price::read_row;

    fn price(row: &str) -> Price {
        read_row(&format!("m {row}")).unwrap().1
    }

    fn cost(row: &str, counts: Counts, tier: Option<Tier>) -> u64 {
        price(row).cost(&counts, tier).0
    }

    #[test]
    fn each_part_has_its_price_or_that_of_the_whole() {
        let all = Counts {
            input: 1000,
            cached: 100,
            cache_write: 90,
            cache_write_1h: 40,
            audio_input: 80,
            image_input: 70,
            output: 500,
            reasoning: 60,
            audio_output: 50,
            image_output: 40,
        };
        // In nano-dollars a token: a row has dollars a million tokens.
        let row = "- .001,.002,.003,.004,.005,.006,.007,.008,.009,.010";
        let expect = 660 + 2 * 350 + 3 * 100 + 4 * 50 + 5 * 40 + 6 * 60 + 7 * 80 + 8 * 50 + 9 * 70 + 10 * 40;
        assert_eq!(cost(row, all, None), expect);
        assert_eq!(cost("- .001,.002", all, None), 1000 + 2 * 500);
        assert_eq!(cost("- .001,.002,,.004", all, None), 910 + 4 * 90 + 2 * 500);
    }

    #[test]
    fn a_request_is_rounded_up_once() {
        for (input, output, expect) in
            [(0, 0, 0), (1, 0, 1), (1, 1, 1), (500_000, 500_000, 1), (1_000_001, 0, 2)]
        {
            let counts = Counts { input, output, ..Counts::default() };
            assert_eq!(cost("- .000000001,.000000001", counts, None), expect, "{input} {output}");
        }
    }

    #[test]
    fn above_a_threshold_all_tokens_have_the_higher_price() {
        let row = "- .001,.002,.0001 >128:.002,.003 >256:.004,.005";
        for (input, expect) in [
            (128_000, 128_000 + 2),
            (128_001, 2 * 128_001 + 3),
            (256_000, 512_000 + 3),
            (256_001, 4 * 256_001 + 5),
        ] {
            assert_eq!(cost(row, Counts { input, output: 1, ..Counts::default() }, None), expect, "{input}");
        }
        let cached = Counts { input: 200_000, cached: 100_000, ..Counts::default() };
        assert_eq!(
            cost(row, cached, None),
            200_000 + 10_000,
            "what the sheet lacks is that of the plain one"
        );
    }

    #[test]
    fn a_factor_multiplies_the_price_of_what_was_served_in_its_way_and_the_cost_is_rounded_up_once() {
        let price = price("- .000001,.000001 *2,1.1");
        let cost = |input, factors: &[Option<Factor>]| {
            price.cost_by(&Counts { input, ..Counts::default() }, None, factors.iter().copied()).0
        };
        let (fast, us) = (Factor::named("fast"), Factor::named("us"));
        for (factors, expect) in [
            (&[][..], 1000),
            (&[None, None], 1000),
            (&[fast, None], 2000),
            (&[None, us], 1100),
            (&[fast, us], 2200),
            (&[Factor::named("standard"), Factor::named("eu")], 1000),
        ] {
            assert_eq!(cost(1_000_000, factors), expect, "{factors:?}");
        }
        assert_eq!(cost(1, &[None, us]), 1);
        assert_eq!(cost(500, &[fast, us]), 2, "1.1 is rounded up");
        assert_eq!(price.worst(1_000_000, 0, None).0, 2200, "the dearest way");
        let cheaper = self::price("- .000001,.000001 *.5");
        assert_eq!(cheaper.worst(1_000_000, 0, None).0, 1000, "a factor may not apply");
    }

    #[test]
    fn a_tier_has_its_price_and_where_it_meets_a_threshold_the_dearer_one() {
        let row = "- .010,.010 >1:.020,.020 f:.005,.005 p:.025,.025 b:.005,.005 b>1:.011,.011";
        let tier = |tier, input| cost(row, Counts { input, ..Counts::default() }, tier);
        for (named, small, large) in [
            ("default", 10_000, 40_000),
            ("auto", 10_000, 40_000),
            ("flex", 5_000, 40_000),
            ("priority", 25_000, 50_000),
            ("batch", 5_000, 22_000),
        ] {
            let named = Tier::named(named);
            assert_eq!((tier(named, 1000), tier(named, 2000)), (small, large), "{named:?}");
        }
    }

    #[test]
    fn parts_that_are_more_than_the_whole_are_paid_and_none_is_paid_twice() {
        let row = "- .001,.001,.001,.001,.001,.001,.100,.100,.100,.100";
        let twice = Counts { input: 100, cached: 90, audio_input: 80, ..Counts::default() };
        assert_eq!(cost(row, twice, None), 90 + 10 * 100);
        let more = Counts { input: 10, cached: 90, output: 5, reasoning: 50, ..Counts::default() };
        assert_eq!(cost(row, more, None), 140);
    }

    #[test]
    fn the_largest_numbers_saturate() {
        let most = Counts { input: u64::MAX, cached: u64::MAX, output: u64::MAX, ..Counts::default() };
        assert_eq!(cost("- 18446744073,18446744073", most, None), u64::MAX);
    }

    proptest! {
        #[test]
        fn the_worst_case_is_never_below_the_cost(
            rates in prop::collection::vec(prop::option::of(0..10_000_000_000_u64), Part::COUNT * 3),
            numbers in prop::collection::vec(0..1_000_000_u64, 10),
        ) {
            let mut sheets = Vec::new();
            for (index, (tier, above)) in [(None, 0), (None, 1000), (Some(Tier::Flex), 0)].into_iter().enumerate() {
                let mut sheet = super::super::Sheet { tier, above, ..Default::default() };
                sheet.rates.copy_from_slice(&rates[index * Part::COUNT..(index + 1) * Part::COUNT]);
                sheets.push(sheet);
            }
            sheets[0].rates[0] = Some(5);
            let price = Price::new(sheets, None).unwrap();
            let [input, output, ..] = numbers[..] else { unreachable!() };
            let part = |index: usize, whole: u64| numbers[index] % (whole / 4 + 1);
            let counts = Counts {
                input, cached: part(2, input), cache_write: part(3, input), cache_write_1h: part(4, input),
                audio_input: part(5, input), image_input: part(6, input),
                output, reasoning: part(7, output), audio_output: part(8, output), image_output: part(9, output),
            };
            for tier in [None, Some(Tier::Flex), Some(Tier::Priority)] {
                prop_assert!(price.cost(&counts, tier) <= price.worst(input, output, tier));
            }
            prop_assert_eq!(counts.parts().into_iter().map(|(_, count)| count).sum::<u64>(), input + output);
        }
    }
}
