//! Reads this host's numbers from /proc and makes samples of them.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use procfs::net::dev_status;
use procfs::{
    CpuPressure, Current, CurrentSI, IoPressure, KernelStats, LoadAverage, Meminfo, MemoryPressure,
    ProcError, diskstats,
};

use super::sample::Sample;
use crate::exit::Failure;
use crate::numbers::{float, single};

/// /proc/diskstats counts in sectors of 512 bytes, whatever the device's own size.
const SECTOR_BYTES: u64 = 512;

/// This host, and what its counters said at the last sample.
#[derive(Debug)]
pub(super) struct Host {
    disks: Disks,
    before: Counters,
    shares: [f32; 4],
}

/// Counters that only grow; a sample holds how fast.
#[derive(Debug, Clone, Copy)]
struct Counters {
    at: Instant,
    cpu: Cpu,
    switches: u64,
    forks: u64,
    disk: Option<[u64; 2]>,
    net: Option<[u64; 2]>,
}

/// CPU time in ticks: user, system, iowait, steal, idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cpu([u64; 5]);

impl Host {
    /// Takes the first look, which the rates of the first sample need.
    pub(super) fn look() -> Result<Self, Failure> {
        let mut disks = Disks::default();
        let stats = KernelStats::current().map_err(|error| unreadable("stat", &error))?;
        let before = Counters::read(&stats, &mut disks);
        Ok(Self { disks, before, shares: [0.0; 4] })
    }

    pub(super) fn sample(&mut self) -> Result<Sample, Failure> {
        let stats = KernelStats::current().map_err(|error| unreadable("stat", &error))?;
        let memory = Meminfo::current().map_err(|error| unreadable("meminfo", &error))?;
        let load = LoadAverage::current().map_err(|error| unreadable("loadavg", &error))?;
        let (cpu, ram, io) =
            (CpuPressure::current(), MemoryPressure::current(), IoPressure::current());
        let (now, before) = (Counters::read(&stats, &mut self.disks), self.before);
        self.before = now;
        self.shares = now.cpu.shares_since(before.cpu).unwrap_or(self.shares);
        let rate = Rate { seconds: now.at.duration_since(before.at).as_secs_f64().max(1e-6) };
        let [disk_read, disk_written] = rate.of_both(now.disk, before.disk);
        let [net_received, net_sent] = rate.of_both(now.net, before.net);
        let [cpu_user, cpu_system, cpu_iowait, cpu_steal] = self.shares;
        Ok(Sample {
            t: unix_nanos(),
            mem_available: memory.mem_available.unwrap_or(memory.mem_free),
            mem_cached: memory.cached,
            mem_dirty: memory.dirty,
            swap_used: memory.swap_total.saturating_sub(memory.swap_free),
            cpu_user,
            cpu_system,
            cpu_iowait,
            cpu_steal,
            load1: load.one,
            load5: load.five,
            load15: load.fifteen,
            tasks_running: stats.procs_running.unwrap_or(0),
            tasks_blocked: stats.procs_blocked.unwrap_or(0),
            tasks: load.max,
            switches: rate.of(now.switches, before.switches),
            forks: rate.of(now.forks, before.forks),
            disk_read,
            disk_written,
            net_received,
            net_sent,
            pressure_cpu: cpu.map_or(f32::NAN, |cpu| cpu.some.avg10),
            pressure_memory: ram.as_ref().map_or(f32::NAN, |ram| ram.some.avg10),
            pressure_memory_full: ram.as_ref().map_or(f32::NAN, |ram| ram.full.avg10),
            pressure_io: io.as_ref().map_or(f32::NAN, |io| io.some.avg10),
            pressure_io_full: io.as_ref().map_or(f32::NAN, |io| io.full.avg10),
        })
    }
}

impl Counters {
    fn read(stats: &KernelStats, disks: &mut Disks) -> Self {
        Self {
            at: Instant::now(),
            cpu: Cpu::of(stats),
            switches: stats.ctxt,
            forks: stats.processes,
            disk: disks.transferred(),
            net: net_transferred(),
        }
    }
}

