//! Paths with `/`.

use super::Table;
use super::texts::one;
use crate::function::Call;
use crate::value::Value;

pub(super) const FUNCTIONS: Table = &[
    ("base", |call| one(call, base)),
    ("dir", |call| one(call, dir)),
    ("clean", |call| one(call, clean)),
    ("ext", |call| one(call, ext)),
    ("isAbs", is_abs),
    ("osBase", |call| one(call, base)),
    ("osDir", |call| one(call, dir)),
    ("osClean", |call| one(call, clean)),
    ("osExt", |call| one(call, ext)),
    ("osIsAbs", is_abs),
];

fn is_abs<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    call.expect(1)?;
    Ok(Value::Bool(call.text(0)?.starts_with('/')))
}

fn base(path: &str) -> String {
    if path.is_empty() {
        return ".".to_owned();
    }
    match path.trim_end_matches('/') {
        "" => "/".to_owned(),
        path => path.rsplit('/').next().unwrap_or(path).to_owned(),
    }
}

fn dir(path: &str) -> String {
    clean(path.rsplit_once('/').map_or("", |(dir, _)| if dir.is_empty() { "/" } else { dir }))
}

fn ext(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rfind('.').and_then(|at| name.get(at..)).unwrap_or_default().to_owned()
}

/// The shortest path that means the same.
fn clean(path: &str) -> String {
    let is_rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(last) if *last != ".." => drop(parts.pop()),
                _ if is_rooted => {}
                _ => parts.push(".."),
            },
            part => parts.push(part),
        }
    }
    match (is_rooted, parts.join("/")) {
        (true, path) => format!("/{path}"),
        (false, path) if path.is_empty() => ".".to_owned(),
        (false, path) => path,
    }
}
