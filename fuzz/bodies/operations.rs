//! What the fuzz target does with its bytes; the corpus is replayed by `tests/fuzz_corpus.rs`.
//!
//! Four bytes choose the shape of a ring and the form of its first producer. Then each operation is
//! a byte and what it takes; bytes that are missing are zeros. A sequence ends with its bytes, or
//! when it is long enough. All readers must answer what a list would.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

use ringkeep::{
    AfterLap, Error, Io, Producer, Read, ReadBatch, ReadOptions, Result, Ring, RingOptions,
    SimDisk, Start, SyncPolicy, Tailed, Tailer, WriteOptions,
};

#[path = "../../tests/ring/list.rs"]
mod list;
use list::List;

/// More do not find more, they only take longer.
const OPERATIONS_MAX: usize = 100;
/// Where ids end.
const ID_END: u64 = 1 << 62;
/// Longer than what a tailer read ahead may be shown without another look.
const MOMENT: Duration = Duration::from_millis(100);
const CAPACITIES: [u64; 8] = [1, 2, 3, 7, 9, 16, 33, 64];
const SIZES: [usize; 4] = [1, 4, 17, 124];
const POLICIES: [SyncPolicy; 4] = [
    SyncPolicy::Never,
    SyncPolicy::Always,
    SyncPolicy::EveryRecords(3),
    SyncPolicy::Interval(Duration::from_millis(1)),
];

/// Capacity, record size and shards.
type Shape = (u64, usize, u32);
type Files = Vec<(PathBuf, Vec<u8>)>;

thread_local! {
    /// Archives made so far: making one takes longer than opening it.
    static MADE: RefCell<BTreeMap<Shape, Files>> = const { RefCell::new(BTreeMap::new()) };
}

/// Runs the operations that `data` describes beside a list.
pub(crate) fn operations(data: &[u8]) {
    let mut bytes = Bytes(data);
    let (capacity, size, shards) = (bytes.next(), bytes.next(), bytes.next());
    let capacity = CAPACITIES[usize::from(capacity) % CAPACITIES.len()];
    let size = SIZES[usize::from(size) % SIZES.len()];
    let shards = u32::from(shards % 3) + 1;
    let mut driver = Driver::new((capacity, size, shards), Form::of(bytes.next()));
    for _ in 0..OPERATIONS_MAX {
        if bytes.0.is_empty() {
            break;
        }
        driver.step(&mut bytes);
        driver.check_ends();
    }
    let outside = driver.ring(1);
    driver.check_all(&outside);
    driver.follow(u64::MAX);
    driver.reopen(End::Close, Form::Mapped);
    let ring = driver.ring(0);
    driver.check_all(&ring);
}

/// What is left of the input.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    /// A number below `end`, which is small.
    fn below(&mut self, end: u64) -> u64 {
        u64::from(self.next()) % end
    }
}

/// How an archive is opened.
#[derive(Debug, Clone, Copy)]
enum Form {
    Mapped,
    ByPosition,
    /// Under the smallest budget.
    Windowed,
}

impl Form {
    fn of(byte: u8) -> Self {
        [Self::Mapped, Self::ByPosition, Self::Windowed][usize::from(byte) % 3]
    }
}

/// How a producer ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Close,
    Drop,
    Die,
}

/// Where the tailer stands, and what it does when it is lapped.
struct Follower {
    position: u64,
    missed: u64,
    after_lap: AfterLap,
}

struct Driver {
    disk: SimDisk,
    /// None while one takes the place of another.
    producer: Option<Producer>,
    /// Of another process.
    outside: Ring,
    /// Of the first producer, which ends sooner or later.
    former: Ring,
    tailer: Tailer,
    follower: Follower,
    list: List,
    /// What `durable` is known to be; otherwise the list has the least that it can be.
    is_exact: bool,
    /// Target of a sync that was not told yet, if it is known.
    flushed: Option<u64>,
    policy: SyncPolicy,
    size: usize,
    version: u64,
    epoch: u64,
    batch: ReadBatch,
}

fn path() -> &'static Path {
    Path::new("/sim/cache.dat")
}