impl Cpu {
    fn of(stats: &KernelStats) -> Self {
        let total = &stats.total;
        let known = |ticks: Option<u64>| ticks.unwrap_or(0);
        Self([
            total.user + total.nice,
            total.system + known(total.irq) + known(total.softirq),
            known(total.iowait),
            known(total.steal),
            total.idle,
        ])
    }

    /// Percent of user, system, iowait and steal; none while the kernel's clock has not ticked.
    fn shares_since(self, before: Self) -> Option<[f32; 4]> {
        // Saturating: the kernel lets idle and iowait go backwards now and then.
        let spent: [u64; 5] = std::array::from_fn(|at| self.0[at].saturating_sub(before.0[at]));
        let total: u64 = spent.iter().sum();
        let share = |ticks: u64| single(100.0 * float(ticks) / float(total));
        (total > 0).then(|| [share(spent[0]), share(spent[1]), share(spent[2]), share(spent[3])])
    }
}

/// How counters become rates.
#[derive(Debug, Clone, Copy)]
struct Rate {
    seconds: f64,
}

impl Rate {
    /// Saturating: a device that was taken away takes its counts with it.
    fn of(self, now: u64, before: u64) -> f32 {
        single(float(now.saturating_sub(before)) / self.seconds)
    }

    fn of_both(self, now: Option<[u64; 2]>, before: Option<[u64; 2]>) -> [f32; 2] {
        match (now, before) {
            (Some(now), Some(before)) => [self.of(now[0], before[0]), self.of(now[1], before[1])],
            _ => [f32::NAN; 2],
        }
    }
}

/// Which block devices count. What lies on another device would be counted twice: partitions,
/// loops and mappings have no hardware of their own. The answer is asked of /sys once a name.
#[derive(Debug, Default)]
struct Disks {
    counts: HashMap<String, bool>,
}

impl Disks {
    /// Bytes read from and written to all disks, or none where the host does not tell.
    fn transferred(&mut self) -> Option<[u64; 2]> {
        let mut sectors = [0_u64; 2];
        for disk in diskstats().ok()? {
            let counts = self.counts.entry(disk.name).or_insert_with_key(|name| {
                Path::new("/sys/block").join(name.replace('/', "!")).join("device").exists()
            });
            if *counts {
                sectors[0] = sectors[0].wrapping_add(disk.sectors_read);
                sectors[1] = sectors[1].wrapping_add(disk.sectors_written);
            }
        }
        Some(sectors.map(|count| count.wrapping_mul(SECTOR_BYTES)))
    }
}

fn net_transferred() -> Option<[u64; 2]> {
    let interfaces = dev_status().ok()?;
    let real = interfaces.values().filter(|interface| interface.name != "lo");
    Some(real.fold([0, 0], |[received, sent]: [u64; 2], interface| {
        [received.wrapping_add(interface.recv_bytes), sent.wrapping_add(interface.sent_bytes)]
    }))
}

/// Now, in nanoseconds since 1970; 0 with a clock before that.
pub(super) fn unix_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn unreadable(name: &str, error: &ProcError) -> Failure {
    Failure::system(format!("cannot read /proc/{name}, which a recorder needs: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percent_of_all_cpu_time_since_the_sample_before() {
        let before = Cpu([100, 100, 100, 100, 100]);
        let now = Cpu([150, 125, 100, 90, 125]);
        assert_eq!(now.shares_since(before), Some([50.0, 25.0, 0.0, 0.0]));
        assert_eq!(now.shares_since(now), None);
    }

    #[test]
    fn rates_are_per_second_and_never_negative() {
        let rate = Rate { seconds: 0.5 };
        assert!((rate.of(110, 100) - 20.0).abs() < 1e-6);
        assert!(rate.of(90, 100).abs() < 1e-6);
        assert!(rate.of_both(None, Some([1, 2])).iter().all(|rate| rate.is_nan()));
    }

    #[test]
    fn this_host_gives_plausible_samples() {
        let mut host = Host::look().expect("a host with /proc");
        for _ in 0..3 {
            let sample = host.sample().expect("a host with /proc");
            assert!(sample.is_plausible(unix_nanos()), "{sample:?}");
            assert!(sample.mem_available > 0 && sample.tasks > 0, "{sample:?}");
            assert_eq!(Sample::decode(&sample.encode()).map(|back| back.t), Some(sample.t));
        }
    }
}
