//! Paths of members in a JSON text, and the paths that the place under way may still lead to.

/// The most paths of one follower.
pub const MAX_PATHS: usize = 64;
/// The most segments of a path.
pub const MAX_SEGMENTS: usize = 6;

/// Paths from the top of a text: the names of members, and `*` for every element of an array. At most [`MAX_PATHS`], each
/// of at most [`MAX_SEGMENTS`].
pub type Paths = &'static [&'static [&'static str]];

/// For each level of nesting, the paths whose first segments are the members on the way to it, as bits.
#[derive(Clone, Copy)]
pub(super) struct Matches {
    paths: Paths,
    /// The paths that the value of this level may lie on. The first level is the text itself.
    levels: [u64; MAX_SEGMENTS + 1],
    /// The paths whose member of this level came already in the object under way.
    seen: [u64; MAX_SEGMENTS + 1],
}

/// The paths of a member, as bits.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The paths that go through the member.
    pub(super) through: u64,
    /// Those among them whose member came already in this object.
    pub(super) again: u64,
    /// The paths whose segment differs by the case of letters only.
    pub(super) alike: u64,
}

impl Matches {
    pub(super) fn new(paths: Paths) -> Self {
        let mut levels = [0; MAX_SEGMENTS + 1];
        if let Some(top) = levels.first_mut() {
            *top = (0..paths.len().min(MAX_PATHS)).fold(0, |bits, path| bits | bit(path));
        }
        Self { paths, levels, seen: [0; MAX_SEGMENTS + 1] }
    }

    /// Returns the paths that lie on the value of a level.
    pub(super) fn at(&self, level: usize) -> u64 {
        self.levels.get(level).copied().unwrap_or(0)
    }

    /// Returns the paths that end at the value of a level.
    pub(super) fn ends(&self, level: usize) -> u64 {
        self.select(self.at(level), |segments| segments.len() == level)
    }

    /// Begins an object or an array at a level.
    pub(super) fn open(&mut self, level: usize) {
        if let Some(seen) = self.seen.get_mut(level) {
            *seen = 0;
        }
    }

    /// Takes the name of a member of the object at a level. The value of the member is one level deeper.
    pub(super) fn member(&mut self, level: usize, name: &[u8]) -> Found {
        let on_the_way = self.at(level);
        let is = |segments: &[&str], is_it: &dyn Fn(&[u8]) -> bool| {
            segments.get(level).is_some_and(|segment| is_it(segment.as_bytes()))
        };
        let through = self.select(on_the_way, |segments| is(segments, &|segment| segment == name));
        let alike = self.select(on_the_way, |segments| {
            is(segments, &|segment| segment != name && segment.eq_ignore_ascii_case(name))
        });
        let seen = self.seen.get(level).copied().unwrap_or(0);
        if let Some(seen) = self.seen.get_mut(level) {
            *seen |= through;
        }
        self.enter(level, through);
        Found { through, again: through & seen, alike }
    }

    /// Takes an element of the array at a level.
    pub(super) fn element(&mut self, level: usize) {
        let through = self.select(self.at(level), |segments| segments.get(level) == Some(&"*"));
        self.enter(level, through);
    }

    fn enter(&mut self, level: usize, through: u64) {
        if let Some(below) = self.levels.get_mut(level.saturating_add(1)) {
            *below = through;
        }
    }

    /// Returns the paths among `bits` that have a property.
    fn select(&self, bits: u64, has_it: impl Fn(&[&str]) -> bool) -> u64 {
        // Nearly every member of nearly every text lies on no path.
        if bits == 0 {
            return 0;
        }
        let paths = self.paths.iter().take(MAX_PATHS).enumerate();
        let selected = paths.filter(|(path, segments)| bits & bit(*path) != 0 && has_it(segments));
        selected.fold(0, |bits, (path, _)| bits | bit(path))
    }
}

/// Returns the numbers of the paths in a set.
pub(super) fn numbers(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = usize::try_from(bits.trailing_zeros()).ok().filter(|it| *it < MAX_PATHS)?;
        bits &= bits.wrapping_sub(1);
        Some(lowest)
    })
}

fn bit(path: usize) -> u64 {
    u32::try_from(path).ok().and_then(|path| 1u64.checked_shl(path)).unwrap_or(0)
}
