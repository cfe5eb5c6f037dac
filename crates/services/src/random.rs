//! Identifiers nobody can guess.

use aws_lc_rs::rand;

/// `N` random bytes. The system's generator does not fail after start; if it ever did, going on would be worse.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the system's random generator answers");
    bytes
}

/// Lower-case hex of `N` random bytes.
pub(crate) fn hex_of<const N: usize>() -> String {
    hex::encode(bytes::<N>())
}

/// `ASIA` and sixteen characters of base 32, as AWS makes the ids of temporary keys.
pub(crate) fn access_key_id() -> String {
    format!("ASIA{}", base32(&bytes::<16>()))
}

/// One character per byte.
pub(crate) fn base32(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    bytes.iter().map(|byte| char::from(DIGITS[usize::from(byte % 32)])).collect()
}

/// A version 4 UUID, the form of AWS's request ids.
pub fn uuid() -> String {
    uuid_of(bytes())
}

/// The UUID that these random bytes make.
pub(crate) fn uuid_of(random: [u8; 16]) -> String {
    uuid::Builder::from_random_bytes(random).into_uuid().to_string()
}
