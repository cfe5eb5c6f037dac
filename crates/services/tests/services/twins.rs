//! An ECDSA signature (r, s) has a twin (r, n - s) that anybody can write and every verifier accepts. A certificate with
//! the twin is the same statement of the same CA under another certificate id: it must not come in as a new device.

use domain::admission::ServerName;
use domain::x509::Certificate;
use serde_json::json;

use crate::world::{World, device, id_of};

/// The order of P-256 (SEC 2, section 2.4.2).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// Content and rest of the DER element at the front.
fn element(der: &[u8]) -> (&[u8], &[u8]) {
    let (header, length) = match der[1] {
        short @ 0..=0x7f => (2, usize::from(short)),
        0x81 => (3, usize::from(der[2])),
        _ => (4, usize::from(der[2]) << 8 | usize::from(der[3])),
    };
    (&der[header..header + length], &der[header + length..])
}

fn wrapped(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut der = match length {
        0..=0x7f => vec![tag, length as u8],
        0x80..=0xff => vec![tag, 0x81, length as u8],
        _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
    };
    der.extend(content);
    der
}

/// `n - s` as the content of a DER INTEGER.
fn negated(s: &[u8]) -> Vec<u8> {
    let mut padded = [0; 32];
    let digits = &s[s.len().saturating_sub(32)..];
    padded[32 - digits.len()..].copy_from_slice(digits);
    let (mut difference, mut borrow) = ([0; 32], 0);
    for place in (0..32).rev() {
        let digit = i16::from(ORDER[place]) - i16::from(padded[place]) - borrow;
        borrow = i16::from(digit < 0);
        difference[place] = digit.rem_euclid(256) as u8;
    }
    let zeros = difference.iter().take_while(|digit| **digit == 0).count();
    let mut content = difference[zeros..].to_vec();
    if content.first().is_some_and(|digit| digit & 0x80 != 0) {
        content.insert(0, 0);
    }
    content
}

fn twin_of(certificate: &[u8]) -> Vec<u8> {
    let (inside, _) = element(certificate);
    let (_, after_signed) = element(inside);
    let (_, bits) = element(after_signed);
    let unsigned = &inside[..inside.len() - bits.len()];
    let (signature, _) = element(&element(bits).0[1..]);
    let (r, after_r) = element(signature);
    let (s, _) = element(after_r);
    let pair = [wrapped(0x02, r), wrapped(0x02, &negated(s))].concat();
    let bits = wrapped(0x03, &[vec![0], wrapped(0x30, &pair)].concat());
    wrapped(0x30, &[unsigned, &bits].concat())
}

#[tokio::test]
async fn a_rewritten_signature_makes_no_new_device() {
    let world = World::new();
    let ca = world.registered_ca("Factory").await;
    let device = device(&ca, "device-1");
    let certificate = device.certificate().expect("a certificate");
    let twin = Certificate::from_der(&twin_of(device.der())).expect("a certificate as well");
    assert_ne!(twin.id(), certificate.id());
    assert!(twin.is_issued_by(ca.certificate()), "the CA's signature holds in either form");

    // Either may come first; the other is then no certificate of its own.
    assert!(world.services.judge_handshake(&twin, ServerName::Absent).is_ok());
    assert!(world.connect(&device, "device-1").await.is_err(), "registered, not activated");
    let refused = world.services.judge_handshake(&twin, ServerName::Absent).expect_err("a twin");
    assert_eq!(refused.refusal.code(), "MALFORMED_CERTIFICATE");
    assert!(refused.refusal.sentence().contains(&id_of(&device)), "{}", refused.refusal.sentence());

    world.activate(&id_of(&device), "everything").await;
    assert!(world.connect(&device, "device-1").await.is_ok());
    world.done("iot:UpdateCertificate", json!({ "certificateId": id_of(&device), "newStatus": "REVOKED" })).await;
    assert!(
        world.services.judge_handshake(&twin, ServerName::Absent).is_err(),
        "a revoked device stays out under every id"
    );
}
