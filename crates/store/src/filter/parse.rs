//! Compiles queries to tests.

use super::{Comparison, Expression, FilterError, Path, Pattern, Test, ValueTest};
use bson::{Bson, Document, RawBson};
use std::fmt;

/// The deepest nesting of a query.
const MAX_DEPTH: usize = 100;

/// A position in the query.
#[derive(Clone, Copy)]
struct Location<'a> {
    outer: Option<&'a Location<'a>>,
    name: &'a str,
    index: Option<usize>,
    depth: usize,
}

impl<'a> Location<'a> {
    const ROOT: Location<'static> = Location { outer: None, name: "", index: None, depth: 0 };

    fn inner(&'a self, name: &'a str) -> Result<Self, FilterError> {
        self.step(name, None)
    }

    fn element(&'a self, index: usize) -> Result<Self, FilterError> {
        self.step("", Some(index))
    }

    fn step(&'a self, name: &'a str, index: Option<usize>) -> Result<Self, FilterError> {
        let depth = self.depth + 1;
        if depth > 2 * MAX_DEPTH {
            return Err(FilterError::TooDeep { max: MAX_DEPTH });
        }
        Ok(Self { outer: Some(self), name, index, depth })
    }

    fn wrong(&self, operator: &str, needs: &'static str) -> FilterError {
        FilterError::Argument { operator: operator.to_owned(), needs, path: self.to_string() }
    }
}

impl fmt::Display for Location<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(outer) = self.outer else { return Ok(()) };
        outer.fmt(f)?;
        match self.index {
            Some(index) => write!(f, "[{index}]"),
            None if outer.outer.is_none() => f.write_str(self.name),
            None => write!(f, ".{}", self.name),
        }
    }
}

/// Compiles a whole query.
pub(super) fn query(query: &Document) -> Result<Expression, FilterError> {
    if depth(query, 1) > MAX_DEPTH {
        return Err(FilterError::TooDeep { max: MAX_DEPTH });
    }
    expression(query, &Location::ROOT)
}

/// The nesting depth of a document; stops once it is too deep.
fn depth(document: &Document, level: usize) -> usize {
    if level > MAX_DEPTH {
        return level;
    }
    document.values().map(|value| value_depth(value, level)).max().unwrap_or(level)
}

fn value_depth(value: &Bson, level: usize) -> usize {
    match value {
        _ if level > MAX_DEPTH => level,
        Bson::Document(document) => depth(document, level + 1),
        Bson::Array(values) => {
            values.iter().map(|value| value_depth(value, level + 1)).max().unwrap_or(level + 1)
        }
        _ => level,
    }
}

fn expression(query: &Document, place: &Location<'_>) -> Result<Expression, FilterError> {
    let mut all = Vec::with_capacity(query.len());
    for (name, value) in query {
        let here = place.inner(name)?;
        match name.as_str() {
            "$and" => all.push(Expression::And(expressions(name, value, &here)?)),
            "$or" => all.push(Expression::Or(expressions(name, value, &here)?)),
            "$nor" => all.push(Expression::Nor(expressions(name, value, &here)?)),
            "$comment" => {}
            operator if operator.starts_with('$') => {
                return Err(FilterError::Operator { operator: operator.to_owned(), path: place.to_string() });
            }
            field => {
                let path = Path::parse(field);
                let tests = field_tests(value, &here)?;
                all.extend(tests.into_iter().map(|test| Expression::Field { path: path.clone(), test }));
            }
        }
    }
    Ok(match <[_; 1]>::try_from(all) {
        Ok([one]) => one,
        Err(all) => Expression::And(all),
    })
}

fn expressions(operator: &str, value: &Bson, place: &Location<'_>) -> Result<Vec<Expression>, FilterError> {
    let Bson::Array(queries) = value else { return Err(place.wrong(operator, "an array of queries")) };
    if queries.is_empty() {
        return Err(place.wrong(operator, "at least one query"));
    }
    let parse = |(index, query): (usize, &Bson)| match query {
        Bson::Document(query) => expression(query, &place.element(index)?),
        _ => Err(place.wrong(operator, "an array of queries")),
    };
    queries.iter().enumerate().map(parse).collect()
}

