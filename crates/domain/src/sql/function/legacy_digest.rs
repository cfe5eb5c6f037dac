//! MD2 (RFC 1319) and MD5 (RFC 1321), which rules use to make keys and never to keep a secret: the crypto library has
//! neither, and nothing else should.

/// The digits of pi, as the RFC shuffles bytes by them.
const PI: [u8; 256] = [
    41, 46, 67, 201, 162, 216, 124, 1, 61, 54, 84, 161, 236, 240, 6, 19, 98, 167, 5, 243, 192, 199, 115, 140, 152, 147,
    43, 217, 188, 76, 130, 202, 30, 155, 87, 60, 253, 212, 224, 22, 103, 66, 111, 24, 138, 23, 229, 18, 190, 78, 196,
    214, 218, 158, 222, 73, 160, 251, 245, 142, 187, 47, 238, 122, 169, 104, 121, 145, 21, 178, 7, 63, 148, 194, 16,
    137, 11, 34, 95, 33, 128, 127, 93, 154, 90, 144, 50, 39, 53, 62, 204, 231, 191, 247, 151, 3, 255, 25, 48, 179, 72,
    165, 181, 209, 215, 94, 146, 42, 172, 86, 170, 198, 79, 184, 56, 210, 150, 164, 125, 182, 118, 252, 107, 226, 156,
    116, 4, 241, 69, 157, 112, 89, 100, 113, 135, 32, 134, 91, 207, 101, 230, 45, 168, 2, 27, 96, 37, 173, 174, 176,
    185, 246, 28, 70, 97, 105, 52, 64, 126, 15, 85, 71, 163, 35, 221, 81, 175, 58, 195, 92, 249, 206, 186, 197, 234,
    38, 44, 83, 13, 110, 133, 40, 132, 9, 211, 223, 205, 244, 65, 129, 77, 82, 106, 220, 55, 200, 108, 193, 171, 250,
    36, 225, 123, 8, 12, 189, 177, 74, 120, 136, 149, 139, 227, 99, 232, 109, 233, 203, 213, 254, 59, 0, 29, 57, 242,
    239, 183, 14, 102, 88, 208, 228, 166, 119, 114, 248, 235, 117, 75, 10, 49, 68, 80, 180, 143, 237, 31, 26, 219, 153,
    141, 51, 159, 17, 131, 20,
];

pub(super) fn md2(text: &[u8]) -> [u8; 16] {
    let padding = 16 - text.len() % 16;
    let mut message = text.to_vec();
    message.resize(text.len() + padding, padding as u8);
    let (mut checksum, mut last) = ([0_u8; 16], 0_u8);
    for block in message.as_chunks::<16>().0 {
        for (sum, byte) in checksum.iter_mut().zip(block) {
            *sum ^= PI[usize::from(byte ^ last)];
            last = *sum;
        }
    }
    message.extend(checksum);
    let mut state = [0_u8; 48];
    for block in message.as_chunks::<16>().0 {
        for (at, byte) in block.iter().enumerate() {
            state[16 + at] = *byte;
            state[32 + at] = state[at] ^ byte;
        }
        let mut carry = 0_u8;
        for round in 0..18 {
            for byte in &mut state {
                *byte ^= PI[usize::from(carry)];
                carry = *byte;
            }
            carry = carry.wrapping_add(round);
        }
    }
    let mut digest = [0; 16];
    digest.copy_from_slice(&state[..16]);
    digest
}

/// How far each step of a round turns, round by round.
const TURNS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

pub(super) fn md5(text: &[u8]) -> [u8; 16] {
    let mut message = text.to_vec();
    message.push(0x80);
    // Up to eight bytes before the end of a block; there the length stands.
    message.resize((text.len() + 9).next_multiple_of(64) - 8, 0);
    message.extend((text.len() as u64).wrapping_mul(8).to_le_bytes());
    let mut state: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    for block in message.as_chunks::<64>().0 {
        let mut words = [0_u32; 16];
        for (word, bytes) in words.iter_mut().zip(block.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        let [mut a, mut b, mut c, mut d] = state;
        for step in 0..64_usize {
            let (mix, index) = match step / 16 {
                0 => (b & c | !b & d, step),
                1 => (d & b | !d & c, (5 * step + 1) % 16),
                2 => (b ^ c ^ d, (3 * step + 5) % 16),
                _ => (c ^ (b | !d), 7 * step % 16),
            };
            // The RFC's table: the whole part of 2^32 times the sine.
            let constant = (((step + 1) as f64).sin().abs() * 4_294_967_296.0) as u32;
            let sum = a.wrapping_add(mix).wrapping_add(constant).wrapping_add(words[index]);
            let turned = b.wrapping_add(sum.rotate_left(TURNS[step / 16][step % 4]));
            (a, d, c, b) = (d, c, b, turned);
        }
        for (sum, part) in state.iter_mut().zip([a, b, c, d]) {
            *sum = sum.wrapping_add(part);
        }
    }
    let mut digest = [0; 16];
    for (bytes, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_le_bytes();
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::{md2, md5};

    /// The suites of both RFCs.
    #[test]
    fn the_suites_of_the_rfcs() {
        let digits = "12345678901234567890123456789012345678901234567890123456789012345678901234567890";
        for (text, expected_md2, expected_md5) in [
            ("", "8350e5a3e24c153df2275c9f80692773", "d41d8cd98f00b204e9800998ecf8427e"),
            ("a", "32ec01ec4a6dac72c0ab96fb34c0b5d1", "0cc175b9c0f1b6a831c399e269772661"),
            ("abc", "da853b0d3f88d99b30283a69e6ded6bb", "900150983cd24fb0d6963f7d28e17f72"),
            ("message digest", "ab4f496bfb2a530b219ff33031fe06b0", "f96b697d7cb7938d525a2f31aaf161d0"),
            ("abcdefghijklmnopqrstuvwxyz", "4e8ddff3650292ab5a4108c3aa47940b", "c3fcd3d76192e4007dfb496cca67e13b"),
            (digits, "d5976f79d83d3a0dc9806c3c66f3efd8", "57edf4a22be3c955ac49da2e2107b67a"),
        ] {
            assert_eq!(hex::encode(md2(text.as_bytes())), expected_md2, "{text}");
            assert_eq!(hex::encode(md5(text.as_bytes())), expected_md5, "{text}");
        }
        // Around the edges of a block.
        let counted: Vec<String> = (54..=66).map(|length| hex::encode(md5("x".repeat(length).as_bytes()))).collect();
        assert_eq!(counted[1], "04364420e25c512fd958a70738aa8f72", "55 bytes");
        assert_eq!(counted[2], "668a72d5ba17f08e62dabcafad6db14b", "56 bytes");
        assert_eq!(counted[10], "c1bb4f81d892b2d57947682aeb252456", "64 bytes");
    }
}
