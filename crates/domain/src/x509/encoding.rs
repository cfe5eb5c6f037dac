//! Writes DER: the elements that a certificate is made of.

use crate::Timestamp;

pub fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(length + 6);
    out.push(tag);
    if length < 0x80 {
        out.push(length as u8);
    } else {
        let bytes = length.to_be_bytes();
        let significant = bytes.iter().position(|byte| *byte != 0).and_then(|start| bytes.get(start..));
        let significant = significant.unwrap_or_default();
        out.push(0x80 | significant.len() as u8);
        out.extend_from_slice(significant);
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

pub fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(0x30, parts)
}

/// A positive number, most significant byte first.
pub fn integer(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    let significant = bytes.get(start..).unwrap_or_default();
    match significant.first() {
        Some(first) if *first < 0x80 => element(0x02, &[significant]),
        _ => element(0x02, &[&[0], significant]),
    }
}

pub fn bit_string(bytes: &[u8]) -> Vec<u8> {
    element(0x03, &[&[0], bytes])
}

pub fn octet_string(bytes: &[u8]) -> Vec<u8> {
    element(0x04, &[bytes])
}

/// From the OID's encoded content.
pub fn oid(content: &[u8]) -> Vec<u8> {
    element(0x06, &[content])
}

pub fn utf8_string(text: &str) -> Vec<u8> {
    element(0x0c, &[text.as_bytes()])
}

pub const NULL: [u8; 2] = [0x05, 0x00];
pub const TRUE: [u8; 3] = [0x01, 0x01, 0xff];

/// UTCTime until 2049, GeneralizedTime before 1950 and after (RFC 5280 4.1.2.5). `None` for what is no date of four digits.
pub fn time(moment: Timestamp) -> Option<Vec<u8>> {
    let utc = moment.to_utc().filter(|utc| (0..=9999).contains(&utc.year()))?;
    let (month, day) = (u8::from(utc.month()), utc.day());
    let (hour, minute, second) = (utc.hour(), utc.minute(), utc.second());
    let rest = format!("{month:02}{day:02}{hour:02}{minute:02}{second:02}Z");
    let year = utc.year();
    Some(if (1950..2050).contains(&year) {
        element(0x17, &[format!("{:02}{rest}", year % 100).as_bytes()])
    } else {
        element(0x18, &[format!("{year:04}{rest}").as_bytes()])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_lengths() {
        assert_eq!(integer(&[]), [2, 1, 0]);
        assert_eq!(integer(&[0, 0, 1]), [2, 1, 1]);
        assert_eq!(integer(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(element(4, &[&[0; 127]]).get(..2), Some(&[4, 127][..]));
        assert_eq!(element(4, &[&[0; 128]]).get(..3), Some(&[4, 0x81, 128][..]));
        assert_eq!(element(4, &[&[0; 100], &[0; 200]]).get(..4), Some(&[4, 0x82, 1, 44][..]));
    }

    #[test]
    fn the_year_2050_changes_the_form() {
        for (millis, text) in
            [(2_524_607_999_000, "491231235959Z"), (2_524_608_000_000, "20500101000000Z"), (0, "700101000000Z")]
        {
            let der = time(Timestamp::from_millis(millis)).unwrap();
            assert_eq!(der.get(2..), Some(text.as_bytes()));
        }
    }
}