fn files(shape: Shape) -> Files {
    let make = || {
        let disk = SimDisk::reliable(7);
        let (capacity, size, shards) = shape;
        let options = RingOptions::new(size, capacity).shards(shards).on(&disk);
        options.create(path()).and_then(|producer| Ok(producer.close()?))?;
        Ok::<_, Error>(disk.contents())
    };
    MADE.with_borrow_mut(|made| {
        made.entry(shape).or_insert_with(|| make().expect("a fresh disk")).clone()
    })
}

fn open_reader(disk: &SimDisk, form: Form) -> Ring {
    let options = ReadOptions::new().on(&disk.other_process());
    let options = match form {
        Form::Mapped => options,
        Form::ByPosition => options.io(Io::File),
        Form::Windowed => options.smallest_budget(),
    };
    options.open(path()).expect("a reader")
}

fn open_producer(disk: &SimDisk, form: Form, policy: SyncPolicy) -> Producer {
    let options = WriteOptions::new().sync(policy).on(disk);
    let options = match form {
        Form::Mapped => options,
        Form::ByPosition => options.io(Io::File),
        Form::Windowed => options.smallest_budget(),
    };
    options.open(path()).expect("the archive opens")
}

impl Driver {
    fn new(shape: Shape, form: Form) -> Self {
        let disk = SimDisk::reliable(1);
        for (path, bytes) in files(shape) {
            disk.put_file(&path, &bytes);
        }
        let (capacity, size, _) = shape;
        let producer = open_producer(&disk, form, SyncPolicy::Never);
        let (former, outside) = (producer.ring(), open_reader(&disk, Form::Mapped));
        let after_lap = AfterLap::Oldest { margin: 0 };
        Self {
            tailer: outside.tailer(Start::Oldest).after_lap(after_lap),
            follower: Follower { position: 0, missed: 0, after_lap },
            list: List::new(usize::try_from(capacity).expect("a small ring")),
            is_exact: true,
            flushed: None,
            policy: SyncPolicy::Never,
            size,
            version: 0,
            epoch: former.stats().expect("numbers").epoch,
            batch: ReadBatch::new(),
            disk,
            producer: Some(producer),
            outside,
            former,
        }
    }

    fn step(&mut self, bytes: &mut Bytes<'_>) {
        let capacity = self.list.capacity as u64;
        match bytes.next() % 32 {
            4 => self.append(true),
            5 | 6 => self.append_batch(bytes.below(2 * capacity + 3)),
            7 => self.append_at(bytes.below(capacity)),
            8 => self.append_at((capacity + bytes.below(3)).saturating_sub(1)),
            9 => self.append_at((1 << bytes.below(63)) + bytes.below(3)),
            10 => self.append_at((ID_END + 1 - bytes.below(5)).saturating_sub(self.list.next)),
            11 | 12 => self.rewrite(bytes, true),
            13 | 14 => self.rewrite(bytes, false),
            15 => self.sync_in_steps(bytes.next()),
            16 => self.raise_limit(),
            17 => self.set_sync(bytes.next()),
            18 => self.reopen(End::Close, Form::of(bytes.next())),
            19 => self.reopen(End::Drop, Form::of(bytes.next())),
            20 => self.reopen(End::Die, Form::of(bytes.next())),
            21 => self.outside = open_reader(&self.disk, Form::of(bytes.next())),
            22 => self.read(bytes),
            23 => self.read_range(bytes),
            24 => self.read_many(bytes),
            25 => self.walk(bytes),
            26 => self.view(bytes),
            27 => self.start_tailer(bytes),
            28 | 29 => self.follow(bytes.below(16)),
            30 => self.refuse(bytes),
            31 => {
                let ring = self.ring(bytes.next());
                self.check_all(&ring);
            }
            _ => self.append(false),
        }
    }

    fn producer(&mut self) -> &mut Producer {
        self.producer.as_mut().expect("a producer")
    }

    fn ring(&mut self, which: u8) -> Ring {
        match which % 3 {
            0 => self.producer().ring(),
            1 => self.outside.clone(),
            _ => self.former.clone(),
        }
    }

    /// A payload that few other writes have.
    fn fresh(&mut self) -> Vec<u8> {
        self.version += 1;
        let bytes = self.version.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
        bytes.into_iter().cycle().take(self.size).collect()
    }

