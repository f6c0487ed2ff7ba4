//! Queries with MongoDB's semantics.
//!
//! A [`Filter`] is compiled once from a query and then tests raw BSON documents, of which it reads only what
//! its paths lead to. The rules are those of MongoDB 8; operators beyond those supported here are refused by
//! name, never ignored.
//!
//! - `parse`: compiles a query to the tree of tests below.
//! - `path`: resolves a dotted path to values, through arrays.
//! - `compare`: the order of BSON values.
//! - `pattern`: regular expressions.
//!
//! Regular expressions take linear time and so have no look-around and no back-references; both are an error.
//! `\d`, `\w`, `\s` and `\b` mean ASCII, as in MongoDB.

mod compare;
mod number;
mod parse;
mod path;
mod pattern;

pub(crate) use number::integer;

use bson::{Bson, Document, RawBson, RawBsonRef, RawDocument};
use path::{Leaf, Path};
use pattern::Pattern;
use std::cmp::Ordering;

/// A compiled query.
#[derive(Debug, Clone)]
pub struct Filter {
    expression: Expression,
    id: Option<Bson>,
}

/// Why a query is not valid. `path` locates the error, from the query's root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// The operator is not supported at this place.
    #[error("unknown operator `{operator}`{}", at(path))]
    Operator {
        /// The operator.
        operator: String,
        /// Where it is.
        path: String,
    },
    /// A field name among operators.
    #[error("`{name}` is a field name among operators{}", at(path))]
    Mixed {
        /// The name.
        name: String,
        /// Where it is.
        path: String,
    },
    /// An operator has a wrong argument.
    #[error("`{operator}` needs {needs}{}", at(path))]
    Argument {
        /// The operator.
        operator: String,
        /// The argument that it takes.
        needs: &'static str,
        /// Where it is.
        path: String,
    },
    /// A regular expression is wrong, too large, or needs more than linear time.
    #[error("cannot use the regular expression `{pattern}`{}: {reason}", at(path))]
    Pattern {
        /// The expression.
        pattern: String,
        /// What is wrong.
        reason: String,
        /// Where it is.
        path: String,
    },
    /// The query is nested too deeply.
    #[error("the query is nested deeper than {max} levels")]
    TooDeep {
        /// The limit.
        max: usize,
    },
}

fn at(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(" at `{path}`") }
}

/// A test of a document.
#[derive(Debug, Clone)]
enum Expression {
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Nor(Vec<Expression>),
    Field { path: Path, test: Test },
}

/// A test of the values at a path.
#[derive(Debug, Clone)]
enum Test {
    /// Passes if any value passes.
    Value(ValueTest),
    Not(Box<Test>),
    All(Vec<Test>),
    Never,
}

