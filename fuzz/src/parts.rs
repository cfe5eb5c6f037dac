//! Inputs of several parts, in a form that a person can write into a corpus and a fuzzer can cut up.

/// The first line and the rest.
pub fn line(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, &[]),
    }
}

/// What stands before the first empty line, and what after it.
pub fn paragraph(data: &[u8]) -> (&[u8], &[u8]) {
    match data.windows(2).position(|pair| pair == b"\n\n") {
        Some(end) => (&data[..end], &data[end + 2..]),
        None => (data, &[]),
    }
}

/// The words of the first line, as many as the caller wants; what is missing is empty.
pub fn words<const N: usize>(line: &str) -> [&str; N] {
    let mut words = line.splitn(N, ' ');
    std::array::from_fn(|_| words.next().unwrap_or_default())
}

/// A request as it stands in the corpus: `METHOD target`, headers, an empty line, the body. What no HTTP library would
/// hand over (a space in a header's name) is not an input.
pub struct Request<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub query: &'a str,
    pub headers: Vec<(String, &'a str)>,
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    pub fn read(data: &'a [u8]) -> Option<Self> {
        let (head, body) = paragraph(data);
        let mut lines = std::str::from_utf8(head).ok()?.split('\n');
        let [method, target] = words(lines.next()?);
        if method.is_empty() || !method.bytes().all(is_token) || !target.starts_with('/') || !target.bytes().all(is_uri)
        {
            return None;
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers = Vec::new();
        for line in lines {
            let (name, value) = line.split_once(':')?;
            if name.is_empty()
                || !name.bytes().all(is_token)
                || value.chars().any(|c| c.is_ascii_control() && c != '\t')
            {
                return None;
            }
            headers.push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t'])));
        }
        Some(Self { method, path, query, headers, body })
    }

    pub fn borrowed_headers(&self) -> Vec<(&str, &str)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), *value)).collect()
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What the HTTP library lets through in a request's target.
fn is_uri(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&byte) || byte == b'{' || byte == b'}' || byte == b'"'
}
