//! How many files the server may have open: each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::settings::Settings;

/// Beside the connections: the store, journals, function packages and the pipes of their workers.
const FILES_BESIDE: u64 = 1024;

/// As many as the limits of the doors may need, where the system lets us: a process often starts with 1,024 of the many
/// that it may have.
pub fn raise(settings: &Settings) {
    let connections = settings.device_limits.connections_max.saturating_add(settings.api_limits.connections_max);
    let needed = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(FILES_BESIDE);
    let limits = getrlimit(Resource::Nofile);
    let highest = limits.maximum.unwrap_or(u64::MAX);
    let wanted = needed.min(highest);
    if limits.current.is_some_and(|current| current < wanted)
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limits.maximum })
    {
        tracing::warn!(%error, "the number of open files could not be raised to {wanted}");
    }
    if highest < needed {
        tracing::info!(highest, needed, "fewer files may be open than the limits of the doors allow connections");
    }
}