/// The tests of a field: operators, or a value to equal.
fn field_tests(value: &Bson, place: &Location<'_>) -> Result<Vec<Test>, FilterError> {
    match value {
        Bson::Document(document) if are_operators(document) => operators(document, place),
        Bson::RegularExpression(_) => Ok(vec![Test::Value(ValueTest::Pattern(pattern(value, place)?))]),
        value => Ok(vec![compare(Comparison::Equal, "$eq", value, place)?]),
    }
}

/// Whether a document holds operators; a reference to another document does not.
fn are_operators(document: &Document) -> bool {
    let first = document.keys().next();
    first.is_some_and(|name| name.starts_with('$') && !matches!(name.as_str(), "$ref" | "$id" | "$db"))
}

fn operators(document: &Document, place: &Location<'_>) -> Result<Vec<Test>, FilterError> {
    let mut tests = Vec::with_capacity(document.len());
    for (name, value) in document {
        if !name.starts_with('$') {
            return Err(FilterError::Mixed { name: name.clone(), path: place.to_string() });
        }
        match name.as_str() {
            "$options" if document.contains_key("$regex") => {}
            "$options" => return Err(place.wrong("$options", "a `$regex` beside it")),
            "$regex" => {
                let pattern = regex(value, document.get("$options"), place)?;
                tests.push(Test::Value(ValueTest::Pattern(pattern)));
            }
            _ => tests.push(operator(name, value, place)?),
        }
    }
    Ok(tests)
}

fn operator(name: &str, value: &Bson, place: &Location<'_>) -> Result<Test, FilterError> {
    match name {
        "$eq" => compare(Comparison::Equal, name, value, place),
        "$gt" => compare(Comparison::Greater, name, value, place),
        "$gte" => compare(Comparison::GreaterOrEqual, name, value, place),
        "$lt" => compare(Comparison::Less, name, value, place),
        "$lte" => compare(Comparison::LessOrEqual, name, value, place),
        "$ne" if matches!(value, Bson::RegularExpression(_)) => {
            Err(place.wrong(name, "a value, not a regular expression; `$not` takes one"))
        }
        "$ne" => Ok(not(compare(Comparison::Equal, name, value, place)?)),
        "$in" => one_of(name, value, place),
        "$nin" => Ok(not(one_of(name, value, place)?)),
        "$exists" => exists(value),
        "$not" => negation(value, place),
        "$size" => size(value, place),
        "$all" => all(value, place),
        "$elemMatch" => element(value, place),
        _ => Err(FilterError::Operator { operator: name.to_owned(), path: place.to_string() }),
    }
}

fn not(test: Test) -> Test {
    Test::Not(Box::new(test))
}

fn compare(
    comparison: Comparison,
    name: &str,
    value: &Bson,
    place: &Location<'_>,
) -> Result<Test, FilterError> {
    match value {
        Bson::Undefined => Err(place.wrong(name, "a value, not undefined")),
        Bson::RegularExpression(_) if comparison != Comparison::Equal => {
            Err(place.wrong(name, "a value, not a regular expression"))
        }
        value => Ok(Test::Value(ValueTest::Compare(comparison, raw(name, value, place)?))),
    }
}

/// The value as documents store it.
fn raw(name: &str, value: &Bson, place: &Location<'_>) -> Result<RawBson, FilterError> {
    RawBson::try_from(value.clone()).map_err(|_| place.wrong(name, "names of fields without a NUL"))
}

fn one_of(name: &str, value: &Bson, place: &Location<'_>) -> Result<Test, FilterError> {
    let Bson::Array(wanted) = value else { return Err(place.wrong(name, "an array")) };
    let (mut values, mut patterns) = (Vec::new(), Vec::new());
    for value in wanted {
        match value {
            Bson::RegularExpression(_) => patterns.push(pattern(value, place)?),
            Bson::Undefined => return Err(place.wrong(name, "values, not undefined")),
            Bson::Document(document) if are_operators(document) => {
                return Err(place.wrong(name, "values, not operators"));
            }
            value => values.push(raw(name, value, place)?),
        }
    }
    Ok(Test::Value(ValueTest::In { values, patterns }))
}

fn exists(value: &Bson) -> Result<Test, FilterError> {
    let test = Test::Value(ValueTest::Exists);
    let wanted = match value {
        Bson::Boolean(wanted) => *wanted,
        Bson::Null | Bson::Undefined => false,
        Bson::Int32(number) => *number != 0,
        Bson::Int64(number) => *number != 0,
        Bson::Double(number) => *number != 0.0,
        Bson::Decimal128(number) => !number.to_string().trim_start_matches('-').starts_with('0'),
        _ => true,
    };
    Ok(if wanted { test } else { not(test) })
}

