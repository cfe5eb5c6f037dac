//! Vectors: AWS's published example, and signatures made with botocore 1.43.11 at 2015-08-30T12:36:00Z.

use proptest::prelude::*;

use super::*;

pub(super) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// 2015-08-30T12:36:00Z.
const NOW: Timestamp = Timestamp::from_seconds(1_440_938_160);

type Headers<'a> = &'a [(&'a str, &'a str)];

/// Method, path, query, headers beside host and date, body, signed headers, signature.
type Vector<'a> = (&'a str, &'a str, &'a str, Headers<'a>, &'a str, &'a str, &'a str);

#[rustfmt::skip]
const BOTOCORE: &[Vector<'_>] = &[
    ("GET", "/", "", &[], "", "host;x-amz-date", "e47ab3604dac5c8d3e9fd0cd73ef182b10364cc612c841c91a778620cdca4816"),
    ("GET", "", "", &[], "", "host;x-amz-date", "e47ab3604dac5c8d3e9fd0cd73ef182b10364cc612c841c91a778620cdca4816"),
    ("POST", "/principal-policies/Policy_abc", "", &[("x-amzn-iot-principal", "arn:aws:iot:us-east-1:123456789012:cert/11")], "", "host;x-amz-date;x-amzn-iot-principal", "33474a263fbbc3168cd3cbb16bfeeac1d6b9d55262413f19ab74f962745b9411"),
    ("PUT", "/target-policies/a%20b", "", &[], "{\"target\":\"arn\"}", "host;x-amz-date", "9a99a517af09382c0033ed0cb8882d1114bc44d3ad7efb8401592e23ea94bf11"),
    ("GET", "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A1%3Afunction%3Af/versions/%24LATEST", "", &[], "", "host;x-amz-date", "0bb0996798c89c01c2dac2cbf14d142928ff55888970a3a29dc473f007d43c4a"),
    ("GET", "/a/./b/../c//d/", "", &[], "", "host;x-amz-date", "295e93bc14dadd87054d2de05ac522e2ed14f920ece517a10a8e84de81ff93fc"),
    ("GET", "/../..", "", &[], "", "host;x-amz-date", "e47ab3604dac5c8d3e9fd0cd73ef182b10364cc612c841c91a778620cdca4816"),
    ("GET", "/a~b_c-d.e/", "", &[], "", "host;x-amz-date", "d43b02675285dd25da1ea38823bc9c96112799900c42ea217fd55728057c2548"),
    ("GET", "/a!b$c&d(e)f*g,h;i=j:k@l", "", &[], "", "host;x-amz-date", "3b21a7a93f54d1581dd0c818ed701972258860385c36625715f210530d38c3b1"),
    ("GET", "/%E2%82%AC/%2F", "", &[], "", "host;x-amz-date", "4ef5df894a32b18c3f55c1d6034f663a80cc61691e9521da4b20fc8cf7253ff0"),
    ("GET", "/policies", "b=2&a=1&a=0&a=&c", &[], "", "host;x-amz-date", "8808ed6deae533b874213a8f52187ae99eef67a50f7f0e5097f98706253b89c0"),
    ("GET", "/policies", "marker=a%2Fb%3D%3D&pageSize=10&isAscendingOrder=true", &[], "", "host;x-amz-date", "3c115dfe1b9f7e11f9f526162b8756ca1ddf92a3aa3db68076a752b3488ae7b1"),
    ("GET", "/policies", "a=%E2%82%AC", &[], "", "host;x-amz-date", "d14185a63be1ac2b824dd8878c025b28034749d083b115af0111950c322a05d1"),
    ("POST", "/", "", &[("Content-Type", "application/x-amz-json-1.1"), ("X-Amz-Target", "Logs_20140328.DescribeLogGroups")], "{}", "content-type;host;x-amz-date;x-amz-target", "658dcdf3f539a0961ae40ca514eb091ab4ec76c25f4c9b0424c0f6bf89fd7ee2"),
    ("POST", "/", "", &[("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")], "Action=GetCallerIdentity&Version=2011-06-15", "content-type;host;x-amz-date", "9cf2bfcc4ba83c60c4650745cc3f18dfb10e511df2fc3b0f8109459d526171f7"),
    ("GET", "/", "", &[("My-Header1", "   a   b   c  "), ("My-Header2", "\"a   b   c\"")], "", "host;my-header1;my-header2;x-amz-date", "a3f52c463755b090a5fb9119e0a979d66c33d0857d455c51c9cf6995c25f7173"),
    ("GET", "/", "", &[("My-Header1", "value4"), ("My-Header1", "value1"), ("My-Header1", "value3"), ("My-Header1", "value2")], "", "host;my-header1;x-amz-date", "6cfa76f237126108c6625906c9b6fcf4051a19c8455fd5ab6ee83339748559f8"),
    ("GET", "/", "", &[("My-Header1", "")], "", "host;my-header1;x-amz-date", "f9378a96e9aae849535eb6d1b985454ebb054cb36d92277542d4a699ce41ce47"),
    ("POST", "/", "", &[("X-Amz-Content-SHA256", "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a")], "{}", "host;x-amz-content-sha256;x-amz-date", "16036e3095aa834d35ef451f1fe636f76f62175a50bc3e6895064940131d198e"),
];

