//! Budgets that several queues share.

use std::{sync::Barrier, thread, time::Duration};

use ringkeep::{
    Bytes, Codec, CodecError, DiskBudget, Error, MemoryBudget, Mode, Queue, QueueOptions, SimDisk,
    SyncPolicy, WhenFull,
};

const MEMORY: u64 = 1 << 20;
const ITEM: usize = 1000;

fn sharing(disk: &SimDisk, budget: &MemoryBudget) -> QueueOptions<Bytes> {
    QueueOptions::new(Bytes).segment_bytes(64 << 10).memory_budget(budget).on(disk)
}

fn item(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat(ITEM / 8)
}

/// Takes all there is, in order from `first` on; one past the last.
fn drain(queue: &Queue<Vec<u8>, Bytes>, first: u64) -> u64 {
    let mut next = first;
    while let Ok(found) = queue.try_pop() {
        assert!(found == item(next), "item {next}");
        next += 1;
    }
    next
}

#[test]
fn queues_together_keep_to_the_memory_they_share() {
    let (disk, budget) = (SimDisk::reliable(1), MemoryBudget::new(MEMORY));
    let queues: Vec<Queue<Vec<u8>, Bytes>> = (0..4)
        .map(|name| sharing(&disk, &budget).open(format!("/sim/{name}")).expect("a queue"))
        .collect();
    let mut random = fastrand::Rng::with_seed(1);
    let (mut pushed, mut popped) = ([0; 4], [0; 4]);
    for round in 0..20_000 {
        let at = random.usize(..4);
        if random.u32(..100) < 70 {
            queues[at].push(item(pushed[at])).expect("there is room on the disk");
            pushed[at] += 1;
        } else if let Ok(found) = queues[at].try_pop() {
            assert!(found == item(popped[at]), "item {} of {at}", popped[at]);
            popped[at] += 1;
        }
        let bytes: u64 = queues.iter().map(|queue| queue.stats().memory_bytes).sum();
        assert!(bytes <= MEMORY, "{bytes} bytes in round {round}");
    }
    assert!(queues.iter().all(|queue| queue.stats().items_on_disk > 0));
    for (at, queue) in queues.iter().enumerate() {
        assert_eq!(drain(queue, popped[at]), pushed[at]);
    }
    drop(queues);
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_queue_that_is_idle_gives_memory_to_one_that_works() {
    let (disk, budget) = (SimDisk::reliable(1), MemoryBudget::new(MEMORY));
    let options = sharing(&disk, &budget);
    let idle = options.open("/sim/idle").expect("a queue");
    for number in 0..600 {
        idle.push(item(number)).expect("there is room");
    }
    let before = idle.stats();
    assert!(before.items_on_disk == 0 && before.memory_bytes > MEMORY / 2);
    let busy = options.open("/sim/busy").expect("a queue");
    for number in 0..300 {
        busy.push(item(number)).expect("there is room");
    }
    assert_eq!(busy.stats().items_on_disk, 0, "it works in memory");
    assert!(idle.stats().memory_bytes <= MEMORY / 2, "{:?}", idle.stats());
    assert_eq!(drain(&idle, 0), 600);
    assert_eq!(drain(&busy, 0), 300);
}

#[test]
fn what_finds_all_memory_handed_out_goes_to_the_disk() {
    let (disk, budget) = (SimDisk::reliable(1), MemoryBudget::new(MEMORY));
    let options = sharing(&disk, &budget);
    let holder = options.open("/sim/holder").expect("a queue");
    let mut held = Vec::new();
    // All but a little of it.
    for number in 0..800 {
        holder.push(item(number)).expect("there is room");
        held.push(holder.try_recv().expect("an item"));
    }
    let other = options.open("/sim/other").expect("a queue");
    for number in 0..2000 {
        other.push(item(number)).expect("there is room");
        let bytes = holder.stats().memory_bytes + other.stats().memory_bytes;
        assert!(bytes <= MEMORY, "{bytes} bytes with item {number}");
    }
    let held_count = held.len() as u64;
    drop(held);
    assert_eq!(drain(&other, 0), 2000);
    assert_eq!(drain(&holder, 0), held_count);
}

#[test]
fn what_is_read_and_handed_out_counts_as_shared_memory_too() {
    let (disk, budget) = (SimDisk::reliable(1), MemoryBudget::new(MEMORY));
    let durable = sharing(&disk, &budget).mode(Mode::Durable(SyncPolicy::Never));
    let full = durable.open("/sim/full").expect("a queue");
    for number in 0..2_000 {
        full.push(item(number)).expect("there is room");
    }
    drop(full);
    let full = durable.open("/sim/full").expect("a queue");
    let held: Vec<_> = (0..600).map(|_| full.try_recv().expect("an item")).collect();
    assert!(budget.used() >= full.stats().memory_bytes, "{}", budget.used());
    let other = sharing(&disk, &budget).open("/sim/other").expect("a queue");
    for number in 0..2_000 {
        other.push(item(number)).expect("there is room");
        let bytes = full.stats().memory_bytes + other.stats().memory_bytes;
        assert!(bytes <= MEMORY, "{bytes} bytes with item {number}");
    }
    drop(held);
    assert_eq!((drain(&full, 0), drain(&other, 0)), (2_000, 2_000));
}

#[test]
fn a_push_without_memory_or_disk_is_refused() {
    let (disk, budget) = (SimDisk::reliable(1), MemoryBudget::new(MEMORY));
    let holder = sharing(&disk, &budget).open("/sim/holder").expect("a queue");
    let mut held = Vec::new();
    for number in 0..800 {
        holder.push(item(number)).expect("there is room");
        held.push(holder.try_recv().expect("an item"));
    }
    let options = sharing(&disk, &budget).when_full(WhenFull::Reject).disk_bytes_max(64 << 10);
    let other = options.open("/sim/other").expect("a queue");
    let taken = (0..500).filter(|&number| other.push(item(number)).is_ok()).count();
    let bytes = holder.stats().memory_bytes + other.stats().memory_bytes;
    assert!(bytes <= MEMORY + 2 * ITEM as u64, "{bytes} bytes with {taken} items");
    assert!(taken < 100, "{taken}");
    drop(held);
    assert_eq!(drain(&other, 0), taken as u64);
}

#[test]
fn a_push_that_waits_goes_on_when_another_queue_gives_memory_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let budget = MemoryBudget::new(MEMORY);
    let options = QueueOptions::new(Bytes).memory_budget(&budget).disk_bytes_max(64 << 10);
    let [holder, other] =
        ["holder", "other"].map(|it| options.open(directory.path().join(it)).expect("a queue"));
    let mut held = Vec::new();
    for number in 0..750 {
        holder.push(item(number)).expect("there is room");
        held.push(holder.try_recv().expect("an item"));
    }
    while other.try_push(item(0)).is_ok() {}
    thread::scope(|scope| {
        let waiting = scope.spawn(|| other.push_timeout(item(1), Duration::from_secs(30)));
        for delivery in held {
            delivery.ack();
        }
        waiting.join().expect("no panic").expect("there is room");
    });
}

