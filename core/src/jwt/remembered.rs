//! Signatures that were found to hold, remembered, so that a token's signature is computed once while it is in use.
//!
//! What is remembered is the whole check: the SHA-256 over the algorithm, the key, every byte that was signed and the
//! signature. So no verdict is taken over by another token, another key or another issuer, and a key that leaves its set
//! takes its verdicts with it. Claims are judged anew each time, by the clock of the moment. Only what holds is
//! remembered: forgetting costs time, never changes an answer.

use std::cell::RefCell;
use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use super::signature::{SignatureCheck, SignatureVerifier, VerifierUnavailable};

type Fingerprint = [u8; 32];

/// A verifier with a memory of bounded size.
pub struct Remembered<V> {
    verifier: V,
    memory: RefCell<Memory>,
}

/// Two generations: when the younger is full it becomes the older, and the older is forgotten.
struct Memory {
    generation: usize,
    younger: BTreeSet<Fingerprint>,
    older: BTreeSet<Fingerprint>,
}

impl<V: SignatureVerifier> Remembered<V> {
    /// Remembers at most `capacity` signatures that `verifier` found to hold, and at least the last half of that.
    pub fn new(verifier: V, capacity: usize) -> Self {
        let memory = Memory { generation: capacity / 2, younger: BTreeSet::new(), older: BTreeSet::new() };
        Self { verifier, memory: RefCell::new(memory) }
    }
}

impl<V: SignatureVerifier> SignatureVerifier for Remembered<V> {
    fn verify(&self, check: &SignatureCheck<'_>) -> Result<bool, VerifierUnavailable> {
        let fingerprint = check.fingerprint();
        if self.memory.borrow().knows(&fingerprint) {
            return Ok(true);
        }
        let holds = self.verifier.verify(check)?;
        if holds {
            self.memory.borrow_mut().keep(fingerprint);
        }
        Ok(holds)
    }

    fn remembered(&self) -> usize {
        let memory = self.memory.borrow();
        memory.younger.len() + memory.older.len()
    }
}

impl Memory {
    fn knows(&self, fingerprint: &Fingerprint) -> bool {
        self.younger.contains(fingerprint) || self.older.contains(fingerprint)
    }

    fn keep(&mut self, fingerprint: Fingerprint) {
        if self.generation == 0 {
            return;
        }
        if self.younger.len() >= self.generation {
            self.older = std::mem::take(&mut self.younger);
        }
        self.younger.insert(fingerprint);
    }
}

impl SignatureCheck<'_> {
    /// The check as a whole. Each part stands behind its length, so that no two checks read alike.
    fn fingerprint(&self) -> Fingerprint {
        let mut hash = Sha256::new();
        for part in [self.algorithm.name().as_bytes(), self.spki, self.signature, self.text] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}