fn negation(value: &Bson, place: &Location<'_>) -> Result<Test, FilterError> {
    let here = place.inner("$not")?;
    match value {
        Bson::RegularExpression(_) => Ok(not(Test::Value(ValueTest::Pattern(pattern(value, &here)?)))),
        Bson::Document(document) if !document.is_empty() => {
            // Every name must be an operator here, including the first.
            Ok(not(Test::All(operators(document, &here)?)))
        }
        _ => Err(place.wrong("$not", "operators or a regular expression")),
    }
}

fn size(value: &Bson, place: &Location<'_>) -> Result<Test, FilterError> {
    const NEEDS: &str = "a whole number that is not negative";
    let size = match value {
        Bson::Int32(size) => Some(i64::from(*size)),
        Bson::Int64(size) => Some(*size),
        Bson::Double(size) if size.fract() == 0.0 => Some(*size as i64),
        Bson::Decimal128(size) => size.to_string().parse().ok(),
        _ => None,
    };
    let size = size.filter(|size| *size <= i64::from(i32::MAX)).and_then(|size| usize::try_from(size).ok());
    Ok(Test::Value(ValueTest::Size(size.ok_or_else(|| place.wrong("$size", NEEDS))?)))
}

fn all(value: &Bson, place: &Location<'_>) -> Result<Test, FilterError> {
    const NEEDS: &str = "an array of values, or an array of `$elemMatch` alone";
    let Bson::Array(wanted) = value else { return Err(place.wrong("$all", NEEDS)) };
    if wanted.is_empty() {
        return Ok(Test::Never);
    }
    let elements: Vec<_> = wanted.iter().filter_map(only_element).collect();
    if !elements.is_empty() && elements.len() != wanted.len() {
        return Err(place.wrong("$all", NEEDS));
    }
    if !elements.is_empty() {
        let here = place.inner("$all")?;
        return Ok(Test::All(elements.into_iter().map(|it| element(it, &here)).collect::<Result<_, _>>()?));
    }
    let parse = |value: &Bson| match value {
        Bson::RegularExpression(_) => Ok(Test::Value(ValueTest::Pattern(pattern(value, place)?))),
        Bson::Document(document) if are_operators(document) => Err(place.wrong("$all", NEEDS)),
        value => compare(Comparison::Equal, "$all", value, place),
    };
    Ok(Test::All(wanted.iter().map(parse).collect::<Result<_, _>>()?))
}

/// The argument of `$elemMatch`, where the value has no other key.
fn only_element(value: &Bson) -> Option<&Bson> {
    value.as_document().filter(|document| document.len() == 1)?.get("$elemMatch")
}

fn element(value: &Bson, place: &Location<'_>) -> Result<Test, FilterError> {
    let Bson::Document(query) = value else { return Err(place.wrong("$elemMatch", "an object")) };
    let here = place.inner("$elemMatch")?;
    let logical = query.keys().next().is_some_and(|name| matches!(name.as_str(), "$and" | "$or" | "$nor"));
    Ok(Test::Value(if are_operators(query) && !logical {
        ValueTest::ElementValue(operators(query, &here)?)
    } else {
        ValueTest::ElementDocument(Box::new(expression(query, &here)?))
    }))
}

fn pattern(value: &Bson, place: &Location<'_>) -> Result<Pattern, FilterError> {
    regex(value, None, place)
}

/// The pattern and options of `$regex` and `$options`, or of a regular expression value.
fn regex(value: &Bson, options: Option<&Bson>, place: &Location<'_>) -> Result<Pattern, FilterError> {
    let beside = match options {
        None => None,
        Some(Bson::String(options)) => Some(options.as_str()),
        Some(_) => return Err(place.wrong("$options", "a text")),
    };
    let (pattern, own) = match value {
        Bson::String(pattern) => (pattern.as_str(), ""),
        Bson::RegularExpression(regex) => (regex.pattern.as_str(), regex.options.as_str()),
        _ => return Err(place.wrong("$regex", "a text or a regular expression")),
    };
    if beside.is_some() && !own.is_empty() {
        return Err(place.wrong("$options", "a regular expression without options of its own"));
    }
    Pattern::parse(pattern, beside.unwrap_or(own)).map_err(|reason| FilterError::Pattern {
        pattern: pattern.to_owned(),
        reason,
        path: place.to_string(),
    })
}
