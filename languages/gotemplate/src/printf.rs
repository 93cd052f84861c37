//! Go's `fmt.Sprintf`, for the values that templates have.

use zetes_gotext::{print_float, special};

use crate::floats;
use crate::print::print;
use crate::quote::{is_printable, quote, quoted_character};
use crate::value::Value;

/// Widths and precisions are at most so large; Go refuses larger ones, too.
const MAX_SIZE: usize = 1_000_000;

/// The flags, the width and the precision of one directive: `%-08.3f`.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one of Go's flags")]
struct Spec {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    /// `%#v`: as Go source.
    source: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

pub(crate) fn sprintf(format: &str, arguments: &[Value<'_>]) -> String {
    let mut reader = Reader { rest: format, arguments, next: 0, reordered: false, is_good: true };
    let mut writer = Writer { out: String::new(), spec: Spec::default(), is_bad: false };
    while let Some((text, rest)) = reader.rest.split_once('%') {
        writer.out.push_str(text);
        reader.rest = rest;
        reader.directive(&mut writer);
        if writer.out.len() > crate::function::MAX_BYTES {
            return writer.out;
        }
    }
    writer.out.push_str(reader.rest);
    if !reader.reordered {
        writer.extra(arguments.get(reader.next..).unwrap_or_default());
    }
    writer.out
}

/// Reads the directives, and knows which argument is next.
struct Reader<'f, 'a, 'd> {
    rest: &'f str,
    arguments: &'a [Value<'d>],
    next: usize,
    reordered: bool,
    /// Whether the indices of this directive are those of arguments.
    is_good: bool,
}

impl Reader<'_, '_, '_> {
    /// Behind `%`.
    fn directive(&mut self, writer: &mut Writer) {
        let mut spec = self.flags();
        self.is_good = true;
        let mut after_index = self.index();
        if self.skip('*') {
            let width = self.star();
            if width.is_none() {
                writer.out.push_str("%!(BADWIDTH)");
            }
            if width.is_some_and(|width| width < 0) {
                (spec.minus, spec.zero) = (true, false);
            }
            spec.width = width.and_then(|width| usize::try_from(width.unsigned_abs()).ok());
            after_index = false;
        } else {
            spec.width = self.number();
            self.is_good &= !(after_index && spec.width.is_some());
        }
        if self.rest.len() > 1 && self.skip('.') {
            self.is_good &= !after_index;
            after_index = self.index();
            if self.skip('*') {
                let precision = self.star();
                spec.precision = precision.and_then(|precision| usize::try_from(precision).ok());
                if spec.precision.is_none() {
                    writer.out.push_str("%!(BADPREC)");
                }
                after_index = false;
            } else {
                spec.precision = Some(self.number().unwrap_or(0));
            }
        }
        if !after_index {
            self.index();
        }
        let Some(verb) = self.rest.chars().next() else {
            writer.out.push_str("%!(NOVERB)");
            return;
        };
        self.rest = self.rest.get(verb.len_utf8()..).unwrap_or_default();
        match self.arguments.get(self.next) {
            _ if verb == '%' => writer.out.push('%'),
            _ if !self.is_good => writer.out.push_str(&format!("%!{verb}(BADINDEX)")),
            None => writer.out.push_str(&format!("%!{verb}(MISSING)")),
            Some(value) => {
                self.next += 1;
                if verb == 'v' {
                    // `%+v` asks for field names, not for signs.
                    (spec.source, spec.sharp, spec.plus) = (spec.sharp, false, false);
                }
                writer.spec = spec;
                writer.argument(value, verb);
            }
        }
    }

    fn skip(&mut self, wanted: char) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn flags(&mut self) -> Spec {
        let mut spec = Spec::default();
        loop {
            match self.rest.chars().next() {
                Some('-') => spec.minus = true,
                Some('+') => spec.plus = true,
                Some('#') => spec.sharp = true,
                Some(' ') => spec.space = true,
                Some('0') => spec.zero = true,
                _ => return spec,
            }
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
    }

    /// `[3]`: the argument that comes next. Whether there was a number in brackets that is one.
    fn index(&mut self) -> bool {
        let Some(inside) = self.rest.strip_prefix('[') else { return false };
        self.reordered = true;
        let Some((digits, rest)) = inside.split_once(']').filter(|_| self.rest.len() > 2) else {
            self.is_good = false;
            self.rest = inside;
            return false;
        };
        self.rest = rest;
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let wanted = digits.parse().ok().filter(|wanted: &usize| is_number && *wanted <= MAX_SIZE);
        match wanted.and_then(|wanted| wanted.checked_sub(1)).filter(|at| *at < self.arguments.len()) {
            Some(at) => self.next = at,
            None => self.is_good = false,
        }
        wanted.is_some()
    }

    fn number(&mut self) -> Option<usize> {
        let length = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.rest.split_at(length);
        self.rest = rest;
        if digits.is_empty() {
            return None;
        }
        let number = digits.parse().ok().filter(|number: &usize| *number <= MAX_SIZE);
        if number.is_none() {
            // Go looks no further.
            self.rest = "";
        }
        number
    }

    fn star(&mut self) -> Option<i64> {
        let value = self.arguments.get(self.next)?.clone().shallow();
        self.next += 1;
        let number = match value {
            Value::Int(number, _) => number,
            Value::Object(object) => object.as_integer()?,
            _ => return None,
        };
        Some(number).filter(|number| number.unsigned_abs() <= MAX_SIZE as u64)
    }
}

