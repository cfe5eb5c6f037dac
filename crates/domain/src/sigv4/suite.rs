//! AWS's published signing test suite (version 4, the cases with normalised paths; the others are S3's), by its names:
//! what is signed is verified, and where this signer chooses the same headers it makes the same signature.
//! The suite's folded header line, which is no HTTP any more, stands here as the values that its signature is of.

use super::tests::{SECRET, credentials};
use super::*;

/// 2015-08-30T12:36:00Z.
const NOW: Timestamp = Timestamp::from_seconds(1_440_938_160);

/// Of `X-Amz-Expires`.
const EXPIRES_S: u32 = 3600;

const TOKEN: &str = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
const STS_TOKEN: &str = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";
const UNRESERVED: &str = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const FORM_HASH: (&str, &str) =
    ("x-amz-content-sha256", "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e");

/// Name, method and target, headers beside host and date, body, signature in the Authorization header.
type Vector<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a str, &'a str);

const VANILLA: &str = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";

#[rustfmt::skip]
const BY_HEADER: &[Vector<'_>] = &[
    ("get-vanilla", "GET /", &[], "", VANILLA),
    ("get-header-key-duplicate", "GET /", &[("My-Header1", "value2"), ("My-Header1", "value2"), ("My-Header1", "value1")], "", "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"),
    ("get-header-value-multiline", "GET /", &[("My-Header1", "value1"), ("My-Header1", "value2"), ("My-Header1", "value3")], "", "ba17b383a53190154eb5fa66a1b836cc297cc0a3d70a5d00705980573d8ff790"),
    ("get-header-value-order", "GET /", &[("My-Header1", "value4"), ("My-Header1", "value1"), ("My-Header1", "value3"), ("My-Header1", "value2")], "", "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"),
    ("get-header-value-trim", "GET /", &[("My-Header1", " value1"), ("My-Header2", " \"a   b   c\"")], "", "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"),
    ("get-relative-normalized", "GET /example/..", &[], "", VANILLA),
    ("get-relative-relative-normalized", "GET /example1/example2/../..", &[], "", VANILLA),
    ("get-slash-dot-slash-normalized", "GET /./", &[], "", VANILLA),
    ("get-slash-pointless-dot-normalized", "GET /./example", &[], "", "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"),
    ("get-slashes-normalized", "GET //example//", &[], "", "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"),
    ("get-space-normalized", "GET /example space/", &[], "", "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"),
    ("get-unreserved", "GET /UNRESERVED", &[], "", "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"),
    ("get-utf8", "GET /\u{1234}", &[], "", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
    ("get-vanilla-empty-query-key", "GET /?Param1=value1", &[], "", "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"),
    ("get-vanilla-query-order-encoded", "GET /?Param-3=Value3&Param=Value2&%E1%88%B4=Value1", &[], "", "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"),
    ("get-vanilla-query-order-key-case", "GET /?Param2=value2&Param1=value1", &[], "", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
    ("get-vanilla-query-unreserved", "GET /?UNRESERVED=UNRESERVED", &[], "", "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"),
    ("get-vanilla-utf8-query", "GET /?\u{1234}=bar", &[], "", "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"),
    ("get-vanilla-with-session-token", "GET /", &[("X-Amz-Security-Token", TOKEN)], "", "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"),
    ("post-header-key-sort", "POST /", &[("My-Header1", "value1")], "", "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"),
    ("post-header-value-case", "POST /", &[("My-Header1", "VALUE1")], "", "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"),
    ("post-sts-header-after", "POST /", &[], "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ("post-sts-header-before", "POST /", &[("X-Amz-Security-Token", STS_TOKEN)], "", "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"),
    ("post-vanilla-query", "POST /?Param1=value1", &[], "", "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"),
    ("post-x-www-form-urlencoded", "POST /", &[("Content-Type", "application/x-www-form-urlencoded"), ("Content-Length", "13"), FORM_HASH], "Param1=value1", "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b"),
    ("post-x-www-form-urlencoded-parameters", "POST /", &[("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"), ("Content-Length", "13"), FORM_HASH], "Param1=value1", "328d1b9eaadca9f5818ef05e8392801e091653bafec24fcab71e7344e7f51422"),
];

/// As above, with the signature of the presigned query; the token, where there is one, is signed.
#[rustfmt::skip]
const BY_QUERY: &[Vector<'_>] = &[
    ("get-vanilla-query", "GET /", &[], "", "e93c787ed7f371d5c6b165c1b38ede9550f4dce4144713e844b25b7192d3865d"),
    ("get-header-value-trim", "GET /", &[("My-Header1", " value1"), ("My-Header2", " \"a   b   c\"")], "", "e7bb0fd515e125e1aec2ecc4c0c17484fb06f6846b927c35e46005dd3df3acd4"),
    ("get-utf8", "GET /\u{1234}", &[], "", "10eae3f14a260bd3911cc6d008d3c576d143b05b62f09782a7a4b37f52178e44"),
    ("get-vanilla-utf8-query", "GET /?\u{1234}=bar", &[], "", "0bdd809b1519ac4f0c1dc3540e2cc46bd0c7f778eda408b2ebf3b913d21ff600"),
    ("get-vanilla-with-session-token", "GET /", &[("X-Amz-Security-Token", TOKEN)], "", "7ff2b50b376cb4d151970630573d6291dc128cc5c2a12ffb237f73cc53f67b6c"),
];

/// Method, path and query.
fn taken_apart(line: &str) -> (String, String, String) {
    let line = line.replace("UNRESERVED", UNRESERVED);
    let (method, target) = line.split_once(' ').unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    (method.to_owned(), path.to_owned(), query.to_owned())
}

fn names(headers: &[(&str, &str)]) -> String {
    let mut names: Vec<String> = headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    names.sort();
    names.dedup();
    names.join(";")
}

fn without_token<'a>(headers: &[(&'a str, &'a str)]) -> (Vec<(&'a str, &'a str)>, Option<String>) {
    let is_token = |(name, _): &&(&str, &str)| *name == "X-Amz-Security-Token";
    let token = headers.iter().find(is_token).map(|(_, token)| (*token).to_owned());
    (headers.iter().filter(|header| !is_token(header)).copied().collect(), token)
}

#[test]
fn signed_in_the_header() {
    for &(name, line, headers, body, signature) in BY_HEADER {
        let (method, path, query) = taken_apart(line);
        let mut all = vec![("Host", "example.amazonaws.com"), ("X-Amz-Date", "20150830T123600Z")];
        all.extend(headers);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders={}, \
             Signature={signature}",
            names(&all)
        );
        all.push(("Authorization", &authorization));
        let request = Request { method: &method, path: &path, query: &query, headers: &all, body: body.as_bytes() };
        let claimed = claim(&request).unwrap_or_else(|err| panic!("{name}: {err:?}"));
        assert_eq!(verify(&request, &claimed, SECRET, NOW), Ok(()), "{name}");

        let (mut unsigned, session_token) = without_token(headers);
        if unsigned.iter().any(|(name, _)| *name == "Content-Length") {
            continue; // This signer leaves the length to the connection.
        }
        unsigned.push(("Host", "example.amazonaws.com"));
        let request = Request { headers: &unsigned, ..request };
        let credentials = Credentials { session_token, ..credentials() };
        let added = sign(&request, &credentials, "us-east-1", "service", NOW);
        assert_eq!(added.last().unwrap().1, authorization, "{name}");
    }
}

#[test]
fn signed_in_the_query() {
    for &(name, line, headers, body, signature) in BY_QUERY {
        let (method, path, query) = taken_apart(line);
        let (mut headers, session_token) = without_token(headers);
        headers.push(("Host", "example.amazonaws.com"));
        let unsigned =
            Request { method: &method, path: &path, query: &query, headers: &headers, body: body.as_bytes() };
        let credentials = Credentials { session_token, ..credentials() };
        let query = presign(&unsigned, &credentials, "us-east-1", "service", NOW, EXPIRES_S);
        assert!(query.ends_with(&format!("&X-Amz-Signature={signature}")), "{name}: {query}");
        let request = Request { query: &query, ..unsigned };
        let claimed = claim(&request).unwrap_or_else(|err| panic!("{name}: {err:?}"));
        assert_eq!(claimed.form, ClaimForm::Query { expires_s: EXPIRES_S }, "{name}");
        assert_eq!(claimed.session_token, credentials.session_token, "{name}");
        assert_eq!(verify(&request, &claimed, SECRET, NOW), Ok(()), "{name}");
    }
}
