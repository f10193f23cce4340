//! Goal: whatever is done to a queue, it hands out what a sorted list would: the first item that is
//! neither handed out nor acknowledged.
//!
//! Method: random sequences of every operation, with memory and segments so small that items spill,
//! come back, and fill several files; a restart in between.

use std::collections::BTreeMap;

use ringkeep::{
    Bytes, Compression, Delivery, Error, Mode, Queue, QueueOptions, Recovery, SimDisk, SyncPolicy,
};

type Held = Delivery<Vec<u8>, Bytes>;

const SEQUENCES: u64 = 5_000;

/// What a queue has to have.
#[derive(Debug, Default)]
struct Model {
    /// From the mark on: the item, and whether it is acknowledged.
    items: BTreeMap<u64, (Vec<u8>, bool)>,
    next: u64,
}

impl Model {
    fn push(&mut self, item: Vec<u8>) {
        self.items.insert(self.next, (item, false));
        self.next += 1;
    }

    fn acknowledge(&mut self, number: u64) {
        self.items.get_mut(&number).expect("it was there").1 = true;
        while let Some(first) = self.items.first_entry()
            && first.get().1
        {
            first.remove();
        }
    }

    fn first_but(&self, held: &[Held]) -> Option<(u64, &Vec<u8>)> {
        let is_held = |number: u64| held.iter().any(|delivery| delivery.number() == number);
        let mut there = self.items.iter().filter(|&(&number, (_, done))| !done && !is_held(number));
        there.next().map(|(&number, (item, _))| (number, item))
    }

    fn len(&self) -> u64 {
        self.items.values().filter(|(_, done)| !done).count() as u64
    }

    /// A restart forgets what was acknowledged behind the mark.
    fn restart(&mut self, mode: Mode) {
        if mode == Mode::Spill {
            *self = Self::default();
        }
        for (_, done) in self.items.values_mut() {
            *done = false;
        }
    }
}

#[derive(Debug, Default)]
struct Seen {
    spilled: u64,
    returned: u64,
    restarts: u64,
    segments: u64,
}

struct Driver {
    random: fastrand::Rng,
    disk: SimDisk,
    options: QueueOptions<Bytes>,
    mode: Mode,
    queue: Option<Queue<Vec<u8>, Bytes>>,
    held: Vec<Held>,
    model: Model,
}

impl Driver {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let disk = SimDisk::reliable(seed);
        let mode = match random.u8(..4) {
            0 => Mode::Durable(SyncPolicy::Always),
            1 => Mode::Durable(SyncPolicy::EveryRecords(random.u64(1..20))),
            _ => Mode::Spill,
        };
        let options = QueueOptions::new(Bytes)
            .mode(mode)
            .recovery(Recovery::Fail)
            .memory_bytes(random.usize(..100_000))
            .segment_bytes(random.u64(..100_000))
            .compression([Compression::None, Compression::Lz4][random.usize(..2)])
            .on(&disk);
        let queue = Some(options.open("/sim/queue").expect("a queue"));
        Self { random, disk, options, mode, queue, held: Vec::new(), model: Model::default() }
    }

    fn queue(&self) -> &Queue<Vec<u8>, Bytes> {
        self.queue.as_ref().expect("it is open")
    }

    fn item(&mut self) -> Vec<u8> {
        let bytes = match self.random.u8(..20) {
            0 => 0,
            1 => self.random.usize(..70_000),
            _ => self.random.usize(..3_000),
        };
        std::iter::repeat_with(|| self.random.u8(..)).take(bytes).collect()
    }

    fn push(&mut self) {
        if self.random.u8(..4) == 0 {
            let items: Vec<_> = (0..self.random.usize(..8)).map(|_| self.item()).collect();
            let first = self.model.next;
            items.iter().cloned().for_each(|item| self.model.push(item));
            let expected = (!items.is_empty()).then_some(first);
            assert_eq!(self.queue().push_batch(items).expect("there is room"), expected);
        } else {
            let item = self.item();
            let pushed = self.queue().push(item.clone()).expect("there is room");
            assert_eq!(pushed, Some(self.model.next));
            self.model.push(item);
        }
    }

    fn receive(&mut self) {
        let expected = self.model.first_but(&self.held);
        match (self.queue().try_recv(), expected) {
            (Ok(delivery), Some((number, item))) => {
                assert_eq!((delivery.number(), &*delivery), (number, item));
                self.held.push(delivery);
            }
            (Err(Error::Empty), None) => {}
            (received, expected) => panic!("{received:?} instead of {expected:?}"),
        }
    }

    fn acknowledge(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let delivery = self.held.swap_remove(self.random.usize(..self.held.len()));
        self.model.acknowledge(delivery.number());
        delivery.ack();
    }

    fn restart(&mut self) {
        self.held.clear();
        self.queue = None;
        self.disk = self.disk.other_process();
        self.options = self.options.clone().on(&self.disk);
        self.model.restart(self.mode);
        let queue = self.options.open("/sim/queue").expect("a queue");
        assert_eq!(queue.recovery().kept, self.model.len());
        self.queue = Some(queue);
    }

    fn step(&mut self, seen: &mut Seen) {
        match self.random.u8(..100) {
            0..40 => self.push(),
            40..65 => self.receive(),
            65..85 => self.acknowledge(),
            85..92 if !self.held.is_empty() => {
                let at = self.random.usize(..self.held.len());
                self.held.swap_remove(at).nack();
                seen.returned += 1;
            }
            92..94 => {
                let expected = self.model.first_but(&self.held).map(|(_, item)| item.clone());
                assert_eq!(self.queue().peek(Clone::clone).ok(), expected);
            }
            94..96 => {
                let bytes = self.random.usize(..50_000);
                self.queue().relieve(bytes).expect("nothing fails");
            }
            96..98 => self.queue().sync().expect("nothing fails"),
            98 if self.random.bool() => {
                self.restart();
                seen.restarts += 1;
            }
            _ => {}
        }
        let stats = self.queue().stats();
        assert_eq!((stats.items, stats.leased), (self.model.len(), self.held.len() as u64));
        seen.spilled += stats.items_on_disk;
        seen.segments = seen.segments.max(stats.segments);
    }
}

#[test]
fn items_come_out_as_a_sorted_list_would_give_them() {
    let mut seen = Seen::default();
    for seed in 0..SEQUENCES {
        let mut driver = Driver::new(seed);
        eprintln!("seed {seed}: {:?}", driver.mode);
        for _ in 0..driver.random.usize(20..200) {
            driver.step(&mut seen);
        }
        driver.held.clear();
        driver.queue().close().expect("nothing fails");
        while let Some((number, item)) = driver.model.first_but(&[]) {
            let delivery = driver.queue().try_recv().expect("there is one");
            assert_eq!((delivery.number(), &*delivery), (number, item));
            driver.model.acknowledge(number);
            delivery.ack();
        }
        assert!(matches!(driver.queue().try_recv(), Err(Error::Closed)));
        let stats = driver.queue().stats();
        assert!(stats.segments <= 1 && stats.memory_bytes == 0, "{stats:?}");
    }
    let each = [seen.spilled, seen.returned, seen.restarts];
    assert!(each.iter().all(|&count| count > 1000) && seen.segments > 5, "{seen:?}");
}
