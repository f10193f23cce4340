//! What a producer does with an archive, and the oracle is told of it.

use std::time::Duration;

use ringkeep::{Error, Producer, Read, Result, SyncPolicy};

use super::{driver::Driver, oracle::Content};

impl Driver {
    pub(super) fn operation(&mut self, producer: &mut Producer) -> Result<()> {
        self.may_fail(4);
        let dice = self.random.u8(..100);
        self.say(&format!("operation {dice}"));
        if dice.is_multiple_of(3) {
            // A slow producer: its limit moves in steps that do not grow.
            self.disk.advance(Duration::from_secs(2));
        }
        match dice {
            0..40 => self.append(producer, 1),
            40..50 => {
                let most = 2 * (self.oracle.lock().capacity / 8).max(1) + 1;
                let count = self.random.u64(1..=most);
                self.append(producer, count)
            }
            50..60 => {
                let gap = self.draw_gap();
                self.append_at(producer, gap)
            }
            60..76 => {
                let ring = producer.ring();
                let kept = ring.oldest()?..ring.next_id()?;
                if kept.is_empty() {
                    return Ok(());
                }
                let id = self.random.u64(kept);
                self.rewrite(producer, id, dice < 71)
            }
            76..82 => producer.flush(),
            82..88 => producer.sync_without_telling(),
            88..94 => {
                producer.tell_flushed();
                Ok(())
            }
            _ => producer.raise_limit_early(),
        }
    }

    /// Gaps of the window's length and more are jumps.
    pub(super) fn draw_gap(&mut self) -> u64 {
        let capacity = self.oracle.lock().capacity;
        let gaps = [0, 1, capacity / 8 + 1, capacity - 1, capacity, 2 * capacity + 3];
        gaps[self.random.usize(..gaps.len())]
    }

    /// Begins with its id, like real telemetry: that is where a checksum seeded by a plain XOR
    /// fails.
    pub(super) fn payload(&mut self, id: u64) -> Vec<u8> {
        let mut payload = vec![0; self.record_size];
        self.random.fill(&mut payload);
        let half = self.record_size.min(8) / 2;
        payload[..half].copy_from_slice(&id.to_le_bytes()[..half]);
        payload
    }

    pub(super) fn append(&mut self, producer: &mut Producer, count: u64) -> Result<()> {
        let first = producer.ring().next_id()?;
        let records: Vec<_> = (first..first + count).map(|id| self.payload(id)).collect();
        let contents: Vec<Content> = records.iter().cloned().map(Some).collect();
        self.oracle.lock().attempt(first, &contents);
        if count == 1 {
            let id = producer.append(&records[0])?;
            assert!(id == first || self.disk.is_dead());
        } else {
            producer.append_batch(&records.concat())?;
        }
        self.has_returned(producer, first, &contents)
    }

    fn has_returned(
        &mut self,
        producer: &Producer,
        first: u64,
        contents: &[Content],
    ) -> Result<()> {
        if self.disk.is_dead() {
            return Ok(());
        }
        let durable = producer.ring().durable()?;
        let mut oracle = self.oracle.lock();
        oracle.returned(first, contents);
        if self.policy == SyncPolicy::Always && durable < first + contents.len() as u64 {
            oracle.fail(format!("policy: {first} was returned, and durable is {durable}"));
        }
        Ok(())
    }

    pub(super) fn append_at(&mut self, producer: &mut Producer, gap: u64) -> Result<()> {
        let ring = producer.ring();
        let (oldest, next, capacity) = (ring.oldest()?, ring.next_id()?, ring.geometry().capacity);
        let (id, payload) = (next + gap, self.payload(next + gap));
        let is_jump = gap >= capacity || oldest >= next;
        let (first, mut contents) = if is_jump {
            (id, vec![])
        } else {
            (next, vec![None; usize::try_from(gap).expect("small")])
        };
        contents.push(Some(payload.clone()));
        {
            let mut oracle = self.oracle.lock();
            oracle.jump = if is_jump { id + 1 } else { oracle.jump };
            oracle.attempt(first, &contents);
        }
        producer.append_at(id, &payload)?;
        self.has_returned(producer, first, &contents)?;
        if !self.disk.is_dead() {
            let mut oracle = self.oracle.lock();
            oracle.dropped = oracle.dropped.max(if is_jump { id } else { 0 });
            oracle.jump = 0;
            oracle.count(if is_jump { "jump" } else { "gap" }, gap > 0);
        }
        Ok(())
    }

    pub(super) fn rewrite(&mut self, producer: &mut Producer, id: u64, update: bool) -> Result<()> {
        let ring = producer.ring();
        let durable = ring.durable()?;
        if !matches!(ring.read(id)?, Read::Record(_)) {
            let refused = producer.delete(id);
            assert!(matches!(refused, Err(Error::NotARecord(_))), "{id}: {refused:?}");
            return Ok(());
        }
        let content = update.then(|| self.payload(id));
        self.oracle.lock().attempt(id, std::slice::from_ref(&content));
        match &content {
            Some(payload) => producer.update(id, payload)?,
            None => producer.delete(id)?,
        }
        if !self.disk.is_dead() {
            let mut oracle = self.oracle.lock();
            oracle.rewritten(id, &content);
            let class =
                if id < durable { "rewrite below durable" } else { "rewrite above durable" };
            oracle.count(class, true);
        }
        Ok(())
    }
}
