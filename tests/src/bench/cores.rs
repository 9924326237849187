//! The cores of each part: the measured proxy has one of its own, everything else shares the others.

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
        // On a machine with one core all parts share it. The report has the number of cores.
        let others = if rest.is_empty() { std::slice::from_ref(first) } else { rest };
        Ok(Self { all, proxy: set(&[*first]), others: set(others), count: usable.len() })
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Starts a proxy on its own core, with several workers on all cores.
    pub(super) fn proxy<T>(&self, workers: u32, start: impl FnOnce() -> Result<T>) -> Result<T> {
        self.within(if workers > 1 { &self.all } else { &self.proxy }, start)
    }

    /// Runs work on all cores, while nothing is measured.
    pub(super) fn anywhere<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.within(&self.all, work)
    }

    /// Runs work with the calling thread pinned to `place`. Threads and processes that it starts inherit the cores.
    fn within<T>(&self, place: &CpuSet, work: impl FnOnce() -> Result<T>) -> Result<T> {
        sched_setaffinity(None, place)?;
        let done = work();
        self.keep_to_others()?;
        done
    }

    /// Keeps this thread, and threads that it starts, off the proxy's core.
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

/// Raises the limit of open files: a thousand streams need some thousand sockets, in this process and in the proxies.
pub(super) fn allow_many_sockets() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?)
}
