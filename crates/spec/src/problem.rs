//! What is wrong with a document, where, and what to do about it.

use std::{fmt, ops::Range};

use miette::{Diagnostic, GraphicalReportHandler, LabeledSpan, NamedSource, SourceCode};
use serde::Serialize;

/// The last part of a problem's kind. Scripts rely on these words: add to them, never change one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Syntax,
    EmptyDocument,
    MultipleDocuments,
    TooLarge,
    DuplicateKey,
    WrongType,
    UnknownField,
    RemovedField,
    NotSupportedYet,
    OtherProvider,
    RequiredField,
    OutOfRange,
    InvalidValue,
    Conflict,
    DuplicateValue,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax_error",
            Self::EmptyDocument => "empty_document",
            Self::MultipleDocuments => "multiple_documents",
            Self::TooLarge => "too_large",
            Self::DuplicateKey => "duplicate_key",
            Self::WrongType => "wrong_type",
            Self::UnknownField => "unknown_field",
            Self::RemovedField => "removed_field",
            Self::NotSupportedYet => "not_supported_yet",
            Self::OtherProvider => "field_of_other_provider",
            Self::RequiredField => "required_field",
            Self::OutOfRange => "out_of_range",
            Self::InvalidValue => "invalid_value",
            Self::Conflict => "conflicting_fields",
            Self::DuplicateValue => "duplicate_value",
        }
    }
}

/// A rule's answer to a value it does not accept. Knows nothing of files; see [`Problem`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) kind: Kind,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Refusal {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), help: None }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidValue, message)
    }

    pub(crate) fn range(message: impl Into<String>) -> Self {
        Self::new(Kind::OutOfRange, message)
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, message)
    }

    pub(crate) fn not_yet(help: impl Into<String>) -> Self {
        Self::new(Kind::NotSupportedYet, "not supported yet").help(help)
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.help.iter().try_for_each(|help| write!(f, "; {help}"))
    }
}

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Stable and dotted, for scripts: `clusterconfig.unknown_field`, `spec.out_of_range`, ...
    pub kind: String,
    /// Where it is in the document's own terms: `node_groups[0].spot_config.max_price`. Empty for the whole document.
    pub path: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub message: String,
    pub help: Option<String>,
    /// In bytes of the document.
    #[serde(skip)]
    pub span: Range<usize>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.kind))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(std::iter::once(LabeledSpan::underline(self.span.clone()))))
    }
}

/// A document with problems: all of them, in the order of the document.
///
/// `Display` is one plain line per problem (`cluster.yaml:3:12: message; help`); [`Invalid::render`] is for people.
/// Values of keys that speak of a secret are masked in the source text kept here.
#[derive(Debug, Clone)]
pub struct Invalid {
    source: NamedSource<String>,
    problems: Vec<Problem>,
}

impl Invalid {
    pub(crate) fn new(source_name: &str, text: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| (problem.line, problem.column));
        problems.dedup();
        Self { source: NamedSource::new(source_name, crate::secret::mask(text)), problems }
    }

    pub fn source_name(&self) -> &str {
        self.source.name()
    }

    /// The document, secrets masked.
    pub fn source_text(&self) -> &str {
        self.source.inner()
    }

    /// Never empty; sorted by position.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Every problem with its source line, a caret and its help, and a count at the end.
    pub fn render(&self, handler: &GraphicalReportHandler) -> String {
        let mut out = String::new();
        for problem in &self.problems {
            // Writing to a string does not fail, and neither does looking up a span: they are cut to the text.
            let _ = handler.render_report(&mut out, &Located { problem, source: &self.source });
            out.push('\n');
        }
        let count = self.problems.len();
        out + &format!("{}: {count} problem{}\n", self.source_name(), if count == 1 { "" } else { "s" })
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            let Problem { line, column, message, help, .. } = problem;
            let newline = if i > 0 { "\n" } else { "" };
            write!(f, "{newline}{}:{line}:{column}: {message}", self.source_name())?;
            help.iter().try_for_each(|help| write!(f, "; {help}"))?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}

impl Diagnostic for Invalid {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.problems.iter().map(|problem| problem as &dyn Diagnostic)))
    }
}

/// A problem together with the text it is about.
#[derive(Debug)]
struct Located<'a> {
    problem: &'a Problem,
    source: &'a NamedSource<String>,
}

impl fmt::Display for Located<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)
    }
}

impl std::error::Error for Located<'_> {}

impl Diagnostic for Located<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.code()
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.help()
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.problem.labels()
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self.source)
    }
}

pub(crate) fn dotted(prefix: &str, kind: Kind) -> String {
    format!("{prefix}.{}", kind.as_str())
}
