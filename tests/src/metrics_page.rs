//! The metrics page as a strict monitor reads it: every line must be in Prometheus' text format 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>), and what must not be on a page is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::{PATIENCE, Server};

/// Samples by name and labels, as they stand on the page: `up{a="b"}`.
#[derive(Clone, Debug, Default)]
pub struct MetricsPage {
    pub samples: BTreeMap<String, f64>,
    /// What there is of each label, whatever the metric.
    pub labels: BTreeMap<String, BTreeSet<String>>,
    /// The kind of each family.
    pub families: BTreeMap<String, String>,
    /// The family whose lines are being read.
    current: String,
    helped: BTreeSet<String>,
}

impl MetricsPage {
    /// What a monitor gets: it signs nothing.
    #[track_caller]
    pub fn of(server: &Server) -> Self {
        let mut stream = TcpStream::connect(server.api_addr()).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let host = server.api_addr();
        write!(stream, "GET /_landfall/metrics HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
        Self::parse(body).unwrap_or_else(|error| panic!("{error}\n{body}"))
    }

    /// A page is kept for a second, and counters run behind what a client sees.
    #[track_caller]
    pub fn wait(server: &Server, is_there: impl Fn(&Self) -> bool) -> Self {
        let until = Instant::now() + PATIENCE;
        loop {
            let page = Self::of(server);
            if is_there(&page) {
                return page;
            }
            assert!(Instant::now() < until, "{:#?}", page.samples);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// 0 for what is not there: a counter that has not been needed yet.
    pub fn value(&self, sample: &str) -> f64 {
        self.samples.get(sample).copied().unwrap_or_default()
    }

    pub fn parse(text: &str) -> Result<Self, String> {
        let mut page = Self::default();
        let Some(lines) = text.strip_suffix('\n') else { return Err("the last line has no end".to_owned()) };
        for line in lines.split('\n') {
            page.read(line).map_err(|error| format!("{error}: {line:?}"))?;
        }
        page.check_families()?;
        Ok(page)
    }

    fn read(&mut self, line: &str) -> Result<(), String> {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').ok_or("no help")?;
            check_name(name)?;
            if text.trim().is_empty() || !self.helped.insert(name.to_owned()) {
                return Err("no help, or twice".to_owned());
            }
            return Ok(());
        }
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').ok_or("no type")?;
            if !["counter", "gauge", "histogram"].contains(&kind) || !self.helped.contains(name) {
                return Err("an unknown type, or no HELP before it".to_owned());
            }
            if (kind == "counter") != name.ends_with("_total") {
                return Err("counters end in _total, and nothing else does".to_owned());
            }
            if self.families.insert(name.to_owned(), kind.to_owned()).is_some() {
                return Err("a family twice".to_owned());
            }
            name.clone_into(&mut self.current);
            return Ok(());
        }
        if line.is_empty() || line.starts_with('#') {
            return Err("neither HELP, nor TYPE, nor a sample".to_owned());
        }
        self.read_sample(line)
    }

    fn read_sample(&mut self, line: &str) -> Result<(), String> {
        let (sample, value) = line.rsplit_once(' ').ok_or("no value")?;
        let (name, labels) = match sample.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').ok_or("no end of the labels")?),
            None => (sample, ""),
        };
        check_name(name)?;
        let suffix = name.strip_prefix(self.current.as_str()).ok_or("a sample of another family")?;
        let is_of_histogram = self.families.get(&self.current).is_some_and(|kind| kind == "histogram");
        let is_known = match suffix {
            "_bucket" | "_sum" | "_count" => is_of_histogram,
            _ => suffix.is_empty() && !is_of_histogram,
        };
        if self.current.is_empty() || !is_known {
            return Err("a sample of another family".to_owned());
        }
        let labels = read_labels(labels)?;
        if labels.contains_key("le") != (suffix == "_bucket") {
            return Err("le belongs to buckets, and to all of them".to_owned());
        }
        let value: f64 = value.parse().map_err(|_| "no number")?;
        if !value.is_finite() || (self.families.get(&self.current).is_some_and(|kind| kind != "gauge") && value < 0.0) {
            return Err("no count".to_owned());
        }
        for (label, value) in labels {
            self.labels.entry(label).or_default().insert(value);
        }
        match self.samples.insert(sample.to_owned(), value) {
            Some(_) => Err("a sample twice".to_owned()),
            None => Ok(()),
        }
    }