    /// An id in the window, or right beside it.
    fn near(&self, bytes: &mut Bytes<'_>) -> u64 {
        let begin = self.list.oldest().saturating_sub(2);
        begin + bytes.below(self.list.next - begin + 3)
    }

    // What a producer does.

    fn append(&mut self, durable: bool) {
        let (id, payload) = (self.list.next, self.fresh());
        let producer = self.producer();
        let given =
            if durable { producer.append_durable(&payload) } else { producer.append(&payload) };
        if id == ID_END {
            return assert!(matches!(given, Err(Error::IdTooLarge { id: ID_END })), "{given:?}");
        }
        assert_eq!(given.expect("an append"), id);
        self.list.push(Some(payload));
        self.appended();
        if durable {
            self.synced();
        }
    }

    fn append_batch(&mut self, count: u64) {
        let ids = self.list.next..self.list.next + count;
        let payloads: Vec<_> = ids.clone().map(|_| self.fresh()).collect();
        let given = self.producer().append_batch(&payloads.concat());
        if ids.end > ID_END {
            let last = ids.end - 1;
            let refused = matches!(given, Err(Error::IdTooLarge { id }) if id == last);
            return assert!(refused, "{given:?}");
        }
        assert_eq!(given.expect("a batch"), ids);
        for payload in payloads {
            self.list.push(Some(payload));
        }
        if count > 0 {
            self.appended();
        }
    }

    fn append_at(&mut self, gap: u64) {
        let (id, payload) = (self.list.next.saturating_add(gap), self.fresh());
        let given = self.producer().append_at(id, &payload);
        if id >= ID_END {
            let refused = matches!(given, Err(Error::IdTooLarge { id: found }) if found == id);
            return assert!(refused, "{given:?}");
        }
        given.expect("an append");
        self.list.append_at(id, payload);
        self.appended();
    }

    fn rewrite(&mut self, bytes: &mut Bytes<'_>, update: bool) {
        let id = self.near(bytes);
        let content = update.then(|| self.fresh());
        let result = match &content {
            Some(payload) => self.producer().update(id, payload),
            None => self.producer().delete(id),
        };
        match (self.list.read(id), result) {
            (Read::Record(_), Ok(())) => {
                let place = usize::try_from(id - self.list.oldest()).expect("a small ring");
                self.list.kept[place] = content;
            }
            (expected, Err(Error::NotARecord(found))) => assert_eq!(found, expected.map(drop)),
            (expected, result) => panic!("{result:?} of id {id}, which is {expected:?}"),
        }
    }

    /// What is not appended.
    fn refuse(&mut self, bytes: &mut Bytes<'_>) {
        let (how, next) = (bytes.next(), self.list.next);
        let mut payload = self.fresh();
        if how % 2 == 0 {
            let id = next.saturating_sub(1 + u64::from(how));
            let refused = self.producer().append_at(id, &payload);
            return match refused {
                Ok(()) if next == 0 => {
                    self.list.append_at(id, payload);
                    self.appended();
                }
                Err(Error::IdTooLarge { .. }) if id >= ID_END => {}
                Err(Error::IdBelowNext { id: found, .. }) if id < next => assert_eq!(found, id),
                other => panic!("{other:?} of id {id} below {next}"),
            };
        }
        payload.push(0);
        let (producer, is_multiple) =
            (self.producer(), payload.len().is_multiple_of(payload.len() - 1));
        let refused = [
            producer.append(&payload).map(drop),
            producer.append_at(next, &payload),
            producer.update(next, &payload),
            if is_multiple { Ok(()) } else { producer.append_batch(&payload).map(drop) },
        ];
        let of_length =
            |result: &Result<()>| matches!(result, Err(Error::WrongPayloadLength { .. }));
        let count = refused.iter().filter(|&result| of_length(result)).count();
        assert_eq!(count, if is_multiple { 3 } else { 4 }, "{refused:?}");
    }

    fn reopen(&mut self, end: End, form: Form) {
        let producer = self.producer.take().expect("a producer");
        match end {
            End::Close => producer.close().expect("a clean close"),
            End::Drop => drop(producer),
            End::Die => producer.die(),
        }
        match end {
            End::Close | End::Drop => self.synced(),
            End::Die => self.flushed = None,
        }
        assert!(!self.outside.stats().expect("numbers").writer_live);
        self.producer = Some(open_producer(&self.disk, form, self.policy));
        self.epoch += 1;
        // Whatever a sync of the former one came to, it is over.
        self.check_ends();
        self.is_exact = true;
    }

