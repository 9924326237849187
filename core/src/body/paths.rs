//! Paths of members in a JSON text, and the paths that the place under way may still lead to.

use super::grammar::Event;

/// The most paths of one follower, and the most of its fields.
pub const MAX_PATHS: usize = 64;
/// The most segments of a path.
pub const MAX_SEGMENTS: usize = 7;

/// Paths from the top of a text: the names of members, and `*` for every element of an array. At most [`MAX_PATHS`], each
/// of at most [`MAX_SEGMENTS`].
pub type Paths = &'static [&'static [&'static str]];

/// The paths that a follower tells. Objects of one kind may stand in several places: their members have paths of their
/// own, the fields, which begin at the place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shape {
    /// The paths from the top of the text.
    pub paths: Paths,
    /// The number of paths, from the first on, that lead to a place. No place lies in another.
    pub places: usize,
    /// The paths from a place. The first is told as number [`MAX_PATHS`].
    pub fields: Paths,
    /// Set where strings at a path are told in pieces of any length.
    pub in_pieces: bool,
}

/// The paths that the place under way may lead to.
#[derive(Clone, Copy)]
pub(super) struct Matches {
    paths: Layer,
    fields: Layer,
    places: u64,
    /// The level of the place under way.
    place: Option<usize>,
}

/// For each level of nesting, the paths whose first segments are the members on the way to it, as bits.
#[derive(Clone, Copy)]
struct Layer {
    paths: Paths,
    /// The paths by the hash of their first segment: nearly all paths begin at the first level.
    by_hash: [u64; HASHES],
    /// The paths by the last bits of the length of their first segment.
    by_length: [u64; LENGTHS],
    /// The paths with so many segments.
    lengths: [u64; MAX_SEGMENTS + 1],
    /// The paths on which the value of a level has elements.
    elements: [u64; MAX_SEGMENTS + 1],
    /// The paths that the value of this level may lie on. The first level is the beginning of the paths.
    levels: [u64; MAX_SEGMENTS + 1],
    /// The paths whose member of this level came already in the object under way.
    seen: [u64; MAX_SEGMENTS + 1],
}

/// The segment of every element of an array.
const ELEMENT: &str = "*";
const ELEMENT_BYTES: &[u8] = ELEMENT.as_bytes();
/// The number of hashes that a name may have.
const HASHES: usize = 16;
/// The number of lengths of names that are told apart.
const LENGTHS: usize = 8;

/// Paths as bits: those from the top in the lower half, the fields in the upper.
pub(super) type Bits = u128;

/// The paths of a member.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The paths that go through the member, and whose member came already in this object.
    pub(super) again: Bits,
    /// The paths whose segment differs by the case of letters only.
    pub(super) alike: Bits,
}

impl Found {
    pub(super) fn tell(self, tell: &mut dyn FnMut(Event<'_>)) {
        numbers(self.again).for_each(|path| tell(Event::Again(path)));
        numbers(self.alike).for_each(|path| tell(Event::Alike(path)));
    }
}

impl Matches {
    pub(super) const fn new(shape: Shape) -> Self {
        let Shape { paths, places, fields, .. } = shape;
        let places = if places < paths.len() { places } else { paths.len() };
        let places = if places < MAX_PATHS { (1 << places) - 1 } else { u64::MAX };
        Self { paths: Layer::new(paths), fields: Layer::new(fields), places, place: None }
    }

    /// Begins another text, wherever the one before has broken off.
    pub(super) fn restart(&mut self) {
        self.place = None;
    }

    /// Returns whether a path may go through a member of the object at a level.
    pub(super) fn lead_below(&self, level: usize) -> bool {
        self.paths.at(level) != 0 || self.in_place(level).is_some_and(|level| self.fields.at(level) != 0)
    }

    /// Returns the paths that end at the value of a level.
    pub(super) fn ends(&self, level: usize) -> Bits {
        let fields = self.in_place(level).map_or(0, |level| self.fields.ends(level));
        both(self.paths.ends(level), fields)
    }

    /// Begins an object or an array at a level, where these paths end.
    pub(super) fn open(&mut self, level: usize, ends: Bits) {
        self.paths.open(level);
        if self.place.is_none() && ends & both(self.places, 0) != 0 {
            self.place = Some(level);
        }
        if let Some(level) = self.in_place(level) {
            self.fields.open(level);
        }
    }

    /// Ends the object or array at a level.
    pub(super) fn close(&mut self, level: usize) {
        if self.place == Some(level) {
            self.place = None;
        }
    }

    /// Takes the name of a member of the object at a level. The value of the member is one level deeper.
    pub(super) fn member(&mut self, level: usize, name: &[u8]) -> Found {
        let (again, alike) = self.paths.member(level, name);
        let in_fields = self.in_place(level).map(|level| self.fields.member(level, name));
        let (fields_again, fields_alike) = in_fields.unwrap_or_default();
        Found { again: both(again, fields_again), alike: both(alike, fields_alike) }
    }

