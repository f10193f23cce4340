//! `memory`: a consumer that keeps up, so that nothing needs a disk.
//!
//! ringkeep in `Mode::Spill` beside a `VecDeque` in a mutex (that of `parking_lot`, as ringkeep's).
//! The peers have no such mode. *The same item* goes in and out again, so that nothing but the
//! queue is measured; *new items* are allocated, filled and freed; *two threads* hand over new
//! items through at most [`BACKLOG`] places, and whoever is ahead sleeps.

use std::{collections::VecDeque, hint::black_box, path::Path, thread, time::Instant};

use parking_lot::{Condvar, Mutex};
use ringkeep::{Bytes, QueueOptions};

use super::{
    Plan, SIZES, fresh,
    items::{Items, stamp},
    ns_each,
    side::{Failure, Peer, Result},
    sides::Ours,
};
use crate::{
    rounds::in_rounds,
    table::{Goal, OURS, Report, Role, Work},
};

const SCENARIO: &str = "memory";
const LOCKED: &str = "Mutex<VecDeque>";
/// Items that two threads may be apart.
const BACKLOG: usize = 1024;
/// The memory budget of ringkeep, which is not reached.
const BUDGET_BYTES: usize = 256 << 20;
const TIMES_MAX: f64 = 2.0;

/// What two threads need of a queue, and one thread too.
trait Channel: Sync {
    const NAME: &'static str;

    fn push(&self, item: Vec<u8>) -> Result<()>;

    /// The next item, if there is one.
    fn take(&self) -> Result<Option<Vec<u8>>>;

    /// Pushes, and waits while there is no room.
    fn send(&self, item: Vec<u8>) -> Result<()>;

    /// Takes, and waits while there is nothing.
    fn receive(&self) -> Result<Vec<u8>>;
}

impl Channel for Ours {
    const NAME: &'static str = OURS;

    fn push(&self, item: Vec<u8>) -> Result<()> {
        Peer::push(self, item)
    }

    fn take(&self) -> Result<Option<Vec<u8>>> {
        Peer::take(self)
    }

    fn send(&self, item: Vec<u8>) -> Result<()> {
        Peer::push(self, item)
    }

    fn receive(&self) -> Result<Vec<u8>> {
        self.0.pop().map_err(Failure::new(OURS, "take"))
    }
}

#[derive(Default)]
struct Locked {
    items: Mutex<VecDeque<Vec<u8>>>,
    ready: Condvar,
    room: Condvar,
}

impl Channel for Locked {
    const NAME: &'static str = LOCKED;

    fn push(&self, item: Vec<u8>) -> Result<()> {
        self.items.lock().push_back(item);
        Ok(())
    }

    fn take(&self) -> Result<Option<Vec<u8>>> {
        Ok(self.items.lock().pop_front())
    }

    fn send(&self, item: Vec<u8>) -> Result<()> {
        let mut items = self.items.lock();
        while items.len() >= BACKLOG {
            self.room.wait(&mut items);
        }
        items.push_back(item);
        drop(items);
        self.ready.notify_one();
        Ok(())
    }

    fn receive(&self) -> Result<Vec<u8>> {
        let mut items = self.items.lock();
        loop {
            if let Some(item) = items.pop_front() {
                drop(items);
                self.room.notify_one();
                return Ok(item);
            }
            self.ready.wait(&mut items);
        }
    }
}

/// The ways in which items pass.
#[derive(Debug, Clone, Copy)]
enum Way {
    SameItem,
    NewItems,
    TwoThreads,
}

impl Way {
    const ALL: [Self; 3] = [Self::SameItem, Self::NewItems, Self::TwoThreads];

    fn text(self) -> &'static str {
        match self {
            Self::SameItem => "push one and take one, the same item",
            Self::NewItems => "push one and take one, new items",
            Self::TwoThreads => "a thread pushes and another one takes, new items",
        }
    }

    /// The same item costs as much at any size.
    fn count(self, plan: &Plan, item_bytes: usize) -> u32 {
        let item_bytes = if matches!(self, Self::SameItem) { SIZES[0] } else { item_bytes };
        u32::try_from(plan.memory_bytes / item_bytes).unwrap_or(u32::MAX)
    }
}

#[derive(Debug, Clone, Copy)]
enum Side {
    Ours,
    Locked,
    Copy,
}