pub(super) fn credentials() -> Credentials {
    Credentials { access_key_id: "AKIDEXAMPLE".into(), secret_access_key: SECRET.into(), session_token: None }
}

fn request<'a>(method: &'a str, path: &'a str, query: &'a str, headers: Headers<'a>, body: &'a str) -> Request<'a> {
    Request { method, path, query, headers, body: body.as_bytes() }
}

fn check(request: &Request<'_>, now: Timestamp) -> Result<Claim, SignatureError> {
    let claim = claim(request)?;
    verify(request, &claim, SECRET, now)?;
    Ok(claim)
}

#[test]
fn the_published_request() {
    let authorization = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
                         SignedHeaders=content-type;host;x-amz-date, \
                         Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
        ("Host", "iam.amazonaws.com"),
        ("X-Amz-Date", "20150830T123600Z"),
        ("Authorization", authorization),
    ];
    let signed = request("GET", "/", "Action=ListUsers&Version=2010-05-08", &headers, "");
    let claim = check(&signed, NOW).unwrap();
    assert_eq!((claim.region.as_str(), claim.service.as_str(), claim.date.as_str()), ("us-east-1", "iam", "20150830"));
    assert_eq!(claim.form, ClaimForm::Header);
    let unsigned = Request { headers: &headers[..2], ..signed };
    let added = sign(&unsigned, &credentials(), "us-east-1", "iam", NOW);
    assert_eq!(
        added.last().map(|(name, value)| (name.as_str(), value.as_str())),
        Some(("authorization", authorization))
    );
}

#[test]
fn signatures_of_botocore() {
    for &(method, path, query, headers, body, signed_headers, signature) in BOTOCORE {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iot/aws4_request, \
             SignedHeaders={signed_headers}, Signature={signature}"
        );
        let mut all = vec![("Host", "iot.example.com")];
        all.extend(headers);
        let added = sign(&request(method, path, query, &all, body), &credentials(), "us-east-1", "iot", NOW);
        assert_eq!(added.last().unwrap().1, authorization, "{method} {path}?{query}");
        all.extend([("X-Amz-Date", "20150830T123600Z"), ("Authorization", &authorization)]);
        let verdict = check(&request(method, path, query, &all, body), NOW).map(|_| ());
        assert_eq!(verdict, Ok(()), "{method} {path}?{query}");
    }
}

#[test]
fn session_token_and_date_header_of_botocore() {
    let scope = "Credential=AKIDEXAMPLE/20150830/us-east-1/iot/aws4_request";
    let with_token = format!(
        "AWS4-HMAC-SHA256 {scope}, SignedHeaders=host;x-amz-date;x-amz-security-token, \
         Signature=84b58bbd98ca48f86c09688617638cd3c434fb4610e2203c00475f7a2b32d11d"
    );
    let headers = [
        ("host", "iot.example.com"),
        ("x-amz-date", "20150830T123600Z"),
        ("x-amz-security-token", "Token/With+Odd=Signs=="),
        ("authorization", with_token.as_str()),
    ];
    let claim = check(&request("GET", "/", "", &headers, ""), NOW).unwrap();
    assert_eq!(claim.session_token.as_deref(), Some("Token/With+Odd=Signs=="));

    let with_date = format!(
        "AWS4-HMAC-SHA256 {scope},SignedHeaders=date;host,\
         Signature=d8e6263df77c6b2591c8ecc5270bbc65e754ccf2ec3dd0ec11698d05abcdb381"
    );
    let headers = [
        ("host", "iot.example.com"),
        ("date", "Sun, 30 Aug 2015 12:36:00 -0000"),
        ("authorization", with_date.as_str()),
    ];
    assert!(check(&request("GET", "/", "", &headers, ""), NOW).is_ok());
    let headers = [headers[0], ("date", "Sun, 30 Aug 2015 12:36:00 GMT"), headers[2]];
    // The form is read; the signature is of the other text.
    assert_eq!(check(&request("GET", "/", "", &headers, ""), NOW), Err(SignatureError::Mismatch));
}

