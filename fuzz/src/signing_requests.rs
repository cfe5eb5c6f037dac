//! A certificate signing request as a caller of CreateCertificateFromCsr sends it: PEM, or DER that is put into PEM here, so
//! that the fuzzer need not learn base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::x509::CertificateRequest;

pub fn signing_requests(data: &[u8]) {
    let text = match data.starts_with(b"-----") {
        true => match std::str::from_utf8(data) {
            Ok(text) => text.to_owned(),
            Err(_) => return,
        },
        false => pem_of(data),
    };
    let outcome = CertificateRequest::from_pem(&text);
    assert_eq!(outcome, CertificateRequest::from_pem(&text), "the same each time");
    match outcome {
        Ok(request) => {
            assert!(request.key_kind().is_accepted(), "{}", request.key_kind());
            let inside =
                |part: &[u8]| data.starts_with(b"-----") || data.windows(part.len()).any(|found| found == part);
            assert!(inside(request.spki_der()) && inside(request.subject().der()), "taken from the request");
            let name = request.subject().to_text();
            assert!(name.len() < 1024 && !name.chars().any(char::is_control), "{name:?}");
        }
        Err(error) => {
            let sentence = error.to_string();
            assert!(!sentence.is_empty() && sentence.len() < 1024, "{sentence}");
            assert!(!sentence.chars().any(char::is_control), "{sentence:?}");
        }
    }
}

fn pem_of(der: &[u8]) -> String {
    format!("-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n", STANDARD.encode(der))
}
