//! Texts with places for a device's own values: `{{ name }}`, `{{ index }}`, `{{ row.serial }}`.

use std::fmt;

use minijinja::{Environment, UndefinedBehavior, Value};

use super::list::Inventory;
use super::speaker::Speaker;
use crate::model::DeviceIx;

/// A template, compiled once. Its text may be a secret and never prints.
#[derive(Clone)]
pub struct Template {
    shape: Shape,
    columns: Vec<String>,
}

/// The frequent shapes need no interpreter.
#[derive(Clone)]
enum Shape {
    Literal(String),
    Name,
    Column,
    Program(Box<Environment<'static>>),
}

/// Why a template is none, or has no value for a device. Says no value of a device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It does not parse.
    #[error("{0}")]
    Syntax(String),
    /// A name that no device has.
    #[error("unknown name `{0}`: templates know `name`, `index` and `row.COLUMN`")]
    UnknownName(String),
    /// A name that nothing has, where there are more names than a device's own.
    #[error("unknown name `{name}`: this template knows `name`, `index`, `row.COLUMN`, {more}")]
    UnknownAmong {
        /// The name.
        name: String,
        /// The other names that are known.
        more: String,
    },
    /// The row without a column.
    #[error("`row` needs a column: write `row.COLUMN` or `row[\"COLUMN\"]`")]
    WholeRow,
    /// The list has no such column.
    #[error("the list has no column `{0}`")]
    NoColumn(String),
    /// It cannot be worked out for this device.
    #[error("no value for device {device}: {why}")]
    Render {
        /// Its position in the list, from 0.
        device: u32,
        /// What the interpreter says.
        why: String,
    },
}

impl Template {
    /// Reads a template and finds the columns it uses.
    pub fn compile(text: &str) -> Result<Self, TemplateError> {
        Self::compile_knowing(text, &[])
    }

    /// As [`Template::compile`], with further names that [`Template::render_with`] will give.
    pub fn compile_knowing(text: &str, more: &[&str]) -> Result<Self, TemplateError> {
        if !["{{", "{%", "{#"].iter().any(|mark| text.contains(mark)) {
            let shape = Shape::Literal(text.to_owned());
            return Ok(Self {
                shape,
                columns: Vec::new(),
            });
        }
        let (env, columns) = program(text, more)?;
        let bare = text
            .strip_prefix("{{")
            .and_then(|rest| rest.strip_suffix("}}"))
            .map(str::trim);
        let shape = match bare {
            Some("name") => Shape::Name,
            Some(bare) if bare.strip_prefix("row.").is_some_and(|c| columns == [c]) => {
                Shape::Column
            }
            _ => Shape::Program(Box::new(env)),
        };
        Ok(Self { shape, columns })
    }

    /// The columns it uses, sorted: `serial` for `{{ row.serial }}`.
    pub fn columns(&self) -> Vec<String> {
        self.columns.clone()
    }

    /// The text for a device. A list without a column that it uses is an error.
    pub fn render(&self, inv: &Inventory, ix: DeviceIx) -> Result<String, TemplateError> {
        self.render_with(&Speaker::listed(inv, ix), &[])
    }