#[test]
fn presigned_queries_of_botocore() {
    let common = "X-Amz-Date=20150830T123600Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host";
    let credential = |service| {
        format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2F{service}%2Faws4_request"
        )
    };
    let signature = "X-Amz-Signature=bcb16299e53e3617c2b8211a260a4fd62763d68cbd2a392d29afabbc5cbfbbad";
    let marker = format!("marker=a%2Fb&{}&{common}&{signature}", credential("iot"));
    let token = format!(
        "{}&{common}&X-Amz-Security-Token=Token%2FWith%2BOdd%3DSigns%3D%3D\
         &X-Amz-Signature=5b029a927eb1cebe4b9eb4cc25c4dbd75161ed0e82f73a41b4db0a2e22c2368e",
        credential("iot")
    );
    let signature = "X-Amz-Signature=e362a28bf41c1eb872dafaf6094aeeeaec15bff13627d7548787a3b86643545c";
    let mqtt = format!("{}&{common}&{signature}", credential("iotdevicegateway"));
    // The token appended to a finished URL, as clients of MQTT over WebSocket do.
    let mqtt_with_token = format!("{mqtt}&X-Amz-Security-Token=abc");
    let iot_with_token = format!("{marker}&X-Amz-Security-Token=abc");
    let headers = [("Host", "iot.example.com")];
    for (path, query, token, good) in [
        ("/policies", &marker, None, true),
        ("/policies", &token, Some("Token/With+Odd=Signs=="), true),
        ("/mqtt", &mqtt, None, true),
        ("/mqtt", &mqtt_with_token, Some("abc"), true),
        ("/policies", &iot_with_token, Some("abc"), false),
        ("/other", &marker, None, false),
    ] {
        let request = request("GET", path, query, &headers, "");
        let claim = claim(&request).unwrap();
        assert_eq!(claim.form, ClaimForm::Query { expires_s: 900 });
        assert_eq!(claim.session_token.as_deref(), token);
        assert_eq!(verify(&request, &claim, SECRET, NOW).is_ok(), good, "{path}?{query}");
    }
    let expired = check(&request("GET", "/policies", &marker, &headers, ""), NOW.plus_millis(900_001));
    assert!(matches!(expired, Err(SignatureError::Skewed { .. })), "{expired:?}");
    let unsigned = request("GET", "/policies", "marker=a%2Fb", &headers, "");
    assert_eq!(presign(&unsigned, &credentials(), "us-east-1", "iot", NOW, 900), marker);
}

#[test]
fn presigned_urls_live_as_long_as_they_say() {
    let headers = [("host", "h")];
    let unsigned = request("GET", "/", "Action=GetCallerIdentity", &headers, "");
    let signed = |expires_s| presign(&unsigned, &credentials(), "us-east-1", "sts", NOW, expires_s);
    for (expires_s, after_s, good) in [
        (60, 60, true),
        (60, 61, false),
        (60, -300, true),
        (60, -301, false),
        (EXPIRES_MAX_S, i64::from(EXPIRES_MAX_S), true),
        (EXPIRES_MAX_S, i64::from(EXPIRES_MAX_S) + 1, false),
    ] {
        let query = signed(expires_s);
        let verdict = check(&Request { query: &query, ..unsigned }, NOW.plus_millis(after_s * 1000)).map(|_| ());
        assert_eq!(verdict.is_ok(), good, "{expires_s} after {after_s}: {verdict:?}");
        assert!(good || matches!(verdict, Err(SignatureError::Skewed { .. })), "{verdict:?}");
    }
    for (from, to, expected) in [
        ("Expires=60", "Expires=0", "X-Amz-Expires must be a number of seconds from 1 to 604800."),
        ("Expires=60", "Expires=604801", "X-Amz-Expires must be"),
        ("Expires=60", "Expires=-1", "X-Amz-Expires must be"),
        ("Expires=60", "Expires=1h", "X-Amz-Expires must be"),
        ("X-Amz-Date=", "X-Amz-Day=", "AWS query-string parameters must include 'X-Amz-Date'."),
        ("X-Amz-Credential=", "X-Credential=", "AWS query-string parameters must include 'X-Amz-Credential'."),
        ("X-Amz-SignedHeaders=", "X-Headers=", "AWS query-string parameters must include 'X-Amz-SignedHeaders'."),
        ("X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256", "Unsupported AWS 'algorithm'"),
        ("X-Amz-Date=", "X-Amz-Expires=60&X-Amz-Date=", "The query has more than one 'X-Amz-Expires' parameter."),
    ] {
        let query = signed(60).replace(from, to);
        match check(&Request { query: &query, ..unsigned }, NOW) {
            Err(SignatureError::Incomplete(message)) => assert!(message.starts_with(expected), "{to}: {message}"),
            other => panic!("{to}: {other:?}"),
        }
    }
}

