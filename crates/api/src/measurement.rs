//! Measurements.

use crate::{Time, schema};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

/// A measurement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Measurement {
    /// Its name.
    pub name: String,
    /// Its number of points.
    pub points: u64,
    /// The time of its first point.
    #[schema(value_type = schema::Time)]
    pub first: Time,
    /// The time of its last point.
    #[schema(value_type = schema::Time)]
    pub last: Time,
    /// Values by tag; at most 200 of each.
    #[schema(value_type = BTreeMap<String, Vec<String>>)]
    pub tags: BTreeMap<String, BTreeSet<String>>,
    /// Its fields with numbers, as in its latest points.
    #[schema(value_type = Vec<String>)]
    pub fields: BTreeSet<String>,
    /// Whether krt measures it itself.
    pub automatic: bool,
}

/// A field of a measurement over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Windows {
    /// The measurement.
    pub measurement: String,
    /// The field.
    pub field: String,
    /// The length of a window.
    #[schema(minimum = 1)]
    pub every_seconds: u64,
    /// One series for each combination of the values of `group_by`.
    pub series: Vec<WindowSeries>,
}

/// The windows with the same values of tags.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WindowSeries {
    /// The values.
    #[schema(value_type = schema::Tags)]
    pub tags: BTreeMap<String, String>,
    /// The windows, in order.
    pub windows: Vec<Window>,
}

/// A summary of the points in a window of time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Window {
    /// When it begins.
    #[schema(value_type = schema::Time)]
    pub start: Time,
    /// The number of points.
    pub count: u64,
    /// The sum.
    pub sum: f64,
    /// The mean.
    pub mean: f64,
    /// The least value.
    pub min: f64,
    /// The greatest value.
    pub max: f64,
    /// The median.
    pub p50: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
}
