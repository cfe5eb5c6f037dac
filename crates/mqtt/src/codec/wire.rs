//! The data types of the wire (section 1.5): integers, strings, binary data, and the cursor that reads them.

use bytes::{BufMut, Bytes, BytesMut};

use super::error::{DecodeError, PropertyFault};
use crate::packet::{PacketId, PacketKind};

/// Reads one packet's body. Every step is checked against the end of the packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    packet: PacketKind,
    rest: &'a [u8],
}

/// A variable byte integer: up to 268,435,455 in one to four bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VariableInteger(u32);

/// A value of a property.
pub(crate) trait Wire: Sized {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;
    fn write(&self, out: &mut BytesMut);
    fn wire_bytes(&self) -> usize;
}

impl<'a> Reader<'a> {
    pub fn new(packet: PacketKind, rest: &'a [u8]) -> Self {
        Reader { packet, rest }
    }

    pub fn packet(&self) -> PacketKind {
        self.packet
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next `bytes` bytes as a packet part of their own.
    pub fn part(&mut self, bytes: usize) -> Result<Reader<'a>, DecodeError> {
        Ok(Reader { packet: self.packet, rest: self.take(bytes)? })
    }

    pub fn take(&mut self, bytes: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or(DecodeError::Truncated { packet: self.packet })?;
        self.rest = rest;
        Ok(taken)
    }

    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        let (byte, rest) = self.rest.split_first().ok_or(DecodeError::Truncated { packet: self.packet })?;
        self.rest = rest;
        Ok(*byte)
    }

    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        let high = self.u8()?;
        Ok(u16::from_be_bytes([high, self.u8()?]))
    }

    pub fn packet_id(&mut self) -> Result<PacketId, DecodeError> {
        PacketId::new(self.u16()?).ok_or(DecodeError::PacketIdZero { packet: self.packet })
    }

    /// Two bytes of length, then that many bytes.
    pub fn binary(&mut self) -> Result<&'a [u8], DecodeError> {
        let bytes = self.u16()?;
        self.take(usize::from(bytes))
    }

    /// UTF-8 without U+0000 [MQTT-1.5.3-1], [MQTT-1.5.3-2].
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        let packet = self.packet;
        let bytes = self.binary()?;
        let text = std::str::from_utf8(bytes).map_err(|_| DecodeError::NotUtf8 { packet })?;
        if bytes.contains(&0) {
            return Err(DecodeError::Nul { packet });
        }
        Ok(text)
    }

    /// For the end of a packet: nothing may be left.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(DecodeError::TrailingBytes { packet: self.packet, bytes: self.rest.len() })
    }

    pub fn property_error(&self, id: u8, fault: PropertyFault) -> DecodeError {
        DecodeError::Property { packet: self.packet, id, fault }
    }
}

impl VariableInteger {
    pub const MAX: u32 = 268_435_455;

    pub fn new(value: u32) -> Option<Self> {
        (value <= Self::MAX).then_some(VariableInteger(value))
    }

    /// The encoder checks the whole length before it writes, so nothing larger is ever written.
    pub(crate) fn saturating(value: usize) -> Self {
        let value = u32::try_from(value).unwrap_or(Self::MAX);
        VariableInteger(value.min(Self::MAX))
    }

    pub fn value(self) -> usize {
        self.0 as usize
    }
}

impl Wire for VariableInteger {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut value = 0u32;
        for index in 0..4u32 {
            let byte = reader.u8()?;
            value |= u32::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                let is_shortest = byte != 0 || index == 0;
                return is_shortest
                    .then_some(VariableInteger(value))
                    .ok_or(DecodeError::VariableInteger { packet: reader.packet() });
            }
        }
        Err(DecodeError::VariableInteger { packet: reader.packet() })
    }

    fn write(&self, out: &mut BytesMut) {
        let mut value = self.0;
        loop {
            let low = (value & 0x7f) as u8;
            value >>= 7;
            if value == 0 {
                out.put_u8(low);
                return;
            }
            out.put_u8(low | 0x80);
        }
    }

    fn wire_bytes(&self) -> usize {
        match self.0 {
            0..=127 => 1,
            128..=16_383 => 2,
            16_384..=2_097_151 => 3,
            _ => 4,
        }
    }
}

impl Wire for u8 {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.u8()
    }
    fn write(&self, out: &mut BytesMut) {
        out.put_u8(*self);
    }
    fn wire_bytes(&self) -> usize {
        1
    }
}

impl Wire for u16 {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.u16()
    }
    fn write(&self, out: &mut BytesMut) {
        out.put_u16(*self);
    }
    fn wire_bytes(&self) -> usize {
        2
    }
}

impl Wire for u32 {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let high = reader.u16()?;
        Ok(u32::from(high) << 16 | u32::from(reader.u16()?))
    }
    fn write(&self, out: &mut BytesMut) {
        out.put_u32(*self);
    }
    fn wire_bytes(&self) -> usize {
        4
    }
}

impl Wire for String {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.text().map(str::to_owned)
    }
    fn write(&self, out: &mut BytesMut) {
        write_binary(self.as_bytes(), out);
    }
    fn wire_bytes(&self) -> usize {
        2 + self.len()
    }
}

/// Copied: correlation and authentication data are small and rare, and should not hold on to a read buffer.
impl Wire for Bytes {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.binary().map(Bytes::copy_from_slice)
    }
    fn write(&self, out: &mut BytesMut) {
        write_binary(self, out);
    }
    fn wire_bytes(&self) -> usize {
        2 + self.len()
    }
}

impl Wire for (String, String) {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok((String::read(reader)?, String::read(reader)?))
    }
    fn write(&self, out: &mut BytesMut) {
        self.0.write(out);
        self.1.write(out);
    }
    fn wire_bytes(&self) -> usize {
        self.0.wire_bytes() + self.1.wire_bytes()
    }
}

/// A length that does not fit is written as the longest that does, and the data is cut to it: the frame stays sound.
/// The encoder refuses such packets before.
pub(crate) fn write_binary(data: &[u8], out: &mut BytesMut) {
    let bytes = u16::try_from(data.len()).unwrap_or(u16::MAX);
    out.put_u16(bytes);
    out.extend_from_slice(data.get(..usize::from(bytes)).unwrap_or(data));
}