/// What S3 has besides is S3's: a body in signed chunks, or one that no signature covers.
#[test]
fn bodies_are_signed_whole() {
    for stated in ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "UNSIGNED-PAYLOAD", ""] {
        let mut headers = vec![("host", "h"), ("x-amz-content-sha256", stated), ("x-amz-date", "20150830T123600Z")];
        let names = ["host", "x-amz-content-sha256", "x-amz-date"];
        // Signed as S3's clients sign: the stated words stand where the hash would.
        let dated = request("POST", "/", "", &headers, "{}");
        let canonical = canonical::canonical_request(&dated, names.into_iter(), canonical::SignedQuery::All, stated);
        let scope = canonical::Scope { signed_at: NOW, date: "20150830", region: "us-east-1", service: "iot" };
        let key = SigningKey::derive(SECRET, "20150830", "us-east-1", "iot");
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{}, SignedHeaders={}, Signature={}",
            scope.text(),
            names.join(";"),
            key.signature(&scope.string_to_sign(&canonical))
        );
        headers.push(("authorization", authorization.as_str()));
        let verdict = check(&request("POST", "/", "", &headers, "{}"), NOW).map(|_| ());
        assert_eq!(verdict, Err(SignatureError::Mismatch), "{stated}");
    }
}

/// The headers of a request to `/`, signed in order, with changes made afterwards.
fn refused(change: impl FnOnce(&mut Vec<(String, String)>), now: Timestamp) -> SignatureError {
    let headers = [("host", "iot.example.com"), ("x-amz-target", "Logs_20140328.DescribeLogGroups")];
    let added = sign(&request("POST", "/", "", &headers, "{}"), &credentials(), "us-east-1", "logs", NOW);
    let mut all: Vec<(String, String)> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    all.extend(added);
    change(&mut all);
    let all: Vec<(&str, &str)> = all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    check(&request("POST", "/", "", &all, "{}"), now).unwrap_err()
}

fn replace(name: &'static str, from: &'static str, to: &'static str) -> impl FnOnce(&mut Vec<(String, String)>) {
    move |headers| {
        for (given, value) in headers.iter_mut().filter(|(given, _)| given == name) {
            assert!(value.contains(from), "{given}: {value}");
            *value = value.replace(from, to);
        }
    }
}

