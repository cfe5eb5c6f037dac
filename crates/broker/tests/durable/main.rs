//! What the broker keeps beyond connections and servers: sessions and their queues, retained messages, wills.

mod clients;
mod in_flight;
mod owed;
mod queues;
mod random;
mod retained;
mod sessions;
mod shared;
mod simulation;
mod society;
mod wills;
mod world;
