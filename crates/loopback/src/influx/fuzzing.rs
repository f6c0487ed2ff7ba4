//! The reader of points, for `fuzz/targets/influx.rs`. It exists with `--cfg fuzzing` only.

use super::{line, target::Precision};
use krt_store::Point;

/// Reads the lines of a body. `each` gets every point, with `now` as its time if it has none, or the error of the
/// line.
pub fn read(body: &[u8], now: i64, mut each: impl FnMut(Result<&Point<'_>, String>)) {
    for line in line::lines(body, Precision::Nanoseconds) {
        match line {
            Ok(line) => line.point(now, |point| each(Ok(point))),
            Err(error) => each(Err(error.to_string())),
        }
    }
}
