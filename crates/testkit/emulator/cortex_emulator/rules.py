"""Rules: functions put around moto's own, each with a name, a reason and a page of AWS's documentation.

A rule names the class (or module) and the attribute that it goes around. If moto has no such attribute any more, the
emulator does not start: a newer moto cannot silently lose a rule. Rules are switched while the server runs, so that a
test can show that it fails without the one it is about.

A rule's docstring is its entry in the list of rules: the first paragraph says what AWS does, a line `AWS: <path>` names
the page below https://docs.aws.amazon.com/.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

FIXES = "fixes"
STRICT = "strict"

_ABSENT = object()


class Rule:
    def __init__(self, name: str, area: str, module: str, docstring: str | None):
        paragraphs = inspect.cleandoc(docstring or "").split("\n\n")
        sources = [line[4:].strip() for part in paragraphs for line in part.splitlines() if line.startswith("AWS:")]
        if not paragraphs[0] or not sources:
            raise RuntimeError(f"the rule {name} of {module} says not what AWS does, or not where that is written")
        self.name = name
        self.area = area
        self.module = module
        self.summary = " ".join(paragraphs[0].split())
        self.sources = [f"https://docs.aws.amazon.com/{source}" for source in sources]
        self.disabled = False

    @property
    def active(self) -> bool:
        return not self.disabled and (self.area == FIXES or BOOK.strict)

    def around(self, owner: Any, attribute: str) -> Callable[[Callable[..., Any]], "Rule"]:
        """One more function of moto that this rule goes around."""

        def decorate(hook: Callable[..., Any]) -> "Rule":
            _go_around(self, owner, attribute, hook)
            return self

        return decorate


class Book:
    """All rules, by name."""

    def __init__(self) -> None:
        self.rules: dict[str, Rule] = {}
        self.strict = False

    def add(self, area: str, hook: Callable[..., Any]) -> Rule:
        rule = Rule(hook.__name__, area, hook.__module__, hook.__doc__)
        if rule.name in self.rules:
            raise RuntimeError(f"two rules are called {rule.name}")
        self.rules[rule.name] = rule
        return rule

    def disable(self, names: list[str]) -> None:
        """Exactly these; an unknown one is an error."""
        unknown = sorted(set(names) - set(self.rules))
        if unknown:
            raise KeyError(f"there is no rule {', '.join(unknown)}")
        for rule in self.rules.values():
            rule.disabled = rule.name in names


BOOK = Book()


class Area:
    """Where rules are registered: `FIXES` or `STRICT`."""

    def __init__(self, name: str):
        self.name = name

    def around(self, owner: Any, attribute: str) -> Callable[[Callable[..., Any]], Rule]:
        """The decorated function is called instead of `owner.attribute`, with the original as its first argument."""

        def decorate(hook: Callable[..., Any]) -> Rule:
            rule = BOOK.add(self.name, hook)
            _go_around(rule, owner, attribute, hook)
            return rule

        return decorate

    def operation(self, owner: Any, attribute: str) -> Callable[[Callable[..., Any]], Rule]:
        """The decorated function is an operation that moto lacks: a method of one of its response classes."""

        def decorate(hook: Callable[..., Any]) -> Rule:
            rule = BOOK.add(self.name, hook)
            _add(rule, owner, attribute, hook)
            return rule

        return decorate

    def rule(self, hook: Callable[..., Any]) -> Rule:
        """A rule that is asked for where it applies, with `if name.active`."""
        return BOOK.add(self.name, hook)


fixes = Area(FIXES)
strict = Area(STRICT)


def _go_around(rule: Rule, owner: Any, attribute: str, hook: Callable[..., Any]) -> None:
    original = vars(owner).get(attribute, _ABSENT)
    if original is _ABSENT:
        raise RuntimeError(f"the rule {rule.name} goes around {owner.__name__}.{attribute}, which moto has no more")
    if isinstance(original, property):
        getter = original.fget
        setattr(owner, attribute, property(_wrapper(rule, getter, hook), original.fset))
        return
    if isinstance(original, staticmethod):
        setattr(owner, attribute, staticmethod(_wrapper(rule, original.__func__, hook)))
        return
    if isinstance(original, classmethod):
        raise RuntimeError(f"{owner.__name__}.{attribute} is no plain function")
    setattr(owner, attribute, _wrapper(rule, original, hook))


def _wrapper(rule: Rule, original: Callable[..., Any], hook: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not rule.active:
            return original(*args, **kwargs)
        return hook(original, *args, **kwargs)

    return wrapper


def _add(rule: Rule, owner: Any, attribute: str, operation: Callable[..., Any]) -> None:
    if hasattr(owner, attribute):
        raise RuntimeError(f"moto has {owner.__name__}.{attribute} by now: drop ours")

    @functools.wraps(operation)
    def wrapper(self: Any) -> Any:
        if not rule.active:
            raise NotImplementedError(f"{attribute} is switched off")
        return operation(self)

    setattr(owner, attribute, wrapper)
