//! The fixed header: type, flags and remaining length (section 2.2 of 3.1.1, 2.1 of 5.0).

use super::error::DecodeError;
use super::wire::Reader;
use crate::packet::PacketKind;

/// The length has one to four bytes of seven bits each.
const LENGTH_BYTES_MAX: usize = 4;

#[derive(Clone, Copy, Debug)]
pub(super) struct FixedHeader {
    pub kind: PacketKind,
    /// The lower four bits of the first byte.
    pub flags: u8,
    /// Of the fixed header itself.
    pub bytes: usize,
    pub remaining_bytes: usize,
    /// Whether the length was written in as few bytes as possible.
    pub is_shortest: bool,
}

pub(super) enum Parsed {
    Incomplete,
    Whole(FixedHeader),
}

impl FixedHeader {
    pub fn parse(input: &[u8]) -> Result<Parsed, DecodeError> {
        let Some((first, rest)) = input.split_first() else {
            return Ok(Parsed::Incomplete);
        };
        let kind = PacketKind::of_first_byte(*first).ok_or(DecodeError::ReservedType)?;
        let flags = first & 0x0f;
        if kind != PacketKind::Publish && flags != kind.fixed_flags() {
            return Err(DecodeError::Flags { packet: kind, flags });
        }
        let mut remaining_bytes = 0usize;
        for (index, byte) in rest.iter().take(LENGTH_BYTES_MAX).enumerate() {
            remaining_bytes |= usize::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                return Ok(Parsed::Whole(FixedHeader {
                    kind,
                    flags,
                    bytes: 2 + index,
                    remaining_bytes,
                    is_shortest: *byte != 0 || index == 0,
                }));
            }
        }
        if rest.len() >= LENGTH_BYTES_MAX {
            return Err(DecodeError::RemainingLength);
        }
        Ok(Parsed::Incomplete)
    }

    /// What follows the header, when `input` begins with the header and holds the whole packet.
    pub fn body<'a>(&self, input: &'a [u8]) -> Result<Reader<'a>, DecodeError> {
        let mut whole = Reader::new(self.kind, input);
        whole.part(self.bytes)?;
        whole.part(self.remaining_bytes)
    }
}
