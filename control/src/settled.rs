//! A value that is looked at again and again, to notice a change.
//!
//! A change counts once the value has been the same for two looks: a program may write a file in parts, or two files one
//! after the other, and half of a change may be valid.

/// A watched value.
pub(crate) struct Settled<T> {
    told: T,
    last: T,
}

impl<T: PartialEq + Clone> Settled<T> {
    /// Begins with the present value.
    pub(crate) fn new(now: T) -> Self {
        Self { told: now.clone(), last: now }
    }

    /// Returns true if the value has changed since it was last told, and has settled.
    pub(crate) fn look(&mut self, now: T) -> bool {
        let is_settled = now == self.last;
        self.last = now;
        let is_new = is_settled && self.last != self.told;
        if is_new {
            self.told = self.last.clone();
        }
        is_new
    }

    /// Returns true if the value has changed since it was last told. It need not have settled.
    pub(crate) fn look_at_once(&mut self, now: T) -> bool {
        self.last = now;
        let is_new = self.last != self.told;
        self.told = self.last.clone();
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_once_and_only_when_the_value_has_settled() {
        let [a, b, c] = [1, 2, 3].map(Some);
        let mut watched = Settled::new(a);
        let looks = [(a, false), (b, false), (c, false), (c, true), (c, false), (None, false), (None, true)];
        for (now, expect) in looks {
            assert_eq!(watched.look(now), expect, "{now:?}");
        }
        assert!(!watched.look(b));
        assert!(!watched.look(None), "a value that came and went");
        assert!(!watched.look(c));
        assert!(watched.look(c));
    }

    #[test]
    fn a_look_at_once_does_not_wait() {
        let mut watched = Settled::new(1);
        assert!(watched.look_at_once(2) && !watched.look_at_once(2));
        assert!(!watched.look(2), "it was told");
    }
}
