//! The limits a worker puts on itself before it reads the first byte of a package. They cannot be raised again.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _, RulesetError, Scope,
};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::limits::{ENVIRONMENT_OVERHEAD_BYTES, WORKER_FILES_MAX, WORKER_OVERHEAD_BYTES};

/// No core dumps (they would hold a function's secrets), no files written, few files open.
pub(crate) fn at_start() -> std::io::Result<()> {
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Nofile, WORKER_FILES_MAX)?;
    seal().map_err(std::io::Error::other)
}

/// No file can be opened and no TCP connection made by this thread and those it starts. A script has no way to ask for
/// either; this is for the day when a fault of the engine gives it one, since the server's keys are files of the same
/// user. What an older kernel does not know is left out, all of it where the kernel has no Landlock.
fn seal() -> Result<(), RulesetError> {
    let abi = ABI::V6;
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?
        .restrict_self()?;
    Ok(())
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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::ErrorKind;
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    use landlock::{ABI, Access as _, AccessFs, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _};

    use super::seal;

    /// Without it there is nothing to see; the kernel's version alone does not tell.
    fn has_landlock() -> bool {
        let asked = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(ABI::V1));
        asked.is_ok_and(|ruleset| ruleset.create().is_ok())
    }

    #[test]
    fn a_sealed_thread_opens_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        std::fs::write(&path, "secret").expect("room for a file");
        let within = path.clone();
        // Sealing is a thread's own: this one alone has lost its rights.
        let outcome = thread::spawn(move || {
            let before = File::open(&within).is_ok() && TcpStream::connect(address).is_ok();
            seal().expect("a seal");
            let read = File::open(&within).map(drop).map_err(|error| error.kind());
            let write = File::create(within.with_extension("new")).map(drop).map_err(|error| error.kind());
            let listed = std::fs::read_dir("/").map(drop).map_err(|error| error.kind());
            (before, [read, write, listed])
        });
        let (before, after) = outcome.join().expect("no panic");
        assert!(before, "it could before");
        if has_landlock() {
            assert_eq!(after, [Err(ErrorKind::PermissionDenied); 3]);
        } else {
            eprintln!("this kernel has no Landlock: nothing is sealed here");
        }
        assert!(File::open(&path).is_ok(), "the other threads are as they were");
    }
}
