//! A value is the bucket's, until that is changed.

use ringkeep::{BucketRead, Store};

fn main() -> ringkeep::Result<()> {
    let store = Store::in_memory()?;
    store.write(|tx| {
        let mut bucket = tx.bucket("b")?;
        let value = bucket.get("key")?;
        bucket.put("key", "another value")?;
        drop(value);
        Ok(())
    })
}
