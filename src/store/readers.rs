//! Who reads, and since when: pages that a reader may still need are not used again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::{Condvar, Mutex};

use super::Shared;

#[derive(Debug, Default)]
pub(super) struct Readers {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// When each began, in that order.
    began: BTreeMap<u64, Duration>,
}

/// One that reads, until it is dropped.
#[derive(Debug)]
pub(super) struct Reading {
    shared: Arc<Shared>,
    number: u64,
}

impl Readers {
    pub(super) fn begin(shared: &Arc<Shared>) -> Reading {
        let now = shared.options.disk.now();
        let mut state = shared.readers.state.lock();
        let number = state.next;
        state.next += 1;
        state.began.insert(number, now);
        drop(state);
        Reading { shared: Arc::clone(shared), number }
    }

    pub(super) fn count(&self) -> usize {
        self.state.lock().began.len()
    }

    /// Waits until there are fewer than so many, if that happens in time.
    pub(super) fn wait_for_fewer(&self, count: usize, time: Duration) -> bool {
        let mut state = self.state.lock();
        let are_there = |state: &mut State| state.began.len() >= count;
        !self.ended.wait_while_for(&mut state, are_there, time).timed_out()
    }

    /// When the oldest one began.
    pub(super) fn oldest(&self) -> Option<Duration> {
        self.state.lock().began.values().next().copied()
    }
}

impl Reading {
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.shared.readers.state.lock().began.remove(&self.number);
        self.shared.readers.ended.notify_all();
    }
}
