//! What a vector does with single items, and how little it costs while it is in memory.

use ringkeep::{
    Bytes, Codec, CodecError, Compression, Error, JsonLines, MemSize, Postcard, SpillVec,
    SpillVecOptions, SpillWarning,
};

fn options() -> SpillVecOptions<Bytes> {
    SpillVecOptions::new(Bytes)
}

/// Refuses items that begin with a 9, and bytes that begin with an 8.
#[derive(Debug, Clone)]
pub(crate) struct Picky;

impl Codec<Vec<u8>> for Picky {
    fn name(&self) -> &'static str {
        "picky"
    }

    fn encode(&self, item: &Vec<u8>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(item);
        if item.first() == Some(&9) { Err("it begins with a nine".into()) } else { Ok(()) }
    }

    fn decode(&self, bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
        if bytes.first() == Some(&8) { Err("an eight".into()) } else { Ok(bytes.to_vec()) }
    }
}

#[test]
fn an_item_that_does_not_encode_comes_back_and_is_not_in() {
    let mut vec = SpillVecOptions::new(Picky).memory_bytes(0).build().expect("a vector");
    for count in 0..1000_u32 {
        let mut item = count.to_be_bytes().to_vec();
        if count % 10 == 3 {
            item[0] = 9;
            let refused = vec.push(item.clone()).expect_err("a nine");
            assert!(matches!(*refused.source, Error::Encode { .. }));
            assert_eq!(refused.item, Some(item));
        } else {
            vec.push(item).expect("there is room");
        }
    }
    let expected = (0..1000_u32).filter(|count| count % 10 != 3).map(u32::to_be_bytes);
    assert!(vec.into_iter().map(|item| item.expect("an item")).eq(expected));
}

#[test]
fn an_item_in_the_middle_that_does_not_encode_stays_in_memory_with_those_behind_it() {
    let mut vec = SpillVecOptions::new(Picky).build().expect("a vector");
    let items: Vec<Vec<u8>> = (0..200_u8).map(|count| vec![count; 1000]).collect();
    let order: Vec<_> =
        items[10..].iter().chain([&items[9]]).chain(&items[10..]).cloned().collect();
    vec.try_extend(order.clone()).expect("memory takes anything");
    for _ in 0..2 {
        let refused = vec.spill().expect_err("a nine");
        assert!(matches!(refused, Error::EncodeAt { index: 190, .. }), "{refused:?}");
        let refused = vec.push(vec![1]).expect_err("it would come before its time");
        assert!(refused.item == Some(vec![1]) && refused.to_string().contains("190"));
        assert!(vec.is_spilled() && vec.len() == order.len());
        for (index, item) in order.iter().enumerate() {
            let found = vec.get(index).expect("it can be read").expect("it is there");
            assert_eq!(*found, *item);
        }
        assert!(vec.iter().map(|item| item.expect("an item").to_vec()).eq(order.iter().cloned()));
    }
    let refused = vec.sorted_by(Vec::cmp).expect_err("a nine");
    assert!(matches!(*refused.source, Error::EncodeAt { index: 190, .. }));
    let mut vec = refused.vec;
    vec.truncate(190).expect("it can be read");
    vec.push(vec![7]).expect("nothing is in the way any more");
    assert_eq!((vec.len(), vec.stats().memory_bytes), (191, 0));
}

#[test]
fn an_item_that_does_not_decode_is_told_with_its_bytes_and_ends_a_walk() {
    let options = SpillVecOptions::new(Picky).memory_bytes(0);
    let mut vec = options.build().expect("a vector");
    vec.try_extend([vec![1], vec![8, 7], vec![2]]).expect("there is room");
    for _ in 0..2 {
        match vec.get(1) {
            Err(Error::Decode { item: 1, bytes, .. }) => assert_eq!(bytes, [8, 7]),
            other => panic!("{other:?}"),
        }
        let mut iter = vec.iter();
        assert!(iter.next().is_some_and(|item| item.is_ok()));
        assert!(iter.next().is_some_and(|item| item.is_err()));
        assert!(iter.next().is_none() && iter.next_back().is_none() && iter.len() == 0);
        let mut iter = vec.iter();
        assert!(iter.next_back().is_some_and(|item| item.is_ok()));
        assert!(iter.next_back().is_some_and(|item| item.is_err()));
        assert!(iter.next_back().is_none() && iter.next().is_none());
        vec.spill().expect("there is room");
    }
    let refused = vec.into_vec(1 << 20).expect_err("an eight");
    let mut iter = refused.vec.into_iter();
    assert!(iter.next().is_some_and(|item| item.is_ok()));
    assert!(iter.next().is_some_and(|item| item.is_err()));
    assert!(iter.next().is_none() && iter.len() == 0);
}