/// Its items push to another queue of the same budget when they are dropped.
struct Noisy(Vec<u8>, Queue<Vec<u8>, Bytes>);

impl Drop for Noisy {
    fn drop(&mut self) {
        self.1.push(self.0.clone()).expect("there is room");
    }
}

#[derive(Debug, Clone)]
struct NoisyBytes(Queue<Vec<u8>, Bytes>);

impl Codec<Noisy> for NoisyBytes {
    fn name(&self) -> &'static str {
        "noisy"
    }

    fn encode(&self, item: &Noisy, out: &mut Vec<u8>) -> Result<(), CodecError> {
        // A codec may use another queue, too.
        item.1.push(item.0.clone())?;
        out.extend_from_slice(&item.0);
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Noisy, CodecError> {
        Ok(Noisy(bytes.to_vec(), self.0.clone()))
    }

    fn encoded_bytes(&self, item: &Noisy) -> Option<usize> {
        Some(item.0.len())
    }
}

#[test]
fn items_and_codecs_may_use_another_queue_of_the_same_budget() {
    let (disk, budget) = (SimDisk::reliable(1), MemoryBudget::new(MEMORY));
    let other = sharing(&disk, &budget).open("/sim/other").expect("a queue");
    let queue = QueueOptions::new(NoisyBytes(other.clone()))
        .segment_bytes(64 << 10)
        .memory_budget(&budget)
        .on(&disk)
        .open("/sim/queue")
        .expect("a queue");
    for number in 0..2_000 {
        assert!(queue.push(Noisy(item(number), other.clone())).is_ok());
    }
    assert!(queue.stats().items_on_disk > 0 && other.stats().items_on_disk > 0);
    while queue.try_pop().is_ok() {}
    assert!(queue.is_empty() && other.len() > 2_000);
}