pub(crate) fn run(directory: &Path, plan: &Plan, report: &mut Report) -> Result<()> {
    for item_bytes in SIZES {
        let items = Items::new(item_bytes);
        for way in Way::ALL {
            let count = way.count(plan, item_bytes);
            let mut work = Work::new(SCENARIO, way.text(), item_bytes);
            once(directory, way, &items, count / 16, Side::Ours)?;
            once(directory, way, &items, count / 16, Side::Locked)?;
            in_rounds(2 * plan.rounds + 1, &[Side::Ours, Side::Locked, Side::Copy], |&side| {
                let ns = once(directory, way, &items, count, side)?;
                match side {
                    Side::Ours => work.add(OURS, Role::Ours, ns),
                    Side::Locked => work.add(LOCKED, Role::Peer, ns),
                    Side::Copy => work.add("memcpy of an item", Role::Limit, ns),
                }
                Ok(())
            })?;
            report.add_goal(goal(&work));
            report.add(work);
        }
    }
    Ok(())
}

fn goal(work: &Work) -> Goal {
    let times = work.best_peer().map_or(f64::NAN, |(_, ratio)| 1.0 / ratio);
    Goal {
        text: format!("{SCENARIO}, {} bytes, {}", work.item_bytes, work.what),
        found: format!("{times:.2} times {LOCKED}, goal at most {TIMES_MAX}"),
        is_met: times <= TIMES_MAX,
    }
}

/// Nanoseconds an item: one push and one take.
fn once(directory: &Path, way: Way, items: &Items, count: u32, side: Side) -> Result<f64> {
    match side {
        Side::Copy => Ok(copy(items, count)),
        Side::Locked => pass(&Locked::default(), way, items, count),
        Side::Ours => {
            let directory = directory.join(SCENARIO);
            fresh(&directory)?;
            let options = QueueOptions::new(Bytes).memory_bytes(BUDGET_BYTES);
            let queue = options.items_max(BACKLOG as u64).open(&directory);
            let ours = Ours(queue.map_err(Failure::new(OURS, "open"))?);
            let ns = pass(&ours, way, items, count)?;
            if ours.0.stats().disk_bytes > 0 {
                return Err(Failure::new(OURS, "stay in memory")("it has files"));
            }
            Ok(ns)
        }
    }
}

fn pass<C: Channel>(channel: &C, way: Way, items: &Items, count: u32) -> Result<f64> {
    match way {
        Way::SameItem => same_item(channel, items, count),
        Way::NewItems => new_items(channel, items, count),
        Way::TwoThreads => two_threads(channel, items, count),
    }
}

fn same_item<C: Channel>(channel: &C, items: &Items, count: u32) -> Result<f64> {
    let mut item = items.make(0);
    let begun = Instant::now();
    for number in 0..u64::from(count) {
        stamp(&mut item, number);
        channel.push(item)?;
        item = taken(channel)?;
        items.check(C::NAME, &item, number)?;
    }
    Ok(ns_each(begun.elapsed(), count))
}

fn new_items<C: Channel>(channel: &C, items: &Items, count: u32) -> Result<f64> {
    let begun = Instant::now();
    for number in 0..u64::from(count) {
        channel.push(items.make(number))?;
        items.check(C::NAME, &taken(channel)?, number)?;
    }
    Ok(ns_each(begun.elapsed(), count))
}

fn taken<C: Channel>(channel: &C) -> Result<Vec<u8>> {
    channel.take()?.ok_or_else(|| Failure::new(C::NAME, "take")("what was pushed is not there"))
}

fn two_threads<C: Channel>(channel: &C, items: &Items, count: u32) -> Result<f64> {
    let begun = Instant::now();
    thread::scope(|scope| {
        let pushing = scope.spawn(|| {
            (0..u64::from(count)).try_for_each(|number| channel.send(items.make(number)))
        });
        for number in 0..u64::from(count) {
            items.check(C::NAME, &channel.receive()?, number)?;
        }
        pushing.join().expect("no producer panics")
    })?;
    Ok(ns_each(begun.elapsed(), count))
}

/// Into memory that is warm.
fn copy(items: &Items, count: u32) -> f64 {
    let from = items.make(0);
    let mut to = from.clone();
    let begun = Instant::now();
    for _ in 0..count {
        to.copy_from_slice(black_box(&from));
        black_box(&mut to);
    }
    ns_each(begun.elapsed(), count)
}
