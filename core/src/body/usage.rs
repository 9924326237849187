//! The tokens that an answer says were used, by the arithmetic of each provider.
//!
//! The names of the members tell the arithmetic. `prompt_tokens` holds the cached tokens; `input_tokens` holds them, too,
//! but not those that are counted beside it (`cache_read_input_tokens`).

/// The usage of a request: the counts that a price is for. The counts below are those of one answer, as it tells them.
pub use crate::price::Counts as Usage;

/// The greatest count that is taken for one: that of an integer that every reader of JSON has exactly.
const MAX_COUNT: u64 = (1 << 53) - 1;

/// A count that a member of an answer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// All input.
    AllInput,
    /// Input without the counts beside it.
    Input,
    /// Input of the results of tools, beside [`Count::AllInput`].
    ToolInput,
    /// A part of the input that came from a cache.
    Cached,
    /// Input from a cache, beside [`Count::Input`].
    CachedBeside,
    /// A part of the input that was written into a cache.
    Written,
    /// Input that was written into a cache, beside [`Count::Input`].
    WrittenBeside,
    /// A part of the input that was written for an hour.
    Written1h,
    AudioInput,
    ImageInput,
    /// Output; reasoning is a part, unless it is beside.
    Output,
    /// A part of the output.
    Reasoning,
    /// Reasoning beside [`Count::Output`].
    ReasoningBeside,
    AudioOutput,
    ImageOutput,
    /// Input and output.
    Total,
}

const COUNTS: usize = Count::Total as usize + 1;

/// The counts of an answer, each as it was told last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts([Option<u64>; COUNTS]);

impl Counts {
    /// Takes a count; `None` changes nothing.
    pub(super) fn set(&mut self, count: Count, value: Option<u64>) {
        if let (Some(place), Some(value)) = (self.0.get_mut(count as usize), value) {
            *place = Some(value);
        }
    }

    /// Adds to a count.
    pub(super) fn add(&mut self, count: Count, value: u64) {
        self.set(count, Some(self.get(count).unwrap_or(0).saturating_add(value)));
    }

    pub(super) fn get(&self, count: Count) -> Option<u64> {
        self.0.get(count as usize).copied().flatten()
    }

    /// Returns the usage; `None` where nothing was counted.
    ///
    /// Where counts contradict each other, the greater usage is returned: a part is never greater than the whole.
    pub(super) fn usage(&self) -> Option<Usage> {
        if self.0.iter().all(Option::is_none) {
            return None;
        }
        let told = |count| self.get(count).unwrap_or(0);
        let beside = told(Count::CachedBeside).saturating_add(told(Count::WrittenBeside));
        let input = match (self.get(Count::AllInput), self.get(Count::Input)) {
            (Some(all), _) => all.saturating_add(told(Count::ToolInput)),
            (None, Some(input)) => input.saturating_add(beside),
            (None, None) => told(Count::Total).saturating_sub(told(Count::Output)),
        };
        let cached = told(Count::Cached).max(told(Count::CachedBeside));
        let cache_write = told(Count::Written).max(told(Count::WrittenBeside)).max(told(Count::Written1h));
        let input = input.max(cached.saturating_add(cache_write));
        // Reasoning that is greater than the output, or that the total holds besides, was not counted in the output.
        let (plain, part) = (told(Count::Output), told(Count::Reasoning));
        let output = if part > plain { plain.saturating_add(part) } else { plain };
        let output = output.saturating_add(told(Count::ReasoningBeside));
        let output = output.max(told(Count::Total).saturating_sub(input));
        Some(Usage {
            input,
            cached,
            cache_write,
            cache_write_1h: told(Count::Written1h),
            audio_input: told(Count::AudioInput).min(input),
            image_input: told(Count::ImageInput).min(input),
            output,
            reasoning: part.max(told(Count::ReasoningBeside)),
            audio_output: told(Count::AudioOutput).min(output),
            image_output: told(Count::ImageOutput).min(output),
        })
    }
}

/// Returns a count as it is written in JSON, a part of a token as a whole one. Returns `None` for a number that counts
/// nothing: one below zero, with an exponent, or too great.
pub(super) fn parse_count(number: &str) -> Option<u64> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let above = u64::from(part.bytes().any(|digit| digit != b'0'));
    whole.parse::<u64>().ok()?.checked_add(above).filter(|count| *count <= MAX_COUNT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_a_number_of_tokens() {
        for (number, count) in [
            ("0", Some(0)),
            ("12", Some(12)),
            ("12.0", Some(12)),
            ("12.5", Some(13)),
            ("9007199254740991", Some(MAX_COUNT)),
            ("9007199254740992", None),
            ("99999999999999999999", None),
            ("-1", None),
            ("1e3", None),
            ("1.0e3", None),
        ] {
            assert_eq!(parse_count(number), count, "{number}");
        }
    }

    #[test]
    fn counts_that_contradict_each_other_are_never_less_than_their_parts() {
        for (counts, (input, output)) in [
            (vec![(Count::AllInput, 10), (Count::Cached, 30)], (30, 0)),
            (vec![(Count::AllInput, 10), (Count::Output, 5), (Count::Total, 40)], (10, 30)),
            (vec![(Count::AllInput, 10), (Count::Output, 5), (Count::Reasoning, 20)], (10, 25)),
            (vec![(Count::Total, 8)], (8, 0)),
            (vec![(Count::Input, u64::MAX), (Count::CachedBeside, 5)], (u64::MAX, 0)),
        ] {
            let mut all = Counts::default();
            for (count, value) in &counts {
                all.set(*count, Some(*value));
            }
            let usage = all.usage().unwrap();
            assert_eq!((usage.input, usage.output), (input, output), "{counts:?}");
        }
        assert_eq!(Counts::default().usage(), None);
    }
}