    // Durability.

    fn appended(&mut self) {
        match self.policy {
            SyncPolicy::Always => self.synced(),
            SyncPolicy::EveryRecords(_) => (self.is_exact, self.flushed) = (false, None),
            _ => {}
        }
    }

    fn synced(&mut self) {
        self.list.durable = self.list.next;
        (self.is_exact, self.flushed) = (true, None);
    }

    fn told(&mut self) {
        if let Some(target) = self.flushed.take() {
            self.list.durable = self.list.durable.max(target);
        }
    }

    fn sync_in_steps(&mut self, how: u8) {
        match how % 3 {
            0 => {
                self.producer().flush().expect("a flush");
                self.synced();
            }
            1 => {
                self.producer().sync_without_telling().expect("a flush");
                self.told();
                self.flushed = Some(self.list.next);
            }
            _ => {
                self.producer().tell_flushed();
                self.is_exact |= self.flushed.is_some();
                self.told();
            }
        }
    }

    fn raise_limit(&mut self) {
        let before = self.producer().limit();
        self.producer().raise_limit_early().expect("a page");
        assert!(self.producer().limit() >= before);
    }

    fn set_sync(&mut self, which: u8) {
        self.policy = POLICIES[usize::from(which) % POLICIES.len()];
        let policy = self.policy;
        self.producer().set_sync(policy);
    }

    // What readers see.

    fn read(&mut self, bytes: &mut Bytes<'_>) {
        let ring = self.ring(bytes.next());
        let id = self.near(bytes);
        let mut payload = vec![0; self.size];
        let found = ring.read_into(id, &mut payload).expect("a read").map(|()| payload);
        assert_eq!(found, self.list.read(id), "id {id}");
        for id in [0, id / 2, u64::MAX] {
            assert_eq!(ring.read(id).expect("a read"), self.list.read(id), "id {id}");
        }
    }

    fn read_range(&mut self, bytes: &mut Bytes<'_>) {
        let ring = self.ring(bytes.next());
        let ids = self.near(bytes)..self.near(bytes);
        let result = ring.read_range(ids.clone(), &mut self.batch);
        let ids: Vec<u64> = ids.collect();
        self.check_batch(&ring, &ids, result);
    }

    fn read_many(&mut self, bytes: &mut Bytes<'_>) {
        let ring = self.ring(bytes.next());
        let count = bytes.below(16);
        let ids: Vec<u64> = (0..count).map(|_| self.near(bytes)).collect();
        let result = ring.read_many(&ids, &mut self.batch);
        self.check_batch(&ring, &ids, result);
    }

    fn check_batch(&self, ring: &Ring, ids: &[u64], result: Result<()>) {
        let (count, max) = (ids.len() as u64, ring.geometry().slots);
        if count > max {
            return assert!(matches!(result, Err(Error::RangeTooLong { .. })), "{result:?}");
        }
        result.expect("a batch");
        let found = self.batch.iter().map(|(id, read)| (id, read.map(<[u8]>::to_vec)));
        assert!(found.eq(ids.iter().map(|&id| (id, self.list.read(id)))), "{ids:?}");
    }

    /// A range from both ends, in any order.
    fn walk(&mut self, bytes: &mut Bytes<'_>) {
        let (which, turns) = (bytes.next(), bytes.next());
        let ring = self.ring(which);
        let mut ids = self.near(bytes)..self.near(bytes);
        if which >= 128 {
            ids.end = u64::MAX;
        }
        let mut cursor = ring.range(ids.clone());
        for turn in 0..u64::from(which % 16) {
            let is_back = turns >> (turn % 8) & 1 == 1;
            let id = if is_back { ids.next_back() } else { ids.next() };
            let found = if is_back { cursor.next_back() } else { cursor.next() };
            let found = found.expect("a look").map(|(id, read)| (id, read.map(<[u8]>::to_vec)));
            assert_eq!(found, id.map(|id| (id, self.list.read(id))));
        }
    }

