//! A bucket has one writer: two threads cannot have the same one.

use ringkeep::Store;

fn main() -> ringkeep::Result<()> {
    let store = Store::in_memory()?;
    store.write(|tx| {
        let mut bucket = tx.bucket("b")?;
        std::thread::scope(|scope| {
            scope.spawn(|| bucket.put("one", "1"));
            scope.spawn(|| bucket.put("two", "2"));
        });
        Ok(())
    })
}
