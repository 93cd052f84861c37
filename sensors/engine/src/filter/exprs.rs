//! `filters.exprs`: expressions over values inside the data (spec/sensors.md 4.2, S9).

use std::sync::Arc;

use zetes_api::{Event, ExprFilter, FieldPath, Filters, Finding};
use zetes_govaluate::{Expression, Value};

use super::{Ask, Check, Operator, Rejection, any_of, cut, not_json};
use crate::selector::Selector;

/// The entries of `filters.exprs`, in the author's order.
#[derive(Clone, Debug)]
pub(super) struct ExprFilters {
    operator: Operator,
    entries: Vec<Entry>,
}

/// One expression and where its variables come from.
#[derive(Clone, Debug)]
struct Entry {
    /// `filters.exprs[0]`
    filter: String,
    text: String,
    /// `None` where it could not be compiled: such a Sensor does not run, and such an entry rejects whatever comes.
    expression: Option<Arc<Expression>>,
    fields: Vec<(String, Selector)>,
}

impl ExprFilters {
    /// `None` where there are no entries.
    pub(super) fn compile(filters: &Filters, findings: &mut Vec<Finding>) -> Option<Self> {
        let field = "filters.exprLogicalOperator";
        let operator = Operator::parse(filters.expr_logical_operator.as_deref(), field, findings);
        let outer = FieldPath::from("filters").key("exprs");
        let entries: Vec<_> = filters
            .exprs
            .iter()
            .enumerate()
            .map(|(at, entry)| Entry::compile(entry, &outer.index(at), findings))
            .collect();
        (!filters.exprs.is_empty()).then_some(Self { operator, entries })
    }
}

impl Ask for ExprFilters {
    fn ask(&self, event: &Event) -> Check {
        if event.data.is_none() {
            return Check::Passed;
        }
        if event.json_text().is_none() {
            return not_json("filters.exprs", event);
        }
        let mut checks = self.entries.iter().map(|entry| entry.check(event));
        match self.operator {
            Operator::And => checks.find(|check| *check != Check::Passed).unwrap_or(Check::Passed),
            Operator::Or => any_of(checks),
        }
    }
}

impl Entry {
    fn compile(entry: &ExprFilter, at: &FieldPath, findings: &mut Vec<Finding>) -> Self {
        let mut fields = Vec::with_capacity(entry.fields.len());
        for (index, field) in entry.fields.iter().enumerate() {
            let at = at.key("fields").index(index);
            let selector = Selector::written(Some(&field.path), field.json_path.as_deref(), &at, findings);
            fields.push((field.name.clone(), selector));
        }
        let expression = Expression::compile(&entry.expr).map_err(|error| {
            let path = at.key("expr");
            findings
                .push(Finding::error("bad-expression", path, error.message().to_owned()).span(error.span()));
        });
        Self {
            filter: at.to_string(),
            text: entry.expr.clone(),
            expression: expression.ok().map(Arc::new),
            fields,
        }
    }

    fn check(&self, event: &Event) -> Check {
        let Some(expression) = &self.expression else {
            return self.reject(&self.names(), None, "bad-expression");
        };
        let mut variables = Vec::with_capacity(self.fields.len());
        for (name, selector) in &self.fields {
            let Some(found) = selector.find(event) else {
                return self.reject(&selector.to_string(), None, "path-missing");
            };
            // Of several fields with one name the last one counts.
            variables.retain(|(known, _)| known != name);
            variables.push((name.clone(), found));
        }
        let values: Vec<(&str, Value<'_>)> =
            variables.iter().map(|(name, found)| (name.as_str(), value(found))).collect();
        let lookup =
            |name: &str| values.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
        match expression.evaluate(&lookup) {
            Ok(Value::Bool(true)) => Check::Passed,
            Ok(_) => self.reject(&self.names(), Some(Self::seen(&variables)), "not-true"),
            Err(error) => self.reject(&self.names(), Some(error.to_string()), "bad-value"),
        }
    }

    fn names(&self) -> String {
        self.fields.iter().map(|(_, selector)| selector.to_string()).collect::<Vec<_>>().join(", ")
    }

    fn seen(variables: &[(String, zetes_gjson::Value<'_>)]) -> String {
        variables
            .iter()
            .map(|(name, found)| format!("{name}: {}", found.raw()))
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn reject(&self, looked_at: &str, seen: Option<String>, reason: &'static str) -> Check {
        Check::Rejected(Rejection {
            filter: self.filter.clone(),
            looked_at: looked_at.to_owned(),
            seen: seen.map(|seen| cut(&seen)),
            wanted: cut(&self.text),
            reason,
        })
    }
}

/// A found value as the language sees it.
fn value<'v>(found: &'v zetes_gjson::Value<'_>) -> Value<'v> {
    use zetes_gjson::Kind;
    match found.kind() {
        Kind::Null => Value::Nil,
        Kind::False => Value::Bool(false),
        Kind::True => Value::Bool(true),
        Kind::Number => Value::Number(found.number()),
        Kind::String => Value::String(found.string()),
        Kind::Json => {
            serde_json::from_str::<serde_json::Value>(found.raw()).map_or(Value::Nil, Value::from_json)
        }
    }
}
