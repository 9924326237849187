//! The price of a model: what a million tokens of each kind cost, by the tier that serves a request and by its size.
//!
//! A price is a set of sheets. The plain sheet holds for every request; others hold for a service tier, for requests
//! whose input is longer than a threshold, or for both. A rate that no sheet has is that of the kind that it is part of:
//! cached input is input. Where a sheet for both is missing, the dearer of the two counts.

/// A kind of tokens. Its number is its place in a row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Input that has no other price.
    Input,
    /// Output that has no other price.
    Output,
    /// Input that was read from the provider's cache.
    Cached,
    /// Input that was written into the cache.
    CacheWrite,
    /// Input that was written into the cache for an hour.
    CacheWrite1h,
    /// Output that the caller does not see.
    Reasoning,
    /// Audio in the input.
    AudioInput,
    /// Audio in the output.
    AudioOutput,
    /// Images in the input.
    ImageInput,
    /// Images in the output.
    ImageOutput,
}

impl Part {
    /// The number of parts.
    pub const COUNT: usize = 10;

    /// Every part, by its number.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Input,
        Self::Output,
        Self::Cached,
        Self::CacheWrite,
        Self::CacheWrite1h,
        Self::Reasoning,
        Self::AudioInput,
        Self::AudioOutput,
        Self::ImageInput,
        Self::ImageOutput,
    ];

    /// Returns the name in policies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::Cached => "cached",
            Self::CacheWrite => "cache_write",
            Self::CacheWrite1h => "cache_write_1h",
            Self::Reasoning => "reasoning",
            Self::AudioInput => "audio_input",
            Self::AudioOutput => "audio_output",
            Self::ImageInput => "image_input",
            Self::ImageOutput => "image_output",
        }
    }

    /// Returns the part whose rate counts where this one has none.
    const fn fallback(self) -> Option<Self> {
        match self {
            Self::Input | Self::Output => None,
            Self::Cached | Self::CacheWrite | Self::AudioInput | Self::ImageInput => Some(Self::Input),
            Self::CacheWrite1h => Some(Self::CacheWrite),
            Self::Reasoning | Self::AudioOutput | Self::ImageOutput => Some(Self::Output),
        }
    }
}

/// A service tier with prices of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Slower and cheaper.
    Flex,
    /// Faster and dearer.
    Priority,
    /// In the background, within a day.
    Batch,
}

impl Tier {
    /// Every tier, with its name in policies and its letter in the table.
    pub const ALL: [(Self, &'static str, char); 3] =
        [(Self::Flex, "flex", 'f'), (Self::Priority, "priority", 'p'), (Self::Batch, "batch", 'b')];

    /// Returns the tier that a request names; `None` for the plain price, which every other name has.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, own, _)| *own == name).map(|(tier, ..)| *tier)
    }

    /// Returns the tier that an answer names, `Some(None)` for the plain price. `None` for a name that says nothing.
    pub fn told(name: &str) -> Option<Option<Self>> {
        match name {
            "default" | "standard" | "on_demand" | "ON_DEMAND" => Some(None),
            "ON_DEMAND_FLEX" => Some(Some(Self::Flex)),
            "ON_DEMAND_PRIORITY" => Some(Some(Self::Priority)),
            name => Self::named(name).map(Some),
        }
    }
}

/// The rates of one tier and threshold, in nano-dollars per million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sheet {
    /// The tier; `None` where none or another was asked for.
    pub tier: Option<Tier>,
    /// The input tokens that a request must exceed; 0 for every request.
    pub above: u64,
    /// The rates by part.
    pub rates: [Option<u64>; Part::COUNT],
}

impl Sheet {
    /// Returns the rate of a part, if the sheet has one.
    pub fn rate(&self, part: Part) -> Option<u64> {
        self.rates.get(part as usize).copied().flatten()
    }

    /// Sets the rate of a part.
    pub fn set(&mut self, part: Part, rate: u64) {
        if let Some(place) = self.rates.get_mut(part as usize) {
            *place = Some(rate);
        }
    }
}

/// A way of being served that multiplies a price. Its number is its place in a row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factor {
    /// At high speed.
    Fast,
    /// In the United States only.
    Us,
}

impl Factor {
    /// The number of factors.
    pub const COUNT: usize = 2;

    /// Every factor, with its name in policies and in answers.
    pub const ALL: [(&'static str, Self); Self::COUNT] = [("fast", Self::Fast), ("us", Self::Us)];

    /// Returns the factor that an answer names as its speed or its region; `None` for any other word.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(own, _)| *own == name).map(|(_, factor)| *factor)
    }
}

/// Factors, in thousandths.
pub type Factors = [Option<u32>; Factor::COUNT];

/// The price of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    sheets: Vec<Sheet>,
    max_output: Option<u64>,
    factors: Factors,
}

impl Price {
    /// Makes a price of sheets. Returns `None` unless the plain sheet has a rate of input, or where two sheets are for the
    /// same tier and threshold.
    pub fn new(mut sheets: Vec<Sheet>, max_output: Option<u64>) -> Option<Self> {
        sheets.sort_by_key(|sheet| (sheet.tier, sheet.above));
        let is_twice = |pair: &[Sheet]| match pair {
            [first, second] => (first.tier, first.above) == (second.tier, second.above),
            _ => false,
        };
        let plain = sheets.first().filter(|sheet| sheet.tier.is_none() && sheet.above == 0)?;
        (plain.rate(Part::Input).is_some() && !sheets.windows(2).any(is_twice)).then_some(Self {
            sheets,
            max_output,
            factors: Factors::default(),
        })
    }

    /// Returns the price with these factors.
    #[must_use]
    pub fn with_factors(self, factors: Factors) -> Self {
        Self { factors, ..self }
    }

    /// Returns the factors, by number.
    pub fn factors(&self) -> &Factors {
        &self.factors
    }

    /// Returns the sheets: the plain one first.
    pub fn sheets(&self) -> &[Sheet] {
        &self.sheets
    }

    /// Returns the most output tokens of an answer; `None` where that is not known.
    pub fn max_output(&self) -> Option<u64> {
        self.max_output
    }

    /// Returns the rate of a part in nano-dollars per million tokens, for a request of `input` tokens.
    pub fn rate(&self, part: Part, tier: Option<Tier>, input: u64) -> u64 {
        self.rate_at(part, tier, self.threshold(input))
    }

    /// Returns the highest threshold that a request of `input` tokens exceeds; 0 for none.
    pub(super) fn threshold(&self, input: u64) -> u64 {
        self.sheets.iter().map(|sheet| sheet.above).filter(|above| *above < input).max().unwrap_or(0)
    }

    pub(super) fn rate_at(&self, part: Part, tier: Option<Tier>, above: u64) -> u64 {
        let own = |tier: Option<Tier>, above: u64| {
            self.sheets.iter().find(|sheet| sheet.tier == tier && sheet.above == above)?.rate(part)
        };
        let of_tier = tier.and_then(|_| own(tier, 0));
        let of_size = if above == 0 { None } else { own(None, above) };
        let of_both = tier.filter(|_| above != 0).and_then(|_| own(tier, above));
        // A part has one fallback, whose fallback has none: the way down is short.
        of_both
            .or(of_tier.max(of_size))
            .or_else(|| own(None, 0))
            .or_else(|| part.fallback().map(|part| self.rate_at(part, tier, above)))
            .unwrap_or(0)
    }
}
