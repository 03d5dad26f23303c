//! Reads the little XML that STS writes, and nothing else.
//!
//! Verifiers have been broken through what a real XML parser takes (CVE-2020-16250: leading garbage, then a second
//! document inside a value). An answer of STS needs nearly nothing of XML, so everything but this is refused: an optional
//! declaration, one root, elements with plain names, one `xmlns` attribute on the root, and either children or text inside an
//! element, never both. No comments, processing instructions, CDATA, document types, prefixes, other attributes,
//! control characters; nothing before or after the root but white space. Entities are left as they stand: the values
//! we use have none.

/// An answer of STS is 3 deep with 6 elements.
const MAX_DEPTH: usize = 6;
const MAX_ELEMENTS: usize = 32;

/// The declarations that STS and its stand-ins write.
const DECLARATIONS: [&str; 3] = [
    r#"<?xml version="1.0"?>"#,
    r#"<?xml version="1.0" encoding="UTF-8"?>"#,
    r#"<?xml version="1.0" encoding="utf-8"?>"#,
];

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    pub(super) name: &'a str,
    /// Value of `xmlns`; only a root can have one.
    pub(super) namespace: Option<&'a str>,
    pub(super) children: Vec<Element<'a>>,
    /// As written, with white space; empty if there are children.
    pub(super) text: &'a str,
}

impl<'a> Element<'a> {
    /// The texts of exactly these children, in the order of `names`; `None` if one is missing, double or too many, or
    /// has children itself.
    pub(super) fn texts<const N: usize>(&self, names: [&str; N]) -> Option<[&'a str; N]> {
        let children = self.only(names)?;
        children.iter().all(|child| child.children.is_empty()).then(|| children.map(|child| child.text))
    }

    /// Exactly these children, in the order of `names`, which are all different.
    pub(super) fn only<const N: usize>(&self, names: [&str; N]) -> Option<[&Element<'a>; N]> {
        if self.children.len() != N {
            return None;
        }
        let mut found = [self; N];
        for (slot, name) in found.iter_mut().zip(names) {
            *slot = self.children.iter().find(|child| child.name == name)?;
        }
        Some(found)
    }

    /// Every element of that name, this one and all below.
    pub(super) fn all<'e>(&'e self, name: &'e str) -> Vec<&'e Element<'a>> {
        let own = (self.name == name).then_some(self);
        own.into_iter().chain(self.children.iter().flat_map(|child| child.all(name))).collect()
    }
}

/// The root, or `None` if the text is anything but the subset above.
pub(super) fn parse(bytes: &[u8]) -> Option<Element<'_>> {
    let text = std::str::from_utf8(bytes).ok()?;
    if text.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r')) {
        return None;
    }
    let body = DECLARATIONS.iter().find_map(|declaration| text.strip_prefix(declaration)).unwrap_or(text);
    let mut reader = Reader { rest: trim_start(body), elements: 0 };
    let root = reader.element(0)?;
    trim_start(reader.rest).is_empty().then_some(root)
}

struct Reader<'a> {
    rest: &'a str,
    elements: usize,
}

impl<'a> Reader<'a> {
    fn element(&mut self, depth: usize) -> Option<Element<'a>> {
        self.elements += 1;
        if depth >= MAX_DEPTH || self.elements > MAX_ELEMENTS {
            return None;
        }
        self.take("<")?;
        let name = self.name()?;
        let namespace = if depth == 0 { self.namespace()? } else { None };
        if self.take("/>").is_some() {
            return Some(Element { name, namespace, children: Vec::new(), text: "" });
        }
        self.take(">")?;
        let (children, text) = self.content(depth)?;
        self.take("</")?;
        self.take(name)?;
        self.take(">")?;
        Some(Element { name, namespace, children, text })
    }

    /// Up to the closing tag.
    fn content(&mut self, depth: usize) -> Option<(Vec<Element<'a>>, &'a str)> {
        let end = self.rest.find('<')?;
        let (text, rest) = self.rest.split_at(end);
        if rest.starts_with("</") {
            self.rest = rest;
            return Some((Vec::new(), text));
        }
        let mut children = Vec::new();
        loop {
            self.rest = trim_start(self.rest);
            if self.rest.starts_with("</") {
                return Some((children, ""));
            }
            children.push(self.element(depth + 1)?);
        }
    }

    /// `Some(None)` if there is no attribute.
    fn namespace(&mut self) -> Option<Option<&'a str>> {
        if self.take(" xmlns=\"").is_none() {
            return Some(None);
        }
        let (value, rest) = self.rest.split_once('"')?;
        self.rest = rest;
        (!value.contains(['<', '&'])).then_some(Some(value))
    }

    fn name(&mut self) -> Option<&'a str> {
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        name.starts_with(|c: char| c.is_ascii_alphabetic()).then_some(name)
    }

    fn take(&mut self, expected: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(expected)?;
        Some(())
    }
}

/// White space as XML has it, not as Unicode has it.
fn trim_start(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\r'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_children_and_texts() {
        let root =
            parse(b"<?xml version=\"1.0\"?>\n<a xmlns=\"n\">\n <b>1</b><c/> <d><e> 2 </e></d>\n</a>\n").expect("it is");
        assert_eq!((root.name, root.namespace, root.children.len()), ("a", Some("n"), 3));
        assert_eq!(root.children[0].text, "1");
        assert_eq!(root.children[2].texts(["e"]), Some([" 2 "]));
        assert_eq!(root.all("e").len(), 1);
        assert!(root.texts(["b", "c", "d"]).is_none(), "`d` has children");
        assert!(root.only(["b", "c"]).is_none() && root.only(["b", "c", "x"]).is_none());
        let twice = parse(b"<a><b/><b/></a>").expect("it is well-formed");
        assert!(twice.only(["b", "c"]).is_none() && twice.only(["b"]).is_none());
    }

    #[test]
    fn refuses_everything_else() {
        let deep = format!("{}{}", "<a>".repeat(40), "</a>".repeat(40));
        let wide = format!("<a>{}</a>", "<b/>".repeat(40));
        for text in [
            "",
            "x",
            "<a>",
            "<a></b>",
            "</a>",
            "<a></a><b></b>",
            "x<a></a>",
            "<a></a>x",
            "<a>x<b></b></a>",
            "<a><b></b>x</a>",
            "<a x=\"1\"></a>",
            "<a xmlns='n'></a>",
            "<a><b xmlns=\"n\"></b></a>",
            "<a:b></a:b>",
            "<a xmlns=\"n\" xmlns=\"m\"></a>",
            "<!DOCTYPE a><a></a>",
            "<a><!-- --></a>",
            "<a><![CDATA[x]]></a>",
            "<?pi?><a></a>",
            "<a><?pi?></a>",
            "<a>\u{0}</a>",
            "\u{feff}<a></a>",
            "<1></1>",
            "< a></a>",
            "<a></a >",
            "<a xmlns=\"<\"></a>",
            "<?xml version=\"1.1\"?><a></a>",
            " <?xml version=\"1.0\"?><a></a>",
            &deep,
            &wide,
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(parse(b"<a>\xff</a>"), None);
    }
}
