//! Queries, as MongoDB understands them.
//!
//! A [`Filter`] is compiled once from a query and then looks at documents as they lie in the
//! database: raw BSON, of which only what a path leads to is read. The rules are those of MongoDB 8;
//! what it supports beside the operators here is refused by name, never passed over.
//!
//! - `parse`: from a query to the tree of tests below.
//! - `path`: which values a dotted path leads to, through arrays.
//! - `compare`: the order of BSON values.
//! - `pattern`: regular expressions.
//!
//! Regular expressions take linear time and so know no look-around and no back-references; both are
//! an error. `\d`, `\w`, `\s` and `\b` mean ASCII, as in MongoDB.

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

/// Why a query cannot be understood. `path` says where, from the query's root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// No operator of that name is supported at this place.
    #[error("unknown operator `{operator}`{}", at(path))]
    Operator {
        /// The operator.
        operator: String,
        /// Where.
        path: String,
    },
    /// A name among operators that is none.
    #[error("`{name}` stands among operators and is none{}", at(path))]
    Mixed {
        /// The name.
        name: String,
        /// Where.
        path: String,
    },
    /// An operator with what it does not take.
    #[error("`{operator}` needs {needs}{}", at(path))]
    Argument {
        /// The operator.
        operator: String,
        /// What it takes.
        needs: &'static str,
        /// Where.
        path: String,
    },
    /// A regular expression that is wrong, too large, or needs more than linear time.
    #[error("cannot use the regular expression `{pattern}`{}: {reason}", at(path))]
    Pattern {
        /// The expression.
        pattern: String,
        /// What is wrong.
        reason: String,
        /// Where.
        path: String,
    },
    /// Nested too deeply.
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

/// A test of the values that a path leads to.
#[derive(Debug, Clone)]
enum Test {
    /// Passes where any value passes.
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
    /// An array with an element, a document or an array, that passes.
    ElementDocument(Box<Expression>),
    /// An array with an element that passes all.
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

    /// Whether a document passes.
    pub fn matches(&self, document: &RawDocument) -> bool {
        self.expression.matches(document)
    }

    /// The one `_id` that documents which pass have, where the query says so.
    pub(crate) fn id(&self) -> Option<&Bson> {
        self.id.as_ref()
    }
}

/// The `_id` that a query wants, where it is of a kind for which equal means equal keys.
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

    /// Whether a single value passes, without looking into it where it is an array.
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
    /// Whether an array at the path's end is one value, or each of its elements, too.
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
    /// Compares within one kind of values; between kinds, only a missing value and null are alike,
    /// and the least and the greatest key have their place.
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