    /// Takes an element of the array at a level.
    pub(super) fn element(&mut self, level: usize) {
        self.paths.element(level);
        if let Some(level) = self.in_place(level) {
            self.fields.element(level);
        }
    }

    /// Returns the level within the place under way.
    fn in_place(&self, level: usize) -> Option<usize> {
        level.checked_sub(self.place?)
    }
}

impl Layer {
    /// Writes the tables of paths. Nearly all paths are known to the compiler, and so are their tables.
    #[allow(clippy::indexing_slicing, reason = "each index is compared with the length, or cut to it")]
    const fn new(paths: Paths) -> Self {
        let levels = [0; MAX_SEGMENTS + 1];
        let (lengths, elements, seen) = (levels, levels, levels);
        let (by_hash, by_length) = ([0; HASHES], [0; LENGTHS]);
        let mut layer = Self { paths, by_hash, by_length, lengths, elements, levels, seen };
        let mut path = 0;
        while path < paths.len() && path < MAX_PATHS {
            let (segments, bit) = (paths[path], 1u64 << path);
            layer.levels[0] |= bit;
            if segments.len() < layer.lengths.len() {
                layer.lengths[segments.len()] |= bit;
            }
            let first = if let [first, ..] = segments { first.as_bytes() } else { b"" };
            layer.by_hash[hash(first)] |= bit;
            layer.by_length[first.len() % LENGTHS] |= bit;
            let mut level = 0;
            while level < segments.len() && level < layer.elements.len() {
                if matches!(segments[level].as_bytes(), ELEMENT_BYTES) {
                    layer.elements[level] |= bit;
                }
                level += 1;
            }
            path += 1;
        }
        layer
    }

    /// Returns the paths that lie on the value of a level.
    fn at(&self, level: usize) -> u64 {
        self.levels.get(level).copied().unwrap_or(0)
    }

    fn ends(&self, level: usize) -> u64 {
        self.at(level) & self.lengths.get(level).copied().unwrap_or(0)
    }

    fn open(&mut self, level: usize) {
        if let Some(seen) = self.seen.get_mut(level) {
            *seen = 0;
        }
    }

    /// Returns the paths whose member comes again, and those of which it differs by case only.
    fn member(&mut self, level: usize, name: &[u8]) -> (u64, u64) {
        let mut on_the_way = self.at(level);
        if level == 0 {
            on_the_way &= self.by_hash.get(hash(name)).copied().unwrap_or(0);
            on_the_way &= self.by_length.get(name.len() % LENGTHS).copied().unwrap_or(0);
        }
        let (mut through, mut alike) = (0, 0);
        // Nearly every member of nearly every text lies on no path.
        while on_the_way != 0 {
            let lowest = on_the_way & on_the_way.wrapping_neg();
            match self.segment(on_the_way, level) {
                Some(segment) if segment.len() != name.len() => {}
                Some(segment) if segment == name => through |= lowest,
                Some(segment) if segment.eq_ignore_ascii_case(name) => alike |= lowest,
                _ => {}
            }
            on_the_way &= !lowest;
        }
        let seen = self.seen.get(level).copied().unwrap_or(0);
        if let Some(seen) = self.seen.get_mut(level) {
            *seen |= through;
        }
        self.enter(level, through);
        (through & seen, alike)
    }

    fn element(&mut self, level: usize) {
        let through = self.at(level) & self.elements.get(level).copied().unwrap_or(0);
        self.enter(level, through);
    }

    fn enter(&mut self, level: usize, through: u64) {
        if let Some(below) = self.levels.get_mut(level.saturating_add(1)) {
            *below = through;
        }
    }

    /// Returns the name that the lowest of these paths has at a level.
    fn segment(&self, paths: u64, level: usize) -> Option<&'static [u8]> {
        let path = usize::try_from(paths.trailing_zeros()).ok()?;
        self.paths
            .get(path)?
            .get(level)
            .filter(|segment| **segment != ELEMENT)
            .map(|segment| segment.as_bytes())
    }
}

/// Returns the hash of a name, the same for letters of both cases.
#[allow(clippy::cast_lossless, reason = "the compiler evaluates it, too")]
const fn hash(name: &[u8]) -> usize {
    let (first, last) = match (name.first(), name.last()) {
        (Some(first), Some(last)) => ((*first | 0x20) as usize, (*last | 0x20) as usize),
        _ => (0, 0),
    };
    first.wrapping_mul(3).wrapping_add(last.wrapping_mul(5)).wrapping_add(name.len()) & (HASHES - 1)
}

/// Returns the numbers of the paths in a set.
pub(super) fn numbers(mut bits: Bits) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = usize::try_from(bits.trailing_zeros()).ok().filter(|_| bits != 0)?;
        bits &= bits.wrapping_sub(1);
        Some(lowest)
    })
}

fn both(paths: u64, fields: u64) -> Bits {
    Bits::from(paths) | (Bits::from(fields) << MAX_PATHS)
}
