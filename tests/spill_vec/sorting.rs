//! Sorting: stable, in a fixed amount of memory, and an error leaves the vector as it was.

use std::cell::Cell;

use ringkeep::{Bytes, Compression, DiskBudget, Error, SimDisk, SpillVec, SpillVecOptions};

fn items(count: u32, seed: u64) -> Vec<Vec<u8>> {
    let mut random = fastrand::Rng::with_seed(seed);
    let key = |number: u32| (random.u8(..50), number);
    let item = |(key, number): (u8, u32)| {
        let mut item = vec![key; 30];
        item[1..5].copy_from_slice(&number.to_be_bytes());
        item
    };
    (0..count).map(key).map(item).collect()
}

fn filled(options: &SpillVecOptions<Bytes>, items: &[Vec<u8>]) -> SpillVec<Vec<u8>, Bytes> {
    let mut vec = options.build_exact().expect("a vector");
    vec.try_extend(items.iter().cloned()).expect("there is room");
    vec
}

fn all(vec: &SpillVec<Vec<u8>, Bytes>) -> Vec<Vec<u8>> {
    vec.iter().map(|item| item.expect("it can be read").to_vec()).collect()
}

#[test]
fn many_runs_are_merged_in_several_passes_and_equal_items_keep_their_order() {
    // 64 KiB of 84 bytes each are a run, and 2 or 4 runs are merged at once.
    for (memory_bytes, count) in [(0, 20_000), (2 << 20, 90_000), (8 << 20, 90_000)] {
        for compression in [Compression::None, Compression::Lz4] {
            let options =
                SpillVecOptions::new(Bytes).memory_bytes(memory_bytes).compression(compression);
            let mut expected = items(count, 7);
            let vec = filled(&options, &expected);
            expected.sort_by_key(|item| item[0]);
            let sorted = vec.sorted_by_key(|item| item[0]).expect("there is room");
            assert!(sorted.is_spilled() && all(&sorted) == expected, "{memory_bytes}");
            // What is sorted can be pushed to, and sorted again.
            let mut sorted = sorted;
            sorted.push(vec![0; 30]).expect("there is room");
            expected.push(vec![0; 30]);
            expected.sort();
            assert!(all(&sorted.sorted_by(Vec::cmp).expect("there is room")) == expected);
        }
    }
}

#[test]
fn half_of_the_budget_is_sorted_without_the_disk() {
    let options = SpillVecOptions::new(Bytes).memory_bytes(1 << 20).directory("/nonexistent");
    let mut expected = items(5_000, 1);
    let vec = filled(&options, &expected);
    expected.sort_by_key(|item| item[0]);
    let sorted = vec.sorted_by_key(|item| item[0]).expect("memory is enough");
    assert!(!sorted.is_spilled() && all(&sorted) == expected);
    let vec = filled(&options, &items(9_000, 1));
    let refused = vec.sorted_by_key(|item| item[0]).expect_err("there is no directory");
    assert!(matches!(*refused.source, Error::Io { .. }));
    assert!(all(&refused.vec) == items(9_000, 1));
}

#[test]
fn sorting_takes_as_much_disk_again_and_gives_it_back() {
    let budget = DiskBudget::new(1 << 30);
    let options = SpillVecOptions::new(Bytes).memory_bytes(4 << 20).disk_budget(&budget);
    let vec = filled(&options, &items(300_000, 3));
    let before = budget.used();
    let most = Cell::new(0);
    let sorted = vec.sorted_by(|one, other| {
        most.set(budget.used().max(most.get()));
        one[..5].cmp(&other[..5])
    });
    let sorted = sorted.expect("there is room");
    assert!(budget.used() < before + before / 4, "{} after {before}", budget.used());
    assert!(most.get() < before * 5 / 2, "{} of {before}", most.get());
    drop(sorted);
    assert_eq!(budget.used(), 0);
}

#[test]
fn without_disk_for_a_copy_a_vector_stays_as_it_was() {
    let expected = items(10_000, 3);
    let options = SpillVecOptions::new(Bytes).memory_bytes(100_000);
    let disk_bytes = filled(&options, &expected).stats().disk_bytes;
    let options = options.disk_bytes_max(disk_bytes + disk_bytes / 2);
    let refused = filled(&options, &expected).sorted_by(Vec::cmp).expect_err("no room");
    assert!(matches!(*refused.source, Error::DiskFull { .. }), "{refused:?}");
    assert!(all(&refused.vec) == expected);
}

#[test]
fn files_that_are_open_while_sorting_are_few_whatever_the_runs() {
    let disk = SimDisk::reliable(1);
    let options = SpillVecOptions::new(Bytes).memory_bytes(0).on(&disk);
    let vec = filled(&options, &items(8_000, 5));
    let most = Cell::new(0);
    let sorted = vec.sorted_by(|one, other| {
        most.set(disk.unnamed_files().len().max(most.get()));
        one.cmp(other)
    });
    assert_eq!((sorted.expect("there is room").len(), most.get()), (8_000, 3));
    assert!(disk.unnamed_files().is_empty());
}
