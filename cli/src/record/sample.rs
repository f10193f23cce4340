//! What the recorder keeps: one sample of this host, 124 bytes, and the schema that names them.
//!
//! One list makes the struct, the schema, and both directions of the bytes, so that they cannot
//! disagree. Little-endian, back to back in the order of the list; `cli/RECORDER.md` shows the
//! offsets. A number that this host does not tell is NaN, or 0 where it is a whole number.

macro_rules! sample {
    ($($(#[doc = $doc:literal])+ $name:ident: $kind:ident as $text:literal,)+) => {
        /// One sample of this host.
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub(crate) struct Sample {
            $($(#[doc = $doc])+ pub(crate) $name: $kind,)+
        }

        const LISTED: &str = concat!($(stringify!($name), ":", $text, ", "),+);

        /// Bytes of a record.
        pub(crate) const RECORD_BYTES: usize = 0 $(+ size_of::<$kind>())+;

        impl Sample {
            pub(crate) fn encode(&self) -> [u8; RECORD_BYTES] {
                let mut record = [0; RECORD_BYTES];
                let mut rest = &mut record[..];
                $(rest = put(rest, &self.$name.to_le_bytes());)+
                debug_assert!(rest.is_empty(), "the fields fill the record");
                record
            }

            /// The sample in `record`, if that has the right length.
            pub(crate) fn decode(record: &[u8]) -> Option<Self> {
                let mut rest: &[u8] = <&[u8; RECORD_BYTES]>::try_from(record).ok()?;
                Some(Self { $($name: $kind::from_le_bytes(take(&mut rest)?),)+ })
            }
        }
    };
}

sample! {
    /// When it was taken, in nanoseconds since 1970.
    t: u64 as "time_ns",
    /// Memory that programs can still have without swapping.
    mem_available: u64 as "u64[B]",
    /// Page cache.
    mem_cached: u64 as "u64[B]",
    /// Memory that waits to be written to disk.
    mem_dirty: u64 as "u64[B]",
    /// Swap in use.
    swap_used: u64 as "u64[B]",
    /// CPU time in user space since the previous sample, of all CPUs; nice included.
    cpu_user: f32 as "f32[%]",
    /// CPU time in the kernel, interrupts included.
    cpu_system: f32 as "f32[%]",
    /// CPU time idle with disk requests outstanding.
    cpu_iowait: f32 as "f32[%]",
    /// CPU time that the hypervisor gave to others.
    cpu_steal: f32 as "f32[%]",
    /// Load average of 1 minute.
    load1: f32 as "f32",
    /// Load average of 5 minutes.
    load5: f32 as "f32",
    /// Load average of 15 minutes.
    load15: f32 as "f32",
    /// Tasks that run or could run.
    tasks_running: u32 as "u32",
    /// Tasks that wait for a disk.
    tasks_blocked: u32 as "u32",
    /// All tasks: processes and their threads.
    tasks: u32 as "u32",
    /// Context switches.
    switches: f32 as "f32[1/s]",
    /// Tasks made.
    forks: f32 as "f32[1/s]",
    /// Read from disks: whole devices, no partitions, loops or mappings on top.
    disk_read: f32 as "f32[B/s]",
    /// Written to disks.
    disk_written: f32 as "f32[B/s]",
    /// Received on all network interfaces but `lo`.
    net_received: f32 as "f32[B/s]",
    /// Sent on all network interfaces but `lo`.
    net_sent: f32 as "f32[B/s]",
    /// Time in which some task waited for a CPU, of the last 10 seconds.
    pressure_cpu: f32 as "f32[%]",
    /// Time in which some task waited for memory.
    pressure_memory: f32 as "f32[%]",
    /// Time in which all tasks waited for memory.
    pressure_memory_full: f32 as "f32[%]",
    /// Time in which some task waited for a disk.
    pressure_io: f32 as "f32[%]",
    /// Time in which all tasks waited for a disk.
    pressure_io_full: f32 as "f32[%]",
}

/// The schema as it is kept in the archive.
pub(crate) const SCHEMA: &str = LISTED.split_at(LISTED.len() - ", ".len()).0;

// Slots of 128 bytes: a record and its CRC never straddle three cache lines.
const _: () = assert!(RECORD_BYTES == 124);

fn put<'a, const N: usize>(rest: &'a mut [u8], bytes: &[u8; N]) -> &'a mut [u8] {
    let (field, rest) = rest.split_at_mut(N);
    field.copy_from_slice(bytes);
    rest
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (field, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*field)
}

impl Sample {
    /// All CPU time that was used for something.
    pub(crate) fn cpu_busy(&self) -> f32 {
        self.cpu_user + self.cpu_system + self.cpu_steal
    }

    /// Whether a recorder can have written this: what a reader checks to trust what it read.
    pub(crate) fn is_plausible(&self, now_nanos: u64) -> bool {
        // The year 2000, and a clock that is an hour ahead of ours.
        let time = 946_684_800_000_000_000..now_nanos.saturating_add(3_600_000_000_000);
        let shares = [
            self.cpu_user,
            self.cpu_system,
            self.cpu_iowait,
            self.cpu_steal,
            self.pressure_cpu,
            self.pressure_memory,
            self.pressure_memory_full,
            self.pressure_io,
            self.pressure_io_full,
        ];
        let rates = [
            self.load1,
            self.load5,
            self.load15,
            self.switches,
            self.forks,
            self.disk_read,
            self.disk_written,
            self.net_received,
            self.net_sent,
        ];
        time.contains(&self.t)
            && shares.iter().all(|share| share.is_nan() || (0.0..100.5).contains(share))
            && rates.iter().all(|rate| rate.is_nan() || *rate >= 0.0)
    }
}

#[cfg(test)]
mod tests {
    use ringkeep::{Schema, Value};

    use super::*;

    /// A sample whose every byte differs from its neighbours.
    fn counted() -> (Sample, [u8; RECORD_BYTES]) {
        let record = std::array::from_fn(|at| u8::try_from(at + 1).expect("124 fit"));
        (Sample::decode(&record).expect("the right length"), record)
    }

    fn schema() -> Schema {
        SCHEMA.parse().expect("a schema")
    }

    #[test]
    fn the_schema_fills_a_record_and_its_time_is_t() {
        assert_eq!(schema().record_size(), RECORD_BYTES);
        assert_eq!(schema().time().map(|field| &*field.name), Some("t"));
        assert_eq!(schema().to_string(), SCHEMA, "as people write it");
    }

    #[test]
    fn columns_are_the_fields_of_the_same_name() {
        let (sample, record) = counted();
        assert_eq!(sample.encode(), record);
        let schema = schema();
        let value = |name: &str| {
            let field = schema.field(name).expect("a field");
            field.value(&record, 0).expect("a value")
        };
        assert_eq!(value("t"), Value::Signed(sample.t.cast_signed()));
        assert_eq!(value("swap_used"), Value::Unsigned(sample.swap_used));
        assert_eq!(value("cpu_user"), Value::Single(sample.cpu_user));
        assert_eq!(value("tasks"), Value::Unsigned(sample.tasks.into()));
        assert_eq!(value("pressure_io_full"), Value::Single(sample.pressure_io_full));
    }

    #[test]
    fn a_record_of_another_length_is_no_sample() {
        let (_, record) = counted();
        assert_eq!(Sample::decode(&record[..123]), None);
        assert_eq!(Sample::decode(&[0; 125]), None);
    }

    #[test]
    fn the_document_shows_each_field_at_its_offset() {
        let document = include_str!("../../RECORDER.md");
        for field in schema().fields() {
            let text = field.to_string();
            let (name, kind) = text.split_once(':').expect("a name and a type");
            let row = format!("| {} | {} | `{name}` | `{kind}` |", field.offset, field.size());
            assert!(document.contains(&row), "RECORDER.md lacks the row {row}");
        }
        assert!(document.contains(SCHEMA), "RECORDER.md lacks the schema {SCHEMA}");
    }

    #[test]
    fn noise_is_no_plausible_sample() {
        let (noise, _) = counted();
        let now = 1_800_000_000_000_000_000;
        assert!(!noise.is_plausible(now));
        let mut sample = Sample::decode(&[0; RECORD_BYTES]).expect("the right length");
        assert!(!sample.is_plausible(now), "1970 is too early");
        sample.t = now - 1;
        assert!(sample.is_plausible(now));
        sample.pressure_io = f32::NAN;
        assert!(sample.is_plausible(now), "a host need not tell its pressure");
        sample.cpu_user = 101.0;
        assert!(!sample.is_plausible(now));
    }
}
