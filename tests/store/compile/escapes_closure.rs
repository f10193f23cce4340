//! What was read does not leave the transaction that read it.

use ringkeep::{BucketRead, Store};

fn main() -> ringkeep::Result<()> {
    let store = Store::in_memory()?;
    let value = store.read(|tx| tx.bucket("b")?.get("key"))?;
    drop(value);
    Ok(())
}
