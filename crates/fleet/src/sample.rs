//! Percentiles of what was measured.

/// In the order given; sorts once.
pub struct Sample(Vec<f64>);

impl Sample {
    pub fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The smallest value that so many per cent do not exceed.
    pub fn percentile(&self, percent: f64) -> f64 {
        let rank = (self.0.len() as f64 * percent / 100.0).ceil() as usize;
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    pub fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::Sample;

    #[test]
    fn percentiles_are_values_of_the_sample() {
        let sample = Sample::new(vec![5.0, 1.0, 4.0, 2.0, 3.0]);
        for (percent, expected) in [(0.0, 1.0), (20.0, 1.0), (50.0, 3.0), (99.0, 5.0), (100.0, 5.0)] {
            assert_eq!(sample.percentile(percent), expected, "{percent}");
        }
        assert_eq!(sample.mean(), 3.0);
        assert!(Sample::new(Vec::new()).percentile(50.0).is_nan());
    }
}
