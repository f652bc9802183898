//! Numbers made of numbers.

use std::fmt;

/// The value below or at which that part of the sorted values lies (nearest rank); `None` of nothing.
pub fn percentile(sorted: &[u32], part: f64) -> Option<u32> {
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).or(sorted.last()).copied()
}

/// What several rounds gave: the middle one, with the smallest and the largest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The smallest.
    pub least: f64,
    /// The middle one; of an even number the mean of the two in the middle.
    pub median: f64,
    /// The largest.
    pub most: f64,
}

impl Spread {
    /// Of the values of the rounds; those that are no numbers do not count. `None` where there is none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median =
            if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) };
        Some(Self { least, median, most })
    }

    /// Round by round, the one divided by the other.
    pub fn ratio(above: &[f64], below: &[f64]) -> Option<Self> {
        Self::of(above.iter().zip(below).map(|(a, b)| a / b))
    }
}

/// `12.3 (11.9–12.8)`, with as many digits as are worth reading.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = digits(self.median);
        let Self { least, median, most } = self;
        write!(f, "{median:.digits$} ({least:.digits$}–{most:.digits$})")
    }
}

/// A number with as many digits as are worth reading.
pub fn short(value: f64) -> String {
    format!("{value:.*}", digits(value))
}

fn digits(value: f64) -> usize {
    match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let values: Vec<u32> = (1..=100).collect();
        for (part, expected) in [(0.0, 1), (0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100)] {
            assert_eq!(percentile(&values, part), Some(expected), "{part}");
        }
        assert_eq!(percentile(&[7], 0.99), Some(7));
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn rounds_have_a_middle_and_a_spread() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Some(Spread { least: 1.0, median: 2.0, most: 3.0 }));
        assert_eq!(Spread::of([4.0, 1.0]).map(|s| s.median), Some(2.5));
        assert_eq!(Spread::of([f64::NAN]), None);
        let ratio = Spread::ratio(&[2.0, 9.0], &[1.0, 3.0]);
        assert_eq!(ratio, Some(Spread { least: 2.0, median: 2.5, most: 3.0 }));
    }

    #[test]
    fn few_digits() {
        let texts: Vec<String> = [0.123, 9.996, 12.34, 1234.5].into_iter().map(short).collect();
        assert_eq!(texts, ["0.12", "10.00", "12.3", "1234"]);
        assert_eq!(Spread { least: 1.0, median: 2.0, most: 3.0 }.to_string(), "2.00 (1.00–3.00)");
    }
}
