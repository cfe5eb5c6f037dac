//! The few DER steps that x509-parser does not expose: where the signed part, the algorithm and the key stand.

use std::ops::Range;

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const SEQUENCE: u8 = 0x30;

/// One element: its tag, the whole of it, and its content, as ranges of the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) tag: u8,
    pub(super) whole: Range<usize>,
    pub(super) content: Range<usize>,
}

impl Element {
    /// A BIT STRING of whole bytes, without its count of unused bits.
    pub(super) fn whole_bytes(&self, der: &[u8]) -> Option<Range<usize>> {
        let content = &self.content;
        let is_whole = der.get(content.start) == Some(&0) && content.start < content.end;
        is_whole.then(|| content.start + 1..content.end)
    }
}

/// Reads elements one after another from a range of `der`.
pub(super) struct Reader<'a> {
    der: &'a [u8],
    left: Range<usize>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(der: &'a [u8], range: Range<usize>) -> Self {
        Self { der, left: range }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.left.start >= self.left.end
    }

    /// `None` at the end, on a length that is not minimal or not definite, and on an element that runs over the end.
    /// Tags of more than one byte do not occur in the parts read here.
    pub(super) fn next(&mut self) -> Option<Element> {
        let start = self.left.start;
        let tag = self.byte()?;
        if tag & 0x1f == 0x1f {
            return None;
        }
        let length = self.length()?;
        let content_start = self.left.start;
        let end = content_start.checked_add(length).filter(|end| *end <= self.left.end)?;
        self.left.start = end;
        Some(Element { tag, whole: start..end, content: content_start..end })
    }

    pub(super) fn expect(&mut self, tag: u8) -> Option<Element> {
        self.next().filter(|element| element.tag == tag)
    }

    fn byte(&mut self) -> Option<u8> {
        if self.is_empty() {
            return None;
        }
        let byte = *self.der.get(self.left.start)?;
        self.left.start += 1;
        Some(byte)
    }

    fn length(&mut self) -> Option<usize> {
        let first = self.byte()?;
        if first < 0x80 {
            return Some(usize::from(first));
        }
        let count = first & 0x7f;
        if count == 0 || count > 4 {
            return None;
        }
        let mut length = 0_usize;
        for position in 0..count {
            let byte = self.byte()?;
            if position == 0 && byte == 0 {
                return None;
            }
            length = (length << 8) | usize::from(byte);
        }
        (length >= 0x80).then_some(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_definite_minimal_lengths_within_bounds() {
        let long = [&[0x04, 0x81, 0x80][..], &[0; 128]].concat();
        let cases: [(&[u8], Option<Range<usize>>); 9] = [
            (&[0x04, 0x02, 1, 2], Some(2..4)),
            (&[0x04, 0x00], Some(2..2)),
            (&long, Some(3..131)),
            (&[0x04, 0x81, 0x02, 1, 2], None),
            (&[0x04, 0x82, 0x00, 0x80], None),
            (&[0x04, 0x80, 0, 0], None),
            (&[0x04, 0x03, 1, 2], None),
            (&[0x04, 0x84, 0xff, 0xff, 0xff, 0xff], None),
            (&[0x1f, 0x00], None),
        ];
        for (der, content) in cases {
            let element = Reader::new(der, 0..der.len()).next();
            assert_eq!(element.map(|element| element.content), content, "{der:02x?}");
        }
    }
}