#[test]
fn an_item_larger_than_the_budget_goes_to_the_disk_alone() {
    for compression in [Compression::None, Compression::Lz4] {
        let options = options().memory_bytes(100_000).compression(compression);
        let mut vec = options.build_exact().expect("a vector");
        let large: Vec<u8> = (0..5_000_000_u32).map(|at| at.to_le_bytes()[1]).collect();
        for item in [vec![1; 10], large.clone(), vec![2; 10], large.clone(), vec![]] {
            vec.push(item).expect("there is room");
        }
        let lengths = vec.iter().map(|item| item.expect("an item").len());
        assert!(lengths.eq([10, 5_000_000, 10, 5_000_000, 0]));
        assert!(*vec.get(3).expect("it can be read").expect("it is there") == large);
        let stats = vec.stats();
        assert!(stats.memory_bytes == 0, "{stats:?}");
    }
}

#[test]
fn nothing_is_made_on_the_disk_before_memory_is_full() {
    let mut vec = options().directory("/nonexistent/directory").build().expect("a vector");
    vec.try_extend((0..1000).map(|_| vec![7; 100])).expect("memory is enough");
    let refused = vec.spill().expect_err("there is no directory");
    assert!(matches!(refused, Error::Io { .. }), "{refused:?}");
    assert!(!vec.is_spilled() && vec.len() == 1000);
    assert!(vec.get(999).expect("it is in memory").is_some_and(|item| item.is_borrowed()));
}

#[test]
fn a_directory_that_vanishes_takes_nothing_with_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let options = options().memory_bytes(0).directory(directory.path());
    let mut spilled = options.build().expect("a vector");
    spilled.try_extend((0..1000_u32).map(|count| count.to_le_bytes().to_vec())).expect("room");
    spilled.spill().expect("there is room");
    let mut late = options.build().expect("a vector");
    directory.close().expect("a file without a name is in nobody's way");
    // The file is open, wherever its directory is.
    spilled.try_extend((0..100_000).map(|_| vec![0; 100])).expect("there is room");
    let item = spilled.get(7).expect("it can be read").expect("it is there");
    assert_eq!(*item, 7_u32.to_le_bytes());
    let refused = late.push(vec![1]).expect_err("there is no directory");
    assert!(refused.item == Some(vec![1]) && late.is_empty());
    let refused = spilled.sorted_by(Vec::cmp).expect_err("there is no directory");
    assert_eq!(refused.vec.len(), 101_000);
}

#[test]
fn a_file_system_in_memory_is_warned_of() {
    let options = options().memory_bytes(0).directory("/dev/shm");
    let warning = options.warning().expect("a directory").expect("a tmpfs");
    assert_eq!(warning, SpillWarning::MemoryFileSystem { directory: "/dev/shm".into() });
    let mut vec = options.build().expect("a vector");
    assert_eq!(vec.warning(), None);
    vec.push(vec![1]).expect("a warning is no error");
    assert_eq!(vec.warning(), Some(&warning));
}

#[test]
fn items_of_no_size_and_empty_vectors_are_nothing_special() {
    let mut vec = SpillVecOptions::new(Postcard).build::<()>().expect("a vector");
    vec.try_extend([(); 1000]).expect("they take no room");
    assert_eq!((vec.len(), vec.stats().memory_bytes), (1000, 0));
    vec.spill().expect("there is room");
    assert_eq!(vec.iter().flatten().count(), 1000);
    let mut empty: SpillVec<u64> = SpillVec::default();
    empty.spill().expect("there is nothing to do");
    empty.truncate(0).expect("there is nothing to do");
    let empty = empty.sorted_by_key(|item| *item).expect("there is nothing to do");
    assert_eq!((empty.iter().count(), empty.get(0).expect("none").is_none()), (0, true));
}

