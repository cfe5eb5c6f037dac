//! Every bound of this crate, with its reason.

use std::time::Duration;

use domain::json_bounds::JsonBounds;

/// Lambda's limit on a synchronous payload, in either direction.
pub const PAYLOAD_BYTES_MAX: usize = 6 * 1024 * 1024;
/// One JSON frame on a pipe: a payload and what is around it. A longer one ends the worker.
pub(crate) const FRAME_BYTES_MAX: usize = PAYLOAD_BYTES_MAX + 1024 * 1024;
/// Lambda's limit on a directly uploaded zip.
pub const PACKAGE_ZIP_BYTES_MAX: usize = 50 * 1024 * 1024;
/// Lambda allows 250 MB unzipped; a package of JavaScript has no use for that, and the worker holds it in memory.
pub const PACKAGE_UNZIPPED_BYTES_MAX: u64 = 50 * 1024 * 1024;
/// A large `node_modules` has some thousand files.
pub const PACKAGE_ENTRIES_MAX: usize = 5_000;
/// Names are kept and compared; longer ones are no module paths.
pub const PACKAGE_NAME_BYTES_MAX: usize = 1_024;
/// Deflate reaches 1032 to 1 on zeros; source text stays under 20.
pub const PACKAGE_RATIO_MAX: u64 = 200;
/// Below this size a high ratio harms nobody (an empty or repetitive small file).
pub const PACKAGE_RATIO_FREE_BYTES: u64 = 64 * 1024;

/// CloudWatch Logs refuses larger events.
pub const LOG_LINE_BYTES_MAX: usize = 256 * 1024;
/// Per invocation; what is beyond is replaced by one line that says so.
pub const LOG_LINES_MAX: usize = 10_000;
/// Per invocation, over all of its lines.
pub const LOG_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Parameters of one call to AWS: as deep and as many values as a request to the AWS door may have.
pub(crate) const AWS_CALL_BOUNDS: JsonBounds = JsonBounds { depth_max: 64, values_max: 100_000 };
/// Parameters of all calls of a worker that are under way, in units of a kilobyte: at least one frame of the largest size.
/// What is over is throttled.
pub(crate) const AWS_CALLS_KB_MAX: u32 = 16 * 1024;
/// Calls to AWS in flight per worker; beyond it the function sees ThrottlingException, as from AWS.
pub(crate) const AWS_CALLS_MAX: usize = 256;
/// Frames that wait for a slow worker before the senders wait.
pub(crate) const OUTBOX_FRAMES_MAX: usize = 64;
/// Invocations of one function that may wait for an environment.
pub(crate) const WAITING_MAX: usize = 1_000;
/// How long one waits for an environment before it is refused as throttled.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(60);
/// From start of the process to its Ready: it unzips at most 50 MiB.
pub(crate) const READY_WAIT_MAX: Duration = Duration::from_secs(30);
/// Lambda's limit on loading a function's module.
pub(crate) const INIT_DURATION_MAX: Duration = Duration::from_secs(10);
/// After the deadline, before the process of an environment that does not stop is given up.
pub(crate) const KILL_GRACE: Duration = Duration::from_secs(1);
/// Functions whose (perhaps sleeping) pools are remembered before unused ones are dropped.
pub(crate) const POOLS_MAX: usize = 1_000;

/// JavaScript's share of a thread's stack; deeper recursion is a RangeError.
pub(crate) const SCRIPT_STACK_BYTES: usize = 2 * 1024 * 1024;
/// The whole stack: the engine's own C frames need room beyond the share it accounts for.
pub(crate) const THREAD_STACK_BYTES: usize = 6 * 1024 * 1024;
/// Data of a worker beyond its environments' heaps: the program, the package, the frames on their way.
pub(crate) const WORKER_OVERHEAD_BYTES: u64 = 256 * 1024 * 1024;
/// Data of an environment beyond its heap: its stack, an event and a result in flight.
pub(crate) const ENVIRONMENT_OVERHEAD_BYTES: u64 = 32 * 1024 * 1024;
/// Standard streams and one file of /proc at a time.
pub(crate) const WORKER_FILES_MAX: u64 = 16;
