//! Finds unknown functions when a template is parsed, as Go does, also in branches that are not executed.

use gotmpl::Template;
use gotmpl::parse::{BranchNode, Expr, ListNode, Node, PipeNode};

/// The functions that every template of Go has.
const KNOWN: [&str; 19] = [
    "and", "call", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not", "or",
    "print", "printf", "println", "slice", "urlquery",
];

/// Returns the first function that does not exist.
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
