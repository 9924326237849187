//! The cores of each part: the proxy that is measured has one of its own, all else shares the others.

use std::ops::Range;

use anyhow::{Context as _, Result};
use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

/// The cores that this process may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cores {
    all: CpuSet,
    proxy: CpuSet,
    others: CpuSet,
    count: usize,
}

impl Cores {
    pub(super) fn of_this_machine() -> Result<Self> {
        let all = sched_getaffinity(None)?;
        let cores: Range<usize> = 0..CpuSet::MAX_CPU;
        let usable: Vec<usize> = cores.filter(|core| all.is_set(*core)).collect();
        let (first, rest) = usable.split_first().context("there is no core")?;
        // With one core only, all of it shares that one; the report says how many there were.
        let others = if rest.is_empty() { std::slice::from_ref(first) } else { rest };
        Ok(Self { all, proxy: set(&[*first]), others: set(others), count: usable.len() })
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Starts a proxy on the core that it has for itself; with several workers it has all of them.
    pub(super) fn proxy<T>(&self, workers: u32, start: impl FnOnce() -> Result<T>) -> Result<T> {
        self.within(if workers > 1 { &self.all } else { &self.proxy }, start)
    }

    /// Does something on all cores, while nothing is measured.
    pub(super) fn anywhere<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.within(&self.all, work)
    }

    /// Runs work so that the threads it starts run where this thread may run.
    fn within<T>(&self, place: &CpuSet, work: impl FnOnce() -> Result<T>) -> Result<T> {
        sched_setaffinity(None, place)?;
        let done = work();
        self.keep_to_others()?;
        done
    }

    /// Keeps this thread, and what it starts, off the core of the proxy.
    pub(super) fn keep_to_others(&self) -> Result<()> {
        Ok(sched_setaffinity(None, &self.others)?)
    }
}

fn set(cores: &[usize]) -> CpuSet {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core);
    }
    set
}

/// A thousand streams are some thousand sockets, of this process and of the proxies that it starts.
pub(super) fn allow_many_sockets() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?)
}
