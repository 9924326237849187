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
}