#[test]
fn a_queue_spills_before_its_memory_is_full() {
    let disk = SimDisk::reliable(1);
    let options = QueueOptions::new(Bytes).memory_bytes(1 << 20).on(&disk);
    let queue = options.open("/sim/queue").expect("a queue");
    let mut spilled_at = None;
    for number in 0..2000 {
        queue.push(item(number)).expect("there is room");
        let stats = queue.stats();
        if stats.items_on_disk > 0 && spilled_at.is_none() {
            spilled_at = Some((number, stats.memory_bytes));
        }
        assert!(stats.memory_bytes < MEMORY / 10 * 8 + 2 * ITEM as u64, "{stats:?}");
    }
    let (number, left) = spilled_at.expect("it does not fit");
    assert!((790..830).contains(&number), "at 80 %, not at item {number}");
    let tenth = MEMORY / 10;
    assert!((tenth * 6..tenth * 7 + 2000).contains(&left), "a tenth, not down to {left}");
}

#[test]
fn memory_is_shared_between_threads_of_several_queues() {
    const COUNT: u64 = 4_000;
    let directory = tempfile::tempdir().expect("a directory");
    let budget = MemoryBudget::new(MEMORY);
    let options = QueueOptions::new(Bytes).segment_bytes(1 << 20).memory_budget(&budget);
    let open = |name: u64| options.open(directory.path().join(name.to_string()));
    let queues = [0, 1, 2].map(|name| open(name).expect("a queue"));
    let watched = queues.clone();
    let barrier = Barrier::new(6);
    thread::scope(|scope| {
        for (name, queue) in queues.into_iter().enumerate() {
            let watched = &watched;
            let (pushing, barrier) = (queue.clone(), &barrier);
            scope.spawn(move || {
                barrier.wait();
                for number in 0..COUNT {
                    pushing.push(item(number)).expect("there is room");
                    // One after the other: they move meanwhile, by an item for each thread.
                    let held: u64 = watched.iter().map(|queue| queue.stats().memory_bytes).sum();
                    assert!(held <= MEMORY + 6 * 4096, "{held}");
                }
                pushing.close().expect("nothing fails");
            });
            scope.spawn(move || {
                barrier.wait();
                for number in 0..COUNT {
                    assert!(queue.pop().expect("an item") == item(number), "{name}: {number}");
                    if number % 100 == 0 {
                        thread::yield_now();
                    }
                }
            });
        }
    });
    assert!(watched.iter().any(|queue| queue.latencies().write.count() > 0), "nothing was spilled");
    drop(watched);
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_queue_that_was_dropped_can_be_opened_while_others_ask_for_memory() {
    let directory = tempfile::tempdir().expect("a directory");
    let budget = MemoryBudget::new(128 << 10);
    let options = QueueOptions::new(Bytes).segment_bytes(64 << 10).memory_budget(&budget);
    let busy = options.open(directory.path().join("busy")).expect("a queue");
    thread::scope(|scope| {
        let (asking, path) = (busy.clone(), directory.path().join("other"));
        scope.spawn(move || {
            for _ in 0..20_000 {
                asking.push(item(1)).expect("there is room");
            }
            asking.close().expect("nothing fails");
        });
        for _ in 0..200 {
            let other = options.open(&path).expect("nobody has it");
            for number in 0..20 {
                other.push(item(number)).expect("there is room");
            }
        }
        while busy.pop().is_ok() {}
    });
}

#[test]
fn a_durable_queue_reads_again_what_memory_has_no_room_for() {
    let (disk, budget) = (SimDisk::reliable(1), MemoryBudget::new(64 << 10));
    let options = sharing(&disk, &budget).mode(Mode::Durable(SyncPolicy::Never));
    let queues = ["/sim/a", "/sim/b"].map(|path| options.open(path).expect("a queue"));
    for number in 0..300 {
        for queue in &queues {
            queue.push(item(number)).expect("there is room");
        }
        let bytes: u64 = queues.iter().map(|queue| queue.stats().memory_bytes).sum();
        assert!(bytes <= budget.bytes(), "{bytes} bytes with item {number}");
    }
    for queue in &queues {
        assert!(queue.stats().items_on_disk > 200);
        assert_eq!(drain(queue, 0), 300);
    }
}

#[test]
fn queues_together_keep_to_the_disk_they_share() {
    for mode in [Mode::Spill, Mode::Durable(SyncPolicy::Never)] {
        let (disk, budget) = (SimDisk::reliable(1), DiskBudget::new(1 << 20));
        let options = QueueOptions::new(Bytes)
            .mode(mode)
            .memory_bytes(64 << 10)
            .segment_bytes(32 << 10)
            .when_full(WhenFull::Reject)
            .disk_budget(&budget)
            .on(&disk);
        let queues = ["/sim/a", "/sim/b", "/sim/c"].map(|path| options.open(path).expect("one"));
        let mut random = fastrand::Rng::with_seed(7);
        let (mut pushed, mut popped, mut refused) = ([0; 3], [0; 3], 0);
        for _ in 0..10_000 {
            let at = random.usize(..3);
            if random.u32(..100) < 60 {
                match queues[at].push(item(pushed[at])) {
                    Ok(number) => pushed[at] = number.expect("none is dropped") + 1,
                    Err(error) => {
                        assert!(matches!(*error.source, Error::Full), "{error:?}");
                        assert!(error.item.is_some_and(|it| it == item(pushed[at])));
                        refused += 1;
                    }
                }
            } else if let Ok(found) = queues[at].try_pop() {
                assert!(found == item(popped[at]), "{mode:?}: item {} of {at}", popped[at]);
                popped[at] += 1;
            }
            let bytes: u64 = queues.iter().map(|queue| queue.stats().disk_bytes).sum();
            assert!(bytes <= budget.bytes() && budget.used() == bytes, "{mode:?}: {bytes}");
        }
        assert!(refused > 100, "{mode:?}: {refused}");
        for (at, queue) in queues.iter().enumerate() {
            assert_eq!(drain(queue, popped[at]), pushed[at], "{mode:?}");
        }
        drop(queues);
        assert_eq!(budget.used(), 0, "{mode:?}");
        if mode != Mode::Spill {
            let _again = options.open::<Vec<u8>>("/sim/a").expect("a queue");
            assert!(budget.used() > 0, "what was there before counts");
        }
    }
}

#[test]
fn a_push_that_waits_for_shared_disk_goes_on_when_another_queue_makes_room() {
    let directory = tempfile::tempdir().expect("a directory");
    let budget = DiskBudget::new(256 << 10);
    let options = QueueOptions::new(Bytes)
        .mode(Mode::Durable(SyncPolicy::Never))
        .segment_bytes(16 << 10)
        .disk_budget(&budget);
    let [one, other] =
        ["one", "other"].map(|name| options.open(directory.path().join(name)).expect("a queue"));
    while one.try_push(item(1)).is_ok() {}
    assert!(matches!(other.try_push(item(2)).map_err(|it| *it.source), Err(Error::Full)));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| other.push_timeout(item(2), Duration::from_secs(30)));
        while one.try_pop().is_ok() {}
        assert_eq!(waiting.join().expect("no panic").expect("there is room"), Some(0));
    });
}