#[test]
fn what_is_incomplete_is_named() {
    type Change = Box<dyn FnOnce(&mut Vec<(String, String)>)>;
    let cases: Vec<(Change, &str)> = vec![
        (
            Box::new(|headers| headers.retain(|(name, _)| name != "x-amz-date")),
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. (Hashed",
        ),
        (
            Box::new(replace("authorization", "AWS4-HMAC-SHA256", "Bearer")),
            "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' \
             parameter. Authorization header requires 'SignedHeaders' parameter. (Hashed",
        ),
        (
            Box::new(replace("authorization", "Signature=", "Sig=")),
            "Authorization header requires 'Signature' parameter. (Hashed",
        ),
        (Box::new(replace("authorization", "Signature=", "Signature")), "Invalid key=value pair"),
        (Box::new(replace("authorization", "SHA256", "SHA512")), "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA512'."),
        (Box::new(replace("authorization", "/logs/", "/")), "Credential must have exactly 5 slash-delimited"),
        (
            Box::new(replace("authorization", "/aws4_request", "/aws5")),
            "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5'.",
        ),
        (
            Box::new(replace("authorization", "/20150830/", "/20150829/")),
            "Date in Credential scope does not match YYYYMMDD",
        ),
        (
            Box::new(replace("authorization", "SignedHeaders=host;", "SignedHeaders=;")),
            "SignedHeaders must be header names",
        ),
        (
            Box::new(replace("authorization", "SignedHeaders=host;", "SignedHeaders=host;HOST;")),
            "SignedHeaders names a header twice",
        ),
        (
            Box::new(replace("authorization", "SignedHeaders=host;", "SignedHeaders=host;a b;")),
            "SignedHeaders must be header names",
        ),
        (
            Box::new(replace("authorization", "SignedHeaders=host;", "SignedHeaders=")),
            "'Host' or ':authority' must be a 'SignedHeader'",
        ),
        (Box::new(replace("authorization", ";x-amz-target", "")), "'x-amz-target' must be a 'SignedHeader'"),
        (
            Box::new(|headers| headers.push(("X-Amz-Extra".into(), "1".into()))),
            "'X-Amz-Extra' must be a 'SignedHeader'",
        ),
        (
            Box::new(|headers| headers.push(("X-Amzn-Iot-Principal".into(), "1".into()))),
            "'X-Amzn-Iot-Principal' must be",
        ),
        (
            Box::new(|headers| headers.push(("authorization".into(), "AWS4-HMAC-SHA256 a=b".into()))),
            "The request has more than one 'Authorization'",
        ),
        (Box::new(replace("x-amz-date", "T123600Z", "")), "Date must be in ISO-8601 'basic format'"),
        (
            Box::new(|headers| headers.push(("x".into(), "y".repeat(HEADER_BYTES_MAX)))),
            "The headers of the request are longer",
        ),
        (
            Box::new(|headers| headers.resize(HEADERS_MAX + 1, ("x".into(), "y".into()))),
            "The request has more than 200 headers.",
        ),
    ];
    for (change, expected) in cases {
        match refused(change, NOW) {
            SignatureError::Incomplete(message) => {
                assert!(message.starts_with(expected), "expected: {expected}\n     got: {message}");
            }
            other => panic!("{expected}: {other:?}"),
        }
    }
}

#[test]
fn what_is_changed_does_not_match() {
    assert_eq!(refused(replace("x-amz-target", "Describe", "describe"), NOW), SignatureError::Mismatch);
    assert_eq!(refused(replace("host", "iot", "io"), NOW), SignatureError::Mismatch);
    assert_eq!(refused(|headers| headers.retain(|(name, _)| name != "x-amz-target"), NOW), SignatureError::Mismatch);
    assert_eq!(
        refused(replace("authorization", "AKIDEXAMPLE/20150830/us-east-1", "AKIDEXAMPLE/20150830/us-east-2"), NOW),
        SignatureError::Mismatch
    );
}

#[test]
fn no_signature_at_all() {
    let request = request("GET", "/", "Action=GetCallerIdentity", &[("host", "h")], "");
    assert_eq!(claim(&request), Err(SignatureError::Missing));
}

#[test]
fn the_stated_payload_hash_must_be_true() {
    for (stated, expected) in [
        (canonical::sha256_hex(b"{}"), Ok(())),
        (canonical::sha256_hex(b"{ }"), Err(SignatureError::Mismatch)),
        (UNSIGNED_PAYLOAD.to_owned(), Err(SignatureError::Mismatch)),
    ] {
        let mut headers = vec![("host", "h"), ("x-amz-content-sha256", stated.as_str())];
        let added = sign(&request("POST", "/", "", &headers, "{}"), &credentials(), "us-east-1", "iot", NOW);
        headers.extend(added.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        assert_eq!(check(&request("POST", "/", "", &headers, "{}"), NOW).map(|_| ()), expected, "{stated}");
    }
}

#[test]
fn five_minutes_either_way() {
    let early = refused(|_| (), NOW.plus_millis(SKEW_MAX_MS + 1000));
    let message =
        "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T124101Z - 5 min.)";
    assert_eq!(early, SignatureError::Skewed { message: message.into() });
    let late = refused(|_| (), NOW.plus_millis(-SKEW_MAX_MS - 1000));
    let message =
        "Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z (20150830T123059Z + 5 min.)";
    assert_eq!(late, SignatureError::Skewed { message: message.into() });
    for millis in [SKEW_MAX_MS, -SKEW_MAX_MS] {
        let same = refused(replace("host", "iot", "io"), NOW.plus_millis(millis));
        assert_eq!(same, SignatureError::Mismatch);
    }
}

/// Flips one alphanumeric byte of `text` to another; `None` where there is none.
fn with_one_change(text: &str, position: usize) -> Option<String> {
    let positions: Vec<usize> =
        text.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_alphanumeric()).map(|(index, _)| index).collect();
    let index = *positions.get(position % positions.len().max(1))?;
    let other = if text.as_bytes()[index] == b'x' { 'y' } else { 'x' };
    Some(format!("{}{other}{}", &text[..index], &text[index + 1..]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn signed_requests_verify_and_changed_ones_do_not(
        path in "(/[a-zA-Z0-9:$@!_.~-]{1,8}){1,4}/?",
        query in "([a-z]{1,3}=[a-zA-Z0-9~.:-]{0,5}(&[a-z]{1,3}=[a-zA-Z0-9~.+-]{0,5}){0,4})?",
        header in "[a-z]{1,4}[ -~]{0,20}",
        body in "[a-z]{1,2}[ -~]{0,40}",
        token in proptest::option::of("[a-zA-Z0-9/+=]{1,20}"),
        place in 0..6_usize,
        position in 0..64_usize,
    ) {
        let headers = [("Host", "iot.example.com"), ("X-Amz-Meta", header.as_str())];
        let credentials = Credentials { session_token: token.clone(), ..credentials() };
        let unsigned = request("POST", &path, &query, &headers, &body);
        let added = sign(&unsigned, &credentials, "eu-central-1", "iotdata", NOW);
        let mut all = headers.to_vec();
        all.extend(added.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let claim = check(&request("POST", &path, &query, &all, &body), NOW).unwrap();
        prop_assert_eq!(claim.session_token.as_ref(), token.as_ref());

        let mut parts = [path.clone(), query.clone(), header.clone(), body.clone(), claim.signature.clone(), SECRET.to_owned()];
        if let Some(changed) = with_one_change(&parts[place], position) {
            parts[place] = changed;
            let [path, query, header, body, signature, secret] = &parts;
            all[1].1 = header;
            let claim = Claim { signature: signature.clone(), ..claim };
            let verdict = verify(&request("POST", path, query, &all, body), &claim, secret, NOW);
            prop_assert_eq!(verdict, Err(SignatureError::Mismatch));
        }
    }

    #[test]
    fn presigned_queries_verify(query in "([a-z]{1,3}=[a-zA-Z0-9%+]{0,5}&?){0,4}", expires_s in 1..=EXPIRES_MAX_S) {
        let headers = [("host", "h")];
        let signed = presign(&request("GET", "/mqtt", &query, &headers, ""), &credentials(), "r", "s", NOW, expires_s);
        prop_assert!(check(&request("GET", "/mqtt", &signed, &headers, ""), NOW).is_ok());
    }

    #[test]
    fn changed_presigned_queries_do_not(
        query in "([a-z]{1,3}=[a-zA-Z0-9]{0,5}&?){0,4}",
        token in proptest::option::of("[a-zA-Z0-9/+=]{1,20}"),
        position in 0..400_usize,
    ) {
        let headers = [("host", "h")];
        let credentials = Credentials { session_token: token, ..credentials() };
        let signed = presign(&request("GET", "/mqtt", &query, &headers, ""), &credentials, "r", "iot", NOW, 60);
        prop_assert!(check(&request("GET", "/mqtt", &signed, &headers, ""), NOW).is_ok());
        let changed = with_one_change(&signed, position).unwrap();
        prop_assert!(check(&request("GET", "/mqtt", &changed, &headers, ""), NOW).is_err(), "{}", changed);
        let longer = format!("{signed}&more=1");
        prop_assert!(check(&request("GET", "/mqtt", &longer, &headers, ""), NOW).is_err());
        prop_assert!(check(&request("PUT", "/mqtt", &signed, &headers, ""), NOW).is_err());
        prop_assert!(check(&request("GET", "/mqtt", &signed, &headers, "body"), NOW).is_err());
    }

    /// Whatever a stranger writes there, reading it ends in an answer.
    #[test]
    fn any_authorization_is_answered(authorization in "(AWS4-HMAC-SHA256 )?\\PC{0,80}", query in "\\PC{0,40}", date in "\\PC{0,20}") {
        let headers = [("Authorization", authorization.as_str()), ("host", "h"), ("x-amz-date", date.as_str())];
        let verdict = check(&request("GET", "/\u{20ac}", &query, &headers, ""), NOW);
        prop_assert!(verdict.is_err());
        let presigned = format!("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature={query}&X-Amz-Date={date}");
        prop_assert!(check(&request("GET", "/", &presigned, &headers[1..2], ""), NOW).is_err());
    }
}