/// Writes values by one directive.
struct Writer {
    out: String,
    spec: Spec,
    /// A value is written that its verb does not fit: its methods aren't called.
    is_bad: bool,
}

impl Writer {
    fn extra(&mut self, arguments: &[Value<'_>]) {
        if arguments.is_empty() {
            return;
        }
        let extra = arguments.iter().map(|value| match value.clone().shallow() {
            Value::Nil | Value::Missing => "<nil>".to_owned(),
            value => format!("{}={}", value.type_name(), print(&value)),
        });
        let extra: Vec<String> = extra.collect();
        self.out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }

    fn argument(&mut self, value: &Value<'_>, verb: char) {
        let value = value.clone().shallow();
        match (verb, &value) {
            ('v' | 'T', Value::Nil | Value::Missing) => self.padded("<nil>"),
            (_, Value::Nil | Value::Missing) => self.out.push_str(&format!("%!{verb}(<nil>)")),
            ('T', _) => self.text(value.type_name()),
            _ => self.value(&value, verb, 0),
        }
    }

    fn value(&mut self, value: &Value<'_>, verb: char, depth: usize) {
        if depth > 256 || self.out.len() > crate::function::MAX_BYTES {
            self.out.push('…');
            return;
        }
        match value {
            Value::Nil | Value::Missing => {
                self.out.push_str(if self.spec.source { "interface {}(nil)" } else { "<nil>" });
            }
            Value::Bool(boolean) => match verb {
                't' | 'v' => self.padded(&boolean.to_string()),
                _ => self.bad(value, verb),
            },
            Value::Int(number, _) => self.integer(value, *number, verb),
            Value::Float(number) => self.float(value, *number, verb),
            Value::String(text) => self.string(value, text, verb),
            Value::List(elements) => {
                let elements = elements.iter().map(|element| (None, element.clone()));
                self.members(value, elements, verb, depth);
            }
            Value::Map(members) => {
                let members = members.borrow().clone();
                self.members(
                    value,
                    members.into_iter().map(|(name, member)| (Some(name), member)),
                    verb,
                    depth,
                );
            }
            Value::Object(object) => {
                let is_method = matches!(verb, 'v' | 's' | 'x' | 'X' | 'q') && !self.is_bad;
                match object.as_integer().filter(|_| !is_method) {
                    Some(number) => self.integer(value, number, verb),
                    None if is_method => self.string(value, &object.print(), verb),
                    None => {
                        self.out.push_str(&format!("%!{verb}({}={})", object.type_name(), object.print()));
                    }
                }
            }
            Value::Json(_) => self.value(&value.clone().shallow(), verb, depth + 1),
        }
    }

    fn members<'d>(
        &mut self,
        value: &Value<'d>,
        members: impl Iterator<Item = (Option<String>, Value<'d>)>,
        verb: char,
        depth: usize,
    ) {
        let source = self.spec.source;
        match value {
            _ if source => self.out.push_str(&format!("{}{{", value.type_name())),
            Value::Map(_) => self.out.push_str("map["),
            _ => self.out.push('['),
        }
        for (at, (name, member)) in members.enumerate() {
            if at > 0 {
                self.out.push_str(if source { ", " } else { " " });
            }
            if let Some(name) = name {
                self.value(&Value::text(name), verb, depth + 1);
                self.out.push(':');
            }
            self.value(&member.shallow(), verb, depth + 1);
        }
        self.out.push(if source { '}' } else { ']' });
    }

    /// A value that the verb is not for.
    fn bad(&mut self, value: &Value<'_>, verb: char) {
        self.out.push_str(&format!("%!{verb}({}=", value.type_name()));
        self.is_bad = true;
        self.value(value, 'v', 0);
        self.is_bad = false;
        self.out.push(')');
    }

    /// Fills up to the width: behind where `-` says so, in front otherwise.
    fn padded(&mut self, text: &str) {
        let missing = self.spec.width.unwrap_or(0).saturating_sub(text.chars().count());
        let filler = if self.spec.zero && !self.spec.minus { "0" } else { " " };
        if !self.spec.minus {
            self.out.push_str(&filler.repeat(missing));
        }
        self.out.push_str(text);
        if self.spec.minus {
            self.out.push_str(&filler.repeat(missing));
        }
    }

    /// As [`Writer::padded`], always with blanks.
    fn padded_with_blanks(&mut self, text: &str) {
        let zero = std::mem::replace(&mut self.spec.zero, false);
        self.padded(text);
        self.spec.zero = zero;
    }

    /// As many characters as the precision allows.
    fn cut<'t>(&self, text: &'t str) -> &'t str {
        let end = self.spec.precision.and_then(|precision| text.char_indices().nth(precision));
        end.and_then(|(end, _)| text.get(..end)).unwrap_or(text)
    }

    fn text(&mut self, text: &str) {
        self.padded(self.cut(text));
    }

    fn string(&mut self, value: &Value<'_>, text: &str, verb: char) {
        match verb {
            'v' if self.spec.source => self.quoted(text),
            'v' | 's' => self.text(text),
            'q' => self.quoted(text),
            'x' | 'X' => self.hexadecimal(text.as_bytes(), verb),
            _ => self.bad(value, verb),
        }
    }

    /// As Go quotes a string.
    fn quoted(&mut self, text: &str) {
        let text = self.cut(text);
        let has_quote =
            text.contains(['`', '\u{feff}']) || text.chars().any(|c| c.is_ascii_control() && c != '\t');
        if self.spec.sharp && !has_quote {
            self.padded(&format!("`{text}`"));
        } else {
            self.padded(&quote(text, self.spec.plus));
        }
    }

    fn hexadecimal(&mut self, bytes: &[u8], verb: char) {
        let length = self.spec.precision.unwrap_or(bytes.len()).min(bytes.len());
        let prefix = if self.spec.sharp { format!("0{verb}") } else { String::new() };
        let digits = bytes.iter().take(length).enumerate().map(|(at, byte)| {
            let separator = match (self.spec.space, at) {
                (false, 1..) => "",
                (true, 1..) => &format!(" {prefix}"),
                _ => &prefix,
            };
            if verb == 'x' { format!("{separator}{byte:02x}") } else { format!("{separator}{byte:02X}") }
        });
        let digits: String = digits.collect();
        self.padded(&digits);
    }

    fn integer(&mut self, value: &Value<'_>, number: i64, verb: char) {
        let digits = number.unsigned_abs();
        let (text, prefix) = match verb {
            'v' | 'd' => (digits.to_string(), ""),
            'b' => (format!("{digits:b}"), "0b"),
            'o' | 'O' => (format!("{digits:o}"), "0"),
            'x' => (format!("{digits:x}"), "0x"),
            'X' => (format!("{digits:X}"), "0X"),
            'c' => return self.padded(&character(number).to_string()),
            'q' => return self.padded(&quoted_character(character(number), self.spec.plus)),
            'U' => return self.unicode(number),
            _ => return self.bad(value, verb),
        };
        let spec = self.spec;
        let sign = sign(&spec, number < 0);
        let least = match (spec.precision, spec.width) {
            (Some(0), _) if number == 0 => return self.padded_with_blanks(""),
            (Some(precision), _) => precision,
            (None, Some(width)) if spec.zero && !spec.minus => width.saturating_sub(sign.len()),
            _ => 0,
        };
        let text = format!("{text:0>least$}");
        let prefix = if spec.sharp && !(prefix == "0" && text.starts_with('0')) { prefix } else { "" };
        let octal = if verb == 'O' { "0o" } else { "" };
        self.padded_with_blanks(&format!("{sign}{octal}{prefix}{text}"));
    }

    /// `U+0041`, and `U+0041 'A'` where `#` asks for it.
    fn unicode(&mut self, number: i64) {
        let least = self.spec.precision.unwrap_or(0).max(4);
        let found = u32::try_from(number).ok().and_then(char::from_u32);
        let shown = match found.filter(|c| self.spec.sharp && is_printable(*c)) {
            Some(character) => format!(" '{character}'"),
            None => String::new(),
        };
        self.padded_with_blanks(&format!("U+{number:0>least$X}{shown}"));
    }

    fn float(&mut self, value: &Value<'_>, number: f64, verb: char) {
        if !matches!(verb, 'v' | 'b' | 'g' | 'G' | 'x' | 'X' | 'f' | 'F' | 'e' | 'E') {
            return self.bad(value, verb);
        }
        let (spec, size) = (self.spec, number.abs());
        if let Some(text) = special(size) {
            let sign =
                if number.is_nan() && !spec.plus { sign(&spec, false) } else { sign(&spec, number < 0.0) };
            let sign = if number.is_infinite() && sign.is_empty() { "+" } else { sign };
            return self.padded_with_blanks(&format!("{sign}{}", text.trim_start_matches('+')));
        }
        let text = match (verb, spec.precision) {
            ('f' | 'F', precision) => format!("{size:.precision$}", precision = precision.unwrap_or(6)),
            ('e' | 'E', precision) => floats::exponential(size, precision.unwrap_or(6)),
            ('b', _) => floats::binary(size),
            ('x' | 'X', precision) => floats::hexadecimal(size, precision),
            (_, None) => print_float(size),
            (_, Some(precision)) => floats::general(size, precision),
        };
        let text =
            if spec.sharp && verb != 'b' { floats::with_point(&text, verb, spec.precision) } else { text };
        let text = if verb.is_ascii_uppercase() { text.to_uppercase() } else { text };
        let sign = sign(&spec, number.is_sign_negative());
        if spec.zero && !spec.minus {
            let width = spec.width.unwrap_or(0).saturating_sub(sign.len());
            self.out.push_str(&format!("{sign}{text:0>width$}"));
        } else {
            self.padded(&format!("{sign}{text}"));
        }
    }
}

fn sign(spec: &Spec, is_negative: bool) -> &'static str {
    if is_negative {
        "-"
    } else if spec.plus {
        "+"
    } else if spec.space {
        " "
    } else {
        ""
    }
}

fn character(number: i64) -> char {
    u32::try_from(number).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}
