//! Functions run in real worker processes, against a recorder of AWS calls.

mod harness;
mod lifetime;
mod log;
mod node;
mod outcomes;
mod sdk;
