//! Reads the tree of a template: checks it as Go's parser does, and adds functions that note the line and count what the
//! execution costs.

use std::collections::{BTreeMap, BTreeSet};

use gotmpl::TemplateError as Cause;
use gotmpl::parse::{
    ActionNode, BranchNode, CommandNode, Expr, ListNode, Node, Number, Parser, PipeNode, Pos,
    SmolStr, TemplateNode,
};

use super::functions::{DATA, EACH, KNOWN, LINE, SHOW, STEP, WEIGH, WEIGHED};

/// The steps of a call of a template.
const CALL_STEPS: i64 = 10;
/// The variable that every template has.
const DOLLAR: SmolStr = SmolStr::new_static("$");

/// A template cannot be executed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TreeError {
    #[error("{0}")]
    Parse(Cause),
    #[error("line {line}, column {column}: {message}")]
    Place {
        line: usize,
        column: usize,
        message: String,
    },
    #[error("line {1}: undefined function: {0}")]
    Function(SmolStr, usize),
    #[error("line {1}: undefined variable: {0}")]
    Variable(SmolStr, usize),
    #[error("line {1}: the template {0:?} is defined twice")]
    Twice(SmolStr, usize),
}

impl From<Cause> for TreeError {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Parse {
                line, col, message, ..
            }
            | Cause::Lex {
                line, col, message, ..
            } => Self::Place {
                line,
                column: col,
                message,
            },
            other => Self::Parse(other),
        }
    }
}

impl TreeError {
    /// Returns the line in the template. The first one is 1.
    pub(super) fn line(&self) -> usize {
        match self {
            Self::Parse(_) => 1,
            Self::Place { line, .. }
            | Self::Function(_, line)
            | Self::Variable(_, line)
            | Self::Twice(_, line) => *line,
        }
    }
}

/// Returns the tree of a template, and the trees of the templates that it defines, by name.
pub(super) fn read(text: &str) -> Result<(ListNode, BTreeMap<SmolStr, ListNode>), TreeError> {
    let (mut root, defines) = Parser::new(text, "{{", "}}")?.parse()?;
    Walk::tree(&mut root)?;
    let mut trees = BTreeMap::new();
    for mut define in defines {
        let is_empty = define.body.is_empty_tree();
        Walk::tree(&mut define.body)?;
        let before = trees.get(&define.name);
        // An empty definition does not replace another one.
        if before.is_some_and(|before: &ListNode| !before.is_empty_tree()) {
            if is_empty {
                continue;
            }
            return Err(TreeError::Twice(define.name, define.pos.line));
        }
        trees.insert(define.name, define.body);
    }
    Ok((root, trees))
}

/// A walk through the tree of one template.
struct Walk {
    /// The variables that exist at the place.
    variables: BTreeSet<SmolStr>,
    /// The same, in the order of their declarations.
    order: Vec<SmolStr>,
}

impl Walk {
    fn tree(tree: &mut ListNode) -> Result<(), TreeError> {
        let mut walk = Self {
            variables: BTreeSet::from([DOLLAR]),
            order: Vec::new(),
        };
        walk.list(tree)
    }

    fn list(&mut self, list: &mut ListNode) -> Result<(), TreeError> {
        let mut nodes = Vec::with_capacity(list.nodes.len());
        for mut node in std::mem::take(&mut list.nodes) {
            nodes.extend(place(&node).map(mark));
            match &mut node {
                Node::List(list) => self.list(list)?,
                Node::Action(action) => self.action(action)?,
                Node::If(branch) | Node::With(branch) => self.branch(branch, STEP)?,
                Node::Range(branch) => self.branch(branch, EACH)?,
                Node::Template(template) => self.call(template)?,
                Node::Define(_) | Node::Text(_) | Node::Break(_) | Node::Continue(_) => {}
            }
            nodes.push(node);
        }
        list.nodes = nodes;
        Ok(())
    }

    fn action(&mut self, action: &mut ActionNode) -> Result<(), TreeError> {
        let steps = self.pipe(&mut action.pipe)?;
        let is_shown = action.pipe.decl.is_empty();
        append(&mut action.pipe, if is_shown { SHOW } else { STEP }, steps);
        Ok(())
    }

    fn branch(&mut self, branch: &mut BranchNode, function: &'static str) -> Result<(), TreeError> {
        let outside = self.order.len();
        let steps = self.pipe(&mut branch.pipe)?;
        append(&mut branch.pipe, function, steps);
        // Go forgets the variables of both lists at the end only.
        self.list(&mut branch.body)?;
        if let Some(list) = &mut branch.else_body {
            self.list(list)?;
        }
        self.forget(outside);
        Ok(())
    }