    fn view(&mut self, bytes: &mut Bytes<'_>) {
        let ring = self.ring(bytes.next());
        let id = self.near(bytes);
        let found = ring.view(id, <[u8]>::to_vec).expect("a view");
        assert_eq!(found, self.list.read(id), "id {id}");
    }

    fn start_tailer(&mut self, bytes: &mut Bytes<'_>) {
        let ring = self.ring(bytes.next());
        let how = bytes.next();
        let (start, position) = match how % 3 {
            0 => (Start::Oldest, self.list.oldest()),
            1 => (Start::Newest, self.list.next),
            _ => {
                let id = self.near(bytes);
                (Start::Id(id), id)
            }
        };
        let after_lap = match how >> 4 {
            15 => AfterLap::Newest,
            margin => AfterLap::Oldest { margin: margin.into() },
        };
        self.tailer = ring.tailer(start).after_lap(after_lap);
        self.follower = Follower { position, missed: 0, after_lap };
    }

    /// The tailer takes so many steps, or all.
    fn follow(&mut self, steps: u64) {
        // What it read ahead is old then.
        self.disk.advance(MOMENT);
        let follower = &mut self.follower;
        let list = &self.list;
        for _ in 0..steps {
            let id = follower.position;
            let found = self.tailer.try_next().expect("a look");
            match list.read(id) {
                Read::Record(payload) => {
                    assert_eq!(found, Some(Tailed::Record { id, payload: &payload }));
                    follower.position += 1;
                }
                Read::Absent => {
                    assert_eq!(found, Some(Tailed::Hole { id, read: Read::Absent }));
                    follower.position += 1;
                }
                Read::Lapped { oldest, .. } => {
                    let ids = id..aim(list, oldest, follower.after_lap);
                    assert_eq!(found, Some(Tailed::Missed { ids: ids.clone() }));
                    follower.position = ids.end;
                    follower.missed += ids.end - id;
                }
                _ => {
                    assert_eq!(found, None);
                    break;
                }
            }
        }
        assert_eq!(self.tailer.position(), follower.position);
        assert_eq!(self.tailer.missed(), follower.missed);
        let lag = self.tailer.lag().expect("a lag");
        assert_eq!(lag, list.next.saturating_sub(follower.position));
    }

    /// After every operation.
    fn check_ends(&mut self) {
        let (oldest, next) = (self.list.oldest(), self.list.next);
        let ring = self.ring(0);
        assert_eq!(ring.oldest().expect("the oldest id"), oldest);
        assert_eq!(ring.next_id().expect("the next id"), next);
        assert!(self.producer().limit() >= next);
        let (durable, floor) = (ring.durable().expect("what is durable"), self.list.durable);
        assert!((floor..=next).contains(&durable), "{durable} of {floor}..={next}");
        assert!(!self.is_exact || durable == floor, "{durable} instead of {floor}");
        self.list.durable = durable;
    }

    /// The whole window, in every way.
    fn check_all(&mut self, ring: &Ring) {
        let ids: Range<u64> = self.list.oldest()..self.list.next;
        for id in ids.start.saturating_sub(3)..ids.end + 3 {
            assert_eq!(ring.read(id).expect("a read"), self.list.read(id), "id {id} of {ids:?}");
        }
        let all = ring.range(ids.clone()).records().map(|record| record.expect("a read"));
        assert!(all.eq(ids.clone().map(|id| (id, self.list.read(id)))));
        let report = ring.verify(|_| {}).expect("a verification");
        let good = self.list.kept.iter().flatten().count() as u64;
        assert_eq!((report.good, report.absent), (good, ids.end - ids.start - good));
        assert_eq!((report.lost, report.corrupt, report.lapped), (0, 0, 0));
        let stats = ring.stats().expect("numbers");
        assert_eq!((stats.oldest, stats.next), (ids.start, ids.end));
        assert_eq!((stats.durable, stats.epoch), (self.list.durable, self.epoch));
        assert!(stats.writer_live);
    }
}

/// Where a tailer that is lapped goes on.
fn aim(list: &List, oldest: u64, after_lap: AfterLap) -> u64 {
    match after_lap {
        AfterLap::Oldest { margin } => {
            let begin = list.next.saturating_sub(list.capacity as u64);
            oldest.max(begin.saturating_add(margin).min(list.next))
        }
        _ => list.next,
    }
}
