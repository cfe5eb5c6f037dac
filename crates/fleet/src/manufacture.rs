//! Devices in bulk: making keys is slow, so every core makes some.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::{Ca, Device, DeviceSpec, Error};

impl Ca {
    /// Makes a device for each of `specs` and gives it to `finish` at once, in no particular order: a hundred thousand
    /// keys need not be in memory together. What `finish` gives comes back in the order of `specs`. The first failure
    /// ends the work.
    pub fn manufacture<T: Send>(
        &self,
        specs: &[DeviceSpec],
        finish: impl Fn(&DeviceSpec, Device) -> Result<T, Error> + Sync,
    ) -> Result<Vec<T>, Error> {
        let next = AtomicUsize::new(0);
        let work = || -> Result<Vec<(usize, T)>, Error> {
            let mut made = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(spec) = specs.get(number) else { return Ok(made) };
                let device = self.issue(spec).and_then(|device| finish(spec, device));
                // The others find nothing more to do.
                let device = device.inspect_err(|_| next.store(specs.len(), Ordering::Relaxed))?;
                made.push((number, device));
            }
        };
        let workers = thread::available_parallelism().map_or(1, usize::from).min(specs.len().max(1));
        let mut all = thread::scope(|scope| {
            let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            let mut all = Vec::with_capacity(specs.len());
            for worker in workers {
                let made = worker.join().map_err(|_| Error::Key("a thread that made keys panicked".to_owned()))?;
                all.extend(made?);
            }
            Ok::<_, Error>(all)
        })?;
        all.sort_unstable_by_key(|(number, _)| *number);
        Ok(all.into_iter().map(|(_, device)| device).collect())
    }
}
