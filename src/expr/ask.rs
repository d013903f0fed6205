//! What a condition may ask of the host it is about: names and arguments. What an answer means is known further up.

use super::place::Pin;
use crate::fault::{Fault, Place};
use cel::common::ast::LiteralValue;
use cel::{IdedExpr, Value, common::ast::Expr};

/// One question of a condition, its arguments as text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ask {
    pub function: &'static str,
    pub args: Vec<String>,
}

/// As it stands in a condition.
impl std::fmt::Display for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let takes = find(self.function).map_or(&[][..], |function| function.takes);
        let one = |(n, arg): (usize, &String)| match takes.get(n) {
            Some(Takes::Number) => arg.clone(),
            _ => format!("{arg:?}"),
        };
        let args: Vec<String> = self.args.iter().enumerate().map(one).collect();
        write!(f, "{}({})", self.function, args.join(", "))
    }
}

/// What is known of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    True,
    False,
    Text(String),
    /// It was asked, and cannot be told, with the reason.
    Unknown(String),
    /// It was not asked yet.
    Unasked,
    /// It cannot be asked like that, with the reason.
    Wrong(String),
}

impl Reply {
    pub fn is(truth: bool) -> Self {
        if truth { Self::True } else { Self::False }
    }
}

/// A function that asks the host.
pub(super) struct Function {
    pub name: &'static str,
    takes: &'static [Takes],
    /// So many arguments must be there.
    least: usize,
    example: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    Text,
    Number,
}

const fn text(name: &'static str, example: &'static str) -> Function {
    Function { name, takes: &[Takes::Text], least: 1, example }
}

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "installed",
        takes: &[Takes::Text, Takes::Text],
        least: 1,
        example: "installed(\"nginx\")` or `installed(\"nginx\", \"1.22\")",
    },
    text("exists", "exists(\"/etc/nginx\")"),
    text("running", "running(\"docker.service\")"),
    text("enabled", "enabled(\"ssh.service\")"),
    Function {
        name: "listens",
        takes: &[Takes::Number, Takes::Text],
        least: 1,
        example: "listens(443)` or `listens(53, \"udp\")",
    },
    text("sysctl", "sysctl(\"net.ipv4.ip_forward\") == \"1\""),
    text("account", "account(\"git\")"),
    text("mounted", "mounted(\"/tmp\")"),
];

pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// A question with its place, and the places of its arguments.
pub(super) type Placed = (Ask, Place, Vec<Place>);

impl Function {
    pub fn hint(&self) -> String {
        format!("write `{}`", self.example)
    }

    /// The question of a call, where all arguments are literals; `starts` are those of the arguments in the text.
    pub fn read(&self, args: &[IdedExpr], starts: &[usize], pin: &Pin<'_>) -> Result<Option<Placed>, Fault> {
        let before = starts.first().map_or(pin.text, |first| pin.text.get(..*first).unwrap_or(pin.text));
        let at = before.rfind(self.name).map_or_else(|| pin.place.clone(), |at| pin.at(at, self.name.len()));
        if args.len() < self.least || args.len() > self.takes.len() {
            let some = match (self.least, self.takes.len()) {
                (1, 1) => "one argument".to_owned(),
                (least, most) => format!("{least} to {most} arguments"),
            };
            return Err(Fault::new(format!("`{}` takes {some}, found {}", self.name, args.len()))
                .at(&at)
                .hint(self.hint()));
        }
        let (mut texts, mut places, mut all) = (Vec::new(), Vec::new(), true);
        for ((arg, takes), start) in args.iter().zip(self.takes).zip(starts) {
            let place = pin.at(*start, length(&pin.text[*start..]));
            match (&arg.expr, takes) {
                (Expr::Literal(LiteralValue::String(text)), Takes::Text) => texts.push(text.inner().to_owned()),
                (Expr::Literal(LiteralValue::Int(number)), Takes::Number) => texts.push(number.inner().to_string()),
                (Expr::Literal(_) | Expr::List(_) | Expr::Map(_), _) => {
                    let fault = Fault::new(format!("`{}` wants a {}", self.name, takes.word())).at(&place);
                    return Err(fault.hint(self.hint()));
                }
                _ => all = false,
            }
            places.push(place);
        }
        Ok(all.then_some((Ask { function: self.name, args: texts }, at, places)))
    }

    /// The question with arguments that were worked out, or why it is none.
    pub fn ask(&self, args: &[Value]) -> Result<Ask, String> {
        let one = |(value, takes): (&Value, &Takes)| match (value, takes) {
            (Value::String(text), Takes::Text) => Ok(text.to_string()),
            (Value::Int(number), Takes::Number) => Ok(number.to_string()),
            (other, takes) => Err(format!("`{}` wants a {}, this is a {}", self.name, takes.word(), other.type_of())),
        };
        let args = args.iter().zip(self.takes).map(one).collect::<Result<Vec<_>, _>>()?;
        // It would be seen on command lines of the host.
        if args.iter().any(|arg| crate::secret::holds(arg)) {
            return Err(format!("`{}` cannot ask about a secret: it would be seen", self.name));
        }
        Ok(Ask { function: self.name, args })
    }
}

impl Takes {
    fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
        }
    }
}

/// How long the literal or word at the beginning of a text is.
fn length(text: &str) -> usize {
    let quoted = |quote: char| {
        let mut escaped = false;
        let end = text.char_indices().skip(1).find(|(_, c)| {
            let ends = *c == quote && !escaped;
            escaped = *c == '\\' && !escaped;
            ends
        });
        end.map_or(text.len(), |(at, _)| at + 1)
    };
    match text.chars().next() {
        Some(quote @ ('"' | '\'')) => quoted(quote),
        _ => text.find(|c: char| !(c.is_alphanumeric() || "._-".contains(c))).unwrap_or(text.len()).max(1),
    }
}
