//! Interpreters, kept between calls: a fresh one costs as much as a thousand calls.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use mlua::chunk::ChunkMode;
use mlua::{Function, Lua, LuaString, MultiValue, Table, Value, VmState};

use crate::Limits;

/// Idle interpreters, at most; each keeps the scripts it has loaded.
const MAX_IDLE: usize = 16;
/// Scripts that one interpreter keeps loaded.
const MAX_SCRIPTS: usize = 256;

static IDLE: Mutex<Vec<State>> = Mutex::new(Vec::new());

/// What would look outside, load code, or see another call's world.
const REMOVED: [&str; 13] = [
    "loadstring",
    "load",
    "dofile",
    "loadfile",
    "require",
    "setfenv",
    "getfenv",
    "newproxy",
    "collectgarbage",
    "gcinfo",
    "debug",
    "os",
    "print",
];

/// Functions of 5.1 under the names that scripts of the field know.
const SHIMS: &str = "
math.mod = function(a, b) return a % b end
local format = string.format
string.format = function(pattern, ...)
    local count, given = select('#', ...), {...}
    for at = 1, count do
        local kind = type(given[at])
        if kind ~= 'string' and kind ~= 'number' then given[at] = tostring(given[at]) end
    end
    return format(pattern, unpack(given, 1, count))
end
string.gfind = string.gmatch
print = function() end
";

/// The clock is looked at so often.
const STEPS_PER_LOOK: u64 = 16;

#[expect(clippy::disallowed_methods, reason = "no script sees it: it only ends one that holds up a thread")]
fn now() -> Instant {
    Instant::now()
}

/// Microseconds.
fn since(born: Instant) -> u64 {
    u64::try_from(now().duration_since(born).as_micros()).unwrap_or(u64::MAX)
}

pub(crate) struct State {
    lua: Lua,
    scripts: Mutex<BTreeMap<u64, Function>>,
    /// Steps that the running call has left.
    steps: Arc<AtomicU64>,
    /// When the running call must end, in microseconds after `born`.
    deadline: Arc<AtomicU64>,
    born: Instant,
    /// Where a script's own globals fall back to.
    globals: Table,
}

/// An idle interpreter, or a new one.
pub(crate) fn take() -> mlua::Result<State> {
    let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
    idle.map_or_else(State::new, Ok)
}

/// After a call that ended well. One that failed is dropped: nobody knows what it left behind.
pub(crate) fn give_back(state: State) {
    let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
    if idle.len() < MAX_IDLE {
        idle.push(state);
    }
}

impl State {
    fn new() -> mlua::Result<Self> {
        let lua = Lua::new();
        for name in REMOVED {
            lua.globals().raw_set(name, Value::Nil)?;
        }
        lua.load(SHIMS).exec()?;
        let string: Table = lua.globals().get("string")?;
        for (name, mapped) in
            [("upper", zetes_gotext::upper as fn(&str) -> String), ("lower", zetes_gotext::lower)]
        {
            let function = move |_: &Lua, text: LuaString| Ok(mapped(&text.to_string_lossy()));
            string.raw_set(name, lua.create_function(function)?)?;
        }
        lua.sandbox(true)?;
        let steps = Arc::new(AtomicU64::new(0));
        let deadline = Arc::new(AtomicU64::new(u64::MAX));
        let (left, ends_at) = (steps.clone(), deadline.clone());
        let born = now();
        lua.set_interrupt(move |_| {
            let before = left.load(Ordering::Relaxed);
            if before == 0 {
                return Err(mlua::Error::RuntimeError("the script took too many steps".to_owned()));
            }
            // A step is cheap, but for the library's functions on much data.
            if before.is_multiple_of(STEPS_PER_LOOK) && since(born) > ends_at.load(Ordering::Relaxed) {
                return Err(mlua::Error::RuntimeError("the script took too long".to_owned()));
            }
            left.store(before - 1, Ordering::Relaxed);
            Ok(VmState::Continue)
        });
        let meta = lua.create_table()?;
        meta.raw_set("__index", lua.globals())?;
        Ok(Self { lua, scripts: Mutex::default(), steps, deadline, born, globals: meta })
    }

    /// Runs a script with globals of its own.
    pub(crate) fn call(
        &self,
        id: u64,
        bytecode: &[u8],
        limits: &Limits,
        event: impl FnOnce(&Lua) -> mlua::Result<Value>,
    ) -> mlua::Result<MultiValue> {
        self.lua.set_memory_limit(limits.memory)?;
        self.steps.store(limits.steps, Ordering::Relaxed);
        let time = u64::try_from(limits.time.as_micros()).unwrap_or(u64::MAX);
        self.deadline.store(since(self.born).saturating_add(time), Ordering::Relaxed);
        let function = self.loaded(id, bytecode)?;
        let environment = self.lua.create_table_with_capacity(0, 2)?;
        environment.raw_set("event", event(&self.lua)?)?;
        environment.raw_set("_G", environment.clone())?;
        environment.set_metatable(Some(self.globals.clone()))?;
        function.set_environment(environment)?;
        function.call(())
    }

    fn loaded(&self, id: u64, bytecode: &[u8]) -> mlua::Result<Function> {
        let mut scripts = self.scripts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(function) = scripts.get(&id) {
            return Ok(function.clone());
        }
        if scripts.len() >= MAX_SCRIPTS {
            scripts.clear();
        }
        let function =
            self.lua.load(bytecode).set_name("=<string>").set_mode(ChunkMode::Binary).into_function()?;
        scripts.insert(id, function.clone());
        Ok(function)
    }
}
