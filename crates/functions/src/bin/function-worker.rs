//! The worker alone, for this crate's tests. What is shipped is `landfall __function-worker`.

fn main() {
    std::process::exit(functions::worker_main());
}
