"""What may vary: domains, the one declaration of a trial's configuration, and study files."""

from spaces.config import TASKS, Config, factors, is_active
from spaces.declare import Condition, Key, keys
from spaces.domains import (
    Choice,
    Domain,
    Interval,
    IntInterval,
    Simplex,
    Text,
    Texts,
    Value,
    shortened,
    shown,
    toml_text,
)
from spaces.errors import UserError, unknown
from spaces.recipes import REPORT
from spaces.schema import study_schema
from spaces.settings import (
    EMBEDDED,
    MINILM,
    DataSettings,
    EncoderSettings,
    ResourceSettings,
    SearchSettings,
)
from spaces.space import Space
from spaces.study_file import STUDIES, StudyFile, load_study, parse_overrides, parse_study
from spaces.table import factors_markdown

__all__ = [
    "EMBEDDED",
    "MINILM",
    "REPORT",
    "STUDIES",
    "TASKS",
    "Choice",
    "Condition",
    "Config",
    "DataSettings",
    "Domain",
    "EncoderSettings",
    "IntInterval",
    "Interval",
    "Key",
    "ResourceSettings",
    "SearchSettings",
    "Simplex",
    "Space",
    "StudyFile",
    "Text",
    "Texts",
    "UserError",
    "Value",
    "factors",
    "factors_markdown",
    "is_active",
    "keys",
    "load_study",
    "parse_overrides",
    "parse_study",
    "shortened",
    "shown",
    "study_schema",
    "toml_text",
    "unknown",
]
