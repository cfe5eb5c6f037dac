//! The limits a worker puts on itself before it reads the first byte of a package. They cannot be raised again.

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::limits::{ENVIRONMENT_OVERHEAD_BYTES, WORKER_FILES_MAX, WORKER_OVERHEAD_BYTES};

/// No core dumps (they would hold a function's secrets), no files written, few files open.
pub(crate) fn at_start() -> std::io::Result<()> {
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Nofile, WORKER_FILES_MAX)
}

/// By the function's memory size, which is known only once the worker has a function. RLIMIT_DATA rather than RLIMIT_AS:
/// the C library reserves address space per thread that it never uses.
pub(crate) fn to_memory(memory_mb: u32, environments_max: u32) -> std::io::Result<()> {
    let heap = u64::from(memory_mb).saturating_mul(1024 * 1024).saturating_add(ENVIRONMENT_OVERHEAD_BYTES);
    let bytes = heap.saturating_mul(u64::from(environments_max)).saturating_add(WORKER_OVERHEAD_BYTES);
    limit(Resource::Data, bytes)
}

fn limit(resource: Resource, value: u64) -> std::io::Result<()> {
    // Where the operator has set a lower limit, it stays.
    let highest = rustix::process::getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let value = Some(value.min(highest));
    setrlimit(resource, Rlimit { current: value, maximum: value })?;
    Ok(())
}
