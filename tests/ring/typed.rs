//! Records as values of a type.

use ringkeep::{Error, Read, RingOptions, TypedProducer, TypedRecord, TypedRing};
use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{F32, F64, I64, U16},
};

use crate::support::{Home, open_ring, ring_options};

#[derive(
    Debug, Clone, Copy, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
struct Sample {
    t: I64,
    temp: F32,
    rpm: U16,
}

impl TypedRecord for Sample {
    const SCHEMA: Option<&'static str> = Some("t:time_ns, temp:f32[C], rpm:u16");
}

/// As large as a sample.
#[derive(Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Other {
    t: I64,
    rpm: U16,
    temp: F32,
}

impl TypedRecord for Other {
    const SCHEMA: Option<&'static str> = Some("t:time_ns, rpm:u16, temp:f32[C]");
}

/// Checked by its size alone; needs an alignment.
#[derive(Debug, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Plain {
    low: u64,
    high: u64,
}

impl TypedRecord for Plain {}

/// Says something else than it is.
#[derive(Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Liar(F64);

impl TypedRecord for Liar {
    const SCHEMA: Option<&'static str> = Some("x:f32");
}

fn sample(number: u16) -> Sample {
    Sample { t: I64::new(i64::from(number) * 1000), temp: F32::new(0.5), rpm: U16::new(number) }
}

#[test]
fn values_come_back_by_value_by_view_and_in_ranges() {
    let home = Home::new();
    let producer = RingOptions::of_type::<Sample>(100).create(home.path()).unwrap();
    let mut producer = TypedProducer::<Sample>::of(producer).unwrap();
    let all: Vec<_> = (0..120).map(sample).collect();
    assert_eq!(producer.append_batch(&all[..119]).unwrap(), 0..119);
    assert_eq!(producer.append(&all[119]).unwrap(), 119);
    producer.update(50, &sample(7)).unwrap();
    producer.producer().delete(60).unwrap();

    for ring in [producer.ring().clone(), TypedRing::open(home.path()).unwrap()] {
        assert_eq!(ring.read(100).unwrap(), Read::Record(sample(100)));
        assert_eq!(ring.view(50, |sample| sample.rpm.get()).unwrap(), Read::Record(7));
        assert_eq!(ring.read(60).unwrap(), Read::Absent);
        assert_eq!(ring.read(3).unwrap(), Read::Lapped { oldest: 20, missed: 17 });
        let values: Vec<_> = ring.range(100..120).map(|found| found.unwrap().1).collect();
        let expected: Vec<_> = (100..120).map(|number| Read::Record(sample(number))).collect();
        assert_eq!(values, expected);
    }
    producer.close().unwrap();
}

#[test]
fn a_type_of_another_size_is_refused() {
    let home = Home::new();
    let producer = RingOptions::of_type::<Sample>(10).create(home.path()).unwrap();
    let refused = TypedRing::<Plain>::of(producer.ring()).unwrap_err();
    let Error::TypeSize { record_size: 14, type_bytes: 16, .. } = refused else {
        panic!("{refused}");
    };
}

#[test]
fn other_columns_are_shown_beside_those_of_the_archive() {
    let home = Home::new();
    let producer = RingOptions::of_type::<Sample>(10).create(home.path()).unwrap();
    let refused = TypedProducer::<Other>::of(producer).unwrap_err();
    let text = refused.to_string();
    let table = "  archive     | asked for\n\
                 \x20 temp:f32[C] | rpm:u16\n\
                 \x20 rpm:u16     | temp:f32[C]";
    assert!(text.ends_with(table), "{text}");
}

#[test]
fn only_the_size_counts_where_a_side_has_no_schema() {
    let home = Home::new();
    drop(ring_options(14, 10).create(home.path()).unwrap());
    assert!(TypedRing::<Other>::open(home.path()).is_ok());
    let path = home.directory().join("wide");
    let producer = ring_options(16, 10).schema("a:u64, b:u64").create(&path).unwrap();
    let mut producer = TypedProducer::of(producer).unwrap();
    producer.append(&Plain { low: 1, high: 2 }).unwrap();
    let read = TypedRing::<Plain>::open(&path).unwrap().read(0).unwrap();
    assert_eq!(read, Read::Record(Plain { low: 1, high: 2 }));
    assert_eq!(open_ring(&path).unwrap().read(0).unwrap().record().unwrap()[8], 2);
}

#[test]
fn a_type_whose_schema_is_not_its_own_is_refused() {
    let home = Home::new();
    let created = RingOptions::of_type::<Liar>(10).create(home.path());
    assert!(matches!(created, Err(Error::SchemaSize { schema_bytes: 4, record_size: 8 })));
    let producer = ring_options(8, 10).schema("x:f64").create(home.path()).unwrap();
    let refused = TypedRing::<Liar>::of(producer.ring());
    assert!(matches!(refused, Err(Error::SchemaSize { schema_bytes: 4, record_size: 8 })));
}
