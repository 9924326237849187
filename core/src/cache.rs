//! A bounded memory of values by digest, in the worker's own memory.
//!
//! When it is full, what was put in first goes first. Forgetting is safe: what is not here is looked up again.

use std::collections::{BTreeMap, VecDeque};

use crate::token::TokenDigest;

pub(crate) struct Cache<V> {
    capacity: usize,
    values: BTreeMap<TokenDigest, V>,
    /// Every key of `values`, the oldest first; perhaps also keys that were removed.
    order: VecDeque<TokenDigest>,
}

impl<V> Cache<V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, values: BTreeMap::new(), order: VecDeque::new() }
    }

    pub(crate) fn get(&self, digest: &TokenDigest) -> Option<&V> {
        self.values.get(digest)
    }

    pub(crate) fn get_mut(&mut self, digest: &TokenDigest) -> Option<&mut V> {
        self.values.get_mut(digest)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.values.values_mut()
    }

    pub(crate) fn insert(&mut self, digest: TokenDigest, value: V) {
        if self.values.insert(digest, value).is_none() {
            self.order.push_back(digest);
        }
        // Twice the capacity bounds the queue also where keys come and go again and again.
        while self.values.len() > self.capacity || self.order.len() > self.capacity * 2 {
            let Some(oldest) = self.order.pop_front() else { return };
            self.values.remove(&oldest);
        }
    }

    pub(crate) fn remove(&mut self, digest: &TokenDigest) {
        self.values.remove(digest);
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
        let digest = |number: u32| TokenDigest::of(&number.to_be_bytes());
        let mut cache = Cache::new(10);
        for number in 0..1000 {
            cache.insert(digest(number), number);
            cache.remove(&digest(number.wrapping_sub(5)));
            assert!(cache.values.len() <= 10 && cache.order.len() <= 20);
        }
        assert_eq!(cache.get(&digest(999)), Some(&999));
        assert_eq!(cache.get(&digest(0)), None);
    }
}