#[test]
#[should_panic(expected = "3..5 is not a range of 4 items")]
fn a_range_behind_the_end_is_a_mistake_of_the_caller() {
    let vec = SpillVec::try_from_iter(0..4_u64).expect("a vector");
    let _ = vec.range(3..5);
}

#[test]
fn items_that_are_lines_of_json_can_be_read_in_their_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("frozen");
    let options = SpillVecOptions::new(JsonLines).memory_bytes(0);
    let mut vec = options.build().expect("a vector");
    let items = || (0..1000_u32).map(|count| (count, vec![Some(0.5), None], "a\nb\"".to_owned()));
    vec.try_extend(items()).expect("there is room");
    let found = vec.iter().map(|item| item.expect("it can be read").clone());
    assert!(found.eq(items()));
    vec.persist(&path).expect("there is room");
    let file = std::fs::read(&path).expect("a file");
    for count in 0..1000 {
        let line = format!("[{count},[0.5,null],\"a\\nb\\\"\"]\n");
        assert!(file.windows(line.len()).any(|bytes| bytes == line.as_bytes()), "{line}");
    }
    let frozen = options.open_frozen::<(u32, Vec<Option<f64>>, String)>(&path);
    let frozen = frozen.expect("it is whole");
    assert!(frozen.iter().map(|item| item.expect("it can be read")).eq(items()));
}

#[test]
fn json_has_no_place_for_a_float_that_is_no_number() {
    let mut vec = SpillVecOptions::new(JsonLines).memory_bytes(0).build().expect("a vector");
    vec.try_extend([1.5, f64::NAN]).expect("it is null");
    assert_eq!(vec.get(0).expect("it can be read").as_deref(), Some(&1.5));
    assert!(matches!(vec.get(1), Err(Error::Decode { .. })));
}

struct Programme {
    title: String,
}

impl MemSize for Programme {
    fn heap_bytes(&self) -> usize {
        self.title.heap_bytes()
    }
}

#[derive(Debug, Clone)]
struct Titles;

impl Codec<Programme> for Titles {
    fn name(&self) -> &'static str {
        "titles"
    }
    fn encode(&self, item: &Programme, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(item.title.as_bytes());
        Ok(())
    }
    fn decode(&self, bytes: &[u8]) -> Result<Programme, CodecError> {
        Ok(Programme { title: String::from_utf8(bytes.to_vec())? })
    }
}

#[test]
fn memory_is_counted_exactly_where_items_tell_it_and_nearly_where_not() {
    let titles = || (0..10_000).map(|count| Programme { title: "title ".repeat(count % 20) });
    let options = SpillVecOptions::new(Titles);
    let mut exact = options.build_exact().expect("a vector");
    exact.try_extend(titles()).expect("there is room");
    let heap: usize = titles().map(|item| item.heap_bytes()).sum();
    let places = exact.stats().memory_bytes - heap as u64;
    assert!(exact.stats().is_exact && (240_000..=480_000).contains(&places));
    let mut sampled = options.build().expect("a vector");
    sampled.try_extend(titles()).expect("there is room");
    let (found, expected) = (sampled.stats().memory_bytes, exact.stats().memory_bytes);
    assert!(!sampled.stats().is_exact && found.abs_diff(expected) < expected / 2, "{found}");
}

#[test]
fn a_vector_and_a_frozen_one_can_be_shared_by_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("frozen");
    let mut vec = SpillVecOptions::new(Postcard).memory_bytes(0).build().expect("a vector");
    vec.try_extend(0..50_000_u64).expect("there is room");
    vec.persist(&path).expect("there is room");
    let frozen = ringkeep::FrozenVec::<u64>::open(&path).expect("it is whole");
    shared(&vec);
    shared(&frozen);
    std::thread::scope(|scope| {
        for begin in 0..4 {
            let (vec, frozen) = (&vec, frozen.clone());
            scope.spawn(move || {
                for index in (begin..50_000).step_by(97) {
                    let item = vec.get(index).expect("it can be read").expect("it is there");
                    assert_eq!((*item, frozen.get(index).ok()), (index as u64, Some(Some(*item))));
                }
            });
        }
    });
}