    /// Without an argument, a template is executed without values. The library would give it those of the caller.
    fn call(&mut self, template: &mut TemplateNode) -> Result<(), TreeError> {
        if let Some(pipe) = &mut template.pipe {
            let steps = self.pipe(pipe)?;
            append(pipe, STEP, steps + CALL_STEPS);
        } else {
            let steps = Expr::Number(template.pos, Number::Int(CALL_STEPS));
            template.pipe = Some(call(template.pos, STEP, vec![steps]));
        }
        Ok(())
    }

    /// Returns the steps of a pipeline: one for each command and each argument.
    fn pipe(&mut self, pipe: &mut PipeNode) -> Result<i64, TreeError> {
        let mut steps = 1;
        for command in &mut pipe.commands {
            for argument in &mut command.args {
                steps += self.expression(argument)?;
            }
            weigh_first(command);
        }
        if pipe.is_assign {
            for name in &pipe.decl {
                self.find(name, pipe.pos)?;
            }
        } else {
            for name in &pipe.decl {
                if self.variables.insert(name.clone()) {
                    self.order.push(name.clone());
                }
            }
        }
        Ok(steps)
    }

    fn expression(&mut self, expression: &mut Expr) -> Result<i64, TreeError> {
        match expression {
            Expr::Identifier(at, name) if !KNOWN.contains(&name.as_str()) => {
                return Err(TreeError::Function(name.clone(), at.line));
            }
            Expr::Variable(at, name, fields) => {
                self.find(name, *at)?;
                if !fields.is_empty() {
                    let (at, fields) = (*at, std::mem::take(fields));
                    let variable = Expr::Variable(at, name.clone(), Vec::new());
                    *expression = chain(at, variable, fields);
                }
            }
            Expr::Field(at, fields) => {
                let (at, fields) = (*at, std::mem::take(fields));
                *expression = chain(at, Expr::Dot(at), fields);
            }
            Expr::Pipe(_, pipe) => return self.pipe(pipe),
            Expr::Chain(at, inner, fields) => {
                let steps = self.expression(inner)?;
                let (at, fields) = (*at, std::mem::take(fields));
                let inner = std::mem::replace(inner.as_mut(), Expr::Nil(at));
                *expression = chain(at, inner, fields);
                return Ok(steps + 1);
            }
            _ => {}
        }
        Ok(1)
    }

    /// Ends the scope of all variables but the first ones.
    fn forget(&mut self, first: usize) {
        for name in self.order.drain(first..) {
            self.variables.remove(&name);
        }
    }

    fn find(&self, name: &SmolStr, at: Pos) -> Result<(), TreeError> {
        if self.variables.contains(name) {
            Ok(())
        } else {
            Err(TreeError::Variable(name.clone(), at.line))
        }
    }
}

/// Returns the place of what a node evaluates, if it evaluates anything.
fn place(node: &Node) -> Option<Pos> {
    match node {
        Node::Action(action) => Some(action.pipe.pos),
        Node::If(branch) | Node::With(branch) | Node::Range(branch) => Some(branch.pipe.pos),
        Node::Template(template) => Some(template.pos),
        Node::List(_) | Node::Define(_) | Node::Text(_) | Node::Break(_) | Node::Continue(_) => {
            None
        }
    }
}

/// Returns a node that notes its line, and writes nothing.
fn mark(pos: Pos) -> Node {
    let line = i64::try_from(pos.line).unwrap_or(i64::MAX);
    let pipe = call(pos, LINE, vec![Expr::Number(pos, Number::Int(line))]);
    Node::Action(ActionNode { pos, pipe })
}

/// Returns a pipeline of one call.
fn call(at: Pos, function: &'static str, arguments: Vec<Expr>) -> PipeNode {
    let mut args = vec![Expr::Identifier(at, SmolStr::new_static(function))];
    args.extend(arguments);
    PipeNode {
        pos: at,
        decl: Vec::new(),
        commands: vec![CommandNode { pos: at, args }],
        is_assign: false,
    }
}

/// Returns fields of a value that must exist.
fn chain(at: Pos, value: Expr, fields: Vec<SmolStr>) -> Expr {
    let value = Expr::Pipe(at, call(at, DATA, vec![value]));
    Expr::Chain(at, Box::new(value), fields)
}

/// Calls a function with the steps of a pipeline and its value.
fn append(pipe: &mut PipeNode, function: &'static str, steps: i64) {
    let steps = Expr::Number(pipe.pos, Number::Int(steps));
    pipe.commands
        .extend(call(pipe.pos, function, vec![steps]).commands);
}

/// Counts the first argument of a function whose time depends on it.
fn weigh_first(command: &mut CommandNode) {
    let times = i64::try_from(command.args.len()).unwrap_or(i64::MAX);
    let [Expr::Identifier(at, name), first, ..] = command.args.as_mut_slice() else {
        return;
    };
    if WEIGHED.contains(&name.as_str()) {
        let at = *at;
        let value = std::mem::replace(first, Expr::Nil(at));
        let times = Expr::Number(at, Number::Int(times));
        *first = Expr::Pipe(at, call(at, WEIGH, vec![times, value]));
    }
}
