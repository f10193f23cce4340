//! A transaction that reads has nothing to write with.

use ringkeep::Store;

fn main() -> ringkeep::Result<()> {
    let store = Store::in_memory()?;
    store.read(|tx| tx.bucket("b")?.put("key", "value"))
}