/// A test of one value.
#[derive(Debug, Clone)]
enum ValueTest {
    Exists,
    Compare(Comparison, RawBson),
    In {
        values: Vec<RawBson>,
        patterns: Vec<Pattern>,
    },
    Pattern(Pattern),
    Size(usize),
    /// An array with a document or array as an element that passes.
    ElementDocument(Box<Expression>),
    /// An array with an element that passes all tests.
    ElementValue(Vec<Test>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Filter {
    /// Compiles a query.
    pub fn parse(query: &Document) -> Result<Self, FilterError> {
        Ok(Self { expression: parse::query(query)?, id: wanted_id(query) })
    }

    /// Whether a document matches.
    pub fn matches(&self, document: &RawDocument) -> bool {
        self.expression.matches(document)
    }

    /// The one `_id` that matching documents have, where the query sets it.
    pub(crate) fn id(&self) -> Option<&Bson> {
        self.id.as_ref()
    }
}

/// Compares two values in MongoDB's order, by kind first.
pub fn compare(one: RawBsonRef<'_>, other: RawBsonRef<'_>) -> Ordering {
    compare::values(one, other)
}

/// The `_id` that a query requires, if its kind guarantees that equal values have equal keys.
fn wanted_id(query: &Document) -> Option<Bson> {
    let id = match query.get("_id")? {
        Bson::Document(operators) if operators.len() == 1 => operators.get("$eq")?,
        id => id,
    };
    let plain = matches!(
        id,
        Bson::ObjectId(_) | Bson::String(_) | Bson::Int32(_) | Bson::Int64(_) | Bson::DateTime(_)
    );
    plain.then(|| id.clone())
}

impl Expression {
    fn matches(&self, document: &RawDocument) -> bool {
        match self {
            Self::And(all) => all.iter().all(|one| one.matches(document)),
            Self::Or(any) => any.iter().any(|one| one.matches(document)),
            Self::Nor(none) => !none.iter().any(|one| one.matches(document)),
            Self::Field { path, test } => test.matches(document, path),
        }
    }
}

impl Test {
    fn matches(&self, document: &RawDocument, path: &Path) -> bool {
        match self {
            Self::Value(test) => path.any(document, test.leaf(), &mut |value| test.matches(value)),
            Self::Not(test) => !test.matches(document, path),
            Self::All(tests) => tests.iter().all(|test| test.matches(document, path)),
            Self::Never => false,
        }
    }

    /// Whether a single value passes; an array is not searched.
    fn matches_value(&self, value: RawBsonRef<'_>) -> bool {
        match self {
            Self::Value(test) => test.matches(Some(value)),
            Self::Not(test) => !test.matches_value(value),
            Self::All(tests) => tests.iter().all(|test| test.matches_value(value)),
            Self::Never => false,
        }
    }
}

impl ValueTest {
    /// Whether an array at the end of the path is one value, or also each of its elements.
    fn leaf(&self) -> Leaf {
        match self {
            Self::Size(_) | Self::ElementDocument(_) | Self::ElementValue(_) => Leaf::Whole,
            Self::Exists | Self::Compare(..) | Self::In { .. } | Self::Pattern(_) => Leaf::Elements,
        }
    }

    /// Whether a value passes; `None` is a missing one.
    fn matches(&self, value: Option<RawBsonRef<'_>>) -> bool {
        match (self, value) {
            (Self::Exists, value) => value.is_some(),
            (Self::Compare(comparison, wanted), value) => comparison.holds(value, wanted.as_raw_bson_ref()),
            (Self::In { values, patterns }, value) => {
                let equal = |wanted: &RawBson| Comparison::Equal.holds(value, wanted.as_raw_bson_ref());
                values.iter().any(equal)
                    || value.is_some_and(|value| patterns.iter().any(|pattern| pattern.matches(value)))
            }
            (Self::Pattern(pattern), Some(value)) => pattern.matches(value),
            (Self::Size(size), Some(RawBsonRef::Array(array))) => array.into_iter().count() == *size,
            (Self::ElementDocument(expression), Some(RawBsonRef::Array(array))) => elements(array)
                .any(|element| path::as_document(element).is_some_and(|it| expression.matches(it))),
            (Self::ElementValue(tests), Some(RawBsonRef::Array(array))) => {
                elements(array).any(|element| tests.iter().all(|test| test.matches_value(element)))
            }
            _ => false,
        }
    }
}

fn elements(array: &bson::RawArray) -> impl Iterator<Item = RawBsonRef<'_>> {
    array.into_iter().map_while(Result::ok)
}

impl Comparison {
    /// Compares values of one kind. Across kinds, only missing and null are equal, and the least and greatest
    /// keys have their place.
    fn holds(self, value: Option<RawBsonRef<'_>>, wanted: RawBsonRef<'_>) -> bool {
        let Some(value) = value else {
            return match wanted {
                RawBsonRef::Null => self.includes_equal(),
                _ => self.holds_beyond(wanted),
            };
        };
        if compare::rank(value) != compare::rank(wanted) {
            return self.holds_beyond(wanted);
        }
        if self != Self::Equal && compare::is_nan(value) != compare::is_nan(wanted) {
            return false;
        }
        self.allows(compare::values(value, wanted))
    }

    fn holds_beyond(self, wanted: RawBsonRef<'_>) -> bool {
        match self {
            Self::Equal => false,
            Self::Less | Self::LessOrEqual => wanted == RawBsonRef::MaxKey,
            Self::Greater | Self::GreaterOrEqual => wanted == RawBsonRef::MinKey,
        }
    }

    fn includes_equal(self) -> bool {
        matches!(self, Self::Equal | Self::LessOrEqual | Self::GreaterOrEqual)
    }

    fn allows(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}
