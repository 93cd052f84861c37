//! A program's own functions may call themselves without touching a value: each call counts, and each use of an argument.

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::path::Part;

/// Its input, one step later.
pub(crate) const STEP: &str = "__step";
/// The same for a function that hands arguments on to itself: each call may hold on to the one before, and what they hold is
/// given back in one go, on the stack.
pub(crate) const CHAINED_STEP: &str = "__chained_step";
/// What a chained step counts.
pub(crate) const CHAINED_STEPS: usize = 20;

/// What jaq has, or needs for itself, and gojq has not: unknown, unless the program defines it.
const FOREIGN: [&str; 34] = [
    "ascii",
    "capture_of_match",
    "date",
    "debug",
    "debug_empty",
    "decode_base64",
    "decode_uri",
    "encode_base64",
    "encode_uri",
    "error_empty",
    "escape_html",
    "escape_sh",
    "ilogb",
    "isarray",
    "isboolean",
    "isnumber",
    "isobject",
    "isstring",
    "key_values",
    "keys_unsorted",
    "leaf_paths",
    "matches",
    "max_by_or_empty",
    "min_by_or_empty",
    "path_value",
    "pow10",
    "scan_",
    "split_",
    "split_matches",
    "stderr",
    "stderr_empty",
    "toarray",
    "unescape_html",
    "@htmld",
];

/// Goes through a program and makes every function that it defines, and every argument that it gives, begin with a step.
#[derive(Default)]
pub(crate) struct Counter<'s> {
    /// The functions around: name, number of arguments, and whether it calls itself.
    open: Vec<(&'s str, usize, bool)>,
    /// Functions and arguments that the program gives names to.
    defined: Vec<&'s str>,
    /// A name of jaq that gojq does not know.
    pub(crate) foreign: Option<&'s str>,
    /// Whether there is a function that hands arguments on to itself.
    pub(crate) is_chained: bool,
}

impl<'s> Counter<'s> {
    pub(crate) fn count(&mut self, term: &mut Term<&'s str>) {
        match term {
            Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) | Term::Arr(None) => {}
            Term::Str(_, parts) => {
                for part in parts {
                    if let StrPart::Term(inner) = part {
                        self.count(inner);
                    }
                }
            }
            Term::Arr(Some(inner)) | Term::Neg(inner) | Term::Label(_, inner) => self.count(inner),
            Term::Obj(members) => {
                for (name, value) in members {
                    self.count(name);
                    self.count_all(value);
                }
            }
            Term::BinOp(left, operator, right) => {
                self.count(left);
                if let BinaryOp::Pipe(Some(pattern)) = operator {
                    self.count_pattern(pattern);
                }
                self.count(right);
            }
            Term::Fold(_, over, pattern, arguments) => {
                self.count(over);
                self.count_pattern(pattern);
                self.count_all(arguments);
            }
            Term::TryCatch(inner, caught) => {
                self.count(inner);
                self.count_all(caught.as_deref_mut());
            }
            Term::IfThenElse(branches, otherwise) => {
                for (condition, then) in branches {
                    self.count(condition);
                    self.count(then);
                }
                self.count_all(otherwise.as_deref_mut());
            }
            Term::Def(definitions, rest) => {
                for definition in definitions {
                    self.count_definition(definition);
                }
                self.count(rest);
            }
            Term::Call(name, arguments) => {
                if FOREIGN.contains(name) && !self.defined.contains(name) {
                    self.foreign = self.foreign.or(Some(*name));
                }
                let called =
                    self.open.iter_mut().filter(|(open, arity, _)| open == name && *arity == arguments.len());
                called.for_each(|(.., calls_itself)| *calls_itself = true);
                for argument in arguments {
                    self.count(argument);
                    step_before(STEP, argument);
                }
            }
            Term::Path(of, path) => {
                self.count(of);
                for (part, _) in &mut path.0 {
                    match part {
                        Part::Index(index) => self.count(index),
                        Part::Range(from, to) => self.count_all(from.iter_mut().chain(to)),
                    }
                }
            }
        }
    }

    fn count_all<'t>(&mut self, terms: impl IntoIterator<Item = &'t mut Term<&'s str>>)
    where
        's: 't,
    {
        terms.into_iter().for_each(|term| self.count(term));
    }

    fn count_definition(&mut self, definition: &mut Def<&'s str>) {
        self.open.push((definition.name, definition.args.len(), false));
        self.defined.push(definition.name);
        self.defined.extend(&definition.args);
        self.count(&mut definition.body);
        let is_chained =
            self.open.pop().is_some_and(|(_, arguments, calls_itself)| arguments > 0 && calls_itself);
        self.is_chained |= is_chained;
        step_before(if is_chained { CHAINED_STEP } else { STEP }, &mut definition.body);
    }

    fn count_pattern(&mut self, pattern: &mut Pattern<&'s str>) {
        match pattern {
            Pattern::Var(_) => {}
            Pattern::Arr(elements) => elements.iter_mut().for_each(|element| self.count_pattern(element)),
            Pattern::Obj(members) => {
                for (name, value) in members {
                    self.count(name);
                    self.count_pattern(value);
                }
            }
        }
    }
}

fn step_before(step: &'static str, term: &mut Term<&str>) {
    let after = Box::new(std::mem::take(term));
    *term = Term::BinOp(Box::new(Term::Call(step, Vec::new())), BinaryOp::Pipe(None), after);
}
