//! Which parts of the data a script can see.
//!
//! Making tables of a whole document costs more than most scripts do. A script that only ever writes `event.a.b` can't see
//! anything else, so nothing else is converted; one that uses `event` in any other way gets all of it.

use std::collections::BTreeMap;

use mlua::{Lua, Table, Value};
use serde_json::{Map, Value as Json};

use crate::convert::to_lua;

const EVENT: &str = "event";

/// The parts of the data that a script names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Everything,
    Parts(Parts),
}

/// Members by name; one without members is wanted whole.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts(BTreeMap<String, Option<Parts>>);

impl Wanted {
    pub(crate) fn of(text: &str) -> Self {
        let mut parts = Parts::default();
        // Other names for the globals: then anything may be looked at.
        if ["_G", "getfenv", "_ENV"].iter().any(|name| text.contains(name)) {
            return Self::Everything;
        }
        for (at, _) in text.match_indices(EVENT) {
            let before = text.get(..at).unwrap_or_default();
            let after = text.get(at + EVENT.len()..).unwrap_or_default();
            if before.ends_with(is_part_of_name) || after.starts_with(is_part_of_name) {
                continue;
            }
            match path(after) {
                Some(path) => parts.want(&path),
                None => return Self::Everything,
            }
        }
        Self::Parts(parts)
    }

    /// What stands under `event`.
    pub(crate) fn table(&self, lua: &Lua, members: &Map<String, Json>) -> mlua::Result<Value> {
        match self {
            Self::Everything => {
                let table = lua.create_table_with_capacity(0, members.len())?;
                for (name, member) in members {
                    table.raw_set(name.as_str(), to_lua(lua, member, 0)?)?;
                }
                Ok(Value::Table(table))
            }
            Self::Parts(parts) => Ok(Value::Table(parts.table(lua, members)?)),
        }
    }
}

impl Parts {
    fn want(&mut self, path: &[String]) {
        let Some((first, rest)) = path.split_first() else { return };
        let member = self.0.entry(first.clone()).or_insert_with(|| (!rest.is_empty()).then(Self::default));
        match member {
            Some(_) if rest.is_empty() => *member = None,
            Some(parts) => parts.want(rest),
            None => {}
        }
    }

    fn table(&self, lua: &Lua, members: &Map<String, Json>) -> mlua::Result<Table> {
        let table = lua.create_table_with_capacity(0, self.0.len())?;
        for (name, parts) in &self.0 {
            let value = match (members.get(name), parts) {
                (None, _) => continue,
                (Some(Json::Object(members)), Some(parts)) => Value::Table(parts.table(lua, members)?),
                (Some(other), _) => to_lua(lua, other, 1)?,
            };
            table.raw_set(name.as_str(), value)?;
        }
        Ok(table)
    }
}

/// The names of `.a.b` at the beginning; `None` when something else follows that sees all of it.
fn path(text: &str) -> Option<Vec<String>> {
    let mut path = Vec::new();
    let mut rest = text;
    while let Some(after) = rest.trim_start().strip_prefix('.').filter(|after| !after.starts_with('.')) {
        let after = after.trim_start();
        let length = after.find(|c: char| !is_part_of_name(c)).unwrap_or(after.len());
        let name = after.get(..length).filter(|name| !name.is_empty())?;
        path.push(name.to_owned());
        rest = after.get(length..).unwrap_or_default();
    }
    (!path.is_empty()).then_some(path)
}

fn is_part_of_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}
