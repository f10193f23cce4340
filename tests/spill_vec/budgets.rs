//! Limits on memory and disk, of one vector and of several.

use ringkeep::{Bytes, DiskBudget, Error, MemoryBudget, QueueOptions, SpillVecOptions};

fn item(number: u32) -> Vec<u8> {
    let mut item = vec![0; 100];
    item[..4].copy_from_slice(&number.to_le_bytes());
    item
}

#[test]
fn two_vectors_share_memory_and_the_one_that_finds_none_moves() {
    let budget = MemoryBudget::new(1 << 20);
    let options = SpillVecOptions::new(Bytes).memory_budget(&budget);
    let mut first = options.build_exact().expect("a vector");
    let mut second = options.build_exact().expect("a vector");
    first.try_extend((0..7_000).map(item)).expect("memory is enough");
    assert!(!first.is_spilled() && budget.used() >= first.stats().memory_bytes);
    for number in 0..3_000 {
        second.push(item(number)).expect("there is a disk");
        let used = first.stats().memory_bytes + second.stats().memory_bytes;
        assert!(used <= budget.bytes(), "{used} bytes with item {number}");
    }
    assert!(second.is_spilled() && !first.is_spilled());
    first.spill().expect("there is a disk");
    let left = budget.used();
    assert!(left < 700 << 10, "{left} bytes are for buffers");
    for (vec, count) in [(&first, 7_000), (&second, 3_000)] {
        let items = vec.iter().map(|item| item.expect("it can be read").to_vec());
        assert!(items.eq((0..count).map(item)));
    }
    first.clear();
    drop((first, second));
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_queue_makes_room_for_a_vector() {
    let directory = tempfile::tempdir().expect("a directory");
    let budget = MemoryBudget::new(1 << 20);
    let queue = QueueOptions::new(Bytes).memory_budget(&budget).open(directory.path());
    let queue = queue.expect("a queue");
    for number in 0..6_700 {
        queue.push(item(number)).expect("there is room");
    }
    let before = queue.stats().memory_bytes;
    let options = SpillVecOptions::new(Bytes).memory_budget(&budget);
    let mut vec = options.build_exact().expect("a vector");
    vec.try_extend((0..2_000).map(item)).expect("there is room");
    assert!(!vec.is_spilled(), "{:?}", vec.stats());
    let after = queue.stats();
    assert!(after.memory_bytes < before && after.items_on_disk > 0, "{before}: {after:?}");
}

#[test]
fn two_vectors_share_a_disk_and_the_second_is_refused_with_its_item() {
    let budget = DiskBudget::new(1 << 20);
    let options = SpillVecOptions::new(Bytes).memory_bytes(0).disk_budget(&budget);
    let mut first = options.build().expect("a vector");
    let mut second = options.build().expect("a vector");
    first.try_extend((0..5_000).map(item)).expect("there is room");
    let refused = second.try_extend((0..10_000).map(item)).expect_err("there is no room");
    assert!(matches!(*refused.source, Error::DiskFull { .. }), "{refused:?}");
    let number = u32::try_from(second.len()).expect("a small number");
    assert_eq!(refused.item, Some(item(number)));
    assert!(number > 3_000 && budget.used() <= budget.bytes());
    assert!(second.iter().map(|item| item.expect("read").to_vec()).eq((0..number).map(item)));
    // What the first one gives back, the second one takes.
    first.truncate(1_000).expect("it can be read");
    second.try_extend((number..number + 2_000).map(item)).expect("there is room again");
    drop(first);
    assert_eq!(budget.used(), second.stats().disk_bytes);
    assert_eq!(second.into_iter().flatten().count(), number as usize + 2_000);
    assert_eq!(budget.used(), 0);
}

#[test]
fn taking_items_out_gives_the_disk_back_behind_them() {
    let budget = DiskBudget::new(1 << 30);
    let options = SpillVecOptions::new(Bytes).memory_bytes(0).disk_budget(&budget);
    let mut vec = options.build().expect("a vector");
    vec.try_extend((0..200_000).map(item)).expect("there is room");
    let before = budget.used();
    let mut items = vec.into_iter();
    for number in 0..200_000 {
        assert_eq!(items.next().map(|found| found.expect("it can be read")), Some(item(number)));
        let left = before / 200_000 * u64::from(200_000 - number);
        assert!(budget.used() <= left + (5 << 20), "{number}: {} bytes", budget.used());
    }
    assert_eq!((items.len(), budget.used()), (0, 0));
}

#[test]
fn taking_all_into_memory_has_a_limit() {
    for memory_bytes in [0, 10 << 20] {
        let options = SpillVecOptions::new(Bytes).memory_bytes(memory_bytes);
        let mut vec = options.build_exact().expect("a vector");
        vec.try_extend((0..10_000).map(item)).expect("there is room");
        let refused = vec.into_vec(1_000_000).expect_err("they take 1.24 MB");
        assert!(matches!(*refused.source, Error::OverLimit { max_bytes: 1_000_000, .. }));
        let items = refused.vec.into_vec(2_000_000).expect("there is memory");
        assert!(items.into_iter().eq((0..10_000).map(item)));
    }
}

#[test]
fn the_index_takes_less_than_half_a_byte_for_an_item_of_two_hundred_bytes() {
    let mut vec = SpillVecOptions::new(Bytes).memory_bytes(0).build().expect("a vector");
    for _ in 0..500_000 {
        vec.push(vec![7; 200]).expect("there is room");
    }
    let stats = vec.stats();
    assert!(stats.index_bytes <= 250_000, "{stats:?}");
    assert!(stats.memory_bytes == 0 && stats.buffer_bytes < 600 << 10, "{stats:?}");
}