    /// Buckets rise in bound and in count, and the last of them counts everything.
    fn check_families(&self) -> Result<(), String> {
        for (name, _) in self.families.iter().filter(|(_, kind)| *kind == "histogram") {
            let mut buckets: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
            for (sample, count) in &self.samples {
                let Some(labels) = sample.strip_prefix(&format!("{name}_bucket{{")) else { continue };
                let (others, bound) = labels.rsplit_once("le=\"").ok_or("a bucket without le")?;
                let bound = bound.trim_end_matches("\"}");
                let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().map_err(|_| "no bound")? };
                buckets.entry(others.trim_end_matches(',').to_owned()).or_default().push((bound, *count));
            }
            for (others, mut series) in buckets {
                series.sort_by(|(one, _), (other, _)| one.total_cmp(other));
                let others = if others.is_empty() { String::new() } else { format!("{{{others}}}") };
                let count = self.samples.get(&format!("{name}_count{others}"));
                let is_rising = series.windows(2).all(|pair| pair[0].1 <= pair[1].1);
                let last = series.last().filter(|(bound, _)| bound.is_infinite()).map(|(_, count)| count);
                if !is_rising || last.is_none() || last != count {
                    return Err(format!("the buckets of {name}{others} do not add up: {series:?}, {count:?}"));
                }
                if !self.samples.contains_key(&format!("{name}_sum{others}")) {
                    return Err(format!("{name}{others} has no sum"));
                }
            }
        }
        Ok(())
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let is_good =
        |(place, byte): (usize, u8)| byte.is_ascii_alphabetic() || byte == b'_' || (place > 0 && byte.is_ascii_digit());
    match !name.is_empty() && name.bytes().enumerate().all(is_good) {
        true => Ok(()),
        false => Err(format!("{name:?} is no name")),
    }
}

/// `a="b",c="d"`, with `\\`, `\"` and `\n` in values.
fn read_labels(mut text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut labels = BTreeMap::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"").ok_or("a label without a value")?;
        check_name(name)?;
        let mut value = String::new();
        let mut characters = rest.char_indices();
        let end = loop {
            match characters.next().ok_or("a value without an end")? {
                (place, '"') => break place,
                (_, '\\') => match characters.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, escaped @ ('\\' | '"'))) => value.push(escaped),
                    _ => return Err("an unknown escape".to_owned()),
                },
                (_, character) => value.push(character),
            }
        };
        if labels.insert(name.to_owned(), value).is_some() {
            return Err("a label twice".to_owned());
        }
        text = &rest[end + 1..];
        if let Some(more) = text.strip_prefix(',') {
            text = more;
        } else if !text.is_empty() {
            return Err("something behind a label".to_owned());
        }
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::MetricsPage;

    #[test]
    fn the_monitor_is_strict() {
        let good = "# HELP a_total A.\n# TYPE a_total counter\na_total{x=\"1\",y=\"\\\"\\n\"} 1\na_total 2.5\n\
                    # HELP h H.\n# TYPE h histogram\nh_bucket{le=\"0.5\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n";
        let page = MetricsPage::parse(good).expect("a good page");
        assert_eq!(page.value("a_total"), 2.5);
        assert_eq!(page.labels["y"].first().map(String::as_str), Some("\"\n"));
        for (from, to) in [
            ("h_count 2\n", "h_count 2"),
            ("# HELP a_total A.\n", ""),
            ("# TYPE a_total counter\n", ""),
            ("# TYPE a_total counter", "# TYPE a_total summary"),
            ("a_total 2.5", "b_total 2.5"),
            ("a_total 2.5", "a_total 2.5 extra"),
            ("a_total 2.5", "a_total -1"),
            ("a_total 2.5", "a_total NaN"),
            ("a_total 2.5", "a_total{x=\"1\",y=\"\\\"\\n\"} 1"),
            ("x=\"1\"", "x=1"),
            ("x=\"1\"", "1=\"1\""),
            ("x=\"1\"", "y=\"1\""),
            ("x=\"1\"", "x=\"\\t\""),
            ("x=\"1\"", "le=\"1\""),
            ("h_bucket{le=\"0.5\"} 1", "h_bucket{le=\"0.5\"} 3"),
            ("h_bucket{le=\"+Inf\"} 2", "h_bucket{le=\"1\"} 2"),
            ("h_count 2", "h_count 3"),
            ("h_sum 3\n", ""),
            ("h_sum 3\n", "h_sum 3\n\n"),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_ne!(bad, good, "{from:?} is there");
            assert!(MetricsPage::parse(&bad).is_err(), "{from:?} -> {to:?} was taken");
        }
    }
}
