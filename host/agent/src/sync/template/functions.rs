//! The functions of templates that differ from those of the library, and the search for unknown ones.

use std::fmt::Write as _;
use std::sync::Arc;

use gotmpl::parse::{BranchNode, Expr, ListNode, Node, PipeNode};
use gotmpl::{Template, Value};

/// The functions that every template of Go has.
const KNOWN: [&str; 19] = [
    "and", "call", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not", "or",
    "print", "printf", "println", "slice", "urlquery",
];

/// Makes a function of one that escapes a text. As in Go, it prints several arguments into one text.
pub(super) fn escaping(
    escape: fn(&str) -> String,
) -> impl Fn(&[Value]) -> gotmpl::Result<Value> + Send + Sync + 'static {
    move |arguments| Ok(Value::String(Arc::from(escape(&print(arguments)))))
}

/// Prints values, with a space between two of which none is a text.
fn print(values: &[Value]) -> String {
    let mut text = String::new();
    let mut is_after_text = true;
    for value in values {
        let is_text = matches!(value, Value::String(_));
        if !is_after_text && !is_text {
            text.push(' ');
        }
        // A string takes everything.
        let _ = match value {
            Value::Nil => write!(text, "<no value>"),
            other => write!(text, "{other}"),
        };
        is_after_text = is_text;
    }
    text
}

/// Returns the first function that does not exist. Go finds it when it parses a template, also in branches that are not
/// executed.
pub(super) fn unknown(template: &Template) -> Option<String> {
    let names = template.templates();
    let lists = names.into_iter().chain([template.name()]);
    lists
        .filter_map(|name| template.lookup(name))
        .find_map(in_list)
}

fn in_list(list: &ListNode) -> Option<String> {
    list.nodes.iter().find_map(|node| match node {
        Node::List(list) => in_list(list),
        Node::Action(action) => in_pipe(&action.pipe),
        Node::If(branch) | Node::Range(branch) | Node::With(branch) => in_branch(branch),
        Node::Template(template) => template.pipe.as_ref().and_then(in_pipe),
        Node::Define(define) => in_list(&define.body),
        Node::Text(_) | Node::Break(_) | Node::Continue(_) => None,
    })
}

fn in_branch(branch: &BranchNode) -> Option<String> {
    let other = || branch.else_body.as_ref().and_then(in_list);
    in_pipe(&branch.pipe)
        .or_else(|| in_list(&branch.body))
        .or_else(other)
}

fn in_pipe(pipe: &PipeNode) -> Option<String> {
    let mut expressions = pipe.commands.iter().flat_map(|command| &command.args);
    expressions.find_map(in_expression)
}

fn in_expression(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Identifier(_, name) if !KNOWN.contains(&name.as_str()) => Some(name.to_string()),
        Expr::Pipe(_, pipe) => in_pipe(pipe),
        Expr::Chain(_, inner, _) => in_expression(inner),
        _ => None,
    }
}
