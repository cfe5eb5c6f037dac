//! What the metrics page says of the process, under the names that Prometheus' client libraries give
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>), and of what it was built from.

use std::fs;
use std::time::SystemTime;

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};
use services::metrics::Exposition;

/// Families that the operating system has no answer for are left out.
pub fn show(page: &mut Exposition, started: SystemTime) {
    page.gauge("landfall_build_info", "Always 1; the label says which version runs.")
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    if let Ok(started) = started.duration_since(SystemTime::UNIX_EPOCH) {
        page.gauge("process_start_time_seconds", "When the process started, in seconds since 1970.")
            .sample(&[], started.as_secs_f64());
    }
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    page.counter("process_cpu_seconds_total", "Processor time spent, in user mode and in the kernel.")
        .sample(&[], cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9);
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for (name, help, line) in [
        ("process_resident_memory_bytes", "Memory in use.", "VmRSS"),
        ("process_virtual_memory_bytes", "Address space in use.", "VmSize"),
    ] {
        if let Some(bytes) = bytes_of(&status, line) {
            page.gauge(name, help).sample(&[], bytes);
        }
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // Reading the folder opens one more.
        page.gauge("process_open_fds", "File descriptors open.").sample(&[], open.count().saturating_sub(1));
    }
    if let Some(most) = getrlimit(Resource::Nofile).current {
        page.gauge("process_max_fds", "File descriptors that may be open.").sample(&[], most);
    }
}

/// `VmRSS:     12345 kB`
fn bytes_of(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::bytes_of;

    #[test]
    fn lines_of_status() {
        let status = "Name:\tlandfall\nVmSize:\t  204800 kB\nVmRSS:\t   10240 kB\nVmOdd:\t many kB\n";
        for (name, expected) in
            [("VmRSS", Some(10_485_760)), ("VmSize", Some(209_715_200)), ("Vm", None), ("VmOdd", None), ("Name", None)]
        {
            assert_eq!(bytes_of(status, name), expected, "{name}");
        }
    }
}
