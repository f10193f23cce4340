//! An archive to look at: sensors of a power station, eleven records a second.

use std::ops::Range;

use ringkeep::{Producer, Schema, Value};

use super::Result;

pub(crate) const SAMPLE: &str = "t:time_ms, \
    sensor:enum16{intake,pump,boiler,turbine,condenser,stack}, status:enum8{ok,warn,fault}, \
    value:f64[C]";
const SENSORS: u64 = 6;
pub(crate) const RECORDS: u64 = 200_000;
/// 2026-01-01, and from one record to the next.
const BEGIN_MS: u64 = 1_767_225_600_000;
const STEP_MS: u64 = 90;

pub(crate) fn record(producer: &mut Producer, ids: Range<u64>) -> Result<()> {
    let schema: Schema = SAMPLE.parse()?;
    let [time, sensor, status, value] = schema.fields() else { return Err("four columns".into()) };
    let (mut payload, mut random) = (vec![0; schema.record_size()], fastrand::Rng::with_seed(7));
    for id in ids {
        let state = match random.u32(..1000) {
            0 => 2,
            1..20 => 1,
            _ => 0,
        };
        time.put(&mut payload, 0, Value::Unsigned(BEGIN_MS + id * STEP_MS))?;
        sensor.put(&mut payload, 0, Value::Unsigned(random.u64(..SENSORS)))?;
        status.put(&mut payload, 0, Value::Unsigned(state))?;
        value.put(&mut payload, 0, Value::Double(20.0 + 60.0 * random.f64()))?;
        producer.append(&payload)?;
    }
    Ok(producer.flush()?)
}
