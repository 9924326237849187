//! A bounded cache of values by digest, in the worker's own memory.
//!
//! A full cache drops its oldest value, which is safe: a missing value is looked up again.

use std::collections::{BTreeMap, VecDeque};

use super::digest::Digest;

pub(crate) struct Cache<V> {
    capacity: usize,
    values: BTreeMap<Digest, V>,
    /// The keys of `values`, the oldest first.
    order: VecDeque<Digest>,
}

impl<V> Cache<V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, values: BTreeMap::new(), order: VecDeque::new() }
    }

    pub(crate) fn get(&self, digest: &Digest) -> Option<&V> {
        self.values.get(digest)
    }

    pub(crate) fn get_mut(&mut self, digest: &Digest) -> Option<&mut V> {
        self.values.get_mut(digest)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.values.values_mut()
    }

    pub(crate) fn insert(&mut self, digest: Digest, value: V) {
        if self.values.insert(digest, value).is_none() {
            self.order.push_back(digest);
        }
        if self.order.len() > self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.values.remove(&oldest);
        }
    }

    /// Inserts a value into a group that has at most `limit` values. A full group drops its own oldest value.
    pub(crate) fn insert_within(
        &mut self,
        digest: Digest,
        value: V,
        limit: usize,
        is_of_group: impl Fn(&V) -> bool,
    ) {
        let mut group = self.order.iter().filter(|key| self.values.get(key).is_some_and(&is_of_group));
        let oldest = group.next().copied();
        let is_full = oldest.is_some() && group.count() + 1 >= limit;
        if let Some(oldest) = oldest.filter(|_| is_full && !self.contains(&digest)) {
            self.remove(&oldest);
        }
        self.insert(digest, value);
    }

    pub(crate) fn remove(&mut self, digest: &Digest) {
        if self.values.remove(digest).is_some() {
            self.order.retain(|other| other != digest);
        }
    }

    pub(crate) fn contains(&self, digest: &Digest) -> bool {
        self.values.contains_key(digest)
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn clear(&mut self) {
        self.values.clear();
        self.order.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_holds_more_than_its_capacity_and_forgets_the_oldest() {
        let digest = |number: u32| Digest::of(&number.to_be_bytes());
        let mut cache = Cache::new(10);
        for number in 0..1000 {
            cache.insert(digest(number), number);
            cache.remove(&digest(number.wrapping_sub(5)));
            assert!(cache.values.len() <= 10 && cache.order.len() == cache.values.len());
        }
        assert_eq!(cache.get(&digest(999)), Some(&999));
        assert_eq!(cache.get(&digest(0)), None);
    }

    #[test]
    fn a_full_group_forgets_its_own_oldest_and_nothing_of_the_others() {
        let digest = |number: u32| Digest::of(&number.to_be_bytes());
        let mut cache = Cache::new(10);
        let group = |number: u32| number % 2;
        for number in [0, 2, 4, 1, 3, 1, 5, 7, 9, 9, 11] {
            let is_of_group = |other: &u32| group(*other) == group(number);
            cache.insert_within(digest(number), number, 3, is_of_group);
        }
        let kept: Vec<u32> = (0..12).filter(|number| cache.contains(&digest(*number))).collect();
        assert_eq!(kept, [0, 2, 4, 7, 9, 11]);
    }
}