    /// As [`Template::render`], for whoever speaks and with the values of further names.
    pub fn render_with(
        &self,
        speaker: &Speaker<'_>,
        more: &[(&'static str, Value)],
    ) -> Result<String, TemplateError> {
        let Speaker {
            inventory: inv,
            ix,
            name,
            ..
        } = *speaker;
        let cell = |column: &String| {
            let position = inv.columns().iter().position(|c| c == column);
            let position = position.ok_or_else(|| TemplateError::NoColumn(column.clone()))?;
            Ok(inv.value(ix, position))
        };
        let env = match &self.shape {
            Shape::Literal(text) => return Ok(text.clone()),
            Shape::Name => return Ok(name.to_owned()),
            Shape::Column => return Ok(cell(&self.columns[0])?.to_owned()),
            Shape::Program(env) => env,
        };
        let cells = self
            .columns
            .iter()
            .map(|column| Ok((column.as_str(), cell(column)?)));
        let row: Vec<_> = cells.collect::<Result<_, TemplateError>>()?;
        let own = [
            ("name", Value::from(name)),
            ("index", Value::from(ix.0)),
            ("row", Value::from_pairs(row)),
        ];
        let values = Value::from_pairs(own.into_iter().chain(more.iter().cloned()));
        let template = env.get_template(ITS_NAME).expect("compile added it");
        template.render(values).map_err(|e| TemplateError::Render {
            device: ix.0,
            // The detail may quote a value, which may be a secret.
            why: e.kind().to_string(),
        })
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template")
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}

/// The compiled program and the columns it uses.
fn program(
    text: &str,
    more: &[&str],
) -> Result<(Environment<'static>, Vec<String>), TemplateError> {
    let compiled = compiled(text)?;
    // The interpreter tells `row.x` from `row`, but not `row["x"]`: a second look at the text in
    // which every such subscript is the attribute `row.x` shows whether `row` is used otherwise.
    let (plain, mut columns) = without_subscripts(text);
    let used = used(&if columns.is_empty() {
        compiled.clone()
    } else {
        self::compiled(&plain)?
    });
    for name in used {
        match name.split_once('.') {
            Some(("row", column)) => {
                let column = column.split('.').next().unwrap_or(column);
                if column != SUBSCRIPT {
                    columns.push(column.to_owned());
                }
            }
            _ if name == "row" => return Err(TemplateError::WholeRow),
            _ if ["name", "index"].contains(&name.as_str()) => {}
            Some((first, _)) if more.contains(&first) => {}
            _ if more.contains(&name.as_str()) => {}
            _ if compiled.globals().any(|(global, _)| global == name) => {}
            _ if more.is_empty() => return Err(TemplateError::UnknownName(name)),
            _ => {
                let more = more.iter().map(|name| format!("`{name}`"));
                let more = more.collect::<Vec<_>>().join(", ");
                return Err(TemplateError::UnknownAmong { name, more });
            }
        }
    }
    columns.sort();
    columns.dedup();
    Ok((compiled, columns))
}

fn compiled(text: &str) -> Result<Environment<'static>, TemplateError> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.add_template_owned(ITS_NAME, text.to_owned())
        .map_err(|e| {
            TemplateError::Syntax(
                e.detail()
                    .map_or_else(|| e.kind().to_string(), str::to_owned),
            )
        })?;
    Ok(env)
}

/// The variables it does not set itself, sorted.
fn used(env: &Environment<'static>) -> Vec<String> {
    let template = env.get_template(ITS_NAME).expect("compiled added it");
    let mut used: Vec<_> = template.undeclared_variables(true).into_iter().collect();
    used.sort();
    used
}

/// Replaces each `row["x"]` by an attribute; the columns they name.
fn without_subscripts(text: &str) -> (String, Vec<String>) {
    let (mut plain, mut columns) = (String::new(), Vec::new());
    let mut rest = text;
    while let Some(at) = rest.find("row[") {
        let (before, subscript) = rest.split_at(at);
        plain.push_str(before);
        let inner = &subscript["row[".len()..];
        let quote = inner.chars().next().filter(|c| matches!(c, '"' | '\''));
        let literal = quote.and_then(|quote| inner[1..].split_once(quote));
        match literal.and_then(|(column, after)| Some((column, after.strip_prefix(']')?))) {
            Some((column, after)) if !column.contains('\\') => {
                columns.push(column.to_owned());
                plain.push_str("row.");
                plain.push_str(SUBSCRIPT);
                rest = after;
            }
            _ => {
                plain.push_str("row[");
                rest = inner;
            }
        }
    }
    plain.push_str(rest);
    (plain, columns)
}

const ITS_NAME: &str = "template";

/// Stands for a column whose name is no identifier.
const SUBSCRIPT: &str = "__subscript";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list() -> Inventory {
        let mut list = Inventory::new([
            ("serial".to_owned(), false),
            ("Access Token".to_owned(), false),
        ]);
        assert!(list.push("d0", ["s0", "t0"]) && list.push("d1", ["s1", "t1"]));
        list
    }

    #[test]
    fn each_device_gets_its_own_text() {
        for (text, columns, expected) in [
            ("fixed", &[][..], "fixed"),
            ("{{ name }}", &[], "d1"),
            ("{{name}}", &[], "d1"),
            ("{{ row.serial }}", &["serial"], "s1"),
            ("{{ row['Access Token'] }}", &["Access Token"], "t1"),
            (
                "{{ row.serial }}-{{ row[\"Access Token\"] }}",
                &["Access Token", "serial"],
                "s1-t1",
            ),
            ("{{ name | upper }}/{{ index + 1 }}", &[], "D1/2"),
            (
                "{% if index == 1 %}{{ row.serial }}{% endif %}",
                &["serial"],
                "s1",
            ),
        ] {
            let template = Template::compile(text).unwrap();
            assert_eq!(template.columns(), columns, "{text}");
            assert_eq!(
                template.render(&list(), DeviceIx(1)).unwrap(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn what_has_no_value_is_refused_before_the_run() {
        let unknown = |name: &str| TemplateError::UnknownName(name.to_owned());
        for (text, error) in [
            ("{{ nam }}", unknown("nam")),
            ("{{ device.name }}", unknown("device.name")),
            ("{{ row }}", TemplateError::WholeRow),
            ("{{ row[name] }}", TemplateError::WholeRow),
            (
                "{% for c in row %}{{ c }}{% endfor %}{{ row['x'] }}",
                TemplateError::WholeRow,
            ),
        ] {
            assert_eq!(Template::compile(text).unwrap_err(), error, "{text}");
        }
        assert!(matches!(
            Template::compile("{{ name"),
            Err(TemplateError::Syntax(_))
        ));
    }

    #[test]
    fn a_missing_column_and_a_failing_expression_are_errors_without_values() {
        let render = |text| {
            Template::compile(text)
                .unwrap()
                .render(&list(), DeviceIx(0))
                .unwrap_err()
        };
        assert_eq!(
            render("{{ row.token }}"),
            TemplateError::NoColumn("token".to_owned())
        );
        assert!(!render("{{ row.serial | int }}").to_string().contains("s0"));
    }

    #[test]
    fn debug_hides_the_text() {
        let shown = format!("{:?}", Template::compile("s3cret").unwrap());
        assert_eq!(shown, "Template { columns: [], .. }");
    }

    proptest! {
        #[test]
        fn never_panics(text in r#"(\{\{|\}\}|row|\[|\]|"|'|\.|name| |[a-z]|\{%|%\}|\|){0,12}"#) {
            if let Ok(template) = Template::compile(&text) {
                let _ = template.render(&list(), DeviceIx(0));
            }
        }
    }
}
