//! Limits on the way to SQLite: a number in the text. SQLite's planner looks at the value that is bound to a `LIMIT ?`, and has to
//! plan the statement anew whenever one is bound, be it the same: that takes longer than most reads do. With the number in
//! the text the statement stays prepared, one for each size of page.

use sea_orm::{Statement, Value};

use crate::Engine;

/// What comes before a limit in the text that sea-query makes.
const LIMIT: &str = " LIMIT ?";

/// The statement with its limits in the text, for SQLite. One with numbered parameters stays as it is.
pub(crate) fn inline(engine: Engine, mut statement: Statement) -> Statement {
    if engine == Engine::Sqlite
        && statement.sql.contains(LIMIT)
        && let Some(values) = &mut statement.values
        && let Some((text, others)) = inlined(&statement.sql, &values.0)
    {
        statement.sql = text;
        values.0 = others;
    }
    statement
}

/// The text with its limits, and the values that are still to be bound; `None` for a text of another kind.
fn inlined(sql: &str, values: &[Value]) -> Option<(String, Vec<Value>)> {
    let mut text = String::with_capacity(sql.len() + 8);
    let mut others = Vec::with_capacity(values.len());
    let (mut rest, mut values) = (sql, values.iter());
    while let Some(place) = rest.find(['?', '\'', '"', '$']) {
        let (before, from) = rest.split_at(place);
        text.push_str(before);
        let token = match from.as_bytes().first()? {
            b'$' => return None,
            b'?' => {
                match values.next()? {
                    Value::BigUnsigned(Some(limit)) if before.ends_with(&LIMIT[..LIMIT.len() - 1]) => {
                        text.push_str(&limit.to_string());
                    }
                    other => {
                        text.push('?');
                        others.push(other.clone());
                    }
                }
                1
            }
            // To its end; a doubled quote inside begins another.
            quote => {
                let end = from.get(1..)?.find(char::from(*quote))? + 2;
                text.push_str(&from[..end]);
                end
            }
        };
        rest = &from[token..];
    }
    text.push_str(rest);
    others.extend(values.cloned());
    Some((text, others))
}

#[cfg(test)]
mod tests {
    use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query};

    use super::*;

    fn settled(sql: &str, values: Vec<Value>) -> (String, Vec<Value>) {
        let statement = Statement::from_sql_and_values(Engine::Sqlite.backend(), sql, values);
        let settled = inline(Engine::Sqlite, statement);
        (settled.sql, settled.values.map(|values| values.0).unwrap_or_default())
    }

    #[test]
    fn limits_are_numbers_and_everything_else_is_bound() {
        let mut inner = Query::select();
        inner
            .column(Alias::new("id"))
            .from(Alias::new("a"))
            .and_where(Expr::col(Alias::new("x")).eq("LIMIT ?"))
            .limit(5);
        let mut outer = Query::select();
        outer.column(Alias::new("id")).from_subquery(inner, Alias::new("b"));
        outer.and_where(Expr::col(Alias::new("y")).eq(7)).limit(51).offset(3);
        let built = Engine::Sqlite.backend().build(&outer);
        let (sql, values) = settled(&built.sql, built.values.unwrap().0);
        assert_eq!(
            sql,
            r#"SELECT "id" FROM (SELECT "id" FROM "a" WHERE "x" = ? LIMIT 5) AS "b" WHERE "y" = ? LIMIT 51 OFFSET ?"#
        );
        assert_eq!(values, [Value::from("LIMIT ?"), Value::from(7), Value::from(3_u64)]);
    }

    #[test]
    fn what_only_looks_like_a_limit_stays() {
        for (sql, values) in [
            ("SELECT ' LIMIT ?', \" LIMIT ?\" FROM a WHERE b = ?", vec![Value::from(1_u64)]),
            ("SELECT 'it''s LIMIT ?' FROM a LIMIT ?", vec![Value::from(1_i64)]),
            ("SELECT 1 FROM a WHERE b = $1 LIMIT ?", vec![Value::from(1_u64)]),
            ("SELECT 1 FROM a LIMIT ?", vec![]),
            ("SELECT 'open LIMIT ?", vec![Value::from(1_u64)]),
        ] {
            assert_eq!(settled(sql, values.clone()), (sql.to_owned(), values), "{sql}");
        }
        let (sql, values) = settled("SELECT 'it''s', ? FROM a LIMIT ?", vec![Value::from("x"), Value::from(9_u64)]);
        assert_eq!((sql.as_str(), values), ("SELECT 'it''s', ? FROM a LIMIT 9", vec![Value::from("x")]));
    }
}
