//! How a crowd of those who share and those who take alone comes off.

use std::time::Duration;

/// When who of a crowd was done.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Fairness {
    /// When each of those was done who give as well as they take.
    pub sharers: Vec<Duration>,
    /// When each of those was done who give nothing.
    pub riders: Vec<Duration>,
}

impl Fairness {
    /// The mean time of the free riders in times of the sharers' mean.
    #[must_use]
    pub fn factor(&self) -> f64 {
        mean(&self.riders) / mean(&self.sharers)
    }

    /// Jain's index over the mean rates of the sharers: 1 if all are equal, 1 of their number if one has everything.
    #[must_use]
    pub fn index(&self) -> f64 {
        jain(&self.sharers.iter().map(|took| 1.0 / took.as_secs_f64()).collect::<Vec<_>>())
    }
}

/// The mean in seconds; of none: not a number.
#[must_use]
pub fn mean(times: &[Duration]) -> f64 {
    times.iter().map(Duration::as_secs_f64).sum::<f64>() / times.len() as f64
}

fn jain(shares: &[f64]) -> f64 {
    let (sum, squares) = shares.iter().fold((0.0, 0.0), |(sum, squares), share| (sum + share, squares + share * share));
    sum * sum / (shares.len() as f64 * squares)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jains_index_is_one_among_equals_and_a_share_when_one_has_all() {
        assert!((jain(&[3.0; 7]) - 1.0).abs() < 1e-9);
        assert!((jain(&[1.0, 0.0, 0.0, 0.0]) - 0.25).abs() < 1e-9);
    }
}
