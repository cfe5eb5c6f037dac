//! The text that a monitor reads: Prometheus' text format, version 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::fmt::{Display, Write};

use store::Distribution;

use super::tally::Tally;

/// What to answer as the page's type.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page in the making: families, one after the other.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

/// One metric, whose samples follow.
#[derive(Debug)]
pub struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

/// What the numbers of a distribution are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    Count,
    /// Shown in seconds, as Prometheus wants all times.
    Microseconds,
}

impl Exposition {
    pub fn counter(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "counter", help)
    }

    pub fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    pub fn histogram(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "histogram", help)
    }

    pub fn into_text(self) -> String {
        self.text
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) -> Family<'_> {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        // Writing to a String does not fail.
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        Family { text: &mut self.text, name }
    }
}

impl Family<'_> {
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.line("", labels, None, value);
        self
    }

    /// A sample for each count, under these names of labels.
    pub fn tally<const N: usize>(&mut self, names: [&str; N], tally: &Tally<N>) -> &mut Self {
        for (values, count) in tally.counts() {
            let mut labels = [("", ""); N];
            for (label, (name, value)) in labels.iter_mut().zip(names.into_iter().zip(values)) {
                *label = (name, value);
            }
            self.line("", &labels, None, count);
        }
        self
    }

    pub fn distribution(&mut self, labels: &[(&str, &str)], of: &Distribution, measure: Measure) -> &mut Self {
        let shown = |number: u64| match measure {
            Measure::Count => number.to_string(),
            Measure::Microseconds => (number as f64 / 1_000_000.0).to_string(),
        };
        let mut so_far = 0;
        let bounds = of.bounds.iter().map(|bound| shown(*bound)).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(&of.counts) {
            so_far += count;
            self.line("_bucket", labels, Some(("le", &bound)), so_far);
        }
        self.line("_sum", labels, None, shown(of.sum));
        self.line("_count", labels, None, so_far);
        self
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], more: Option<(&str, &str)>, value: impl Display) {
        let text = &mut *self.text;
        let _ = write!(text, "{}{suffix}", self.name);
        let mut opening = '{';
        for (name, value) in labels.iter().copied().chain(more) {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(text, "{opening}{name}=\"{value}\"");
            opening = ',';
        }
        if opening == ',' {
            text.push('}');
        }
        let _ = writeln!(text, " {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_and_samples() {
        let mut page = Exposition::default();
        let tally = Tally::of([["a", "x"]]);
        tally.add(["b", "y"]);
        page.counter("seen_total", "What was\nseen.").tally(["first", "second"], &tally);
        page.gauge("now", "Now.").sample(&[], 1.5).sample(&[("text", "a\"b\\c\nd")], 2);
        assert_eq!(
            page.into_text(),
            "# HELP seen_total What was\\nseen.\n# TYPE seen_total counter\n\
             seen_total{first=\"a\",second=\"x\"} 0\nseen_total{first=\"b\",second=\"y\"} 1\n\
             # HELP now Now.\n# TYPE now gauge\nnow 1.5\nnow{text=\"a\\\"b\\\\c\\nd\"} 2\n"
        );
    }

    #[test]
    fn buckets_are_cumulative_and_times_in_seconds() {
        let distribution = Distribution { bounds: &[250, 1_000_000], counts: vec![1, 2, 3], sum: 10_500_000 };
        let mut page = Exposition::default();
        page.histogram("took_seconds", "Time.").distribution(&[("a", "b")], &distribution, Measure::Microseconds);
        let text = page.into_text();
        let samples: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "took_seconds_bucket{a=\"b\",le=\"0.00025\"} 1",
                "took_seconds_bucket{a=\"b\",le=\"1\"} 3",
                "took_seconds_bucket{a=\"b\",le=\"+Inf\"} 6",
                "took_seconds_sum{a=\"b\"} 10.5",
                "took_seconds_count{a=\"b\"} 6",
            ]
        );
    }
}
