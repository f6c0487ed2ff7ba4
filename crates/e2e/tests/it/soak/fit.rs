//! Fits straight lines to samples, by least squares.

/// A slope with its standard error.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Slope {
    pub(super) value: f64,
    pub(super) error: f64,
}

/// The common slope of several series of points, each with its own intercept, since a restarted process
/// begins at another level. `None` if the points are too few for an error.
pub(super) fn slope(series: &[Vec<(f64, f64)>]) -> Option<Slope> {
    let series: Vec<_> = series.iter().filter(|points| points.len() > 1).collect();
    let mean = |points: &[(f64, f64)], of: fn(&(f64, f64)) -> f64| {
        points.iter().map(of).sum::<f64>() / points.len() as f64
    };
    let (mut xx, mut xy, mut yy, mut count) = (0.0, 0.0, 0.0, 0_usize);
    for points in &series {
        let (x_mean, y_mean) = (mean(points, |point| point.0), mean(points, |point| point.1));
        for (x, y) in points.iter().map(|(x, y)| (x - x_mean, y - y_mean)) {
            (xx, xy, yy) = (xx + x * x, xy + x * y, yy + y * y);
        }
        count += points.len();
    }
    let freedom = count.checked_sub(series.len() + 1).filter(|freedom| *freedom > 0)?;
    if xx == 0.0 {
        return None;
    }
    let value = xy / xx;
    let residue = (yy - value * xy).max(0.0);
    Some(Slope { value, error: (residue / freedom as f64 / xx).sqrt() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(start: f64, level: f64, slope: f64) -> Vec<(f64, f64)> {
        (0..10).map(|step| f64::from(step) + start).map(|x| (x, level + slope * x)).collect()
    }

    #[test]
    fn lines_at_different_levels_share_their_slope() {
        let found = slope(&[line(0.0, 5.0, 2.0), line(20.0, -300.0, 2.0)]).unwrap();
        assert!((found.value - 2.0).abs() < 1e-9 && found.error < 1e-6, "{found:?}");
    }

    #[test]
    fn the_error_matches_the_textbook() {
        // Residuals 0.1, -0.2, 0.1 around y = x: s² = 0.06, Sxx = 2.
        let found = slope(&[vec![(0.0, 0.1), (1.0, 0.8), (2.0, 2.1)]]).unwrap();
        assert!((found.value - 1.0).abs() < 1e-9, "{found:?}");
        assert!((found.error - (0.06_f64 / 2.0).sqrt()).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn too_few_points_have_no_slope() {
        assert_eq!(slope(&[vec![(0.0, 1.0)], vec![(1.0, 2.0), (2.0, 3.0)]]), None);
    }
}
