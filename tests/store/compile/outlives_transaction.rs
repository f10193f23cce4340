//! A bucket ends with its transaction.

use ringkeep::Store;

fn main() -> ringkeep::Result<()> {
    let store = Store::in_memory()?;
    let tx = store.begin_write()?;
    let mut bucket = tx.bucket("b")?;
    tx.commit()?;
    bucket.put("key", "value")
}
